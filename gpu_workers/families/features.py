"""Kernels by features: a few columns whose products come near a kernel, and a linear model on them.

Every fold and seed gives features of its own; on them the families of linear models fit every penalty at once.
"""

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from contracts.datasets import Target
from gpu_workers.experiments.block import Block
from gpu_workers.families import kernels, parameters
from gpu_workers.families.logistic import Logistic
from gpu_workers.families.luck import normals, order, uniforms
from gpu_workers.families.ridge import Ridge

_SMALLEST = 1e-12
"""Eigenvalues of a kernel are kept above it, as scikit-learn does."""
_LINEAR: Mapping[str, Any] = MappingProxyType({"alpha": 1.0, "fit_intercept": True})


class _Features:
    """What both kinds of features share: ridge regression on them for numbers, logistic regression for classes."""

    name: str
    defaults: Mapping[str, Any]

    def check(self, configuration: Mapping[str, Any], target: Target) -> None:
        """Raise ValueError for a parameter that is unknown or out of range."""
        parameters.known(self.name, configuration, self.defaults)
        full = {**self.defaults, **configuration}
        linear = _numbers(target)
        parameters.number(self.name, full, "alpha", 0.0, above=not linear)
        parameters.choice(self.name, full, "fit_intercept", (True, False))
        parameters.whole(self.name, full, "components", 1, 100_000)
        self._check_kernel(full)

    def bucket(self, configuration: Mapping[str, Any]) -> tuple[Any, ...]:
        """All but the penalty is shared."""
        return tuple(configuration[name] for name in self.defaults if name != "alpha")

    def memory(self, n: int, d: int, k: int, m: int, members: int, configuration: Mapping[str, Any]) -> int:
        """A few folds' features at a time, and what the linear models take of all members."""
        columns = int(configuration["components"])
        features = 8 * (4 * n * columns + 2 * columns * columns + columns * d)
        linear = Logistic().memory(n, columns, k, m, members, Logistic.defaults)
        return features + max(linear, Ridge().memory(n, columns, k, m, members, Ridge.defaults))

    def operations(
        self, n: int, d: int, k: int, m: int, members: int, configuration: Mapping[str, Any]
    ) -> int:
        """Products of the features with a coefficient each; making them is shared and left out."""
        return 2 * members * k * m * int(configuration["components"])

    def fit_predict(self, block: Block) -> Any:
        """(members, m, k), as exact as the linear family is."""
        xp = block.arrays.xp
        pairs: dict[tuple[int, str], list[int]] = {}
        for member, pair in enumerate(zip(block.fold.tolist(), block.seeds, strict=True)):
            pairs.setdefault(pair, []).append(member)
        n = block.x.shape[1]
        columns = int(block.configurations[0]["components"])
        at_once = max(1, block.arrays.block_bytes // (8 * 4 * n * columns))
        waiting = list(pairs.items())
        predictions = xp.empty((len(block.fold), block.test.shape[1], block.outputs))
        train = block.arrays.get(block.train) > 0
        for start in range(0, len(waiting), at_once):
            some = waiting[start : start + at_once]
            x = xp.stack(
                [self._features(block, fold, seed, np.flatnonzero(train[fold])) for (fold, seed), _ in some]
            )
            block.checkpoint()
            members = np.array([member for _, each in some for member in each])
            fold = np.repeat(np.arange(len(some)), [len(each) for _, each in some])
            predictions[block.arrays.put(members)] = _linear(
                block, x, [pair[0] for pair, _ in some], fold, members
            )
        return predictions

    def _check_kernel(self, configuration: Mapping[str, Any]) -> None:
        raise NotImplementedError

    def _features(self, block: Block, fold: int, seed: str, rows: NDArray[np.int64]) -> Any:
        """(n, components) features of all rows, learnt from the training rows."""
        raise NotImplementedError


class Nystroem(_Features):
    """`sklearn.kernel_approximation.Nystroem` with training rows drawn by the seed, then a linear model."""

    name = "nystroem"
    defaults: Mapping[str, Any] = MappingProxyType({"components": 100, **_LINEAR, **kernels.DEFAULTS})

    def _check_kernel(self, configuration: Mapping[str, Any]) -> None:
        kernels.check(self.name, configuration)

    def _features(self, block: Block, fold: int, seed: str, rows: NDArray[np.int64]) -> Any:
        """With fewer training rows than components the columns at the end are 0."""
        xp, first = block.arrays.xp, block.configurations[0]
        columns = int(first["components"])
        x = block.x[fold]
        chosen = block.arrays.put(order(rows, len(x), seed, "landmarks")[:columns])
        values, vectors = xp.linalg.eigh(kernels.kernel(xp, first, x[chosen], x[chosen]))
        # Of a kernel's eigenvalues those below 0 are rounding; scikit-learn's singular values are their sizes.
        scale = 1.0 / xp.sqrt(xp.maximum(xp.abs(values), _SMALLEST))
        root = (vectors * scale) @ vectors.T
        features = xp.zeros((len(x), columns))
        features[:, : len(chosen)] = kernels.kernel(xp, first, x, x[chosen]) @ root
        return features


class RandomFeatures(_Features):
    """Random Fourier features of the RBF kernel, as `sklearn.kernel_approximation.RBFSampler`, then a linear model."""

    name = "random_features"
    defaults: Mapping[str, Any] = MappingProxyType({"components": 100, **_LINEAR, "gamma": None})

    def _check_kernel(self, configuration: Mapping[str, Any]) -> None:
        kernels.check_gamma(self.name, configuration)

    def _features(self, block: Block, fold: int, seed: str, rows: NDArray[np.int64]) -> Any:
        xp, first = block.arrays.xp, block.configurations[0]
        columns, d = int(first["components"]), block.x.shape[2]
        frequencies = normals(d * columns, seed, "frequencies").reshape(d, columns)
        frequencies *= np.sqrt(2 * kernels.gamma_of(first, d))
        phases = 2 * np.pi * uniforms(columns, seed, "phases")
        angles = block.x[fold] @ block.arrays.put(frequencies) + block.arrays.put(phases)
        return xp.cos(angles) * np.sqrt(2.0 / columns)


def _numbers(target: Target) -> bool:
    return target in {"regression", "count"}


def _linear(
    block: Block, x: Any, folds: list[int], fold: NDArray[np.int64], members: NDArray[np.int64]
) -> Any:
    """What linear models predict whose features are (pairs, n, columns), each of one of the block's folds."""
    own = block.arrays.put(np.array(folds))
    configurations = []
    for member in members:
        configuration = block.configurations[member]
        intercept, alpha = configuration["fit_intercept"], float(configuration["alpha"])
        if _numbers(block.target):
            configurations.append({"alpha": alpha, "fit_intercept": intercept})
        else:
            configurations.append({**Logistic.defaults, "C": 1.0 / alpha, "fit_intercept": intercept})
    family = Ridge() if _numbers(block.target) else Logistic()
    return family.fit_predict(
        replace(
            block,
            x=x,
            train=block.train[own],
            test=block.test[own],
            tested=block.tested[own],
            fold=fold,
            seeds=tuple(block.seeds[member] for member in members),
            configurations=tuple(configurations),
        )
    )
