"""Bootstrap intervals of a paired difference: whole clusters are drawn, and seeds within them where that is wanted.

All methods share their draws, which are counts: how often a cell (a cluster, or one seed of a cluster) is drawn. So a
bootstrap of many rows is one product of counts and numbers, and the ends are order statistics, exact to the bit.

Sources: B. Efron, Better Bootstrap Confidence Intervals (1987), for BCa; A. Davison and D. Hinkley, Bootstrap Methods
and their Application (1997), for studentized intervals and for drawing in two stages.
"""

import math
from collections.abc import Iterator, Sequence
from statistics import NormalDist
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from contracts.statistics import (
    SCALE,
    SLACK,
    Fixed,
    Interval,
    block_rows,
    checked,
    cluster_means,
    draw_blocks,
    from_fixed,
    interval_ranks,
    philox,
)

Method: TypeAlias = Literal["percentile", "bca", "studentized"]
"""How an interval follows from the bootstrapped means."""
Counts: TypeAlias = NDArray[np.unsignedinteger[Any]]
"""How often each cell is drawn."""

STEPS = 2**20
"""Steps in the largest number of a row, to which studentized intervals round: squares must sum exactly, too."""
MOST_CELLS = 2**13
"""Cells whose squares, in steps, still sum to less than 2**53."""
_FLAT = 2.0**-40
"""Share of a sum of squares below which what is left after the mean counts as nothing."""


def paired_cells(candidate: ArrayLike, incumbent: ArrayLike, clusters: Sequence[str]) -> Fixed:
    """Mean difference of every cluster for every seed, over the cluster's tasks: clusters x seeds.

    Args:
        candidate: scores, tasks x seeds.
        incumbent: scores of the same tasks with the same seeds.
        clusters: the cluster of each task.

    Raises:
        ValueError: the shapes do not fit, or a score is outside [0, 1].
    """
    new, old = np.asarray(candidate, dtype=np.float64), np.asarray(incumbent, dtype=np.float64)
    if new.shape != old.shape or new.ndim != 2 or not new.size:
        raise ValueError(f"the arms are tables of the same tasks x seeds, not {new.shape} and {old.shape}")
    columns = range(new.shape[1])
    return np.stack([cluster_means(new[:, [s]], old[:, [s]], clusters) for s in columns], axis=1)


def interval_of(
    cells: ArrayLike,
    *,
    seeds: int = 1,
    method: Method = "percentile",
    level: float = 0.95,
    resamples: int = 10_000,
    key: str,
) -> Interval:
    """Interval of the mean of a row of cells, clusters x seeds laid out one cluster after the other.

    With one seed whole clusters are drawn, and the percentile interval is `bootstrap_interval`'s. With more, as many
    seeds are drawn within each drawn cluster: that counts the noise between seeds twice, so such intervals are
    somewhat wide, the more so where noise outweighs what clusters differ by.

    Args:
        cells: fixed-point numbers.
        seeds: cells of a cluster.
        method: how the interval follows; BCa mends bias and skewness, and studentized intervals hold their level best
            with few clusters.
        level: of the interval.
        resamples: how often all is drawn.
        key: names the stream of random numbers.

    Raises:
        ValueError: `check_cells` tells of what.
    """
    row = checked(cells)
    clusters = check_cells(len(row), seeds, method)
    sums, squares, steps = [], [], whole_steps(row)
    for drawn in count_blocks(key, clusters, seeds, resamples):
        counts = drawn.astype(np.float64)
        if method == "studentized":
            sums.append(counts @ steps)
            squares.append(counts @ steps**2)
        else:
            sums.append(counts @ row.astype(np.float64))
    drawn_sums = np.concatenate(sums)
    if method == "studentized":
        t = studentized(drawn_sums, np.concatenate(squares), float(steps.sum()), clusters, np)
        low, high = interval_ranks(resamples, level)
        ordered = np.partition(t, (low, high))
        return studentized_interval(row, float(ordered[low]), float(ordered[high]), level)
    total, slack = int(row.sum()), SLACK * len(row)
    below = int(np.count_nonzero(drawn_sums < total - slack))
    within = int(np.count_nonzero(drawn_sums <= total + slack))
    low, high = interval_ranks(resamples, level)
    if method == "bca":
        low, high = bca_ranks(row, seeds, below, within, resamples, level)
    ordered = np.partition(drawn_sums, (low, high))
    return ranked_interval(row, float(ordered[low]), float(ordered[high]), level)


def check_cells(cells: int, seeds: int, method: Method) -> int:
    """How many clusters a row of so many cells has.

    Raises:
        ValueError: there is none; they are not all whole; there are too many for exact sums; or studentizing is asked
            for with seeds drawn within clusters, of which a product of counts does not give the standard errors.
    """
    if seeds < 1 or cells % seeds:
        raise ValueError(f"{cells} cells are no table of clusters x {seeds} seeds")
    if not cells:
        raise ValueError("an interval needs at least one cluster")
    if method == "studentized" and seeds > 1:
        raise ValueError(
            "studentized intervals draw whole clusters: give one number per cluster, and one seed"
        )
    if cells > MOST_CELLS and (method == "studentized" or seeds > 1):
        raise ValueError(f"{cells} cells are more than the {MOST_CELLS} whose sums are exact")
    return cells // seeds


def count_blocks(
    key: str, clusters: int, seeds: int, resamples: int, rows: int | None = None
) -> Iterator[Counts]:
    """How often each cell is drawn: resamples x (clusters · seeds), in blocks of at most `rows` rows.

    With one seed these are the counts of `draw_blocks`. With more, a row draws clusters, then seeds for each drawn one.
    """
    kind = np.uint8 if clusters * seeds < 256 else np.uint16
    if seeds == 1:
        for drawn in draw_blocks(key, clusters, resamples, rows):
            yield drawn.astype(kind)
        return
    stream = philox("paired bootstrap", key)
    cells = clusters * seeds
    words = -(-(clusters + cells) // 2)
    rows = rows or block_rows(2 * words)
    for start in range(0, resamples, rows):
        count = min(rows, resamples - start)
        raw = stream.random_raw(count * words).astype("<u8").view("<u4").reshape(count, 2 * words)
        first = _scaled(raw[:, :clusters], clusters) * np.uint64(seeds)
        flat = np.repeat(first, seeds, axis=1) + _scaled(raw[:, clusters : clusters + cells], seeds)
        flat += cells * np.arange(count, dtype=np.uint64)[:, None]
        yield (
            np.bincount(flat.ravel().view(np.int64), minlength=count * cells)
            .reshape(count, cells)
            .astype(kind)
        )


def bca_ranks(
    row: Fixed, seeds: int, below: int, within: int, resamples: int, level: float
) -> tuple[int, int]:
    """0-based ranks of the ends of a BCa interval among sorted resamples, rounded outwards.

    Args:
        row: the cells.
        seeds: cells of a cluster.
        below: resamples with a sum below what was seen.
        within: resamples with a sum of at most that.
        resamples: how many there are.
        level: of the interval.
    """
    normal = NormalDist()
    share = (below + within) / (2 * resamples)
    bias = normal.inv_cdf(min(max(share, 0.5 / resamples), 1 - 0.5 / resamples))
    means = row.reshape(-1, seeds).sum(axis=1).tolist()
    off = [value * len(means) - sum(means) for value in means]
    spread = float(sum(value * value for value in off))
    skew = float(sum(value**3 for value in off)) / (6 * spread**1.5) if spread > 0 else 0.0

    def moved(share: float) -> float:
        z = bias + normal.inv_cdf(share)
        return normal.cdf(bias + z / (1 - skew * z)) if skew * z < 1 else float(z > 0)

    tail = (1 - level) / 2
    low = math.floor(moved(tail) * (resamples - 1))
    high = math.ceil(moved(1 - tail) * (resamples - 1))
    return low, max(low, high)


def ranked_interval(row: Fixed, low: float, high: float, level: float) -> Interval:
    """The interval between two bootstrapped sums of a row."""
    count = len(row)
    return Interval(
        estimate=from_fixed(int(row.sum()), count),
        low=from_fixed(int(low), count),
        high=from_fixed(int(high), count),
        level=level,
    )


def whole_steps(row: Fixed) -> NDArray[np.float64]:
    """A row in `STEPS` steps of its largest number: whole, so that sums of squares are exact."""
    largest = int(np.abs(row).max(initial=0))
    return np.rint(row.astype(np.float64) / largest * STEPS) if largest else row.astype(np.float64)


def studentized(sums: Any, squares: Any, seen: Any, clusters: int, xp: Any) -> Any:
    """How many of its own standard errors each bootstrapped sum lies above the one that was seen.

    Where all drawn clusters are alike the standard error is 0: then it is infinitely many, or 0 for equal sums.

    Args:
        sums: bootstrapped sums, in steps.
        squares: bootstrapped sums of squares, of the same shape.
        seen: the sum that was seen; of any shape that fits.
        clusters: how many are drawn.
        xp: the array library.
    """
    off = sums - seen
    left = squares - sums * sums / clusters
    spread = left > squares * _FLAT
    far = xp.where(off == 0, 0.0, xp.where(off > 0, xp.inf, -xp.inf))
    return xp.where(spread, off / xp.sqrt(xp.where(spread, left, 1.0)), far)


def studentized_interval(row: Fixed, low: float, high: float, level: float) -> Interval:
    """The interval that follows from the quantiles of `studentized`.

    The ends stay within what a difference of scores can be, ±1, also where few clusters make them infinite.
    """
    count, total = len(row), int(row.sum())
    squares = sum(value * value for value in row.tolist())
    error = math.sqrt(squares - total * total / count) if squares * count > total * total else 0.0
    bound = float(max(count * SCALE, int(np.abs(row).sum())))
    ends = [min(max(total - (t * error if error else 0.0), -bound), bound) for t in (high, low)]
    return Interval(
        estimate=from_fixed(total, count),
        low=ends[0] / (count * SCALE),
        high=ends[1] / (count * SCALE),
        level=level,
    )


def _scaled(words: NDArray[np.uint32], bound: int) -> NDArray[np.uint64]:
    """Numbers below `bound` from 32-bit ones, by a multiplication and a shift."""
    return (words.astype(np.uint64) * np.uint64(bound)) >> np.uint64(32)
