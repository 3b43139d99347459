"""Quantile bins of features, and histograms as one matrix product for all trees."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gpu_workers.arrays import Arrays


def thresholds(column: NDArray[np.float64], bins: int) -> NDArray[np.float64]:
    """Where a sorted column is cut into at most so many bins: between its values if they are few, else at quantiles.

    As scikit-learn's histogram boosting does; quantiles are `numpy.percentile(method="averaged_inverted_cdf")`.
    """
    distinct = column[np.concatenate(([True], column[1:] > column[:-1]))]
    if len(distinct) <= bins:
        with np.errstate(over="ignore"):
            middles = distinct[:-1] + (distinct[1:] - distinct[:-1]) / 2
        return np.where(np.isfinite(middles), middles, distinct[:-1] / 2 + distinct[1:] / 2)
    # In whole numbers, so that a quantile that falls between two values always does.
    place, rest = np.divmod(np.arange(1, bins) * len(column), bins)
    low = column[np.where(rest > 0, place, place - 1)]
    return np.unique(np.where(rest > 0, low, low / 2 + column[place] / 2))


@dataclass(frozen=True, kw_only=True)
class Table:
    """The rows of one fold, with every cut of every feature: whether a row is at most there."""

    arrays: Arrays
    below: Any
    """(cuts, rows) of bool, the training rows first; cuts by feature, ascending."""
    train: int
    """How many rows train."""
    dense: Any
    """(cuts, training rows) as float64 if that fits into memory, else None."""

    @staticmethod
    def of(arrays: Arrays, train: Any, test: Any, bins: int) -> "Table":
        """Cut (training rows, d) features into bins, and place all rows."""
        xp = arrays.xp
        ordered = np.sort(arrays.get(train), axis=0)
        cuts = [thresholds(ordered[:, column], bins) for column in range(ordered.shape[1])]
        feature = np.repeat(np.arange(len(cuts)), [len(each) for each in cuts])
        edges = arrays.put(np.concatenate([*cuts, np.zeros(0)]))
        rows = xp.concatenate((train, test)).T
        below = rows[arrays.put(feature)] <= edges[:, None]
        dense = None
        if 8 * len(feature) * len(train) <= arrays.held_bytes // 4:
            dense = below[:, : len(train)].astype(xp.float64)
        return Table(arrays=arrays, below=below, train=len(train), dense=dense)

    def sums(self, values: Any) -> Any:
        """(…, cuts): the sums of (…, training rows) over the rows up to each cut; exact for whole numbers."""
        xp = self.arrays.xp
        flat = values.reshape(-1, self.train)
        if self.dense is not None:
            found = flat @ self.dense.T
        else:
            found = xp.empty((len(flat), len(self.below)))
            step = max(1, self.arrays.block_bytes // (8 * self.train))
            for start in range(0, len(self.below), step):
                part = self.below[start : start + step, : self.train].astype(xp.float64)
                found[:, start : start + step] = flat @ part.T
        return found.reshape(*values.shape[:-1], len(self.below))

    def is_below(self, cuts: Any) -> Any:
        """(trees, rows) of bool: whether each row is at most at the cut given for it, (trees, rows)."""
        rows = self.below.shape[1]
        return self.below.reshape(-1).take(cuts * rows + self.arrays.xp.arange(rows))
