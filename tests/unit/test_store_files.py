"""The store's file: foreign, newer, read-only, locked, full, damaged, and what a reader sees of it."""

# ruff: noqa: ASYNC220, ASYNC240 (the files are small and local, and nothing else runs)

import asyncio
import os
import sqlite3
import subprocess
import sys
import threading
from contextlib import closing
from pathlib import Path

import pytest

from contracts.envelope import NewEvent, blob_hash
from contracts.ledger import ANY
from eventstore import errors
from eventstore.chains import checkpoint
from eventstore.database import FILE, FORMAT
from eventstore.sqlite import SqliteStore
from eventstore.verify import verify

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def new(name: str, payload: bytes = b'{"a": 1}') -> NewEvent:
    return NewEvent(event_id=name, type="Tested", payload=payload)


async def fill(folder: Path, *, events: int = 20) -> list[str]:
    """A ledger of two streams and three blobs; the blobs' hashes."""
    async with SqliteStore.open(folder, create=True) as store:
        for number in range(events):
            await store.append(
                f"stream/{number % 2}", number // 2, [new(f"{number}", b"x%03d" % number * 20)]
            )
        return [await store.put(bytes([number]) * 3000) for number in range(3)]


def change(folder: Path, sql: str, *values: object) -> None:
    with closing(sqlite3.connect(folder / FILE)) as connection:
        connection.execute(sql, values)
        connection.commit()


def test_no_store_is_said_and_none_is_made(tmp_path: Path) -> None:
    for folder in (tmp_path / "none", tmp_path):
        with pytest.raises(errors.StoreMissing) as caught:
            SqliteStore.open(folder)
        assert caught.value.path == folder
        with pytest.raises(errors.StoreMissing):
            SqliteStore.read_only(folder)
    assert not (tmp_path / "none").exists()
    assert not (tmp_path / FILE).exists()


@pytest.mark.parametrize(
    "content", [b"", b"SQL", b"some text\n" * 500, b"SQLite format 3\0" + b"junk" * 1000]
)
def test_a_foreign_file_is_left_alone(tmp_path: Path, content: bytes) -> None:
    (tmp_path / FILE).write_bytes(content)
    with pytest.raises(errors.NotAStore):
        SqliteStore.open(tmp_path, create=True)
    with pytest.raises(errors.NotAStore):
        SqliteStore.read_only(tmp_path)
    assert (tmp_path / FILE).read_bytes() == content


def test_a_foreign_database_is_left_alone(tmp_path: Path) -> None:
    change(tmp_path, "CREATE TABLE events (position)")
    before = (tmp_path / FILE).read_bytes()
    with pytest.raises(errors.NotAStore):
        SqliteStore.open(tmp_path, create=True)
    assert (tmp_path / FILE).read_bytes() == before


def test_a_folder_in_the_files_place_is_no_store(tmp_path: Path) -> None:
    (tmp_path / FILE).mkdir()
    with pytest.raises(errors.NotAStore):
        SqliteStore.open(tmp_path, create=True)


async def test_a_newer_format_is_refused(tmp_path: Path) -> None:
    await fill(tmp_path, events=1)
    change(tmp_path, f"PRAGMA user_version={FORMAT + 3}")
    for opened in (SqliteStore.open, SqliteStore.read_only):
        with pytest.raises(errors.StoreTooNew) as caught:
            opened(tmp_path)
        assert (caught.value.found, caught.value.known) == (FORMAT + 3, FORMAT)


async def test_a_failed_start_leaves_no_lock_behind(tmp_path: Path) -> None:
    (tmp_path / FILE).write_bytes(b"foreign")
    with pytest.raises(errors.NotAStore):
        SqliteStore.open(tmp_path, create=True)
    (tmp_path / FILE).unlink()
    await fill(tmp_path, events=1)


async def test_a_crash_while_making_the_store_is_no_obstacle(tmp_path: Path) -> None:
    (tmp_path / (FILE + ".new")).write_bytes(b"half a file")
    await fill(tmp_path)
    assert verify(tmp_path).ok


async def test_a_file_that_may_not_be_written_can_be_read(tmp_path: Path) -> None:
    await fill(tmp_path)
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(FILE)] == [FILE]
    (tmp_path / FILE).chmod(0o444)
    with pytest.raises(errors.StoreReadOnly):
        SqliteStore.open(tmp_path)
    async with SqliteStore.read_only(tmp_path) as store:
        assert (await store.read_all()).head == 20
        with pytest.raises(errors.StoreReadOnly):
            await store.append("a", 0, [new("new")])
        with pytest.raises(errors.StoreReadOnly):
            await store.put(b"new")


async def test_an_archive_in_a_read_only_folder_can_be_read(tmp_path: Path) -> None:
    await fill(tmp_path)
    tmp_path.chmod(0o555)
    try:
        with pytest.raises(errors.StoreReadOnly):
            SqliteStore.open(tmp_path)
        async with SqliteStore.read_only(tmp_path) as store:
            assert (await store.read_all()).head == 20
        assert verify(tmp_path).ok
    finally:
        tmp_path.chmod(0o755)


async def test_one_writer_at_a_time(tmp_path: Path) -> None:
    async with SqliteStore.open(tmp_path, create=True) as first:
        with pytest.raises(errors.StoreLocked) as caught:
            SqliteStore.open(tmp_path)
        assert caught.value.pid == os.getpid()
        await first.append("a", 0, [new("1")])
    async with SqliteStore.open(tmp_path) as second:
        assert (await second.append("a", 1, [new("2")])).position == 2


async def test_the_lock_ends_with_its_process(tmp_path: Path) -> None:
    code = (
        "import sys, time; from pathlib import Path; from eventstore.sqlite import SqliteStore; "
        "store = SqliteStore.open(Path(sys.argv[1]), create=True); print('open', flush=True); time.sleep(60)"
    )
    with subprocess.Popen(
        [sys.executable, "-P", "-c", code, str(tmp_path)], stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "open\n"
        with pytest.raises(errors.StoreLocked) as caught:
            SqliteStore.open(tmp_path)
        assert caught.value.pid == other.pid
        other.kill()
    SqliteStore.open(tmp_path).close()


async def test_a_full_disk_stops_writing_and_nothing_else(tmp_path: Path) -> None:
    await fill(tmp_path)
    async with SqliteStore.open(tmp_path) as store:
        assert store._writer is not None
        connection = store._writer._connection
        pages = connection.execute("PRAGMA page_count").fetchone()[0]
        connection.execute(f"PRAGMA max_page_count={pages + 2}")
        done = await asyncio.gather(
            *(store.append("big", ANY, [new(f"big{number}", os.urandom(3000))]) for number in range(20)),
            return_exceptions=True,
        )
        stored = [answer for answer in done if not isinstance(answer, BaseException)]
        assert {type(answer) for answer in done if isinstance(answer, BaseException)} == {errors.StoreFull}
        with pytest.raises(errors.StoreFull):
            await store.put(os.urandom(50_000))
        assert (await store.read_all()).head == 20 + len(stored)
        connection.execute("PRAGMA max_page_count=1073741823")
        await asyncio.gather(
            *(store.append("big", ANY, [new(f"big{number}", os.urandom(3000))]) for number in range(20))
        )
        assert (await store.read("big")).head == 20
    assert verify(tmp_path).ok


async def test_what_cannot_be_stored_fails_alone(tmp_path: Path) -> None:
    async with SqliteStore.open(tmp_path, create=True) as store:
        results = await asyncio.gather(
            store.append("a", 0, [new("1")]),
            store.append("b", 0, [NewEvent(event_id="\ud800", type="Tested", payload=b"")]),
            store.append("c", 0, [new("3")]),
            return_exceptions=True,
        )
        assert isinstance(results[1], errors.Malformed)
        assert [name for name, _ in await store.streams()] == ["a", "c"]


async def test_a_closed_store_says_so(tmp_path: Path) -> None:
    store = SqliteStore.open(tmp_path, create=True)
    pending = [asyncio.create_task(store.append("a", ANY, [new(f"{number}")])) for number in range(50)]
    await asyncio.sleep(0)
    await store.aclose()
    await store.aclose()
    assert sorted(answer.version for answer in await asyncio.gather(*pending)) == list(range(1, 51))
    with pytest.raises(errors.StoreClosed):
        await store.append("a", ANY, [new("late")])
    with pytest.raises(errors.StoreClosed):
        await store.read("a")


async def test_a_cancelled_append_does_no_harm(tmp_path: Path) -> None:
    async with SqliteStore.open(tmp_path, create=True) as store:
        cancelled = asyncio.create_task(store.append("a", 0, [new("1")]))
        await asyncio.sleep(0)
        cancelled.cancel()
        assert (await store.append("a", 0, [new("1")])).position == 1
        assert (await store.append("a", 1, [new("2")])).position == 2


async def test_a_reader_beside_the_writer_sees_what_is_committed(tmp_path: Path) -> None:
    async with (
        SqliteStore.open(tmp_path, create=True) as writer,
        SqliteStore.read_only(tmp_path) as reader,
    ):
        events = reader.follow()
        for number in range(3):
            await writer.append("a", number, [new(f"{number}")])
            assert (await asyncio.wait_for(anext(events), 5)).event_id == f"{number}"
        await events.aclose()  # type: ignore[attr-defined]


def test_a_store_serves_more_than_one_loop(tmp_path: Path) -> None:
    store = SqliteStore.open(tmp_path, create=True)

    async def work(name: str) -> None:
        for number in range(50):
            await store.append("shared", ANY, [new(f"{name}{number}")])

    threads = [threading.Thread(target=lambda name=name: asyncio.run(work(name))) for name in "abc"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    store.close()
    report = verify(tmp_path)
    assert report.ok
    assert report.events == 150


async def test_an_intact_ledger_is_called_intact(tmp_path: Path) -> None:
    await fill(tmp_path)
    report = verify(tmp_path)
    assert report.ok
    assert (report.events, report.streams, report.blobs, report.position) == (20, 2, 3, 20)
    assert report.first_bad == 0
    assert len(report.checkpoint) == 64
    async with SqliteStore.open(tmp_path) as store:
        await store.append("later", 0, [new("later")])
        assert verify(store, expect=(20, report.checkpoint)).ok
    assert not verify(tmp_path, expect=(19, report.checkpoint)).ok
    assert not verify(tmp_path, expect=(99, report.checkpoint)).ok


async def test_every_flipped_byte_of_a_payload_is_found(tmp_path: Path) -> None:
    await fill(tmp_path)
    path = tmp_path / FILE
    whole = path.read_bytes()
    for number in (0, 7, 19):
        at = whole.index(b"x%03d" % number * 20) + 33
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 4]) + whole[at + 1 :])
        report = verify(tmp_path)
        assert report.first_bad == number + 1
        assert report.damaged == (f"stream/{number % 2}",)
        assert len(report.faults) == 1
        async with SqliteStore.read_only(tmp_path) as store:
            assert len((await store.read_all()).events) == 20
    path.write_bytes(whole)
    assert verify(tmp_path).ok


async def test_a_byte_flipped_anywhere_is_found_or_harmless(tmp_path: Path) -> None:
    await fill(tmp_path)
    path = tmp_path / FILE
    whole = path.read_bytes()
    sound = verify(tmp_path)
    found = 0
    for at in range(200, len(whole), 997):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 0x10]) + whole[at + 1 :])
        try:
            report = verify(tmp_path)
        except errors.LedgerError:
            found += 1
            continue
        if report.ok:  # a byte that no row uses
            assert report.checkpoint == sound.checkpoint
        else:
            found += 1
    assert found > 5


@pytest.mark.parametrize(
    ("sql", "first_bad", "reason"),
    [
        ("UPDATE events SET actor = 'other' WHERE position = 5", 5, "hash"),
        ("UPDATE events SET at = at + 1 WHERE position = 5", 5, "hash"),
        ("UPDATE events SET type = x'ff00' WHERE position = 5", 5, "hash"),
        ("UPDATE events SET payload = 'text' WHERE position = 5", 5, "hash"),
        ("DELETE FROM events WHERE position = 5", 5, "missing"),
        ("DELETE FROM events WHERE position IN (5, 6, 7)", 5, "5 to 7 are missing"),
        ("DELETE FROM events WHERE position >= 19", 0, "head of stream"),
        ("UPDATE events SET position = 99 WHERE position = 20", 20, "missing"),
        ("UPDATE streams SET version = 9 WHERE stream = 'stream/1'", 0, "head of stream"),
        ("DELETE FROM streams WHERE stream = 'stream/1'", 0, "head of stream"),
    ],
)
async def test_changed_history_is_found(tmp_path: Path, sql: str, first_bad: int, reason: str) -> None:
    await fill(tmp_path)
    change(tmp_path, sql)
    report = verify(tmp_path)
    assert not report.ok
    assert report.first_bad == first_bad
    assert reason in report.faults[0].reason


async def test_a_rewritten_tail_is_found_by_its_checkpoint(tmp_path: Path) -> None:
    await fill(tmp_path / "one")
    await fill(tmp_path / "other")
    assert verify(tmp_path / "other").ok
    told = verify(tmp_path / "one")
    report = verify(tmp_path / "other", expect=(told.position, told.checkpoint))
    assert "rewritten" in report.faults[0].reason


async def test_a_changed_blob_is_found(tmp_path: Path) -> None:
    names = await fill(tmp_path)
    change(tmp_path, "UPDATE blobs SET data = x'00' WHERE hash = ?", names[0])
    change(tmp_path, "UPDATE blobs SET codec = 'raw' WHERE hash = ?", names[1])
    report = verify(tmp_path)
    assert {fault.blob for fault in report.faults} == set(names[:2])
    assert report.first_bad == 0
    async with SqliteStore.read_only(tmp_path) as store:
        with pytest.raises(errors.Tampered):
            await store.get(names[0])
        with pytest.raises(errors.Tampered):
            await store.get(names[1])
        assert blob_hash(await store.get(names[2])) == names[2]


def test_a_checkpoint_depends_on_every_head() -> None:
    heads = {"a": (1, b"x" * 32), "b": (2, b"y" * 32)}
    assert checkpoint(heads) == checkpoint(dict(reversed(heads.items())))
    assert checkpoint(heads) != checkpoint({"a": heads["a"]})
    assert checkpoint(heads) != checkpoint({**heads, "b": (3, b"y" * 32)})
