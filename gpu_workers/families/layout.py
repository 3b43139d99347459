"""Members of a block sorted by fold, so that all that share a fold share its features in one product."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gpu_workers.experiments.block import Block


@dataclass(frozen=True, kw_only=True)
class Layout:
    """Where each member stands in a grid of folds x places; folds with fewer members have free places."""

    folds: NDArray[np.int64]
    """The folds of the block that have members, ascending."""
    row: NDArray[np.int64]
    """(members,): index into `folds`."""
    place: NDArray[np.int64]
    """(members,): place among the members of that fold."""
    places: int
    """Members of the fold that has most."""

    def grid(self, values: NDArray[Any], free: float = 0.0) -> NDArray[Any]:
        """(members, …) as (folds, places, …); `free` where no member stands."""
        out = np.full((len(self.folds), self.places, *values.shape[1:]), free, dtype=values.dtype)
        out[self.row, self.place] = values
        return out

    def members(self, values: Any, put: Callable[[NDArray[Any]], Any]) -> Any:
        """(folds, places, …) on the device as (members, …)."""
        return values[put(self.row), put(self.place)]


def layout(block: Block) -> Layout:
    """Sort the members of a block."""
    folds, row = np.unique(block.fold, return_inverse=True)
    order = np.argsort(row, kind="stable")
    counts = np.bincount(row, minlength=len(folds))
    starts = np.cumsum(counts) - counts
    place = np.empty(len(row), dtype=np.int64)
    place[order] = np.arange(len(row)) - starts[row[order]]
    return Layout(folds=folds, row=row, place=place, places=int(counts.max(initial=0)))


def parameter(block: Block, name: str) -> NDArray[np.float64]:
    """A number of every member's configuration, (members,) on the host."""
    return np.array([float(configuration[name]) for configuration in block.configurations])


def held_out(block: Block, at: Layout) -> Any:
    """Features of the rows that each fold of the layout holds out, (folds, m, d)."""
    folds = block.arrays.put(at.folds)
    return block.x[folds[:, None], block.test[folds]]
