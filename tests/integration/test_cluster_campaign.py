"""A ledger in JetStream, by the commands: services that stand in for each other, and a campaign that loses a server."""

import asyncio
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import anyio

from agents.testing import History, faults, write_suite
from bus.testing import Cluster, running_bus, running_cluster
from eventstore.client import LedgerClient
from eventstore.verify import verify
from tests.integration.test_ledger_alone import serve, stderr_until
from tests.integration.test_store_contract import new

RATCHET = str(Path(sys.executable).with_name("ratchet"))
ROUNDS = 4
LEASE = 2.0


def replica(store: Path, url: str) -> "subprocess.Popen[str]":
    return serve(store, url, "--ledger", "jetstream", RATCHET_LEASE_SECONDS=str(LEASE))


def until(process: "subprocess.Popen[str]", word: str) -> str:
    return stderr_until(process, word, within=20.0)


def events_of(store: Path) -> list[tuple[int, bytes]]:
    with closing(sqlite3.connect(f"file:{store / 'ledger.db'}?mode=ro", uri=True)) as connection:
        return connection.execute("SELECT position, hash FROM events ORDER BY position").fetchall()


def test_when_the_service_that_writes_is_killed_another_writes_on(tmp_path: Path) -> None:
    async def run() -> None:
        async with running_bus(tmp_path / "bus", lease_ttl=LEASE) as (server, bus):
            client = LedgerClient(bus, patience=30.0, timeout=2.0)
            first = replica(tmp_path / "one", server.url)
            assert "this service writes now" in await anyio.to_thread.run_sync(
                until, first, "this service writes now"
            )
            second = replica(tmp_path / "two", server.url)
            try:
                assert "ledger open" in await anyio.to_thread.run_sync(until, second, "ledger open")
                for number in range(20):
                    await client.append("a", number, [new(f"{number}")])
                    blob = await client.put(f"{number}".encode())
                    assert (await client.read("a")).head == number + 1  # whichever of them answers
                first.kill()
                await anyio.to_thread.run_sync(first.wait)
                for number in range(20, 40):
                    await client.append("a", number, [new(f"{number}")])
                assert await client.get(blob) == b"19"
                refused = serve(tmp_path / "three", server.url, "--ledger", "file")
                _, words = await anyio.to_thread.run_sync(refused.communicate)
                assert refused.returncode == 3
                assert "ledger" in words
                assert "Traceback" not in words
            finally:
                for process in (first, second):
                    process.terminate()
                    await anyio.to_thread.run_sync(process.communicate)
            third = replica(tmp_path / "one", server.url)  # it missed half, and has it all at once
            try:
                await anyio.to_thread.run_sync(until, third, "ledger open")
                assert events_of(tmp_path / "one") == events_of(tmp_path / "two")
            finally:
                third.terminate()
                await anyio.to_thread.run_sync(third.communicate)

    asyncio.run(run())
    for name in ("one", "two"):
        assert len(events_of(tmp_path / name)) == 40
        assert verify(tmp_path / name).ok


def campaign(folder: Path, *arguments: str) -> list[str]:
    return [
        RATCHET, "run", str(write_suite(folder / "suite")), "--store", str(folder / "store"), "--candidates", "2",
        "--race-seeds", "1", "--confirm-seeds", "1", "--release-seeds", "2", "--ledger", "jetstream", *arguments,
    ]  # fmt: skip


def sound(store: Path, rounds: int) -> None:
    assert verify(store).ok
    history = History(store)
    history.look()
    assert history.finished
    assert history.state.campaign is not None
    assert history.state.campaign.rounds_done == rounds
    assert faults(store) == []


def said(log: Path) -> str:
    return log.read_text()


async def ended(process: asyncio.subprocess.Process, log: Path) -> None:
    try:
        async with asyncio.timeout(120):
            assert await process.wait() == 0, said(log)
    finally:
        if process.returncode is None:
            process.terminate()
            await process.wait()


def test_losing_any_server_of_three_costs_a_campaign_nothing(tmp_path: Path) -> None:
    async def run() -> None:
        async with running_cluster(tmp_path / "servers") as (cluster, _):
            log = tmp_path / "out.log"
            command = campaign(tmp_path, "--rounds", str(ROUNDS), "--bus", cluster.url)
            with log.open("wb") as out:
                process = await asyncio.create_subprocess_exec(*command, stdout=out, stderr=out)
            hurting = asyncio.create_task(hurt(cluster, log))
            await ended(process, log)
            assert hurting.done(), "the campaign was over before a server could be killed"
            hurting.result()

    async def hurt(cluster: Cluster, log: Path) -> None:
        for number, round_ in enumerate((1, 2)):
            while f"round {round_} " not in said(log):  # noqa: ASYNC110 (another process writes it)
                await asyncio.sleep(0.05)
            await cluster.kill(number)
            await asyncio.sleep(1.5)
            await cluster.start(number)

    asyncio.run(run())
    sound(tmp_path / "store", ROUNDS)


def test_a_ledger_in_jetstream_needs_no_more_than_one_machine(tmp_path: Path) -> None:
    command = campaign(tmp_path, "--rounds", "1", "--no-collected")
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "sync_interval: always" in (tmp_path / "store" / "bus" / "server.conf").read_text()
    sound(tmp_path / "store", 1)
    plain = [*command[: command.index("--ledger")], "--rounds", "1"]
    refused = subprocess.run(plain, capture_output=True, text=True, timeout=60, check=False)
    assert refused.returncode == 2
    assert "--ledger jetstream" in refused.stderr
    again = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert again.returncode == 0, again.stdout + again.stderr
    assert verify(tmp_path / "store").ok
