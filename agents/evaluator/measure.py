"""Measuring harnesses: the episodes of all arms as one batch of jobs, and the scores that come back."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import msgspec

from agents.work import Desk
from bus import traces
from bus.results import Done
from contracts.gate import ArmScores
from contracts.jobs import EpisodeJob, EpisodeResult
from contracts.lineage import Campaign
from contracts.models import Charge
from contracts.settings import Spent, TaskRef
from contracts.statistics import derive_seed

INPUT_PRICE, OUTPUT_PRICE = 0.30e-6, 1.20e-6
"""US dollars a token, for arms whose model is free: so that the gate can weigh what a harness would cost."""


@dataclass(frozen=True, kw_only=True)
class Arm:
    """A harness to be measured, and what its seeds are salted with (the A/A arm's challengers)."""

    tree: str
    salt: str = ""
    candidate: int = -1
    """Number of the candidate that its calls are charged to; -1: the incumbent."""


@dataclass(frozen=True, kw_only=True)
class Measured:
    """What came back."""

    arms: tuple[ArmScores, ...]
    results: tuple[tuple[tuple[EpisodeResult, ...], ...], ...] = ()
    """Arms × tasks × seeds."""
    spent: Spent = Spent()
    faults: tuple[str, ...] = field(default=())
    """Why some scores could not be had; the arms are empty then."""

    @property
    def complete(self) -> bool:
        """Whether every score could be had."""
        return not self.faults

    @property
    def reason(self) -> str:
        """What went wrong, in a sentence."""
        return faults_reason(self.faults)


def faults_reason(faults: Sequence[str]) -> str:
    """Why scores could not be had, in a sentence; empty when they could."""
    if len(faults) <= 1:
        return faults[0] if faults else ""
    return f"{len(faults)} episodes gave no score, the first because: {faults[0]}"


def stage_seeds(campaign: Campaign, stage: str, count: int) -> tuple[str, ...]:
    """Fresh seeds of a stage: a function of campaign, its seed, and the stage's name."""
    return tuple(derive_seed(campaign.id, campaign.settings.seed, stage, i) for i in range(count))


def episode_job(
    campaign: Campaign, task: TaskRef, arm: Arm, seed: str, *, transcript: bool = False, lineage: str = ""
) -> EpisodeJob:
    """The job of one episode; the same arguments always give the same job."""
    return EpisodeJob(
        task=task.blob,
        task_id=task.id,
        tree=arm.tree,
        seed=derive_seed(seed, arm.salt) if arm.salt else seed,
        fingerprint=campaign.fingerprint,
        model=campaign.settings.models.harness,
        facts=campaign.settings.facts,
        charge=Charge(
            campaign=campaign.id,
            round=campaign.round.number if campaign.round else 0,
            candidate=arm.candidate,
            task=task.id,
        ),
        lineage=lineage,
        transcript=transcript,
        traceparent=traces.current_traceparent(),
    )


async def run_jobs(desk: Desk, jobs: Sequence[EpisodeJob]) -> tuple[dict[str, EpisodeResult], list[str]]:
    """Results by job id, and why some could not be had.

    A job that failed is no score: it is forgotten and done once more before it counts as a fault.
    """
    wanted = {job.id: msgspec.msgpack.encode(job) for job in jobs}
    answers = await desk.jobs.collect("episode", wanted)
    failed = [job for job, answer in answers.items() if not isinstance(answer, Done)]
    if failed:
        for job in failed:
            await desk.jobs.forget("episode", job)
        answers |= await desk.jobs.collect("episode", {job: wanted[job] for job in failed})
    results: dict[str, EpisodeResult] = {}
    faults: list[str] = []
    for job, answer in answers.items():
        if isinstance(answer, Done):
            results[job] = msgspec.msgpack.decode(answer.data, type=EpisodeResult)
        else:
            faults.append(answer.reason)
    return results, faults


async def measure(
    desk: Desk,
    campaign: Campaign,
    arms: Sequence[Arm],
    seeds: Sequence[str],
    *,
    tasks: Sequence[TaskRef] | None = None,
    transcript: bool = False,
) -> Measured:
    """Run every arm on every task with every seed, and gather the scores."""
    refs = campaign.suite.practice if tasks is None else tuple(tasks)
    grid = [
        [[episode_job(campaign, task, arm, seed, transcript=transcript) for seed in seeds] for task in refs]
        for arm in arms
    ]
    results, faults = await run_jobs(desk, [job for rows in grid for row in rows for job in row])
    spent = spent_on(tuple(results.values()))
    if faults:
        return Measured(arms=(), spent=spent, faults=tuple(faults))
    table = tuple(tuple(tuple(results[job.id] for job in row) for row in rows) for rows in grid)
    scored = tuple(arm_scores(arm, rows) for arm, rows in zip(arms, table, strict=True))
    return Measured(arms=scored, results=table, spent=spent)


def arm_scores(arm: Arm, rows: Sequence[Sequence[EpisodeResult]]) -> ArmScores:
    """The scores of one arm as the gate takes them."""
    flat = [result for row in rows for result in row]
    return ArmScores(
        tree=arm.tree,
        salt=arm.salt,
        scores=tuple(tuple(result.score for result in row) for row in rows),
        cost=sum(nominal_cost(result) for result in flat) / len(flat) if flat else 0.0,
        episodes=len(flat),
    )


def nominal_cost(result: EpisodeResult) -> float:
    """What an episode cost in US dollars, or would have cost where the model is free."""
    usage = result.usage
    if usage.cost:
        return usage.cost
    return usage.input_tokens * INPUT_PRICE + usage.output_tokens * OUTPUT_PRICE


def spent_on(results: Sequence[EpisodeResult]) -> Spent:
    """What a set of episodes used up."""
    return Spent(
        episodes=len(results),
        model_calls=sum(r.model_calls for r in results),
        test_runs=sum(r.test_runs for r in results),
        tokens=sum(r.usage.input_tokens + r.usage.output_tokens for r in results),
        cost=math.fsum(r.usage.cost for r in results),  # the same sum in whatever order they came
        seconds=round(sum(r.seconds for r in results), 3),
    )


def mean_signs(measured: Measured) -> dict[str, float]:
    """Means of the episodes' signs over the first arm."""
    flat = [result for row in measured.results[0] for result in row] if measured.results else []
    names = sorted({name for result in flat for name in result.signs})
    return {n: round(sum(r.signs.get(n, 0.0) for r in flat) / len(flat), 4) for n in names}
