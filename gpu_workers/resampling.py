"""Resampling of many rows at once as matrix products, on whichever array library is at hand.

Signs and draws are made on the host from the same counter-based stream as in `contracts.statistics`, and
every product is one of integers below 2**53 in float64, so the results are the reference's, to the bit.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from contracts.resample import ResampleJob, ResampleResult
from contracts.statistics import (
    EXACT_CLUSTERS,
    SLACK,
    Fixed,
    Interval,
    SignFlip,
    checked,
    draw_blocks,
    flip_blocks,
    from_fixed,
    halves_sums,
    interval_ranks,
    sampled_p,
)
from gpu_workers.arrays import Arrays


def go_on() -> None:
    """A checkpoint that never interrupts."""


def compute(job: ResampleJob, arrays: Arrays, *, checkpoint: Callable[[], None] = go_on) -> ResampleResult:
    """Answer a job.

    Args:
        job: what to compute.
        arrays: what to compute with.
        checkpoint: called before every block; it ends the computation by raising.

    Raises:
        ValueError: a row is not fit for exact sums, or the rows differ in length.
        MemoryError: not even one block fits into memory (CuPy raises its own kind of it).
    """
    rows = [checked(row) for row in job.values]
    if len({len(row) for row in rows}) > 1:
        raise ValueError("the rows of a job have one length")
    if not rows:
        return ResampleResult(library=arrays.name)
    resampler = Resampler(arrays=arrays, resamples=job.resamples, key=job.key, checkpoint=checkpoint)
    if job.kind == "sign_flip":
        return ResampleResult(tests=resampler.sign_flips(np.stack(rows)), library=arrays.name)
    return ResampleResult(intervals=resampler.bootstrap(np.stack(rows), job.level), library=arrays.name)


@dataclass(frozen=True, kw_only=True)
class Resampler:
    """The tests and intervals of `contracts.statistics` for many rows, which share signs and draws."""

    arrays: Arrays
    resamples: int
    key: str
    checkpoint: Callable[[], None] = go_on

    def sign_flips(self, values: Fixed) -> tuple[SignFlip, ...]:
        """`sign_flip_p` of every row of `values` (rows x clusters, in fixed point)."""
        count, clusters = values.shape
        limit = SLACK * clusters
        if clusters <= EXACT_CLUSTERS:
            return tuple(self._exact(row, limit) for row in values)
        xp = self.arrays.xp
        columns = self.arrays.put(np.ascontiguousarray(values.T, dtype=np.float64))
        hits = xp.zeros(count, dtype=np.int64)
        for flips in flip_blocks(self.key, clusters, self.resamples, self._block(clusters + 64 + count)):
            self.checkpoint()
            sums = self.arrays.put(flips).astype(np.float64) @ columns
            hits += xp.count_nonzero(sums <= limit, axis=0)
        return tuple(sampled_p(int(hit), self.resamples) for hit in self.arrays.get(hits))

    def bootstrap(self, values: Fixed, level: float) -> tuple[Interval, ...]:
        """`bootstrap_interval` of every row of `values` (rows x clusters, in fixed point)."""
        count, clusters = values.shape
        if not clusters:
            raise ValueError("an interval needs at least one cluster")
        fits = max(1, self.arrays.held_bytes // (16 * self.resamples))
        found: list[Interval] = []
        for start in range(0, count, fits):
            part = values[start : start + fits]
            found += [
                Interval(
                    estimate=from_fixed(int(row.sum()), clusters),
                    low=from_fixed(int(low), clusters),
                    high=from_fixed(int(high), clusters),
                    level=level,
                )
                for row, low, high in zip(part, *self._ends(part, level), strict=True)
            ]
        return tuple(found)

    def _exact(self, row: Fixed, limit: int) -> SignFlip:
        self.checkpoint()
        xp = self.arrays.xp
        first, second = (xp.sort(self.arrays.put(half)) for half in halves_sums(row))
        hits = int(xp.searchsorted(second, limit - first, side="right").sum())
        return SignFlip(p=hits / 2 ** len(row), exact=True, resamples=2 ** len(row))

    def _ends(self, values: Fixed, level: float) -> tuple[NDArray[Any], NDArray[Any]]:
        """Bootstrapped sums at both ends of each row's interval."""
        count, clusters = values.shape
        rows = self.arrays.put(values.astype(np.float64))
        sums = self.arrays.xp.empty((count, self.resamples), dtype=np.float64)
        done = 0
        for draws in draw_blocks(self.key, clusters, self.resamples, self._block(3 * clusters + count)):
            self.checkpoint()
            weights = self.arrays.put(draws).astype(np.float64)
            sums[:, done : done + len(draws)] = rows @ weights.T
            done += len(draws)
        self.checkpoint()
        low, high = interval_ranks(self.resamples, level)
        if self.arrays.name == "numpy":
            sums.partition((low, high), axis=1)
        else:
            sums.sort(axis=1)
        return self.arrays.get(sums[:, low]), self.arrays.get(sums[:, high])

    def _block(self, cells: int) -> int:
        """Rows of a resampling matrix at once, where each takes so many cells with its product."""
        return max(1, self.arrays.block_bytes // (16 * cells))
