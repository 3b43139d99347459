"""What is gathered of a lineage: every round whole, and the sums as the campaign's own."""

import asyncio
from functools import reduce
from pathlib import Path

import msgspec
import pytest

from contracts.envelope import NewEvent, seal
from contracts.lineage import state_hash
from contracts.settings import CampaignSettings, Spent
from eventstore.audit.archive import Snapshot
from eventstore.audit.errors import NotInLedger
from eventstore.audit.history import read_lineage
from eventstore.audit.replay import replay
from eventstore.audit.rounds import History, mean_score
from eventstore.audit.testing import GATE, snapshot, synthetic_campaign
from eventstore.errors import StoreMissing, Tampered
from eventstore.sqlite import SqliteStore
from eventstore.testing import MemoryStore


def campaign(**options: object) -> Snapshot:
    async def play() -> Snapshot:
        store = MemoryStore()
        await synthetic_campaign(store, **options)  # type: ignore[arg-type]
        return await snapshot(store)

    return asyncio.run(play())


@pytest.fixture(scope="module")
def archive() -> Snapshot:
    return campaign(rounds=8, seed=6)


@pytest.fixture(scope="module")
def history(archive: Snapshot) -> History:
    return read_lineage(archive)


def test_every_round_is_there_with_what_it_came_to(history: History) -> None:
    assert [round_.number for round_ in history.rounds] == list(range(1, 9))
    summaries = history.state.history
    assert [round_.decision for round_ in history.rounds] == [summary.decision for summary in summaries]
    for round_, summary in zip(history.rounds, summaries, strict=True):
        assert round_.tree == summary.tree
        assert round_.reason == summary.reason
        assert (round_.best.plan.title if round_.best else "") == summary.title
        if round_.confirmed is not None:
            assert round_.confirmed.verdict.effect == summary.effect
        assert round_.closed is not None
        assert round_.lesson is not None
        assert round_.executed is not None


def test_every_event_of_a_round_has_its_place_and_belongs_to_it_alone(
    history: History, archive: Snapshot
) -> None:
    of_rounds = [mark.position for round_ in history.rounds for mark in round_.marks]
    assert of_rounds == sorted(set(of_rounds))
    opened = [event.position for event in archive.all if event.type == "RoundOpened"]
    assert [round_.marks[0].position for round_ in history.rounds] == opened
    for round_ in history.rounds:
        assert [mark.type for mark in round_.marks].count("ChangePlanned") == len(round_.candidates)
        assert round_.marks[-1].type == "RoundClosed"
        assert history.round_at(round_.marks[3].position) == round_


def test_what_the_rounds_and_the_releases_spent_is_what_the_campaign_spent(history: History) -> None:
    spent = reduce(Spent.__add__, (round_.spent for round_ in history.rounds), Spent())
    (told,) = history.campaigns
    for release in told.releases:
        assert release.queried is not None
        spent += release.queried.spent
    assert msgspec.structs.replace(told.spent, seconds=0.0) == msgspec.structs.replace(spent, seconds=0.0)
    assert told.spent.seconds == pytest.approx(spent.seconds)
    assert history.state.campaign is not None
    assert told.spent == history.state.campaign.spent


def test_versions_name_the_round_that_brought_them_and_its_effect(history: History) -> None:
    assert [version.tree for version in history.versions] == [v.tree for v in history.state.versions]
    assert history.versions[0].origin == "seed"
    kept = [version for version in history.versions if version.origin == "round"]
    assert kept
    assert [v.round for v in kept] == [r.number for r in history.rounds if r.decision == "kept"]
    assert all(version.effect is not None and version.effect > 0 for version in kept)


def test_heads_follow_the_decisions(history: History) -> None:
    for round_ in history.rounds:
        if round_.decision == "kept":
            assert round_.best is not None
            assert round_.head == round_.best.tree


def test_approvals_and_their_answers_are_told() -> None:
    settings = CampaignSettings(approve="keeps", gate=GATE, null_every=0)
    history = read_lineage(campaign(rounds=8, seed=7, settings=settings, mishaps=False))
    asked = [round_.approval for round_ in history.rounds if round_.approval is not None]
    assert {approval.status for approval in asked} <= {"granted", "denied"}
    assert asked
    for round_ in history.rounds:
        if round_.approval is not None:
            assert round_.decision == ("kept" if round_.approval.status == "granted" else "reverted")
            assert round_.approval.by == "ada"


def test_null_arms_and_releases_are_told(history: History) -> None:
    nulls = [round_.null for round_ in history.rounds if round_.null is not None]
    assert len(nulls) == history.state.nulls > 0
    (release,) = history.campaigns[0].releases
    assert release.outcome in {"released", "refused"}
    assert (release.outcome == "released") == (history.state.released == release.tree)


def test_two_campaigns_of_one_lineage_are_told_apart() -> None:
    async def play() -> Snapshot:
        store = MemoryStore()
        await synthetic_campaign(store, rounds=2, seed=1)
        await synthetic_campaign(store, rounds=3, seed=2)
        return await snapshot(store)

    history = read_lineage(asyncio.run(play()))
    assert [(r.campaign, r.number) for r in history.rounds] == [
        ("c1", 1),
        ("c1", 2),
        ("c2", 1),
        ("c2", 2),
        ("c2", 3),
    ]
    assert history.campaign is not None
    assert history.campaign.id == "c2"
    assert [campaign.status for campaign in history.campaigns] == ["finished", "finished"]


def test_a_round_under_way_is_told_as_far_as_it_has_come() -> None:
    history = read_lineage(campaign(rounds=2, seed=1, finish=False, mishaps=False))
    last = history.rounds[-1]
    assert (last.decision, last.closed, last.raced) == ("", None, None)
    assert last.candidates
    assert history.campaigns[0].status == "running"


def test_a_score_weighs_every_cluster_alike(history: History) -> None:
    (told,) = history.campaigns
    confirmed = next(round_.confirmed for round_ in history.rounds if round_.confirmed is not None)
    ours = mean_score(confirmed.incumbent, told.suite.practice)
    theirs = mean_score(confirmed.challenger, told.suite.practice)
    assert ours is not None
    assert theirs is not None
    assert theirs - ours == pytest.approx(confirmed.verdict.effect, abs=1e-9)
    assert mean_score(None, told.suite.practice) is None


def test_replaying_to_a_position_gives_the_state_of_then(archive: Snapshot) -> None:
    whole = replay(archive)
    assert state_hash(whole) == state_hash(read_lineage(archive).state)
    closed = next(event for event in archive.all if event.type == "RoundClosed")
    then = replay(archive, to=closed.position)
    assert then.position == closed.position
    assert len(then.history) == 1


def test_an_unknown_lineage_is_refused_with_those_that_there_are(archive: Snapshot) -> None:
    with pytest.raises(NotInLedger, match="lineage other is not in this ledger: there is main"):
        read_lineage(archive, "other")


def test_an_event_that_does_not_follow_is_named(archive: Snapshot) -> None:
    gap = Snapshot(archive.all[:4] + archive.all[5:], {})
    with pytest.raises(Tampered) as caught:
        read_lineage(gap)
    assert caught.value.position == 6


def test_an_event_of_a_later_version_is_told_and_has_no_effect(archive: Snapshot) -> None:
    last = archive.all[-1]
    new = NewEvent(event_id="new", type="FromTheFuture", payload=b'{"round": 9}')
    later = seal(
        new, stream=last.stream, version=last.version + 1, position=last.position + 1, at=9e9, prev=last.hash
    )
    history = read_lineage(Snapshot((*archive.all, later), {}))
    assert [mark.type for mark in history.unknown] == ["FromTheFuture"]
    assert history.state.unknown == 1


def test_a_file_that_may_only_be_read_is_enough(tmp_path: Path) -> None:
    folder = tmp_path / "store"

    async def play() -> None:
        async with SqliteStore.open(folder, create=True) as store:
            await synthetic_campaign(store, rounds=2, seed=2)

    asyncio.run(play())
    for path in (*folder.iterdir(), folder):
        path.chmod(0o555 if path.is_dir() else 0o444)
    try:
        before = sorted(folder.iterdir())
        history = read_lineage(folder)
        assert len(history.rounds) == 2
        assert sorted(folder.iterdir()) == before
    finally:
        folder.chmod(0o755)


def test_a_folder_without_a_ledger_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StoreMissing):
        read_lineage(tmp_path)
