"""Logistic regression: binary, softmax over classes, and one of its own for each of several labels."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from contracts.datasets import Target
from gpu_workers.experiments.block import Block
from gpu_workers.families import parameters
from gpu_workers.families.layout import held_out, layout, parameter
from gpu_workers.families.newton import Losses, minimize, probabilities
from gpu_workers.families.ridge import decompose

_RANK = 1e-13
"""Eigenvalues so far below the largest are no direction of the data."""


class Logistic:
    """`sklearn.linear_model.LogisticRegression` with its penalty on squares, at the optimum itself.

    Probabilities agree with scikit-learn's to 1e-6 where that is run to the end (`tol` 1e-10). A class that no
    training row has gets the probability 0. A member that does not come to its end has NaN for predictions.
    """

    name = "logistic"
    defaults: Mapping[str, Any] = MappingProxyType(
        {"C": 1.0, "fit_intercept": True, "tol": 1e-9, "max_iter": 200}
    )
    seeded = False
    unfinished = "the fit did not come to its end, so nothing is predicted; raise `max_iter` or `tol`"

    def check(self, configuration: Mapping[str, Any], target: Target) -> None:
        """Raise ValueError for a parameter that is unknown or out of range, or a target of numbers."""
        parameters.fitting(self.name, target, ("binary", "multiclass", "multilabel"))
        parameters.known(self.name, configuration, self.defaults)
        full = {**self.defaults, **configuration}
        parameters.number(self.name, full, "C", 0.0, above=True)
        parameters.number(self.name, full, "tol", 1e-14, 1.0)
        parameters.whole(self.name, full, "max_iter", 1)
        parameters.choice(self.name, full, "fit_intercept", (True, False))

    def bucket(self, configuration: Mapping[str, Any]) -> tuple[Any, ...]:
        """All but the penalty is shared by a block."""
        return tuple(configuration[name] for name in ("fit_intercept", "tol", "max_iter"))

    def memory(self, n: int, d: int, k: int, m: int, members: int, configuration: Mapping[str, Any]) -> int:
        """Scores, probabilities, directions and what they turn into."""
        return 8 * members * k * (9 * n + 12 * (min(n, d) + 1) + 3 * m)

    def operations(
        self, n: int, d: int, k: int, m: int, members: int, configuration: Mapping[str, Any]
    ) -> int:
        """Six steps of Newton's method with three inner ones each: the least that is ever seen."""
        return 6 * 3 * 4 * members * n * d * k

    def fit_predict(self, block: Block) -> Any:
        """(members, m, k)."""
        xp, at = block.arrays.xp, layout(block)
        intercept = bool(block.configurations[0]["fit_intercept"])
        folds = block.arrays.put(at.folds)
        weights = block.train[folds]
        x = block.x if len(at.folds) == len(block.x) else block.x[folds]
        mean = xp.einsum("fn,fnd->fd", weights, x)[:, None] / weights.sum(axis=1)[:, None, None] * intercept
        turn = _basis((x - mean) * weights[:, :, None], block)
        block.checkpoint()
        z, tested = (x - mean) @ turn, (held_out(block, at) - mean) @ turn
        if intercept:
            z, tested = (
                xp.concatenate([each, xp.ones((*each.shape[:2], 1))], axis=2) for each in (z, tested)
            )
        penalized = xp.ones((1, z.shape[2], 1, 1))
        penalized[:, z.shape[2] - int(intercept) :] = 0.0
        softmax = block.target == "multiclass"
        truth = block.y
        if softmax:
            truth = (truth[:, None] == xp.arange(block.outputs)).astype(xp.float64)
        truth = truth.reshape(1, len(block.y), block.outputs, 1)
        allowed = xp.ones((len(at.folds), 1, block.outputs, 1))
        if softmax:
            allowed[:, 0, :, 0] = (weights @ truth[0, :, :, 0]) > 0
        losses = Losses(
            xp=xp, z=z, weights=weights, truth=truth, allowed=allowed, penalized=penalized, softmax=softmax,
            penalty=block.arrays.put(1.0 / at.grid(parameter(block, "C"), free=1.0))[:, None, None],
        )  # fmt: skip
        first = block.configurations[0]
        b, ended = minimize(
            losses, at.places, block.outputs, tol=float(first["tol"]), steps=int(first["max_iter"]),
            checkpoint=block.checkpoint,
        )  # fmt: skip
        chances = probabilities(
            Losses.forward(Losses(**{**losses.__dict__, "z": tested}), b), allowed, softmax=softmax, xp=xp
        )
        chances = xp.where(ended[:, None, None], chances, xp.nan)
        return at.members(chances.transpose(0, 3, 1, 2), block.arrays.put)


def _basis(rows: Any, block: Block) -> Any:
    """Directions in which a fold's training rows are uncorrelated, (folds, d, r) with r = min(n, d).

    Coefficients at the optimum are combinations of rows, so with fewer rows than columns nothing is lost.
    """
    xp = block.arrays.xp
    flipped = rows.transpose(0, 2, 1)
    if rows.shape[2] <= rows.shape[1]:
        return decompose(flipped @ rows, block.arrays)[1]
    values, vectors = decompose(rows @ flipped, block.arrays)
    alive = values > _RANK * values.max(axis=1, keepdims=True)
    scale = xp.where(alive, 1.0 / xp.sqrt(xp.where(alive, values, 1.0)), 0.0)
    return flipped @ (vectors * scale[:, None])
