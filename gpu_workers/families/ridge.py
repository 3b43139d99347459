"""Ridge regression: one decomposition per fold serves every penalty."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from contracts.datasets import Target
from gpu_workers.arrays import Arrays
from gpu_workers.experiments.block import Block
from gpu_workers.experiments.moments import Moments
from gpu_workers.families import parameters
from gpu_workers.families.layout import held_out, layout, parameter

_RANK = 1e-13
"""Eigenvalues so far below the largest count as 0; only without a penalty does that matter."""
_RESIDUAL = 1e-9
"""How far a batched decomposition may be off, relative to the matrix, before it is taken again one by one."""
_DIGITS = 1e-7
"""Errors below so small a share of the targets' own size have lost digits in a difference of moments."""
_EPS = 4 * float(np.finfo(np.float64).eps)
_AGREED, _CLOSE = 1e-10, 1e-8
"""How large the bound on rounding may be, beside the predictions and beside the errors."""
_LOST = 1e-6
"""The same of a column's square about its mean beside that about 0."""


class Ridge:
    """Least squares with a penalty on the squared coefficients, as `sklearn.linear_model.Ridge`."""

    name = "ridge"
    defaults: Mapping[str, Any] = MappingProxyType({"alpha": 1.0, "fit_intercept": True})
    seeded = False

    def check(self, configuration: Mapping[str, Any], target: Target) -> None:
        """Raise ValueError for a parameter that is unknown or out of range, or a target of classes."""
        parameters.fitting(self.name, target, ("regression", "count"))
        parameters.known(self.name, configuration, self.defaults)
        full = {**self.defaults, **configuration}
        parameters.number(self.name, full, "alpha", 0.0)
        parameters.choice(self.name, full, "fit_intercept", (True, False))

    def bucket(self, configuration: Mapping[str, Any]) -> tuple[Any, ...]:
        """Members with and without an intercept are apart."""
        return (configuration["fit_intercept"],)

    def memory(self, n: int, d: int, k: int, m: int, members: int, configuration: Mapping[str, Any]) -> int:
        """Predictions and coefficients, twice."""
        return 16 * members * (m + min(n, d))

    def operations(
        self, n: int, d: int, k: int, m: int, members: int, configuration: Mapping[str, Any]
    ) -> int:
        """Products with the held-out rows; decompositions are shared and left out."""
        return 2 * members * (m * d + d)

    def fit_predict(self, block: Block) -> Any:
        """(members, m, 1), to 1e-9 of the largest target.

        With fewer training rows than columns the matrix of rows is decomposed instead of that of columns.
        Without a penalty and without full rank the shortest solution is taken.
        """
        xp, at = block.arrays.xp, layout(block)
        intercept = bool(block.configurations[0]["fit_intercept"])
        folds = block.arrays.put(at.folds)
        weights = block.train[folds]
        count = weights.sum(axis=1)
        x, y = (block.x if len(at.folds) == len(block.x) else block.x[folds]), block.y
        mean = xp.einsum("fn,fnd->fd", weights, x) / count[:, None] * intercept
        level = weights @ y / count * intercept
        centered = (x - mean[:, None]) * weights[:, :, None]
        wanted = (y - level[:, None]) * weights
        tested = held_out(block, at) - mean[:, None]
        if intercept:  # a column that is constant in training is 0 about its mean, and gets no weight
            moving = xp.abs(centered).max(axis=1) > _EPS * xp.abs(x).max(axis=1)
            centered, tested = centered * moving[:, None], tested * moving[:, None]
        block.checkpoint()
        alphas = block.arrays.put(at.grid(parameter(block, "alpha"), free=1.0))
        flipped = centered.transpose(0, 2, 1)
        tall = x.shape[2] <= x.shape[1]
        if tall:
            values, vectors = decompose(flipped @ centered, block.arrays)
            seen, given = tested @ vectors, vectors.transpose(0, 2, 1) @ (flipped @ wanted[:, :, None])
        else:
            values, vectors = decompose(centered @ flipped, block.arrays)
            seen, given = tested @ flipped @ vectors, vectors.transpose(0, 2, 1) @ wanted[:, :, None]
        block.checkpoint()
        shrunk = given.transpose(0, 2, 1) * _inverse(values, alphas, xp)
        predictions = shrunk @ seen.transpose(0, 2, 1)
        # Where rows are decomposed, `shrunk` and `seen` are in units of rows; these are those of columns.
        unit = xp.ones_like(values) if tall else _nonzero(xp.sqrt(xp.maximum(values, 0.0)), xp)
        reach = xp.sqrt((seen * seen).sum(axis=1)) / unit
        off = _rounding(values, alphas, shrunk * unit[:, None], reach, xp)
        bad = ~(off <= _AGREED * xp.sqrt((predictions * predictions).sum(axis=2)))
        for fold in np.flatnonzero(block.arrays.get(bad.any(axis=1))):
            block.checkpoint()
            rows = weights[fold] > 0
            predictions[fold] = _by_singular_values(
                centered[fold][rows], wanted[fold][rows], tested[fold], alphas[fold], xp
            )
        return at.members(predictions + level[:, None, None], block.arrays.put)[:, :, None]

    def squared_errors(
        self, moments: Moments, configurations: Sequence[Mapping[str, Any]]
    ) -> tuple[Any, Any]:
        """The sum of squared errors over the rows held out, in closed form, for every fold and configuration.

        No fold's features are formed: with y' the targets less their training mean, the sum is
        y'y' - 2 b'X'y' + b'X'Xb over the rows held out, and their moments about the training mean follow from
        moments about any other point. To 1e-8 of the sum, where it is sure.

        Returns:
            (folds, configurations), and of the same shape whether the sum is sure; where it is not, it is tiny beside
            the targets, and predictions have to be formed.
        """
        xp = moments.arrays.xp
        intercept = bool(configurations[0]["fit_intercept"])
        alphas = moments.arrays.put(np.array([[float(each["alpha"]) for each in configurations]]))
        y = moments.y - moments.y.mean() if intercept else moments.y
        table = xp.concatenate([moments.affine.base, y[:, None]], axis=1)
        held = _raw(table, *moments.test)
        if moments.train is None:
            whole = (len(table), table.sum(axis=0), table.T @ table)
            train = whole[0] - held[0], whole[1] - held[1], whole[2] - held[2]
        else:
            train = _raw(table, *moments.train)
        count, sums, products = train
        zeros = xp.zeros((len(count), 1))
        center = sums / count[:, None] if intercept else xp.concatenate([moments.affine.shift, zeros], axis=1)
        scale = xp.concatenate([moments.affine.factor, zeros + 1], axis=1)
        gram, out = _about(center, train, scale), _about(center, held, scale)
        unsure = self._settle_constants(
            moments, gram, out, products * (scale[:, :, None] * scale[:, None, :])
        )
        values, vectors = decompose(gram[:, :-1, :-1], moments.arrays)
        turned = vectors.transpose(0, 2, 1)
        part = (turned @ gram[:, :-1, -1:])[:, :, 0]
        shrunk = part[:, None] * _inverse(values, alphas, xp)
        cross = (turned @ out[:, :-1, -1:])[:, :, 0]
        spread = turned @ out[:, :-1, :-1] @ vectors
        quadratic = ((shrunk @ spread) * shrunk).sum(axis=2)
        own = out[:, -1, -1][:, None]
        errors = own - 2 * (shrunk @ cross[:, :, None])[:, :, 0] + quadratic
        reach = xp.sqrt(xp.maximum(xp.diagonal(spread, axis1=1, axis2=2), 0.0))
        off = _rounding(values, alphas, shrunk, reach, xp)
        sure = (errors > _DIGITS * xp.maximum(own, quadratic)) & ~moments.arrays.put(unsure)[:, None]
        errors = xp.maximum(errors, 0.0)
        return errors, sure & (off <= _CLOSE * xp.sqrt(errors))

    def _settle_constants(self, moments: Moments, gram: Any, out: Any, before: Any) -> NDArray[np.bool_]:
        """Set columns that are constant in training to 0, and tell the folds in which digits were lost, (folds,).

        Where a column's square about its mean is tiny beside its square about 0, it is either constant, and the
        difference is noise, or the difference has lost digits that predictions do not lose.
        """
        xp, get = moments.arrays.xp, moments.arrays.get
        now, then = (xp.diagonal(each, axis1=1, axis2=2)[:, :-1] for each in (gram, before))
        unsure = np.zeros(len(gram), dtype=bool)
        for fold, column in np.argwhere(get((now <= _LOST * then) & (then > 0))):
            values = moments.affine.base[:, column]
            if moments.train is not None:
                values = values[moments.train[0][fold]][moments.train[1][fold] > 0]
            else:
                held = moments.test[0][fold][moments.test[1][fold] > 0]
                there = xp.ones(len(values), dtype=bool)
                there[held] = False
                values = values[there]
            if bool(values.max() == values.min()):
                for each in (gram, out):
                    each[fold, column, :] = 0.0
                    each[fold, :, column] = 0.0
            else:
                unsure[fold] = True
        return unsure


def decompose(matrices: Any, arrays: Arrays) -> tuple[Any, Any]:
    """Eigenvalues and vectors of symmetric matrices, (…, d) and (…, d, d).

    CuPy's batched solver is iterative; where its residual is too large, matrices are taken one by one.
    """
    xp = arrays.xp
    values, vectors = xp.linalg.eigh(matrices)
    if arrays.name == "cupy" and matrices.size:
        off = xp.abs(matrices @ vectors - vectors * values[:, None, :]).max(axis=(1, 2))
        size = xp.abs(matrices).max(axis=(1, 2))
        for index in np.flatnonzero(arrays.get(~(off <= _RESIDUAL * size))):
            values[index], vectors[index] = xp.linalg.eigh(matrices[index])
    return values, vectors


def _inverse(values: Any, alphas: Any, xp: Any) -> Any:
    """1 / (value + alpha), (folds, places, d); 0 for what is no direction of the data and has no penalty."""
    kept = xp.maximum(values, 0.0)[:, None, :]
    dead = (alphas[:, :, None] == 0) & (kept <= _RANK * kept.max(axis=2, keepdims=True))
    return xp.where(dead, 0.0, 1.0 / xp.where(dead, 1.0, kept + alphas[:, :, None]))


def _rounding(values: Any, alphas: Any, coefficients: Any, reach: Any, xp: Any) -> Any:
    """How far predictions may be off for the rounding of a matrix of moments, (folds, places).

    A matrix that is off by eps times its largest eigenvalue moves coefficients b in a direction of eigenvalue v
    by that times |b| / (v + alpha); `reach` is how long the held-out rows are in each direction.
    """
    size = xp.sqrt((coefficients * coefficients).sum(axis=2))
    moved = xp.sqrt(((reach[:, None] * _inverse(values, alphas, xp)) ** 2).sum(axis=2))
    return _EPS * xp.maximum(values.max(axis=1), 0.0)[:, None] * size * moved


def _by_singular_values(x: Any, y: Any, tested: Any, alphas: Any, xp: Any) -> Any:
    """Predictions of one fold less their level, (places, m), without forming moments: half the digits are not lost."""
    left, values, right = xp.linalg.svd(x, full_matrices=False)
    alive = (values > _EPS * max(x.shape) * values.max()) | (alphas[:, None] > 0)
    scale = xp.where(alive, values, 0.0) / _nonzero(values**2 + alphas[:, None], xp)
    return (scale * (left.T @ y)) @ (tested @ right.T).T


def _nonzero(values: Any, xp: Any) -> Any:
    return xp.where(values > 0, values, 1.0)


def _raw(table: Any, rows: Any, there: Any) -> tuple[Any, Any, Any]:
    """Count, sums and products of some rows of a table, for every fold: (f,), (f, d) and (f, d, d)."""
    parts = table[rows] * there[:, :, None]
    return there.sum(axis=1), parts.sum(axis=1), parts.transpose(0, 2, 1) @ parts


def _about(center: Any, raw: tuple[Any, Any, Any], scale: Any) -> Any:
    """Products about a center instead of the origin, in the fold's own scale."""
    count, sums, products = raw
    moved = (
        products
        - center[:, :, None] * sums[:, None, :]
        - sums[:, :, None] * center[:, None, :]
        + count[:, None, None] * center[:, :, None] * center[:, None, :]
    )
    return moved * scale[:, :, None] * scale[:, None, :]
