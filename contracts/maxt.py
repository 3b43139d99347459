"""Sign flips for a whole family: of several candidates, which are better, if all of them were looked at?

The statistic is studentized, so that candidates with loud differences do not drown those with quiet ones. A flip of
signs changes the sum S of a candidate's differences and leaves the sum Q of their squares as it is; and Student's t
grows strictly with S / √Q, by the same function for all candidates with K clusters. So it is enough to divide each
candidate's differences by √Q once, and one product of signs and scaled differences has the statistics of all.

Source: P. Westfall and S. Young, Resampling-Based Multiple Testing (1993).
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from contracts.record import Record
from contracts.statistics import SCALE, Fixed, block_rows, checked, flip_blocks

EXACT_FAMILY = 18
"""Up to so many clusters every assignment of signs is counted for a family. The joint distribution does not fall into
halves as that of one candidate does, so the work doubles with each cluster."""
_SLACK_CAP = 2**48
"""More than any sum of scaled differences, and small enough to stay exact in float64."""


class FamilyTest(Record):
    """What is known of one candidate of a family."""

    score: float
    """S / √Q: the sum of the differences over the root of the sum of their squares, in ±√clusters. Differences that
    are all 0 have 0."""
    p: float
    """One-sided, against the largest score of all candidates: right for any number of true and false ones."""
    stepped: float
    """The same by stepping down: a candidate is held against those that are not ahead of it. Never above `p`."""


class Family(Record):
    """A test of several candidates at once; p-values are those of the family, so one level holds for all."""

    tests: tuple[FamilyTest, ...]
    """In the order of the candidates."""
    exact: bool
    """Whether every assignment of signs was counted."""
    resamples: int
    """Assignments that were looked at."""


@dataclass(frozen=True, kw_only=True)
class Scaled:
    """Studentized differences of a family in fixed point, and what a test needs beside them."""

    values: Fixed
    """Candidates x clusters, in units of 1 / SCALE: differences over the root of the sum of their squares."""
    sums: Fixed
    """Of each candidate."""
    slack: Fixed
    """Units within which two sums of a candidate count as tied."""
    order: NDArray[np.intp]
    """The candidates from the largest sum down."""


def studentize(rows: Sequence[ArrayLike]) -> Scaled:
    """Divide each candidate's differences by the root of the sum of their squares.

    A difference is off by at most 1.5 units (see `contracts.statistics.SLACK`), so a sum of K scaled ones by at most
    K · (1 + 3 / √Q), all in units; sums that are equal as fractions tie within that.

    Args:
        rows: one row of fixed-point numbers for each candidate, one number per cluster.

    Raises:
        ValueError: a row is not fit for exact sums, or the rows differ in length.
    """
    family = [checked(row) for row in rows]
    if len({len(row) for row in family}) > 1:
        raise ValueError("the candidates of a family have the same clusters: rows of one length")
    clusters = len(family[0]) if family else 0
    roots = [math.sqrt(sum(value * value for value in row.tolist())) for row in family]
    values = np.zeros((len(family), clusters), dtype=np.int64)
    for index, (row, root) in enumerate(zip(family, roots, strict=True)):
        if root > 0:
            values[index] = np.rint(row.astype(np.float64) / root * SCALE).astype(np.int64)
    units = [clusters * (1 + (math.ceil(3 * SCALE / root) if root > 0 else 0)) for root in roots]
    sums = values.sum(axis=1)
    return Scaled(
        values=values,
        sums=sums,
        slack=np.array([min(unit, _SLACK_CAP) for unit in units], dtype=np.int64),
        order=np.argsort(-sums, kind="stable"),
    )


def max_t(rows: Sequence[ArrayLike], *, resamples: int = 10_000, key: str) -> Family:
    """Test one-sided for each candidate whether its mean is above 0, with one level for all of them.

    Flips the signs of whole clusters, of all candidates alike, so what ties the candidates together stays. Up to
    `EXACT_FAMILY` clusters every assignment of signs is counted; beyond, signs are drawn from the stream of `key`.

    Args:
        rows: one row of fixed-point numbers for each candidate, one number per cluster.
        resamples: how many assignments to sample where they are not all counted.
        key: names the stream of random signs.

    Raises:
        ValueError: a row is not fit for exact sums, or the rows differ in length.
    """
    scaled = studentize(rows)
    count, clusters = scaled.values.shape
    floats = scaled.values.T.astype(np.float64)
    limits = (scaled.sums - scaled.slack)[scaled.order]
    single = np.zeros(count, dtype=np.int64)
    stepped = np.zeros(count, dtype=np.int64)
    for flips in family_blocks(key, clusters, resamples) if count else ():
        sums = (scaled.sums + scaled.slack) - 2 * (flips.astype(np.float64) @ floats)
        behind = np.maximum.accumulate(sums[:, scaled.order[::-1]], axis=1)[:, ::-1]
        single += np.count_nonzero(behind[:, :1] >= limits, axis=0)
        stepped += np.count_nonzero(behind >= limits, axis=0)
    return family_of(scaled, single, stepped, resamples)


def family_blocks(
    key: str, clusters: int, resamples: int, rows: int | None = None
) -> Iterator[NDArray[np.uint8]]:
    """Which clusters are flipped, in blocks: every assignment up to `EXACT_FAMILY` clusters, else `flip_blocks`."""
    if clusters > EXACT_FAMILY:
        return flip_blocks(key, clusters, resamples, rows)
    return all_flips(clusters, rows)


def all_flips(clusters: int, rows: int | None = None) -> Iterator[NDArray[np.uint8]]:
    """Every assignment of signs once, 2**clusters x clusters, in blocks of at most `rows` rows."""
    rows = rows or block_rows(clusters)
    bits = np.arange(clusters, dtype=np.uint32)
    for start in range(0, 2**clusters, rows):
        numbers = np.arange(start, min(start + rows, 2**clusters), dtype=np.uint32)
        yield ((numbers[:, None] >> bits) & 1).astype(np.uint8)


def family_of(scaled: Scaled, single: Fixed, stepped: Fixed, resamples: int) -> Family:
    """The p-values that follow from the counts.

    Args:
        scaled: what was tested.
        single: how often the largest of all sums was at least each candidate's, in the order of `scaled.order`.
        stepped: the same for the largest of its own and of all sums behind it.
        resamples: sampled assignments; of no account where all were counted.
    """
    count, clusters = scaled.values.shape
    exact = clusters <= EXACT_FAMILY
    total = 2**clusters if exact else resamples
    more = 0 if exact else 1  # what was seen is one of all assignments, and not among the sampled
    climbing = np.maximum.accumulate(stepped) if count else stepped
    tests = [FamilyTest(score=0.0, p=1.0, stepped=1.0)] * count
    for place, index in enumerate(scaled.order):
        tests[index] = FamilyTest(
            score=int(scaled.sums[index]) / SCALE,
            p=(more + int(single[place])) / (more + total),
            stepped=(more + int(climbing[place])) / (more + total),
        )
    return Family(tests=tuple(tests), exact=exact, resamples=total)
