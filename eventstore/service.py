"""The ledger service: the only writer of a store, answering requests over the bus."""

import asyncio
import os
import signal
from bisect import bisect
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack, suppress
from functools import partial
from itertools import accumulate
from pathlib import Path
from typing import TypeVar

import msgspec
import structlog

from bus import logs, service
from bus.connection import Bus, connect
from bus.dead import dead_letter
from bus.errors import BusError, BusUnavailable, NoResponder, RequestTimeout
from bus.link import Interest
from bus.server import read_url
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
    StreamList,
    Streams,
)
from contracts.record import Record
from contracts.subjects import LEDGER_API
from eventstore.cache import ByteCache
from eventstore.errors import BusTaken, LedgerError, LedgerUnavailable, Malformed
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

R = TypeVar("R", Append, Read, Streams, BlobPut, BlobGet, BlobHas, Sign)

_log = structlog.get_logger("eventstore.service")


class LedgerService:
    """Answers the requests of `contracts.ledger` from a store."""

    def __init__(self, store: SqliteStore, bus: Bus, signer: Signer) -> None:
        self._store = store
        self._signer = signer
        self._bus = bus
        self._uploads = Uploads()
        self._recent = ByteCache(64 * 1024 * 1024)
        self._interests: list[Interest] = []
        self._working = 0
        self._idle = asyncio.Event()
        self._idle.set()

    async def start(self) -> None:
        """Begin to answer; when it returns, requests find this service."""
        await self._answer(Append, self._append)
        await self._answer(Read, self._read)
        await self._answer(Streams, self._streams)
        await self._answer(BlobPut, self._blob_put)
        await self._answer(BlobGet, self._blob_get)
        await self._answer(BlobHas, self._blob_has)
        await self._answer(Sign, self._sign)
        with suppress(BusError):  # away again: the subscriptions follow the reconnection
            await self._bus.flush()

    async def stop(self) -> None:
        """Take no further requests, and finish those in work."""
        for interest in self._interests:
            await interest.stop()
        self._interests.clear()
        try:
            async with asyncio.timeout(DRAIN):
                await self._idle.wait()
        except TimeoutError:
            _log.warning("requests were left unanswered; their senders will ask again", count=self._working)

    async def _answer(self, kind: type[R], serve: Callable[[R], Awaitable[LedgerReply]]) -> None:
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

        self._interests.append(
            await service.respond(self._bus, subject, handle, queue=QUEUE, concurrency=CONCURRENCY)
        )

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


def bus_url(folder: Path, given: str = "") -> str:
    """The bus's address: as given, from `RATCHET_BUS`, or of the bus that runs on the store.

    Raises:
        LedgerUnavailable: there is none.
    """
    url = given or os.environ.get("RATCHET_BUS", "") or read_url(folder)
    if not url:
        raise LedgerUnavailable(f"no bus runs on {folder}, and neither --bus nor RATCHET_BUS names one")
    return url


async def serve(
    folder: Path, url: str, *, ready: Callable[[], None] = lambda: None, end: asyncio.Event | None = None
) -> None:
    """Serve a store, made where there is none, until SIGINT or SIGTERM (or `end`).

    Raises:
        StoreLocked, NotAStore, StoreTooNew, StoreReadOnly, StoreFull: the store cannot be served.
        LedgerUnavailable: the bus does not answer.
        BusTaken: the service of another ledger answers on the bus.
    """
    end = end or asyncio.Event()
    async with AsyncExitStack() as stack:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, end.set)
            stack.callback(loop.remove_signal_handler, number)
        store = await asyncio.to_thread(SqliteStore.open, folder, create=True)
        stack.push_async_callback(store.aclose)
        try:
            bus = await connect(url, name="ledger")
        except BusUnavailable as error:
            raise LedgerUnavailable(str(error)) from error
        stack.push_async_callback(bus.close)
        await _alone(bus)
        relay = Relay(store, bus)
        relaying = asyncio.create_task(relay.run())
        stack.push_async_callback(_cancelled, relaying)
        signer = await asyncio.to_thread(Signer, store)
        signing = asyncio.create_task(signer.run())
        stack.push_async_callback(_cancelled, signing)
        ledger = LedgerService(store, bus, signer)
        stack.push_async_callback(ledger.stop)
        await ledger.start()
        _log.info("ledger open", store=str(folder), position=store.position)
        ready()
        ending = asyncio.create_task(end.wait())
        stack.push_async_callback(_cancelled, ending)
        done, _ = await asyncio.wait({ending, relaying, signing}, return_when=asyncio.FIRST_COMPLETED)
        for task in done - {ending}:
            task.result()
        _log.info("ledger closing", position=store.position)


def run(folder: Path, url: str = "") -> None:
    """`serve` as a process of its own."""
    logs.configure("ledger")
    asyncio.run(serve(folder, bus_url(folder, url)))


async def _alone(bus: Bus) -> None:
    """Make sure that no other ledger answers here: whoever holds our own store's lock is us, so it is another's."""
    try:
        await bus.request(f"{LEDGER_API}.streams", msgspec.msgpack.encode(Streams()), timeout=1.0)
    except (NoResponder, RequestTimeout):
        return  # nobody, or somebody who died in this moment
    raise BusTaken


async def _cancelled(task: "asyncio.Task[object]") -> None:
    task.cancel()
    await asyncio.wait({task})
