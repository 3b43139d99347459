"""Boosted trees of any depth, fitted by scikit-learn one by one: no array library does that faster."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from contracts.datasets import Target
from contracts.statistics import derive_seed
from gpu_workers import threads
from gpu_workers.experiments.block import Block
from gpu_workers.families import parameters


class DeepBoosting:
    """`sklearn.ensemble.HistGradientBoosting…`; wants the extra `experiments`. The result names the solver."""

    name = "deep_boosting"
    spreads = True
    defaults: Mapping[str, Any] = MappingProxyType(
        {
            "depth": None,
            "leaves": 31,
            "rounds": 100,
            "rate": 0.1,
            "bins": 255,
            "l2": 0.0,
            "min_rows": 20,
            "features": 1.0,
            "patience": 0,
            "held_back": 0.1,
        }
    )

    @property
    def solver(self) -> str:
        """What fits in our place, with its version."""
        try:
            return f"scikit-learn {version('scikit-learn')}"
        except PackageNotFoundError:
            return ""

    def check(self, configuration: Mapping[str, Any], target: Target) -> None:
        """Raise ValueError for a parameter that is unknown or out of range, or if scikit-learn is missing."""
        parameters.fitting(self.name, target, ("regression", "binary", "multiclass", "multilabel", "count"))
        parameters.known(self.name, configuration, self.defaults)
        full = {**self.defaults, **configuration}
        for name, low in (("depth", 1), ("leaves", 2)):
            if full[name] is not None:
                parameters.whole(self.name, full, name, low)
        for name, low, high in (("rounds", 1, 100_000), ("bins", 2, 255), ("min_rows", 1, 1_000_000)):
            parameters.whole(self.name, full, name, low, high)
        parameters.whole(self.name, full, "patience", 0)
        parameters.number(self.name, full, "l2", 0.0)
        parameters.number(self.name, full, "rate", 0.0, 1.0, above=True)
        parameters.number(self.name, full, "features", 0.0, 1.0, above=True)
        parameters.number(self.name, full, "held_back", 0.0, 0.5, above=True)
        if not self.solver:
            raise ValueError(
                "deep_boosting is fitted by scikit-learn, which is not installed; add it by "
                "`pip install 'ratchet-harness[experiments]'`, or take boosted_trees"
            )

    def bucket(self, configuration: Mapping[str, Any]) -> tuple[Any, ...]:
        """Nothing is shared."""
        return ()

    def memory(self, n: int, d: int, k: int, m: int, members: int, configuration: Mapping[str, Any]) -> int:
        """One fit on the host, and what members predict."""
        return 12 * n * d + 64 * n * k + 16 * members * k * m

    def fit_predict(self, block: Block) -> Any:
        """(members, m, k), computed on the host, a fit on each core."""
        get = block.arrays.get
        train = get(block.train) > 0
        sides = _Sides(
            y=get(block.y),
            train=train,
            test=get(block.test),
            x={f: get(block.x[f]) for f in set(block.fold.tolist())},
        )
        found = np.empty((len(block.fold), sides.test.shape[1], block.outputs))
        parts = np.array_split(np.arange(len(block.fold)), min(threads.cores(), len(block.fold)))

        def task(members: NDArray[np.int64]) -> Callable[[Callable[[], None]], None]:
            def run(look: Callable[[], None]) -> None:
                from threadpoolctl import threadpool_limits

                with threadpool_limits(1, user_api="openmp"):
                    for member in members.tolist():
                        look()
                        found[member] = self._member(block, sides, member)

            return run

        threads.spread([task(part) for part in parts], block.checkpoint)
        return block.arrays.put(found)

    def _member(self, block: Block, sides: "_Sides", member: int) -> NDArray[Any]:
        """(m, k)."""
        fold = int(block.fold[member])
        x, rows = sides.x[fold], sides.train[fold]
        fit, y, test = x[rows], sides.y[rows], x[sides.test[fold]]
        if block.target == "multilabel":
            columns = [self._classes(block, member, fit, column, test, 2)[:, 1] for column in y.T]
            return np.stack(columns, axis=1)
        if block.target in {"regression", "count"}:
            return self._numbers(block, member, fit, y, test)[:, None]
        chances = self._classes(block, member, fit, y, test, max(2, block.outputs))
        return chances[:, 1:] if block.target == "binary" else chances

    def _arguments(self, block: Block, member: int) -> dict[str, Any]:
        own = block.configurations[member]
        return {
            "learning_rate": own["rate"],
            "max_iter": own["rounds"],
            "max_depth": own["depth"],
            "max_leaf_nodes": own["leaves"],
            "min_samples_leaf": own["min_rows"],
            "l2_regularization": own["l2"],
            "max_bins": own["bins"],
            "max_features": own["features"],
            "early_stopping": own["patience"] > 0,
            "n_iter_no_change": max(own["patience"], 1),
            "validation_fraction": own["held_back"],
            "random_state": int(derive_seed(block.seeds[member], "deep boosting")[:8], 16),
        }

    def _numbers(
        self, block: Block, member: int, x: NDArray[Any], y: NDArray[Any], test: NDArray[Any]
    ) -> NDArray[Any]:
        from sklearn.ensemble import HistGradientBoostingRegressor

        if block.target == "regression":
            peer = HistGradientBoostingRegressor(**self._arguments(block, member))
        elif y.any():
            peer = HistGradientBoostingRegressor(loss="poisson", **self._arguments(block, member))
        else:
            # Scikit-learn refuses counts that are all 0; the smallest mean is what they come to.
            return np.full(len(test), np.finfo(np.float64).eps)
        return np.asarray(peer.fit(x, y).predict(test))

    def _classes(
        self, block: Block, member: int, x: NDArray[Any], y: NDArray[Any], test: NDArray[Any], k: int
    ) -> NDArray[Any]:
        """(m, k) probabilities; 0 for classes that no training row has."""
        from sklearn.ensemble import HistGradientBoostingClassifier

        chances = np.zeros((len(test), k))
        classes = np.unique(y).astype(int)
        if len(classes) == 1:
            chances[:, classes] = 1.0
        else:
            peer = HistGradientBoostingClassifier(**self._arguments(block, member))
            chances[:, classes] = peer.fit(x, y).predict_proba(test)
        return chances


@dataclass(frozen=True, kw_only=True)
class _Sides:
    """A block's rows on the host."""

    y: NDArray[Any]
    train: NDArray[np.bool_]
    test: NDArray[np.int64]
    x: Mapping[int, NDArray[Any]]
    """Features by fold."""
