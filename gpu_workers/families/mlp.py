"""Multilayer perceptrons, trained by Adam, many at once."""

from collections.abc import Mapping
from functools import partial
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from contracts.datasets import Target
from gpu_workers import threads
from gpu_workers.experiments.block import Block
from gpu_workers.families import parameters
from gpu_workers.families.networks import Link, Shape
from gpu_workers.families.training import Prepared, train

AT_ONCE = 16
"""Members that are trained as one on a core of a CPU; more do not fit into its cache."""
_LINKS: Mapping[Target, Link] = {
    "regression": "identity",
    "binary": "logistic",
    "multilabel": "logistic",
    "multiclass": "softmax",
    "count": "exp",
}


class Mlp:
    """Networks of fully connected layers, as `sklearn.neural_network.MLPClassifier` and `MLPRegressor` by Adam.

    Numbers are predicted in units of the training rows' standard deviation about their mean, counts by their
    logarithm with the Poisson loss. With `patience`, a share of the training rows is held back, a member stops
    when their loss has not fallen by `tolerance` for so many epochs, and its best epoch predicts; 0 trains on
    all rows for all epochs.
    """

    name = "mlp"
    spreads = True
    defaults: Mapping[str, Any] = MappingProxyType(
        {
            "hidden": (64,),
            "activation": "relu",
            "rate": 1e-3,
            "penalty": 1e-4,
            "epochs": 100,
            "batch": 200,
            "patience": 10,
            "tolerance": 1e-4,
            "held_back": 0.1,
            "precision": "single",
        }
    )

    def check(self, configuration: Mapping[str, Any], target: Target) -> None:
        """Raise ValueError for a parameter that is unknown or out of range."""
        parameters.fitting(self.name, target, tuple(_LINKS))
        parameters.known(self.name, configuration, self.defaults)
        full = {**self.defaults, **configuration}
        if not _hidden(full) or not all(
            isinstance(width, int) and not isinstance(width, bool) and 1 <= width <= 65_536
            for width in _hidden(full)
        ):
            raise ValueError(
                f"mlp: hidden is {full['hidden']!r}; it is a list of widths from 1 to 65536, one for each layer"
            )
        parameters.choice(self.name, full, "activation", ("relu", "tanh"))
        parameters.number(self.name, full, "rate", 0.0, 10.0, above=True)
        parameters.number(self.name, full, "penalty", 0.0)
        parameters.whole(self.name, full, "epochs", 1, 100_000)
        parameters.whole(self.name, full, "batch", 1)
        parameters.whole(self.name, full, "patience", 0)
        parameters.number(self.name, full, "tolerance", 0.0)
        parameters.number(self.name, full, "held_back", 0.0, 0.5, above=True)
        parameters.choice(self.name, full, "precision", ("single", "double"))

    def bucket(self, configuration: Mapping[str, Any]) -> tuple[Any, ...]:
        """Members of one shape and schedule; rates, penalties and tolerances differ within."""
        same = ("activation", "epochs", "batch", "patience", "held_back", "precision")
        return (_hidden(configuration), *(configuration[name] for name in same))

    def memory(self, n: int, d: int, k: int, m: int, members: int, configuration: Mapping[str, Any]) -> int:
        """Bytes: five arrays of all parameters, a batch in every layer twice, and the predictions."""
        shape = _shape(configuration, d, k, "identity")
        size = 4 if configuration["precision"] == "single" else 8
        rows = max(min(n, int(configuration["batch"])), m)
        return members * (
            size * (5 * shape.parameters + rows * (d + 2 * sum(shape.sizes[1:]) + k)) + 8 * m * k
        )

    def operations(
        self, n: int, d: int, k: int, m: int, members: int, configuration: Mapping[str, Any]
    ) -> int:
        """Three products with the weights for each row and epoch that is sure to be run."""
        epochs, patience = int(configuration["epochs"]), int(configuration["patience"])
        epochs = min(epochs, patience) if patience else epochs
        rows = n * (1 - float(configuration["held_back"]) * bool(patience)) * epochs
        return int(2 * members * _shape(configuration, d, k, "identity").parameters * (3 * rows + m))

    def fit_predict(self, block: Block) -> Any:
        """(members, m, k). The same member in any company gives the same to 1e-9 in double precision.

        In single precision it is 1e-4 after a dozen epochs; longer training lets rounding grow.
        """
        data = Prepared.of(
            block, _shape(block.configurations[0], block.x.shape[2], block.outputs, _LINKS[block.target])
        )
        xp = block.arrays.xp
        predictions = xp.empty((len(block.fold), block.test.shape[1], block.outputs))
        if block.arrays.name == "numpy":
            tasks = [partial(train, data, predictions, part) for part in _parts(block)]
            threads.spread(tasks, block.checkpoint)
        else:
            train(data, predictions, np.arange(len(block.fold)), block.checkpoint)
        return predictions


def _hidden(configuration: Mapping[str, Any]) -> tuple[Any, ...]:
    hidden = configuration["hidden"]
    return tuple(hidden) if isinstance(hidden, list | tuple) else (hidden,)


def _shape(configuration: Mapping[str, Any], d: int, k: int, link: Link) -> Shape:
    return Shape(sizes=(d, *_hidden(configuration), k), activation=configuration["activation"], link=link)


def _parts(block: Block) -> list[NDArray[np.int64]]:
    """Members by fold and seed, in parts that are trained as one; who shares both shares the batches of rows."""
    pairs: dict[tuple[int, str], list[int]] = {}
    for member, pair in enumerate(zip(block.fold.tolist(), block.seeds, strict=True)):
        pairs.setdefault(pair, []).append(member)
    small = [member for members in pairs.values() if len(members) < AT_ONCE // 2 for member in members]
    groups = [members for members in pairs.values() if len(members) >= AT_ONCE // 2]
    # As even as can be: 17 members are 9 and 8, not 16 and 1.
    return [
        part
        for group in (*groups, small)
        if group
        for part in np.array_split(np.array(group), -(-len(group) // AT_ONCE))
    ]
