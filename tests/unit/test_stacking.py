"""Stacking and blending against SciPy, scikit-learn and plain loops."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.optimize import nnls
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss as peer_loss
from sklearn.metrics import mean_absolute_error, roc_auc_score

from contracts.datasets import Target
from gpu_workers import arrays
from gpu_workers.nnls import nonnegative
from gpu_workers.stacking import Candidates, blend, everything, stack_linear, stack_logistic

HOST = arrays.choose("numpy")
FOLDS = (np.arange(0, 30, 3), np.arange(1, 30, 3), np.arange(2, 30, 3))
FLAGS = np.array([[True, True, True, True], [True, False, True, False], [False, True, False, False]])


def candidates(target: Target, seed: int = 0, count: int = 4, fresh: int = 5) -> Candidates:
    rng = np.random.default_rng(seed)
    n = 30 + fresh
    k = 3 if target in {"multiclass", "multilabel"} else 1
    signal = rng.normal(size=(n, k))
    noisy = signal + rng.normal(size=(count, n, k)) * rng.uniform(0.3, 2, (count, 1, 1))
    if target == "regression":
        truth, predictions = signal[:, 0], noisy
    elif target == "multiclass":
        truth = signal.argmax(axis=1)
        predictions = np.exp(noisy) / np.exp(noisy).sum(axis=2, keepdims=True)
    else:
        truth = (signal > 0).astype(float)
        truth = truth if target == "multilabel" else truth[:, 0]
        predictions = 1 / (1 + np.exp(-noisy))
    return Candidates(
        arrays=HOST, target=target, truth=truth[:30], predictions=predictions[:, :30], folds=FOLDS,
        fresh=predictions[:, 30:] if fresh else None,
    )  # fmt: skip


def learnt_from(fold: int) -> NDArray[Any]:
    return np.setdiff1d(np.arange(30), FOLDS[fold])


# Least squares


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1), rows=st.integers(1, 40), columns=st.integers(1, 12),
    noise=st.sampled_from([1.0, 1e-3]), scale=st.sampled_from([1e-9, 1.0, 1e9]),
)  # fmt: skip
def test_nonnegative_least_squares_reach_the_error_of_scipy(
    seed: int, rows: int, columns: int, noise: float, scale: float
) -> None:
    rng = np.random.default_rng(seed)
    signal = rng.normal(size=(rows, 1))
    a = (signal + noise * rng.normal(size=(3, rows, columns))) * scale
    a[:, :, -1] = a[:, :, 0]
    y = signal[:, 0] * rng.normal(size=3)[:, None]
    allowed = rng.random((3, columns)) < 0.8
    gram, products = a.transpose(0, 2, 1) @ a, (a.transpose(0, 2, 1) @ y[:, :, None])[:, :, 0]
    found = nonnegative(gram, products, allowed, HOST)
    assert (found >= 0).all()
    assert not found[~allowed].any()
    for w, matrix, wanted, may in zip(found, a, y, allowed, strict=True):
        best = nnls(matrix[:, may], wanted)[1] if may.any() else np.linalg.norm(wanted)
        assert np.linalg.norm(matrix @ w - wanted) <= best + 1e-6 * np.linalg.norm(wanted)


def test_columns_of_zeros_get_no_weight() -> None:
    assert nonnegative(np.zeros((1, 2, 2)), np.zeros((1, 2)), np.ones((1, 2), dtype=bool), HOST).tolist() == [
        [0, 0]
    ]


# Linear stacking


@pytest.mark.parametrize("target", ["regression", "binary", "multiclass", "multilabel"])
@pytest.mark.parametrize("sum_to_one", [False, True])
def test_linear_stacking_is_cross_fitted(target: Target, sum_to_one: bool) -> None:
    made = candidates(target)
    k = made.predictions.shape[2]
    truth = np.eye(3)[made.truth] if target == "multiclass" else made.truth.reshape(30, k)
    found = stack_linear(made, FLAGS, sum_to_one=sum_to_one)

    def weights(rows: NDArray[Any], may: NDArray[Any]) -> NDArray[Any]:
        w = np.zeros(4)
        w[may] = nnls(made.predictions[may][:, rows].reshape(may.sum(), -1).T, truth[rows].ravel())[0]
        return w / w.sum() if sum_to_one else w

    assert found.weights is not None
    for subset, may in enumerate(FLAGS):
        assert found.weights[subset] == pytest.approx(weights(np.arange(30), may), abs=1e-9)
        for fold, held in enumerate(FOLDS):
            w = weights(learnt_from(fold), may)
            wanted = np.einsum("c,cnk->nk", w, made.predictions[:, held])
            assert found.predictions[subset][held] == pytest.approx(wanted, abs=1e-9)
        assert found.fresh[subset] == pytest.approx(np.einsum("c,cnk->nk", found.weights[subset], made.fresh))


def test_candidates_that_are_all_against_the_truth_share_evenly_where_weights_sum_to_one() -> None:
    truth = np.arange(30.0)
    made = Candidates(
        arrays=HOST,
        target="regression",
        truth=truth,
        predictions=np.stack([-truth, -truth])[:, :, None],
        folds=FOLDS,
    )
    assert not stack_linear(made, everything(made)).predictions.any()
    found = stack_linear(made, everything(made), sum_to_one=True)
    assert found.weights is not None
    assert found.weights.tolist() == [[0.5, 0.5]]


# Blending


SCORES = {
    "mae": lambda y, p: -mean_absolute_error(y, p[:, 0]),
    "log_loss": lambda y, p: -peer_loss(y, p[:, 0], labels=[0, 1]),
    "auc": lambda y, p: roc_auc_score(y, p[:, 0]),
}


def plain_blend(
    made: Candidates, rows: NDArray[Any], metric: str, may: NDArray[Any], rounds: int
) -> NDArray[Any]:
    predictions, truth = made.predictions[:, rows], made.truth[rows]
    total, counts = np.zeros(predictions.shape[1:]), np.zeros(len(predictions))
    best, kept = -np.inf, counts
    for number in range(1, rounds + 1):
        scores = np.full(len(may), -np.inf)
        for at in np.flatnonzero(may):
            scores[at] = SCORES[metric](truth, (total + predictions[at]) / number)
        chosen = int(np.argmax(scores >= scores.max() - 1e-12))
        total, counts = total + predictions[chosen], counts + (np.arange(len(may)) == chosen)
        if scores.max() > best + 1e-12:
            best, kept = scores.max(), counts / number
    return kept


@pytest.mark.parametrize(
    ("target", "metric"), [("regression", "mae"), ("binary", "log_loss"), ("binary", "auc")]
)
@settings(max_examples=4, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), rounds=st.integers(1, 9))
def test_blending_is_greedy_and_cross_fitted(target: Target, metric: str, seed: int, rounds: int) -> None:
    made = candidates(target, seed)
    if target == "binary":
        made.truth[:6] = [0, 0, 0, 1, 1, 1]  # both classes in every part
    found = blend(made, FLAGS, metric, rounds=rounds)
    assert found.weights is not None
    for subset, may in enumerate(FLAGS):
        wanted = plain_blend(made, np.arange(30), metric, may, rounds)
        assert found.weights[subset] == pytest.approx(wanted)
        held = made.predictions[:, FOLDS[1]]
        w = plain_blend(made, learnt_from(1), metric, may, rounds)
        assert found.predictions[subset][FOLDS[1]] == pytest.approx(np.einsum("c,cnk->nk", w, held))


def test_blending_helps_and_weights_sum_to_one() -> None:
    made = candidates("multiclass", seed=4)
    found = blend(made, FLAGS, "log_loss", rounds=20)
    assert found.weights is not None
    assert found.weights.sum(axis=1) == pytest.approx(1)
    assert not found.weights[~FLAGS].any()
    assert found.predictions.sum(axis=2) == pytest.approx(1)


# Logistic stacking


@pytest.mark.parametrize("target", ["binary", "multiclass", "multilabel"])
def test_logistic_stacking_equals_scikit_learn(target: Target) -> None:
    made = candidates(target, seed=2)
    found = stack_logistic(made, FLAGS, penalty=2.0)
    assert found.weights is None
    logs = np.log(made.predictions) - (0 if target == "multiclass" else np.log1p(-made.predictions))
    fresh = np.log(made.fresh) - (0 if target == "multiclass" else np.log1p(-made.fresh))

    def peer(may: NDArray[Any], rows: NDArray[Any], held: NDArray[Any]) -> NDArray[Any]:
        x = logs[may].transpose(1, 0, 2).reshape(30, -1)[rows]
        new = held[may].transpose(1, 0, 2).reshape(held.shape[1], -1)
        truths = made.truth[rows].T if target == "multilabel" else [made.truth[rows]]
        parts = []
        for y in truths:
            model = LogisticRegression(C=0.5, tol=1e-10, max_iter=10_000).fit(x, y)
            chances = model.predict_proba(new)
            parts.append(chances if target == "multiclass" else chances[:, 1:])
        return np.concatenate(parts, axis=1)

    for subset, may in enumerate(FLAGS):
        wanted = peer(may, learnt_from(2), logs[:, FOLDS[2]])
        assert found.predictions[subset][FOLDS[2]] == pytest.approx(wanted, abs=1e-5)
        assert found.fresh[subset] == pytest.approx(peer(may, np.arange(30), fresh), abs=1e-5)


@pytest.mark.parametrize("method", ["linear", "greedy", "logistic"])
def test_a_subset_comes_to_the_same_alone_and_among_others(method: str) -> None:
    made = candidates("binary", seed=3, fresh=0)

    def run(subsets: NDArray[np.bool_]) -> NDArray[Any]:
        match method:
            case "linear":
                return np.asarray(stack_linear(made, subsets).predictions)
            case "greedy":
                return np.asarray(blend(made, subsets, "log_loss", rounds=6).predictions)
        return np.asarray(stack_logistic(made, subsets).predictions)

    together = run(FLAGS)
    for subset in range(len(FLAGS)):
        assert together[subset] == pytest.approx(run(FLAGS[subset : subset + 1])[0], abs=1e-8)


# What cannot be stacked


def test_bad_candidates_are_named() -> None:
    made = candidates("regression", fresh=0)
    fields = vars(made)
    with pytest.raises(ValueError, match="candidates x rows x outputs"):
        Candidates(**{**fields, "predictions": made.predictions[:, :, 0]})
    with pytest.raises(ValueError, match="29 targets for 30"):
        Candidates(**{**fields, "truth": made.truth[1:]})
    with pytest.raises(ValueError, match="folds name every row once"):
        Candidates(**{**fields, "folds": FOLDS[:2]})
    with pytest.raises(ValueError, match="at least two"):
        Candidates(**{**fields, "folds": (np.arange(30),)})
    broken = made.predictions.copy()
    broken[2, 4] = np.nan
    with pytest.raises(ValueError, match="candidate 2 has a prediction"):
        Candidates(**{**fields, "predictions": broken})


def test_bad_requests_are_named() -> None:
    numbers, classes = candidates("regression"), candidates("binary")
    with pytest.raises(ValueError, match="subset 1 has no candidate"):
        stack_linear(numbers, np.array([[True] * 4, [False] * 4]))
    with pytest.raises(ValueError, match="subsets x 4 candidates"):
        stack_linear(numbers, np.ones((1, 3), dtype=bool))
    with pytest.raises(ValueError, match="auc is no metric of regression targets; take rmse"):
        blend(numbers, FLAGS, "auc")
    with pytest.raises(ValueError, match="rounds is 0"):
        blend(numbers, FLAGS, "rmse", rounds=0)
    with pytest.raises(ValueError, match="take stack_linear for regression"):
        stack_logistic(numbers, FLAGS)
    with pytest.raises(ValueError, match="penalty is 0"):
        stack_logistic(classes, FLAGS, penalty=0.0)
    one_class = Candidates(**{**vars(classes), "truth": np.ones(30)})
    with pytest.raises(ValueError, match="looked at has a defined auc"):
        blend(one_class, FLAGS, "auc")
