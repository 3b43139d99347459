"""Stacking and blending: one prediction from those of several models, for many subsets of models at once.

All methods learn from out-of-fold predictions and are cross-fitted: what a row is predicted by is learnt from the
rows of the other folds. What rows beyond them are predicted by is learnt from all.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from contracts.datasets import Target
from gpu_workers.arrays import Arrays
from gpu_workers.experiments.block import Block
from gpu_workers.families.logistic import Logistic
from gpu_workers.metrics import METRICS, Undefined, score
from gpu_workers.nnls import nonnegative
from gpu_workers.resampler import go_on

_CLIP = 1e-7
"""Probabilities are kept so far from 0 and 1 before their logarithm is taken."""
_TIE = 1e-12
"""Scores so close, relative to their size, are equal: the order of a sum is not to choose a candidate."""


_COPIES = 2
"""Arrays of the size of all tried blends that are held at once."""


@dataclass(frozen=True, kw_only=True)
class Candidates:
    """Models by what they predict, and the truth."""

    arrays: Arrays
    target: Target
    truth: Any
    """(n,): numbers or class indices; (n, k) of 0 and 1 for several labels."""
    predictions: Any
    """(candidates, n, k): what each predicts for rows that it was not fitted to; one column for binary targets."""
    folds: tuple[NDArray[np.int64], ...]
    """Which rows make a fold; every row is in one."""
    fresh: Any = None
    """(candidates, m, k): predictions for rows beyond these, if any."""
    checkpoint: Callable[[], None] = go_on

    def __post_init__(self) -> None:
        """Look at the shapes.

        Raises:
            ValueError: they do not fit, a row is not in one fold, or a prediction is not finite.
        """
        if self.predictions.ndim != 3:
            raise ValueError(f"predictions are candidates x rows x outputs, not {self.predictions.shape}")
        n = self.predictions.shape[1]
        if len(self.truth) != n:
            raise ValueError(f"there are {len(self.truth)} targets for {n} predicted rows")
        rows = np.concatenate([*self.folds, np.zeros(0, dtype=np.int64)])
        if not np.array_equal(np.sort(rows), np.arange(n)) or len(self.folds) < 2:
            raise ValueError("folds name every row once, and there are at least two of them")
        for name, values in (("prediction", self.predictions), ("fresh prediction", self.fresh)):
            if values is not None:
                bad = np.flatnonzero(self.arrays.get(~self.arrays.xp.isfinite(values).all(axis=(1, 2))))
                if len(bad):
                    raise ValueError(f"candidate {bad[0]} has a {name} that is not a finite number")

    @property
    def parts(self) -> Any:
        """(folds + 1, n): 1 for the rows that are learnt from: all but a fold's, and at last all."""
        found = np.ones((len(self.folds) + 1, self.predictions.shape[1]))
        for fold, rows in enumerate(self.folds):
            found[fold, rows] = 0.0
        return self.arrays.put(found)


@dataclass(frozen=True, kw_only=True)
class Stacked:
    """What comes of subsets of candidates."""

    predictions: Any
    """(subsets, n, k), cross-fitted."""
    fresh: Any
    """(subsets, m, k), learnt from all rows; None where no rows are beyond them."""
    weights: NDArray[np.float64] | None
    """(subsets, candidates) that all rows give; None where a prediction is no weighted sum."""


def everything(candidates: Candidates) -> NDArray[np.bool_]:
    """The subset of all candidates, as (1, candidates)."""
    return np.ones((1, len(candidates.predictions)), dtype=bool)


def stack_linear(candidates: Candidates, subsets: NDArray[np.bool_], *, sum_to_one: bool = False) -> Stacked:
    """Weights that are not negative and minimize the squared error, as `scipy.optimize.nnls`, to 1e-8 of the error.

    Args:
        candidates: what to stack; probabilities of several columns share their weights.
        subsets: (subsets, candidates) on the host: which candidates may have weight.
        sum_to_one: whether weights are divided by their sum afterwards, as probabilities want.

    Raises:
        ValueError: a subset has no candidate.
    """
    _check(candidates, subsets)
    xp, arrays = candidates.arrays.xp, candidates.arrays
    count, n, k = candidates.predictions.shape
    flat = candidates.predictions.astype(xp.float64).reshape(count, n * k)
    parts = candidates.parts
    truth = _columns(candidates).reshape(n * k)
    scale = max(float(xp.abs(flat).max()), float(xp.abs(truth).max())) or 1.0
    flat, truth = flat / scale, truth / scale
    gram, products = [], []
    for part in range(len(parts)):
        candidates.checkpoint()
        weighted = flat * xp.repeat(parts[part], k)
        gram.append(weighted @ flat.T)
        products.append(weighted @ truth)
    units = len(subsets) * len(parts)
    weights = nonnegative(
        xp.concatenate([xp.stack(gram)] * len(subsets)),
        xp.concatenate([xp.stack(products)] * len(subsets)),
        np.repeat(subsets, len(parts), axis=0),
        arrays,
    )
    if sum_to_one:
        total = weights.sum(axis=1, keepdims=True)
        even = arrays.put(np.repeat(subsets / subsets.sum(axis=1, keepdims=True), len(parts), axis=0))
        weights = xp.where(total > 0, weights / xp.where(total > 0, total, 1.0), even)
    return _weighted(candidates, weights.reshape(len(subsets), units // len(subsets), count))


def blend(candidates: Candidates, subsets: NDArray[np.bool_], metric: str, *, rounds: int = 50) -> Stacked:
    """Greedy blending after Caruana: in each round the candidate that helps most is added once more.

    What is kept is the blend of the round with the best score, the first of equals. Ties go to the first candidate.

    Args:
        candidates: what to blend.
        subsets: (subsets, candidates) on the host: which candidates may be added.
        metric: the score that decides, one of `metrics.METRICS`.
        rounds: how often one is added, with replacement.

    Raises:
        ValueError: no metric is called that, it does not fit the target, a subset has no candidate, or no
            candidate has a score.
    """
    _check(candidates, subsets)
    if metric not in METRICS or candidates.target not in METRICS[metric].targets:
        fitting = [name for name, each in METRICS.items() if candidates.target in each.targets]
        raise ValueError(f"{metric} is no metric of {candidates.target} targets; take {', '.join(fitting)}")
    if rounds < 1:
        raise ValueError(f"rounds is {rounds}; it is 1 or more")
    xp, count = candidates.arrays.xp, len(candidates.predictions)
    sign = 1.0 if METRICS[metric].direction == "greater" else -1.0
    parts = candidates.parts
    shape = (len(subsets), len(parts), count)
    taken, best_taken = np.zeros(shape), np.zeros(shape)
    best = np.full(shape[:2], -np.inf)
    predictions = candidates.predictions.astype(xp.float64)
    sums = xp.zeros((*shape[:2], *predictions.shape[1:]))
    for number in range(1, rounds + 1):
        chosen = np.zeros(shape[:2], dtype=np.int64)
        for subset, allowed in enumerate(subsets):
            candidates.checkpoint()
            some = np.flatnonzero(allowed)
            found = sign * _added(
                candidates, metric, sums[subset], predictions[candidates.arrays.put(some)], parts, number
            )
            now = found.max(axis=1)
            slack = _TIE * np.abs(np.where(np.isfinite(now), now, 0.0))
            chosen[subset] = some[(found >= (now - slack)[:, None]).argmax(axis=1)]
            if number == 1 and not np.isfinite(now).all():
                raise ValueError(
                    f"none of the candidates that are looked at has a defined {metric} on all parts of the rows; "
                    "take another metric"
                )
            np.put_along_axis(
                taken[subset], chosen[subset][:, None],
                np.take_along_axis(taken[subset], chosen[subset][:, None], axis=1) + 1, axis=1,
            )  # fmt: skip
            better = now > best[subset] + slack
            best[subset][better] = now[better]
            best_taken[subset][better] = taken[subset][better] / number
        sums += predictions[candidates.arrays.put(chosen)]
    return _weighted(candidates, candidates.arrays.put(best_taken))


def stack_logistic(candidates: Candidates, subsets: NDArray[np.bool_], *, penalty: float = 1.0) -> Stacked:
    """Logistic or softmax regression on the candidates' logarithms of odds or probabilities.

    Args:
        candidates: what to stack; their predictions are probabilities.
        subsets: (subsets, candidates) on the host: which candidates it may look at.
        penalty: of the squared coefficients, above 0.

    Raises:
        ValueError: the target has no classes, the penalty is not above 0, or a subset has no candidate.
    """
    _check(candidates, subsets)
    if candidates.target in {"regression", "count"}:
        raise ValueError(
            f"logistic stacking is for classes; take stack_linear for {candidates.target} targets"
        )
    if not penalty > 0 or not np.isfinite(penalty):
        raise ValueError(f"penalty is {penalty}; it is a number above 0")
    arrays, xp = candidates.arrays, candidates.arrays.xp
    features = _log_odds(candidates, candidates.predictions)
    if candidates.fresh is not None:
        features = xp.concatenate([features, _log_odds(candidates, candidates.fresh)])
    n, k = candidates.predictions.shape[1:]
    rows = features.shape[0]
    shut = np.repeat(subsets, k, axis=1)
    made = [_logistic(candidates, features * arrays.put(each.astype(float)), penalty) for each in shut]
    predictions = xp.zeros((len(subsets), n, k))
    for subset, found in enumerate(made):
        for fold, held in enumerate(candidates.folds):
            predictions[subset, arrays.put(held)] = found[fold, : len(held)]
    fresh = None
    if candidates.fresh is not None:
        fresh = xp.stack([found[-1, : rows - n] for found in made])
    return Stacked(predictions=predictions, fresh=fresh, weights=None)


def _logistic(candidates: Candidates, features: Any, penalty: float) -> Any:
    """(folds + 1, m, k): what each fold's rows, and at last the fresh ones, are predicted."""
    arrays, xp = candidates.arrays, candidates.arrays.xp
    n, rows = candidates.predictions.shape[1], len(features)
    held = [*candidates.folds, np.arange(n, rows) if rows > n else np.zeros(1, dtype=np.int64)]
    test = np.zeros((len(held), max(map(len, held))), dtype=np.int64)
    for fold, own in enumerate(held):
        test[fold, : len(own)] = own
    train = xp.zeros((len(held), rows))
    train[:, :n] = candidates.parts
    y = xp.zeros((rows, *candidates.truth.shape[1:]), dtype=candidates.truth.dtype)
    y[:n] = candidates.truth
    folds = np.arange(len(held))
    return Logistic().fit_predict(
        Block(
            arrays=arrays,
            x=xp.repeat(features[None], len(held), axis=0),
            y=y,
            train=train,
            test=arrays.put(test),
            tested=arrays.put(np.ones(test.shape)),
            target=candidates.target,
            outputs=candidates.predictions.shape[2],
            fold=folds,
            seeds=("",) * len(folds),
            configurations=({**Logistic.defaults, "C": 1.0 / penalty},) * len(folds),
            checkpoint=candidates.checkpoint,
        )
    )


def _log_odds(candidates: Candidates, predictions: Any) -> Any:
    """(rows, candidates * k)."""
    xp = candidates.arrays.xp
    kept = xp.clip(predictions.astype(xp.float64), _CLIP, 1 - _CLIP)
    logs = xp.log(kept) if candidates.target == "multiclass" else xp.log(kept) - xp.log1p(-kept)
    return logs.transpose(1, 0, 2).reshape(predictions.shape[1], -1)


def _check(candidates: Candidates, subsets: NDArray[np.bool_]) -> None:
    count = len(candidates.predictions)
    if subsets.ndim != 2 or subsets.shape[1] != count or subsets.dtype != bool:
        raise ValueError(f"subsets are flags, subsets x {count} candidates; these have shape {subsets.shape}")
    empty = np.flatnonzero(~subsets.any(axis=1))
    if len(empty):
        raise ValueError(f"subset {empty[0]} has no candidate; give it at least one")


def _columns(candidates: Candidates) -> Any:
    """(n, k): the truth, classes as 0 and 1."""
    xp, truth = candidates.arrays.xp, candidates.truth
    k = candidates.predictions.shape[2]
    if candidates.target == "multiclass":
        truth = truth[:, None] == xp.arange(k)
    return truth.astype(xp.float64).reshape(len(truth), k)


def _scores(candidates: Candidates, metric: str, tried: Any, parts: Any) -> NDArray[np.float64]:
    """(parts, candidates): scores on the rows that each part learns from; -inf or inf are never the best."""
    xp = candidates.arrays.xp
    shape = tried.shape
    members = shape[0] * shape[1]
    truth = xp.broadcast_to(candidates.truth, (members, *candidates.truth.shape))
    found = score(
        metric,
        truth,
        tried.reshape(members, *shape[2:]),
        xp.repeat(parts, shape[1], axis=0),
        candidates.arrays,
    )
    worst = -np.inf if METRICS[metric].direction == "greater" else np.inf
    values = [worst if isinstance(each, Undefined) else each for each in found]
    return np.array(values).reshape(shape[:2])


def _added(
    candidates: Candidates, metric: str, sums: Any, predictions: Any, parts: Any, number: int
) -> NDArray[np.float64]:
    """(parts, candidates): scores with each candidate added to each part's blend; some parts at once, for memory."""
    most = max(1, candidates.arrays.held_bytes // (_COPIES * 8 * predictions.size))
    found = []
    for start in range(0, len(parts), most):
        some = slice(start, start + most)
        tried = (sums[some][:, None] + predictions) / number
        found.append(_scores(candidates, metric, tried, parts[some]))
    return np.concatenate(found)


def _weighted(candidates: Candidates, weights: Any) -> Stacked:
    """The outcome of (subsets, folds + 1, candidates) weights."""
    arrays, xp = candidates.arrays, candidates.arrays.xp
    predictions = xp.zeros((len(weights), *candidates.predictions.shape[1:]))
    for fold, rows in enumerate(candidates.folds):
        at = arrays.put(rows)
        predictions[:, at] = xp.einsum("sc,cnk->snk", weights[:, fold], candidates.predictions[:, at])
    fresh = None
    if candidates.fresh is not None:
        fresh = xp.einsum("sc,cnk->snk", weights[:, -1], candidates.fresh)
    return Stacked(predictions=predictions, fresh=fresh, weights=np.array(arrays.get(weights[:, -1])))
