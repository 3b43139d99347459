"""Where an audit reads from: events of streams and blobs, synchronously, and nothing that could write."""

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Protocol, TypeAlias

import msgspec

from contracts.envelope import Envelope
from eventstore import rows, select
from eventstore.database import open_reader, translate
from eventstore.errors import BlobMissing, Malformed
from eventstore.sqlite import SqliteStore
from eventstore.trees import check_paths, diff_file


class Archive(Protocol):
    """A ledger at rest. Raises the errors of `eventstore.errors`."""

    def streams(self, prefix: str = "") -> Sequence[str]:
        """Names of the streams that begin with `prefix`, sorted."""
        ...

    def events(self, stream: str) -> Iterator[Envelope]:
        """Every event of a stream, in order; an unknown stream is empty."""
        ...

    def event(self, position: int) -> Envelope | None:
        """The event at a position of the ledger."""
        ...

    def blob(self, name: str) -> bytes:
        """A blob's bytes, checked. Raises BlobMissing, Tampered."""
        ...

    def blob_name(self, start: str) -> str:
        """The one blob whose hash begins so. Raises BlobMissing, Malformed."""
        ...


class LedgerFile:
    """The archive in a store's folder: one read-only snapshot of the file, beside a running service or not."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def streams(self, prefix: str = "") -> Sequence[str]:
        """Names of the streams that begin with `prefix`, sorted."""
        return [name for name, _ in rows.streams(self._connection, prefix)]

    def events(self, stream: str) -> Iterator[Envelope]:
        """Every event of a stream, in order."""
        sql = f"SELECT {rows.COLUMNS} FROM events WHERE stream = ? ORDER BY version"  # noqa: S608
        for row in self._connection.execute(sql, (stream,)):
            yield rows.envelope(row)

    def event(self, position: int) -> Envelope | None:
        """The event at a position of the ledger."""
        found, _ = select.events(self._connection, after=position - 1, limit=1)
        return found[0] if found and found[0].position == position else None

    def blob(self, name: str) -> bytes:
        """A blob's bytes, checked."""
        return rows.blob(self._connection, name)

    def blob_name(self, start: str) -> str:
        """The one blob whose hash begins so."""
        return select.blob_name(self._connection, start)


class Snapshot:
    """An archive in memory."""

    def __init__(self, events: Sequence[Envelope], blobs: Mapping[str, bytes]) -> None:
        self.all = tuple(events)
        self.blobs = blobs

    def streams(self, prefix: str = "") -> Sequence[str]:
        """Names of the streams that begin with `prefix`, sorted."""
        return sorted({event.stream for event in self.all if event.stream.startswith(prefix)})

    def events(self, stream: str) -> Iterator[Envelope]:
        """Every event of a stream, in order."""
        return (event for event in self.all if event.stream == stream)

    def event(self, position: int) -> Envelope | None:
        """The event at a position of the ledger."""
        return next((event for event in self.all if event.position == position), None)

    def blob(self, name: str) -> bytes:
        """A blob's bytes."""
        if name not in self.blobs:
            raise BlobMissing(name)
        return self.blobs[name]

    def blob_name(self, start: str) -> str:
        """The one blob whose hash begins so."""
        found = [name for name in self.blobs if name.startswith(start)]
        if not found:
            raise BlobMissing(start)
        if len(found) > 1:
            raise Malformed(f"several blobs begin with {start}: give more of the hash")
        return found[0]


Source: TypeAlias = Path | SqliteStore | Archive
"""What the functions of this package read: a store's folder, an open store, or an archive."""


@contextmanager
def opened(source: Source) -> Iterator[Archive]:
    """The archive behind a source; a file is opened read-only, seen as it is at this moment, and closed after.

    Raises:
        StoreMissing, NotAStore, StoreTooNew: there is nothing to read.
    """
    if not isinstance(source, Path | SqliteStore):
        yield source
        return
    folder = source if isinstance(source, Path) else source.folder
    with closing(open_reader(folder)) as connection:
        try:
            connection.execute("BEGIN")  # one snapshot, whatever the service writes meanwhile
            yield LedgerFile(connection)
        except sqlite3.Error as error:
            raise translate(error, folder) from error


def entries(archive: Archive, tree: str) -> dict[str, str]:
    """The entries of a tree: path → blob hash. Raises BlobMissing, Malformed."""
    try:
        found = msgspec.json.decode(archive.blob(tree), type=dict[str, str])
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Malformed(f"blob {tree} is not a tree ({error})") from error
    check_paths(found)
    return found


def files(archive: Archive, tree: str) -> dict[str, bytes]:
    """The files of a tree: path → bytes."""
    return {path: archive.blob(name) for path, name in entries(archive, tree).items()}


def tree_diff(archive: Archive, old: str, new: str) -> str:
    """A unified diff between two trees; empty when they are the same."""
    before, after = entries(archive, old), entries(archive, new)
    parts = []
    for path in sorted(before.keys() | after.keys()):
        if before.get(path) != after.get(path):
            left, right = (archive.blob(side[path]) if path in side else None for side in (before, after))
            parts.append(diff_file(path, left, right))
    return "".join(parts)
