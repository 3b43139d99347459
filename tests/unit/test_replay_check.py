"""Living through a ledger again finds every score, figure and hash that does not fit."""

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from contracts import events as e
from contracts.envelope import GENESIS, Envelope, NewEvent, seal
from contracts.gate import ArmScores
from contracts.lineage import Lineage, fold, state_hash
from contracts.settings import CampaignSettings, Spent
from eventstore.audit.archive import Snapshot
from eventstore.audit.replay import CheckReport, check
from eventstore.audit.testing import GATE, forge, snapshot, synthetic_campaign
from eventstore.audit.verdicts import VERDICTS
from eventstore.testing import MemoryStore

quick = settings(max_examples=30, deadline=None, database=None, suppress_health_check=[HealthCheck.too_slow])


def campaign(**options: Any) -> Snapshot:
    async def play() -> Snapshot:
        store = MemoryStore()
        await synthetic_campaign(store, **options)
        return await snapshot(store)

    return asyncio.run(play())


@pytest.fixture(scope="module")
def archive() -> Snapshot:
    return campaign(rounds=6, seed=6)


def replaced(event: e.Event, **fields: Any) -> e.Event:
    return msgspec.structs.replace(event, **fields)


def positions(archive: Snapshot, *kinds: type[e.Event]) -> list[int]:
    return [event.position for event in archive.all if event.type in {kind.__name__ for kind in kinds}]


def first(report: CheckReport) -> tuple[int, str]:
    assert report.first is not None, "nothing was found"
    return report.first.position, report.first.reason


@quick
@given(
    rounds=st.integers(0, 5),
    seed=st.integers(0, 10_000),
    approve=st.sampled_from(["never", "keeps"]),
    finish=st.booleans(),
    ablate=st.booleans(),
)
def test_what_was_lived_through_fits(
    rounds: int, seed: int, approve: Any, finish: bool, ablate: bool
) -> None:
    asked = CampaignSettings(gate=GATE, null_every=2, release_seeds=4, approve=approve)
    archive = campaign(rounds=rounds, seed=seed, settings=asked, finish=finish, ablate=ablate)
    report = check(archive)
    assert report.ok, report.first
    assert report.events == len(archive.all)
    assert report.hashes == len(positions(archive, e.RoundClosed))
    assert report.verdicts == len(positions(archive, *VERDICTS))


def put(event: e.Event, field: str, arm: ArmScores) -> e.Event:
    return replaced(event, **{field: arm})


def put_among(event: e.Event, field: str, index: int, arm: ArmScores) -> e.Event:
    row = list(getattr(event, field))
    row[index] = msgspec.structs.replace(row[index], arm=arm)
    return replaced(event, **{field: tuple(row)})


def arms(event: e.Event) -> list[tuple[Callable[[ArmScores], e.Event], ArmScores]]:
    """Every arm of an event whose scores a recorded figure follows from, with how to put another in its place.

    Of a null comparison these are the confirmed arms: its race leaves no figures but the winner.
    """
    found: list[tuple[Callable[[ArmScores], e.Event], ArmScores]] = []
    for field in event.__struct_fields__:
        value = getattr(event, field)
        if field in {"raced", "incumbent_race"}:
            continue
        if isinstance(value, ArmScores) and value.scores:
            found.append((partial(put, event, field), value))
        if isinstance(value, tuple) and value and isinstance(value[0], e.CandidateScores):
            found += [(partial(put_among, event, field, i), scores.arm) for i, scores in enumerate(value)]
    return found


@quick
@given(data=st.data())
def test_any_flipped_score_is_found_where_it_stands_though_all_hashes_were_made_to_fit(
    archive: Snapshot, data: st.DataObject
) -> None:
    position = data.draw(st.sampled_from(positions(archive, *VERDICTS)))
    envelope = archive.event(position)
    assert envelope is not None
    choices = arms(e.decode(envelope))
    if not choices:
        return
    swap, arm = data.draw(st.sampled_from(choices))
    task = data.draw(st.integers(0, len(arm.scores) - 1))
    seed = data.draw(st.integers(0, len(arm.scores[task]) - 1))
    rows = [list(row) for row in arm.scores]
    rows[task][seed] = 1.0 if rows[task][seed] == 0.0 else 0.0
    flipped = msgspec.structs.replace(arm, scores=tuple(map(tuple, rows)))
    forged = forge(archive, position, lambda _: swap(flipped), rehash=True)
    assert first(check(forged))[0] == position


@quick
@given(data=st.data())
def test_any_change_of_any_event_of_a_closed_round_is_found(archive: Snapshot, data: st.DataObject) -> None:
    """The chain is sealed anew, but the hashes of the states that were lived through are not."""
    last = positions(archive, e.RoundClosed)[-1]
    position = data.draw(st.integers(1, last - 1))
    forged = forge(archive, position, harmless)
    found, _ = first(check(forged))
    assert position <= found <= last


def harmless(event: e.Event) -> e.Event:
    """Change a text that no decision depends on."""
    for field in ("reason", "summary", "headline", "patch", "origin", "fingerprint", "state_hash"):
        if isinstance(getattr(event, field, None), str):
            return replaced(event, **{field: getattr(event, field) + "!"})
    if isinstance(event, e.RoundOpened):
        return replaced(event, tree=event.tree[::-1])
    if isinstance(event, e.ChangePlanned):
        return replaced(event, plan=msgspec.structs.replace(event.plan, evidence="none"))
    if isinstance(event, e.ChangeConfirmed | e.NullArmMeasured):
        return replaced(event, verdict=msgspec.structs.replace(event.verdict, reason="because"))
    if isinstance(event, e.HeadReset):
        return replaced(event, by="monitor")
    raise AssertionError(type(event))


@quick
@given(data=st.data())
def test_any_flipped_byte_that_was_not_sealed_anew_is_found_at_once(
    archive: Snapshot, data: st.DataObject
) -> None:
    position = data.draw(st.sampled_from([event.position for event in archive.all]))
    events = list(archive.all)
    old = events[position - 1]
    at = data.draw(st.integers(0, len(old.payload) - 1))
    payload = bytearray(old.payload)
    payload[at] ^= 1
    events[position - 1] = msgspec.structs.replace(old, payload=bytes(payload))
    assert first(check(Snapshot(events, {})))[0] == position


def test_a_flipped_state_hash_is_found(archive: Snapshot) -> None:
    for position in positions(archive, e.RoundClosed):
        forged = forge(archive, position, lambda event: replaced(event, state_hash="0" * 64))
        found, reason = first(check(forged))
        assert found == position
        assert "folded from nothing" in reason
        assert check(forged).states_only


def test_a_hash_that_an_impure_fold_produced_is_found(archive: Snapshot) -> None:
    """An agent whose fold remembers something that is not in the ledger closes a round."""
    ticks = iter(range(10_000))

    def impure(state: Lineage, envelope: Envelope) -> Lineage:
        state = fold(state, envelope)
        return msgspec.structs.replace(state, nulls=state.nulls + (next(ticks) % 7 == 0))

    position = positions(archive, e.RoundClosed)[-1]
    lived = Lineage()
    for envelope in archive.all[: position - 1]:
        lived = impure(lived, envelope)
    before = archive.all[position - 2]
    closed = e.decode(archive.all[position - 1])
    assert isinstance(closed, e.RoundClosed)
    assert state_hash(lived) != closed.state_hash
    wrong = e.encode(
        replaced(closed, state_hash=state_hash(lived)), duty="c1/6/close", index=0, actor="p", correlation=""
    )
    envelope = seal(
        wrong,
        stream=before.stream,
        version=before.version + 1,
        position=position,
        at=before.at,
        prev=before.hash,
    )
    report = check(Snapshot((*archive.all[: position - 1], envelope), {}))
    assert first(report)[0] == position
    assert report.first is not None
    assert (report.first.type, report.first.version) == ("RoundClosed", before.version + 1)


def test_a_hash_of_a_state_that_was_not_there_yet_is_found(archive: Snapshot) -> None:
    position = positions(archive, e.RoundClosed)[0]
    forged = forge(archive, position, lambda event: replaced(event, state_version=10_000))
    assert "was not there yet" in first(check(forged))[1]


@pytest.mark.parametrize(
    ("kind", "field", "value", "says"),
    [
        ("ChangeConfirmed", "effect", 0.9, "verdict's effect is recorded as 0.9"),
        ("ChangeConfirmed", "p", 0.0001, "verdict's p is recorded as 0.0001"),
        ("NullArmMeasured", "decision", "inconclusive", "null arm's verdict's decision"),
        ("SealedQueried", "alpha", 0.5, "release verdict's alpha"),
    ],
)
def test_a_flattered_verdict_is_found(
    archive: Snapshot, kind: str, field: str, value: object, says: str
) -> None:
    def flatter(event: Any) -> e.Event:
        return replaced(event, verdict=msgspec.structs.replace(event.verdict, **{field: value}))

    position = positions(archive, e.EVENTS[kind])[0]
    found, reason = first(check(forge(archive, position, flatter, rehash=True)))
    assert found == position
    assert says in reason


def test_a_race_may_say_more_than_its_rule_but_nothing_else(archive: Snapshot) -> None:
    position = positions(archive, e.CandidatesRaced)[0]
    more = forge(
        archive,
        position,
        lambda event: replaced(event, reason=f"{event.reason} 2 changes showed no effect."),  # type: ignore[attr-defined]
        rehash=True,
    )
    assert position not in {misfit.position for misfit in check(more).misfits}
    less = forge(archive, position, lambda event: replaced(event, reason="It won."), rehash=True)
    assert "race's reason" in first(check(less))[1]


def test_decisions_against_their_verdicts_are_found(archive: Snapshot) -> None:
    kept = positions(archive, e.ChangeKept)[0]
    against = forge(archive, kept, lambda event: replaced(event, tree=archive_seed(archive)), rehash=True)
    assert "another change was kept" in first(check(against))[1]
    last = positions(archive, e.CampaignFinished)[0]
    cheap = forge(archive, last, lambda event: replaced(event, spent=Spent()), rehash=True)
    assert "account of what was spent" in first(check(cheap))[1]


def archive_seed(archive: Snapshot) -> str:
    seeded = e.decode(archive.all[0])
    assert isinstance(seeded, e.HarnessSeeded)
    return seeded.tree


def test_the_winners_own_seeds_may_not_confirm_it(archive: Snapshot) -> None:
    executed = e.decode(archive.all[positions(archive, e.TasksExecuted)[0] - 1])
    assert isinstance(executed, e.TasksExecuted)

    def reuse(event: Any) -> e.Event:
        return replaced(event, seeds=(executed.seeds[0], *event.seeds[1:]))

    position = positions(archive, e.ChangeConfirmed)[0]
    assert "seeds on which the winner had been chosen" in first(check(forge(archive, position, reuse)))[1]


@pytest.fixture(scope="module")
def simpler() -> Snapshot:
    """A campaign whose gate keeps simpler candidates that are worse, within a wide margin."""
    rule = msgspec.structs.replace(GATE, equivalence=0.5)
    return campaign(rounds=6, seed=2, settings=CampaignSettings(gate=rule), mishaps=False, ablate=True)


def kept_for_being_simpler(archive: Snapshot) -> list[int]:
    found = [e.decode(archive.all[position - 1]) for position in positions(archive, e.ChangeConfirmed)]
    return [
        position
        for position, event in zip(positions(archive, e.ChangeConfirmed), found, strict=True)
        if isinstance(event, e.ChangeConfirmed)
        and event.verdict.decision == "keep"
        and event.verdict.effect < GATE.minimum_effect
    ]


def test_verdicts_on_simpler_candidates_are_recomputed(simpler: Snapshot) -> None:
    assert kept_for_being_simpler(simpler), "the campaign holds none"
    assert check(simpler).ok


def test_a_candidate_that_was_called_simpler_afterwards_is_found(simpler: Snapshot) -> None:
    """The growth that the patcher measured decides the race and the verdict; another one does not fit them."""
    for position in kept_for_being_simpler(simpler):
        confirmed = e.decode(simpler.all[position - 1])
        assert isinstance(confirmed, e.ChangeConfirmed)
        [proposal] = [
            at
            for at in positions(simpler, e.ChangeProposed)
            for event in [e.decode(simpler.all[at - 1])]
            if isinstance(event, e.ChangeProposed)
            and (event.round, event.candidate) == (confirmed.round, confirmed.candidate)
        ]
        forged = forge(simpler, proposal, lambda event: replaced(event, growth=1), rehash=True)
        assert proposal < first(check(forged))[0] <= position


@pytest.mark.parametrize("growth", [0, 40])
def test_a_growth_that_does_not_follow_from_the_files_is_found_where_it_stands(growth: int) -> None:
    async def play() -> Snapshot:
        store = MemoryStore()
        await synthetic_campaign(store, rounds=3, seed=2, mishaps=False, ablate=True)
        return await snapshot(store, dict(store.blobs))

    whole = asyncio.run(play())
    assert check(whole).ok
    for position in positions(whole, e.ChangeProposed):
        forged = forge(whole, position, lambda event: replaced(event, growth=growth), rehash=True)
        found, reason = first(check(forged))
        assert found == position
        assert f"growth is recorded as {growth}, its files give" in reason
        bare = check(Snapshot(forged.all, {}))
        assert bare.ok or first(bare)[0] > position, "without the files only what follows from it can tell"


def test_what_was_proposed_before_growth_was_told_is_not_blamed() -> None:
    async def play() -> Snapshot:
        store = MemoryStore()
        await synthetic_campaign(store, rounds=1, seed=2, mishaps=False, finish=False)
        return await snapshot(store, dict(store.blobs))

    whole = asyncio.run(play())
    events, prev = [], b""
    for old in whole.all:
        fields = msgspec.json.decode(old.payload)
        fields.pop("growth", None)
        new = NewEvent(event_id=old.event_id, type=old.type, payload=msgspec.json.encode(fields))
        sealed = seal(
            new,
            stream=old.stream,
            version=old.version,
            position=old.position,
            at=old.at,
            prev=prev or GENESIS,
        )
        prev = sealed.hash
        events.append(sealed)
    assert check(Snapshot(events, whole.blobs)).ok


def test_every_lineage_is_checked() -> None:
    async def play() -> Snapshot:
        store = MemoryStore()
        await synthetic_campaign(store, rounds=2, seed=1)
        await synthetic_campaign(store, rounds=2, seed=1, name="other")
        return await snapshot(store)

    archive = asyncio.run(play())
    report = check(archive)
    assert report.ok
    assert report.streams == 2
    other = [event.position for event in archive.all if event.stream == "lineage/other"]
    closed = next(p for p in positions(archive, e.RoundClosed) if p in other)
    forged = forge(archive, closed, lambda event: replaced(event, state_hash="f" * 64))
    found = check(forged).first
    assert found is not None
    assert (found.stream, found.position) == ("lineage/other", closed)


def test_nothing_fits_trivially_into_an_empty_ledger() -> None:
    assert check(Snapshot((), {})) == CheckReport(streams=0, events=0, hashes=0, verdicts=0)
