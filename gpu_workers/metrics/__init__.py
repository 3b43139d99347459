"""Metrics as batched kernels over many members: equal to scikit-learn's, and never a silent NaN."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import numpy as np

from contracts.datasets import Target
from gpu_workers.arrays import Arrays
from gpu_workers.metrics import classes, distance, ranking
from gpu_workers.metrics.rows import Fault, Metric, Rows, Undefined

__all__ = ["METRICS", "Metric", "Undefined", "score"]

_NUMBERS: frozenset[Target] = frozenset({"regression", "count"})
_CLASSES: frozenset[Target] = frozenset({"binary", "multiclass", "multilabel"})

_ALL = (
    Metric(name="rmse", direction="less", targets=_NUMBERS, kernel=distance.rmse),
    Metric(name="mae", direction="less", targets=_NUMBERS, kernel=distance.mae),
    Metric(name="rmsle", direction="less", targets=_NUMBERS, kernel=distance.rmsle),
    Metric(name="poisson_deviance", direction="less", targets=_NUMBERS, kernel=distance.poisson_deviance),
    Metric(name="log_loss", direction="less", targets=_CLASSES, kernel=classes.log_loss),
    Metric(name="accuracy", direction="greater", targets=_CLASSES, kernel=classes.accuracy),
    Metric(name="f1", direction="greater", targets=_CLASSES, kernel=classes.f1),
    Metric(
        name="quadratic_kappa",
        direction="greater",
        targets=frozenset({"binary", "multiclass"}),
        kernel=classes.quadratic_kappa,
    ),
    Metric(name="auc", direction="greater", targets=frozenset({"binary"}), kernel=ranking.auc),
    Metric(
        name="column_auc",
        direction="greater",
        targets=frozenset({"multiclass", "multilabel"}),
        kernel=ranking.auc,
    ),
    Metric(name="average_precision", direction="greater", targets=_CLASSES, kernel=ranking.average_precision),
)

NOT_FINITE = "a prediction is not a finite number"
"""Why there is no score where a model predicts none."""
METRICS: Mapping[str, Metric] = MappingProxyType({metric.name: metric for metric in _ALL})
"""Every metric by its name."""

_CELLS = 12
"""Arrays of the size of the predictions that a kernel holds at once."""


def score(
    name: str, truth: Any, predictions: Any, weights: Any, arrays: Arrays
) -> tuple[float | Undefined, ...]:
    """The score of every member.

    Args:
        name: one of `METRICS`.
        truth: (members, rows): numbers, or class indices; (members, rows, k) of 0 and 1 for multilabel.
        predictions: (members, rows, k): means, or probabilities; k = 1 for P(y = 1) of a binary target.
        weights: (members, rows), 0 for padding, whose truth and predictions may be anything.
        arrays: what holds the arrays, and computes.

    Returns:
        One number per member, on the host, or `Undefined` with a reason: where it has no rows, where a target
        or prediction is not finite, and where the metric itself has no value.

    Raises:
        ValueError: no metric is called that, the shapes do not fit, or a weight is below 0 or not finite.
    """
    if name not in METRICS:
        raise ValueError(f"no metric is called {name}; there are {', '.join(METRICS)}")
    if predictions.ndim != 3 or truth.ndim not in {2, 3}:
        raise ValueError(f"predictions are members x rows x outputs; these have shape {predictions.shape}")
    fits = predictions.shape if truth.ndim == 3 else predictions.shape[:2]
    if truth.shape != fits or weights.shape != predictions.shape[:2]:
        raise ValueError(
            f"truth {truth.shape} and weights {weights.shape} do not fit predictions of {predictions.shape}"
        )
    members, rows, k = predictions.shape
    at_once = max(1, arrays.block_bytes // max(1, _CELLS * 8 * rows * k))
    found: list[float | Undefined] = []
    for start in range(0, members, at_once):
        part = slice(start, start + at_once)
        found += _block(METRICS[name], truth[part], predictions[part], weights[part], arrays)
    return tuple(found)


def _block(
    metric: Metric, truth: Any, predictions: Any, weights: Any, arrays: Arrays
) -> list[float | Undefined]:
    xp = arrays.xp
    if not weights.shape[1]:
        return [Undefined(reason="no row is held out")] * len(weights)
    weights, truth, predictions = (
        each.astype(xp.float64, copy=False) for each in (weights, truth, predictions)
    )
    lightest, heaviest = float(weights.min()), float(weights.max())
    if not (lightest >= 0 and np.isfinite(heaviest)):
        raise ValueError("a weight of a row is below 0, or not finite; 0 leaves a row out")
    total = weights.sum(axis=1)
    faults: list[Fault] = []
    # A finite sum has finite terms only; one that is not may have, and then the terms are looked at.
    if lightest == 0 or not np.isfinite(float(predictions.sum()) + float(truth.sum())):
        live = weights > 0
        known = xp.isfinite(predictions).all(axis=2)
        told = xp.isfinite(truth) if truth.ndim == 2 else xp.isfinite(truth).all(axis=2)
        usable = live & known & told
        faults = [
            (total == 0, "no row is held out"),
            ((live & ~told).any(axis=1), "a target is not a finite number"),
            ((live & ~known).any(axis=1), NOT_FINITE),
        ]
        predictions = xp.where(usable[:, :, None], predictions, 0.5)
        truth = xp.where(usable if truth.ndim == 2 else usable[:, :, None], truth, 0.0)
    total = xp.where(total > 0, total, 1.0)
    rows = Rows(
        xp=xp,
        truth=truth,
        predictions=predictions,
        weights=weights,
        total=total,
        unit=lightest == heaviest == 1,
    )
    with np.errstate(over="ignore", invalid="ignore"):
        values, more = metric.kernel(rows)
    faults += [*more, (~xp.isfinite(values), "the score is beyond what a float holds")]
    scores: list[float | Undefined] = arrays.get(values).tolist()
    for mask, reason in reversed(faults):
        for member in np.flatnonzero(arrays.get(mask)):
            scores[member] = Undefined(reason=reason)
    return scores
