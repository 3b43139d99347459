"""The envelope around every event, and the chain of hashes that ties the events of one stream together."""

import hashlib
import uuid
from collections.abc import Mapping

import msgspec

from contracts.record import Record

GENESIS = bytes(32)
"""The `prev_hash` of the first event of every stream."""

_NAMESPACE = uuid.UUID("5f0b9a50-6a3c-5c0e-9a57-0c2d1f6b8e11")


_encode = msgspec.msgpack.Encoder().encode


class NewEvent(Record):
    """An event as an agent hands it in: everything but what only the ledger can know."""

    event_id: str
    type: str
    payload: bytes
    """The event's own fields as JSON; stored as they are and never re-encoded."""
    schema: int = 1
    actor: str = ""
    causation: str = ""
    """Id of the event or duty that this one follows from."""
    correlation: str = ""
    """What belongs together: the campaign's or the task's id."""
    traceparent: str = ""
    """W3C trace context of the work that led to the event; empty when tracing is off."""


class Envelope(Record):
    """An event as the ledger holds it."""

    event_id: str
    stream: str
    version: int
    """1-based place in its stream."""
    position: int
    """1-based place in the ledger; increases, and has no gaps on SQLite."""
    type: str
    schema: int
    at: float
    """When it was stored: seconds since the epoch, by the ledger's clock."""
    actor: str
    causation: str
    correlation: str
    traceparent: str
    prev_hash: bytes
    hash: bytes
    payload: bytes

    @property
    def sound(self) -> bool:
        """Whether the hash is the one that follows from the other fields."""
        return self.hash == chain_hash(self.prev_hash, self.stream, self.version, self.at, self)


def event_id(duty: str, kind: str, index: int) -> str:
    """The id of the `index`-th event of type `kind` that answers a duty: the same however often it is retried."""
    return str(uuid.uuid5(_NAMESPACE, f"{duty}\x1f{kind}\x1f{index}"))


def chain_hash(prev: bytes, stream: str, version: int, at: float, event: NewEvent | Envelope) -> bytes:
    """SHA-256 over the previous hash and every stored field but the position, which only a store can know."""
    header = _encode(
        (
            stream,
            version,
            at,
            event.event_id,
            event.type,
            event.schema,
            event.actor,
            event.causation,
            event.correlation,
            event.traceparent,
        )
    )
    return hashlib.sha256(b"".join((prev, len(header).to_bytes(4, "big"), header, event.payload))).digest()


def seal(event: NewEvent, *, stream: str, version: int, position: int, at: float, prev: bytes) -> Envelope:
    """The envelope under which a store keeps a new event."""
    return Envelope(
        event_id=event.event_id,
        stream=stream,
        version=version,
        position=position,
        type=event.type,
        schema=event.schema,
        at=at,
        actor=event.actor,
        causation=event.causation,
        correlation=event.correlation,
        traceparent=event.traceparent,
        prev_hash=prev,
        hash=chain_hash(prev, stream, version, at, event),
        payload=event.payload,
    )


def blob_hash(data: bytes) -> str:
    """The name under which a blob is kept: SHA-256 in hex."""
    return hashlib.sha256(data).hexdigest()


def tree_bytes(entries: Mapping[str, str]) -> bytes:
    """The canonical bytes of a tree (path → blob hash); the tree's own hash is `blob_hash` of them."""
    return msgspec.json.encode(dict(sorted(entries.items())))
