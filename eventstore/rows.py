"""Reading: SQL to envelopes and pages, on a connection of the caller's."""

import sqlite3
import zlib
from collections.abc import Iterator, Sequence
from typing import Any

from contracts.envelope import Envelope, blob_hash
from contracts.ledger import PackedBlob, Page
from eventstore.errors import BlobMissing, Tampered

COLUMNS = (
    "event_id, stream, version, position, type, schema, at, actor, causation, correlation, traceparent, "
    "prev_hash, hash, payload"
)
INSERT = f"INSERT INTO events ({COLUMNS}) VALUES ({', '.join('?' * 14)})"  # noqa: S608 (our own constants)
"""Takes `values` of an event."""
HEAD = (
    "INSERT INTO streams (stream, version, hash) VALUES (?, ?, ?) "
    "ON CONFLICT (stream) DO UPDATE SET version = excluded.version, hash = excluded.hash"
)
BLOB = "INSERT OR IGNORE INTO blobs (hash, size, codec, data) VALUES (?, ?, ?, ?)"
"""Takes `blob_values`; one that is there already is left alone."""
_ROOM = 320
"""Bytes of an envelope in a message beside its texts and payload, at most."""


def envelope(row: Sequence[Any]) -> Envelope:
    """The envelope of a row of `COLUMNS`."""
    return Envelope(  # spelled out, since it is the dearest step of reading
        event_id=row[0],
        stream=row[1],
        version=row[2],
        position=row[3],
        type=row[4],
        schema=row[5],
        at=row[6],
        actor=row[7],
        causation=row[8],
        correlation=row[9],
        traceparent=row[10],
        prev_hash=row[11],
        hash=row[12],
        payload=row[13],
    )


def values(event: Envelope) -> tuple[object, ...]:
    """The row of an envelope, in the order of `COLUMNS`."""
    return (
        event.event_id,
        event.stream,
        event.version,
        event.position,
        event.type,
        event.schema,
        event.at,
        event.actor,
        event.causation,
        event.correlation,
        event.traceparent,
        event.prev_hash,
        event.hash,
        event.payload,
    )


def blob_values(blob: PackedBlob) -> tuple[object, ...]:
    """The row of a blob."""
    return blob.hash, blob.length, blob.codec, blob.data


def page(connection: sqlite3.Connection, stream: str | None, after: int, limit: int, max_bytes: int) -> Page:
    """Events of a stream (None: of the ledger) beyond `after`; at least one if there is one."""
    if stream is not None:
        where, key = "stream = ? AND version > ? ORDER BY version", (stream, after)
        head = "SELECT coalesce(max(version), 0) FROM events WHERE stream = ?"
    else:
        where, key = "position > ? ORDER BY position", (after,)  # type: ignore[assignment]
        head = "SELECT coalesce(max(position), 0) FROM events"
    events: list[Envelope] = []
    size = 0
    cursor = connection.execute(f"SELECT {COLUMNS} FROM events WHERE {where} LIMIT ?", (*key, max(limit, 1)))  # noqa: S608
    for row in cursor:
        event = envelope(row)
        size += room(event)
        if events and size > max_bytes:
            break
        events.append(event)
    cursor.close()
    # The head is read after the events, so that `more` never denies an event that is there.
    last = connection.execute(head, () if stream is None else (stream,)).fetchone()[0]
    reached = (events[-1].position if stream is None else events[-1].version) if events else after
    return Page(events=tuple(events), more=reached < last, head=last)


def room(event: Envelope) -> int:
    """About how many bytes an envelope takes in a message; never less than it does."""
    texts = event.event_id + event.stream + event.type + event.actor + event.causation + event.correlation
    return _ROOM + len(event.payload) + len(texts.encode()) + len(event.traceparent.encode())


def streams(connection: sqlite3.Connection, prefix: str) -> tuple[tuple[str, int], ...]:
    """Names and versions of the streams that begin with a prefix, by name."""
    rows = connection.execute(
        "SELECT stream, version FROM streams WHERE substr(stream, 1, ?) = ? ORDER BY stream",
        (len(prefix), prefix),
    )
    return tuple((stream, version) for stream, version in rows)


def heads(connection: sqlite3.Connection) -> tuple[int, dict[str, tuple[int, bytes]]]:
    """The last position, and version and hash of every stream's last event, of one moment."""
    connection.execute("BEGIN")
    try:
        position = connection.execute("SELECT coalesce(max(position), 0) FROM events").fetchone()[0]
        found = connection.execute("SELECT stream, version, hash FROM streams").fetchall()
    finally:
        connection.execute("COMMIT")
    return position, {stream: (version, digest) for stream, version, digest in found}


def scan(connection: sqlite3.Connection, after: int = 0) -> Iterator[Envelope]:
    """Every event beyond a position, in order, without a page's limits."""
    sql = f"SELECT {COLUMNS} FROM events WHERE position > ? ORDER BY position"  # noqa: S608
    for row in connection.execute(sql, (after,)):
        yield envelope(row)


def blob(connection: sqlite3.Connection, name: str) -> bytes:
    """A blob's bytes, checked.

    Raises:
        BlobMissing: there is none of that hash.
        Tampered: what is stored is something else.
    """
    row = connection.execute("SELECT codec, data FROM blobs WHERE hash = ?", (name,)).fetchone()
    if row is None:
        raise BlobMissing(name)
    try:
        data = unpack(row[0], row[1])
    except (zlib.error, ValueError) as error:
        raise Tampered(0, f"blob {name} cannot be unpacked ({error})") from error
    if blob_hash(data) != name:
        raise Tampered(0, f"the bytes of blob {name} have another hash")
    return data


def present(connection: sqlite3.Connection, names: Sequence[str]) -> frozenset[str]:
    """Which of these blobs are stored."""
    found: set[str] = set()
    for start in range(0, len(names), 500):
        some = names[start : start + 500]
        marks = ",".join("?" * len(some))
        rows = connection.execute(f"SELECT hash FROM blobs WHERE hash IN ({marks})", tuple(some))  # noqa: S608
        found.update(row[0] for row in rows)
    return frozenset(found)


def pack(data: bytes) -> tuple[str, bytes]:
    """Codec and bytes under which a blob is stored: compressed where that pays."""
    if len(data) >= 512:
        packed = zlib.compress(data, 6)
        if len(packed) < len(data) * 9 // 10:
            return "zlib", packed
    return "raw", data


def unpack(codec: str, data: bytes) -> bytes:
    """The inverse of `pack`; raises `ValueError` or `zlib.error` for what it cannot have made."""
    if codec == "raw":
        return bytes(data)
    if codec == "zlib":
        return zlib.decompress(data)
    raise ValueError(f"unknown codec {codec!r}")
