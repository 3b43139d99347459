"""Resampling of many rows at once as matrix products, on whichever array library is at hand.

Signs and draws are those of the counter-based streams in `contracts`, and every product that decides is one of
integers below 2**53 in float64, so the results are the references', to the bit.
"""

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np

from contracts.intervals import (
    Method,
    bca_ranks,
    check_cells,
    ranked_interval,
    studentized,
    studentized_interval,
    whole_steps,
)
from contracts.maxt import EXACT_FAMILY, Family, all_flips, family_of, studentize
from contracts.simulation import EXACT_DECISIONS, Decisions, PowerJob, differences, kept_of, luck
from contracts.statistics import (
    EXACT_CLUSTERS,
    SLACK,
    Fixed,
    Interval,
    SignFlip,
    halves_sums,
    interval_ranks,
    sampled_p,
)
from gpu_workers.arrays import Arrays
from gpu_workers.flips import Flipped
from gpu_workers.matrices import MATRICES
from gpu_workers.streams import counts, flips
from gpu_workers.threads import cores, spread

SMALL = 1 << 24
"""Multiplications below which starting threads takes longer than they save."""

T = TypeVar("T")


def go_on() -> None:
    """A checkpoint that never interrupts."""


@dataclass(frozen=True, kw_only=True)
class Resampler:
    """The tests and intervals of `contracts` for many rows, which share signs and draws."""

    arrays: Arrays
    resamples: int
    key: str
    checkpoint: Callable[[], None] = go_on

    def sign_flips(self, values: Fixed) -> tuple[SignFlip, ...]:
        """`sign_flip_p` of every row of `values` (rows x clusters, in fixed point)."""
        clusters = values.shape[1]
        if clusters <= EXACT_CLUSTERS:
            return tuple(self._exact(row, SLACK * clusters) for row in values)
        hits = self._hits(values, self._flips(clusters, len(values)))
        return tuple(sampled_p(int(hit), self.resamples) for hit in hits)

    def family(self, rows: tuple[tuple[int, ...], ...]) -> Family:
        """`max_t` of the rows, by one product of signs and studentized differences."""
        scaled = studentize(rows)
        count, clusters = scaled.values.shape
        xp, put, order = self.arrays.xp, self.arrays.put, scaled.order
        single, stepped = xp.zeros(count, dtype=np.int64), xp.zeros(count, dtype=np.int64)
        ordered = put(np.ascontiguousarray(scaled.values[order], dtype=np.float64))
        base = put((scaled.sums + scaled.slack)[order].astype(np.float64))[:, None]
        limits = put((scaled.sums - scaled.slack)[order].astype(np.float64))[:, None]
        adding = threading.Lock()

        def add(block: Any) -> None:
            sums = base - 2 * (ordered @ block.astype(np.float64).T)
            largest = sums[count - 1]
            for place in range(count - 1, -1, -1):  # from the smallest sum up: stepping down, backwards
                largest = xp.maximum(largest, sums[place])
                sums[place] = largest
            first, every = (xp.count_nonzero(each >= limits, axis=1) for each in (largest, sums))
            with adding:
                single[:] += first
                stepped[:] += every

        if count:
            self._all(self._family_flips(clusters, count), add, work=count * clusters)
        return family_of(scaled, self.arrays.get(single), self.arrays.get(stepped), self.resamples)

    def intervals(
        self, values: Fixed, level: float, *, seeds: int = 1, method: Method = "percentile"
    ) -> tuple[Interval, ...]:
        """`interval_of` of every row of `values` (rows x cells, in fixed point)."""
        check_cells(values.shape[1], seeds, method)
        held = 64 if method == "studentized" else 16
        fits = max(1, self.arrays.held_bytes // (held * self.resamples))
        found: list[Interval] = []
        for start in range(0, len(values), fits):
            part = values[start : start + fits]
            found += (
                self._studentized(part, level)
                if method == "studentized"
                else self._ranked(part, level, seeds, bca=method == "bca")
            )
        return tuple(found)

    def decisions(self, job: PowerJob) -> Decisions:
        """`simulate` of a job: the decisions of one effect and one number of seeds are one product."""
        drawn = luck(job)
        clusters = len(job.design.sizes)

        def kept(effect: float, seeds: int) -> int:
            d = differences(job, effect, seeds, drawn)
            fits = max(1, self.arrays.block_bytes // (64 * clusters))
            parts = [d[start : start + fits] for start in range(0, len(d), fits)]
            hits = [self._hits(part, self._decision_flips(clusters, len(part))) for part in parts]
            return kept_of(job, d, np.concatenate(hits))

        table = [tuple(kept(effect, count) for count in job.seeds) for effect in job.effects]
        return Decisions(kept=tuple(table), decisions=job.decisions)

    def _hits(self, values: Fixed, blocks: Iterator[Any]) -> Fixed:
        """For each row, how many assignments of signs give a mean at least as large as the one that was seen."""
        flipped = Flipped.of(values, SLACK * values.shape[1], self.arrays)
        hits, adding = self.arrays.xp.zeros(len(values), dtype=np.int64), threading.Lock()

        def add(block: Any) -> None:
            found = flipped.count(block)
            with adding:
                hits[:] += found

        self._all(blocks, add, work=values.size)
        counted: Fixed = self.arrays.get(hits)
        return counted

    def _all(self, parts: Iterator[T], call: Callable[[T], None], *, work: int) -> None:
        """Call for every part; on all cores where there is no device and enough to do.

        Args:
            parts: what to call for.
            call: may run in several threads at once.
            work: multiplications for each resample, all parts together.
        """
        if self.arrays.name != "numpy" or work * self.resamples < SMALL:
            for part in parts:
                self.checkpoint()
                call(part)
            return
        taking = threading.Lock()

        def take(look: Callable[[], None]) -> None:
            while True:
                look()
                with taking:
                    part = next(parts, None)
                if part is None:
                    return
                call(part)

        spread([take] * cores(), self.checkpoint)

    def _exact(self, row: Fixed, limit: int) -> SignFlip:
        self.checkpoint()
        xp = self.arrays.xp
        first, second = (xp.sort(self.arrays.put(half)) for half in halves_sums(row))
        hits = int(xp.searchsorted(second, limit - first, side="right").sum())
        return SignFlip(p=hits / 2 ** len(row), exact=True, resamples=2 ** len(row))

    def _ranked(self, values: Fixed, level: float, seeds: int, *, bca: bool) -> list[Interval]:
        sums = self._sums(values.astype(np.float64), seeds)
        ranks = [interval_ranks(self.resamples, level)] * len(values)
        if bca:
            xp, slack = self.arrays.xp, SLACK * values.shape[1]
            totals = self.arrays.put(values.sum(axis=1).astype(np.float64))[:, None]
            below = self.arrays.get(xp.count_nonzero(sums < totals - slack, axis=1))
            within = self.arrays.get(xp.count_nonzero(sums <= totals + slack, axis=1))
            ranks = [
                bca_ranks(row, seeds, int(less), int(most), self.resamples, level)
                for row, less, most in zip(values, below, within, strict=True)
            ]
        ends = zip(values, self._ordered(sums, ranks), strict=True)
        return [ranked_interval(row, low, high, level) for row, (low, high) in ends]

    def _studentized(self, values: Fixed, level: float) -> list[Interval]:
        count, clusters = values.shape
        steps = np.stack([whole_steps(row) for row in values])
        sums = self._sums(np.concatenate((steps, steps**2)), 1)
        seen = self.arrays.put(steps.sum(axis=1))[:, None]
        t = studentized(sums[:count], sums[count:], seen, clusters, self.arrays.xp)
        ends = zip(values, self._ordered(t, [interval_ranks(self.resamples, level)] * count), strict=True)
        return [studentized_interval(row, low, high, level) for row, (low, high) in ends]

    def _sums(self, values: Any, seeds: int) -> Any:
        """Bootstrapped sums, rows x resamples."""
        count, cells = values.shape
        clusters = cells // seeds
        rows = self.arrays.put(values)
        sums = self.arrays.xp.empty((count, self.resamples), dtype=np.float64)

        def fill(part: tuple[int, Any]) -> None:
            start, draws = part
            sums[:, start : start + len(draws)] = rows @ draws.astype(np.float64).T

        self._all(_placed(self._draws(clusters, seeds, count)), fill, work=values.size)
        self.checkpoint()
        return sums

    def _ordered(self, sums: Any, ranks: list[tuple[int, int]]) -> list[tuple[float, float]]:
        """The order statistics of each row at its two ranks. `sums` is put in another order."""
        if self.arrays.name == "numpy":
            self._all(
                iter(zip(sums, ranks, strict=True)), lambda part: part[0].partition(part[1]), work=sums.size
            )
        else:
            sums.sort(axis=1)
        ends = np.array(ranks).T
        places = self.arrays.put(np.arange(len(ranks)))
        low, high = (self.arrays.get(sums[places, self.arrays.put(end)]).tolist() for end in ends)
        return list(zip(low, high, strict=True))

    def _draws(self, clusters: int, seeds: int, count: int) -> Iterator[Any]:
        cells = clusters * seeds
        return MATRICES.blocks(
            self.arrays,
            ("draws", self.key, clusters, seeds, self.resamples),
            lambda block: counts(self.arrays, self.key, clusters, seeds, self.resamples, block),
            shape=(self.resamples, cells),
            rows=self._block(3 * cells + count),
        )

    def _flips(self, clusters: int, count: int) -> Iterator[Any]:
        return MATRICES.blocks(
            self.arrays,
            ("flips", self.key, clusters, 1, self.resamples),
            lambda block: flips(self.arrays, self.key, clusters, self.resamples, block),
            shape=(self.resamples, clusters),
            rows=self._block(clusters + 64 + count),
        )

    def _family_flips(self, clusters: int, count: int) -> Iterator[Any]:
        if clusters > EXACT_FAMILY:
            return self._flips(clusters, 2 * count)
        return map(self.arrays.put, all_flips(clusters, self._block(clusters + 64 + 2 * count)))

    def _decision_flips(self, clusters: int, count: int) -> Iterator[Any]:
        if clusters > EXACT_DECISIONS:
            return self._flips(clusters, count)
        return map(self.arrays.put, all_flips(clusters, self._block(clusters + 64 + count)))

    def _block(self, cells: int) -> int:
        """Rows of a resampling matrix at once, where each takes so many cells with its product."""
        return max(1, self.arrays.block_bytes // (16 * cells))


def _placed(blocks: Iterator[Any]) -> Iterator[tuple[int, Any]]:
    """Each block with the row that it begins at."""
    start = 0
    for block in blocks:
        yield start, block
        start += len(block)
