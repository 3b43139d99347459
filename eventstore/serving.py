"""The ledger service as a process: opens the store, joins the bus, answers until it is told to end."""

import asyncio
import os
import signal
import socket
from collections.abc import Callable
from contextlib import AsyncExitStack, suppress
from pathlib import Path

import msgspec
import structlog

from bus import logs
from bus.connection import Bus, connect
from bus.errors import BusError, BusUnavailable, NoResponder, RequestTimeout
from bus.leases import Leases
from bus.server import read_url
from contracts.ledger import Streams
from eventstore.errors import BusTaken, LedgerError, LedgerUnavailable, NoBus
from eventstore.log import has_log
from eventstore.replicated import ReplicatedStore
from eventstore.service import DRAIN, LedgerService, subject_of
from eventstore.signing import Signer
from eventstore.snapshots import Snapshotter
from eventstore.sqlite import SqliteStore

LEADER = "ledger/leader"
"""The lease of the service that writes a replicated ledger."""
STAND_BY = 1.0
"""Seconds between tries for it."""

_log = structlog.get_logger("eventstore.service")


def bus_url(folder: Path, given: str = "") -> str:
    """The bus's address: as given, from `RATCHET_BUS`, or of the bus that runs on the store.

    Raises:
        NoBus: there is none.
    """
    url = given or os.environ.get("RATCHET_BUS", "") or read_url(folder)
    if not url:
        raise NoBus(folder)
    return url


async def serve(
    folder: Path,
    url: str,
    *,
    replicated: bool = False,
    ready: Callable[[], None] = lambda: None,
    end: asyncio.Event | None = None,
) -> None:
    """Serve a store, made where there is none, until SIGINT or SIGTERM (or `end`).

    Args:
        folder: where the store's file is.
        url: address of the bus.
        replicated: whether the file is a replica of the log on the bus, rather than the ledger itself.
        ready: called when requests find the service.
        end: set it to end the service.

    Raises:
        StoreLocked, NotAStore, StoreTooNew, StoreReadOnly, StoreFull: the store cannot be served.
        IsReplica, LogDiverged: it belongs to a log, or to another log.
        LedgerUnavailable: the bus does not answer.
        BusTaken: the service of another ledger answers on the bus.
    """
    end = end or asyncio.Event()
    async with AsyncExitStack() as stack:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, end.set)
            stack.callback(loop.remove_signal_handler, number)
        store, bus = await _opened(stack, folder, url, replicated=replicated)
        ledger = LedgerService(store, bus, await asyncio.to_thread(Signer, store))
        stack.push_async_callback(ledger.stop)
        await ledger.start()
        snapshots = asyncio.create_task(Snapshotter(store).run())
        stack.push_async_callback(_cancelled, snapshots)
        leading = asyncio.create_task(_stand_by(bus, ledger) if replicated else ledger.lead())
        stack.push_async_callback(_cancelled, leading)
        if not replicated:
            begun = asyncio.create_task(ledger.leading.wait())
            await asyncio.wait({leading, begun}, return_when=asyncio.FIRST_COMPLETED)
            begun.cancel()
        _log.info("ledger open", store=str(folder), position=store.position)
        ready()
        ending = asyncio.create_task(end.wait())
        stack.push_async_callback(_cancelled, ending)
        done, _ = await asyncio.wait({ending, leading, snapshots}, return_when=asyncio.FIRST_COMPLETED)
        for task in done - {ending}:
            task.result()
        if isinstance(store, ReplicatedStore):
            with suppress(LedgerError, TimeoutError):  # so that the file is whole for whoever reads it next
                async with asyncio.timeout(DRAIN):
                    await store.sync()
        _log.info("ledger closing", position=store.position)


def run(folder: Path, url: str = "", *, replicated: bool = False) -> None:
    """`serve` as a process of its own."""
    logs.configure("ledger")
    asyncio.run(serve(folder, bus_url(folder, url), replicated=replicated))


async def _opened(
    stack: AsyncExitStack, folder: Path, url: str, *, replicated: bool
) -> tuple[SqliteStore, Bus]:
    store: SqliteStore
    if replicated:
        bus = await _connected(stack, url)
        if not await has_log(bus):
            await _alone(bus)
        store = await ReplicatedStore.join(folder, bus)
        stack.push_async_callback(store.aclose)
        return store, bus
    store = await asyncio.to_thread(SqliteStore.open, folder, create=True)
    stack.push_async_callback(store.aclose)
    bus = await _connected(stack, url)
    await _alone(bus)
    if await has_log(bus):
        raise BusTaken("a replicated ledger is kept on this bus: serve it with --ledger jetstream")
    return store, bus


async def _connected(stack: AsyncExitStack, url: str) -> Bus:
    try:
        bus = await connect(url, name="ledger")
    except BusUnavailable as error:
        raise LedgerUnavailable(str(error)) from error
    stack.push_async_callback(bus.close)
    return bus


async def _stand_by(bus: Bus, ledger: LedgerService) -> None:
    """Lead whenever nobody else does; the log itself sees to it that two at once do no harm."""
    leases = Leases(bus)
    owner = f"{socket.gethostname()}/{os.getpid()}"
    while True:
        try:
            lease = await leases.acquire(LEADER, owner)
        except BusError:
            lease = None
        if lease is None:
            await asyncio.sleep(STAND_BY)
            continue
        async with lease:
            _log.info("this service writes now")
            leading = asyncio.create_task(ledger.lead())
            lost = asyncio.create_task(lease.lost.wait())
            try:
                await asyncio.wait({leading, lost}, return_when=asyncio.FIRST_COMPLETED)
            finally:
                await _cancelled(lost)
                await _cancelled(leading)
            if not leading.cancelled():
                leading.result()


async def _alone(bus: Bus) -> None:
    """Make sure that no other ledger answers here: whoever holds our own store's lock is us, so it is another's."""
    try:
        await bus.request(subject_of(Streams), msgspec.msgpack.encode(Streams()), timeout=1.0)
    except (NoResponder, RequestTimeout):
        return  # nobody, or somebody who died in this moment
    raise BusTaken


async def _cancelled(task: "asyncio.Task[object]") -> None:
    task.cancel()
    await asyncio.wait({task})
