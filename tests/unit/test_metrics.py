"""Every metric against scikit-learn's, member by member, and every case in which there is no score."""

import dataclasses
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn import metrics as peer

from gpu_workers import arrays
from gpu_workers.metrics import METRICS, Undefined, score

HOST = arrays.choose("numpy")
CLOSE = 1e-12


def scored(name: str, truth: Any, predictions: Any, weights: Any = None) -> tuple[float | Undefined, ...]:
    """Scores of members, where each is given as (rows,) or (rows, k)."""
    truth, predictions = np.asarray(truth), np.asarray(predictions, dtype=float)
    if predictions.ndim == 2:
        predictions = predictions[:, :, None]
    weights = np.ones(predictions.shape[:2]) if weights is None else np.asarray(weights, dtype=float)
    return score(name, truth, predictions, weights, HOST)


def reason(found: float | Undefined) -> str:
    assert isinstance(found, Undefined)
    return found.reason


def argmax(p: NDArray[Any]) -> NDArray[Any]:
    return p.argmax(axis=1) if p.shape[1] > 1 else (p[:, 0] > 0.5).astype(int)


def sides(y: NDArray[Any], p: NDArray[Any]) -> NDArray[Any]:
    """What scikit-learn takes for several classes or labels."""
    return np.eye(p.shape[1])[y.astype(int)] if y.ndim == 1 and p.shape[1] > 1 else y


def peer_log_loss(y: NDArray[Any], p: NDArray[Any], w: NDArray[Any]) -> float:
    if y.ndim == 2:
        return float(np.mean([peer_log_loss(y[:, j], p[:, [j]], w) for j in range(p.shape[1])]))
    if p.shape[1] == 1:
        p = np.hstack([1 - p, p])
    return float(peer.log_loss(y, p, sample_weight=w, labels=range(p.shape[1])))


def peer_f1(y: NDArray[Any], p: NDArray[Any], w: NDArray[Any]) -> float:
    if y.ndim == 1:
        average = "binary" if p.shape[1] == 1 else "macro"
        return float(peer.f1_score(y, argmax(p), sample_weight=w, average=average))
    return float(peer.f1_score(y, p > 0.5, sample_weight=w, average="macro"))


PEERS: dict[str, Callable[[NDArray[Any], NDArray[Any], NDArray[Any]], float]] = {
    "rmse": lambda y, p, w: peer.root_mean_squared_error(y, p[:, 0], sample_weight=w),
    "mae": lambda y, p, w: peer.mean_absolute_error(y, p[:, 0], sample_weight=w),
    "rmsle": lambda y, p, w: peer.root_mean_squared_log_error(y, p[:, 0], sample_weight=w),
    "poisson_deviance": lambda y, p, w: peer.mean_poisson_deviance(y, p[:, 0], sample_weight=w),
    "log_loss": peer_log_loss,
    "accuracy": lambda y, p, w: peer.accuracy_score(
        y, p > 0.5 if y.ndim == 2 else argmax(p), sample_weight=w
    ),
    "f1": peer_f1,
    "quadratic_kappa": lambda y, p, w: peer.cohen_kappa_score(
        y, argmax(p), labels=range(max(2, p.shape[1])), weights="quadratic", sample_weight=w
    ),
    "auc": lambda y, p, w: peer.roc_auc_score(y, p[:, 0], sample_weight=w),
    "column_auc": lambda y, p, w: peer.roc_auc_score(sides(y, p), p, sample_weight=w, average="macro"),
    "average_precision": lambda y, p, w: peer.average_precision_score(
        sides(y, p), p if p.shape[1] > 1 else p[:, 0], sample_weight=w, average="macro"
    ),
}
CASES = [(name, target) for name, metric in METRICS.items() for target in sorted(metric.targets)]


def drawn(
    target: str, rng: np.random.Generator, members: int, rows: int, k: int, levels: int
) -> tuple[NDArray[Any], NDArray[Any]]:
    """Truth and predictions of a kind of target; with few levels, most predictions are tied."""
    values = rng.integers(0, levels, (members, rows, k)) / (levels - 1)
    match target:
        case "regression" | "count":
            return rng.poisson(2.0, (members, rows)).astype(float), values[:, :, :1] * 3 + 0.1
        case "binary":
            return rng.integers(0, 2, (members, rows)), values[:, :, :1]
        case "multilabel":
            return rng.integers(0, 2, (members, rows, k)), values
    return rng.integers(0, k, (members, rows)), (values + 0.05) / (values + 0.05).sum(axis=2, keepdims=True)


def test_every_metric_has_a_peer_and_a_direction() -> None:
    assert set(PEERS) == set(METRICS)
    assert {name for name, metric in METRICS.items() if metric.direction == "less"} == {
        "rmse", "mae", "rmsle", "poisson_deviance", "log_loss",
    }  # fmt: skip


@pytest.mark.parametrize(("name", "target"), CASES)
@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    rows=st.integers(1, 30),
    k=st.integers(2, 5),
    levels=st.sampled_from([2, 3, 1000]),
    weighted=st.booleans(),
)
def test_equals_scikit_learn(
    name: str, target: str, seed: int, rows: int, k: int, levels: int, weighted: bool
) -> None:
    rng = np.random.default_rng(seed)
    truth, predictions = drawn(target, rng, 3, rows, k, levels)
    weights = rng.uniform(0.1, 3, (3, rows)) if weighted else np.ones((3, rows))
    # Padding behind each member's rows holds whatever is worst.
    wide = [(0, 0), (0, 2)]
    padded = np.pad(truth.astype(float), [*wide, (0, 0)][: truth.ndim], constant_values=np.nan)
    nan = np.pad(predictions, [*wide, (0, 0)], constant_values=np.nan)
    found = score(name, padded, nan, np.pad(weights, wide), HOST)
    for y, p, w, ours in zip(truth, predictions, weights, found, strict=True):
        if isinstance(ours, Undefined):
            if name in {"auc", "column_auc"}:
                assert not np.ptp(sides(y, p), axis=0).all()
            elif name == "average_precision":
                assert not sides(y, p).any(axis=0).all()
            elif name == "f1":
                assert not ((y == 1) | (p > 0.5 if y.ndim == 2 else argmax(p) == 1)).any(axis=0).all()
            else:
                assert name == "quadratic_kappa"
                assert len({*y.tolist(), *argmax(p).tolist()}) == 1
        else:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # about classes that a few rows do not show
                assert ours == pytest.approx(PEERS[name](y, p, w), rel=1e-11, abs=CLOSE)


@pytest.mark.parametrize(("name", "target"), CASES)
def test_a_member_scores_the_same_alone_and_among_others(name: str, target: str) -> None:
    truth, predictions = drawn(target, np.random.default_rng(5), 7, 40, 3, 50)
    weights = np.ones((7, 40))
    small = dataclasses.replace(HOST, block_bytes=1)
    together = score(name, truth, predictions, weights, HOST)
    assert together == score(name, truth, predictions, weights, small)
    assert not any(isinstance(each, Undefined) for each in together)


@pytest.mark.parametrize(("name", "target"), CASES)
def test_what_is_not_finite_or_has_no_rows_has_no_score_and_spares_the_others(name: str, target: str) -> None:
    truth, predictions = drawn(target, np.random.default_rng(6), 5, 40, 3, 50)
    truth = truth.astype(float)
    weights = np.ones((5, 40))
    before = score(name, truth, predictions, weights, HOST)
    truth[0, 3] = np.nan
    predictions[1, 4, -1] = np.inf
    weights[2] = 0
    predictions[3, 9] = np.nan
    found = score(name, truth, predictions, weights, HOST)
    assert "target is not a finite" in reason(found[0])
    assert "prediction is not a finite" in reason(found[1])
    assert reason(found[2]) == "no row is held out"
    assert "prediction is not a finite" in reason(found[3])
    assert found[4] == before[4]
    assert all(reason(each) == "no row is held out" for each in scored(name, *none_of(truth, predictions)))


def none_of(truth: NDArray[Any], predictions: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
    return truth[:, :0], predictions[:, :0]


@pytest.mark.parametrize(
    ("name", "truth", "predictions", "why"),
    [
        ("auc", [1, 1, 1], [0.1, 0.2, 0.3], "both classes"),
        ("average_precision", [0, 0], [0.1, 0.2], "positive row"),
        ("column_auc", [0, 1], [[0.2, 0.3, 0.5], [0.1, 0.8, 0.1]], "both classes in every column"),
        ("f1", [0, 0], [0.1, 0.2], "positive row"),
        ("quadratic_kappa", [1, 1], [0.9, 0.8], "one and the same class"),
        ("rmsle", [-1.0, 2.0], [0.1, 0.2], "a target is -1 or less"),
        ("rmsle", [1.0, 2.0], [0.1, -2.0], "a prediction is -1 or less"),
        ("poisson_deviance", [-1, 2], [0.1, 0.2], "a target is below 0"),
        ("poisson_deviance", [1, 2], [0.1, 0.0], "mean is not above 0"),
        ("log_loss", [1, 0], [1.5, 0.2], "outside [0, 1]"),
        ("log_loss", [2, 0], [0.5, 0.2], "a target is no class"),
        ("accuracy", [0.5, 0], [0.5, 0.2], "a target is no class"),
        ("accuracy", [3, 0], [[0.2, 0.3, 0.5], [0.1, 0.8, 0.1]], "whole numbers from 0 to 2"),
        ("rmse", [1e308], [-1e308], "beyond what a float holds"),
    ],
)
def test_cases_without_a_score_say_why(name: str, truth: list[Any], predictions: list[Any], why: str) -> None:
    assert why in reason(scored(name, [truth], [predictions])[0])


def test_scales_neither_overflow_nor_vanish() -> None:
    truth = np.array([[1e200, 2e200], [1e-200, 2e-200], [0.0, 0.0]])
    assert scored("rmse", truth, truth * 2)[:2] == pytest.approx(
        (np.sqrt(2.5) * 1e200, np.sqrt(2.5) * 1e-200)
    )
    assert scored("rmse", truth, truth)[2] == 0
    assert scored("auc", [[0, 1], [1, 0]], [[5e-324, 1e-323], [1e308, -1e308]]) == (1.0, 1.0)


def test_one_row() -> None:
    assert scored("rmse", [[2.0]], [[5.0]]) == (3.0,)
    assert scored("accuracy", [[1]], [[0.5]]) == (0.0,)
    assert scored("log_loss", [[1]], [[0.25]]) == pytest.approx((np.log(4),))


def test_probabilities_of_0_and_1_are_clipped() -> None:
    (found,) = scored("log_loss", [[1]], [[0.0]])
    assert found == pytest.approx(-np.log(np.finfo(float).eps))


def test_bad_calls_say_what_is_wrong() -> None:
    one = np.ones((1, 2))
    with pytest.raises(ValueError, match="no metric is called gini; there are rmse"):
        score("gini", one, one[:, :, None], one, HOST)
    with pytest.raises(ValueError, match="members x rows x outputs"):
        score("rmse", one, one, one, HOST)
    with pytest.raises(ValueError, match="do not fit"):
        score("rmse", one[:, :1], one[:, :, None], one, HOST)
    for weight in (-1, np.nan, np.inf):
        with pytest.raises(ValueError, match="a weight of a row is below 0"):
            score("rmse", one, one[:, :, None], one * weight, HOST)


@pytest.mark.parametrize("k", [2, 127, 128, 300])
def test_the_first_of_the_largest_probabilities_decides_and_predictions_stay_as_they_are(k: int) -> None:
    for shape in ((1, 1, k), (3, 20, k)):
        predictions = np.random.default_rng(k).integers(0, 4, shape) / 3
        before = predictions.copy()
        truth = predictions.argmax(axis=2)
        for name in ("accuracy", "f1"):
            found = score(name, truth, predictions, np.ones(shape[:2]), HOST)
            assert found == pytest.approx((1.0,) * shape[0])
        assert np.array_equal(predictions, before)
