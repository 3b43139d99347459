"""Looking into a ledger from outside: events by stream and type, and blobs by the beginning of their hash."""

import sqlite3
from collections.abc import Sequence

from contracts.envelope import Envelope
from contracts.record import Record
from eventstore.errors import BlobMissing, Malformed
from eventstore.rows import COLUMNS, envelope


class Wanted(Record):
    """Which events; what is left empty does not matter."""

    stream: str = ""
    """A stream's name, or what names begin with when it ends with `/`."""
    kind: str = ""
    """An event type."""
    actor: str = ""
    """Who stored it, or what that begins with: `planner`, `operator:`."""
    campaign: str = ""
    round: int = 0
    verdict: str = ""
    """The decision of a verdict that it holds: keep, revert, inconclusive."""
    since: float = 0.0
    """Seconds since the epoch."""
    until: float = 0.0


EVERYTHING = Wanted()
_FIELD = (
    "CASE WHEN json_valid(CAST(payload AS TEXT)) THEN json_extract(CAST(payload AS TEXT), '$.{}') END = ?"
)


def events(
    connection: sqlite3.Connection, wanted: Wanted = EVERYTHING, *, after: int = 0, limit: int = 100
) -> tuple[list[Envelope], bool]:
    """Events beyond a position, in order, and whether there are more.

    Args:
        connection: of a reader.
        wanted: which ones.
        after: a position.
        limit: most events to return.
    """
    whole = "" if wanted.stream.endswith("/") else wanted.stream
    tests: list[tuple[str, Sequence[object]]] = [
        ("position > ?", (after,)),
        ("stream = ?", (whole,) if whole else ()),
        ("substr(stream, 1, ?) = ?", _start(wanted.stream if not whole else "")),
        ("type = ?", (wanted.kind,) if wanted.kind else ()),
        ("substr(actor, 1, ?) = ?", _start(wanted.actor)),
        ("at >= ?", (wanted.since,) if wanted.since else ()),
        ("at <= ?", (wanted.until,) if wanted.until else ()),
        (_FIELD.format("campaign"), (wanted.campaign,) if wanted.campaign else ()),
        (_FIELD.format("round"), (wanted.round,) if wanted.round else ()),
        (_FIELD.format("verdict.decision"), (wanted.verdict,) if wanted.verdict else ()),
    ]
    where = " AND ".join(test for test, values in tests if values)
    values = [value for _, some in tests for value in some]
    sql = f"SELECT {COLUMNS} FROM events WHERE {where} ORDER BY position LIMIT ?"  # noqa: S608 (our own texts)
    found = [envelope(row) for row in connection.execute(sql, (*values, limit + 1))]
    return found[:limit], len(found) > limit


def _start(text: str) -> tuple[object, ...]:
    return (len(text), text) if text else ()


def blob_name(connection: sqlite3.Connection, start: str) -> str:
    """The one blob whose hash begins like this.

    Raises:
        BlobMissing: there is none.
        Malformed: there are several.
    """
    sql = "SELECT hash FROM blobs WHERE hash >= ? AND hash < ? ORDER BY hash LIMIT 2"
    found = [row[0] for row in connection.execute(sql, (start, start + "g"))]
    if not found:
        raise BlobMissing(start)
    if len(found) > 1:
        raise Malformed(f"several blobs begin with {start}: give more of the hash")
    return str(found[0])
