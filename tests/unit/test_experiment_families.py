"""Every family against scikit-learn's own, through a whole experiment."""

import warnings
from typing import Any, Literal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.linear_model import Ridge as Peer
from sklearn.naive_bayes import BernoulliNB, GaussianNB, MultinomialNB
from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor
from sklearn.preprocessing import StandardScaler

from contracts.datasets import DataSet, Target, from_arrays, outputs
from contracts.experiment_results import ExperimentResult
from contracts.experiments import ExperimentSpec, Folds, Recipe
from gpu_workers import arrays
from gpu_workers.errors import ExperimentFault
from gpu_workers.experiments.cells import CellCache
from gpu_workers.experiments.compute import Computation
from gpu_workers.experiments.prepare import prepare
from gpu_workers.experiments.splits import split

HOST = arrays.choose("numpy")
RAW = Recipe(scale="none")
Matrix = NDArray[np.float64]


def run(data: DataSet, spec: ExperimentSpec) -> ExperimentResult:
    (outcome,) = Computation(experiments=[prepare(spec, data, HOST)], arrays=HOST, cache=CellCache()).run()
    if isinstance(outcome, ExperimentFault):
        raise outcome
    assert outcome is not None
    return outcome


def experiment(data: DataSet, target: Target, family: str, **fields: Any) -> ExperimentSpec:
    metric = "rmse" if target in {"regression", "count"} else "log_loss"
    fields = {"metrics": (metric,), "recipe": RAW, "folds": Folds(count=3), "predictions": True, **fields}
    return ExperimentSpec(family=family, target=target, data=data, **fields)


def predicted(data: DataSet, spec: ExperimentSpec) -> list[list[Matrix]]:
    """Configuration → fold → predictions (rows held out, outputs)."""
    result = run(data, spec)
    found = result.predictions
    assert found is not None
    sizes = [len(rows) for rows in found.rows]
    values = np.frombuffer(found.values).reshape(-1, sum(sizes), found.outputs)
    return [np.split(each, np.cumsum(sizes)[:-1]) for each in values]


def table(seed: int, rows: int, columns: int, scale: float = 1.0, shift: float = 0.0) -> Matrix:
    rng = np.random.default_rng(seed)
    return rng.normal(size=(rows, columns)) * scale + shift


sizes = st.tuples(st.integers(12, 40), st.integers(1, 50))
scales = st.sampled_from([1e-6, 1.0, 1e6])


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 999), sizes, scales, st.booleans(), st.sampled_from(["none", "standard"]))
def test_ridge(
    seed: int, size: tuple[int, int], scale: float, intercept: bool, how: Literal["none", "standard"]
) -> None:
    x = table(seed, *size, scale, 3 * scale)
    y = x[:, 0] / scale + np.random.default_rng(seed).normal(size=size[0]) + 100
    data = from_arrays(x, y)
    alphas = (1e-3, 1.0, 1e3)
    weight = scale**2 if how == "none" else 1.0
    spec = experiment(
        data, "regression", "ridge", grid={"alpha": tuple(alpha * weight for alpha in alphas)},
        configurations=({"fit_intercept": intercept},), recipe=Recipe(scale=how),
    )  # fmt: skip
    found = predicted(data, spec)
    quick = run(data, ExperimentSpec(**{**fields(spec), "predictions": False}))
    for fold, rows in enumerate(split(data, spec.folds)):
        train, test = x[rows.train], x[rows.test]
        if how == "standard":
            scaler = StandardScaler().fit(train)
            train, test = scaler.transform(train), scaler.transform(test)
        for index, alpha in enumerate(alphas):
            peer = Peer(alpha=alpha * weight, fit_intercept=intercept, solver="svd").fit(train, y[rows.train])
            wanted = peer.predict(test)
            np.testing.assert_allclose(found[index][fold][:, 0], wanted, rtol=0, atol=1e-9 * np.abs(y).max())
            error = np.sqrt(((wanted - y[rows.test]) ** 2).mean())
            score = quick.scores["rmse"][index][0][fold]
            assert score == pytest.approx(error, rel=1e-7, abs=1e-9 * np.abs(y).max())


def fields(spec: ExperimentSpec) -> dict[str, Any]:
    return {name: getattr(spec, name) for name in spec.__struct_fields__}


def test_ridge_errors_hold_where_digits_are_lost() -> None:
    """A perfect fit, a column that is constant in a fold's training rows, and rows far from the others."""
    rng = np.random.default_rng(1)
    x = rng.normal(size=(60, 3))
    x[:, 1] = 0.0
    x[40:, 1] = 1e-3
    x[:40, 2] += 1e7
    y = 2 * x[:, 0] + 1e6
    data = from_arrays(x, y)
    folds = Folds(kind="k_fold", count=3, shuffle=False)
    recipe = Recipe(scale="none")
    spec = experiment(data, "regression", "ridge", grid={"alpha": (1e-9, 1.0)}, folds=folds, recipe=recipe)
    quick = run(data, ExperimentSpec(**{**fields(spec), "predictions": False}))
    for fold, rows in enumerate(split(data, folds)):
        for index, alpha in enumerate((1e-9, 1.0)):
            peer = Peer(alpha=alpha, solver="svd").fit(x[rows.train], y[rows.train])
            error = np.sqrt(((peer.predict(x[rows.test]) - y[rows.test]) ** 2).mean())
            assert quick.scores["rmse"][index][0][fold] == pytest.approx(error, rel=1e-4, abs=1e-6)


def test_ridge_without_a_penalty_takes_the_shortest_solution() -> None:
    x = table(3, 20, 4)
    x = np.concatenate([x, x[:, :2]], axis=1)
    y = x[:, 0] - x[:, 1]
    data = from_arrays(x, y)
    spec = experiment(data, "regression", "ridge", configurations=({"alpha": 0.0},))
    for fold, rows in enumerate(split(data, spec.folds)):
        np.testing.assert_allclose(predicted(data, spec)[0][fold][:, 0], y[rows.test], atol=1e-9)


def labels(seed: int, x: Matrix, classes: int) -> NDArray[Any]:
    rng = np.random.default_rng(seed + 1)
    scores = x[:, :1] * np.arange(classes) / np.abs(x).max() + rng.gumbel(size=(len(x), classes))
    found: NDArray[Any] = scores.argmax(axis=1)
    found[: 3 * classes] = np.arange(3 * classes) % classes
    return found


@settings(deadline=None, max_examples=15)
@given(st.integers(0, 999), sizes, st.integers(2, 4), st.booleans(), scales)
def test_logistic_is_scikit_learns_optimum(
    seed: int, size: tuple[int, int], classes: int, intercept: bool, scale: float
) -> None:
    x = table(seed, *size, scale, scale)
    y = labels(seed, x, classes)
    data = from_arrays(x, y)
    spec = experiment(
        data, "binary" if classes == 2 else "multiclass", "logistic", recipe=Recipe(scale="standard"),
        grid={"C": (0.01, 1.0, 100.0)}, configurations=({"fit_intercept": intercept},),
        folds=Folds(kind="stratified", count=3),
    )  # fmt: skip
    found = predicted(data, spec)
    for fold, rows in enumerate(split(data, spec.folds)):
        scaler = StandardScaler().fit(x[rows.train])
        for index, c in enumerate((0.01, 1.0, 100.0)):
            peer = LogisticRegression(
                C=c, fit_intercept=intercept, tol=1e-12, max_iter=20_000, solver="newton-cg"
            )
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # it says when it cannot come closer to the optimum
                peer.fit(scaler.transform(x[rows.train]), y[rows.train])
            wanted = peer.predict_proba(scaler.transform(x[rows.test]))
            np.testing.assert_allclose(
                found[index][fold], wanted[:, 1:] if classes == 2 else wanted, atol=2e-6
            )


def test_logistic_fits_each_label_alone() -> None:
    x = table(7, 60, 4)
    y = np.stack([labels(1, x, 2), labels(2, -x, 2)], axis=1)
    both = from_arrays(x, y)
    found = predicted(both, experiment(both, "multilabel", "logistic"))
    for column in range(2):
        data = from_arrays(x, y[:, column])
        alone = predicted(data, experiment(data, "binary", "logistic"))
        for fold in range(3):
            np.testing.assert_allclose(found[0][fold][:, [column]], alone[0][fold], atol=1e-9)


def test_a_class_that_no_training_row_has_gets_nothing() -> None:
    x = table(4, 30, 3)
    y = np.arange(30) % 2
    y[:10] = 2
    data = from_arrays(x, y)
    folds = Folds(shuffle=False, count=3)
    for family in ("logistic", "gaussian_naive_bayes", "bernoulli_naive_bayes", "neighbours"):
        found = predicted(data, experiment(data, "multiclass", family, folds=folds))[0][0]
        assert (found[:, 2] == 0).all(), family
        np.testing.assert_allclose(found.sum(axis=1), 1)


@settings(deadline=None, max_examples=10)
@given(st.integers(0, 999), sizes, st.integers(2, 4), scales)
def test_naive_bayes(seed: int, size: tuple[int, int], classes: int, scale: float) -> None:
    x = table(seed, *size, scale, scale)
    y = labels(seed, x, classes)
    counts = np.floor(np.abs(x) / scale * 3)
    peers: tuple[tuple[str, Matrix, str, Any], ...] = (
        ("gaussian_naive_bayes", x, "var_smoothing", GaussianNB),
        ("multinomial_naive_bayes", counts, "alpha", MultinomialNB),
        ("bernoulli_naive_bayes", x, "alpha", BernoulliNB),
    )
    for family, features, parameter, peer in peers:
        data = from_arrays(features, y)
        spec = experiment(
            data, "binary" if classes == 2 else "multiclass", family, grid={parameter: (0.5, 1e-3)},
            folds=Folds(kind="stratified", count=3),
        )  # fmt: skip
        found = predicted(data, spec)
        for fold, rows in enumerate(split(data, spec.folds)):
            for index, value in enumerate((0.5, 1e-3)):
                model = peer(**{parameter: value}).fit(features[rows.train], y[rows.train])
                wanted = model.predict_proba(features[rows.test])
                np.testing.assert_allclose(
                    found[index][fold], wanted[:, 1:] if classes == 2 else wanted, atol=1e-9, err_msg=family
                )


@settings(deadline=None, max_examples=10)
@given(st.integers(0, 999), sizes, scales)
def test_neighbours(seed: int, size: tuple[int, int], scale: float) -> None:
    x = table(seed, *size, scale, 5 * scale)
    x[1] = x[0]
    y = np.random.default_rng(seed).normal(size=size[0])
    y[1] = y[0]
    data = from_arrays(x, y)
    grid: dict[str, tuple[Any, ...]] = {"neighbours": (1, 3, 8), "weights": ("uniform", "distance")}
    spec = experiment(data, "regression", "neighbours", grid=grid)
    found = predicted(data, spec)
    for fold, rows in enumerate(split(data, spec.folds)):
        index = 0
        for count in (1, 3, 8):
            for weights in ("uniform", "distance"):
                peer = KNeighborsRegressor(count, weights=weights, algorithm="kd_tree")
                wanted = peer.fit(x[rows.train], y[rows.train]).predict(x[rows.test])
                np.testing.assert_allclose(found[index][fold][:, 0], wanted, atol=1e-8)
                index += 1


def test_neighbours_of_classes_and_of_many_equal_rows() -> None:
    rng = np.random.default_rng(5)
    x = rng.integers(0, 3, (200, 2)).astype(float)
    y = rng.integers(0, 3, 200)
    data = from_arrays(x, y)
    spec = experiment(data, "multiclass", "neighbours", configurations=({"neighbours": 4},))
    found = predicted(data, spec)
    for fold, rows in enumerate(split(data, spec.folds)):
        distances = ((x[rows.test][:, None] - x[rows.train]) ** 2).sum(axis=2)
        near = np.argsort(distances, axis=1, kind="stable")[:, :4]
        wanted = (y[rows.train][near][:, :, None] == np.arange(3)).mean(axis=1)
        np.testing.assert_allclose(found[0][fold], wanted)
    distinct = from_arrays(table(6, 90, 3), rng.integers(0, 3, 90))
    spec = experiment(distinct, "multiclass", "neighbours", configurations=({"neighbours": 7},))
    x, y = distinct.numbers(), distinct.targets()[:, 0].astype(int)
    for fold, rows in enumerate(split(distinct, spec.folds)):
        peer = KNeighborsClassifier(7).fit(x[rows.train], y[rows.train])
        np.testing.assert_allclose(predicted(distinct, spec)[0][fold], peer.predict_proba(x[rows.test]))
    assert outputs(distinct, "multiclass") == 3
