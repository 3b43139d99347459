"""Boosted trees against scikit-learn's and plain ones, and the deep ones that scikit-learn fits in our place."""

from collections.abc import Mapping
from fractions import Fraction
from importlib.metadata import PackageNotFoundError
from math import ceil
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from threadpoolctl import threadpool_limits

from contracts.datasets import Target
from gpu_workers import arrays
from gpu_workers.experiments.block import Block
from gpu_workers.families.bins import Table, thresholds
from gpu_workers.families.boosting import BoostedTrees
from gpu_workers.families.deep_boosting import DeepBoosting
from gpu_workers.families.luck import uniforms
from gpu_workers.families.testing import block, one, problem

HOST = arrays.choose("numpy")
BOOSTED, DEEP = BoostedTrees(), DeepBoosting()
TARGETS: list[Target] = ["regression", "binary", "multiclass", "multilabel", "count"]
TESTS = [range(12), range(12, 35), range(40, 50)]


def scikit_learn(made: Block, member: int) -> NDArray[Any]:
    """What scikit-learn's histogram boosting predicts for the rows held out."""
    c, fold = made.configurations[member], int(made.fold[member])
    train, held = made.train[fold] > 0, made.test[fold]
    x, y = made.x[fold], made.y
    common = {
        "learning_rate": c["rate"], "max_iter": c["rounds"], "max_depth": c["depth"], "max_leaf_nodes": c.get("leaves"),
        "min_samples_leaf": c["min_rows"], "l2_regularization": c["l2"], "max_bins": c["bins"],
        "early_stopping": False,
    }  # fmt: skip
    if made.target in {"regression", "count"}:
        loss = "poisson" if made.target == "count" else "squared_error"
        peer = HistGradientBoostingRegressor(loss=loss, **common).fit(x[train], y[train])
        return np.asarray(peer.predict(x[held]))[:, None]
    if made.target == "multilabel":
        found = [
            HistGradientBoostingClassifier(**common).fit(x[train], column[train]).predict_proba(x[held])[:, 1]
            for column in y.T
        ]
        return np.stack(found, axis=1)
    chances = HistGradientBoostingClassifier(**common).fit(x[train], y[train]).predict_proba(x[held])
    return np.asarray(chances[:, 1:] if made.target == "binary" else chances)


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("depth", [1, 3])
def test_equals_scikit_learn(target: Target, depth: int) -> None:
    # Few values, so that cuts do not tie: which of equal ones scikit-learn takes is a matter of its rounding.
    x, y = problem(target, 400, 4)
    made = block(
        BOOSTED, np.round(x), y, target, tests=TESTS,
        configurations=[
            {"depth": depth, "rounds": 12, "bins": 255, "l2": l2, "min_rows": rows, "rate": 0.2}
            for l2, rows in ((0.0, 20), (3.0, 40))
        ],
    )  # fmt: skip
    found = BOOSTED.fit_predict(made)
    for member in range(0, len(found), 2):
        real = made.tested[made.fold[member]] > 0
        with threadpool_limits(1):
            wanted = scikit_learn(made, member)[real]
        # Scikit-learn keeps gradients in single precision.
        assert found[member][real] == pytest.approx(wanted, rel=2e-4, abs=2e-5)


def plain_tree(
    x: NDArray[Any],
    g: NDArray[Any],
    h: NDArray[Any],
    cuts: list[NDArray[Any]],
    c: Mapping[str, Any],
    depth: int,
) -> Any:
    """A function that predicts one row: one node after the other, one cut after the other."""
    best, found = 0.0, None
    for column, edges in enumerate(cuts if depth else []):
        for edge in edges:
            left = x[:, column] <= edge
            parts = [(g[side].sum(), h[side].sum(), side.sum()) for side in (left, ~left)]
            if any(count < c["min_rows"] or curve < 1e-3 for _, curve, count in parts):
                continue
            gain = sum(slope**2 / (curve + c["l2"]) for slope, curve, _ in parts) - g.sum() ** 2 / (
                h.sum() + c["l2"]
            )
            if gain > best * (1 + 1e-7) + 1e-12:
                best, found = gain, (column, edge, left)
    if found is None:
        value = -c["rate"] * g.sum() / (h.sum() + c["l2"] + 1e-15)
        return lambda _: value
    column, edge, left = found
    sides = [plain_tree(x[side], g[side], h[side], cuts, c, depth - 1) for side in (left, ~left)]
    return lambda row: sides[0](row) if row[column] <= edge else sides[1](row)


def plain(made: Block, member: int) -> NDArray[Any]:
    c, fold = made.configurations[member], int(made.fold[member])
    rows = np.flatnonzero(made.train[fold] > 0)
    x, y = made.x[fold], made.y.astype(float)
    if made.target == "multiclass":
        y = np.eye(made.outputs)[made.y]
    y = y.reshape(len(x), made.outputs)
    mean = y[rows].mean(axis=0)
    if made.target in {"binary", "multilabel"}:
        start = np.log(mean / (1 - mean))
    else:
        start = mean if made.target == "regression" else np.log(mean)
    scores = np.tile(start, (len(x), 1))

    def linked(f: NDArray[Any]) -> NDArray[Any]:
        if made.target == "regression":
            return f
        if made.target == "multiclass":
            return np.asarray(np.exp(f) / np.exp(f).sum(axis=1, keepdims=True))
        return np.asarray(np.exp(f) if made.target == "count" else 1 / (1 + np.exp(-f)))

    cuts = [thresholds(np.sort(x[rows, column]), c["bins"]) for column in range(x.shape[1])]
    for number in range(1, c["rounds"] + 1):
        p = linked(scores)
        g = p - y
        h = np.ones_like(p) if made.target == "regression" else (p if made.target == "count" else p * (1 - p))
        luck = (
            uniforms(len(x), made.seeds[member], "rows", number) if c["subsample"] < 1 else np.zeros(len(x))
        )
        some = rows[luck[rows] < c["subsample"]]
        for k in range(made.outputs):
            tree = plain_tree(x[some], g[some, k], h[some, k], cuts, c, c["depth"])
            scores[:, k] += [tree(row) for row in x]
    return np.asarray(linked(scores)[made.test[fold]])


@pytest.mark.parametrize("target", TARGETS)
@settings(max_examples=3, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), depth=st.integers(1, 2), bins=st.integers(2, 9))
def test_equals_plain_trees(target: Target, seed: int, depth: int, bins: int) -> None:
    x, y = problem(target, 60, 2, seed=seed)
    made = block(
        BOOSTED, x, y, target, tests=TESTS, seeds=("a", "b"),
        configurations=[
            {"depth": depth, "rounds": 3, "bins": bins, "min_rows": 3, "subsample": share, "l2": 1.0}
            for share in (1.0, 0.6)
        ],
    )  # fmt: skip
    found = BOOSTED.fit_predict(made)
    for member in (1, 8, 11):
        assert found[member] == pytest.approx(plain(made, member), rel=1e-5, abs=1e-7)


@pytest.mark.parametrize("target", TARGETS)
def test_a_member_predicts_the_same_alone_and_in_company_and_in_passing(target: Target) -> None:
    x, y = problem(target, 90, 5)
    made = block(
        BOOSTED, x, y, target, tests=TESTS, seeds=("0", "1"),
        configurations=[
            {"rounds": rounds, "rate": rate, "min_rows": 4, "subsample": share}
            for rounds in (3, 8) for rate in (0.1, 0.5) for share in (0.7, 1.0)
        ],
    )  # fmt: skip
    found = BOOSTED.fit_predict(made)
    for member in (0, 10, 21, 30, len(found) - 1):
        assert found[member] == pytest.approx(BOOSTED.fit_predict(one(made, member))[0], rel=1e-9, abs=1e-12)
    small = Block(
        **{**vars(made), "arrays": arrays.Arrays(**{**vars(HOST), "block_bytes": 4000, "held_bytes": 1})}
    )
    assert BOOSTED.fit_predict(small) == pytest.approx(found, rel=1e-9, abs=1e-12)


@settings(max_examples=50, deadline=None)
@given(
    st.lists(
        st.sampled_from([-1e300, -2.0, -1e-300, 0.0, 5e-324, 1.0, 1.0 + 2**-52, 7.0, 1e308]),
        min_size=1,
        max_size=60,
    ),
    st.integers(2, 12),
)
def test_bins_keep_distinct_values_apart_and_are_quantiles_otherwise(values: list[float], bins: int) -> None:
    column = np.sort(np.array(values))
    cuts = thresholds(column, bins)
    assert (np.diff(cuts) > 0).all()
    distinct = np.unique(column)
    if len(distinct) <= bins:
        assert len(np.unique(np.searchsorted(cuts, distinct))) == len(distinct)
    else:
        places = [Fraction(len(column) * number, bins) for number in range(1, bins)]
        wanted = np.unique([quantile(column, place) for place in places])
        assert np.array_equal(cuts, wanted)


def quantile(column: NDArray[Any], place: Fraction) -> float:
    if place.denominator == 1:
        return float(column[int(place) - 1] / 2 + column[int(place)] / 2)
    return float(column[ceil(place) - 1])


def test_bins_are_the_quantiles_of_numpy() -> None:
    column = np.sort(np.random.default_rng(0).normal(size=1000))
    wanted = np.percentile(column, np.arange(1, 16) / 16 * 100, method="averaged_inverted_cdf")
    assert thresholds(column, 16) == pytest.approx(wanted, rel=1e-15)


def test_histograms_in_parts_are_the_same() -> None:
    x = np.random.default_rng(0).normal(size=(50, 4))
    values = np.random.default_rng(1).integers(-9, 9, (2, 3, 50)).astype(float)
    whole = Table.of(HOST, x, x[:5], 8)
    small = arrays.Arrays(**{**vars(HOST), "block_bytes": 500, "held_bytes": 0})
    parts = Table.of(small, x, x[:5], 8)
    assert whole.dense is not None
    assert parts.dense is None
    assert np.array_equal(whole.sums(values), parts.sums(values))
    assert whole.sums(values)[0, 0, 0] == values[0, 0][x[:, 0] <= thresholds(np.sort(x[:, 0]), 8)[0]].sum()


@pytest.mark.parametrize("target", TARGETS)
def test_data_without_a_split_predicts_what_is_usual(target: Target) -> None:
    x, y = problem(target, 12, 1, k=2)
    usual = BOOSTED.fit_predict(
        block(BOOSTED, np.full_like(x, 3.0), y, target, tests=[[0, 5], range(11)], configurations=[{"min_rows": 1}],
              outputs=2 if target in {"multiclass", "multilabel"} else 1)
    )  # fmt: skip
    assert np.isfinite(usual).all()
    if target in {"regression", "count"}:
        assert usual[0, 0, 0] == pytest.approx(np.delete(y, [0, 5]).mean())


@pytest.mark.parametrize("scale", [1e-200, 1e200])
def test_scales_of_features_and_of_a_target_do_not_matter(scale: float) -> None:
    x, y = problem("regression", 60, 3)
    found = [
        BOOSTED.fit_predict(block(BOOSTED, x * unit, y * unit, "regression", tests=[range(20)]))
        for unit in (1.0, scale)
    ]
    assert found[1] / scale == pytest.approx(found[0], rel=1e-6)


@pytest.mark.parametrize(
    ("configuration", "why"),
    [
        ({"depth": 7}, "deeper than 6 are fitted by deep_boosting"),
        ({"depth": 0}, "a whole number from 1 to 6"),
        ({"rounds": 1.5}, "rounds is 1.5"),
        ({"bins": 1}, "from 2 to 255"),
        ({"rate": 0.0}, "a number above 0 to 1"),
        ({"subsample": 1.5}, "a number above 0 to 1"),
        ({"leaves": 31}, "no parameter leaves"),
    ],
)
def test_bad_parameters_are_named(configuration: Mapping[str, Any], why: str) -> None:
    with pytest.raises(ValueError, match=why):
        BOOSTED.check(configuration, "binary")


def test_the_planner_can_ask_what_a_block_takes() -> None:
    c = BOOSTED.defaults
    assert (
        BOOSTED.memory(1000, 20, 3, 100, 500, c) > BOOSTED.memory(1000, 20, 3, 100, 1, c) > 9 * 1000 * 20 * 31
    )
    assert (
        BOOSTED.bucket({**c, "rounds": 3, "rate": 0.5})
        == BOOSTED.bucket(c)
        != BOOSTED.bucket({**c, "depth": 2})
    )


# Deep boosting


@pytest.mark.parametrize("target", TARGETS)
def test_deep_boosting_is_scikit_learns(target: Target) -> None:
    x, y = problem(target, 80, 4)
    made = block(
        DEEP, x, y, target, tests=TESTS, seeds=("0", "1"),
        configurations=[{"depth": 5, "leaves": None, "rounds": 5, "min_rows": 4}],
    )  # fmt: skip
    found = DEEP.fit_predict(made)
    for member in (0, 4):
        real = made.tested[made.fold[member]] > 0
        with threadpool_limits(1):
            wanted = scikit_learn(made, member)[real]
        assert found[member][real] == pytest.approx(wanted, rel=1e-12)
    assert DEEP.solver.startswith("scikit-learn ")


@pytest.mark.parametrize("target", TARGETS)
def test_deep_boosting_of_training_rows_of_one_class(target: Target) -> None:
    x, y = problem(target, 40, 2)
    y = np.zeros_like(y)
    y[:5] = 1
    k = 3 if target in {"multiclass", "multilabel"} else 1
    made = block(DEEP, x, y, target, tests=[range(10)], configurations=[{"rounds": 2}], outputs=k)
    found = DEEP.fit_predict(made)
    wanted = np.zeros((1, 10, k))
    wanted[:, :, 0] = target == "multiclass"
    assert found == pytest.approx(wanted, abs=1e-12)


def test_deep_boosting_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> str:
        raise PackageNotFoundError(name)

    monkeypatch.setattr("gpu_workers.families.deep_boosting.version", missing)
    with pytest.raises(ValueError, match=r"pip install 'ratchet-harness\[experiments\]'"):
        DEEP.check({}, "binary")


@pytest.mark.parametrize(
    ("configuration", "why"),
    [
        ({"depth": 0}, "depth is 0"),
        ({"leaves": 1}, "leaves is 1"),
        ({"features": 0.0}, "a number above 0 to 1"),
        ({"bins": 256}, "from 2 to 255"),
        ({"subsample": 0.5}, "no parameter subsample"),
    ],
)
def test_bad_parameters_of_deep_boosting_are_named(configuration: Mapping[str, Any], why: str) -> None:
    DEEP.check({"depth": None, "leaves": None}, "binary")
    with pytest.raises(ValueError, match=why):
        DEEP.check(configuration, "binary")


def test_counts_that_share_a_number_with_curvatures_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    x, y = problem("binary", 90, 4)
    made = block(BOOSTED, x, y, "binary", tests=TESTS, configurations=[{"rounds": 5, "min_rows": 4}])
    together = BOOSTED.fit_predict(made)
    monkeypatch.setattr("gpu_workers.families.trees._LEAST_BITS", 99)
    assert np.array_equal(BOOSTED.fit_predict(made), together)
