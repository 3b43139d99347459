"""The file of a store: its tables, and how it is opened and judged."""

import errno
import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from eventstore.errors import (
    LedgerError,
    LedgerFault,
    NotAStore,
    StoreFull,
    StoreMissing,
    StoreReadOnly,
    StoreTooNew,
    Tampered,
)

FILE = "ledger.db"
APPLICATION_ID = 0x52_54_43_48
"""'RTCH', in the header of every ledger."""
FORMAT = 1
"""The newest format of the file that this code reads and the one that it writes."""

_TABLES = """
CREATE TABLE events (
    position INTEGER PRIMARY KEY,
    event_id TEXT NOT NULL UNIQUE,
    stream TEXT NOT NULL,
    version INTEGER NOT NULL,
    type TEXT NOT NULL,
    schema INTEGER NOT NULL,
    at REAL NOT NULL,
    actor TEXT NOT NULL,
    causation TEXT NOT NULL,
    correlation TEXT NOT NULL,
    traceparent TEXT NOT NULL,
    prev_hash BLOB NOT NULL,
    hash BLOB NOT NULL,
    payload BLOB NOT NULL,
    UNIQUE (stream, version)
);
CREATE TABLE streams (
    stream TEXT PRIMARY KEY,
    version INTEGER NOT NULL,
    hash BLOB NOT NULL
) WITHOUT ROWID;
CREATE TABLE blobs (
    hash TEXT PRIMARY KEY,
    size INTEGER NOT NULL,
    codec TEXT NOT NULL,
    data BLOB NOT NULL
);
"""


_WRITING = (
    "journal_mode=WAL",
    "synchronous=FULL",
    "cache_size=-65536",  # KiB: a large batch touches many pages of the indexes; spilling them halves the speed
    "wal_autocheckpoint=4000",  # pages: the same pages change again and again, so fold them in less often
    "journal_size_limit=67108864",
)


def open_writer(folder: Path, *, create: bool) -> sqlite3.Connection:
    """The one connection that writes; the caller holds the lock.

    Raises:
        StoreMissing, NotAStore, StoreTooNew, StoreReadOnly, StoreFull: as their names say.
    """
    path = folder / FILE
    if not path.exists():
        if not create:
            raise StoreMissing(folder)
        _make(path)
    _refuse_foreign(path)
    # Someone who takes the write bits from an archive means it, whoever runs this, root included.
    for place in (folder, path):
        if not _writable(place):
            raise StoreReadOnly(place)
    return _connect(path, f"{path.absolute().as_uri()}?mode=rw", _WRITING)


def open_reader(folder: Path) -> sqlite3.Connection:
    """A connection that only reads; needs no lock and waits for no writer.

    Raises:
        StoreMissing, NotAStore, StoreTooNew, StoreReadOnly: as their names say.
    """
    path = folder / FILE
    if not path.exists():
        raise StoreMissing(folder)
    _refuse_foreign(path)
    log = path.with_name(FILE + "-wal")
    sealed = not _writable(folder) and not (log.exists() and log.stat().st_size)
    # In a folder that cannot be written SQLite cannot make its index of the log; without a log it needs none.
    uri = f"{path.absolute().as_uri()}?{'immutable=1' if sealed else 'mode=ro'}"
    return _connect(path, uri, ("query_only=1", "mmap_size=268435456"))


def translate(error: sqlite3.Error | OSError, path: Path | None = None) -> LedgerError:
    """The ledger's own error for a driver's: the one place where they are told apart."""
    if isinstance(error, OSError):
        full = error.errno in {errno.ENOSPC, errno.EDQUOT}
        return StoreFull(path) if full else LedgerFault(str(error))
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if code == sqlite3.SQLITE_FULL:
        return StoreFull(path)
    if code in {sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM}:
        return StoreReadOnly(path)
    if code == sqlite3.SQLITE_NOTADB and path is not None:
        return NotAStore(path)
    if code == sqlite3.SQLITE_CORRUPT or "decode to UTF-8" in str(error):
        return Tampered(0, f"the file is damaged ({error})")
    return LedgerFault(f"{type(error).__name__}: {error}")


def _connect(path: Path, uri: str, pragmas: tuple[str, ...]) -> sqlite3.Connection:
    connection = None
    try:
        connection = sqlite3.connect(uri, uri=True, isolation_level=None, check_same_thread=False, timeout=10)
        _judge(connection, path)
        for pragma in pragmas:
            connection.execute(f"PRAGMA {pragma}")
    except BaseException as error:
        if connection is not None:
            connection.close()
        if isinstance(error, sqlite3.Error):
            raise translate(error, path) from error
        raise
    return connection


def _judge(connection: sqlite3.Connection, path: Path) -> None:
    if connection.execute("PRAGMA application_id").fetchone()[0] != APPLICATION_ID:
        raise NotAStore(path)
    found = connection.execute("PRAGMA user_version").fetchone()[0]
    if found > FORMAT:
        raise StoreTooNew(path, found, FORMAT)


def _make(path: Path) -> None:
    """Make an empty ledger."""
    with drafted(path.parent):
        pass


@contextmanager
def drafted(folder: Path) -> Iterator[sqlite3.Connection]:
    """Make a ledger beside its place, filled in the block, and move it there: a file of that name is always whole.

    The block runs in one transaction; when it raises nothing is left behind.

    Raises:
        StoreFull, StoreReadOnly: there is no room, or no right, to write.
    """
    path = folder / FILE
    draft = path.with_name(FILE + ".new")
    try:
        with writing_into(folder):
            draft.unlink(missing_ok=True)
            connection = sqlite3.connect(draft, isolation_level=None)
            try:
                connection.executescript(
                    f"PRAGMA application_id={APPLICATION_ID};PRAGMA user_version={FORMAT};BEGIN;{_TABLES}"
                )
                yield connection
                connection.execute("COMMIT")
            finally:
                connection.close()
            draft.replace(path)
            _sync(folder)
    finally:
        draft.unlink(missing_ok=True)


@contextmanager
def writing_into(folder: Path) -> Iterator[None]:
    """A block that writes a ledger's file into a folder, which is made; what the system refuses is told in our words.

    Raises:
        StoreFull, StoreReadOnly: there is no room, or no right, to write.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        yield
    except OSError as error:
        full = error.errno in {errno.ENOSPC, errno.EDQUOT}
        raise (StoreFull(folder / FILE) if full else StoreReadOnly(folder)) from error
    except sqlite3.Error as error:
        raise translate(error, folder / FILE) from error


def _refuse_foreign(path: Path) -> None:
    """Judge by the first bytes, so that a foreign file is not even locked."""
    try:
        with path.open("rb") as file:
            head = file.read(16)
    except OSError as error:
        raise (NotAStore(path) if path.is_dir() else StoreReadOnly(path)) from error
    if head and head != b"SQLite format 3\0":
        raise NotAStore(path)


def _writable(path: Path) -> bool:
    return os.access(path, os.W_OK) and bool(path.stat().st_mode & 0o222)


def _sync(folder: Path) -> None:
    """Make the file's name durable: without this a power cut could take a whole new ledger."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
