"""A ledger goes out as lines and comes back the same, or not at all."""

import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from contracts.envelope import NewEvent
from eventstore.database import FILE
from eventstore.errors import BadLine, StoreExists, StoreMissing, Tampered
from eventstore.sqlite import SqliteStore
from eventstore.transfer import export, load
from eventstore.verify import verify

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
async def folder(tmp_path: Path) -> Path:
    async with SqliteStore.open(tmp_path / "store", create=True) as store:
        for number in range(6):
            payload = b'{"number": %d, "note": "\xc3\xa9 \\u00e9"}' % number if number < 5 else b"\xff\x00"
            event = NewEvent(event_id=f"{number}", type="Odd", payload=payload, correlation="ä")
            await store.append(f"task/{number % 2}", number // 2, [event])
        await store.put(b"a blob\n" * 1000)
        await store.put(b"\x00\xff")
    return tmp_path / "store"


async def test_what_comes_back_is_the_same_to_the_bit(folder: Path, tmp_path: Path) -> None:
    lines = list(export(folder))
    assert len(lines) == 1 + 6 + 2 + 1
    tail = load(tmp_path / "copy", lines)
    assert (tail.events, tail.blobs) == (6, 2)
    assert list(export(tmp_path / "copy")) == lines
    ours, theirs = verify(folder), verify(tmp_path / "copy")
    assert theirs.ok
    assert ours == theirs
    assert tail.checkpoint == ours.checkpoint
    async with SqliteStore.open(tmp_path / "copy") as store:  # and it can be written on
        event = NewEvent(event_id="new", type="Odd", payload=b"{}")
        assert (await store.append("task/0", 3, [event])).position == 7
        repeated = NewEvent(event_id="0", type="Odd", payload=b"{}")
        assert (await store.append("task/0", 0, [repeated])).repeated


async def test_the_lines_tell_a_reader_what_they_are(folder: Path) -> None:
    facts = [json.loads(line) for line in export(folder)]
    assert [fact["line"] for fact in facts] == ["ledger", *["event"] * 6, *["blob"] * 2, "end"]
    assert json.loads(facts[1]["payload"])["note"] == "é é"
    assert facts[6]["encoded"]


def changed(key: str, value: object) -> Callable[[list[bytes]], list[bytes]]:
    def change(lines: list[bytes]) -> list[bytes]:
        fact = json.loads(lines[3])
        return [*lines[:3], json.dumps(fact | {key: value}).encode(), *lines[4:]]

    return change


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (lambda lines: lines[:-1], "line 10: the file ends here, but its last line is missing"),
        (lambda lines: lines[:4], "line 5: the file ends here"),
        (lambda _: [], "line 1: the file ends here"),
        (lambda lines: lines[1:], "line 1: the first line, and no other, names the format"),
        (lambda lines: [*lines, lines[1]], "line 11: it comes behind the last line"),
        (lambda lines: [*lines[:2], *lines[3:]], "line 3: position 3 follows position 1"),
        (lambda lines: [*lines[:7], *lines[8:]], "line 9: the lines before it give 6 events, 1 blobs"),
        (lambda lines: [*lines[:8], lines[7], *lines[8:]], "line 9: blob .* was there before"),
        (lambda lines: [b'{"line":"ledger","format":2}\n', *lines[1:]], "line 1: it is of format 2"),
        (lambda lines: [*lines[:2], b"{}\n", *lines[2:]], "line 3: it is no line of an export"),
        (lambda lines: [*lines[:2], b"\xff\n", *lines[2:]], "line 3: it is no line of an export"),
        (changed("payload", "{}"), "line 4: position 3: its fields do not have the hash"),
        (changed("at", 1.0), "line 4: position 3: its fields do not have the hash"),
        (changed("hash", "00" * 32), "line 4: position 3: its fields do not have the hash"),
        (changed("hash", "xy"), "line 4: a hash is no hexadecimal number"),
        (changed("encoded", True), "line 4: it is no base64"),
    ],
)
async def test_what_is_damaged_is_named_and_nothing_is_left(
    folder: Path, tmp_path: Path, damage: Callable[[list[bytes]], list[bytes]], says: str
) -> None:
    with pytest.raises(BadLine, match=says):
        load(tmp_path / "copy", damage(list(export(folder))))
    assert not list((tmp_path / "copy").iterdir())


async def test_a_ledger_that_is_there_is_left_alone(folder: Path) -> None:
    before = list(export(folder))
    with pytest.raises(StoreExists, match="name a new folder"):
        load(folder, before)
    assert list(export(folder)) == before


async def test_a_damaged_ledger_is_not_handed_on(folder: Path, tmp_path: Path) -> None:
    with closing(sqlite3.connect(folder / FILE, isolation_level=None)) as connection:
        connection.execute("UPDATE events SET payload = x'7b7d' WHERE position = 2")
    with pytest.raises(Tampered, match="position 2"):
        list(export(folder))
    with pytest.raises(StoreMissing):
        list(export(tmp_path / "nothing"))
