"""The ledger service: the only writer of a store, answering requests over the bus.

On a replicated ledger there may be several, one a machine: all answer what is read, and the one that holds the lease
writes, publishes and signs. When it goes another takes over.
"""

import asyncio
from bisect import bisect
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial
from itertools import accumulate
from typing import TypeVar

import msgspec
import structlog

from bus import service
from bus.connection import Bus
from bus.dead import dead_letter
from bus.errors import BusError
from bus.link import Interest
from contracts.ledger import (
    CHUNK,
    Append,
    BlobChunk,
    BlobGet,
    BlobHas,
    BlobList,
    BlobPut,
    LedgerReply,
    Read,
    Refusal,
    Sign,
    Signed,
    Snapshot,
    SnapshotGet,
    StreamList,
    Streams,
)
from contracts.record import Record
from contracts.subjects import LEDGER_API
from eventstore.cache import ByteCache
from eventstore.errors import LedgerError, LedgerUnavailable, Malformed
from eventstore.limits import PAGE_BYTES, PAGE_EVENTS
from eventstore.refusals import to_refusal
from eventstore.relay import Relay
from eventstore.signing import OWN, Signer
from eventstore.sqlite import SqliteStore
from eventstore.uploads import Crowded, Uploads

QUEUE = "ledger"
"""Queue group: were there two services, each request would still have one answer."""
CONCURRENCY = 512
"""Requests of a kind that are worked on at once; appends among them share transactions."""
DRAIN = 3.0
"""Seconds that requests in work have to finish when the service ends."""

R = TypeVar("R", Append, Read, Streams, BlobPut, BlobGet, BlobHas, SnapshotGet, Sign)

_log = structlog.get_logger("eventstore.service")


class LedgerService:
    """Answers the requests of `contracts.ledger` from a store."""

    def __init__(self, store: SqliteStore, bus: Bus, signer: Signer, *, relay: Relay | None = None) -> None:
        self._store = store
        self._signer = signer
        self._bus = bus
        self._relay = relay or Relay(store, bus)
        self.leading = asyncio.Event()
        """Set while this service writes."""
        self._uploads = Uploads()
        self._recent = ByteCache(64 * 1024 * 1024)
        self._reading: list[Interest] = []
        self._working = 0
        self._idle = asyncio.Event()
        self._idle.set()

    async def start(self) -> None:
        """Begin to answer what is read; when it returns, requests find this service."""
        self._reading = [
            await self._answer(Read, self._read),
            await self._answer(Streams, self._streams),
            await self._answer(BlobGet, self._blob_get),
            await self._answer(BlobHas, self._blob_has),
            await self._answer(SnapshotGet, self._snapshot),
        ]
        with suppress(BusError):  # away again: the subscriptions follow the reconnection
            await self._bus.flush()

    async def lead(self) -> None:
        """Begin to write, publish and sign; until cancelled."""
        writing = [
            await self._answer(Append, self._append),
            await self._answer(BlobPut, self._blob_put),
            await self._answer(Sign, self._sign),
        ]
        with suppress(BusError):
            await self._bus.flush()
        self.leading.set()
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._relay.run())
                group.create_task(self._signing())
        finally:
            self.leading.clear()
            for interest in writing:
                await interest.stop()

    async def stop(self) -> None:
        """Take no further requests, and finish those in work."""
        for interest in self._reading:
            await interest.stop()
        try:
            async with asyncio.timeout(DRAIN):
                await self._idle.wait()
        except TimeoutError:
            _log.warning("requests were left unanswered; their senders will ask again", count=self._working)

    async def _signing(self) -> None:
        while True:
            try:
                await self._signer.run()
            except LedgerUnavailable as error:  # a replica's log is away
                _log.warning("not signed for now", reason=str(error))
                await asyncio.sleep(1.0)

    async def _answer(self, kind: type[R], serve: Callable[[R], Awaitable[LedgerReply]]) -> Interest:
        subject = subject_of(kind)
        decoder = msgspec.msgpack.Decoder(kind)

        async def handle(data: bytes) -> bytes:
            self._working += 1
            self._idle.clear()
            try:
                return msgspec.msgpack.encode(await self._reply(subject, data, decoder, serve))
            finally:
                self._working -= 1
                if not self._working:
                    self._idle.set()

        return await service.respond(self._bus, subject, handle, queue=QUEUE, concurrency=CONCURRENCY)

    async def _reply(
        self,
        subject: str,
        data: bytes,
        decoder: msgspec.msgpack.Decoder[R],
        serve: Callable[[R], Awaitable[LedgerReply]],
    ) -> LedgerReply:
        try:
            return await serve(decoder.decode(data))
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            refusal = Refusal(kind="malformed", message=str(error))
        except Crowded:
            return Refusal(kind="closed", message="too many blobs are arriving at once")
        except LedgerError as error:
            refusal = to_refusal(error)
            if refusal.kind == "internal":
                _log.error("request failed", subject=subject, error=str(error))
        if refusal.kind == "malformed":
            self._bus.spawn(partial(self._bury, subject, data, refusal.message))
        return refusal

    async def _bury(self, subject: str, data: bytes, reason: str) -> None:
        await dead_letter(self._bus, subject, data, reason=reason, subject=subject)

    async def _append(self, request: Append) -> LedgerReply:
        if request.stream.startswith(OWN):
            raise Malformed(f"streams below {OWN} are written by the ledger itself")
        return await self._store.append(request.stream, request.expected_version, request.events)

    async def _sign(self, _: Sign) -> LedgerReply:
        signed = await self._signer.sign()
        return Signed(position=signed.position, checkpoint=signed.checkpoint, key=signed.key)

    async def _read(self, request: Read) -> LedgerReply:
        limit = min(request.limit, PAGE_EVENTS)
        if request.stream:
            return await self._store.read(
                request.stream, after=request.after, limit=limit, max_bytes=PAGE_BYTES
            )
        return await self._store.read_all(after=request.after, limit=limit, max_bytes=PAGE_BYTES)

    async def _streams(self, request: Streams) -> LedgerReply:
        found = [entry for entry in await self._store.streams(request.prefix) if entry[0] > request.after]
        room = list(accumulate(len(name.encode()) + 12 for name, _ in found))
        fitting = bisect(room, PAGE_BYTES)
        return StreamList(streams=tuple(found[:fitting]), more=fitting < len(found))

    async def _snapshot(self, request: SnapshotGet) -> LedgerReply:
        return await self._store.snapshot(request.stream) or Snapshot(stream=request.stream)

    async def _blob_put(self, request: BlobPut) -> LedgerReply:
        whole = self._uploads.take(request)
        if whole is None:
            return BlobList(hashes=())
        return BlobList(hashes=(await self._store.put(whole),))

    async def _blob_get(self, request: BlobGet) -> LedgerReply:
        data = self._recent.get(request.hash)
        if data is None:
            data = await self._store.get(request.hash)
            self._recent.put(request.hash, data)
        total = max(1, -(-len(data) // CHUNK))
        if not 0 <= request.index < total:
            raise Malformed(f"chunk {request.index} of a blob of {total}")
        piece = data[request.index * CHUNK : (request.index + 1) * CHUNK]
        return BlobChunk(hash=request.hash, index=request.index, total=total, data=piece)

    async def _blob_has(self, request: BlobHas) -> LedgerReply:
        found: frozenset[str] = await self._store.has(request.hashes)
        return BlobList(hashes=tuple(sorted(found)))


def subject_of(kind: type[Record]) -> str:
    """The subject to which requests of a kind go."""
    return f"{LEDGER_API}.{kind.__struct_config__.tag}"
