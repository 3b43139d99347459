"""Tables for people, made of the ledger on demand and kept in a file of their own: `<store>/index.db`.

Any tool that reads SQLite can open it: rounds, plans, verdicts, costs, single episodes' scores, and the full text of
plans, criticism and lessons. It is brought up to date from the last position that it holds, made anew when it turns out
to belong to another ledger or another version of these tables, and free to be deleted at any time.
"""

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec
import sqlite_utils

from contracts import events as e
from contracts.envelope import Envelope
from contracts.gate import ArmScores, ReleaseVerdict, Verdict
from contracts.record import Record
from contracts.settings import Spent
from eventstore import rows
from eventstore.audit.index_tables import FORMAT, TABLES, VIEWS
from eventstore.database import open_reader
from eventstore.errors import BlobMissing, Tampered

FILE = "index.db"
BATCH = 500
"""Events that are read into the tables in one transaction."""

Row = dict[str, Any]

_STAGES: dict[type[e.Event], str] = {
    e.TasksExecuted: "execute",
    e.CandidatesRaced: "race",
    e.ChangeConfirmed: "confirm",
    e.NullArmMeasured: "A/A",
    e.SealedQueried: "release",
}
"""What the tables call the stage that an event ends."""


class Hit(Record):
    """A text that a search found."""

    position: int
    lineage: str
    campaign: str
    round: int
    kind: str
    """`plan`, `criticism`, `lesson` or `reason`."""
    title: str
    excerpt: str
    """Where the words stand, marked with brackets."""


def refresh(folder: Path) -> sqlite_utils.Database:
    """The index of a store, up to date; the caller closes it.

    Raises:
        StoreMissing, NotAStore, StoreTooNew: there is no ledger to index.
    """
    with closing(open_reader(folder)) as ledger:
        database = _fitting(folder, ledger)
        reading = _Reading(ledger)
        batch: list[Envelope] = []
        for envelope in rows.scan(ledger, _covered(database)):
            batch.append(envelope)
            if len(batch) == BATCH:
                reading.store(database, batch)
                batch = []
        reading.store(database, batch)
    return database


def search(folder: Path, words: str, *, kind: str = "", limit: int = 20) -> tuple[Hit, ...]:
    """Plans, criticism, lessons and reasons that have all these words, the best first.

    Raises:
        StoreMissing, NotAStore, StoreTooNew: there is no ledger to search.
    """
    with closing(refresh(folder)) as database:
        sql = (
            "SELECT position, lineage, campaign, round, kind, texts.title AS title, "
            "snippet(texts_fts, -1, '[', ']', ' … ', 24) AS excerpt "
            "FROM texts_fts JOIN texts ON texts.rowid = texts_fts.rowid "
            "WHERE texts_fts MATCH ? AND (? = '' OR kind = ?) ORDER BY rank LIMIT ?"
        )
        found = database.query(sql, (database.quote_fts(words), kind, kind, limit))
        return tuple(Hit(**row) for row in found)


def _fitting(folder: Path, ledger: sqlite3.Connection) -> sqlite_utils.Database:
    """The index that there is, if it belongs to this ledger and these tables; else an empty one."""
    database = _open(folder)
    try:
        if database.execute("PRAGMA user_version").fetchone()[0] == FORMAT:
            last = database.execute(
                "SELECT position, hash FROM events ORDER BY position DESC LIMIT 1"
            ).fetchone()
            sql = "SELECT lower(hex(hash)) FROM events WHERE position = ?"
            if last is None or ledger.execute(sql, (last[0],)).fetchone() == (last[1],):
                return database
    except sqlite3.DatabaseError:
        pass  # it is no index at all
    database.close()
    (folder / FILE).unlink()
    database = _open(folder)
    for name, columns in TABLES.items():
        database.table(name).create(columns, pk="position" if name == "events" else None)
    for name in ("plans", "verdicts", "costs", "episodes", "texts"):
        database.table(name).create_index(["lineage", "campaign", "round"])
    database.table("texts").enable_fts(["title", "body"], create_triggers=True, tokenize="porter")
    for name, sql in VIEWS.items():
        database.create_view(name, sql)
    database.execute(f"PRAGMA user_version = {FORMAT}")
    return database


def _open(folder: Path) -> sqlite_utils.Database:
    return sqlite_utils.Database(sqlite3.connect(folder / FILE, isolation_level=None, timeout=60))


def _covered(database: sqlite_utils.Database) -> int:
    return int(database.execute("SELECT coalesce(max(position), 0) FROM events").fetchone()[0])


class _Reading:
    """Events on their way into the tables."""

    def __init__(self, ledger: sqlite3.Connection) -> None:
        self.ledger = ledger

    def store(self, database: sqlite_utils.Database, batch: Sequence[Envelope]) -> None:
        """Take events over, all or none; what another process has taken over meanwhile is passed over."""
        connection = database.conn
        connection.execute("BEGIN IMMEDIATE")
        try:
            covered = _covered(database)
            made: dict[str, list[tuple[Any, ...]]] = {}
            for envelope in batch:
                for table, row in self.rows(envelope) if envelope.position > covered else ():
                    made.setdefault(table, []).append(tuple(row.get(name) for name in TABLES[table]))
            for table, some in made.items():
                marks = ", ".join("?" * len(TABLES[table]))
                connection.executemany(f"INSERT INTO {table} VALUES ({marks})", some)  # noqa: S608 (our own names)
            connection.execute("COMMIT")
        except BaseException:
            connection.execute("ROLLBACK")
            raise

    def rows(self, envelope: Envelope) -> Iterator[tuple[str, Row]]:
        """Table and row of everything that an event says."""
        yield (
            "events",
            {
                "position": envelope.position,
                "at": envelope.at,
                "stream": envelope.stream,
                "version": envelope.version,
                "type": envelope.type,
                "actor": envelope.actor,
                "hash": envelope.hash.hex(),
                "payload": envelope.payload.decode(errors="replace"),
            },
        )
        if not envelope.stream.startswith("lineage/"):
            return
        event = e.decode(envelope)
        place: Row = {
            "position": envelope.position,
            "lineage": envelope.stream.removeprefix("lineage/"),
            "campaign": getattr(event, "campaign", ""),
            "round": getattr(event, "round", 0),
        }
        if isinstance(event, e.CampaignRequested):
            yield from self._campaign(place, event)
            return
        stage = _STAGES.get(type(event), type(event).__name__)
        yield from self._figures(place, stage, event)
        for kind, title, body in self._texts(event):
            yield "texts", {**place, "kind": kind, "title": title, "body": body}
        spent = getattr(event, "spent", None)
        if isinstance(spent, Spent) and not isinstance(event, e.CampaignFinished):
            yield "costs", {**place, "stage": stage, **msgspec.structs.asdict(spent)}

    def _campaign(self, place: Row, event: e.CampaignRequested) -> Iterator[tuple[str, Row]]:
        yield (
            "campaigns",
            {
                **place,
                "suite": event.suite.name,
                "model": event.model,
                "fingerprint": event.fingerprint,
                "rounds": event.settings.rounds,
                "seed": event.settings.seed,
            },
        )
        for side, tasks in (("practice", event.suite.practice), ("sealed", event.suite.sealed)):
            for number, task in enumerate(tasks):
                yield "tasks", {
                    **place, "side": side, "number": number, "task": task.id, "package": task.package
                }  # fmt: skip

    def _figures(self, place: Row, stage: str, event: e.Event) -> Iterator[tuple[str, Row]]:
        match event:
            case e.ChangePlanned():
                yield (
                    "plans",
                    {
                        **place,
                        "candidate": event.candidate,
                        "surface": event.plan.surface,
                        "operator": event.plan.operator,
                        "title": event.plan.title,
                        "predicted": event.plan.prediction.effect,
                    },
                )
            case e.TasksExecuted():
                yield from self._episodes(place, stage, event.seeds, incumbent=event.incumbent)
            case e.CandidatesRaced():
                raced = {f"candidate {each.candidate}": each.arm for each in event.candidates}
                yield from self._episodes(place, stage, event.seeds, incumbent=event.incumbent, **raced)
            case e.ChangeConfirmed():
                arms = {"incumbent": event.incumbent, "challenger": event.challenger}
                yield from self._episodes(place, stage, event.seeds, **arms)
                decision = event.verdict.decision
                yield "verdicts", _verdict(place, stage, event.candidate, decision, event.verdict)
            case e.NullArmMeasured():
                yield "verdicts", _verdict(place, stage, -1, event.verdict.decision, event.verdict)
            case e.SealedQueried():
                yield from self._episodes(place, stage, event.seeds, base=event.base, head=event.head)
                decision = "keep" if event.verdict.passed else "revert"
                yield "verdicts", _verdict(place, stage, -1, decision, event.verdict)

    def _episodes(
        self, place: Row, stage: str, seeds: Sequence[str], **arms: ArmScores
    ) -> Iterator[tuple[str, Row]]:
        side = "sealed" if stage == _STAGES[e.SealedQueried] else "practice"
        for arm, scores in arms.items():
            for number, row in enumerate(scores.scores):
                for seed, score in zip(seeds, row, strict=False):
                    yield "episodes", {
                        **place, "stage": stage, "arm": arm, "tree": scores.tree[:10], "side": side,
                        "number": number, "seed": seed, "score": score,
                    }  # fmt: skip

    def _texts(self, event: e.Event) -> Iterator[tuple[str, str, str]]:
        """Kind, title and body of what is said in words."""
        match event:
            case e.ChangePlanned(plan=plan):
                body = "\n\n".join(filter(None, (plan.evidence, plan.root_cause, plan.risks)))
                yield "plan", plan.title, body
            case e.FailuresAnalyzed():
                notes = (f"{each.kind}: {each.note}" for each in event.failures if each.note)
                yield "criticism", event.summary, "\n".join(notes)
            case e.LessonRecorded():
                yield "lesson", event.headline, self._blob(event.lesson)
            case e.ChangeReviewed(reasons=reasons) if reasons:
                yield "reason", type(event).__name__, "\n".join(reasons)
            case e.PlansDropped():
                for each in event.plans:
                    yield "reason", each.title or type(event).__name__, each.reason
            case e.ChangeKept() | e.ChangeReverted() | e.ChangeInconclusive() | e.ChangeRejected():
                yield "reason", type(event).__name__, event.reason

    def _blob(self, name: str) -> str:
        try:
            return rows.blob(self.ledger, name).decode(errors="replace")
        except (BlobMissing, Tampered):
            return ""  # `verify` is who complains


def _verdict(place: Row, stage: str, candidate: int, decision: str, found: Verdict | ReleaseVerdict) -> Row:
    figures = {name: getattr(found, name) for name in ("effect", "low", "high", "p", "reason")}
    return {**place, "stage": stage, "candidate": candidate, "decision": decision, **figures}
