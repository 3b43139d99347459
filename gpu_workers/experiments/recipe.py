"""Prepares features for all folds at once; whatever is learnt from data is learnt on each fold's training rows."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from contracts.datasets import DataSet
from contracts.experiments import Recipe
from gpu_workers.arrays import Arrays

_EPS = float(np.finfo(np.float64).eps)
_LOSS = 1e3
"""A variance so many times below the squared mean has lost digits in a difference of moments, and is taken again."""


@dataclass(frozen=True, kw_only=True)
class Affine:
    """Features of every fold as one table, shifted and scaled: x[fold] = (base - shift[fold]) * factor[fold]."""

    base: Any
    """(n, d), each column less its mean over all rows, so that moments keep their digits."""
    shift: Any
    """(folds, d)."""
    factor: Any
    """(folds, d)."""


@dataclass(frozen=True, kw_only=True)
class Prepared:
    """A data set and a recipe, ready to give the features of any folds."""

    data: DataSet
    recipe: Recipe
    arrays: Arrays

    @property
    def width(self) -> int:
        """Columns of the features."""
        return len(self.data.numeric_names) + int(self._flags.shape[1])

    @property
    def complete(self) -> bool:
        """Whether no number is missing."""
        return not self._missing.any()

    @cached_property
    def target(self) -> NDArray[np.float64]:
        """The targets that models are fitted to, (n,) or (n, k), on the host.

        Raises:
            ValueError: log1p of a target of -1 or below is asked for.
        """
        target = self.data.targets()
        if target.shape[1] == 1:
            target = target[:, 0]
        if self.recipe.log1p_target:
            if (target <= -1).any():
                row = int(np.argmax(target <= -1))
                raise ValueError(f"`log1p_target` needs targets above -1; row {row} has {target[row]:g}")
            target = np.log1p(target)
        return target

    def check(self) -> None:
        """Look whether the recipe fits the data.

        Raises:
            ValueError: there are gaps that nothing fills, no column is left, or a target has no logarithm.
        """
        _ = self.target
        if self.recipe.impute == "none" and self._missing.any():
            row, column = np.argwhere(self._missing)[0]
            raise ValueError(
                f"column {self.data.numeric_names[column]} has no value in row {row}; set `recipe.impute` to mean, "
                "median or zero, or fill it in the data"
            )
        if not self.width:
            raise ValueError(
                "the recipe leaves no column, as all features are categorical; set `recipe.one_hot`"
            )

    def features(self, train: Any) -> Any:
        """(folds, n, d) for training weights of 0 and 1, (folds, n).

        Numeric columns come first, then those that say where a value was missing, then one per level. As in
        scikit-learn a column that is constant in training is shifted and not scaled, and one that has no value
        there is filled with 0.
        """
        affine = self.affine(train)
        if affine is not None:
            return (affine.base[None] - affine.shift[:, None]) * affine.factor[:, None]
        xp = self.arrays.xp
        filled = self._filled(self.arrays.put(self.data.numbers()), train)
        shift, factor = self._scales(filled, train, xp.zeros(filled.shape[2]))
        flags = self.arrays.put(self._flags)
        seen = (train @ flags) > 0
        return xp.concatenate(
            [(filled - shift[:, None]) * factor[:, None], flags[None] * seen[:, None]], axis=2
        )

    def affine(self, train: Any) -> Affine | None:
        """The same features as one table with a shift and a scale per fold.

        None where that cannot be: where gaps are filled fold by fold, or some fold's training rows lack a level.
        """
        if self._missing.any():
            return None
        xp = self.arrays.xp
        numbers = self.data.numbers()
        p = numbers.shape[1]
        center = numbers.mean(axis=0)
        base = self.arrays.put(np.concatenate([numbers - center, self._flags], axis=1))
        if p < self.width and bool(((train @ base[:, p:]) == 0).any()):
            return None
        shift, factor = self._scales(base[None, :, :p], train, self.arrays.put(center))
        ones = xp.ones((len(train), self.width - p))
        return Affine(
            base=base,
            shift=xp.concatenate([shift, 0 * ones], axis=1),
            factor=xp.concatenate([factor, ones], axis=1),
        )

    @cached_property
    def _missing(self) -> NDArray[np.bool_]:
        return np.isnan(self.data.numbers())

    @cached_property
    def _flags(self) -> NDArray[np.float64]:
        """Columns of 0 and 1: where values were missing, then one per level of every categorical column."""
        parts = [np.zeros((self.data.rows, 0), dtype=bool)]
        if self.recipe.indicators:
            parts.append(self._missing[:, self._missing.any(axis=0)])
        if self.recipe.one_hot:
            codes = self.data.codes()
            parts += [codes[:, [at]] == np.arange(len(levels)) for at, levels in enumerate(self.data.levels)]
        return np.concatenate(parts, axis=1).astype(np.float64)

    def _filled(self, numbers: Any, train: Any) -> Any:
        """(folds, n, p) without gaps."""
        xp = self.arrays.xp
        there = ~xp.isnan(numbers)
        known = xp.where(there, numbers, 0.0)
        counts = train @ there.astype(xp.float64)
        fill = xp.zeros((len(train), numbers.shape[1]))
        if self.recipe.impute == "mean":
            fill = (train @ known) / xp.maximum(counts, 1)
        elif self.recipe.impute == "median":
            counted = (train[:, :, None] > 0) & there
            ordered = xp.sort(xp.where(counted, known, xp.inf), axis=1)
            last = xp.maximum(counts.astype(xp.int64), 1)
            low = xp.take_along_axis(ordered, ((last - 1) // 2)[:, None], axis=1)[:, 0]
            high = xp.take_along_axis(ordered, (last // 2)[:, None], axis=1)[:, 0]
            fill = xp.where(counts > 0, (low + high) / 2, 0.0)
        return xp.where(there, numbers, fill[:, None])

    def _scales(self, values: Any, train: Any, center: Any) -> tuple[Any, Any]:
        """Shift and factor, each (folds, p), of (folds, n, p), or of (1, n, p) that all folds share.

        `center` is what was taken from the values before. It is given back where nothing else is shifted.
        """
        xp = self.arrays.xp
        folds, p = len(train), values.shape[2]
        if self.recipe.scale == "none" or not p:
            return xp.broadcast_to(-center, (folds, p)), xp.ones((folds, p))
        if self.recipe.scale == "minmax":
            inside = train[:, :, None] > 0
            low = xp.where(inside, values, xp.inf).min(axis=1)
            spread = xp.where(inside, values, -xp.inf).max(axis=1) - low
            return low, 1.0 / xp.where(spread > 10 * _EPS * xp.abs(low + center), spread, 1.0)
        n = train.sum(axis=1)[:, None]
        if len(values) == 1:
            mean = train @ values[0] / n
            variance = train @ values[0] ** 2 / n - mean**2
            unsure = (mean**2 > _LOSS * variance).any(axis=1)
        else:
            mean = xp.matmul(train[:, None], values)[:, 0] / n
            variance = xp.empty((folds, p))
            unsure = xp.ones(folds, dtype=bool)
        for fold in np.flatnonzero(self.arrays.get(unsure)):
            own = values[fold if len(values) > 1 else 0]
            variance[fold] = train[fold] @ (own - mean[fold]) ** 2 / n[fold]
        constant = variance <= n * _EPS * variance + (n * (mean + center) * _EPS) ** 2
        return mean, 1.0 / xp.sqrt(xp.where(constant, 1.0, variance))
