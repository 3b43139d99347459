"""What a replica does with its log: writes down what the log says, and never anything else.

The log decides what the ledger holds; the file is what one machine knows of it, quick to read and with an index of
every id. A transaction is first agreed on in the log and then committed to the file, so a replica may lag behind, but
never runs ahead. If the log itself lost its end (a power cut of all its servers, a damaged block), the replicas that
have it put it back.
"""

import sqlite3
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Protocol, TypeVar

from contracts.envelope import GENESIS, blob_hash
from contracts.ledger import Commit, PackedBlob
from contracts.record import Record
from eventstore import rows
from eventstore.errors import Behind, LedgerUnavailable, LogDiverged, Tampered

T = TypeVar("T")

PORTION = 4 * 1024 * 1024
"""Bytes of a transaction when a log is filled from a file."""
LAG = 10.0
"""Seconds that the server which is read from may be behind the one that leads."""


class LogEnd(Record):
    """Where a log ends."""

    created: str
    """When its stream was made: tells a log from one that was put in its place."""
    sequence: int


class Place(Record):
    """Where a transaction ends in a log."""

    sequence: int
    digest: str
    """SHA-256 of its last message: tells the transaction from another at the same place."""


_TABLE = (
    "CREATE TABLE IF NOT EXISTS replica "
    "(one INTEGER PRIMARY KEY, created TEXT NOT NULL, sequence INTEGER NOT NULL, digest TEXT NOT NULL)"
)
_NOTE = "INSERT OR REPLACE INTO replica VALUES (1, ?, ?, ?)"
_NOWHERE = Place(sequence=0, digest="")


class Log(Protocol):
    """A log, as `eventstore.log.BusLog`."""

    def end(self) -> LogEnd:
        """Where it ends."""
        ...

    def append(self, commit: Commit, after: int) -> Place:
        """Store a transaction, if the log ends at `after`."""
        ...

    def read(self, after: int) -> list[tuple[Place, Commit]]:
        """Whole transactions behind a sequence."""
        ...

    def holds(self, place: Place) -> bool:
        """Whether a transaction still ends where it did."""
        ...


def is_replica(connection: sqlite3.Connection) -> bool:
    """Whether a file belongs to a log."""
    sql = "SELECT 1 FROM sqlite_master WHERE name = 'replica'"
    return connection.execute(sql).fetchone() is not None


class Replica:
    """A file's side of a log. All calls come from the one thread that writes the file."""

    def __init__(self, log: Log) -> None:
        self._log = log
        self._created = ""
        self._place = _NOWHERE

    @property
    def sequence(self) -> int:
        """Up to where the file holds the log."""
        return self._place.sequence

    def join(self, connection: sqlite3.Connection) -> None:
        """Bring file and log together, whatever happened to either since they last met.

        Raises:
            LogDiverged: each holds something that the other contradicts.
            LedgerUnavailable: the log does not answer.
            Tampered: the log is damaged.
        """
        connection.execute(_TABLE)
        self._created = self._log.end().created
        row = connection.execute("SELECT created, sequence, digest FROM replica").fetchone()
        self._place = Place(sequence=row[1], digest=row[2]) if row else _NOWHERE
        if row and row[0] == self._created and (self.sequence == 0 or self._log.holds(self._place)):
            self.catch_up(connection)
            return
        self._place = (
            _NOWHERE  # another log, or one that lost its end: what it holds has to be ours from the start
        )
        seen = Seen()
        while True:
            seen.add(self.catch_up(connection))
            try:
                for commit in _missing(connection, seen):
                    self._place = self._log.append(commit, self.sequence)
                    seen.take(commit)
            except Behind:
                continue  # another replica puts it back as well
            self._note(connection, self._place)
            return

    def publish(self, connection: sqlite3.Connection, commit: Commit) -> None:
        """Agree on the transaction that is open in the file; to be committed there when this returns.

        Raises:
            Behind: others were quicker: roll back, `catch_up`, decide again.
            LedgerUnavailable: the same, and whether it was stored will be seen then.
        """
        self._place = self._log.append(commit, self.sequence)
        self._note(connection, self._place)

    def catch_up(self, connection: sqlite3.Connection) -> "Seen":
        """Write down everything that the log holds by now; what was read of it."""
        end = self._log.end()
        if end.created != self._created:
            raise LogDiverged(
                "the log on the bus was made anew since this file joined it; restart the service"
            )
        seen = Seen()
        until = time.monotonic() + LAG
        while self.sequence < end.sequence:
            records = self._log.read(self.sequence)
            if not records:
                if time.monotonic() > until:
                    raise LedgerUnavailable("the log's servers do not hand out what they hold")
                time.sleep(0.02)
                continue
            connection.execute("BEGIN IMMEDIATE")
            try:
                for place, commit in records:
                    _apply(connection, place.sequence, commit)
                    seen.take(commit)
                self._note(connection, records[-1][0])
                connection.execute("COMMIT")
            except BaseException:
                connection.execute("ROLLBACK")
                raise
            self._place = records[-1][0]
        return seen

    def recall(self, connection: sqlite3.Connection) -> None:
        """After a rollback: go on from where the file really is."""
        row = connection.execute("SELECT sequence, digest FROM replica").fetchone()
        self._place = Place(sequence=row[0], digest=row[1]) if row else _NOWHERE

    def _note(self, connection: sqlite3.Connection, place: Place) -> None:
        connection.execute(_NOTE, (self._created, place.sequence, place.digest))


class Seen:
    """What was read of a log."""

    def __init__(self) -> None:
        self.position = 0
        self.blobs: set[str] = set()

    def take(self, commit: Commit) -> None:
        """Count a transaction."""
        self.position = max(self.position, commit.base + len(commit.events))
        self.blobs.update(blob.hash for blob in commit.blobs)

    def add(self, other: "Seen") -> None:
        """Count what another counted."""
        self.position = max(self.position, other.position)
        self.blobs |= other.blobs


def _apply(connection: sqlite3.Connection, sequence: int, commit: Commit) -> None:
    last = connection.execute("SELECT coalesce(max(position), 0) FROM events").fetchone()[0]
    if commit.base > last:
        raise Tampered(last, f"the log goes on behind position {commit.base} at its sequence {sequence}")
    heads: dict[str, tuple[int, bytes]] = {}
    for number, event in enumerate(commit.events, commit.base + 1):
        if event.position != number or not event.sound:
            raise Tampered(number, f"sequence {sequence} of the log holds something else than it was given")
        if number <= last:
            known = connection.execute("SELECT hash FROM events WHERE position = ?", (number,)).fetchone()
            if known[0] != event.hash:
                raise LogDiverged(f"position {number} holds different events here and in the log")
            continue
        if event.stream not in heads:
            sql = "SELECT version, hash FROM streams WHERE stream = ?"
            heads[event.stream] = connection.execute(sql, (event.stream,)).fetchone() or (0, GENESIS)
        if (event.version - 1, event.prev_hash) != heads[event.stream]:
            raise Tampered(number, f"it does not continue its stream, at sequence {sequence} of the log")
        heads[event.stream] = (event.version, event.hash)
        connection.execute(rows.INSERT, rows.values(event))
    connection.executemany(rows.HEAD, [(stream, *head) for stream, head in heads.items()])
    for blob in commit.blobs:
        if blob_hash(rows.unpack(blob.codec, blob.data)) != blob.hash:
            raise Tampered(0, f"blob {blob.hash} is damaged at sequence {sequence} of the log")
        connection.execute(rows.BLOB, rows.blob_values(blob))


def _missing(connection: sqlite3.Connection, seen: Seen) -> Iterator[Commit]:
    """What a file holds beyond what was seen in a log, in portions; blobs go before the events that name them."""
    start = seen.position
    stored = connection.execute("SELECT hash, size, codec, data FROM blobs ORDER BY rowid")
    blobs = (
        PackedBlob(hash=row[0], length=row[1], codec=row[2], data=row[3])
        for row in stored
        if row[0] not in seen.blobs
    )
    for some in _portions(blobs, lambda blob: len(blob.data)):
        yield Commit(base=start, blobs=tuple(some))
    for events in _portions(rows.scan(connection, start), rows.room):
        yield Commit(base=events[0].position - 1, events=tuple(events))


def _portions(items: Iterable[T], size: Callable[[T], int]) -> Iterator[list[T]]:
    """Items in order, as many together as make a transaction."""
    some: list[T] = []
    room = 0
    for item in items:
        some.append(item)
        room += size(item)
        if room >= PORTION:
            yield some
            some, room = [], 0
    if some:
        yield some
