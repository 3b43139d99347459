"""A ledger on a log: several replicas, servers that die, and logs that lose what they had acknowledged."""

import asyncio
import shutil
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path

import pytest

from bus import Bus, jetstream
from bus.testing import Cluster, running_bus, running_cluster
from contracts.envelope import Envelope
from contracts.ledger import ANY
from contracts.subjects import COMMITS_STREAM
from eventstore.errors import Conflict, IsReplica, LedgerUnavailable, LogDiverged, StoreMissing, Tampered
from eventstore.replicated import ReplicatedStore
from eventstore.sqlite import SqliteStore
from eventstore.verify import verify
from tests.integration.test_store_contract import new, take

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
async def bus(tmp_path: Path) -> AsyncIterator[Bus]:
    async with running_bus(tmp_path / "bus", durable=True) as (_, bus):
        yield bus


async def everything(store: SqliteStore) -> list[Envelope]:
    found: list[Envelope] = []
    more = True
    while more:
        page = await store.read_all(after=len(found))
        found += page.events
        more = page.more
    return found


async def lose_the_log(bus: Bus) -> None:
    await jetstream.manage(bus, f"STREAM.DELETE.{COMMITS_STREAM}", {})


async def test_two_replicas_write_at_once_and_hold_the_same(bus: Bus, tmp_path: Path) -> None:
    async with (
        await ReplicatedStore.join(tmp_path / "one", bus) as one,
        await ReplicatedStore.join(tmp_path / "two", bus) as two,
    ):

        async def work(store: ReplicatedStore, name: str) -> None:
            version = 0
            for number in range(30):
                while True:
                    try:
                        await store.append("shared", version, [new(f"{name}-{number}")])
                        break
                    except Conflict as conflict:
                        version = conflict.actual
                blob = await store.put(f"{name} {number}".encode() * 100)
                await store.append(f"own/{name}", ANY, [new(f"own-{name}-{number}", blob.encode())])

        heard = asyncio.create_task(take(two, 120))
        await asyncio.gather(work(one, "a"), work(two, "b"))
        events = await everything(one)
        assert [event.position for event in events] == list(range(1, 121))
        assert events == await everything(two) == await heard
        blobs = {event.payload.decode() for event in events if event.stream != "shared"}
        assert await one.has(list(blobs)) == await two.has(list(blobs)) == blobs
        again = await two.append("shared", 0, [new("a-0")])
        assert (again.repeated, again.version) == (
            True,
            next(event.version for event in events if event.event_id == "a-0"),
        )
    for name in ("one", "two"):
        assert verify(tmp_path / name).ok


async def test_what_was_acknowledged_is_read_by_every_replica(bus: Bus, tmp_path: Path) -> None:
    async with (
        await ReplicatedStore.join(tmp_path / "one", bus) as one,
        await ReplicatedStore.join(tmp_path / "two", bus) as two,
    ):
        for number in range(50):
            store, other = (one, two) if number % 2 else (two, one)
            blob = await store.put(f"{number}".encode())
            await store.append("a", number, [new(f"{number}")])
            assert (await other.read("a")).head == number + 1
            assert await other.get(blob) == f"{number}".encode()


async def test_a_ledger_of_its_own_becomes_a_replica_and_does_not_go_back_unasked(
    bus: Bus, tmp_path: Path
) -> None:
    async with SqliteStore.open(tmp_path / "old", create=True) as old:
        blob = await old.put(b"x" * 2_000_000)
        for number in range(300):
            await old.append(f"s/{number % 3}", ANY, [new(f"{number}", bytes(20_000))])
        before = await everything(old)
    async with (
        await ReplicatedStore.join(tmp_path / "old", bus) as moved,
        await ReplicatedStore.join(tmp_path / "new", bus) as fresh,
    ):
        assert await everything(moved) == await everything(fresh) == before
        assert len(await fresh.get(blob)) == 2_000_000
        await fresh.append("s/0", 100, [new("later")])
        assert (await moved.read("s/0")).head == 101
    with pytest.raises(IsReplica, match="--ledger jetstream"):
        SqliteStore.open(tmp_path / "old")
    async with SqliteStore.read_only(tmp_path / "old") as copy:
        assert len(await everything(copy)) == 301


async def test_a_log_that_was_lost_is_put_back_by_a_replica(bus: Bus, tmp_path: Path) -> None:
    async with await ReplicatedStore.join(tmp_path / "one", bus) as one:
        blob = await one.put(b"kept")
        for number in range(20):
            await one.append("a", number, [new(f"{number}")])
        before = await everything(one)
    await lose_the_log(bus)
    async with await ReplicatedStore.join(tmp_path / "one", bus) as one:
        assert await everything(one) == before
        await one.append("a", 20, [new("after")])
    async with await ReplicatedStore.join(tmp_path / "two", bus) as two:
        assert len(await everything(two)) == 21
        assert await two.get(blob) == b"kept"
    assert verify(tmp_path / "two").ok


async def test_a_log_that_lost_its_end_is_put_back_by_the_replica_that_has_it(
    bus: Bus, tmp_path: Path
) -> None:
    async with (
        await ReplicatedStore.join(tmp_path / "ahead", bus) as ahead,
        await ReplicatedStore.join(tmp_path / "behind", bus) as behind,
    ):
        for number in range(10):
            await ahead.append("a", number, [new(f"{number}")])
        await behind.sync()
        await behind.aclose()
        shutil.copytree(tmp_path / "behind", tmp_path / "copy")
        for number in range(10, 20):
            await ahead.put(f"{number}".encode())
            await ahead.append("a", number, [new(f"{number}")])
        before = await everything(ahead)
    await lose_the_log(bus)
    async with await ReplicatedStore.join(tmp_path / "copy", bus) as copy:  # the log holds ten again
        assert len(await everything(copy)) == 10
    async with (
        await ReplicatedStore.join(tmp_path / "ahead", bus) as ahead,
        await ReplicatedStore.join(tmp_path / "behind", bus) as behind,
    ):
        assert await everything(ahead) == await everything(behind) == before


async def test_a_file_that_contradicts_its_log_is_refused(bus: Bus, tmp_path: Path) -> None:
    async with await ReplicatedStore.join(tmp_path / "one", bus) as one:
        await one.append("a", 0, [new("1")])
    shutil.copytree(tmp_path / "one", tmp_path / "two")
    async with await ReplicatedStore.join(tmp_path / "one", bus) as one:
        await one.append("a", 1, [new("ours")])
    await lose_the_log(bus)
    async with await ReplicatedStore.join(tmp_path / "two", bus) as two:
        await two.append("a", 1, [new("theirs")])
        await two.append("b", 0, [new("more")])
    with pytest.raises(LogDiverged, match="position 2 holds different events"):
        await ReplicatedStore.join(tmp_path / "one", bus)
    async with SqliteStore.open(tmp_path / "other", create=True) as other:
        await other.append("z", 0, [new("z")])
    with pytest.raises(LogDiverged, match="position 1"):
        await ReplicatedStore.join(tmp_path / "other", bus)
    async with await ReplicatedStore.join(tmp_path / "two", bus) as two:
        assert [event.event_id for event in await everything(two)] == ["1", "theirs", "more"]


async def test_what_is_no_transaction_is_named_by_its_place(bus: Bus, tmp_path: Path) -> None:
    async with await ReplicatedStore.join(tmp_path / "one", bus) as one:
        await one.append("a", 0, [new("1")])
    await jetstream.store(bus, "commits", b"rubbish")
    with pytest.raises(Tampered, match="sequence 2 of the log is no transaction"):
        await ReplicatedStore.join(tmp_path / "two", bus)


async def test_without_its_log_a_replica_neither_writes_nor_reads_what_may_be_old(tmp_path: Path) -> None:
    async with running_bus(tmp_path / "bus") as (server, bus):
        store = await ReplicatedStore.join(tmp_path / "one", bus)
        await store.append("a", 0, [new("1")])
        await server.stop()
        waiting = asyncio.create_task(store.append("a", 1, [new("2")]))
        with pytest.raises(LedgerUnavailable):
            await store.read("a")
        await asyncio.sleep(0.3)
        assert not waiting.done()
        await server.start()
        await bus.wait_connected()
        assert (await waiting).version == 2
        await server.stop()
        late = asyncio.create_task(store.append("a", 2, [new("3")]))
        await asyncio.sleep(0.1)
        async with asyncio.timeout(15):
            await store.aclose()
        with pytest.raises(Exception, match="closed"):
            await late
    with pytest.raises(StoreMissing):
        SqliteStore.read_only(tmp_path / "none")


async def _load(store: ReplicatedStore, name: str, stop: asyncio.Event) -> list[str]:
    """Append until told to stop; what was acknowledged."""
    done: list[str] = []
    while not stop.is_set():
        key = f"{name}-{len(done)}"
        while True:  # the same ids until there is an answer
            with suppress(LedgerUnavailable):
                await store.append(f"load/{name}", ANY, [new(key), new(key + "+")])
                break
            await asyncio.sleep(0.05)
        done += [key, key + "+"]
    return done


async def _quiet(store: ReplicatedStore) -> list[Envelope]:
    async with asyncio.timeout(60):
        while True:
            try:
                return await everything(store)
            except LedgerUnavailable:
                await asyncio.sleep(0.2)


async def _leader(bus: Bus) -> int:
    info = await jetstream.manage(bus, f"STREAM.INFO.{COMMITS_STREAM}", {})
    return int(str(info["cluster"]["leader"]).rpartition("-")[2])


async def _hurt(cluster: Cluster, bus: Bus, how: str) -> None:
    """Kill or stop the log's leader for a while."""
    number = await _leader(bus)
    if how == "kill":
        await cluster.kill(number)
        await asyncio.sleep(1.5)
        await cluster.start(number)
    else:
        cluster.pause(number)
        await asyncio.sleep(3)
        cluster.go_on(number)
    await asyncio.sleep(1.5)


@pytest.mark.parametrize("how", ["kill", "stop"])
async def test_one_of_three_servers_may_go_at_any_time(tmp_path: Path, how: str) -> None:
    async with (
        running_cluster(tmp_path / "servers") as (cluster, bus),
        await ReplicatedStore.join(tmp_path / "one", bus) as one,
        await ReplicatedStore.join(tmp_path / "two", bus) as two,
    ):
        stop = asyncio.Event()
        loads = [
            asyncio.create_task(_load(store, f"{number}-{name}", stop))
            for number, store in enumerate((one, two))
            for name in ("x", "y")
        ]
        await asyncio.sleep(1)
        await _hurt(cluster, bus, how)
        stop.set()
        async with asyncio.timeout(60):
            acknowledged = [await load for load in loads]
        events = await _quiet(one)
        assert events == await _quiet(two)
        ids = [event.event_id for event in events]
        assert len(set(ids)) == len(ids)
        for some in acknowledged:
            assert len(some) > 20
            assert [name for name in ids if name in set(some)] == some
    for name in ("one", "two"):
        assert verify(tmp_path / name).ok
