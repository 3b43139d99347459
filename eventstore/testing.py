"""A store in memory that keeps every promise of the real one but durability: for tests and for examples."""

import time
from collections.abc import AsyncIterator, Callable, Sequence

import msgspec

from contracts.envelope import Envelope, NewEvent, blob_hash
from contracts.ledger import Appended, Page
from eventstore.batch import Ledger
from eventstore.errors import BlobMissing
from eventstore.limits import check_append, check_blob
from eventstore.rows import room
from eventstore.sqlite import ALL_BYTES
from eventstore.watch import Watch


class MemoryStore:
    """Events and blobs in memory, behind the protocols `EventStore` and `BlobStore`."""

    def __init__(self, *, clock: Callable[[], float] = time.time, start: int = 0) -> None:
        """A store whose first event has the position behind `start`."""
        self._clock = clock
        self._start = start
        self._ledger = Ledger(start, 0.0)
        self.events: list[Envelope] = []
        """Everything that was appended."""
        self._by_stream: dict[str, list[Envelope]] = {}
        self.blobs: dict[str, bytes] = {}
        """Everything that was put."""
        self._watch = Watch()

    async def append(self, stream: str, expected_version: int, events: Sequence[NewEvent]) -> Appended:
        """Append all or none. Raises what `SqliteStore.append` raises for the same request."""
        check_append(stream, expected_version, events)
        answer, rows = self._ledger.decide(stream, expected_version, events, now=self._clock())
        self.events += rows
        self._by_stream.setdefault(stream, []).extend(rows)
        self._watch.advance(self._ledger.position)
        return answer

    async def read(
        self, stream: str, *, after: int = 0, limit: int = 500, max_bytes: int = ALL_BYTES
    ) -> Page:
        """Events of one stream with version > `after`, in order; an unknown stream is empty."""
        return _page(self._by_stream.get(stream, []), after, limit, max_bytes)

    async def read_all(self, *, after: int = 0, limit: int = 500, max_bytes: int = ALL_BYTES) -> Page:
        """Events with position > `after`, in order."""
        page = _page(self.events, after - self._start, limit, max_bytes)
        return msgspec.structs.replace(page, head=self._ledger.position)

    async def follow(self, *, after: int = 0) -> AsyncIterator[Envelope]:
        """Every event with position > `after`, for ever, in order and without a gap."""
        while True:
            for event in self.events[max(0, after - self._start) :]:
                yield event
                after = event.position
            await self._watch.beyond(after)

    async def grown(self, after: int, *, at_most: float | None = None) -> bool:
        """Wait until the store is beyond a position; False when `at_most` seconds went by without."""
        return await self._watch.beyond(after, at_most=at_most)

    async def streams(self, prefix: str = "") -> tuple[tuple[str, int], ...]:
        """Names and versions of the streams that begin with `prefix`, by name."""
        return tuple(
            (name, len(events)) for name, events in sorted(self._by_stream.items()) if name.startswith(prefix)
        )

    async def put(self, data: bytes) -> str:
        """Store bytes and return their hash."""
        check_blob(len(data))
        name = blob_hash(data)
        self.blobs[name] = bytes(data)
        return name

    async def get(self, hash: str) -> bytes:  # noqa: A002 (the field's own word)
        """The bytes. Raises `BlobMissing`."""
        if hash not in self.blobs:
            raise BlobMissing(hash)
        return self.blobs[hash]

    async def has(self, hashes: Sequence[str]) -> frozenset[str]:
        """Which of these the store holds."""
        return frozenset(hashes) & self.blobs.keys()


def _page(events: list[Envelope], after: int, limit: int, max_bytes: int) -> Page:
    """A page of events whose places are 1, 2, 3 … in this list."""
    after = max(after, 0)
    chosen: list[Envelope] = []
    size = 0
    for event in events[after : after + max(limit, 1)]:
        size += room(event)
        if chosen and size > max_bytes:
            break
        chosen.append(event)
    reached = after + len(chosen)
    return Page(events=tuple(chosen), more=reached < len(events), head=len(events))
