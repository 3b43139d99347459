"""Blocks of random data for tests and benchmarks of families."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from contracts.datasets import Target
from gpu_workers.arrays import Arrays, choose
from gpu_workers.experiments.block import Block
from gpu_workers.families.family import Family
from gpu_workers.resampler import go_on


def block(
    family: Family,
    x: NDArray[Any],
    y: NDArray[Any],
    target: Target,
    *,
    tests: Sequence[Sequence[int]],
    configurations: Sequence[Mapping[str, Any]] = ({},),
    seeds: Sequence[str] = ("0",),
    arrays: Arrays | None = None,
    outputs: int | None = None,
) -> Block:
    """Every configuration with every seed on every fold, with the family's defaults filled in.

    Args:
        family: what gives the defaults, and checks the configurations.
        x: (n, d) features, the same in all folds.
        y: (n,) or (n, k) targets.
        target: their kind.
        tests: the rows that each fold holds out; all others train.
        configurations: what differs.
        seeds: what random numbers are keyed by.
        arrays: what computes; NumPy.
        outputs: columns of the predictions; found from the targets.
    """
    arrays = arrays or choose("numpy")
    n = len(x)
    widest = max(map(len, tests))
    train, index, tested = np.ones((len(tests), n)), np.zeros((len(tests), widest), dtype=np.int64), None
    tested = np.zeros(index.shape)
    for fold, rows in enumerate(tests):
        train[fold, list(rows)] = 0
        index[fold, : len(rows)] = list(rows)
        tested[fold, : len(rows)] = 1
    for configuration in configurations:
        family.check(configuration, target)
    cells = [
        (fold, seed, {**family.defaults, **configuration})
        for configuration in configurations
        for seed in seeds
        for fold in range(len(tests))
    ]
    if outputs is None:
        outputs = {"multiclass": int(y.max()) + 1, "multilabel": y.shape[-1]}.get(target, 1)
    return Block(
        arrays=arrays,
        x=arrays.put(np.repeat(x[None].astype(float), len(tests), axis=0)),
        y=arrays.put(y),
        train=arrays.put(train),
        test=arrays.put(index),
        tested=arrays.put(tested),
        target=target,
        outputs=outputs,
        fold=np.array([fold for fold, _, _ in cells]),
        seeds=tuple(seed for _, seed, _ in cells),
        configurations=tuple(configuration for _, _, configuration in cells),
        checkpoint=go_on,
    )


def one(whole: Block, member: int) -> Block:
    """A block with a single member of another."""
    return Block(
        arrays=whole.arrays,
        x=whole.x,
        y=whole.y,
        train=whole.train,
        test=whole.test,
        tested=whole.tested,
        target=whole.target,
        outputs=whole.outputs,
        fold=whole.fold[member : member + 1],
        seeds=whole.seeds[member : member + 1],
        configurations=whole.configurations[member : member + 1],
        checkpoint=whole.checkpoint,
    )


def problem(
    target: Target, n: int, d: int, *, seed: int = 0, k: int = 3
) -> tuple[NDArray[Any], NDArray[Any]]:
    """Features and targets that follow from them, with some luck."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, d))
    scores = x @ rng.normal(size=(d, k)) / np.sqrt(d) + rng.normal(size=(n, k)) / 2
    match target:
        case "regression":
            return x, scores[:, 0]
        case "count":
            return x, rng.poisson(np.exp(scores[:, 0])).astype(float)
        case "binary":
            return x, (scores[:, 0] > 0).astype(float)
        case "multilabel":
            return x, (scores > 0).astype(float)
    labels = scores.argmax(axis=1)
    labels[:k] = np.arange(min(k, n))
    return x, labels
