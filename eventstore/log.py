"""The log of a replicated ledger: transactions in a JetStream stream, as the writer's thread of a store uses it.

A transaction is one message, or an atomic batch where it is larger than a message. The stream's last sequence is part
of every append, so of two services that write at the same moment one is refused, and nothing ever comes between.
"""

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from typing import TypeVar

import msgspec

from bus import jetstream
from bus.connection import Bus
from bus.errors import BusError, StreamFailed, WrongSequence
from bus.streams import COMMITS, ensure_stream
from contracts.envelope import blob_hash
from contracts.ledger import Commit
from contracts.subjects import COMMITS as SUBJECT
from contracts.subjects import COMMITS_STREAM
from eventstore.errors import Behind, LedgerFault, LedgerUnavailable, Tampered
from eventstore.replica import LogEnd, Place

T = TypeVar("T")

PART = 900 * 1000
"""Bytes of a transaction in one message; a message holds 1 MiB."""
TIMEOUT = 10.0
"""Seconds to wait for the servers' agreement on a transaction."""
_NO_STREAM = 10059
_COMMIT = "Nats-Batch-Commit"
_BATCH = "Nats-Batch-Id"

_decoder = msgspec.msgpack.Decoder(Commit)


async def has_log(bus: Bus) -> bool:
    """Whether a replicated ledger is kept on a bus. Raises LedgerUnavailable."""

    async def ask() -> bool:
        try:
            await jetstream.manage(bus, f"STREAM.INFO.{COMMITS_STREAM}", {})
        except StreamFailed as error:
            if error.code == _NO_STREAM:
                return False
            raise
        return True

    return await _named(lambda: bus.persist(ask, deadline=20.0))


class BusLog:
    """The log on a bus. Methods block, for use by any thread but that of the bus's loop; `end_now` is for the loop."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus
        self._loop = asyncio.get_running_loop()

    async def ensure(self) -> None:
        """Make the stream where there is none. Raises LedgerUnavailable, LedgerFault."""
        await _named(lambda: self._bus.persist(lambda: ensure_stream(self._bus, COMMITS), deadline=30.0))

    async def end_now(self) -> LogEnd:
        """Where the log ends, by its leader. Raises LedgerUnavailable."""
        info = await _named(lambda: jetstream.manage(self._bus, f"STREAM.INFO.{COMMITS_STREAM}", {}))
        return LogEnd(created=info["created"], sequence=info["state"]["last_seq"])

    def end(self) -> LogEnd:
        """Where the log ends. Raises LedgerUnavailable."""
        return self._wait(self.end_now)

    def append(self, commit: Commit, after: int) -> Place:
        """Store a transaction behind sequence `after`; durable when it returns.

        Raises:
            Behind: the log ends elsewhere; nothing was stored.
            LedgerUnavailable: the outcome is unknown: read on from `after`.
        """
        data = msgspec.msgpack.encode(commit)
        parts = [data[start : start + PART] for start in range(0, len(data), PART)]

        async def store() -> int:
            try:
                stored = await jetstream.store_whole(self._bus, SUBJECT, parts, after=after, timeout=TIMEOUT)
            except WrongSequence as error:
                raise Behind(after) from error
            return stored.seq

        return Place(sequence=self._wait(store), digest=blob_hash(parts[-1]))

    def read(self, after: int) -> list[tuple[Place, Commit]]:
        """Whole transactions behind a sequence, each with its place; as many as a server hands out at once.

        Raises:
            LedgerUnavailable: no answer.
            Tampered: something in the log is no transaction, or is not there.
        """
        found: list[tuple[Place, Commit]] = []
        parts: list[bytes] = []
        end = after
        while True:
            messages = self._wait(partial(jetstream.read_on, self._bus, COMMITS_STREAM, end))
            for message in messages:
                end += 1
                if message.seq != end:
                    raise Tampered(0, f"the log goes on at sequence {message.seq} where {end} should be")
                parts.append(message.data)
                if _BATCH in message.headers and _COMMIT not in message.headers:
                    continue
                place = Place(sequence=end, digest=blob_hash(message.data))
                found.append((place, _decoded(end, b"".join(parts))))
                parts = []
            if not parts or not messages:
                return found  # else a batch goes on: it is whole or not there, and its rest comes with the next page

    def holds(self, place: Place) -> bool:
        """Whether a transaction still ends where it did. Raises LedgerUnavailable."""
        found = self._wait(
            partial(jetstream.read_on, self._bus, COMMITS_STREAM, place.sequence - 1, messages=1)
        )
        return any(each.seq == place.sequence and blob_hash(each.data) == place.digest for each in found)

    def _wait(self, work: Callable[[], Awaitable[T]]) -> T:
        return asyncio.run_coroutine_threadsafe(_named(work), self._loop).result()


def _decoded(sequence: int, data: bytes) -> Commit:
    try:
        return _decoder.decode(data)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise Tampered(0, f"sequence {sequence} of the log is no transaction ({error})") from error


async def _named(work: Callable[[], Awaitable[T]]) -> T:
    """A call of the bus, with its errors as the ledger's."""
    try:
        return await work()
    except StreamFailed as error:
        raise LedgerFault(str(error)) from error
    except BusError as error:
        raise LedgerUnavailable(str(error)) from error
