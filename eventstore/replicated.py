"""The store on a log in JetStream: what was agreed there is what holds, and the file beside is one replica of it."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Self

from nats.aio.msg import Msg

from bus.connection import Bus
from bus.link import Interest
from contracts.ledger import Page
from contracts.subjects import COMMITTED
from eventstore.errors import BlobMissing, LedgerError
from eventstore.log import BusLog
from eventstore.sqlite import ALL_BYTES, SqliteStore
from eventstore.writer import SyncJob

LOOK = 1.0
"""Seconds between looks at the log, should the word of a transaction get lost."""


class ReplicatedStore(SqliteStore):
    """The protocols `EventStore` and `BlobStore` on a log that several of these share, on one machine or on many.

    An append is durable when a majority of the bus's servers has it. A read first asks the log's leader how far the
    log is, so that it sees whatever was acknowledged before, by whichever replica. Open it with `join`.
    """

    def __init__(self, folder: Path, log: BusLog) -> None:
        """Open the file and bring it up to the log; `join` does this, and takes over what others write."""
        super().__init__(folder, write=True, create=True, log=log)
        self._shared = log
        self._woken = asyncio.Event()
        self._interest: Interest | None = None
        self._looking: asyncio.Task[None] | None = None
        self._now: asyncio.Future[None] | None = None
        self._next: asyncio.Future[None] | None = None

    @classmethod
    async def join(cls, folder: Path, bus: Bus) -> Self:
        """Open a replica, made where there is none; `bus` has to stay open until after `aclose`.

        Raises:
            StoreLocked, NotAStore, StoreTooNew, StoreReadOnly, StoreFull: as for any store.
            LogDiverged: the file and the log contradict each other.
            LedgerUnavailable: the log does not answer.
        """
        log = BusLog(bus)
        await log.ensure()
        store = await asyncio.to_thread(cls, folder, log)
        await store.attend(bus)
        return store

    async def attend(self, bus: Bus) -> None:
        """Take over what other replicas write as soon as it is stored, for those who follow here."""
        self._interest = await bus.listen(COMMITTED, self._wake)
        self._looking = asyncio.create_task(self._look())

    async def aclose(self) -> None:
        """Finish what was handed in, and leave the log."""
        if self._looking is not None:
            self._looking.cancel()
            await asyncio.wait({self._looking})
        if self._interest is not None:
            await self._interest.stop()
        await super().aclose()

    async def read(
        self, stream: str, *, after: int = 0, limit: int = 500, max_bytes: int = ALL_BYTES
    ) -> Page:
        """As `SqliteStore.read`. Raises `LedgerUnavailable` when the log's leader does not answer."""
        await self.sync()
        return await super().read(stream, after=after, limit=limit, max_bytes=max_bytes)

    async def read_all(self, *, after: int = 0, limit: int = 500, max_bytes: int = ALL_BYTES) -> Page:
        """As `SqliteStore.read_all`. Raises `LedgerUnavailable` when the log's leader does not answer."""
        await self.sync()
        return await super().read_all(after=after, limit=limit, max_bytes=max_bytes)

    async def streams(self, prefix: str = "") -> tuple[tuple[str, int], ...]:
        """As `SqliteStore.streams`. Raises `LedgerUnavailable` when the log's leader does not answer."""
        await self.sync()
        return await super().streams(prefix)

    async def heads(self) -> tuple[int, dict[str, tuple[int, bytes]]]:
        """As `SqliteStore.heads`. Raises `LedgerUnavailable` when the log's leader does not answer."""
        await self.sync()
        return await super().heads()

    async def get(self, hash: str) -> bytes:  # noqa: A002 (the field's own word)
        """As `SqliteStore.get`; a blob that is here needs no question to the log."""
        try:
            return await super().get(hash)
        except BlobMissing:
            await self.sync()
        return await super().get(hash)

    async def has(self, hashes: Sequence[str]) -> frozenset[str]:
        """As `SqliteStore.has`; blobs that are here need no question to the log."""
        found = await super().has(hashes)
        if len(found) == len(set(hashes)):
            return found
        await self.sync()
        return await super().has(hashes)

    async def sync(self) -> None:
        """Have everything that was acknowledged anywhere before this call. Calls that come together share a look."""
        if self._next is None:
            self._next = asyncio.ensure_future(self._catch_up(self._now))
        await asyncio.shield(self._next)

    async def _catch_up(self, before: "asyncio.Future[None] | None") -> None:
        if before is not None:
            await asyncio.wait({before})
        self._now, self._next = self._next, None
        end = await self._shared.end_now()
        if end.sequence > self.sequence:
            await self._submit(SyncJob(asyncio.get_running_loop().create_future()))

    async def _wake(self, _: Msg) -> None:
        self._woken.set()

    async def _look(self) -> None:
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(LOOK):
                    await self._woken.wait()
            self._woken.clear()
            try:
                await self.sync()
            except LedgerError:
                await asyncio.sleep(LOOK / 4)
