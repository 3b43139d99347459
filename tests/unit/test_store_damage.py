"""Whatever byte is changed or cut off, of the file, of a blob or of an export: it is found, or it is a byte of nothing.

`make test` tries every so-and-so-many-th byte, `make faults` every one.
"""

import asyncio
import os
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contracts.envelope import NewEvent, blob_hash
from contracts.ledger import ANY
from eventstore.database import FILE
from eventstore.errors import Conflict, LedgerError
from eventstore.sqlite import SqliteStore
from eventstore.testing import MemoryStore
from eventstore.transfer import export, load
from eventstore.verify import verify

STEP = 1 if os.environ.get("RATCHET_SOAK_KILLS") else 61

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
async def folder(tmp_path: Path) -> Path:
    """A small ledger: six events in two streams, and two blobs of which one is compressed."""
    async with SqliteStore.open(tmp_path / "store", create=True) as store:
        for number in range(6):
            event = NewEvent(event_id=f"e{number}", type="Tested", payload=b'{"number": %d}' % number)
            await store.append(f"s/{number % 2}", ANY, [event])
        await store.put(b"a blob that compresses well " * 40)
        await store.put(bytes(range(256)))
    return tmp_path / "store"


def damaged(whole: bytes, at: int) -> bytes:
    return whole[:at] + bytes([whole[at] ^ 0x10]) + whole[at + 1 :]


def seen(folder: Path) -> str:
    """`sound` with a checkpoint, `found` when verify names something, or how the file is refused."""
    for extra in ("-wal", "-shm"):
        (folder / (FILE + extra)).unlink(missing_ok=True)
    try:
        report = verify(folder)
    except LedgerError as error:
        return type(error).__name__
    return f"sound {report.checkpoint} {report.blobs}" if report.ok else "found"


async def test_any_byte_of_the_file(folder: Path) -> None:
    path = folder / FILE
    whole, sound = path.read_bytes(), seen(folder)
    results: dict[str, int] = {}
    for at in range(0, len(whole), STEP):
        path.write_bytes(damaged(whole, at))
        result = seen(folder)
        results[result] = results.get(result, 0) + 1
    path.write_bytes(whole)
    assert seen(folder) == sound
    assert {result for result in results if result.startswith("sound")} <= {sound}
    assert results["found"] + results.get("Tampered", 0) > 3


async def test_any_byte_of_what_is_stored(folder: Path) -> None:
    """Every byte of every payload, hash and blob: found, and at its place."""
    path = folder / FILE
    whole = path.read_bytes()
    with closing(sqlite3.connect(path)) as connection:
        events = connection.execute("SELECT position, payload, hash FROM events").fetchall()
        blobs = connection.execute("SELECT hash, data FROM blobs").fetchall()
    for position, payload, digest in events:
        start = whole.index(payload)
        for at in range(start, start + len(payload), 1 if STEP == 1 else 3):
            path.write_bytes(damaged(whole, at))
            assert verify(folder).first_bad == position
        start = whole.index(digest)  # the event's own, the next one's of its stream, or the stream's head
        for at in range(start, start + len(digest), 1 if STEP == 1 else 3):
            path.write_bytes(damaged(whole, at))
            report = verify(folder)
            assert not report.ok
            assert report.first_bad in {0, position, position + 2}
    for name, data in blobs:
        start = whole.index(data)
        for at in range(start, start + len(data), 1 if STEP == 1 else 13):
            path.write_bytes(damaged(whole, at))
            report = verify(folder)
            if report.ok:  # a bit of the compressed form that means nothing: the blob is what it was
                async with SqliteStore.read_only(folder) as store:
                    assert blob_hash(await store.get(name)) == name
            else:
                assert [fault.blob for fault in report.faults] == [name]
    path.write_bytes(whole)


async def test_any_length_of_the_file(folder: Path) -> None:
    path = folder / FILE
    whole = path.read_bytes()
    for length in range(1, len(whole), STEP * 7):
        path.write_bytes(whole[:length])
        assert not seen(folder).startswith("sound"), length
    path.write_bytes(whole)
    assert seen(folder).startswith("sound")


async def test_any_byte_and_any_length_of_an_export(folder: Path, tmp_path: Path) -> None:
    whole = b"".join(export(folder))
    before = list(export(folder))

    def comes_in(data: bytes) -> bool:
        shutil.rmtree(tmp_path / "copy", ignore_errors=True)
        try:
            load(tmp_path / "copy", iter(data.splitlines(keepends=True)))
        except LedgerError:
            assert not (tmp_path / "copy" / FILE).exists()
            return False
        return True

    assert comes_in(whole)
    for at in range(0, len(whole), 1 if STEP == 1 else 19):
        if comes_in(damaged(whole, at)):  # it says the same in other bytes
            assert list(export(tmp_path / "copy")) == before
    for length in range(0, len(whole) - 1, 1 if STEP == 1 else 43):
        assert not comes_in(whole[:length]), length


def frames(log: bytes) -> Iterator[int]:
    """Where the frames of a write-ahead log end."""
    page = int.from_bytes(log[8:12], "big")
    yield from range(32, len(log) + 1, 24 + page)


async def test_whatever_of_the_log_reached_the_disk_the_ledger_is_whole_up_to_there(tmp_path: Path) -> None:
    """The power fails: of the log any prefix may be there, and of what was acknowledged all of it."""
    live, copy = tmp_path / "live", tmp_path / "copy"
    copy.mkdir()
    acknowledged: list[tuple[int, int]] = []
    async with SqliteStore.open(live, create=True) as store:
        for number in range(8):
            events = [
                NewEvent(event_id=f"{number}-{n}", type="T", payload=bytes(900))
                for n in range(1 + number % 3)
            ]
            answer = await store.append(f"s/{number % 3}", ANY, events)
            acknowledged.append(((live / f"{FILE}-wal").stat().st_size, answer.position))
        main, log = (live / FILE).read_bytes(), (live / f"{FILE}-wal").read_bytes()
    for end in frames(log):
        for cut in (end, end + 100, end + 2000):  # between frames, and within one
            (copy / FILE).write_bytes(main)
            (copy / f"{FILE}-wal").write_bytes(log[:cut])
            (copy / f"{FILE}-shm").unlink(missing_ok=True)
            report = verify(copy)
            assert report.ok
            assert report.events >= max((p for size, p in acknowledged if size <= cut), default=0)
            assert report.events in {
                0,
                *(p for _, p in acknowledged),
            }  # an append is there whole or not at all


@settings(max_examples=60, deadline=None)
@given(st.lists(st.sampled_from(["a", "b"]), min_size=4, max_size=40), st.integers(0, 3))
def test_any_interleaving_of_two_agents_gives_one_order_and_loses_no_duty(
    turns: list[str], lost: int
) -> None:
    """Agents fold, decide, append at the version that they know, and repeat what they heard no answer to."""

    async def play() -> None:
        store = MemoryStore()
        known = {"a": 0, "b": 0}
        done: dict[str, list[str]] = {"a": [], "b": []}
        for turn, agent in enumerate(turns):
            duty = f"{agent}-{len(done[agent])}"
            try:
                answer = await store.append(
                    "lineage/main", known[agent], [NewEvent(event_id=duty, type="T", payload=b"{}")]
                )
            except Conflict:
                known[agent] = (
                    await store.read("lineage/main")
                ).head  # fold what is new; the duty is still open
                continue
            if turn % 4 == lost and not answer.repeated:
                continue  # stored, but the answer was lost: the same duty again, at a version of long ago
            known[agent] = max(known[agent], answer.version)
            done[agent].append(duty)
        events = (await store.read("lineage/main")).events
        ids = [event.event_id for event in events]
        assert len(set(ids)) == len(ids)
        for agent, duties in done.items():
            mine = [name for name in ids if name.startswith(agent)]
            assert mine[: len(duties)] == duties
            assert len(mine) <= len(duties) + 1  # at most the one that was not answered yet
        assert [event.version for event in events] == list(range(1, len(events) + 1))

    asyncio.run(play())
