"""Metrics of order: how well predictions rank positive rows above negative ones."""

from dataclasses import dataclass
from typing import Any

from gpu_workers.metrics.rows import Found, Rows


def auc(rows: Rows) -> Found:
    """Area under the ROC curve, ties counted half; `sklearn.metrics.roc_auc_score` to 1e-12.

    Of several classes or labels it is the plain mean over their columns, each against all others (`macro`,
    `ovr`). Undefined where a column's rows are of one class only.
    """
    xp = rows.xp
    ranked = _Ranked.of(rows, sign=1)
    if ranked.plain:
        # Without ties and fractional weights the area is Wilcoxon's rank sum.
        count = ranked.truth.shape[1]
        above = ranked.truth.sum(axis=1, dtype=xp.float64)
        below = xp.repeat(rows.total, rows.outputs) - above
        area = ranked.truth @ xp.arange(1.0, count + 1) - above * (above + 1) / 2
    else:
        curve = _Curve.of(xp, ranked)
        above, below = curve.positives, curve.negatives
        area = curve.sums(curve.steps * (curve.negative + curve.negative_before) / 2)
    one_class = (above == 0) | (below == 0)
    values = area / xp.where(one_class, 1.0, above * below)
    return _over_columns(rows, values, one_class, "AUC wants rows of both classes")


def average_precision(rows: Rows) -> Found:
    """Mean precision over the steps of recall; `sklearn.metrics.average_precision_score` to 1e-12.

    Of several classes or labels it is the plain mean over their columns. Undefined where a column has no
    positive row.
    """
    xp = rows.xp
    curve = _Curve.of(xp, _Ranked.of(rows, sign=-1))
    seen = curve.positive + curve.negative
    area = curve.sums(curve.steps * curve.positive / xp.where(seen > 0, seen, 1.0))
    none = curve.positives == 0
    return _over_columns(
        rows, area / xp.where(none, 1.0, curve.positives), none, "average precision wants a positive row"
    )


@dataclass(frozen=True, kw_only=True)
class _Ranked:
    """Every column of every member in the order of its scores; rows without weight come last."""

    truth: Any
    """(columns, rows): 0 or 1, and 0 for rows without weight."""
    weights: Any
    last: Any
    """(columns, rows): whether a row is the last of its run of equal scores."""
    plain: bool
    """Whether no scores of rows with weight are equal, and all weights are 0 or 1."""

    @staticmethod
    def of(rows: Rows, *, sign: int) -> "_Ranked":
        """Sort by scores (sign 1: the lowest first, -1: the highest first)."""
        xp = rows.xp
        truth, scores, weights = rows.columns()
        if sign < 0:
            scores = -scores
        if not rows.unit:
            scores = xp.where(weights > 0, scores, xp.inf)
            truth = xp.where(weights > 0, truth, 0.0)
        order = xp.argsort(scores, axis=1)
        scores = xp.take_along_axis(scores, order, axis=1)
        last = xp.ones(scores.shape, dtype=bool)
        last[:, :-1] = scores[:, 1:] > scores[:, :-1]
        truth = xp.take_along_axis(truth, order, axis=1)
        if not rows.unit:
            weights = xp.take_along_axis(weights, order, axis=1)
        plain = rows.unit or bool(((weights == 0) | (weights == 1)).all())
        if plain:
            plain = bool((last if rows.unit else last | xp.isinf(scores)).all())
        return _Ranked(truth=truth, weights=weights, last=last, plain=plain)


@dataclass(frozen=True, kw_only=True)
class _Curve:
    """Positive and negative weight up to the end of each run of equal scores, of all columns in one row."""

    xp: Any
    shape: tuple[int, int]
    """Columns of all members, and their rows with one empty row put before them."""
    ends: Any
    """(runs,): where each run ends in an array of that shape."""
    positive: Any
    negative: Any
    positives: Any
    """(columns,): the positive weight of a whole column."""
    negatives: Any

    @staticmethod
    def of(xp: Any, ranked: _Ranked) -> "_Curve":
        """Add up what was ranked."""
        columns, count = ranked.truth.shape
        shape = (columns, count + 1)
        last = xp.ones(shape, dtype=bool)
        last[:, 1:] = ranked.last
        ends = xp.flatnonzero(last)
        sums = []
        positive = ranked.weights * ranked.truth
        for side in (positive, ranked.weights - positive):
            running = xp.zeros(shape)
            running[:, 1:] = xp.cumsum(side, axis=1)
            sums.append(running)
        positive, negative = sums
        return _Curve(
            xp=xp,
            shape=shape,
            ends=ends,
            positive=positive.reshape(-1)[ends],
            negative=negative.reshape(-1)[ends],
            positives=positive[:, -1],
            negatives=negative[:, -1],
        )

    @property
    def steps(self) -> Any:
        """(runs,): the positive weight of each run; of the empty one before a column, less than nothing."""
        return self.positive - self._before(self.positive)

    @property
    def negative_before(self) -> Any:
        """(runs,): the negative weight before each run."""
        return self._before(self.negative)

    def sums(self, values: Any) -> Any:
        """The sum over the runs of each column, without the empty run before it."""
        spread = self.xp.zeros(self.shape[0] * self.shape[1])
        spread[self.ends] = values
        return spread.reshape(self.shape)[:, 1:].sum(axis=1)

    def _before(self, values: Any) -> Any:
        return self.xp.concatenate((values[:1], values[:-1]))


def _over_columns(rows: Rows, values: Any, missing: Any, reason: str) -> Found:
    """The mean over the columns of each member, where all of them have a value."""
    shape = (len(rows.weights), rows.outputs)
    missing = missing.reshape(shape).any(axis=1)
    if rows.kind != "single":
        reason += " in every column"
    return values.reshape(shape).mean(axis=1), ((missing, reason),)
