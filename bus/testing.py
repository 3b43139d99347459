"""For tests: a real server on a free port; it takes a few hundredths of a second."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from bus.connection import Bus, connect
from bus.server import Server
from bus.streams import LEASE_TTL, ensure_streams


@asynccontextmanager
async def running_server(store: Path, *, port: int = 0) -> AsyncIterator[Server]:
    """A server on a store, ended afterwards."""
    async with Server(store, port=port) as server:
        yield server


@asynccontextmanager
async def running_bus(store: Path, *, lease_ttl: float = LEASE_TTL) -> AsyncIterator[tuple[Server, Bus]]:
    """A server with its streams, and a connection to it."""
    async with running_server(store) as server, await connect(server.url, name="test") as bus:
        await ensure_streams(bus, lease_ttl=lease_ttl)
        yield server, bus
