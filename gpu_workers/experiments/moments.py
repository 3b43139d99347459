"""What a family is handed that finds squared errors in closed form: one table for all folds."""

from dataclasses import dataclass
from typing import Any

from gpu_workers.arrays import Arrays
from gpu_workers.experiments.recipe import Affine


@dataclass(frozen=True, kw_only=True)
class Moments:
    """What the squared errors of ridge regression follow from, without any fold's own features."""

    arrays: Arrays
    affine: Affine
    y: Any
    """(n,)."""
    train: tuple[Any, Any] | None
    """Indices of the training rows, (folds, rows), padded with 0, and 1 where they are rows; None where they are all
    rows that are not held out, so that their moments are a difference."""
    test: tuple[Any, Any]
    """The same of the rows held out."""
