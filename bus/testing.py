"""For tests: a real server on a free port, or three of them as a cluster; each takes hundredths of a second."""

import asyncio
import signal
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from bus.connection import Bus, connect
from bus.deathsig import tied
from bus.errors import BusError
from bus.server import Server, find_binary
from bus.streams import LEASE_TTL, ensure_streams


@asynccontextmanager
async def running_server(store: Path, *, port: int = 0, durable: bool = False) -> AsyncIterator[Server]:
    """A server on a store, ended afterwards."""
    async with Server(store, port=port, durable=durable) as server:
        yield server


@asynccontextmanager
async def running_bus(
    store: Path, *, lease_ttl: float = LEASE_TTL, durable: bool = False
) -> AsyncIterator[tuple[Server, Bus]]:
    """A server with its streams, and a connection to it."""
    async with (
        running_server(store, durable=durable) as server,
        await connect(server.url, name="test") as bus,
    ):
        await ensure_streams(bus, lease_ttl=lease_ttl)
        yield server, bus


class Cluster:
    """Three nats-servers that keep every stream three times."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.ports = _free_ports(6)
        self.processes: dict[int, asyncio.subprocess.Process] = {}

    @property
    def url(self) -> str:
        """All three addresses."""
        return ",".join(f"nats://test:secret@127.0.0.1:{port}" for port in self.ports[:3])

    async def start(self, number: int) -> None:
        """Start one of the servers."""
        routes = ", ".join(f"nats://127.0.0.1:{port}" for port in self.ports[3:])
        place = f"127.0.0.1:{self.ports[3 + number]}"
        home = self.folder / f"server-{number}"
        home.mkdir(parents=True, exist_ok=True)
        (home / "server.conf").write_text(
            f"""
            listen: 127.0.0.1:{self.ports[number]}
            server_name: test-{number}
            authorization {{ user: test, password: secret, timeout: 20 }}
            jetstream {{ store_dir: "{home}", sync_interval: always }}
            cluster {{ name: test, listen: "{place}", no_advertise: true, routes: [{routes}] }}
            log_file: "{home}/server.log"
            """
        )
        command = tied([str(find_binary()), "-c", str(home / "server.conf")], signal.SIGTERM)
        self.processes[number] = await asyncio.create_subprocess_exec(*command)

    async def kill(self, number: int) -> None:
        """Kill one of the servers."""
        self.processes[number].kill()
        await self.processes[number].wait()

    def pause(self, number: int) -> None:
        """Stop one of the servers without its knowing."""
        self.processes[number].send_signal(signal.SIGSTOP)

    def go_on(self, number: int) -> None:
        """Let a paused server go on."""
        self.processes[number].send_signal(signal.SIGCONT)


@asynccontextmanager
async def running_cluster(
    folder: Path, *, lease_ttl: float = LEASE_TTL
) -> AsyncIterator[tuple[Cluster, Bus]]:
    """Three servers with their streams, and a connection to them."""
    cluster = Cluster(folder)
    try:
        for number in range(3):
            await cluster.start(number)
        async with await connect(cluster.url, name="test", deadline=20.0) as bus:
            await _settled(bus, lease_ttl)
            yield cluster, bus
    finally:
        for process in cluster.processes.values():
            if process.returncode is None:
                process.kill()
            await process.wait()


async def _settled(bus: Bus, lease_ttl: float) -> None:
    """Make the streams, as soon as the servers have found each other."""
    async with asyncio.timeout(30):
        while True:
            try:
                await ensure_streams(bus, lease_ttl=lease_ttl)
            except BusError:
                await asyncio.sleep(0.1)
            else:
                return


def _free_ports(count: int) -> list[int]:
    probes = [socket.socket() for _ in range(count)]
    try:
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [probe.getsockname()[1] for probe in probes]
    finally:
        for probe in probes:
            probe.close()
