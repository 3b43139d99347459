"""The one writer of a store: a thread that takes what waits, writes it as one transaction, then answers."""

import asyncio
import contextlib
import queue
import random
import sqlite3
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from contracts.envelope import Envelope, NewEvent
from contracts.ledger import Appended, Commit, PackedBlob
from eventstore import rows
from eventstore.batch import Ledger, Place
from eventstore.database import open_writer, translate
from eventstore.errors import (
    Behind,
    Conflict,
    IsReplica,
    LedgerError,
    LedgerFault,
    LedgerUnavailable,
    Malformed,
    StoreClosed,
)
from eventstore.replica import Log, Replica, is_replica

BATCH_JOBS = 2048
"""Most appends and blobs in one transaction."""
BATCH_BYTES = 8 * 1024 * 1024
"""Bytes after which a transaction takes no further job, so that a flood of blobs does not hold up events."""

_SYNC_FAILED = {"SQLITE_IOERR_FSYNC", "SQLITE_IOERR_DIR_FSYNC"}


@dataclass(eq=False)
class AppendJob:
    """An append that waits for its transaction."""

    stream: str
    expected: int
    events: Sequence[NewEvent]
    future: "asyncio.Future[Any]"

    @property
    def size(self) -> int:
        """Bytes that it writes, about."""
        return sum(len(event.payload) for event in self.events) + 300 * len(self.events)


@dataclass(eq=False)
class BlobJob:
    """A blob, packed, that waits for its transaction."""

    blob: PackedBlob
    future: "asyncio.Future[Any]"

    @property
    def size(self) -> int:
        """Bytes that it writes, about."""
        return len(self.blob.data)


@dataclass(eq=False)
class SyncJob:
    """A wish to have everything that the log holds by now."""

    future: "asyncio.Future[Any]"
    size: int = 0


Job = AppendJob | BlobJob | SyncJob
Outcome = tuple["asyncio.Future[Any]", "Appended | str | int | LedgerError"]


class Writer:
    """The writing end of a store. Jobs come in from any thread; answers go back to the loop of each job."""

    def __init__(
        self, folder: Path, *, create: bool, committed: Callable[[int], None], log: Log | None = None
    ) -> None:
        """Open the file for writing and start the thread; `committed` is told every new last position.

        With a `log` the file is a replica: nothing is committed that the log has not taken.
        """
        self._folder = folder
        self._committed = committed
        self._connection = open_writer(folder, create=create)
        self._replica = Replica(log) if log is not None else None
        try:
            self._join()
        except BaseException:
            self._connection.close()
            raise
        self._jobs: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
        self._position, self._at = self._end()
        self._broken: LedgerFault | None = None
        self._open = True
        self._gate = threading.Lock()
        self._thread = threading.Thread(target=self._run, name="ledger-writer", daemon=True)
        committed(self._position)
        self._thread.start()

    def _join(self) -> None:
        if self._replica is not None:
            self._replica.join(self._connection)
        elif is_replica(self._connection):
            raise IsReplica(self._folder)

    @property
    def sequence(self) -> int:
        """Up to where the file holds its log."""
        return self._replica.sequence if self._replica is not None else 0

    def submit(self, job: Job) -> None:
        """Queue a job; its future is answered when it is durable, or refused."""
        with self._gate:  # nothing may slip in behind the mark that ends the queue
            if not self._open:
                raise StoreClosed
            self._jobs.put(job)

    def close(self) -> None:
        """Write what is queued, then end. Blocks until that is done."""
        with self._gate:
            if not self._open:
                return
            self._open = False
            self._jobs.put(None)
        self._thread.join()
        self._connection.close()

    def _run(self) -> None:
        ended = False
        while not ended:
            batch: list[Job] = []
            size = 0
            job = self._jobs.get()
            while job is not None:
                batch.append(job)
                size += job.size
                if len(batch) >= BATCH_JOBS or size >= BATCH_BYTES:
                    break
                try:
                    job = self._jobs.get_nowait()
                except queue.Empty:
                    break
            ended = job is None
            if batch:
                outcomes = self._together(batch)
                self._committed(self._position)
                _answer(outcomes)

    def _together(self, batch: list[Job]) -> list[Outcome]:
        """Write a batch as one transaction; if that fails, every job alone: only the guilty fail."""
        try:
            return self._transact(batch) if self._replica is None else self._agree(self._replica, batch)
        except Exception as error:
            self._recover(error)
            if len(batch) == 1 or isinstance(error, StoreClosed):
                return [(job.future, self._refusal(error)) for job in batch]
        return [outcome for job in batch for outcome in self._together([job])]

    def _agree(self, replica: Replica, batch: list[Job]) -> list[Outcome]:
        """A transaction of the log as well: decided again while others are quicker, or the log is away."""
        pause = 0.01
        late = any(isinstance(job, SyncJob) for job in batch)
        while True:
            try:
                if late:
                    replica.catch_up(self._connection)
                    self._position, self._at = self._end()
                return self._transact(batch)
            except Behind as error:
                self._recover(error)
            except LedgerUnavailable as error:
                self._recover(error)
                if not self._open:
                    raise StoreClosed from error
                time.sleep(pause * random.uniform(0.5, 1.0))  # noqa: S311 (so that services do not keep pace)
                pause = min(pause * 2, 1.0)
            late = True

    def _refusal(self, error: Exception) -> LedgerError:
        if isinstance(error, LedgerError):
            return error
        if isinstance(error, sqlite3.Error):
            return translate(error, self._folder)
        if isinstance(error, ValueError | TypeError | OverflowError):
            return Malformed(f"it cannot be stored ({error})")
        return LedgerFault(f"{type(error).__name__}: {error}")

    def _transact(self, batch: list[Job]) -> list[Outcome]:
        if self._broken is not None:
            raise self._broken
        connection = self._connection
        connection.execute("BEGIN IMMEDIATE")
        appends = [job for job in batch if isinstance(job, AppendJob)]
        ledger = Ledger(self._position, self._at, *self._known(appends))
        now = time.time()
        outcomes: list[Outcome] = []
        events: list[Envelope] = []
        blobs: list[PackedBlob] = []
        changed: dict[str, None] = {}
        for job in batch:
            if isinstance(job, SyncJob):
                outcomes.append((job.future, self._position))
                continue
            if isinstance(job, BlobJob):
                if connection.execute(rows.BLOB, rows.blob_values(job.blob)).rowcount:
                    blobs.append(job.blob)
                outcomes.append((job.future, job.blob.hash))
                continue
            try:
                answer, added = ledger.decide(job.stream, job.expected, job.events, now=now)
            except (Conflict, Malformed) as refusal:
                outcomes.append((job.future, refusal))
                continue
            outcomes.append((job.future, answer))
            events += added
            if added:
                changed[job.stream] = None
        if events:
            connection.executemany(rows.INSERT, map(rows.values, events))
            connection.executemany(rows.HEAD, [(stream, *ledger.heads[stream]) for stream in changed])
        if self._replica is not None and (events or blobs):
            commit = Commit(base=self._position, events=tuple(events), blobs=tuple(blobs))
            self._replica.publish(connection, commit)
        connection.execute("COMMIT")
        self._position, self._at = ledger.position, ledger.at
        return outcomes

    def _known(self, appends: list[AppendJob]) -> tuple[dict[str, tuple[int, bytes]], dict[str, Place]]:
        """Heads of the streams concerned, and which of the ids are stored."""
        heads: dict[str, tuple[int, bytes]] = {}
        for some in _portions(list(dict.fromkeys(job.stream for job in appends))):
            sql = f"SELECT stream, version, hash FROM streams WHERE stream IN ({','.join('?' * len(some))})"  # noqa: S608
            heads.update({row[0]: (row[1], row[2]) for row in self._connection.execute(sql, some)})
        places: dict[str, Place] = {}
        for some in _portions([event.event_id for job in appends for event in job.events]):
            sql = (
                "SELECT event_id, stream, version, position FROM events "  # noqa: S608
                f"WHERE event_id IN ({','.join('?' * len(some))})"
            )
            places.update({row[0]: Place(*row[1:]) for row in self._connection.execute(sql, some)})
        return heads, places

    def _end(self) -> tuple[int, float]:
        row = self._connection.execute(
            "SELECT position, at FROM events ORDER BY position DESC LIMIT 1"
        ).fetchone()
        return row or (0, 0.0)

    def _recover(self, error: Exception) -> None:
        """After a failed transaction: go on from what the file really holds."""
        if getattr(error, "sqlite_errorname", "") in _SYNC_FAILED:
            # What the kernel could not write it may have dropped: nobody may build on it before a restart.
            self._broken = LedgerFault("the disk refused to sync: check it, then restart the service")
            return
        with contextlib.suppress(sqlite3.Error):
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
            if self._replica is not None:
                self._replica.recall(self._connection)
            self._position, self._at = self._end()
            return
        with contextlib.suppress(sqlite3.Error, LedgerError):
            self._connection.close()
            self._connection = open_writer(self._folder, create=False)
            self._position, self._at = self._end()


def _portions(items: list[str], size: int = 500) -> list[list[str]]:
    return [items[start : start + size] for start in range(0, len(items), size)]


def _answer(outcomes: list[Outcome]) -> None:
    """Answer futures, with one call per loop: waking a loop costs more than answering."""
    loops: dict[asyncio.AbstractEventLoop, list[Outcome]] = {}
    for outcome in outcomes:
        loops.setdefault(outcome[0].get_loop(), []).append(outcome)
    for loop, some in loops.items():
        if not loop.is_closed():
            with contextlib.suppress(RuntimeError):  # closed between the question and the call
                loop.call_soon_threadsafe(_settle, some)


def _settle(outcomes: list[Outcome]) -> None:
    for future, answer in outcomes:
        if future.done():
            continue
        if isinstance(answer, LedgerError):
            future.set_exception(answer)
        else:
            future.set_result(answer)
