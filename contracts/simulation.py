"""Thousands of decisions of the gate on invented scores: what the closed form of `contracts.power` is held against.

The luck of a decision is drawn once, for packages and for pairs, and shared by all effects and numbers of seeds, so
what is kept changes with these and with nothing else. Differences are cut at ±1, as those of scores are.
"""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from contracts.maxt import all_flips
from contracts.power import Design
from contracts.record import Record
from contracts.statistics import (
    SCALE,
    SLACK,
    Fixed,
    Interval,
    flip_blocks,
    philox,
    to_fixed,
    wilson_interval,
)

MOST_DECISIONS = 1_000_000
MOST_DRAWS = 1 << 26
"""Decisions times packages, whose luck is drawn at once."""
MOST_CELLS = 1000
EXACT_DECISIONS = 13
"""Up to so many packages every assignment of signs is counted; beyond, the sampled ones are shared by all decisions."""

_PART = 2048
"""Decisions that are made at once."""
_CELLS = 1 << 19
"""Means that are held at once: many, since a product's threads wait for each other after every block."""


class PowerJob(Record, tag="power"):
    """Decide many times for every effect and every number of seeds, and count what is kept."""

    design: Design
    effects: tuple[float, ...]
    seeds: tuple[int, ...]
    key: str
    decisions: int = 2_000
    """How often each is decided."""
    resamples: int = 10_000
    kernel: int = 1
    """Version of the arithmetic."""

    def __post_init__(self) -> None:
        """Refuse what cannot be decided."""
        if not all(-1 <= effect <= 1 for effect in self.effects):
            raise ValueError("effects are differences of scores: between -1 and 1")
        if not all(count >= 1 for count in self.seeds):
            raise ValueError("seeds are counts of at least 1")
        if not 1 <= self.decisions <= MOST_DECISIONS:
            raise ValueError("decisions lie between 1 and 1 million")
        if self.decisions * len(self.design.sizes) > MOST_DRAWS:
            raise ValueError(
                f"decisions times packages come to more than {MOST_DRAWS}; ask for fewer decisions"
            )
        if len(self.effects) * len(self.seeds) > MOST_CELLS:
            raise ValueError(f"no more than {MOST_CELLS} pairs of an effect and a number of seeds in one job")


class Decisions(Record):
    """What was kept."""

    kept: tuple[tuple[int, ...], ...]
    """For each effect, for each number of seeds."""
    decisions: int

    def power(self, effect: int, seeds: int) -> Interval:
        """The share of an effect and a number of seeds, by their places, with Wilson's interval."""
        return wilson_interval(self.kept[effect][seeds], self.decisions)


def luck(job: PowerJob) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Standard normal numbers for what packages differ by and for the noise of pairs: each decisions x packages."""
    draws = np.random.Generator(philox("power", job.key))
    shape = (job.decisions, len(job.design.sizes))
    return draws.standard_normal(shape), draws.standard_normal(shape)


def differences(
    job: PowerJob,
    effect: float,
    seeds: int,
    drawn: tuple[NDArray[np.float64], NDArray[np.float64]],
) -> Fixed:
    """Mean difference of each package in each decision: decisions x packages, fixed-point numbers."""
    between, noise = drawn
    sizes = np.array(job.design.sizes, dtype=np.float64)
    means = effect + job.design.spread.between * between
    means += job.design.spread.within * noise / np.sqrt(sizes * seeds)
    return to_fixed(means.clip(-1, 1))


def kept_of(job: PowerJob, d: Fixed, hits: Fixed) -> int:
    """How many decisions keep the change.

    Args:
        job: what is decided.
        d: decisions x packages, from `differences`.
        hits: for each decision, how many assignments of signs give a mean at least as large as the one that was seen.
    """
    clusters = d.shape[1]
    exact = clusters <= EXACT_DECISIONS
    p = hits / 2**clusters if exact else (1 + hits) / (job.resamples + 1)
    effects = d.sum(axis=1) / (clusters * SCALE)
    return int(np.count_nonzero((p <= job.design.alpha) & (effects >= job.design.minimum_effect)))


def decision_blocks(job: PowerJob, rows: int | None = None) -> Iterator[NDArray[np.uint8]]:
    """Which packages are flipped; the same for all decisions."""
    clusters = len(job.design.sizes)
    if clusters <= EXACT_DECISIONS:
        return all_flips(clusters, rows)
    return flip_blocks(job.key, clusters, job.resamples, rows)


def simulate(job: PowerJob) -> Decisions:
    """Make the decisions of a job: the reference."""
    drawn = luck(job)
    kept = [
        [_decide(job, differences(job, effect, count, drawn)) for count in job.seeds]
        for effect in job.effects
    ]
    return Decisions(kept=tuple(tuple(row) for row in kept), decisions=job.decisions)


def _decide(job: PowerJob, d: Fixed) -> int:
    hits = np.zeros(len(d), dtype=np.int64)
    for start in range(0, len(d), _PART):
        columns = d[start : start + _PART].T.astype(np.float64)
        for flips in decision_blocks(job, _CELLS // _PART):
            sums = flips.astype(np.float64) @ columns
            hits[start : start + _PART] += np.count_nonzero(sums <= SLACK * d.shape[1], axis=0)
    return kept_of(job, d, hits)
