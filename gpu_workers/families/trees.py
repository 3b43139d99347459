"""Shallow trees, many at once: every level of all of them is one product with the table of cuts.

Gradients are rounded to whole numbers, some nine digits of the largest, so that sums are exact. Then neither the
order of adding nor the company of other trees can change which split is best.
"""

from dataclasses import dataclass
from typing import Any

from gpu_workers.families.bins import Table

_LEAST_CURVATURE = 1e-3
"""Sum of second derivatives that either side of a split has at least."""
_SLIGHT = 1e-15
"""Added to sums that are divided by."""
_BITS = 30
"""Of the largest gradient in whole numbers."""
_LEAST_BITS = 20
"""Of the largest curvature, where it shares a number with the count of rows, which saves a third of the products."""


@dataclass(frozen=True, kw_only=True)
class Sums:
    """What is added up in histograms, for trees x training rows, as whole numbers in float64."""

    stats: Any
    """(2 or 3, trees, rows): slopes; curvatures, unless they are all 1; and which rows count."""
    slope_unit: Any
    """(trees,): what a whole number is worth."""
    curve_unit: Any

    @staticmethod
    def of(xp: Any, slopes: Any, curvatures: Any, counts: Any) -> "Sums":
        """Round; curvatures are None where they are all 1."""
        rounded, slope_unit = _whole(xp, slopes * counts)
        if curvatures is None:
            return Sums(
                stats=xp.stack((rounded, counts)), slope_unit=slope_unit, curve_unit=xp.ones(len(counts))
            )
        curves, curve_unit = _whole(xp, curvatures * counts, _packed_bits(counts.shape[1]) or _BITS)
        return Sums(stats=xp.stack((rounded, curves, counts)), slope_unit=slope_unit, curve_unit=curve_unit)


@dataclass(frozen=True, kw_only=True)
class Trees:
    """Trees that are grown."""

    leaf: Any
    """(trees, rows): the leaf that each row of the table falls into."""
    values: Any
    """(trees, leaves): the step of each leaf."""


def grow(table: Table, sums: Sums, *, depth: int, l2: Any, min_rows: Any) -> Trees:
    """Grow trees level by level, every node by its best split.

    A node without a split that gains hands all its rows to its left side. Of equal splits the first is taken.

    Args:
        table: rows and cuts.
        sums: of slopes and curvatures.
        depth: splits between root and leaf.
        l2: (trees,): added to the curvature of every leaf.
        min_rows: (trees,): rows that either side of a split has at least.
    """
    xp = table.arrays.xp
    stats = sums.stats
    trees, rows, cuts = stats.shape[1], table.below.shape[1], len(table.below)
    shrink = (l2 / sums.curve_unit + _SLIGHT)[:, None]
    least = (_LEAST_CURVATURE / sums.curve_unit)[:, None]
    leaf = xp.zeros((trees, rows), dtype=xp.int64)
    totals = stats.sum(axis=2)[:, :, None]
    unit = _unit(stats)
    added, lefts = stats, None
    if unit:
        added = xp.stack((stats[0], stats[1] + unit * stats[2]))
    for level in range(depth if cuts else 0):
        lefts = _histograms(table, added, leaf, lefts, level, unit)
        gains = _gains(xp, lefts, totals, shrink[..., None], least[..., None], min_rows[:, None, None])
        best = gains.argmax(axis=2)
        split = pick(xp, gains, best[:, :, None])[:, :, 0] > _loss(totals, shrink)
        left = pick(xp, lefts, best[None, :, :, None])[..., 0]
        left = xp.where(split, left, totals)
        totals = xp.stack((left, totals - left), axis=3).reshape(len(stats), trees, -1)
        own_cut = pick(xp, best, leaf)
        stays = table.is_below(own_cut) | ~pick(xp, split, leaf)
        leaf = 2 * leaf + ~stays
    values = -totals[0] / (totals[1] + shrink) * (sums.slope_unit / sums.curve_unit)[:, None]
    return Trees(leaf=leaf, values=values)


def pick(xp: Any, values: Any, index: Any) -> Any:
    """`take_along_axis` along the last axis as one look-up; both libraries make an index for every axis of it."""
    starts = xp.arange(0, values.size, values.shape[-1]).reshape(*values.shape[:-1], 1)
    return values.reshape(-1).take(index + starts)


def _histograms(table: Table, added: Any, leaf: Any, parents: Any, level: int, unit: float) -> Any:
    """(stats, trees, nodes, cuts): sums over each node's rows up to each cut.

    Only left nodes are added up; a right one has what its parent has and its sister has not.
    """
    xp = table.arrays.xp
    if level == 0:
        return _unpacked(xp, table.sums(added[:, :, None]), unit)
    half = 2 ** (level - 1)
    inside = leaf[:, None, : table.train] == 2 * xp.arange(half)[:, None]
    lefts = _unpacked(xp, table.sums(added[:, :, None] * inside), unit)
    both = xp.empty((*lefts.shape[:2], 2 * half, lefts.shape[3]))
    both[:, :, 0::2] = lefts
    xp.subtract(parents, lefts, out=both[:, :, 1::2])
    return both


def _gains(xp: Any, lefts: Any, totals: Any, shrink: Any, least: Any, min_rows: Any) -> Any:
    """(trees, nodes, cuts): what both sides of each split gain, and -1 where one is too small."""
    slope, curve, count = lefts[0], lefts[1], lefts[-1]
    all_slope, all_curve, all_count = totals[0][..., None], totals[1][..., None], totals[-1][..., None]
    gains = slope * slope
    gains /= curve + shrink
    other = all_slope - slope
    other *= other
    rest = all_curve - curve
    rest += shrink
    other /= rest
    gains += other
    small = (count < min_rows) | (count > all_count - min_rows)
    if len(lefts) == 3:
        small |= (curve < least) | (curve > all_curve - least)
    return xp.where(small, -1.0, gains)


def _loss(totals: Any, shrink: Any) -> Any:
    """(trees, nodes): what a node is worth unsplit."""
    return totals[0] * totals[0] / (totals[1] + shrink)


def _packed_bits(rows: int) -> int:
    """Bits of a curvature where a sum of curvatures and the count of rows fit into one number; 0 where they do not."""
    bits = min(_BITS, 52 - 2 * rows.bit_length())
    return bits if bits >= _LEAST_BITS else 0


def _unit(stats: Any) -> float:
    """What a row counts in a number that holds curvatures, too: more than all of them sum to; 0 where none does."""
    bits = _packed_bits(stats.shape[2])
    return 2.0 ** (bits + stats.shape[2].bit_length()) if len(stats) == 3 and bits else 0.0


def _unpacked(xp: Any, sums: Any, unit: float) -> Any:
    """Slopes, curvatures and counts from slopes and what holds both others."""
    if not unit:
        return sums
    counts = xp.floor(sums[1] / unit)
    return xp.stack((sums[0], sums[1] - unit * counts, counts))


def _whole(xp: Any, values: Any, most: int = _BITS) -> tuple[Any, Any]:
    """(trees, rows) as whole numbers whose sums are below 2**53, and what one of them is worth, a power of 2."""
    bits = min(most, 52 - values.shape[1].bit_length())
    _, exponent = xp.frexp(xp.abs(values).max(axis=1))
    shift = bits - exponent
    return xp.rint(xp.ldexp(values, shift[:, None])), xp.ldexp(xp.ones(len(values)), -shift)
