"""The ledger over the bus: both protocols of a store, for every agent on every machine."""

import asyncio
import math
from collections.abc import AsyncIterator, Sequence
from typing import TypeVar

import msgspec

from bus.connection import Bus, connect
from bus.errors import BusUnavailable, NoResponder, RequestFailed, RequestTimeout
from bus.errors import TooLarge as MessageTooLarge
from contracts.envelope import Envelope, NewEvent, blob_hash
from contracts.ledger import (
    CHUNK,
    Append,
    Appended,
    BlobChunk,
    BlobGet,
    BlobHas,
    BlobList,
    BlobPut,
    LedgerReply,
    LedgerRequest,
    Page,
    Read,
    Refusal,
    Sign,
    Signed,
    Snapshot,
    SnapshotGet,
    StreamList,
    Streams,
)
from contracts.subjects import LEDGER_API, LEDGER_EVENTS
from eventstore.cache import ByteCache
from eventstore.errors import LedgerFault, LedgerUnavailable, Tampered, TooLarge
from eventstore.limits import check_append, check_blob
from eventstore.refusals import to_error
from eventstore.tail import Chain, Tail

T = TypeVar("T", Appended, Page, StreamList, BlobChunk, BlobList, Snapshot, Signed)

POLL = 2.0
"""Seconds without a message after which a follower asks the service; what a lost wake-up costs."""
PARALLEL = 4
"""Chunks of a blob that are fetched at once."""
HASHES = 8000
"""Hashes in one question."""

_decoder: msgspec.msgpack.Decoder[LedgerReply] = msgspec.msgpack.Decoder(LedgerReply)


class LedgerClient:
    """The protocols `EventStore` and `BlobStore`, answered by the ledger service.

    While the service is away requests are repeated, with the same event ids, for `patience` seconds (default:
    for ever); a reply that takes longer than `timeout` seconds is asked for again.
    """

    def __init__(
        self,
        bus: Bus,
        *,
        patience: float = math.inf,
        timeout: float = 10.0,
        cache_bytes: int = 64 * 1024 * 1024,
        poll: float = POLL,
    ) -> None:
        self._bus = bus
        self._patience = patience
        self._timeout = timeout
        self._poll = poll
        self._cache = ByteCache(cache_bytes)

    async def append(
        self, stream: str, expected_version: int, events: Sequence[NewEvent], *, patience: float | None = None
    ) -> Appended:
        """Append all or none; durable when it returns. Safe to repeat with the same event ids.

        Raises:
            Conflict: the stream is at another version.
            Malformed, TooLarge: the append itself is wrong.
            StoreFull, StoreReadOnly: nothing was stored.
            LedgerUnavailable: no answer in time; the outcome is unknown until it is repeated.
        """
        check_append(stream, expected_version, events)
        request = Append(stream=stream, expected_version=expected_version, events=tuple(events))
        return await self._ask(request, Appended, patience=patience)

    async def read(self, stream: str, *, after: int = 0, limit: int = 500) -> Page:
        """Events of one stream with version > `after`, in order; an unknown stream is empty.

        A page may hold fewer events than `limit`, when they are large; `more` says whether there are others.

        Raises:
            Tampered: an event does not have the hash that it names.
            LedgerUnavailable: no answer in time.
        """
        if not stream:
            return Page(events=(), more=False, head=0)
        return _checked(await self._ask(Read(stream=stream, after=after, limit=limit), Page))

    async def read_all(self, *, after: int = 0, limit: int = 500) -> Page:
        """Events of the ledger with position > `after`, in order. Raises as `read` does."""
        return _checked(await self._ask(Read(after=after, limit=limit), Page))

    async def streams(self, prefix: str = "") -> tuple[tuple[str, int], ...]:
        """Names and versions of the streams that begin with `prefix`, by name."""
        found: list[tuple[str, int]] = []
        more = True
        while more:
            page = await self._ask(Streams(prefix=prefix, after=found[-1][0] if found else ""), StreamList)
            found += page.streams
            more = page.more
        return tuple(found)

    async def follow(self, *, after: int = 0) -> AsyncIterator[Envelope]:
        """Every event with position > `after`, for ever, in order and without a gap.

        Messages of the bus are only the quick way: what is missing, or does not fit, is read from the service.

        Raises:
            Tampered: what the service itself answers does not fit together.
        """
        tail = Tail()
        chain = Chain(after)
        interest = await self._bus.persist(lambda: self._bus.listen(f"{LEDGER_EVENTS}.>", tail.take))
        try:
            while True:
                page = await self._ask(Read(after=after), Page, patience=math.inf)
                for event in page.events:
                    if not chain.add(event):
                        raise Tampered(event.position, "it does not continue what was read before")
                    yield event
                    after = event.position
                if page.more:
                    continue
                while (heard := await tail.beyond(after, at_most=self._poll)) and chain.add(heard):
                    yield heard
                    after = heard.position
        finally:
            await interest.stop()

    async def put(self, data: bytes) -> str:
        """Store bytes and return their hash; durable when it returns.

        Raises:
            TooLarge: more than a blob may have.
            StoreFull, StoreReadOnly: nothing was stored.
            LedgerUnavailable: no answer in time.
        """
        check_blob(len(data))
        name = blob_hash(data)
        if name in self._cache:
            return name
        total = max(1, -(-len(data) // CHUNK))
        while not (total > 1 and await self.has((name,))):
            stored = False
            for index in range(total):
                piece = data[index * CHUNK : (index + 1) * CHUNK]
                put = BlobPut(hash=name, index=index, total=total, data=piece)
                stored = bool((await self._ask(put, BlobList)).hashes)
            if stored:  # else the service forgot the first chunks: it was restarted between
                break
        self._cache.put(name, bytes(data))
        return name

    async def get(self, hash: str) -> bytes:  # noqa: A002 (the field's own word)
        """The bytes, checked against their hash.

        Raises:
            BlobMissing: there is none of that hash.
            Tampered: what came is something else.
            LedgerUnavailable: no answer in time.
        """
        held = self._cache.get(hash)
        if held is not None:
            return held
        first = await self._chunk(hash, 0)
        pieces = [first.data]
        for start in range(1, first.total, PARALLEL):
            some = range(start, min(start + PARALLEL, first.total))
            pieces += [chunk.data for chunk in await asyncio.gather(*(self._chunk(hash, n) for n in some))]
        data = b"".join(pieces)
        if blob_hash(data) != hash:
            raise Tampered(0, f"the bytes of blob {hash} have another hash")
        self._cache.put(hash, data)
        return data

    async def has(self, hashes: Sequence[str]) -> frozenset[str]:
        """Which of these the store holds."""
        found: set[str] = set()
        for start in range(0, len(hashes), HASHES):
            some = tuple(hashes[start : start + HASHES])
            found.update((await self._ask(BlobHas(hashes=some), BlobList)).hashes)
        return frozenset(found)

    async def snapshot(self, stream: str) -> Snapshot | None:
        """The service's latest snapshot of a stream, if it has one; see `eventstore.snapshots`."""
        found = await self._ask(SnapshotGet(stream=stream), Snapshot)
        return found if found.version else None

    async def sign(self) -> Signed:
        """Have a checkpoint signed over all that is stored at this moment."""
        return await self._ask(Sign(), Signed)

    async def _chunk(self, name: str, index: int) -> BlobChunk:
        return await self._ask(BlobGet(hash=name, index=index), BlobChunk)

    async def _ask(self, request: LedgerRequest, kind: type[T], *, patience: float | None = None) -> T:
        subject = f"{LEDGER_API}.{request.__struct_config__.tag}"
        data = msgspec.msgpack.encode(request)

        async def attempt() -> LedgerReply:
            reply = _decoder.decode(await self._bus.request(subject, data, timeout=self._timeout))
            if isinstance(reply, Refusal) and reply.kind == "closed":
                raise NoResponder(subject)  # for the moment: the next one to answer is asked again
            return reply

        try:
            reply = await self._bus.persist(
                attempt, deadline=self._patience if patience is None else patience
            )
        except (NoResponder, RequestTimeout, BusUnavailable) as error:
            raise LedgerUnavailable(str(error)) from error
        except MessageTooLarge as error:
            raise TooLarge(f"{error.size} bytes in one request, {error.limit} are allowed") from error
        except (RequestFailed, msgspec.MsgspecError) as error:
            raise LedgerFault(str(error)) from error
        if isinstance(reply, Refusal):
            raise to_error(reply, request)
        if not isinstance(reply, kind):
            raise LedgerFault(f"the service answered a {type(reply).__name__} on {subject}")
        return reply


def _checked(page: Page) -> Page:
    for event in page.events:
        if not event.sound:
            raise Tampered(event.position, "it does not have the hash that it names")
    return page


async def sign_at(url: str, *, patience: float = 10.0) -> Signed:
    """Have the ledger's service on a bus sign a checkpoint.

    Raises:
        LedgerUnavailable: the bus or the service does not answer within `patience` seconds.
    """
    try:
        bus = await connect(url, name="checkpoint")
    except BusUnavailable as error:
        raise LedgerUnavailable(str(error)) from error
    try:
        return await LedgerClient(bus, patience=patience).sign()
    finally:
        await bus.close()
