"""How agents speak with the ledger: the two protocols of a store, and the messages of its service.

Requests and replies are msgpack. A request goes to the subject of its kind below `ledger.`; the reply is the
kind's own reply record, or a `Refusal`.
"""

from collections.abc import AsyncIterator, Sequence
from typing import Literal, Protocol

from contracts.envelope import Envelope, NewEvent
from contracts.record import Record

ANY = -1
"""As an expected version: append whatever the stream's version is."""


class Append(Record, tag="append"):
    """Append events to one stream, all or none, if the stream is at `expected_version` (`ANY`: whatever it is).

    Idempotent for ever: if the first event's id is stored already, all of them are, and the stored versions are
    answered as if they had been written now.
    """

    stream: str
    expected_version: int
    events: tuple[NewEvent, ...]


class Appended(Record, tag="appended"):
    """The events are durable."""

    stream: str
    version: int
    """The stream's version after the last of the events."""
    position: int
    """The ledger's position of the last of the events."""
    repeated: bool = False
    """Whether they had been stored before."""


class Read(Record, tag="read"):
    """Read a stream from `after` (exclusive) on, or the whole ledger in position order when `stream` is empty."""

    stream: str = ""
    after: int = 0
    limit: int = 500


class Page(Record, tag="page"):
    """A page of events; `more` when the store holds further ones. Kept below a message's size by the service."""

    events: tuple[Envelope, ...]
    more: bool
    head: int
    """Version of the stream's last event (or the ledger's last position)."""


class Streams(Record, tag="streams"):
    """List the streams whose name begins with `prefix` and comes behind `after` in order."""

    prefix: str = ""
    after: str = ""


class StreamList(Record, tag="stream_list"):
    """Stream names with their versions, sorted by name; `more` when there are further ones behind the last."""

    streams: tuple[tuple[str, int], ...]
    more: bool = False


class BlobPut(Record, tag="blob_put"):
    """Store a chunk of a blob. The last chunk completes it; a blob whose hash does not fit is refused whole."""

    hash: str
    index: int
    total: int
    data: bytes


class BlobGet(Record, tag="blob_get"):
    """Read a chunk of a blob."""

    hash: str
    index: int = 0


class BlobHas(Record, tag="blob_has"):
    """Which of these blobs does the store hold?"""

    hashes: tuple[str, ...]


class BlobChunk(Record, tag="blob_chunk"):
    """A chunk of a blob."""

    hash: str
    index: int
    total: int
    data: bytes


class BlobList(Record, tag="blob_list"):
    """The blobs that the store holds, of those asked for (or the one just stored)."""

    hashes: tuple[str, ...]


class SnapshotGet(Record, tag="snapshot_get"):
    """Is there a snapshot of this stream's folded state?"""

    stream: str


class Snapshot(Record, tag="snapshot"):
    """A folded state, to go on from; an empty one (version 0) where there is none."""

    stream: str
    version: int = 0
    """The version of the last event folded."""
    code: str = ""
    """What folded it: only the same code may go on from it."""
    state: bytes = b""
    """The state as msgpack."""


class Sign(Record, tag="sign"):
    """Sign a checkpoint over everything that is stored at this moment."""


class Signed(Record, tag="signed"):
    """A checkpoint that was signed and stored."""

    position: int
    """The last position that it covers."""
    checkpoint: str
    key: str
    """The public key."""


class Refusal(Record, tag="refusal"):
    """A request that the ledger could not serve, and why."""

    kind: Literal["conflict", "missing", "malformed", "full", "read_only", "too_large", "closed", "internal"]
    message: str
    version: int = 0
    """For a conflict: the version that the stream really has."""


LedgerRequest = Append | Read | Streams | BlobPut | BlobGet | BlobHas | SnapshotGet | Sign
LedgerReply = Appended | Page | StreamList | BlobChunk | BlobList | Snapshot | Signed | Refusal

CHUNK = 512 * 1024
"""Bytes of a blob in one message; a NATS message holds at most 1 MiB."""


class StreamReader(Protocol):
    """Who has streams of events."""

    async def read(self, stream: str, *, after: int = 0, limit: int = 500) -> Page:
        """Events of one stream with version > `after`, in order; an unknown stream is empty."""
        ...


async def stream_events(source: StreamReader, stream: str, *, after: int = 0) -> AsyncIterator[Envelope]:
    """All events of one stream with version > `after`, in order, read page by page."""
    more = True
    while more:
        page = await source.read(stream, after=after)
        for envelope in page.events:
            yield envelope
            after = envelope.version
        more = page.more


class EventStore(StreamReader, Protocol):
    """An append-only store of events in streams. Raises the errors of `eventstore.errors`."""

    async def append(self, stream: str, expected_version: int, events: Sequence[NewEvent]) -> Appended:
        """Append all or none; durable when it returns. Raises `Conflict` when the stream is at another version."""
        ...

    async def read_all(self, *, after: int = 0, limit: int = 500) -> Page:
        """Events of the ledger with position > `after`, in order."""
        ...

    def follow(self, *, after: int = 0) -> AsyncIterator[Envelope]:
        """Every event with position > `after`, for ever, in order and without a gap."""
        ...

    async def streams(self, prefix: str = "") -> tuple[tuple[str, int], ...]:
        """Names and versions of the streams that begin with `prefix`."""
        ...


class BlobStore(Protocol):
    """A content-addressed store of bytes."""

    async def put(self, data: bytes) -> str:
        """Store bytes and return their hash; durable when it returns."""
        ...

    async def get(self, hash: str) -> bytes:  # noqa: A002 (the field's own word)
        """The bytes, checked against their hash. Raises `BlobMissing`."""
        ...

    async def has(self, hashes: Sequence[str]) -> frozenset[str]:
        """Which of these the store holds."""
        ...


class PackedBlob(Record):
    """A blob as a store keeps it."""

    hash: str
    length: int
    codec: str
    data: bytes


class Commit(Record):
    """One transaction of a replicated ledger, as its log keeps it (msgpack)."""

    base: int
    """The ledger's last position before it."""
    events: tuple[Envelope, ...] = ()
    """With the positions `base + 1` and on."""
    blobs: tuple[PackedBlob, ...] = ()
