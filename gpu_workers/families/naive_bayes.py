"""Naive Bayes: counts and moments per class, formed once per fold as products with the classes' rows."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import numpy as np

from contracts.datasets import Target
from gpu_workers.experiments.block import Block
from gpu_workers.families import parameters
from gpu_workers.families.layout import Layout, held_out, layout, parameter

_LEAST = 1e-10
"""A smoothing of 0 is raised to it, as in scikit-learn, so that no logarithm is infinite."""


class _NaiveBayes:
    """What the three kinds share: classes as weights of rows, and probabilities from joint log likelihoods."""

    name = ""
    defaults: Mapping[str, Any] = MappingProxyType({})
    seeded = False

    def check(self, configuration: Mapping[str, Any], target: Target) -> None:
        """Raise ValueError for a parameter that is unknown or out of range, or a target without classes."""
        parameters.fitting(self.name, target, ("binary", "multiclass"))
        parameters.known(self.name, configuration, self.defaults)
        full = {**self.defaults, **configuration}
        for name in ("alpha", "var_smoothing"):
            if name in full:
                parameters.number(self.name, full, name, 0.0)
        if "fit_prior" in full:
            parameters.choice(self.name, full, "fit_prior", (True, False))
        if "binarize" in full:
            parameters.number(self.name, full, "binarize", -np.finfo(np.float64).max)

    def bucket(self, configuration: Mapping[str, Any]) -> tuple[Any, ...]:
        """All but the smoothing is shared by a block."""
        return tuple(configuration.get(name) for name in ("fit_prior", "binarize"))

    def memory(self, n: int, d: int, k: int, m: int, members: int, configuration: Mapping[str, Any]) -> int:
        """Log likelihoods and parameters of every class."""
        return 8 * members * max(k, 2) * (4 * m + 3 * d)

    def operations(
        self, n: int, d: int, k: int, m: int, members: int, configuration: Mapping[str, Any]
    ) -> int:
        """Products with the held-out rows."""
        return 2 * members * m * d * max(k, 2)

    def fit_predict(self, block: Block) -> Any:
        """(members, m, k), as scikit-learn's to 1e-10; a class that no training row has gets 0."""
        xp, at = block.arrays.xp, layout(block)
        k = max(block.outputs, 2)
        folds = block.arrays.put(at.folds)
        x = block.x if len(at.folds) == len(block.x) else block.x[folds]
        belongs = (block.y[:, None] == xp.arange(k)).astype(xp.float64)[None] * block.train[folds][:, :, None]
        block.checkpoint()
        joint = self._joint(block, at, x, belongs)
        counts = belongs.sum(axis=1)
        uniform = block.configurations[0].get("fit_prior") is False
        prior = xp.where(counts > 0, 1.0, 0.0) if uniform else counts
        there = prior > 0
        joint = joint + xp.log(xp.where(there, prior, 1.0))[:, None, None]
        joint = xp.where(there[:, None, None], joint, -xp.inf)
        raised = xp.exp(joint - joint.max(axis=3, keepdims=True))
        chances = raised / raised.sum(axis=3, keepdims=True)
        found = at.members(chances, block.arrays.put)
        return found[:, :, 1:2] if block.outputs == 1 else found

    def _joint(self, block: Block, at: Layout, x: Any, belongs: Any) -> Any:
        """Log likelihoods of the held-out rows, (folds, places, m, k), up to what all classes share."""
        raise NotImplementedError


class GaussianNaiveBayes(_NaiveBayes):
    """`sklearn.naive_bayes.GaussianNB`."""

    name = "gaussian_naive_bayes"
    defaults: Mapping[str, Any] = MappingProxyType({"var_smoothing": 1e-9})

    def _joint(self, block: Block, at: Layout, x: Any, belongs: Any) -> Any:
        xp = block.arrays.xp
        counts = xp.maximum(belongs.sum(axis=1), 1.0)
        weights = belongs.sum(axis=2)
        everything = xp.einsum("fn,fnd->fd", weights, x) / weights.sum(axis=1)[:, None]
        spread = (
            xp.einsum("fn,fnd->fd", weights, (x - everything[:, None]) ** 2) / weights.sum(axis=1)[:, None]
        )
        smoothing = block.arrays.put(at.grid(parameter(block, "var_smoothing")))
        floor = smoothing * spread.max(axis=1)[:, None]
        tested = held_out(block, at)
        joint = xp.zeros((len(x), at.places, tested.shape[1], belongs.shape[2]))
        for label in range(belongs.shape[2]):
            block.checkpoint()
            own = belongs[:, :, label]
            mean = xp.einsum("fn,fnd->fd", own, x) / counts[:, label, None]
            variance = xp.einsum("fn,fnd->fd", own, (x - mean[:, None]) ** 2) / counts[:, label, None]
            wide = variance[:, None] + floor[:, :, None]
            wide = xp.where(wide > 0, wide, xp.nan)
            off = ((tested - mean[:, None]) ** 2) @ (1.0 / wide).transpose(0, 2, 1)
            alone = (belongs[:, :, label].sum(axis=1) > 0)[:, None, None]
            found = -0.5 * (xp.log(wide).sum(axis=2)[:, :, None] + off.transpose(0, 2, 1))
            joint[:, :, :, label] = xp.where(alone, found, 0.0)
        return joint


class MultinomialNaiveBayes(_NaiveBayes):
    """`sklearn.naive_bayes.MultinomialNB`: features are counts, or shares, of 0 and more."""

    name = "multinomial_naive_bayes"
    defaults: Mapping[str, Any] = MappingProxyType({"alpha": 1.0, "fit_prior": True})

    def _joint(self, block: Block, at: Layout, x: Any, belongs: Any) -> Any:
        xp = block.arrays.xp
        tested = held_out(block, at)
        if bool((x < 0).any()):
            raise ValueError(
                "multinomial_naive_bayes takes features of 0 and more, and the recipe gives some below; "
                "set `recipe.scale` to none or minmax"
            )
        counted = belongs.transpose(0, 2, 1) @ x
        smoothed = counted[:, None] + _smoothing(block, at)
        logs = xp.log(smoothed) - xp.log(smoothed.sum(axis=3, keepdims=True))
        return tested[:, None] @ logs.transpose(0, 1, 3, 2)


class BernoulliNaiveBayes(_NaiveBayes):
    """`sklearn.naive_bayes.BernoulliNB`: a feature counts as present above `binarize`."""

    name = "bernoulli_naive_bayes"
    defaults: Mapping[str, Any] = MappingProxyType({"alpha": 1.0, "binarize": 0.0, "fit_prior": True})

    def _joint(self, block: Block, at: Layout, x: Any, belongs: Any) -> Any:
        xp = block.arrays.xp
        limit = float(block.configurations[0]["binarize"])
        tested = (held_out(block, at) > limit).astype(xp.float64)
        counted = belongs.transpose(0, 2, 1) @ (x > limit).astype(xp.float64)
        alpha = _smoothing(block, at)
        total = xp.log(belongs.sum(axis=1)[:, None, :, None] + 2 * alpha)
        present = xp.log(counted[:, None] + alpha) - total
        absent = xp.log(belongs.sum(axis=1)[:, None, :, None] - counted[:, None] + alpha) - total
        base = absent.sum(axis=3)[:, :, None]
        return base + tested[:, None] @ (present - absent).transpose(0, 1, 3, 2)


def _smoothing(block: Block, at: Layout) -> Any:
    alphas = np.maximum(at.grid(parameter(block, "alpha"), free=1.0), _LEAST)
    return block.arrays.put(alphas)[:, :, None, None]
