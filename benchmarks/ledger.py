"""Durable appends per second and how soon followers have them, beside peers that run in the same turns.

`python -m benchmarks.ledger [--json] [--seconds 1.5]`. Between two fsync probes, since a shared machine's disk changes
by the minute: read the ratios, not the figures. Takes about 40 seconds. Peers: a bare sqlite3 loop with group commit;
the library eventsourcing, one event a transaction (`pip install eventsourcing`, else it is left out); an echo service
on the same bus, which shows what a request costs when nothing is done.
"""

import argparse
import asyncio
import json
import os
import queue
import sqlite3
import statistics
import sys
import tempfile
import threading
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec

from bus import logs, respond
from bus.connection import connect
from bus.testing import running_bus
from contracts.envelope import NewEvent
from contracts.ledger import Append as AppendRequest
from eventstore.client import LedgerClient
from eventstore.replicated import ReplicatedStore
from eventstore.sqlite import SqliteStore

APPENDERS = (1, 16, 256)
PAYLOAD = json.dumps({"text": "x" * 280}).encode()

Append = Callable[[str, int, NewEvent], Awaitable[object]]


def fsync_ms(folder: Path, *, count: int = 50) -> float:
    """Median milliseconds of a small write and its fsync."""
    times = []
    with (folder / "probe").open("wb", buffering=0) as file:
        for _ in range(count):
            file.write(b"x" * 4096)
            start = time.perf_counter()
            os.fsync(file.fileno())
            times.append(time.perf_counter() - start)
    return statistics.median(times) * 1e3


@asynccontextmanager
async def bare(folder: Path) -> AsyncIterator[Append]:
    """The least that makes a write durable: one table, one thread, one commit for all that wait."""
    folder.mkdir()  # noqa: ASYNC240 (nothing else runs)
    connection = sqlite3.connect(folder / "bare.db", isolation_level=None, check_same_thread=False)
    connection.executescript(
        "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA cache_size=-65536;"
        "CREATE TABLE events (position INTEGER PRIMARY KEY, id TEXT UNIQUE, stream TEXT, version INTEGER,"
        " data BLOB, UNIQUE (stream, version))"
    )
    waiting: queue.SimpleQueue[tuple[tuple[object, ...], asyncio.Future[None]] | None] = queue.SimpleQueue()
    loop = asyncio.get_running_loop()

    def settle(futures: list["asyncio.Future[None]"]) -> None:
        for future in futures:
            if not future.done():
                future.set_result(None)

    def write() -> None:
        ended = False
        while not ended:
            batch = [waiting.get()]
            while not waiting.empty():
                batch.append(waiting.get())
            ended = batch[-1] is None
            entries = [entry for entry in batch if entry is not None]
            connection.execute("BEGIN IMMEDIATE")
            connection.executemany(
                "INSERT INTO events (id, stream, version, data) VALUES (?, ?, ?, ?)",
                [row for row, _ in entries],
            )
            connection.execute("COMMIT")
            loop.call_soon_threadsafe(settle, [future for _, future in entries])

    async def append(stream: str, version: int, event: NewEvent) -> None:
        future = loop.create_future()
        waiting.put(((event.event_id, stream, version, event.payload), future))
        await future

    thread = threading.Thread(target=write)
    thread.start()
    yield append
    waiting.put(None)
    await asyncio.to_thread(thread.join)
    connection.close()


@asynccontextmanager
async def store(folder: Path) -> AsyncIterator[Append]:
    """The store in this process."""
    async with SqliteStore.open(folder, create=True) as opened:
        yield lambda stream, version, event: opened.append(stream, version, [event])


@asynccontextmanager
async def served(folder: Path) -> AsyncIterator[LedgerClient]:
    """A client of a service in a process of its own, with its relay at work."""
    async with running_bus(folder) as (server, _), await connect(server.url, name="benchmark") as bus:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-P", "-m", "eventstore", "serve", "--store", str(folder)),
            env=os.environ | {"RATCHET_BUS": server.url, "RATCHET_LOG_LEVEL": "error"},
        )
        client = LedgerClient(bus)
        await client.streams()
        yield client
        process.terminate()
        await process.wait()


@asynccontextmanager
async def service(folder: Path) -> AsyncIterator[Append]:
    """The store in a process of its own, over the bus, with its relay at work."""
    async with served(folder) as client:
        yield lambda stream, version, event: client.append(stream, version, [event])


@asynccontextmanager
async def log(folder: Path) -> AsyncIterator[Append]:
    """The store as a replica of a log on one server that syncs every message."""
    async with (
        running_bus(folder / "bus", durable=True) as (_, bus),
        await ReplicatedStore.join(folder / "store", bus) as opened,
    ):
        yield lambda stream, version, event: opened.append(stream, version, [event])


@asynccontextmanager
async def echo(folder: Path) -> AsyncIterator[Append]:
    """A request over the bus to a process that only answers."""
    async with running_bus(folder) as (server, _), await connect(server.url, name="benchmark") as bus:
        process = await asyncio.create_subprocess_exec(sys.executable, __file__, "--echo", server.url)
        await bus.request_until("echo", b"", deadline=10.0)

        async def ask(stream: str, version: int, event: NewEvent) -> None:
            request = AppendRequest(stream=stream, expected_version=version, events=(event,))
            await bus.request("echo", msgspec.msgpack.encode(request))

        yield ask
        process.terminate()
        await process.wait()


async def answer(url: str) -> None:
    """Be the echo service."""

    async def same(data: bytes) -> bytes:
        return data

    async with await connect(url, name="echo") as bus:
        await respond(bus, "echo", same, concurrency=512)
        await asyncio.Event().wait()


def peer_per_second(folder: Path, seconds: float) -> int | None:
    """The library eventsourcing, one event a transaction; None where it is not there."""
    try:
        from benchmarks.peer_eventsourcing import saves_per_second
    except ImportError:
        return None
    return round(saves_per_second(folder, seconds))


async def following(folder: Path, count: int = 400) -> dict[str, float]:
    """Milliseconds from the ledger's stamp on an event until a follower on the bus has it."""
    waits: list[float] = []
    async with served(folder) as client:

        async def follow() -> None:
            async for event in client.follow():
                waits.append(time.time() - event.at)
                if len(waits) == count:
                    return

        follower = asyncio.create_task(follow())
        await asyncio.sleep(0.2)
        for number in range(count):
            await client.append(
                "a", number, [NewEvent(event_id=f"{number}", type="Measured", payload=PAYLOAD)]
            )
            await asyncio.sleep(0.003)
        await follower
    waits.sort()
    return {
        "p50_ms": round(waits[count // 2] * 1e3, 2), "p99_ms": round(waits[count * 99 // 100] * 1e3, 2)
    }  # fmt: skip


async def load(append: Append, appenders: int, seconds: float) -> dict[str, float]:
    """Appends per second, and milliseconds until one is durable."""
    waits: list[float] = []
    end = time.perf_counter() + seconds

    async def one(worker: int) -> None:
        version = 0
        while (start := time.perf_counter()) < end:
            event = NewEvent(event_id=str(uuid.uuid4()), type="Measured", payload=PAYLOAD)
            await append(f"measured/{appenders}-{worker}", version, event)
            version += 1
            waits.append(time.perf_counter() - start)

    start = time.perf_counter()
    await asyncio.gather(*(one(worker) for worker in range(appenders)))
    took = time.perf_counter() - start
    waits.sort()
    return {
        "per_second": round(len(waits) / took),
        "p50_ms": round(waits[len(waits) // 2] * 1e3, 2),
        "p99_ms": round(waits[len(waits) * 99 // 100] * 1e3, 2),
    }


KINDS = {"bare": bare, "store": store, "service": service, "echo": echo, "log": log}


async def measure(seconds: float) -> dict[str, Any]:
    """All figures."""
    figures: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        figures["fsync_ms_before"] = round(fsync_ms(folder), 3)
        for appenders in APPENDERS:
            for kind, make in KINDS.items():
                async with make(folder / f"{kind}-{appenders}") as append:
                    figures[f"{kind}_{appenders}"] = await load(append, appenders, seconds)
            figures[f"eventsourcing_{appenders}"] = peer_per_second(folder, seconds)
        figures["follow"] = await following(folder / "follow")
        figures["read_per_second"] = await reading(folder / "store-256")
        figures["fsync_ms_after"] = round(fsync_ms(folder), 3)
    return figures


async def reading(folder: Path) -> int:
    """Events per second when a ledger is read from its start."""
    count, after, more = 0, 0, True
    async with SqliteStore.read_only(folder) as opened:
        start = time.perf_counter()
        while more:
            page = await opened.read_all(after=after, limit=2000)
            count, after, more = count + len(page.events), page.events[-1].position, page.more
        return round(count / (time.perf_counter() - start))


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--seconds", type=float, default=1.5)
    parser.add_argument("--echo", help=argparse.SUPPRESS)
    options = parser.parse_args()
    logs.configure("benchmark")
    if options.echo:
        asyncio.run(answer(options.echo))
        return
    figures = asyncio.run(measure(options.seconds))
    if options.json:
        print(json.dumps(figures))
        return
    print(f"fsync {figures['fsync_ms_before']} ms before, {figures['fsync_ms_after']} ms after")
    print(f"read {figures['read_per_second']} events/s")
    print(f"{'':10}" + "".join(f"{f'{n} appenders':>30}" for n in APPENDERS))
    for kind in KINDS:
        cells = [figures[f"{kind}_{appenders}"] for appenders in APPENDERS]
        print(
            f"{kind:10}"
            + "".join(
                f"{cell['per_second']:>9}/s p50 {cell['p50_ms']:>5} p99 {cell['p99_ms']:>5}" for cell in cells
            )
        )
    most = {kind: figures[f"{kind}_256"]["per_second"] for kind in KINDS}
    print(f"at 256: store over bare {most['store'] / most['bare']:.2f}", end="")
    print(f", service over echo {most['service'] / most['echo']:.2f}", end="")
    peers = [figures[f"eventsourcing_{n}"] for n in APPENDERS]
    if peers[0]:
        peer = statistics.median(peers)
        print(f", service over eventsourcing ({peer:.0f}/s) {most['service'] / peer:.1f}", end="")
    print(f"\nfollower: p50 {figures['follow']['p50_ms']} ms, p99 {figures['follow']['p99_ms']} ms")


if __name__ == "__main__":
    main()
