"""A whole ledger as lines of JSON, and back: for archives, other tools, and people who trust no database file.

The first line names the format; then comes a line for each event, in order, with its payload as the very text that was
hashed; then a line for each blob; the last line counts what there was and names the checkpoint over all streams. So a
reader of lines alone can check every hash, and a file that was cut short is known for it.
"""

import base64
import os
import shutil
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec

from contracts.envelope import Envelope, blob_hash
from contracts.record import Record
from eventstore import rows
from eventstore.chains import Chains, checkpoint
from eventstore.database import FILE, drafted, open_reader, writing_into
from eventstore.errors import BadLine, StoreExists, Tampered
from eventstore.verify import VerifyReport, verify

FORMAT = 1


class Head(Record, tag_field="line", tag="ledger"):
    """The first line."""

    format: int = FORMAT


class EventLine(Record, tag_field="line", tag="event"):
    """An event; hashes in hex."""

    position: int
    stream: str
    version: int
    event_id: str
    type: str
    schema: int
    at: float
    actor: str
    causation: str
    correlation: str
    traceparent: str
    prev_hash: str
    hash: str
    payload: str
    """As it was hashed; in base64 where `encoded`."""
    encoded: bool = False


class BlobLine(Record, tag_field="line", tag="blob"):
    """A blob."""

    hash: str
    data: str
    """The text; in base64 where `encoded`."""
    encoded: bool = False


class Tail(Record, tag_field="line", tag="end"):
    """The last line."""

    events: int
    blobs: int
    checkpoint: str
    """As `verify` prints it."""


Line = Head | EventLine | BlobLine | Tail


def export(folder: Path) -> Iterator[bytes]:
    """The lines of a store, each with its line break; one snapshot of the file, beside a running service or not.

    Raises:
        StoreMissing, NotAStore, StoreTooNew: there is nothing to export.
        Tampered: the chain of an event does not hold, or a blob is not what its name says: `verify` tells more.
    """
    with closing(open_reader(folder)) as connection:
        connection.execute("BEGIN")
        chains = Chains()
        yield _line(Head())
        for event in rows.scan(connection):
            if fault := chains.follow(event):
                raise Tampered(event.position, fault)
            yield _line(_event_line(event))
        names = [row[0] for row in connection.execute("SELECT hash FROM blobs ORDER BY rowid")]
        for name in names:
            text, encoded = _text(rows.blob(connection, name))
            yield _line(BlobLine(hash=name, data=text, encoded=encoded))
        yield _line(Tail(events=chains.last, blobs=len(names), checkpoint=checkpoint(chains.heads)))


def load(folder: Path, lines: Iterable[bytes]) -> Tail:
    """Make a store of the lines of another: the same events at the same positions, the same hashes, the same blobs.

    All or nothing: the store appears when the last line has been read and everything has been checked.

    Raises:
        StoreExists: there is a ledger in the folder already.
        BadLine: a line cannot be read, is missing, or does not fit those before it; it names the line.
        StoreFull, StoreReadOnly: there is no room, or no right, to write.
    """
    if (folder / FILE).exists():
        raise StoreExists(folder)
    with drafted(folder) as connection:
        reading = _Reading(connection)
        for number, text in enumerate(lines, 1):
            reading.take(number, text)
        return reading.finish()


def backup(store: Path, folder: Path) -> VerifyReport:
    """Copy a ledger of one moment, by SQLite's own means, beside whoever serves it; what checking the copy has shown.

    Args:
        store: the ledger's folder.
        folder: where the copy goes, in place of an older one, once it is known to be sound.

    Raises:
        StoreMissing, NotAStore, StoreTooNew: there is nothing to copy.
        StoreFull, StoreReadOnly: there is no room, or no right, to write.
        StoreExists: the folder holds a ledger that is no older copy of this one.
        Tampered: the copy is not sound, so neither is the ledger.
    """
    if (folder / FILE).exists() and (folder.resolve() == store.resolve() or not _older(folder, store)):
        raise StoreExists(folder)
    draft = folder / "draft"
    try:
        with writing_into(folder):
            draft.mkdir(exist_ok=True)
            (draft / FILE).unlink(missing_ok=True)
            with closing(open_reader(store)) as live, closing(sqlite3.connect(draft / FILE)) as copy:
                live.backup(copy)
                copy.execute("PRAGMA journal_mode=DELETE")  # one file, without a log beside it
            report = verify(draft)
            if not report.ok:
                raise Tampered(0, "the copy is not sound, and was not kept")
            with (draft / FILE).open("rb") as file:
                os.fsync(file.fileno())
            (draft / FILE).replace(folder / FILE)
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return report


def _older(folder: Path, store: Path) -> bool:
    """Whether the ledger in a folder is the beginning of another."""
    with closing(open_reader(folder)) as old, closing(open_reader(store)) as live:
        last = "SELECT position, hash FROM events ORDER BY position DESC LIMIT 1"
        row = old.execute(last).fetchone()
        same = "SELECT 1 FROM events WHERE position = ? AND hash = ?"
        return row is None or live.execute(same, row).fetchone() is not None


class _Reading:
    """Lines on their way into a store."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self.connection = connection
        self.chains = Chains()
        self.decoder = msgspec.json.Decoder(Line)
        self.number = 0
        self.blobs = 0
        self.tail: Tail | None = None

    def take(self, number: int, text: bytes) -> None:
        self.number = number
        try:
            line = self.decoder.decode(text)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise BadLine(number, f"it is no line of an export ({error})") from error
        if (number == 1) != isinstance(line, Head):
            raise BadLine(number, "the first line, and no other, names the format")
        if self.tail is not None:
            raise BadLine(number, "it comes behind the last line")
        match line:
            case Head():
                if line.format > FORMAT:
                    raise BadLine(
                        number,
                        f"it is of format {line.format}, this Ratchet reads {FORMAT}: take a later one",
                    )
            case EventLine():
                self._event(line)
            case BlobLine():
                self._blob(line)
            case Tail():
                self.tail = line

    def finish(self) -> Tail:
        tail = self.tail
        if tail is None:
            raise BadLine(
                self.number + 1, "the file ends here, but its last line is missing: it was cut short"
            )
        found = Tail(events=self.chains.last, blobs=self.blobs, checkpoint=checkpoint(self.chains.heads))
        if tail != found:
            raise BadLine(self.number, f"the lines before it give {_facts(found)}, it says {_facts(tail)}")
        heads = [(stream, *head) for stream, head in self.chains.heads.items()]
        self.connection.executemany(rows.HEAD, heads)
        return tail

    def _event(self, line: EventLine) -> None:
        fields: dict[str, Any] = msgspec.structs.asdict(line)
        payload = _bytes(fields.pop("payload"), fields.pop("encoded"), self.number)
        try:
            fields |= {name: bytes.fromhex(fields[name]) for name in ("prev_hash", "hash")}
        except ValueError as error:
            raise BadLine(self.number, f"a hash is no hexadecimal number ({error})") from error
        event = Envelope(payload=payload, **fields)
        if event.position != self.chains.last + 1:
            raise BadLine(self.number, f"position {event.position} follows position {self.chains.last}")
        if fault := self.chains.follow(event):
            raise BadLine(self.number, f"position {event.position}: {fault}")
        try:
            self.connection.execute(rows.INSERT, rows.values(event))
        except sqlite3.IntegrityError as error:
            raise BadLine(self.number, f"an event of this id was there before ({error})") from error

    def _blob(self, line: BlobLine) -> None:
        data = _bytes(line.data, line.encoded, self.number)
        if blob_hash(data) != line.hash:
            raise BadLine(self.number, f"the bytes of blob {line.hash} have another hash")
        try:
            self.connection.execute(
                "INSERT INTO blobs VALUES (?, ?, ?, ?)", (line.hash, len(data), *rows.pack(data))
            )
        except sqlite3.IntegrityError as error:
            raise BadLine(self.number, f"blob {line.hash} was there before") from error
        self.blobs += 1


def _facts(tail: Tail) -> str:
    return f"{tail.events} events, {tail.blobs} blobs and checkpoint {tail.checkpoint[:16]}…"


def _event_line(event: Envelope) -> EventLine:
    fields = msgspec.structs.asdict(event)
    text, encoded = _text(fields.pop("payload"))
    hashes = {name: fields.pop(name).hex() for name in ("prev_hash", "hash")}
    return EventLine(**fields, **hashes, payload=text, encoded=encoded)


def _line(line: Line) -> bytes:
    return msgspec.json.encode(line) + b"\n"


def _text(data: bytes) -> tuple[str, bool]:
    try:
        return data.decode(), False
    except UnicodeDecodeError:
        return base64.b64encode(data).decode(), True


def _bytes(text: str, encoded: bool, number: int) -> bytes:
    if not encoded:
        return text.encode()
    try:
        return base64.b64decode(text, validate=True)
    except ValueError as error:
        raise BadLine(number, f"it is no base64 ({error})") from error
