"""Whether a ledger is what was written: chains, positions, heads and blobs, recomputed from the bytes."""

import hashlib
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path

import msgspec

from contracts.envelope import GENESIS, Envelope
from contracts.record import Record
from eventstore.database import open_reader
from eventstore.errors import LedgerError
from eventstore.rows import COLUMNS, blob, envelope
from eventstore.sqlite import SqliteStore

MOST_FAULTS = 100
"""Faults that a report lists; the rest is only counted."""


class Fault(Record, frozen=True):
    """One thing that does not fit."""

    reason: str
    position: int = 0
    """The event concerned; 0 when it is none."""
    stream: str = ""
    version: int = 0
    blob: str = ""
    """The blob concerned, by its hash."""


class VerifyReport(Record, frozen=True):
    """What a verification found."""

    events: int
    streams: int
    blobs: int
    position: int
    """The last position."""
    checkpoint: str
    """Hash over the heads of all streams at the last position: note it elsewhere to prove later what was."""
    faults: tuple[Fault, ...] = ()
    more_faults: int = 0
    """Faults beyond those listed."""
    damaged: tuple[str, ...] = ()
    """Streams with a fault; every other stream is sound from end to end."""

    @property
    def ok(self) -> bool:
        """Whether everything fits."""
        return not self.faults

    @property
    def first_bad(self) -> int:
        """The first position that does not fit; 0 when all do. Every event before it is sound."""
        return min((fault.position for fault in self.faults if fault.position), default=0)


class Chains:
    """The heads of all streams, while events go by in position order."""

    def __init__(self) -> None:
        self.last = 0
        """The last position."""
        self.at = 0.0
        self.heads: dict[str, tuple[int, bytes]] = {}
        """Stream → version and hash of its last event."""

    def follow(self, event: Envelope) -> str:
        """Go on to the next event; what does not fit about it, or nothing."""
        self.last = event.position
        version, prev = self.heads.get(event.stream, (0, GENESIS))
        # Going on from what stands there: one damaged event is one fault, not one for each that follows.
        self.heads[event.stream] = (event.version, event.hash)
        try:
            sound = event.sound
        except (TypeError, ValueError, OverflowError):  # the damage changed a field's very type
            sound = False
        if not sound:
            return "its fields do not have the hash that it names"
        before, self.at = self.at, max(self.at, event.at)
        if event.version != version + 1:
            return f"it is version {event.version} of its stream, but follows version {version}"
        if event.prev_hash != prev:
            return "it does not continue the chain of its stream"
        return "it is older than the event before it" if event.at < before else ""


class _Walk:
    """The state of a walk over the events in position order."""

    def __init__(self) -> None:
        self.faults: list[Fault] = []
        self.count = 0
        self.events = 0
        self.chains = Chains()

    def blame(self, reason: str, event: Envelope | None = None, *, position: int = 0, blob: str = "") -> None:
        self.count += 1
        if len(self.faults) < MOST_FAULTS:
            self.faults.append(
                Fault(
                    reason=_legible(reason),
                    position=event.position if event else position,
                    stream=_legible(event.stream) if event else "",
                    version=event.version if event else 0,
                    blob=blob,
                )
            )

    def event(self, event: Envelope) -> None:
        self.events += 1
        last = self.chains.last
        if event.position != last + 1:
            self.blame(f"positions {last + 1} to {event.position - 1} are missing", position=last + 1)
        if reason := self.chains.follow(event):
            self.blame(reason, event)


def _legible(text: str) -> str:
    return str(text).encode(errors="backslashreplace").decode()


def checkpoint(heads: Mapping[str, tuple[int, bytes]]) -> str:
    """SHA-256, in hex, over the names, versions and hashes of all streams' last events."""
    entries = [(stream, *heads[stream]) for stream in sorted(heads)]
    return hashlib.sha256(msgspec.msgpack.encode(entries)).hexdigest()


def verify(store: SqliteStore | Path, *, expect: tuple[int, str] | None = None) -> VerifyReport:
    """Check everything that a store holds; reads the file only, beside a running service or without one.

    Args:
        store: The store, or its folder.
        expect: A position and the checkpoint that was noted there earlier; another one is a fault.

    Raises:
        StoreMissing, NotAStore, StoreTooNew: there is nothing to verify.
    """
    folder = store if isinstance(store, Path) else store.folder
    walk = _Walk()
    blobs = 0
    with closing(open_reader(folder)) as connection:
        # Damage can make text of bytes that are none: they are to be reported, not to end the walk.
        connection.text_factory = lambda data: data.decode(errors="surrogateescape")
        connection.execute("BEGIN")  # one snapshot, whatever the service writes meanwhile
        try:
            for event in _events(connection):
                walk.event(event)
                if expect and event.position == expect[0]:
                    _compare(walk, expect)
            if expect and expect[0] > walk.chains.last:
                walk.blame(
                    f"the ledger ends at {walk.chains.last}, before the checkpoint",
                    position=walk.chains.last + 1,
                )
        except sqlite3.Error as error:
            walk.blame(f"it cannot be read ({error})", position=walk.chains.last + 1)
        try:
            _heads(connection, walk)
            blobs = _blobs(connection, walk)
            _structure(connection, walk)
        except sqlite3.Error as error:
            walk.blame(f"the file is damaged ({error})")
    return VerifyReport(
        events=walk.events,
        streams=len(walk.chains.heads),
        blobs=blobs,
        position=walk.chains.last,
        checkpoint=checkpoint(walk.chains.heads) if not walk.faults else "",
        faults=tuple(walk.faults),
        more_faults=walk.count - len(walk.faults),
        damaged=tuple(sorted({fault.stream for fault in walk.faults if fault.stream})),
    )


def _events(connection: sqlite3.Connection) -> Iterator[Envelope]:
    # NOT INDEXED: the events themselves, in position order, and not what an index says of them.
    for row in connection.execute(f"SELECT {COLUMNS} FROM events NOT INDEXED ORDER BY position"):  # noqa: S608
        yield envelope(row)


def _compare(walk: _Walk, expect: tuple[int, str]) -> None:
    found = checkpoint(walk.chains.heads)
    if found != expect[1]:
        walk.blame(
            f"the checkpoint there is {found}, not {expect[1]}: history was rewritten", position=expect[0]
        )


def _heads(connection: sqlite3.Connection, walk: _Walk) -> None:
    listed = {
        row[0]: (row[1], row[2]) for row in connection.execute("SELECT stream, version, hash FROM streams")
    }
    for stream in sorted(listed.keys() | walk.chains.heads.keys(), key=str):
        if listed.get(stream) != walk.chains.heads.get(stream):
            said, found = listed.get(stream, (0,))[0], walk.chains.heads.get(stream, (0,))[0]
            walk.blame(f"the head of stream {stream!r} is noted as version {said}, its events end at {found}")


def _blobs(connection: sqlite3.Connection, walk: _Walk) -> int:
    names = [row[0] for row in connection.execute("SELECT hash FROM blobs NOT INDEXED ORDER BY rowid")]
    for name in names:
        try:
            blob(connection, name)
        except (LedgerError, sqlite3.Error, TypeError, ValueError) as error:
            walk.blame(str(error), blob=str(name))
    return len(names)


def _structure(connection: sqlite3.Connection, walk: _Walk) -> None:
    for (line,) in connection.execute("PRAGMA integrity_check(20)"):
        if line != "ok":
            walk.blame(f"the file is damaged: {line}")
