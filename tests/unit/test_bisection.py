"""The search for the version in which a task turned, over verdicts that are known."""

import asyncio

from hypothesis import given
from hypothesis import strategies as st

from eventstore.audit.archive import Snapshot
from eventstore.audit.bisection import Standing, find_task, recorded, search, task_names
from eventstore.audit.history import read_lineage
from eventstore.audit.rounds import Mark, VersionHistory
from eventstore.audit.testing import snapshot, synthetic_campaign
from eventstore.testing import MemoryStore

MARK = Mark(position=1, version=1, type="HeadReset", at=0.0, actor="test")


def versions_of(count: int) -> list[VersionHistory]:
    return [VersionHistory(number=n, tree=f"{n}", origin="reset", mark=MARK, title="") for n in range(count)]


@given(st.lists(st.sampled_from([0.0, 0.25, 0.5, 1.0]), min_size=2, max_size=40))
def test_a_turn_is_found_in_few_looks(means: list[float]) -> None:
    looks: list[int] = []

    def measure(version: VersionHistory) -> Standing:
        looks.append(version.number)
        return Standing(version=version, scores=(means[version.number],))

    turn = search(versions_of(len(means)), measure, 0.5)
    assert len(set(looks)) == len(looks) <= 2 + (len(means) - 1).bit_length()
    assert [each.version.number for each in turn.looked] == sorted(looks)
    passed = [mean >= 0.5 for mean in means]
    if passed[0] == passed[-1]:
        assert turn.first is None
        assert len(looks) == 2
    else:
        assert turn.first is not None
        at = turn.first.version.number
        assert passed[at] == passed[-1] != passed[at - 1]


def test_scores_of_the_ledger_serve_but_for_those_that_chose_a_winner() -> None:
    async def play() -> Snapshot:
        store = MemoryStore()
        await synthetic_campaign(store, rounds=8, seed=6)
        return await snapshot(store)

    history = read_lineage(asyncio.run(play()))
    name = task_names(history)[0]
    task = find_task(history, name)
    assert task is not None
    found = recorded(history, task)
    rounds = [round_ for round_ in history.rounds if round_.executed is not None]
    assert set(found) >= {round_.head for round_ in rounds}
    raced = {c.tree for r in history.rounds for c in r.candidates if c.race is not None}
    confirmed = {r.confirmed.challenger.tree for r in history.rounds if r.confirmed is not None}
    heads = {version.tree for version in history.versions}
    assert raced - confirmed - heads
    assert not (raced - confirmed - heads) & set(found)
    at = [known.id for known in history.campaigns[0].suite.practice].index(name)
    first = rounds[0].executed
    assert first is not None
    assert found[first.incumbent.tree][: len(first.incumbent.scores[at])] == list(first.incumbent.scores[at])
    assert find_task(history, "nothing") is None
