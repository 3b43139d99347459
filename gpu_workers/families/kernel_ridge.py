"""Kernel ridge regression: one decomposition for each kernel and fold serves every penalty."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import numpy as np

from contracts.datasets import Target
from gpu_workers.experiments.block import Block
from gpu_workers.families import kernels, parameters
from gpu_workers.families.layout import layout, parameter

_RANK = 1e-13
"""Eigenvalues so far below the largest count as 0; only without a penalty does that matter."""


class KernelRidge:
    """`sklearn.kernel_ridge.KernelRidge`; with `center` it predicts from the training rows' mean instead of 0."""

    name = "kernel_ridge"
    defaults: Mapping[str, Any] = MappingProxyType({"alpha": 1.0, "center": True, **kernels.DEFAULTS})
    seeded = False

    def check(self, configuration: Mapping[str, Any], target: Target) -> None:
        """Raise ValueError for a parameter that is unknown or out of range, or a target of classes."""
        parameters.fitting(self.name, target, ("regression", "count"))
        parameters.known(self.name, configuration, self.defaults)
        full = {**self.defaults, **configuration}
        parameters.number(self.name, full, "alpha", 0.0)
        parameters.choice(self.name, full, "center", (True, False))
        kernels.check(self.name, full)

    def bucket(self, configuration: Mapping[str, Any]) -> tuple[Any, ...]:
        """All but the penalty is shared."""
        return tuple(configuration[name] for name in self.defaults if name != "alpha")

    def memory(self, n: int, d: int, k: int, m: int, members: int, configuration: Mapping[str, Any]) -> int:
        """Four matrices of one fold's rows, as folds are fitted one after the other, and what members hold."""
        return 8 * (4 * n * n + 2 * n * d + m * (n + d)) + 8 * members * (2 * m + 2 * n)

    def operations(
        self, n: int, d: int, k: int, m: int, members: int, configuration: Mapping[str, Any]
    ) -> int:
        """Products with the held-out rows; decompositions are shared and left out."""
        return 2 * members * m * n

    def fit_predict(self, block: Block) -> Any:
        """(members, m, 1), to 1e-9 of the largest target. Without a penalty the shortest solution is taken."""
        xp, put, at = block.arrays.xp, block.arrays.put, layout(block)
        first = block.configurations[0]
        alphas = put(at.grid(parameter(block, "alpha"), free=1.0))
        predictions = xp.zeros((len(at.folds), at.places, block.test.shape[1]))
        train = block.arrays.get(block.train) > 0
        for row, fold in enumerate(at.folds.tolist()):
            rows = put(np.flatnonzero(train[fold]))
            x, y = block.x[fold][rows], block.y[rows].astype(xp.float64)
            level = y.mean() if first["center"] else 0.0
            own = kernels.kernel(xp, first, x, x)
            block.checkpoint()
            values, vectors = xp.linalg.eigh(own)
            block.checkpoint()
            total = xp.maximum(values, 0.0) + alphas[row][:, None]
            dead = total <= _RANK * xp.maximum(values[-1], 0.0)
            part = ((y - level) @ vectors) * xp.where(dead, 0.0, 1.0 / xp.where(dead, 1.0, total))
            tested = kernels.kernel(xp, first, block.x[fold][block.test[fold]], x)
            predictions[row] = (part @ vectors.T) @ tested.T + level
        return at.members(predictions, put)[:, :, None]
