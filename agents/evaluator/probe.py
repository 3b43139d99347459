"""Probing: whether a change does anything at all, before a race is spent on it.

Many composed rules never fire, or fire without consequence. With the same seeds such a harness has the incumbent's
episodes, reply by reply and test by test; a few of them tell. The same episodes say who is promising: where there are
more changes than places in the race, those that did best on the probes get them.
"""

from collections.abc import Sequence

from agents.evaluator.measure import Arm, episode_job, run_jobs, spent_on
from agents.work import Desk
from contracts.jobs import EpisodeResult
from contracts.lineage import Campaign
from contracts.record import Record
from contracts.settings import Spent


class Probed(Record):
    """Which trees showed no difference, and on what."""

    inert: frozenset[str] = frozenset()
    gains: dict[str, float] = {}
    """Tree → mean difference of its scores on the probes: a first, coarse look at who may win."""
    pairs: tuple[str, ...] = ()
    spent: Spent = Spent()
    faults: tuple[str, ...] = ()


async def probe(
    desk: Desk,
    campaign: Campaign,
    incumbent: Sequence[Sequence[EpisodeResult]],
    trees: Sequence[str],
    count: int,
) -> Probed:
    """Compare `count` of the incumbent's episodes (tasks × seeds) with those of every tree.

    Taken are the longest of those that were not solved, from different tasks as far as they go: where most happens,
    a difference shows first.
    """
    chosen = choose(incumbent, count)
    if not chosen:
        return Probed()
    refs = {task.id: task for task in campaign.suite.practice}
    jobs = {
        tree: [episode_job(campaign, refs[r.task_id], Arm(tree=tree), r.seed) for r in chosen]
        for tree in trees
    }
    results, faults = await run_jobs(desk, [job for row in jobs.values() for job in row])
    spent = spent_on(tuple(results.values()))
    pairs = tuple(f"{r.task_id} {r.seed}" for r in chosen)
    if faults:
        return Probed(pairs=pairs, spent=spent, faults=tuple(faults))
    inert = frozenset(
        tree
        for tree, row in jobs.items()
        if all(results[job.id].behaviour == theirs.behaviour for job, theirs in zip(row, chosen, strict=True))
    )
    gains = {
        tree: sum(results[job.id].score - theirs.score for job, theirs in zip(row, chosen, strict=True))
        / len(row)
        for tree, row in jobs.items()
    }
    return Probed(inert=inert, gains=gains, pairs=pairs, spent=spent)


def choose(incumbent: Sequence[Sequence[EpisodeResult]], count: int) -> list[EpisodeResult]:
    """The episodes to compare: of each task its longest unsolved one first, then the next."""
    ranked = [
        sorted((r for r in row if not r.solved), key=lambda r: (-r.model_calls, r.seed)) for row in incumbent
    ]
    depth = max((len(row) for row in ranked), default=0)
    spread = [
        result
        for level in range(depth)
        for result in sorted(
            (row[level] for row in ranked if len(row) > level), key=lambda r: (-r.model_calls, r.task_id)
        )
    ]
    return spread[:count]
