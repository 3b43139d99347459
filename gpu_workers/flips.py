"""Counting assignments of signs: how often the sum of what is flipped is small, for many rows by one product.

Where there is no device the product is made in float32 first, at half the cost. Its error is bounded whatever the order
of its terms, so most counts are certain; what lies within the error of the limit is summed again exactly. The counts
are the same as in float64, to the last.
"""

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from contracts.statistics import Fixed
from gpu_workers.arrays import Arrays

_MANY = 0.02
"""Share of uncertain counts from which a whole product is cheaper than summing them one by one."""


@dataclass(frozen=True, kw_only=True)
class Flipped:
    """Rows of numbers whose signs are flipped. Several threads may count at once."""

    arrays: Arrays
    exact: Any
    """clusters x rows, float64, on the device."""
    limit: int
    """A sum of what is flipped counts up to here."""
    rough: NDArray[np.float32] | None
    """The same numbers in float32, where these are tried first."""
    sure: NDArray[np.float32]
    """For each row the largest rough sum that counts for certain."""
    open: NDArray[np.float32]
    """For each row the largest rough sum that may count."""

    @classmethod
    def of(cls, values: Fixed, limit: int, arrays: Arrays) -> Self:
        """What counting needs to know of the rows.

        A sum of K products in float32 is off by less than (K + 2) · 2**-23 · the sum of all absolute values, twice
        what rounding the numbers and adding them up in any order can amount to.

        Args:
            values: rows x clusters, in fixed point.
            limit: the largest sum that counts.
            arrays: what to compute with.
        """
        columns = np.ascontiguousarray(values.T, dtype=np.float64)
        error = (len(columns) + 2) * 2.0**-23 * np.abs(columns).sum(axis=0)
        return cls(
            arrays=arrays,
            exact=arrays.put(columns),
            limit=limit,
            rough=columns.astype(np.float32) if arrays.name == "numpy" else None,
            sure=(limit - error).astype(np.float32),
            open=(limit + error).astype(np.float32),
        )

    def count(self, flips: Any) -> Any:
        """For each row, how many assignments of a block count; each is a line of 0 and 1 for the clusters."""
        if self.rough is None:
            sums = flips.astype(np.float64) @ self.exact
            return self.arrays.xp.count_nonzero(sums <= self.limit, axis=0)
        sums = flips.astype(np.float32) @ self.rough
        certain = sums <= self.sure
        rows, columns = divmod(np.flatnonzero((sums <= self.open) ^ certain), sums.shape[1])
        if len(rows) > sums.size * _MANY:
            return np.count_nonzero(flips.astype(np.float64) @ self.exact <= self.limit, axis=0)
        counted = np.count_nonzero(certain, axis=0)
        if len(rows):
            again = np.einsum("ij,ji->i", flips[rows].astype(np.float64), self.exact[:, columns])
            np.add.at(counted, columns, again <= self.limit)
        return counted
