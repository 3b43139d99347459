"""A candidate that makes the harness simpler is measured even where it does nothing: of two equals it is kept."""

import asyncio
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, cast

import msgspec

from agents.evaluator.policy import Evaluator
from agents.executor.episode import _behaviour
from agents.work import Desk, LineageWork
from bus.results import Done
from contracts import events as e
from contracts.duties import Duty
from contracts.gate import GateSettings
from contracts.jobs import EpisodeJob, EpisodeResult
from contracts.lineage import Campaign, Candidate, Lineage, Round
from contracts.settings import CampaignSettings, SuiteManifest, TaskRef

PRACTICE = tuple(TaskRef(id=f"task-{i}", package=f"p{i}", blob=f"b{i}") for i in range(6))
GATE = GateSettings(candidates=2, race_seeds=2, confirm_seeds=3, resamples=50)


class Workers:
    """A job queue whose workers answer at once; harnesses in `other` behave otherwise than the rest."""

    def __init__(self, other: frozenset[str], scores: Mapping[str, float]) -> None:
        self.other = other
        self.scores = scores
        self.ran: set[str] = set()

    async def collect(self, kind: str, wanted: Mapping[str, bytes]) -> dict[str, Done]:
        assert kind == "episode"
        return {job: Done(data=self.answer(data)) for job, data in wanted.items()}

    def answer(self, data: bytes) -> bytes:
        job = msgspec.msgpack.decode(data, type=EpisodeJob)
        self.ran.add(job.tree)
        behaves = job.tree if job.tree in self.other else "as the incumbent"
        return msgspec.msgpack.encode(
            EpisodeResult(
                job=job.id,
                task_id=job.task_id,
                tree=job.tree,
                seed=job.seed,
                score=self.scores.get(job.tree, 0.5),
                solved=False,
                outcome="partly",
                model_calls=3,
                behaviour=f"{behaves} {job.task} {job.seed}",
            )
        )


def candidate(number: int, growth: int) -> Candidate:
    plan = e.Plan(
        surface="rule",
        operator="drop",
        arm="drop",
        change={},
        title="t",
        evidence="",
        root_cause="",
        risks="",
        prediction=e.Prediction(effect=0.0),
    )
    return Candidate(number=number, plan=plan, status="proposed", tree=f"tree-{number}", growth=growth)


def answered(
    kind: str,
    *growths: int,
    other: frozenset[str] = frozenset(),
    scores: Mapping[str, float] = MappingProxyType({}),
    **fields: Any,
) -> Any:
    workers = Workers(other, scores)
    desk = Desk(
        bus=cast("Any", None), ledger=cast("Any", None), jobs=cast("Any", workers), instance="x", log=None
    )
    round_ = Round(
        number=1,
        tree="head",
        seeds=("s0", "s1"),
        incumbent_means=(0.5,) * 6,
        candidates=tuple(candidate(number, growth) for number, growth in enumerate(growths)),
        **fields,
    )
    campaign = Campaign(
        id="c1",
        settings=CampaignSettings(gate=GATE),
        suite=SuiteManifest(name="s", digest="d", practice=PRACTICE),
        fingerprint="f",
        status="running",
        round=round_,
    )
    work = LineageWork(
        desk=desk,
        stream="lineage/main",
        state=Lineage(head="head", campaign=campaign),
        duty=Duty(key=f"c1/1/{kind}", kind=kind),
        now=0.0,
    )
    return asyncio.run(Evaluator().perform(work))


def test_what_does_nothing_races_only_where_it_makes_the_harness_simpler() -> None:
    [raced] = answered("race", 0, -4, 7)
    assert raced.inert == (0, 2)
    assert [scores.candidate for scores in raced.candidates] == [1]
    assert (raced.best, raced.effects) == (1, (0.0,))
    assert raced.reason == "Candidate 1 of 1 is simpler, at +0.0000. 2 changes showed no effect at all."


def test_where_no_candidate_does_anything_or_is_simpler_none_races() -> None:
    [raced] = answered("race", 0, 3)
    assert (raced.inert, raced.candidates, raced.best) == ((0, 1), (), -1)


def test_simpler_candidates_race_beside_those_that_do_something() -> None:
    [raced] = answered("race", 3, -4, -9, other=frozenset({"tree-0"}))
    assert raced.inert == ()
    assert [scores.candidate for scores in raced.candidates] == [0, 1], "as many as the gate has places"
    assert raced.best == 1


def test_what_the_probes_show_to_be_hopeless_does_not_race_unless_it_is_simpler() -> None:
    trees = frozenset({"tree-0", "tree-1", "tree-2"})
    [raced] = answered("race", 3, 3, -4, other=trees, scores={"tree-0": 0.0, "tree-2": 0.0})
    assert [scores.candidate for scores in raced.candidates] == [1, 2]
    assert raced.shown == {"0": -0.125, "1": 0.0, "2": -0.125}
    assert raced.probed["0"] == -0.5
    [raced] = answered("race", 3, other=trees, scores={"tree-0": 0.0})
    assert (raced.candidates, raced.best, raced.inert) == ((), -1, ())


def test_the_places_in_a_race_go_to_those_of_which_most_can_be_hoped() -> None:
    trees = frozenset(f"tree-{n}" for n in range(4))
    scores = {"tree-0": 0.5, "tree-1": 0.9, "tree-2": 0.6, "tree-3": 0.45}
    [raced] = answered("race", 3, 3, 3, 3, other=trees, scores=scores)
    assert [scores.candidate for scores in raced.candidates] == [1, 2], "as many as the gate has places"


def test_a_simpler_harness_that_does_the_same_is_kept() -> None:
    confirmed, kept = answered("confirm", 0, -4, raced=True, best=1)
    assert confirmed.verdict.decision == "keep"
    assert "simpler by 4, may be worse by 0.01" in confirmed.verdict.reason
    assert isinstance(kept, e.ChangeKept)
    assert (kept.candidate, kept.tree) == (1, "tree-1")
    confirmed, reverted = answered("confirm", 0, 4, raced=True, best=1)
    assert confirmed.verdict.decision == "revert"
    assert isinstance(reverted, e.ChangeReverted)


def test_what_is_only_said_is_no_behaviour() -> None:
    call: dict[str, Any] = {"call": 1, "said": [{"role": "user", "content": "a"}], "reply": {"content": "b"}}
    end: dict[str, Any] = {"end": "finished", "error": "", "files": {}, "log": "x"}
    spoken = [{**call, "said": [{"role": "user", "content": "something else"}]}, {**end, "log": "y"}]
    assert _behaviour([call, end]) == _behaviour(spoken)
    assert _behaviour([call, end]) != _behaviour([{**call, "reply": {"content": "c"}}, end])
    assert _behaviour([call, end]) != _behaviour([call, {**end, "files": {"a.py": ""}}])
