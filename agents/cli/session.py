"""A ledger to write to: the running service's where there is one, else the file itself."""

import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

from bus import logs
from bus.connection import Bus, connect
from bus.errors import BusError, BusUnavailable
from bus.server import read_url
from eventstore.client import LedgerClient
from eventstore.errors import LedgerUnavailable
from eventstore.sqlite import SqliteStore


async def running_bus(store: Path, bus: str = "", *, name: str = "ratchet") -> Bus | None:
    """A connection to the bus that serves a store, if one does. What goes wrong with it is told on standard error."""
    logs.configure("ratchet", file=sys.__stderr__)
    url = bus or read_url(store)
    if not url:
        return None
    try:
        return await connect(url, name=name, deadline=10.0 if bus else 1.0)
    except BusUnavailable:
        if bus:
            raise
        return None


def readable_ledger(store: Path, bus: str = "") -> AbstractAsyncContextManager[Any]:
    """A ledger to read: the running service's where there is one, else the file, which nobody else is kept from.

    Raises:
        LedgerError: there is no store, or it cannot be read.
    """
    return _ledger(store, bus, SqliteStore.read_only)


def writable_ledger(store: Path, bus: str = "") -> AbstractAsyncContextManager[Any]:
    """A ledger that takes appends. Its file must exist already when no service runs.

    Raises:
        LedgerError: there is no store, or it cannot be written.
    """
    return _ledger(store, bus, SqliteStore.open)


@asynccontextmanager
async def _ledger(
    store: Path, bus: str, file: Callable[[Path], AbstractAsyncContextManager[SqliteStore]]
) -> AsyncIterator[Any]:
    """The running service, else the store's own file."""
    async with _service(store, bus) as client:
        if client is not None:
            yield client
            return
    async with file(store) as opened:
        yield opened


@asynccontextmanager
async def _service(store: Path, bus: str) -> AsyncIterator[LedgerClient | None]:
    """The ledger service, if one answers; one that was asked for by its bus has to."""
    connection = await running_bus(store, bus)
    if connection is None:
        yield None
        return
    async with connection:
        client = LedgerClient(connection, patience=5.0)
        answers = True
        try:
            await client.streams("lineage/")
        except (LedgerUnavailable, BusError):
            if bus:
                raise
            answers = False
        yield client if answers else None
