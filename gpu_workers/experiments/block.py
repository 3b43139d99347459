"""What a family of models is handed: many fits of one shape, on prepared data."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from contracts.datasets import Target
from gpu_workers.arrays import Arrays


@dataclass(frozen=True, kw_only=True)
class Block:
    """Members that are fitted as one: each a configuration with a seed on one fold, all of one shape."""

    arrays: Arrays
    x: Any
    """(folds, n, d) features as the recipe left them, fitted on each fold's training rows only."""
    y: Any
    """(n,) or (n, k) targets; class indices 0..k-1 for multiclass."""
    train: Any
    """(folds, n) weights of the training rows, 0 for all others."""
    test: Any
    """(folds, m) indices of the held-out rows, padded with 0."""
    tested: Any
    """(folds, m) 1 where `test` is a row, 0 where it is padding."""
    target: Target
    outputs: int
    """k: 1 for regression, binary and count; classes for multiclass; columns for multilabel."""
    fold: NDArray[Any]
    """(members,) on the host: which fold."""
    seeds: tuple[str, ...]
    """Per member: what its random numbers are keyed by."""
    configurations: tuple[Mapping[str, Any], ...]
    """Per member."""
    checkpoint: Callable[[], None]
    """Called between kernels; ends the computation by raising."""
