"""Hundreds of kills and stops of the service, of nats-server and of a follower, under load; `make faults` runs this."""

import asyncio
import os
import random
import signal
import sys
from contextlib import suppress
from pathlib import Path

import anyio
import pytest

from bus import connect
from bus.server import Server
from contracts.envelope import NewEvent
from eventstore.client import LedgerClient
from eventstore.sqlite import SqliteStore
from eventstore.verify import verify

KILLS = int(os.environ.get("RATCHET_SOAK_KILLS", "0"))
SEED = int(os.environ.get("RATCHET_SOAK_SEED", "1"))

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.skipif(not KILLS, reason="takes minutes; `make faults` sets RATCHET_SOAK_KILLS"),
]

_FOLLOW = """
import asyncio, sys
from bus import connect, logs
from eventstore.client import LedgerClient

async def main(url, after):
    async with await connect(url, name="follower", deadline=60.0) as bus:
        async for event in LedgerClient(bus).follow(after=after):
            print(event.position, event.event_id, flush=True)

logs.configure("follower")
asyncio.run(main(sys.argv[1], int(sys.argv[2])))
"""


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


class House:
    """The bus, the service and a follower as processes, and how they are hurt."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.server = Server(folder)
        self.heard: list[tuple[int, str]] = []
        self.service: asyncio.subprocess.Process | None = None
        self.follower: asyncio.subprocess.Process | None = None
        self.reading: asyncio.Task[None] | None = None

    async def start_service(self) -> None:
        self.service = await asyncio.create_subprocess_exec(
            *(sys.executable, "-P", "-m", "eventstore", "serve", "--store", str(self.folder)),
            env=os.environ | {"RATCHET_BUS": self.server.url, "RATCHET_LOG_LEVEL": "error"},
        )

    async def start_follower(self) -> None:
        after = self.heard[-1][0] if self.heard else 0
        self.follower = await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", _FOLLOW, self.server.url, str(after)), stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
        )  # fmt: skip
        self.reading = asyncio.create_task(self._read(self.follower))

    async def _read(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdout is not None
        async for line in process.stdout:
            if line.endswith(b"\n"):  # a killed one may leave half a line
                position, name = line.split()
                self.heard.append((int(position), name.decode()))

    async def hurt(self, who: str, how: str, seconds: float) -> None:
        if who == "server":
            await _struck(self.server.pid, how, seconds)
            if how == "kill":
                await self.server.wait()
                await self.server.start()
            return
        process = self.service if who == "service" else self.follower
        assert process is not None
        await _struck(process.pid, how, seconds)
        if how == "kill":
            await process.wait()
            if who == "service":
                await self.start_service()
            else:
                assert self.reading is not None
                await self.reading
                await self.start_follower()

    async def end(self) -> None:
        for process in (self.follower, self.service):
            if process is not None:
                with suppress(ProcessLookupError):
                    process.send_signal(signal.SIGCONT)
                    process.terminate()
                await process.wait()
        await self.server.stop()


async def _struck(pid: int, how: str, seconds: float) -> None:
    if how == "kill":
        os.kill(pid, signal.SIGKILL)
        return
    os.kill(pid, signal.SIGSTOP)
    await asyncio.sleep(seconds)
    os.kill(pid, signal.SIGCONT)


async def test_a_storm_over_the_ledger_loses_and_doubles_nothing(tmp_path: Path) -> None:
    chance = random.Random(SEED)
    house = House(tmp_path)
    await house.server.start()
    await house.start_service()
    await house.start_follower()
    acknowledged: list[str] = []
    done = asyncio.Event()

    async def appender(worker: int) -> None:
        async with await connect(house.server.url, name=f"load-{worker}", deadline=60.0) as bus:
            client = LedgerClient(bus, timeout=2.0)
            number = 0
            while not done.is_set():
                names = [f"{worker}-{number}-{part}" for part in range(1 + number % 3)]
                events = [NewEvent(event_id=name, type="Tested", payload=b"{}") for name in names]
                await client.append(f"own/{worker}", -1, events)
                acknowledged.extend(names)
                number += 1
                await asyncio.sleep(0.002)

    load = [asyncio.create_task(appender(worker)) for worker in range(6)]
    try:
        for _ in range(KILLS):
            who, how = chance.choice(("service", "server", "follower")), chance.choice(("kill", "stop"))
            await house.hurt(who, how, chance.uniform(0.05, 1.5))
            await asyncio.sleep(chance.uniform(0.0, 0.4))
        done.set()
        with anyio.fail_after(120):
            await asyncio.gather(*load)
            while len(house.heard) < len(set(acknowledged)):  # noqa: ASYNC110 (another process hears them)
                await asyncio.sleep(0.05)
    finally:
        for task in load:
            task.cancel()
        await asyncio.gather(*load, return_exceptions=True)
        await house.end()
    async with SqliteStore.open(tmp_path) as store:
        stored = [(event.position, event.event_id) for event in (await store.read_all(limit=10**7)).events]
    names = [name for _, name in stored]
    assert len(set(names)) == len(names)
    assert set(acknowledged) <= set(names)
    assert [position for position, _ in stored] == list(range(1, len(stored) + 1))
    assert house.heard == stored[: len(house.heard)]  # in order, without a gap, nothing twice
    assert len(house.heard) >= len(acknowledged)
    for worker in range(6):
        mine = [name for name in names if name.startswith(f"{worker}-")]
        told = [name for name in acknowledged if name.startswith(f"{worker}-")]
        assert mine[: len(told)] == told
    assert verify(tmp_path).ok
