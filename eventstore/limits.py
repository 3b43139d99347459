"""What the ledger takes, whichever store keeps it, and how an append is judged before it is written."""

import re
from collections.abc import Sequence

from contracts.envelope import NewEvent
from contracts.ledger import ANY
from eventstore.errors import Malformed, TooLarge

MAX_EVENT = 640 * 1024
"""Bytes of one event's payload: with its envelope it must fit in one message, whatever the route."""
MAX_BLOB = 128 * 1024 * 1024
"""Bytes of one blob."""
MAX_EVENTS = 10_000
"""Events of one append."""
PAGE_BYTES = 700 * 1000
"""Bytes of events in one page of the service; a message holds 1 MiB."""
PAGE_EVENTS = 10_000
"""Events in one page."""

_STREAM = re.compile(r"[^\s/\x00-\x1f\x7f]+(/[^\s/\x00-\x1f\x7f]+)*\Z")
_HASH = re.compile(r"[0-9a-f]{64}\Z")


def check_append(stream: str, expected_version: int, events: Sequence[NewEvent]) -> None:
    """Raise `Malformed` or `TooLarge` for an append that no store should take."""
    if not _STREAM.match(stream) or len(stream) > 200:
        raise Malformed(f"stream name {stream[:80]!r}: want words joined by '/', up to 200 characters")
    if expected_version < ANY:
        raise Malformed(f"expected version {expected_version}: want 0 or more, or ANY ({ANY})")
    if not 1 <= len(events) <= MAX_EVENTS:
        raise Malformed(f"{len(events)} events in one append: want 1 to {MAX_EVENTS}")
    if len({event.event_id for event in events}) != len(events):
        raise Malformed("two events of one append have the same id")
    for event in events:
        check_event(event)


def check_event(event: NewEvent) -> None:
    """Raise for an event that no store should take."""
    if not event.event_id or len(event.event_id) > 200:
        raise Malformed("an event needs an id of 1 to 200 characters")
    if not event.type or len(event.type) > 200:
        raise Malformed(f"event {event.event_id} needs a type of 1 to 200 characters")
    if not 0 <= event.schema < 1 << 31:
        raise Malformed(f"event {event.event_id} has the schema number {event.schema}")
    rest = (event.actor, event.causation, event.correlation, event.traceparent)
    if any(len(text) > 1000 for text in rest):
        raise Malformed(f"event {event.event_id} has a field of more than 1000 characters beside its payload")
    if len(event.payload) > MAX_EVENT:
        raise TooLarge(
            f"event {event.event_id} has {len(event.payload)} bytes of payload, {MAX_EVENT} are allowed: "
            "put what is big into a blob and let the event name its hash"
        )


def check_blob(size: int) -> None:
    """Raise for a blob that no store should take."""
    if size > MAX_BLOB:
        raise TooLarge(f"a blob of {size} bytes, {MAX_BLOB} are allowed: split it")


def is_hash(text: str) -> bool:
    """Whether a text is a blob's hash: 64 lowercase hexadecimal digits."""
    return bool(_HASH.match(text))
