"""Metrics of classes and of their probabilities."""

from typing import Any

import numpy as np

from gpu_workers.metrics.rows import Fault, Found, Rows

_EPSILON = float(np.finfo(np.float64).eps)
"""Probabilities are kept so far from 0 and 1."""
_LEAST = float(np.finfo(np.float64).tiny)
_CANCELLED = 1e-13
"""A difference of sums this small against them is rounding: the smallest true one is a row's share of all."""


def log_loss(rows: Rows) -> Found:
    """Cross entropy in nats; `sklearn.metrics.log_loss` with all labels named, to 1e-12, relative.

    Probabilities are clipped to [eps, 1 - eps] of double precision. Of several labels it is the mean over
    their columns. Undefined where a prediction is no probability.
    """
    xp = rows.xp
    outside = ((rows.predictions < 0) | (rows.predictions > 1)).any(axis=2)
    clipped = xp.clip(rows.predictions, _EPSILON, 1 - _EPSILON)
    truth, wrong = _labels(rows)
    if rows.kind == "multiclass":
        losses = -xp.log(xp.take_along_axis(clipped, truth[:, :, None], axis=2)[:, :, 0])
    else:
        positive = truth if rows.kind == "multilabel" else truth[:, :, None]
        losses = -xp.log(xp.where(positive == 1, clipped, 1 - clipped)).mean(axis=2)
    faults: tuple[Fault, ...] = (
        wrong,
        (rows.some(outside), "a prediction is no probability: it lies outside [0, 1]"),
    )
    return rows.mean(losses), faults


def accuracy(rows: Rows) -> Found:
    """The share of rows that are right; `sklearn.metrics.accuracy_score` to 1e-12.

    Of several labels a row is right if all of them are.
    """
    truth, wrong = _labels(rows)
    right = decided(rows) == truth
    return rows.mean(right.all(axis=2) if rows.kind == "multilabel" else right), (wrong,)


def f1(rows: Rows) -> Found:
    """F1 of class 1, or the plain mean over classes or labels; `sklearn.metrics.f1_score` to 1e-12.

    As there, the mean over classes leaves out those that neither truth nor predictions show. Undefined where
    class 1, or a label, is shown by neither.
    """
    xp = rows.xp
    truth, wrong = _labels(rows)
    said, k = decided(rows), rows.outputs
    if rows.kind == "multiclass":
        hits = _weight_of_classes(rows, truth, rows.weights * (truth == said))
        shown = sum(_weight_of_classes(rows, labels, rows.weights) for labels in (truth, said))
    else:
        columns = (len(truth), truth.shape[1], k)
        true, chosen = truth.reshape(columns), said.reshape(columns)
        hits = xp.einsum("bmk,bm->bk", (true & chosen).astype(xp.float64), rows.weights)
        shown = xp.einsum("bmk,bm->bk", (true + chosen).astype(xp.float64), rows.weights)
    scores = 2 * hits / xp.where(shown > 0, shown, 1.0)
    if rows.kind == "multiclass":
        return scores.sum(axis=1) / xp.maximum((shown > 0).sum(axis=1), 1), (wrong,)
    absent = (shown == 0).any(axis=1)
    return scores.mean(axis=1), (wrong, (absent, "F1 wants a positive row, in the truth or the predictions"))


def quadratic_kappa(rows: Rows) -> Found:
    """Cohen's kappa with quadratic weights, of classes that are numbers on a scale.

    `sklearn.metrics.cohen_kappa_score(labels=range(k), weights="quadratic")` to 1e-12. Undefined where truth
    and predictions are the same single class.
    """
    truth, wrong = _labels(rows)
    kappa, constant = kappa_of_classes(rows.xp, truth, decided(rows), rows.weights)
    return kappa, (wrong, (constant, "truth and predictions are one and the same class"))


def kappa_of_classes(xp: Any, truth: Any, said: Any, weights: Any) -> tuple[Any, Any]:
    """Quadratic kappa of class indices, all (members, rows), and which members have none.

    Both sums over the confusion matrix have closed forms: what is seen is the sum of w (t - p)^2, and what
    chance gives follows from the first two moments of t and p.
    """
    first, second = truth.astype(xp.float64), said.astype(xp.float64)
    heavy_first, heavy_second = first * weights, second * weights
    products = [(first, heavy_first), (second, heavy_second), (first, heavy_second)]
    squared_first, squared_second, both = (xp.einsum("bm,bm->b", *pair) for pair in products)
    squares = squared_first + squared_second
    total = xp.maximum(weights.sum(axis=1), _LEAST)
    chance = squares - 2 * heavy_first.sum(axis=1) * heavy_second.sum(axis=1) / total
    constant = chance <= _CANCELLED * squares
    return 1 - (squares - 2 * both) / xp.where(constant, 1.0, chance), constant


def decided(rows: Rows) -> Any:
    """The class of the largest probability (the first of equals), or 1 where one probability exceeds 1/2."""
    xp = rows.xp
    if rows.kind == "multiclass":
        columns = xp.ascontiguousarray(rows.predictions.transpose(2, 0, 1))
        kind = xp.int8 if rows.outputs < 128 else xp.int32
        best, chosen = columns[0].copy(), xp.zeros(rows.weights.shape, dtype=kind)
        for index in range(1, rows.outputs):
            better = (columns[index] > best).astype(kind)
            better *= kind(index)
            xp.maximum(chosen, better, out=chosen)
            xp.maximum(best, columns[index], out=best)
        return chosen
    values = rows.predictions if rows.kind == "multilabel" else rows.single
    return (values > 0.5).astype(xp.int32)


def _labels(rows: Rows) -> tuple[Any, Fault]:
    """The truth as class indices within their range, and the members that have others."""
    xp = rows.xp
    top = rows.outputs - 1 if rows.kind == "multiclass" else 1
    labels = xp.clip(rows.truth, 0, top).astype(xp.int32)
    other = labels != rows.truth
    if rows.kind == "multilabel":
        other = other.any(axis=2)
    return labels, (rows.some(other), f"a target is no class: classes are whole numbers from 0 to {top}")


def _weight_of_classes(rows: Rows, labels: Any, weights: Any) -> Any:
    """The weight of each class of each member, (members, k)."""
    xp = rows.xp
    members, k = len(labels), rows.outputs
    cells = labels + k * xp.arange(members)[:, None]
    counted = xp.bincount(cells.reshape(-1), weights=weights.reshape(-1), minlength=members * k)
    return counted.reshape(members, k)
