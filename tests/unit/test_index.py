"""Tables for people: they say what the ledger says, keep up with it, and are made anew when they are another's."""

import asyncio
import sqlite3
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec
import pytest

from contracts import events as e
from contracts.envelope import NewEvent
from contracts.ledger import ANY
from eventstore.audit.archive import opened
from eventstore.audit.history import gather, lineage_events
from eventstore.audit.index import FILE, refresh, search
from eventstore.audit.index_tables import TABLES, VIEWS
from eventstore.audit.testing import synthetic_campaign
from eventstore.errors import StoreMissing
from eventstore.sqlite import SqliteStore
from eventstore.transfer import backup


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("index") / "store"

    async def play() -> None:
        async with SqliteStore.open(folder, create=True) as opened:
            await synthetic_campaign(opened, rounds=8, seed=6)

    asyncio.run(play())
    return folder


def rows(folder: Path, sql: str, *given: object) -> list[Mapping[str, Any]]:
    with closing(refresh(folder)) as database:
        return list(database.query(sql, given))


def grow(folder: Path, *events: NewEvent) -> None:
    async def add() -> None:
        async with SqliteStore.open(folder) as opened:
            await opened.append("lineage/main", ANY, events)

    asyncio.run(add())


def lesson(text: str, name: str) -> NewEvent:
    event = e.LessonRecorded(campaign="c9", round=4, lesson="0" * 64, headline=text)
    return NewEvent(event_id=name, type="LessonRecorded", payload=msgspec.json.encode(event))


def test_rounds_verdicts_and_costs_are_those_of_the_history(store: Path) -> None:
    with opened(store) as archive:
        history = gather(lineage_events(archive, "main"), "main")
    found = rows(store, "SELECT * FROM rounds")
    assert [row["round"] for row in found] == [round_.number for round_ in history.rounds]
    for row, round_ in zip(found, history.rounds, strict=True):
        confirmed = round_.confirmed
        assert row["decision"] == (confirmed.verdict.decision if confirmed else None)
        assert row["effect"] == (confirmed.verdict.effect if confirmed else None)
        assert row["title"] == (round_.best.plan.title if confirmed and round_.best else None)
        assert row["episodes"] == round_.spent.episodes
    (spent,) = rows(store, "SELECT sum(episodes) AS episodes, sum(tokens) AS tokens FROM spending")
    assert spent["episodes"] == history.campaigns[0].spent.episodes


def test_every_score_has_its_task_and_its_seed(store: Path) -> None:
    with opened(store) as archive:
        history = gather(lineage_events(archive, "main"), "main")
    executed = history.rounds[0].executed
    assert executed is not None
    tasks = history.campaigns[0].suite.practice
    found = rows(store, "SELECT * FROM episodes WHERE stage = 'execute' AND round = 1 ORDER BY number, rowid")
    assert [row["score"] for row in found] == [score for row in executed.incumbent.scores for score in row]
    means = rows(store, "SELECT * FROM scores WHERE stage = 'execute' AND round = 1 ORDER BY rowid")
    assert {row["task"]: row["score"] for row in means} == {
        task.id: pytest.approx(sum(row) / len(row))
        for task, row in zip(tasks, executed.incumbent.scores, strict=True)
    }


def test_texts_are_found_in_any_form_and_the_index_keeps_up(tmp_path: Path, store: Path) -> None:
    folder = tmp_path / "copy"
    backup(store, folder)
    assert search(folder, "zebra") == ()
    grow(folder, lesson("the zebras that it keeps", "l1"))
    (hit,) = search(folder, "zebra keep")
    assert (hit.kind, hit.campaign, hit.round) == ("lesson", "c9", 4)
    assert search(folder, "zebra", kind="plan") == ()
    assert search(folder, 'zebra" OR "a') == ()
    before = len(rows(folder, "SELECT position FROM events"))
    grow(folder, lesson("another zebra", "l2"))
    assert len(search(folder, "zebra")) == 2
    assert len(rows(folder, "SELECT position FROM events")) == before + 1
    assert {hit.kind for hit in search(folder, "program", limit=99)} <= {
        "plan",
        "criticism",
        "lesson",
        "reason",
    }


def test_an_index_of_another_ledger_or_of_old_tables_is_made_anew(tmp_path: Path, store: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    for folder, text in ((one, "zebra"), (two, "gnu")):
        backup(store, folder)
        grow(folder, lesson(text, text))
    assert search(one, "zebra")
    (one / FILE).replace(two / FILE)
    assert not search(two, "zebra")
    assert search(two, "gnu")
    with closing(sqlite3.connect(two / FILE)) as connection:
        connection.execute("PRAGMA user_version = 1")
    assert search(two, "gnu")
    (two / FILE).write_bytes(b"no database at all, but long enough to be looked at" * 20)
    assert search(two, "gnu")
    with pytest.raises(StoreMissing):
        search(tmp_path / "none", "gnu")


def test_every_table_and_view_can_be_read(store: Path) -> None:
    for name in (*TABLES, *VIEWS):
        assert rows(store, f"SELECT * FROM {name} LIMIT 3"), name


def test_two_who_index_at_once_count_nothing_twice(tmp_path: Path, store: Path) -> None:
    backup(store, tmp_path / "copy")

    async def both() -> Sequence[Any]:
        return await asyncio.gather(*(asyncio.to_thread(_count, tmp_path / "copy") for _ in range(4)))

    refresh(tmp_path / "copy").close()
    grow(tmp_path / "copy", *(lesson(f"{n}", f"{n}") for n in range(50)))
    counts = asyncio.run(both())
    assert len(set(counts)) == 1
    assert counts[0] == _count(tmp_path / "copy")


def _count(folder: Path) -> int:
    return len(rows(folder, "SELECT 1 FROM texts"))
