"""What was written once can be read for ever: an example of every event, never edited, only added to."""

from pathlib import Path
from typing import Any

import msgspec
import pytest

from contracts.envelope import GENESIS, NewEvent, seal
from contracts.events import EVENTS, Unknown, decode

GOLDEN = Path(__file__).parents[1] / "golden"


def holds(found: Any, written: Any) -> bool:
    """Whether everything that was written is there; fields that came later may stand beside it."""
    if isinstance(written, dict):
        return isinstance(found, dict) and all(k in found and holds(found[k], v) for k, v in written.items())
    if isinstance(written, list):
        return (
            isinstance(found, list)
            and len(found) == len(written)
            and all(holds(a, b) for a, b in zip(found, written, strict=True))
        )
    return type(found) is type(written) and bool(found == written)


def stored(name: str, payload: bytes) -> Any:
    event = NewEvent(event_id="one", type=name, payload=payload)
    return decode(seal(event, stream="lineage/main", version=1, position=1, at=0.0, prev=GENESIS))


@pytest.mark.parametrize("name", sorted(EVENTS))
def test_a_stored_event_is_read_as_it_was_written(name: str) -> None:
    payload = (GOLDEN / f"{name}.json").read_bytes()
    event = stored(name, payload)
    assert type(event) is EVENTS[name]
    again = msgspec.json.encode(event)
    assert stored(name, again) == event
    assert holds(msgspec.json.decode(again), msgspec.json.decode(payload))


def test_every_event_type_has_an_example_and_no_example_is_an_orphan() -> None:
    assert {path.stem for path in GOLDEN.glob("*.json")} == EVENTS.keys()


@pytest.mark.parametrize("name", sorted(EVENTS))
def test_an_event_without_a_field_that_has_no_default_is_quarantined(name: str) -> None:
    required = [f for f in msgspec.structs.fields(EVENTS[name]) if f.required]
    fields = msgspec.json.decode((GOLDEN / f"{name}.json").read_bytes())
    del fields[required[0].name]
    assert isinstance(stored(name, msgspec.json.encode(fields)), Unknown)
