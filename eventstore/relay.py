"""The relay: publishes what was committed to the JetStream stream LEDGER, in order and without a gap.

The stream's sequence is part of every publish (`Nats-Expected-Last-Sequence`), so the server itself refuses
a message out of order, a second copy, and whatever follows one that was lost. After any fault the relay looks
at the last message of the stream and goes on from there; nothing has to be remembered elsewhere.
"""

import asyncio
from collections.abc import Sequence

import msgspec
import structlog

from bus import jetstream
from bus.connection import Bus
from bus.errors import BusError, StreamFailed
from bus.streams import ensure_streams
from contracts.envelope import Envelope
from contracts.record import Record
from contracts.subjects import LEDGER_STREAM, event_subject
from eventstore.errors import LedgerError, StoreClosed
from eventstore.sqlite import SqliteStore

POSITION = "Ratchet-Position"
STREAM = "Ratchet-Stream"
VERSION = "Ratchet-Version"
OMITTED = "Ratchet-Payload"
"""Present, and `omitted`, where the event is too large for a message: fetch it from the service."""

MAX_MESSAGE = 900 * 1000
"""Bytes of an event in a message, at most."""
IN_FLIGHT = 256
"""Events that are published before the last of them is acknowledged."""
PAGE_BYTES = 8 * 1024 * 1024
"""Bytes that are read, and so published, in one go."""
CHECK = 1.0
"""Seconds after which the relay looks again whether the stream is still there and as it left it."""

_log = structlog.get_logger("eventstore.relay")


class _BrokenError(Exception):
    """Raised when the stream is not as the relay left it."""


class _State(msgspec.Struct):
    messages: int
    last_seq: int


class Mark(Record, frozen=True):
    """Up to where the stream holds the ledger."""

    position: int
    sequence: int


class Relay:
    """Publishes a store's events for as long as it runs; there must be one per ledger, in the one writer."""

    def __init__(
        self, store: SqliteStore, bus: Bus, *, check: float = CHECK, max_message: int = MAX_MESSAGE
    ) -> None:
        self._store = store
        self._bus = bus
        self._check = check
        self._max_message = max_message
        self._busy = False
        self._sequence = 0
        self.published = 0
        """Events published by this relay, repetitions after a loss included."""

    async def run(self) -> None:
        """Publish until cancelled, through restarts of the bus and losses of the stream."""
        delay = 0.05
        while True:
            before = self.published
            problem: BaseException | None = None
            try:
                mark = await self._resume()
                _heed_cancellation()
                await self._publish_from(mark)
            except* (_BrokenError, BusError, LedgerError, msgspec.MsgspecError) as group:
                problem = group.exceptions[0]
                _log.info("relay starts over", reason=str(problem) or type(problem).__name__)
            if isinstance(problem, StoreClosed):
                return
            _heed_cancellation()
            delay = 0.05 if self.published > before else min(delay * 2, 2.0)
            await asyncio.sleep(delay)
            await self._bus.wait_connected()

    async def _publish_from(self, mark: Mark) -> None:
        self._sequence, self._busy = mark.sequence, False
        async with asyncio.TaskGroup() as group:  # one refusal ends them all: order before speed
            group.create_task(self._watch())
            position = mark.position
            while True:
                page = await self._store.read_all(after=position, limit=IN_FLIGHT, max_bytes=PAGE_BYTES)
                if page.events:
                    self._busy = True
                    await self._publish(page.events)
                    self._busy = False
                    position = page.events[-1].position
                if not page.more:
                    await self._store.grown(position)

    async def _publish(self, events: Sequence[Envelope]) -> None:
        """Publish a page, and wait for the answer to its last message only: it is refused if one before it was."""
        after = self._sequence
        for event in events[:-1]:
            body, headers = self._message(event, after)
            headers["Nats-Msg-Id"] = event.event_id
            await self._bus.publish(event_subject(event.stream), body, headers=headers)
            after += 1
        last = events[-1]
        body, headers = self._message(last, after)
        subject = event_subject(last.stream)
        stored = await jetstream.store(self._bus, subject, body, headers=headers, message_id=last.event_id)
        if stored.seq != after + 1:
            raise _BrokenError(f"position {last.position} is at sequence {stored.seq}, not {after + 1}")
        self._sequence = stored.seq
        self.published += len(events)

    def _message(self, event: Envelope, after: int) -> tuple[bytes, dict[str, str]]:
        headers = {
            POSITION: str(event.position),
            STREAM: event.stream,
            VERSION: str(event.version),
            "Nats-Expected-Last-Sequence": str(after),
        }
        if event.traceparent:
            headers["traceparent"] = event.traceparent
        body = msgspec.msgpack.encode(event)
        if len(body) > self._max_message:
            headers[OMITTED] = "omitted"
            body = msgspec.msgpack.encode(msgspec.structs.replace(event, payload=b""))
        return body, headers

    async def _watch(self) -> None:
        """See to it that the stream is there and, while nothing is on its way, that it ends where it should.

        A publish alone would not tell: when the stream is gone but someone listens, nobody answers, nobody refuses.
        """
        while True:
            await asyncio.sleep(self._check)
            busy, sequence = self._busy, self._sequence
            state = await self._state()
            if busy or self._busy or sequence != self._sequence:
                continue
            if state.last_seq != sequence or (state.messages == 0) != (sequence == 0):
                raise _BrokenError(f"the stream ends at {state.last_seq}, not {sequence}")

    async def _resume(self) -> Mark:
        """Where to go on: after the last message, if it is one of this ledger; else from the start."""
        await ensure_streams(self._bus)
        state = await self._state()
        if state.last_seq == 0:
            return Mark(position=0, sequence=0)
        mark = await self._mark(state.last_seq) if state.messages else None
        if mark is not None:
            return mark
        _log.warning("the stream is not this ledger's, or was emptied; it is made anew", stream=LEDGER_STREAM)
        await jetstream.manage(self._bus, f"STREAM.DELETE.{LEDGER_STREAM}", {})
        await ensure_streams(self._bus)
        return Mark(position=0, sequence=0)

    async def _mark(self, sequence: int) -> Mark | None:
        request = msgspec.json.encode({"seq": sequence})
        message = await self._bus.call(f"$JS.API.DIRECT.GET.{LEDGER_STREAM}", request)
        headers = message.headers or {}
        position = headers.get(POSITION, "")
        if not position.isdigit():
            return None
        page = await self._store.read_all(after=int(position) - 1, limit=1)
        ours = page.events and page.events[0].event_id == headers.get("Nats-Msg-Id")
        return Mark(position=int(position), sequence=sequence) if ours else None

    async def _state(self) -> _State:
        try:
            info = await jetstream.manage(self._bus, f"STREAM.INFO.{LEDGER_STREAM}", {})
        except StreamFailed as error:
            raise _BrokenError(str(error)) from error
        return msgspec.convert(info["state"], _State)


def _heed_cancellation() -> None:
    """End here if this task was cancelled: nats-py's requests can swallow that when the reply comes with it."""
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError
