"""Looking into a ledger from outside: events by stream and type, and blobs by the beginning of their hash."""

import sqlite3

from contracts.envelope import Envelope
from eventstore.errors import BlobMissing, Malformed
from eventstore.rows import COLUMNS, envelope


def events(
    connection: sqlite3.Connection,
    *,
    stream: str = "",
    kind: str = "",
    after: int = 0,
    limit: int = 100,
) -> tuple[list[Envelope], bool]:
    """Events beyond a position, in order, and whether there are more.

    Args:
        connection: of a reader.
        stream: a stream's name, or what names begin with when it ends with `/`; empty for all.
        kind: an event type; empty for all.
        after: a position.
        limit: most events to return.
    """
    where, values = ["position > ?"], [str(after)]
    if stream.endswith("/"):
        where.append("substr(stream, 1, ?) = ?")
        values += [str(len(stream)), stream]
    elif stream:
        where.append("stream = ?")
        values.append(stream)
    if kind:
        where.append("type = ?")
        values.append(kind)
    sql = f"SELECT {COLUMNS} FROM events WHERE {' AND '.join(where)} ORDER BY position LIMIT ?"  # noqa: S608
    found = [envelope(row) for row in connection.execute(sql, (*values, limit + 1))]
    return found[:limit], len(found) > limit


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
