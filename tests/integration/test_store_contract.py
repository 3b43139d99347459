"""What every store of the ledger promises. Subclass `StoreContract` with a `store` fixture of your own."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Protocol

import pytest

from bus import Bus, jetstream
from bus.testing import running_bus, running_cluster
from contracts.envelope import GENESIS, Envelope, NewEvent, blob_hash
from contracts.ledger import ANY, CHUNK, BlobStore, EventStore
from contracts.subjects import COMMITS_STREAM
from eventstore.errors import BlobMissing, Conflict, Malformed, TooLarge
from eventstore.limits import MAX_EVENT
from eventstore.replicated import ReplicatedStore
from eventstore.sqlite import SqliteStore
from eventstore.testing import MemoryStore

pytestmark = pytest.mark.anyio


class Store(EventStore, BlobStore, Protocol):
    """Both protocols."""


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


def new(name: str, payload: bytes = b"{}") -> NewEvent:
    return NewEvent(event_id=name, type="Tested", payload=payload)


async def take(store: Store, count: int, *, after: int = 0) -> list[Envelope]:
    found: list[Envelope] = []
    events = store.follow(after=after)
    async with asyncio.timeout(10):
        async for event in events:
            found.append(event)
            if len(found) == count:
                break
    await events.aclose()  # type: ignore[attr-defined]
    return found


class StoreContract:
    async def test_an_event_comes_back_as_it_was_handed_in(self, store: Store) -> None:
        event = NewEvent(
            event_id="one",
            type="Tested",
            payload='{"text": "é\\u0000 and more"}'.encode(),
            schema=3,
            actor="planner-1",
            causation="duty",
            correlation="campaign",
            traceparent="00-aa-bb-01",
        )
        answer = await store.append("lineage/main", 0, [event])
        assert (answer.stream, answer.version, answer.position) == ("lineage/main", 1, 1)
        assert not answer.repeated
        page = await store.read("lineage/main")
        (found,) = page.events
        assert not page.more
        assert page.head == 1
        for field in event.__struct_fields__:
            assert getattr(found, field) == getattr(event, field)
        assert found.prev_hash == GENESIS
        assert found.sound

    async def test_an_unknown_stream_is_empty(self, store: Store) -> None:
        page = await store.read("lineage/none")
        assert (page.events, page.more, page.head) == ((), False, 0)
        assert (await store.read("")).events == ()
        assert (await store.read_all()).events == ()
        assert await store.streams() == ()

    async def test_a_stream_at_another_version_is_a_conflict(self, store: Store) -> None:
        await store.append("a", 0, [new("1"), new("2")])
        for expected in (0, 1, 3):
            with pytest.raises(Conflict) as caught:
                await store.append("a", expected, [new("x")])
            assert (caught.value.stream, caught.value.expected, caught.value.actual) == ("a", expected, 2)
        with pytest.raises(Conflict):
            await store.append("b", 1, [new("x")])
        assert (await store.append("a", 2, [new("3")])).version == 3
        assert (await store.append("a", ANY, [new("4")])).version == 4
        assert [event.event_id for event in (await store.read_all()).events] == ["1", "2", "3", "4"]

    async def test_several_events_are_stored_all_or_none(self, store: Store) -> None:
        await store.append("a", 0, [new("1"), new("2"), new("3")])
        with pytest.raises(Conflict):
            await store.append("a", 1, [new("4"), new("5")])
        with pytest.raises(Malformed):
            await store.append("a", 3, [new("4"), new("2")])
        assert [(event.version, event.position) for event in (await store.read("a")).events] == [
            (1, 1),
            (2, 2),
            (3, 3),
        ]
        assert (await store.append("a", 3, [new("4")])).position == 4

    async def test_a_repeated_append_answers_as_the_first_did_for_ever(self, store: Store) -> None:
        first = await store.append("a", 0, [new("1"), new("2")])
        await store.append("a", 2, [new("3")])
        for expected in (0, 2, 3, 17, ANY):
            again = await store.append("a", expected, [new("1"), new("2")])
            assert (again.version, again.position, again.repeated) == (first.version, first.position, True)
        assert (await store.read("a")).head == 3

    async def test_events_that_are_stored_in_part_or_elsewhere_are_refused(self, store: Store) -> None:
        await store.append("a", 0, [new("1")])
        for events in ([new("1"), new("2")], [new("2"), new("1")]):
            with pytest.raises(Malformed):
                await store.append("a", ANY, events)
        with pytest.raises(Malformed):
            await store.append("b", 0, [new("1")])
        assert (await store.read_all()).head == 1

    @pytest.mark.parametrize("stream", ["", "a b", "/a", "a/", "a//b", "a\n", "x" * 201])
    async def test_a_bad_stream_name_is_refused(self, store: Store, stream: str) -> None:
        with pytest.raises(Malformed):
            await store.append(stream, 0, [new("1")])

    async def test_malformed_appends_are_refused(self, store: Store) -> None:
        for events in ([], [new("")], [new("1"), new("1")], [NewEvent(event_id="1", type="", payload=b"")]):
            with pytest.raises(Malformed):
                await store.append("a", 0, events)
        with pytest.raises(Malformed):
            await store.append("a", -2, [new("1")])
        with pytest.raises(TooLarge):
            await store.append("a", 0, [new("1", bytes(MAX_EVENT + 1))])
        assert (await store.read_all()).head == 0

    async def test_the_largest_event_goes_in_and_comes_out(self, store: Store) -> None:
        await store.append("a", 0, [new("1", bytes(MAX_EVENT))])
        await store.append("a", 1, [new("2", b"x" * MAX_EVENT)])
        assert [len(event.payload) for event in await take(store, 2)] == [MAX_EVENT] * 2

    async def test_an_append_larger_than_any_message_is_stored_whole(self, store: Store) -> None:
        events = [new(f"{number}", bytes([number]) * 500_000) for number in range(5)]
        assert (await store.append("a", 0, events)).version == 5
        assert [event.event_id for event in await take(store, 5)] == ["0", "1", "2", "3", "4"]
        assert [event.payload[0] for event in await take(store, 2, after=3)] == [3, 4]

    async def test_streams_are_chains(self, store: Store) -> None:
        for number in range(6):
            await store.append("ab"[number % 2], ANY, [new(f"{number}")])
        for stream in "ab":
            previous = GENESIS
            for event in (await store.read(stream)).events:
                assert event.prev_hash == previous
                assert event.sound
                previous = event.hash

    async def test_time_never_goes_back(self, store: Store) -> None:
        for number in range(20):
            await store.append("a", ANY, [new(f"{number}")])
        times = [event.at for event in (await store.read_all()).events]
        assert times == sorted(times)

    async def test_reading_in_pages_finds_everything_once_and_in_order(self, store: Store) -> None:
        await store.append("a", 0, [new(f"a{number}") for number in range(10)])
        await store.append("b", 0, [new(f"b{number}") for number in range(7)])
        seen = []
        after = 0
        while True:
            page = await store.read_all(after=after, limit=4)
            assert len(page.events) <= 4
            assert page.head == 17
            seen += [event.position for event in page.events]
            if not page.more:
                break
            after = page.events[-1].position
        assert seen == list(range(1, 18))
        page = await store.read("b", after=5, limit=10)
        assert [event.event_id for event in page.events] == ["b5", "b6"]
        assert not page.more
        assert (await store.read("b", after=4, limit=2)).more
        assert (await store.read("b", after=99)).events == ()

    async def test_streams_are_listed_by_name(self, store: Store) -> None:
        for stream in ("task/2", "lineage/main", "task/1", "tas%/3", "lineage/ünder_score"):
            await store.append(stream, 0, [new(stream)])
        await store.append("task/1", 1, [new("again")])
        assert await store.streams("task/") == (("task/1", 2), ("task/2", 1))
        assert [name for name, _ in await store.streams()] == sorted(
            ["task/2", "lineage/main", "task/1", "tas%/3", "lineage/ünder_score"]
        )

    async def test_following_catches_up_and_then_hears_what_is_new(self, store: Store) -> None:
        await store.append("a", 0, [new(f"old{number}") for number in range(700)])
        following = asyncio.create_task(take(store, 710, after=0))
        late = asyncio.create_task(take(store, 5, after=705))
        await asyncio.sleep(0.02)
        for number in range(10):
            await store.append("b", number, [new(f"new{number}")])
        assert [event.position for event in await following] == list(range(1, 711))
        assert [event.position for event in await late] == list(range(706, 711))

    async def test_an_event_is_heard_at_once(self, store: Store) -> None:
        loop = asyncio.get_running_loop()
        await store.append("a", 0, [new("first")])
        waits = []
        for number in range(2):
            hearing = asyncio.create_task(take(store, 1, after=1 + number))
            await asyncio.sleep(0.05)
            start = loop.time()
            await store.append("a", ANY, [new(f"{number}")])
            await hearing
            waits.append(loop.time() - start)
        assert min(waits) < 0.5

    async def test_many_appenders_at_once_lose_and_double_nothing(self, store: Store) -> None:
        async def one(worker: int) -> None:
            for number in range(2):
                await store.append(f"own/{worker}", number, [new(f"own-{worker}-{number}")])
                version = 0
                while True:  # the shared stream: fold again and append again, as an agent does
                    try:
                        await store.append("shared", version, [new(f"shared-{worker}-{number}")])
                        break
                    except Conflict as conflict:
                        version = conflict.actual

        await asyncio.gather(*(one(worker) for worker in range(64)))
        everything: list[Envelope] = []
        after, more = 0, True
        while more:
            page = await store.read_all(after=after, limit=300)
            everything += page.events
            after, more = page.events[-1].position, page.more
        assert [event.position for event in everything] == list(range(1, 64 * 4 + 1))
        assert len({event.event_id for event in everything}) == 64 * 4
        shared = [event.version for event in everything if event.stream == "shared"]
        assert shared == list(range(1, 64 * 2 + 1))

    async def test_one_of_many_wins_a_version(self, store: Store) -> None:
        results = await asyncio.gather(
            *(store.append("a", 0, [new(f"{worker}")]) for worker in range(32)), return_exceptions=True
        )
        assert sum(not isinstance(result, BaseException) for result in results) == 1
        assert sum(isinstance(result, Conflict) for result in results) == 31

    async def test_the_same_append_from_many_is_stored_once(self, store: Store) -> None:
        results = await asyncio.gather(*(store.append("a", 0, [new("1"), new("2")]) for _ in range(32)))
        assert {(result.version, result.position) for result in results} == {(2, 2)}
        assert sum(not result.repeated for result in results) == 1

    @pytest.mark.parametrize("size", [0, 1, 600, CHUNK, CHUNK + 1, 3 * CHUNK + 7])
    async def test_a_blob_comes_back(self, store: Store, size: int) -> None:
        data = bytes(number * 31 % 251 for number in range(min(size, 5000))) * (size // 5000 + 1)
        data = data[:size]
        name = await store.put(data)
        assert name == blob_hash(data)
        assert await store.get(name) == data
        assert await store.put(data) == name
        assert await store.has([name, "0" * 64]) == {name}

    async def test_blobs_that_do_not_compress_come_back(self, store: Store) -> None:
        import random

        data = random.Random(1).randbytes(200_000)
        assert await store.get(await store.put(data)) == data

    async def test_a_missing_blob_is_named(self, store: Store) -> None:
        with pytest.raises(BlobMissing) as caught:
            await store.get("f" * 64)
        assert caught.value.hash == "f" * 64
        assert await store.has([]) == frozenset()


class TestMemoryStore(StoreContract):
    @pytest.fixture
    def store(self) -> MemoryStore:
        return MemoryStore()


class TestSqliteStore(StoreContract):
    @pytest.fixture
    async def store(self, tmp_path: Path) -> AsyncIterator[SqliteStore]:
        async with SqliteStore.open(tmp_path / "store", create=True) as store:
            yield store


class TestReplicatedStore(StoreContract):
    """A log on one server: one replica."""

    @pytest.fixture
    async def store(self, tmp_path: Path) -> AsyncIterator[ReplicatedStore]:
        async with (
            running_bus(tmp_path / "bus", durable=True) as (_, bus),
            await ReplicatedStore.join(tmp_path / "store", bus) as store,
        ):
            yield store


class TestClusterStore(StoreContract):
    """A log on three servers: one replica, and another one that has to hold the same in the end."""

    @pytest.fixture(scope="module")
    async def cluster(self, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Bus]:
        async with running_cluster(tmp_path_factory.mktemp("cluster")) as (_, bus):
            yield bus

    @pytest.fixture
    async def store(self, cluster: Bus, tmp_path: Path) -> AsyncIterator[ReplicatedStore]:
        async with (
            await ReplicatedStore.join(tmp_path / "store", cluster) as store,
            await ReplicatedStore.join(tmp_path / "other", cluster) as other,
        ):
            yield store
            ours, theirs = await store.heads(), await other.heads()
            assert ours == theirs
        await jetstream.manage(cluster, f"STREAM.DELETE.{COMMITS_STREAM}", {})
