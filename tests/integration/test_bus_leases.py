import asyncio
import os
import signal
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import anyio
import pytest

from bus import Bus, LeaseLost, Leases, Server
from bus.leases import lease_subject
from bus.testing import running_bus

DUTY = "lineage/main:round 3:evaluate candidate.2 *> with spaces"


def on_a_bus(tmp_path: Path, ttl: float, test: Callable[[Server, Bus, Leases], Awaitable[None]]) -> None:
    async def main() -> None:
        async with running_bus(tmp_path, lease_ttl=ttl) as (server, bus):
            with anyio.fail_after(15):
                await test(server, bus, Leases(bus, ttl=ttl))

    asyncio.run(main())


def test_one_holder_at_a_time_and_free_at_once_when_given_back(tmp_path: Path) -> None:
    async def test(_: Server, __: Bus, leases: Leases) -> None:
        for turn in range(3):
            got = [
                lease
                for lease in await asyncio.gather(
                    *(leases.acquire(DUTY, f"agent-{turn}-{i}") for i in range(8))
                )
                if lease is not None
            ]
            assert len(got) == 1
            async with got[0] as lease:
                lease.check()
                holder = await leases.holder(DUTY)
                assert holder is not None
                assert (holder.key, holder.owner) == (DUTY, lease.owner)
                assert await leases.acquire(DUTY, "late") is None
                other = await leases.acquire("another duty", "late")
                assert other is not None
                await other.release()
            assert await leases.holder(DUTY) is None
            with pytest.raises(LeaseLost, match=lease.owner):
                lease.check()

    on_a_bus(tmp_path, 15.0, test)


def test_free_at_once_when_its_holder_is_cancelled(tmp_path: Path) -> None:
    async def test(_: Server, __: Bus, leases: Leases) -> None:
        lease = await leases.acquire(DUTY, "first")
        assert lease is not None
        with anyio.CancelScope() as scope:
            async with lease:
                scope.cancel()
                await anyio.sleep_forever()
        assert await leases.holder(DUTY) is None

    on_a_bus(tmp_path, 15.0, test)


def test_renewed_while_held_and_free_when_its_holder_falls_silent(tmp_path: Path) -> None:
    async def test(_: Server, __: Bus, leases: Leases) -> None:
        lease = await leases.acquire(DUTY, "first")
        assert lease is not None
        async with lease:
            await anyio.sleep(1.2)
            lease.check()
            assert await leases.acquire(DUTY, "second") is None
        silent = await leases.acquire(DUTY, "silent")  # never entered, so never renewed
        assert silent is not None
        began = time.monotonic()
        while (taken := await leases.acquire(DUTY, "second")) is None:  # noqa: ASYNC110
            await anyio.sleep(0.05)
        assert 0.4 < time.monotonic() - began < 2.5
        assert not silent.held
        async with silent:
            await silent.lost.wait()
        holder = await leases.holder(DUTY)  # the loser did not give away what is not its own
        assert holder is not None
        assert holder.owner == "second"
        await taken.release()

    on_a_bus(tmp_path, 0.8, test)


def test_a_lease_taken_by_another_is_lost(tmp_path: Path) -> None:
    async def test(_: Server, bus: Bus, leases: Leases) -> None:
        lease = await leases.acquire(DUTY, "first")
        assert lease is not None
        async with lease:
            await bus.request(lease_subject(DUTY), b'{"key":"k","owner":"thief","token":"t"}')
            with anyio.fail_after(2):
                await lease.lost.wait()
            with pytest.raises(LeaseLost):
                lease.check()
        holder = await leases.holder(DUTY)
        assert holder is not None
        assert holder.owner == "thief"

    on_a_bus(tmp_path, 0.9, test)


def test_a_short_restart_of_the_bus_is_survived_and_a_long_one_is_not(tmp_path: Path) -> None:
    async def test(server: Server, bus: Bus, leases: Leases) -> None:
        lease = await leases.acquire(DUTY, "first")
        assert lease is not None
        async with lease:
            os.kill(server.pid, signal.SIGKILL)
            await server.wait()
            await server.start()
            await anyio.sleep(1.5)
            lease.check()
            assert await bus.persist(lambda: leases.acquire(DUTY, "second")) is None
            os.kill(server.pid, signal.SIGKILL)
            await server.wait()
            with anyio.fail_after(1.5):
                await lease.lost.wait()
            assert not lease.held
            await server.start()
            await bus.wait_connected()

    on_a_bus(tmp_path, 1.0, test)
