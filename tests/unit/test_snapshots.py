"""Folding on from a snapshot comes to the same as folding everything, and what does not fit is passed over."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from contracts.envelope import Envelope
from contracts.ledger import Page, Snapshot
from contracts.lineage import Lineage, fold, state_hash
from eventstore.audit.replay import check
from eventstore.audit.testing import snapshot as everything
from eventstore.audit.testing import synthetic_campaign
from eventstore.snapshots import Snapshotter, code, load, restore, save, take
from eventstore.sqlite import SqliteStore
from eventstore.testing import MemoryStore

STREAM = "lineage/main"


def campaign() -> tuple[MemoryStore, list[Envelope]]:
    async def play() -> list[Envelope]:
        for seed in (3, 4):
            await synthetic_campaign(store, rounds=6, seed=seed)
        return [event for event in (await everything(store)).all if event.stream == STREAM]

    store = MemoryStore()
    return store, asyncio.run(play())


STORE, EVENTS = campaign()
STATES = [Lineage()]
for _event in EVENTS:
    STATES.append(fold(STATES[-1], _event))
CLOSED = [event.version for event in EVENTS if event.type == "RoundClosed"]


class Given:
    """The events of the campaign, and a snapshot that somebody handed in."""

    def __init__(self, snapshot: Snapshot | None) -> None:
        self.given = snapshot

    async def read(self, stream: str, *, after: int = 0, limit: int = 500) -> Page:
        return await STORE.read(stream, after=after, limit=limit)

    async def snapshot(self, stream: str) -> Snapshot | None:
        return self.given if stream == STREAM else None


def restored(snapshot: Snapshot | None) -> Lineage:
    return asyncio.run(restore(Given(snapshot), STREAM))


@given(st.sampled_from(CLOSED))
def test_a_snapshot_and_the_tail_fold_to_what_everything_folds_to(version: int) -> None:
    state = restored(take(STREAM, STATES[version - 1]))
    assert state.version == version - 1
    for event in EVENTS[version - 1 :]:
        state = fold(state, event)
    assert state == STATES[-1]
    assert state_hash(state) == state_hash(STATES[-1])


@settings(max_examples=40)
@given(st.integers(1, len(EVENTS)))
def test_only_a_state_that_somebody_lived_through_is_gone_on_from(version: int) -> None:
    state = restored(take(STREAM, STATES[version]))
    assert state.version == (version if version + 1 in CLOSED else 0)


def test_a_snapshot_that_says_something_else_is_passed_over() -> None:
    sound = take(STREAM, STATES[CLOSED[3] - 1])
    assert restored(sound).version
    forged = msgspec.structs.replace(STATES[CLOSED[3] - 1], seed_tree="0" * 64)
    for other in (
        take(STREAM, forged),
        msgspec.structs.replace(sound, code="another version"),
        msgspec.structs.replace(sound, state=sound.state[:-1]),
        msgspec.structs.replace(sound, version=sound.version + 1),
        None,
    ):
        assert restored(other) == Lineage()


async def _until(holds: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(10):
        while not await holds():  # noqa: ASYNC110 (files ring no bell)
            await asyncio.sleep(0.01)


def test_the_service_takes_snapshots_as_a_lineage_grows(tmp_path: Path) -> None:
    async def play() -> None:
        async with SqliteStore.open(tmp_path, create=True) as store:
            await synthetic_campaign(store, rounds=4, seed=3)
            taking = asyncio.create_task(Snapshotter(store, every=20).run())
            await _until(lambda: _at_least(20))
            first = load(tmp_path, STREAM)
            assert first is not None
            await synthetic_campaign(store, rounds=4, seed=4)
            await _until(lambda: _at_least(first.version + 20))
            taking.cancel()
            await asyncio.wait({taking})
            assert (await restore(store, STREAM)).version > first.version
            again = asyncio.create_task(Snapshotter(store, every=20).run())  # goes on from its own snapshot
            await synthetic_campaign(store, rounds=4, seed=5)
            head = dict(await store.streams())[STREAM]
            await _until(lambda: _at_least(head - 60))
            again.cancel()
            await asyncio.wait({again})

    async def _at_least(version: int) -> bool:
        found = load(tmp_path, STREAM)
        return found is not None and found.version >= version

    asyncio.run(play())
    report = check(tmp_path)
    assert report.ok
    snapshot = load(tmp_path, STREAM)
    assert snapshot is not None
    state: Any = msgspec.msgpack.decode(snapshot.state, type=Lineage)
    save(tmp_path, take(STREAM, msgspec.structs.replace(state, head="0" * 64)))
    report = check(tmp_path)
    assert report.states_only
    assert report.first is not None
    assert "snapshot of version" in report.first.reason


def test_code_and_files_are_told_apart(tmp_path: Path) -> None:
    assert len(code()) == 64
    assert load(tmp_path, STREAM) is None
    save(tmp_path, take("lineage/other", STATES[-1]))
    assert load(tmp_path, STREAM) is None
    found = load(tmp_path, "lineage/other")
    assert found is not None
    assert found.version == STATES[-1].version
    next((tmp_path / "snapshots").iterdir()).write_bytes(b"half")
    assert load(tmp_path, "lineage/other") is None
