import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts import events as e
from contracts.envelope import (
    GENESIS,
    Envelope,
    NewEvent,
    blob_hash,
    chain_hash,
    event_id,
    seal,
    tree_bytes,
)

EVENT = NewEvent(
    event_id="id",
    type="HeadReset",
    payload=b'{"tree":"t","reason":"r"}',
    schema=1,
    actor="cli",
    causation="duty",
    correlation="c1",
    traceparent="00-aa-bb-01",
)
SEALED = seal(EVENT, stream="lineage/main", version=2, position=7, at=12.5, prev=bytes(range(32)))

OTHERS = {
    "event_id": "other",
    "stream": "lineage/mean",
    "version": 3,
    "type": "HeadReseT",
    "schema": 2,
    "at": 12.500001,
    "actor": "",
    "causation": "duty ",
    "correlation": "c2",
    "traceparent": "00-aa-bb-00",
    "prev_hash": GENESIS,
    "hash": GENESIS,
    "payload": b'{"tree":"t","reason":"R"}',
}


def test_what_was_sealed_is_sound() -> None:
    assert SEALED.sound
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(SEALED), type=Envelope).sound


@pytest.mark.parametrize("field", OTHERS)
def test_a_change_of_any_field_shows(field: str) -> None:
    assert getattr(SEALED, field) != OTHERS[field]
    assert not msgspec.structs.replace(SEALED, **{field: OTHERS[field]}).sound


def test_the_hash_covers_every_field_but_the_position_which_only_a_store_knows() -> None:
    assert set(Envelope.__struct_fields__) == OTHERS.keys() | {"position"}
    assert msgspec.structs.replace(SEALED, position=8).sound


@pytest.mark.parametrize("field", NewEvent.__struct_fields__)
def test_a_store_keeps_every_field_of_a_new_event(field: str) -> None:
    assert getattr(SEALED, field) == getattr(EVENT, field)


texts = st.text(max_size=8)


@given(texts, texts, texts, texts, st.binary(max_size=8), st.binary(max_size=8))
def test_text_cannot_move_from_one_field_to_the_next(
    actor: str, causation: str, other: str, another: str, payload: bytes, more: bytes
) -> None:
    first = msgspec.structs.replace(EVENT, actor=actor, causation=causation, payload=payload)
    second = msgspec.structs.replace(EVENT, actor=other, causation=another, payload=more)
    hashes = [chain_hash(GENESIS, "s", 1, 0.0, event) for event in (first, second)]
    assert (hashes[0] == hashes[1]) == (first == second)


def test_a_chain_depends_on_every_event_before() -> None:
    def chain(*payloads: bytes) -> bytes:
        prev = GENESIS
        for version, payload in enumerate(payloads, 1):
            event = msgspec.structs.replace(EVENT, payload=payload)
            prev = seal(event, stream="s", version=version, position=version, at=0.0, prev=prev).hash
        return prev

    assert chain(b"a", b"b", b"c") == chain(b"a", b"b", b"c")
    assert (
        len({chain(b"a", b"b", b"c"), chain(b"A", b"b", b"c"), chain(b"b", b"a", b"c"), chain(b"a", b"c")})
        == 4
    )


def test_ids_of_events_follow_from_the_duty() -> None:
    assert event_id("c/1/plan", "ChangePlanned", 0) == event_id("c/1/plan", "ChangePlanned", 0)
    assert event_id("c/1/plan", "ChangePlanned", 0) == "77b14139-d4a3-5c03-95aa-e4e272512168"
    ids = {
        event_id(duty, kind, index)
        for duty in ("c/1/plan", "c/11/plan", "c/1/plan1")
        for kind in ("ChangePlanned", "ChangeKept")
        for index in (0, 1, 10)
    }
    assert len(ids) == 18


def test_an_answer_given_twice_has_the_same_ids() -> None:
    event = e.HeadReset(tree="t", reason="r")
    once, twice = (
        e.encode(event, duty="d", index=0, actor=actor, correlation="c", trace=trace)
        for actor, trace in (("one", ""), ("two", "00-11-22-01"))
    )
    assert once.event_id == twice.event_id
    assert once.causation == "d"


@pytest.mark.parametrize("name", e.EVENTS)
def test_every_event_has_a_type_of_its_own_name(name: str) -> None:
    assert name in e.__all__
    assert e.EVENTS[name].__name__ == name
    assert e.EVENTS[name].__doc__


@pytest.mark.parametrize(
    ("type_", "schema", "payload", "reason"),
    [
        ("HeadTurned", 1, b"{}", "knows no such type"),
        ("Unknown", 1, b'{"type":"x","reason":"y"}', "knows no such type"),
        ("HeadReset", 2, b"{}", "newer than"),
        ("HeadReset", 0, b"{}", "does not fit"),
        ("HeadReset", 1, b"{}", "does not fit"),
        ("HeadReset", 1, b'{"tree": 5, "reason": "r"}', "does not fit"),
        ("HeadReset", 1, b"[", "does not fit"),
        ("HeadReset", 1, b"\xff", "does not fit"),
        ("CampaignRequested", 1, b'{"campaign":"c","settings":{"gate":{"alpha":7}}}', "does not fit"),
    ],
)
def test_what_cannot_be_understood_is_kept_as_unknown(
    type_: str, schema: int, payload: bytes, reason: str
) -> None:
    found = e.decode(msgspec.structs.replace(SEALED, type=type_, schema=schema, payload=payload))
    assert isinstance(found, e.Unknown)
    assert found.type == type_
    assert reason in found.reason


def test_a_field_of_a_later_version_is_no_obstacle() -> None:
    payload = b'{"tree":"t","reason":"r","mood":"good"}'
    assert e.decode(msgspec.structs.replace(SEALED, payload=payload)) == e.HeadReset(tree="t", reason="r")


def test_a_tree_has_one_form() -> None:
    assert tree_bytes({"b": "2", "a": "1"}) == tree_bytes({"a": "1", "b": "2"}) == b'{"a":"1","b":"2"}'
    assert blob_hash(b"") == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
