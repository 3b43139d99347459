"""Nearest neighbours: one sorted block of distances per fold serves every number of neighbours."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from contracts.datasets import Target
from gpu_workers.experiments.block import Block
from gpu_workers.families import parameters

_SPARE = 16
"""Candidates beyond the neighbours asked for, whose distances are taken again exactly before they are sorted."""
_MARGIN = 1e-9
"""Rounding of a quick squared distance, relative to the squared lengths that it is a difference of."""


class Neighbours:
    """`sklearn.neighbors.KNeighborsClassifier` and `KNeighborsRegressor` with Euclidean distances.

    Rows at equal distances are taken in the order of the data. Distances are first formed as a product, then
    those of the candidates are taken again as sums of squared differences; rows whose candidates may not hold
    all neighbours are done one by one.
    """

    name = "neighbours"
    defaults: Mapping[str, Any] = MappingProxyType({"neighbours": 5, "weights": "uniform"})
    seeded = False

    def check(self, configuration: Mapping[str, Any], target: Target) -> None:
        """Raise ValueError for a parameter that is unknown or out of range."""
        parameters.known(self.name, configuration, self.defaults)
        full = {**self.defaults, **configuration}
        parameters.whole(self.name, full, "neighbours", 1, 100_000)
        parameters.choice(self.name, full, "weights", ("uniform", "distance"))

    def bucket(self, configuration: Mapping[str, Any]) -> tuple[Any, ...]:
        """Everything is stacked."""
        return ()

    def memory(self, n: int, d: int, k: int, m: int, members: int, configuration: Mapping[str, Any]) -> int:
        """Predictions; distances are taken in pieces of a fixed size, and one fold's neighbours are held."""
        return 8 * members * m * k * 3 + 8 * m * min(n, 2 * int(configuration["neighbours"]) + _SPARE) * (
            3 + 2 * k
        )

    def operations(
        self, n: int, d: int, k: int, m: int, members: int, configuration: Mapping[str, Any]
    ) -> int:
        """Sums of neighbours; distances are shared and left out."""
        return 2 * members * m * k * int(configuration["neighbours"])

    def fit_predict(self, block: Block) -> Any:
        """(members, m, k), to 1e-10. A member that asks for more neighbours than a fold has rows to fit to is an error.

        Raises:
            ValueError: that.
        """
        xp, arrays = block.arrays.xp, block.arrays
        truth = block.y
        if block.target == "multiclass":
            truth = (truth[:, None] == xp.arange(block.outputs)).astype(xp.float64)
        truth = truth.reshape(len(block.y), block.outputs)
        out = xp.empty((len(block.fold), block.test.shape[1], block.outputs))
        for fold in sorted(set(block.fold.tolist())):
            members = [index for index, its in enumerate(block.fold) if its == fold]
            wanted = [int(block.configurations[index]["neighbours"]) for index in members]
            rows = xp.flatnonzero(block.train[fold] > 0)
            if max(wanted) > len(rows):
                raise ValueError(
                    f"neighbours is {max(wanted)}, but a fold has {len(rows)} rows to fit to; ask for fewer"
                )
            x, tested = block.x[fold][rows], block.x[fold][block.test[fold]]
            near, squared = nearest(x, tested, max(wanted), block)
            values = truth[rows][near]
            flat = xp.cumsum(values, axis=1)
            for index, count in zip(members, wanted, strict=True):
                if block.configurations[index]["weights"] == "uniform":
                    out[index] = flat[:, count - 1] / count
                else:
                    out[index] = _weighted(squared[:, :count], values[:, :count], xp)
            block.checkpoint()
        return arrays.xp.ascontiguousarray(out)


def nearest(x: Any, tested: Any, count: int, block: Block) -> tuple[Any, Any]:
    """Indices of the `count` nearest rows of x for every tested row, (m, count), nearest first; squared distances."""
    xp = block.arrays.xp
    center = x.mean(axis=0)
    x, tested = x - center, tested - center
    lengths = (x * x).sum(axis=1)
    found, squares = [], []
    size = max(1, block.arrays.block_bytes // (8 * (4 * len(x) + 2 * (count + _SPARE) * x.shape[1])))
    for start in range(0, len(tested), size):
        block.checkpoint()
        part = tested[start : start + size]
        own = (part * part).sum(axis=1)
        quick = lengths[None] - 2.0 * (part @ x.T) + own[:, None]
        take = min(len(x), count + _SPARE)
        some = xp.sort(xp.argpartition(quick, take - 1, axis=1)[:, :take], axis=1)
        exact = ((part[:, None] - x[some]) ** 2).sum(axis=2)
        order = xp.argsort(exact, axis=1, kind="stable")
        order = order[:, :count]
        near, squared = xp.take_along_axis(some, order, axis=1), xp.take_along_axis(exact, order, axis=1)
        if take < len(x):
            left = xp.take_along_axis(quick, some, axis=1).max(axis=1)
            slack = _MARGIN * (own + lengths.max())
            for row in xp.flatnonzero(squared[:, -1] + slack >= left).tolist():
                distances = ((part[row] - x) ** 2).sum(axis=1)
                best = xp.argsort(distances, kind="stable")[:count]
                near[row], squared[row] = best, distances[best]
        found.append(near)
        squares.append(squared)
    return xp.concatenate(found), xp.concatenate(squares)


def _weighted(squared: Any, values: Any, xp: Any) -> Any:
    """The mean of neighbours' values, weighted by 1 / distance; where some are at distance 0, the mean of those."""
    same = squared == 0
    any_same = same.any(axis=1, keepdims=True)
    weights = xp.where(any_same, same.astype(xp.float64), 1.0 / xp.sqrt(xp.where(same, 1.0, squared)))
    return (weights[:, :, None] * values).sum(axis=1) / weights.sum(axis=1)[:, None]
