"""Boosted stumps and shallow trees, many at once from shared histograms."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from contracts.datasets import Target
from gpu_workers.arrays import HOST_HELD
from gpu_workers.experiments.block import Block
from gpu_workers.families import parameters
from gpu_workers.families.bins import Table
from gpu_workers.families.luck import uniforms
from gpu_workers.families.trees import Sums, grow, pick

DEEPEST = 6
"""Levels of a tree; every one doubles the work, and deeper ones are better left to `deep_boosting`."""
_EPSILON = 10 * float(np.finfo(np.float64).eps)
"""Shares and means are kept so far from where their link ends."""
_CACHE = 1 << 17
"""Numbers of one level's histograms that are looked at together on a CPU."""


class BoostedTrees:
    """Gradient boosting as `sklearn.ensemble.HistGradientBoosting…` with `max_leaf_nodes=None`.

    Squared loss for numbers, logistic for one or several labels, softmax for classes (a tree for each), Poisson for
    counts. Members that differ in `rounds` only are one run, looked at in passing.
    """

    name = "boosted_trees"
    defaults: Mapping[str, Any] = MappingProxyType(
        {"depth": 3, "rounds": 100, "rate": 0.1, "bins": 32, "l2": 0.0, "min_rows": 20, "subsample": 1.0}
    )

    def check(self, configuration: Mapping[str, Any], target: Target) -> None:
        """Raise ValueError for a parameter that is unknown or out of range."""
        parameters.fitting(self.name, target, ("regression", "binary", "multiclass", "multilabel", "count"))
        parameters.known(self.name, configuration, self.defaults)
        full = {**self.defaults, **configuration}
        depth = full["depth"]
        if isinstance(depth, int) and depth > DEEPEST:
            raise ValueError(
                f"boosted_trees: depth is {depth}; trees deeper than {DEEPEST} are fitted by deep_boosting"
            )
        parameters.whole(self.name, full, "depth", 1, DEEPEST)
        parameters.whole(self.name, full, "rounds", 1, 100_000)
        parameters.whole(self.name, full, "bins", 2, 255)
        parameters.whole(self.name, full, "min_rows", 1)
        parameters.number(self.name, full, "rate", 0.0, 1.0, above=True)
        parameters.number(self.name, full, "l2", 0.0)
        parameters.number(self.name, full, "subsample", 0.0, 1.0, above=True)

    def bucket(self, configuration: Mapping[str, Any]) -> tuple[Any, ...]:
        """Trees of one depth from the same bins."""
        return configuration["depth"], configuration["bins"]

    def memory(self, n: int, d: int, k: int, m: int, members: int, configuration: Mapping[str, Any]) -> int:
        """One fold's table, a level of the trees that are grown together, and what members predict."""
        cuts, nodes = d * (int(configuration["bins"]) - 1), 1 << (int(configuration["depth"]) - 1)
        together = min(members * k, max(k, _CACHE // (nodes * max(cuts, 1))))
        table = n * cuts + min(8 * n * cuts, HOST_HELD // 4)
        return table + 8 * together * (10 * nodes * cuts + (3 * nodes + 8) * n) + 16 * members * k * m

    def operations(
        self, n: int, d: int, k: int, m: int, members: int, configuration: Mapping[str, Any]
    ) -> int:
        """Nothing that is sure: members may be one run, and cuts may be few."""
        return 0

    def fit_predict(self, block: Block) -> Any:
        """(members, m, k). The same member in any company gives the same to 1e-9."""
        xp = block.arrays.xp
        predictions = xp.empty((len(block.fold), block.test.shape[1], block.outputs))
        for fold in np.unique(block.fold).tolist():
            rows = np.flatnonzero(block.arrays.get(block.train[fold]) > 0)
            runs: dict[tuple[Any, ...], list[int]] = {}
            for member in np.flatnonzero(block.fold == fold).tolist():
                runs.setdefault(_run(block, member), []).append(member)
            problem = _Problem.of(block, fold, rows)
            groups = list(runs.values())
            depth = int(block.configurations[0]["depth"])
            room = _CACHE if block.arrays.name == "numpy" else block.arrays.block_bytes // 256
            at_once = max(1, room // (block.outputs * 2 ** (depth - 1) * max(1, len(problem.table.below))))
            for start in range(0, len(groups), at_once):
                _boost(problem, groups[start : start + at_once], depth, predictions, block.checkpoint)
        return predictions


def _run(block: Block, member: int) -> tuple[Any, ...]:
    """What members share that are one run, looked at after different rounds."""
    own = block.configurations[member]
    seed = block.seeds[member] if own["subsample"] < 1 else ""
    return (seed, *(own[name] for name in BoostedTrees.defaults if name != "rounds"))


@dataclass(frozen=True, kw_only=True)
class _Problem:
    """One fold."""

    block: Block
    table: Table
    rows: NDArray[np.int64]
    """The training rows, in the order of the table."""
    y: Any
    """(k, training rows): targets, classes as 0 and 1."""

    @staticmethod
    def of(block: Block, fold: int, rows: NDArray[np.int64]) -> "_Problem":
        xp, put = block.arrays.xp, block.arrays.put
        x, bins = block.x[fold], int(block.configurations[0]["bins"])
        y = block.y[put(rows)]
        if block.target == "multiclass":
            y = y[:, None] == xp.arange(block.outputs)
        y = y.reshape(len(rows), block.outputs).T.astype(xp.float64)
        table = Table.of(block.arrays, x[put(rows)], x[block.test[fold]], bins)
        return _Problem(block=block, table=table, rows=rows, y=xp.ascontiguousarray(y))

    def start(self) -> Any:
        """(k,): what is predicted before the first tree, on the scale of the link."""
        xp = self.block.arrays.xp
        mean = self.y.mean(axis=1)
        match self.block.target:
            case "regression":
                # The mean of huge numbers, without their sum.
                widest = float(xp.abs(self.y).max()) or 1.0
                return (self.y / widest).mean(axis=1) * widest
            case "count":
                return xp.log(xp.maximum(mean, _EPSILON))
            case "multiclass":
                return xp.log(xp.clip(mean, _EPSILON / 10, 1 - _EPSILON / 10))
        kept = xp.clip(mean, _EPSILON, 1 - _EPSILON)
        return xp.log(kept) - xp.log(1 - kept)

    def linked(self, scores: Any) -> Any:
        """Means or probabilities of (runs, k, rows) scores."""
        xp = self.block.arrays.xp
        match self.block.target:
            case "regression":
                return scores
            case "count":
                return xp.exp(scores)
            case "multiclass":
                raised = xp.exp(scores - scores.max(axis=1, keepdims=True))
                return raised / raised.sum(axis=1, keepdims=True)
        return 0.5 * xp.tanh(0.5 * scores) + 0.5

    def slopes(self, scores: Any) -> tuple[Any, Any]:
        """First and second derivatives of the loss at the training rows; None where the second is 1."""
        means = self.linked(scores[:, :, : self.table.train])
        slopes = means - self.y
        match self.block.target:
            case "regression":
                return slopes, None
            case "count":
                return slopes, means
        return slopes, means * (1 - means)


def _boost(
    problem: _Problem, groups: list[list[int]], depth: int, predictions: Any, checkpoint: Callable[[], None]
) -> None:
    """Boost some runs together, and write what each member predicts after its rounds."""
    block, table = problem.block, problem.table
    xp, put = block.arrays.xp, block.arrays.put
    firsts = [block.configurations[members[0]] for members in groups]
    k, width = block.outputs, table.below.shape[1]

    def each(name: str) -> Any:
        """(trees,): a parameter of every run, for all of its trees."""
        return put(np.repeat(np.array([float(first[name]) for first in firsts]), k))

    rates, l2, min_rows = each("rate"), each("l2"), each("min_rows")
    due = [{int(block.configurations[member]["rounds"]) for member in members} for members in groups]
    scores = xp.zeros((len(groups), k, width)) + problem.start()[:, None]
    alive = np.arange(len(groups))
    for number in range(1, max(map(max, due)) + 1):
        checkpoint()
        counts = xp.ones((len(alive), k, table.train))
        counts *= put(_drawn(problem, groups, alive, number))[:, None]
        slopes, curvatures = problem.slopes(scores)
        trees = len(alive) * k
        sums = Sums.of(
            xp,
            slopes.reshape(trees, -1),
            None if curvatures is None else curvatures.reshape(trees, -1),
            counts.reshape(trees, -1),
        )
        grown = grow(table, sums, depth=depth, l2=l2, min_rows=min_rows)
        steps = pick(xp, grown.values * rates[:, None], grown.leaf)
        scores += steps.reshape(scores.shape)
        for place, run in enumerate(alive.tolist()):
            if number in due[run]:
                told = problem.linked(scores[place : place + 1, :, table.train :])[0].T
                for member in groups[run]:
                    if int(block.configurations[member]["rounds"]) == number:
                        predictions[member] = told
        going = np.array([number < max(due[run]) for run in alive], dtype=bool)
        if not going.all():
            alive, scores = alive[going], scores[put(going)]
            kept = put(np.repeat(going, k))
            rates, l2, min_rows = rates[kept], l2[kept], min_rows[kept]


def _drawn(
    problem: _Problem, groups: list[list[int]], alive: NDArray[np.int64], number: int
) -> NDArray[np.float64]:
    """(runs, training rows) of 0 and 1: the rows that count in this round."""
    block = problem.block
    found = np.ones((len(alive), len(problem.rows)))
    for place, run in enumerate(alive.tolist()):
        member = groups[run][0]
        share = float(block.configurations[member]["subsample"])
        if share < 1:
            luck = uniforms(block.x.shape[1], block.seeds[member], "rows", number)
            found[place] = luck[problem.rows] < share
    return found
