"""Probing: whether a change does anything at all, before a race is spent on it.

Many composed rules never fire, or fire without consequence. With the same seeds such a harness has the incumbent's
episodes, reply by reply and test by test; a few of them tell. The same episodes say who is promising: where there are
more changes than places in the race, those of which most can be hoped get them.
"""

from collections.abc import Mapping, Sequence

from agents.evaluator.measure import Arm, episode_job, run_jobs, spent_on
from agents.work import Desk
from contracts.jobs import EpisodeResult
from contracts.lineage import Campaign
from contracts.record import Record
from contracts.settings import Spent
from contracts.statistics import derive_seed

PLANS_SPREAD = 0.04
"""Standard deviation of the effects of plans around what they expect."""
PROBE_NOISE = 0.17
"""Standard deviation of what one probe shows of an effect."""
MENDED_WORTH = 0.4
"""By how much a score differs where the share of episodes with a helpful edit differs by 1, as measured."""
GAIN_PART = 0.25
"""How much the scores say beside that share, by how widely either spreads."""
HOPELESS = -0.01
"""The hope below which a place in the race stays empty."""


class Probed(Record):
    """Which trees showed no difference, and on what."""

    inert: frozenset[str] = frozenset()
    gains: dict[str, float] = {}
    """Tree → mean difference of its scores on the probes."""
    shown: dict[str, float] = {}
    """Tree → the effect that its probes show, see `effect_shown`."""
    pairs: tuple[str, ...] = ()
    spent: Spent = Spent()
    faults: tuple[str, ...] = ()


async def probe(
    desk: Desk,
    campaign: Campaign,
    incumbent: Sequence[Sequence[EpisodeResult]],
    trees: Mapping[str, int],
    count: int,
) -> Probed:
    """Compare `count` of the incumbent's episodes (tasks × seeds) with those of every tree (→ its candidate's number).

    Taken are episodes by chance, whatever came of them: among those that were not solved whatever merely shuffles the
    luck would seem to gain.
    """
    chosen = choose(incumbent, count)
    if not chosen:
        return Probed()
    refs = {task.id: task for task in campaign.suite.practice}
    jobs = {
        tree: [
            episode_job(campaign, refs[r.task_id], Arm(tree=tree, candidate=number), r.seed) for r in chosen
        ]
        for tree, number in trees.items()
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
    ours = {tree: [results[job.id] for job in row] for tree, row in jobs.items()}
    scored = sum(result.score for result in chosen)
    helped = sum(_mended(result) for result in chosen)
    gains = {tree: (sum(r.score for r in row) - scored) / len(row) for tree, row in ours.items()}
    mended = {tree: (sum(map(_mended, row)) - helped) / len(row) for tree, row in ours.items()}
    return Probed(
        inert=inert,
        gains=gains,
        shown={tree: effect_shown(gains[tree], mended[tree]) for tree in ours},
        pairs=pairs,
        spent=spent,
    )


def _mended(result: EpisodeResult) -> bool:
    return result.solved or result.signs.get("helped", 0.0) > 0


def choose(incumbent: Sequence[Sequence[EpisodeResult]], count: int) -> list[EpisodeResult]:
    """The episodes to compare: one of each task before the second of any, the tasks in an order of chance."""
    shuffled = [sorted(row, key=_chance) for row in incumbent]
    depth = max((len(row) for row in shuffled), default=0)
    spread = [
        result
        for level in range(depth)
        for result in sorted((row[level] for row in shuffled if len(row) > level), key=_chance)
    ]
    return spread[:count]


def _chance(result: EpisodeResult) -> str:
    return derive_seed("probe", result.task_id, result.seed)


def effect_shown(gain: float, mended: float) -> float:
    """The effect of a change as its probes show it, by scores and by helpful edits.

    Args:
        gain: mean difference of the scores.
        mended: difference of the shares of probes in which some edit made failing tests pass. That happens three to
            four times as often as a solution, and moves with it, so it tells sooner.
    """
    return GAIN_PART * gain + (1 - GAIN_PART) * MENDED_WORTH * mended


def hope(expected: float, shown: float, probes: int) -> float:
    """The effect of a change, from what its plan expects and what so many probes showed."""
    trust = probes * PLANS_SPREAD**2 / (probes * PLANS_SPREAD**2 + PROBE_NOISE**2)
    return expected + trust * (shown - expected)
