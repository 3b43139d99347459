"""Resampling of many rows at once as matrix products, on whichever array library is at hand.

Signs and draws are made on the host from the same counter-based stream as in `contracts.statistics`, and
every product is one of integers below 2**53 in float64, so the results are the reference's, to the bit.
"""

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


def compute(job: ResampleJob, arrays: Arrays) -> ResampleResult:
    """Answer a job.

    Raises:
        ValueError: a row is not fit for exact sums, or the rows differ in length.
        MemoryError: not even one block fits into memory (CuPy raises its own kind of it).
    """
    rows = [checked(row) for row in job.values]
    if len({len(row) for row in rows}) > 1:
        raise ValueError("the rows of a job have one length")
    if not rows:
        return ResampleResult(library=arrays.name)
    if job.kind == "sign_flip":
        tests = sign_flips(np.stack(rows), resamples=job.resamples, key=job.key, arrays=arrays)
        return ResampleResult(tests=tests, library=arrays.name)
    intervals = bootstrap(
        np.stack(rows), level=job.level, resamples=job.resamples, key=job.key, arrays=arrays
    )
    return ResampleResult(intervals=intervals, library=arrays.name)


def sign_flips(values: Fixed, *, resamples: int, key: str, arrays: Arrays) -> tuple[SignFlip, ...]:
    """`contracts.statistics.sign_flip_p` of every row of `values` (rows x clusters), with shared signs."""
    count, clusters = values.shape
    limit = SLACK * clusters
    if clusters <= EXACT_CLUSTERS:
        return tuple(_exact(row, limit, arrays) for row in values)
    columns = arrays.put(np.ascontiguousarray(values.T, dtype=np.float64))
    hits = arrays.xp.zeros(count, dtype=np.int64)
    for flips in flip_blocks(key, clusters, resamples, _block(clusters + 64, count, arrays)):
        sums = arrays.put(flips).astype(np.float64) @ columns
        hits += arrays.xp.count_nonzero(sums <= limit, axis=0)
    return tuple(sampled_p(int(hit), resamples) for hit in arrays.get(hits))


def bootstrap(
    values: Fixed, *, level: float, resamples: int, key: str, arrays: Arrays
) -> tuple[Interval, ...]:
    """`contracts.statistics.bootstrap_interval` of every row of `values`, with shared draws."""
    count, clusters = values.shape
    if not clusters:
        raise ValueError("an interval needs at least one cluster")
    fits = max(1, arrays.held_bytes // (16 * resamples))
    found: list[Interval] = []
    for start in range(0, count, fits):
        part = values[start : start + fits]
        low, high = _ends(part, level, resamples, key, arrays)
        found += [
            Interval(
                estimate=from_fixed(int(row.sum()), clusters),
                low=from_fixed(int(below), clusters),
                high=from_fixed(int(above), clusters),
                level=level,
            )
            for row, below, above in zip(part, low, high, strict=True)
        ]
    return tuple(found)


def _exact(row: Fixed, limit: int, arrays: Arrays) -> SignFlip:
    xp = arrays.xp
    first, second = (xp.sort(arrays.put(half)) for half in halves_sums(row))
    hits = int(xp.searchsorted(second, limit - first, side="right").sum())
    return SignFlip(p=hits / 2 ** len(row), exact=True, resamples=2 ** len(row))


def _ends(
    values: Fixed, level: float, resamples: int, key: str, arrays: Arrays
) -> tuple[NDArray[Any], NDArray[Any]]:
    """Sums at both ends of each row's interval."""
    count, clusters = values.shape
    columns = arrays.put(np.ascontiguousarray(values.T, dtype=np.float64))
    sums = arrays.xp.empty((count, resamples), dtype=np.float64)
    done = 0
    for draws in draw_blocks(key, clusters, resamples, _block(3 * clusters, count, arrays)):
        sums[:, done : done + len(draws)] = (arrays.put(draws).astype(np.float64) @ columns).T
        done += len(draws)
    low, high = interval_ranks(resamples, level)
    if arrays.name == "numpy":
        sums.partition((low, high), axis=1)
    else:
        sums.sort(axis=1)
    return arrays.get(sums[:, low]), arrays.get(sums[:, high])


def _block(clusters: int, count: int, arrays: Arrays) -> int:
    """Rows of a resampling matrix at once, so that it and its product stay within a block's bytes."""
    return max(1, arrays.block_bytes // (16 * (clusters + count)))
