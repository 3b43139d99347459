"""Metrics of numbers: how far predictions are off."""

from typing import Any

from gpu_workers.metrics.rows import Fault, Found, Rows


def rmse(rows: Rows) -> Found:
    """Root mean squared error; `sklearn.metrics.root_mean_squared_error` to 1e-12, relative."""
    return _root_mean_square(rows, rows.single - rows.truth), ()


def mae(rows: Rows) -> Found:
    """Mean absolute error; `sklearn.metrics.mean_absolute_error` to 1e-12, relative."""
    return rows.mean(rows.xp.abs(rows.single - rows.truth)), ()


def rmsle(rows: Rows) -> Found:
    """Root mean squared error of log(1 + x); `root_mean_squared_log_error` to 1e-12, relative.

    Undefined where a target or a prediction is -1 or less.
    """
    xp = rows.xp
    low_truth, low = rows.truth <= -1, rows.single <= -1
    logs = xp.log1p(xp.where(low, 0.0, rows.single)) - xp.log1p(xp.where(low_truth, 0.0, rows.truth))
    faults: tuple[Fault, ...] = (
        (rows.some(low_truth), "a target is -1 or less, and its logarithm does not exist"),
        (rows.some(low), "a prediction is -1 or less, and its logarithm does not exist"),
    )
    return _root_mean_square(rows, logs), faults


def poisson_deviance(rows: Rows) -> Found:
    """Mean Poisson deviance; `sklearn.metrics.mean_poisson_deviance` to 1e-12, relative to the mean target.

    Undefined where a target is below 0, or a prediction is not above 0.
    """
    xp = rows.xp
    negative, zero = rows.truth < 0, rows.single <= 0
    truth, means = xp.where(negative, 0.0, rows.truth), xp.where(zero, 1.0, rows.single)
    ratio = xp.where(truth > 0, truth / means, 1.0)
    faults: tuple[Fault, ...] = (
        (rows.some(negative), "a target is below 0, which no count is"),
        (rows.some(zero), "a predicted mean is not above 0"),
    )
    return 2 * rows.mean(truth * xp.log(ratio) - truth + means), faults


def _root_mean_square(rows: Rows, values: Any) -> Any:
    """Scaled by the largest value, so that squares neither overflow nor vanish."""
    xp = rows.xp
    scale = xp.abs(values * (rows.weights > 0)).max(axis=1)
    scale = xp.where((scale > 0) & xp.isfinite(scale), scale, 1.0)
    return scale * xp.sqrt(rows.mean(xp.square(values / scale[:, None])))
