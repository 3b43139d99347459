"""Views for people, made of the ledger on demand and kept in a file of their own: `<store>/index.db`.

The file can be deleted at any time. It is brought up to date from the last position that it holds, and made
anew when it turns out to belong to another ledger.
"""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import sqlite_utils

from contracts.record import Record
from eventstore.database import open_reader
from eventstore.rows import scan

FILE = "index.db"

_READABLE = """
SELECT position, strftime('%Y-%m-%d %H:%M:%f', at, 'unixepoch') AS time, stream || '@' || version AS place,
       type, actor, payload
FROM events
"""


class Hit(Record, frozen=True):
    """An event that a search found."""

    position: int
    stream: str
    version: int
    type: str
    payload: str


def refresh(folder: Path) -> sqlite_utils.Database:
    """The index of a store, up to date; the caller closes it.

    Raises:
        StoreMissing, NotAStore, StoreTooNew: there is no ledger to index.
    """
    with closing(open_reader(folder)) as connection:
        database = _open(folder)
        last = next(
            iter(database.query("SELECT position, hash FROM events ORDER BY position DESC LIMIT 1")), None
        )
        after = 0
        if last is not None:
            sql = "SELECT hash FROM events WHERE position = ?"
            row = connection.execute(sql, (last["position"],)).fetchone()
            if row is None or row[0].hex() != last["hash"]:
                database.close()
                (folder / FILE).unlink()
                database = _open(folder)
            else:
                after = last["position"]
        rows: Iterator[dict[str, Any]] = (
            {
                "position": event.position,
                "at": event.at,
                "stream": event.stream,
                "version": event.version,
                "type": event.type,
                "actor": event.actor,
                "hash": event.hash.hex(),
                "payload": event.payload.decode(errors="replace"),
            }
            for event in scan(connection, after)
        )
        database.table("events").insert_all(rows, batch_size=1000)
    return database


def search(folder: Path, words: str, *, limit: int = 50) -> tuple[Hit, ...]:
    """Events whose type or payload has all these words, the latest first.

    Raises:
        StoreMissing, NotAStore, StoreTooNew: there is no ledger to search.
    """
    database = refresh(folder)
    try:
        sql = (
            "SELECT position, stream, version, events.type, events.payload FROM events_fts "
            "JOIN events ON events.position = events_fts.rowid "
            "WHERE events_fts MATCH ? ORDER BY position DESC LIMIT ?"
        )
        return tuple(Hit(**row) for row in database.query(sql, (database.quote_fts(words), limit)))
    finally:
        database.close()


def _open(folder: Path) -> sqlite_utils.Database:
    database = sqlite_utils.Database(folder / FILE)
    if "events" not in database.table_names():
        events = database.table("events")
        events.create(
            {
                "position": int,
                "at": float,
                "stream": str,
                "version": int,
                "type": str,
                "actor": str,
                "hash": str,
                "payload": str,
            },
            pk="position",
        )
        events.enable_fts(["type", "payload"], create_triggers=True)
        database.create_view("events_readable", _READABLE)
    return database
