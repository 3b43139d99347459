"""What was written once can be read for ever: examples of every event, never edited, only added to.

`Name.json` is the first way in which an event was written, `Name-2.json` the next, with the fields that came later;
`Name@2.json` is of schema 2.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import msgspec
import pytest

from contracts.envelope import GENESIS, NewEvent, seal
from contracts.events import EVENTS, UPCASTERS, Unknown, decode
from contracts.gate import GateSettings

GOLDEN = Path(__file__).parents[1] / "golden"
EXAMPLES = sorted(path.stem for path in GOLDEN.glob("*.json"))


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


def parts(example: str) -> tuple[str, int]:
    """Type and schema of an example."""
    name, _, schema = example.partition("@")
    return name.partition("-")[0], int(schema or 1)


def stored(name: str, payload: bytes, schema: int = 1) -> Any:
    event = NewEvent(event_id="one", type=name, payload=payload, schema=schema)
    return decode(seal(event, stream="lineage/main", version=1, position=1, at=0.0, prev=GENESIS))


@pytest.mark.parametrize("example", EXAMPLES)
def test_a_stored_event_is_read_as_it_was_written(example: str) -> None:
    name, schema = parts(example)
    payload = (GOLDEN / f"{example}.json").read_bytes()
    event = stored(name, payload, schema)
    assert type(event) is EVENTS[name]
    again = msgspec.json.encode(event)
    today = EVENTS[name].schema
    assert stored(name, again, today) == event
    assert schema < today or holds(msgspec.json.decode(again), msgspec.json.decode(payload))


def test_every_event_type_has_an_example_and_no_example_is_an_orphan() -> None:
    assert {parts(example)[0] for example in EXAMPLES} == EVENTS.keys()


def holds_every_field(cls: type[msgspec.Struct], written: Any, where: str) -> Iterator[str]:
    """Fields that an example leaves out, those of records within records too."""
    for field in msgspec.structs.fields(cls):
        if field.name not in written:
            yield f"{where}.{field.name}"
            continue
        value = written[field.name]
        for kind in (field.type, *get_args(field.type)):
            if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
                for record in value if isinstance(value, list) else [value]:
                    yield from holds_every_field(kind, record, f"{where}.{field.name}")


@pytest.mark.parametrize("name", sorted(EVENTS))
def test_the_latest_example_holds_every_field_that_there_is_today(name: str) -> None:
    """So that a field that is added brings an example with it."""
    latest = max(example for example in EXAMPLES if parts(example)[0] == name)
    written = msgspec.json.decode((GOLDEN / f"{latest}.json").read_bytes())
    assert not list(holds_every_field(EVENTS[name], written, name))


def test_what_was_written_before_a_field_came_means_what_it_meant_then() -> None:
    """A harness is not taken for a simpler one, nor a failure for more, because an old event says nothing of it."""
    proposed: Any = stored("ChangeProposed", (GOLDEN / "ChangeProposed.json").read_bytes())
    analyzed: Any = stored("FailuresAnalyzed", (GOLDEN / "FailuresAnalyzed.json").read_bytes())
    assert proposed.growth == 0
    assert GateSettings().margin(proposed.growth) == 0
    assert (analyzed.fixes, analyzed.places) == ((), {})


def test_an_old_schema_says_the_same_in_todays_words() -> None:
    old, new = (
        stored("HarnessForked", (GOLDEN / f"HarnessForked{mark}.json").read_bytes(), schema)
        for mark, schema in (("", 1), ("@2", 2))
    )
    assert old == new
    assert old.version == 3
    assert isinstance(stored("HarnessForked", (GOLDEN / "HarnessForked@2.json").read_bytes(), 3), Unknown)


def test_every_schema_but_the_last_has_an_upcaster_and_an_example() -> None:
    wanted = {(name, schema) for name, cls in EVENTS.items() for schema in range(1, cls.schema)}
    assert UPCASTERS.keys() == wanted
    assert wanted <= {parts(example) for example in EXAMPLES}


@pytest.mark.parametrize("name", sorted(EVENTS))
def test_an_event_without_a_field_that_has_no_default_is_quarantined(name: str) -> None:
    required = [f for f in msgspec.structs.fields(EVENTS[name]) if f.required]
    fields = msgspec.json.decode((GOLDEN / f"{name}.json").read_bytes())
    del fields[required[0].name]
    assert isinstance(stored(name, msgspec.json.encode(fields)), Unknown)
