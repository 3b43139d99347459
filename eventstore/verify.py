"""Whether a ledger is what was written: chains, positions, heads and blobs, recomputed from the bytes."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from contracts.envelope import Envelope
from contracts.events import CheckpointSigned, decode
from contracts.record import Record
from eventstore.chains import Chains, checkpoint
from eventstore.database import open_reader
from eventstore.errors import LedgerError, Tampered
from eventstore.rows import COLUMNS, blob, envelope
from eventstore.signing import STREAM, genuine
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
    signatures: int = 0
    """Signed checkpoints that hold, by the key that was asked for if one was."""
    signed: int = 0
    """The last position that one of them covers: what came later nobody has vouched for yet."""
    keys: tuple[str, ...] = ()
    """The public keys that they were signed with."""
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


class _Walk:
    """The state of a walk over the events in position order."""

    def __init__(self) -> None:
        self.faults: list[Fault] = []
        self.count = 0
        self.events = 0
        self.chains = Chains()
        self.asked: frozenset[int] = frozenset()
        """Positions at which a checkpoint is wanted."""
        self.found: dict[int, str] = {}
        self.signed: list[CheckpointSigned] = []

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
        if not isinstance(event.position, int):  # the very tables are not what they were
            raise Tampered(
                last + 1, f"the place of an event is {_legible(event.position)}, which is no number"
            )
        if event.position != last + 1:
            self.blame(f"positions {last + 1} to {event.position - 1} are missing", position=last + 1)
        if reason := self.chains.follow(event):
            self.blame(reason, event)
        if event.position in self.asked and not self.count:  # after a fault the heads vouch for nothing
            self.found[event.position] = checkpoint(self.chains.heads)
        if event.stream == STREAM:
            self._vouched(event)

    def _vouched(self, event: Envelope) -> None:
        told = _signed(event)
        if told is None:
            self.blame("it is no signed checkpoint that can be read", event)
        elif not genuine(told):
            self.blame("its signature is not by the key that it names", event)
        elif self.found.get(told.position, "" if self.count else checkpoint({})) != told.checkpoint:
            self.blame(
                f"it vouches for another history up to position {told.position} than the one that is here",
                event,
            )
        else:
            self.signed.append(told)


def _signed(event: Envelope) -> CheckpointSigned | None:
    try:
        told = decode(event)
    except (TypeError, ValueError):
        return None
    return told if isinstance(told, CheckpointSigned) else None


def _legible(text: object) -> str:
    return str(text).encode(errors="backslashreplace").decode()


def verify(
    store: SqliteStore | Path, *, expect: tuple[int, str] | None = None, key: str = ""
) -> VerifyReport:
    """Check everything that a store holds; reads the file only, beside a running service or without one.

    Args:
        store: The store, or its folder.
        expect: A position and the checkpoint that was noted there earlier; another one is a fault.
        key: A public key, as 64 hexadecimal digits: only checkpoints signed with it count, and none at all is a fault.

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
            walk.asked = _asked(connection)
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
    counted = [told for told in walk.signed if key in {"", told.key}]
    if key and not counted:
        walk.blame(f"no checkpoint in it holds and is signed with the key {key[:16]}…")
    return VerifyReport(
        events=walk.events,
        streams=len(walk.chains.heads),
        blobs=blobs,
        position=walk.chains.last,
        checkpoint=checkpoint(walk.chains.heads) if not walk.faults else "",
        signatures=len(counted),
        signed=max((told.position for told in counted), default=0),
        keys=tuple(sorted({told.key for told in counted})),
        faults=tuple(walk.faults),
        more_faults=walk.count - len(walk.faults),
        damaged=tuple(sorted({fault.stream for fault in walk.faults if fault.stream})),
    )


def _events(connection: sqlite3.Connection) -> Iterator[Envelope]:
    # NOT INDEXED: the events themselves, in position order, and not what an index says of them.
    for row in connection.execute(f"SELECT {COLUMNS} FROM events NOT INDEXED ORDER BY position"):  # noqa: S608
        yield envelope(row)


def _asked(connection: sqlite3.Connection) -> frozenset[int]:
    """The positions that signed checkpoints speak of."""
    sql = f"SELECT {COLUMNS} FROM events WHERE stream = ? ORDER BY version"  # noqa: S608
    told = (_signed(envelope(row)) for row in connection.execute(sql, (STREAM,)))
    return frozenset(each.position for each in told if each is not None)


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
