"""The store on one SQLite file: the embedded default, and the source of truth on one machine."""

import asyncio
import sqlite3
import threading
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Self, TypeVar

from contracts.envelope import Envelope, NewEvent, blob_hash
from contracts.ledger import Appended, PackedBlob, Page, Snapshot
from eventstore import rows
from eventstore.database import FILE, open_reader, translate
from eventstore.errors import StoreClosed, StoreReadOnly
from eventstore.limits import check_append, check_blob
from eventstore.lock import WriterLock
from eventstore.replica import Log
from eventstore.watch import Watch
from eventstore.writer import AppendJob, BlobJob, Job, Writer

T = TypeVar("T")

READERS = 4
"""Threads, and at most as many connections, that read at the same time."""
POLL = 0.25
"""Seconds between looks at a file that another process writes."""
ALL_BYTES = 1 << 62


class SqliteStore:
    """Events and blobs in `<folder>/ledger.db`, behind the protocols `EventStore` and `BlobStore`.

    Open it with `open` (the one writer) or `read_only` (an auditor, beside a service or not); then close it.
    """

    def __init__(self, folder: Path, *, write: bool, create: bool = False, log: Log | None = None) -> None:
        """Open a store; `open` and `read_only` say it more plainly. With a `log` it is a replica of that."""
        self.folder = folder
        self._closed = False
        self._watch = Watch()
        self._idle: list[sqlite3.Connection] = []
        self._idle_gate = threading.Lock()
        self._lock: WriterLock | None = None
        self._writer: Writer | None = None
        if write:
            if create:
                _make_folder(folder)
            if folder.is_dir():
                self._lock = WriterLock(folder)
            try:
                self._writer = Writer(folder, create=create, committed=self._watch.advance, log=log)
            except BaseException:
                if self._lock is not None:
                    self._lock.release()
                raise
        else:
            self._idle.append(open_reader(folder))
        self._pool = ThreadPoolExecutor(READERS, thread_name_prefix="ledger-reader")

    @classmethod
    def open(cls, folder: Path, *, create: bool = False) -> Self:
        """Open for writing, as the only one who does.

        Raises:
            StoreMissing: there is no ledger, and `create` is false.
            StoreLocked: someone else writes it.
            IsReplica: it is written through the log on its bus only.
            NotAStore, StoreTooNew, StoreReadOnly, StoreFull: as their names say.
        """
        return cls(folder, write=True, create=create)

    @classmethod
    def read_only(cls, folder: Path) -> Self:
        """Open for reading: needs no server, no lock and no right to write.

        Raises:
            StoreMissing, NotAStore, StoreTooNew: as their names say.
        """
        return cls(folder, write=False)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    @property
    def path(self) -> Path:
        """The file."""
        return self.folder / FILE

    @property
    def position(self) -> int:
        """The last position that is known here to be durable."""
        return self._watch.position

    @property
    def sequence(self) -> int:
        """Up to where a replica holds its log; 0 for a store of its own."""
        return self._writer.sequence if self._writer is not None else 0

    def close(self) -> None:
        """Finish what was handed in, and close the file. Blocks until that is done."""
        if self._closed:
            return
        self._closed = True
        self._pool.shutdown(wait=True)
        with self._idle_gate:
            for connection in self._idle:
                connection.close()
            self._idle.clear()
        # The writer goes last: who closes the file last folds its log into it.
        if self._writer is not None:
            self._writer.close()
        if self._lock is not None:
            self._lock.release()

    async def aclose(self) -> None:
        """`close`, without holding up the loop."""
        await asyncio.to_thread(self.close)

    async def append(self, stream: str, expected_version: int, events: Sequence[NewEvent]) -> Appended:
        """Append all or none; durable when it returns. The same ids again answer what they answered before.

        Raises:
            Conflict: the stream is at another version.
            Malformed, TooLarge: the append itself is wrong.
            StoreFull, StoreReadOnly: there is no room, or no right, to write; nothing was stored.
        """
        check_append(stream, expected_version, events)
        future = asyncio.get_running_loop().create_future()
        answer = await self._submit(AppendJob(stream, expected_version, tuple(events), future))
        assert isinstance(answer, Appended)  # noqa: S101 (for the type checker)
        return answer

    async def read(
        self, stream: str, *, after: int = 0, limit: int = 500, max_bytes: int = ALL_BYTES
    ) -> Page:
        """Events of one stream with version > `after`, in order; an unknown stream is empty."""
        return await self._reading(lambda connection: rows.page(connection, stream, after, limit, max_bytes))

    async def read_all(self, *, after: int = 0, limit: int = 500, max_bytes: int = ALL_BYTES) -> Page:
        """Events of the ledger with position > `after`, in order."""
        return await self._reading(lambda connection: rows.page(connection, None, after, limit, max_bytes))

    async def follow(self, *, after: int = 0) -> AsyncIterator[Envelope]:
        """Every event with position > `after`, for ever, in order and without a gap."""
        while True:
            page = await self.read_all(after=after)
            for event in page.events:
                yield event
                after = event.position
            if not page.events:
                await self._watch.beyond(after, at_most=None if self._writer else POLL)

    async def grown(self, after: int, *, at_most: float | None = None) -> bool:
        """Wait until this store has written beyond a position; False when `at_most` seconds went by."""
        return await self._watch.beyond(after, at_most=at_most)

    async def streams(self, prefix: str = "") -> tuple[tuple[str, int], ...]:
        """Names and versions of the streams that begin with `prefix`, by name."""
        return await self._reading(lambda connection: rows.streams(connection, prefix))

    async def heads(self) -> tuple[int, dict[str, tuple[int, bytes]]]:
        """The last position, and version and hash of every stream's last event, of one moment."""
        return await self._reading(rows.heads)

    async def snapshot(self, stream: str) -> Snapshot | None:
        """The latest snapshot of a stream, if there is one; see `eventstore.snapshots`."""
        from eventstore.snapshots import load

        return await asyncio.to_thread(load, self.folder, stream)

    async def put(self, data: bytes) -> str:
        """Store bytes and return their hash; durable when it returns.

        Raises:
            TooLarge: more than a blob may have.
            StoreFull, StoreReadOnly: there is no room, or no right, to write.
        """
        check_blob(len(data))
        name, (codec, packed) = await asyncio.to_thread(lambda: (blob_hash(data), rows.pack(data)))
        if await self.has((name,)):
            return name
        blob = PackedBlob(hash=name, length=len(data), codec=codec, data=packed)
        await self._submit(BlobJob(blob, asyncio.get_running_loop().create_future()))
        return name

    async def get(self, hash: str) -> bytes:  # noqa: A002 (the field's own word)
        """The bytes, checked against their hash.

        Raises:
            BlobMissing: there is none of that hash.
            Tampered: what is stored is something else.
        """
        return await self._reading(lambda connection: rows.blob(connection, hash))

    async def has(self, hashes: Sequence[str]) -> frozenset[str]:
        """Which of these the store holds."""
        return await self._reading(lambda connection: rows.present(connection, hashes))

    async def _submit(self, job: Job) -> Any:
        if self._closed:
            raise StoreClosed
        if self._writer is None:
            raise StoreReadOnly(self.path)
        self._writer.submit(job)
        return await job.future

    async def _reading(self, work: Callable[[sqlite3.Connection], T]) -> T:
        if self._closed:
            raise StoreClosed
        return await asyncio.get_running_loop().run_in_executor(self._pool, self._with_connection, work)

    def _with_connection(self, work: Callable[[sqlite3.Connection], T]) -> T:
        with self._idle_gate:
            connection = self._idle.pop() if self._idle else None
        if connection is None:
            connection = open_reader(self.folder)
        try:
            return work(connection)
        except sqlite3.Error as error:
            raise translate(error, self.path) from error
        finally:
            with self._idle_gate:
                self._idle.append(connection)


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StoreReadOnly(folder) from error
