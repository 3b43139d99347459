"""Splits and recipes: what scikit-learn makes of the same, fold by fold, and nothing learnt from rows held out."""

from typing import Any, Literal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.model_selection import KFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, MinMaxScaler, OneHotEncoder, StandardScaler

from contracts.datasets import DataSet, from_arrays
from contracts.experiments import Folds, Recipe, Split
from gpu_workers import arrays
from gpu_workers.experiments.recipe import Prepared
from gpu_workers.experiments.splits import Fold, shuffled, split

HOST = arrays.choose("numpy")
COLOURS = ("blue", "green", "red")


def data_set(seed: int, rows: int, *, gaps: bool = True) -> DataSet:
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(rows, 4)) * [1, 1e6, 1e-6, 0] + [0, 1e6, 0, 7]
    if gaps:
        x[rng.random(x.shape) < 0.2] = np.nan
        x[: rows // 2, 0] = np.nan
    colours = [COLOURS[i] if i < 3 else None for i in rng.integers(0, 4, rows)]
    return from_arrays(
        x, rng.integers(0, 3, rows), categorical={"colour": colours},
        groups=rng.integers(0, max(4, rows // 3), rows),
    )  # fmt: skip


def weights(folds: tuple[Fold, ...], rows: int) -> NDArray[np.float64]:
    found = np.zeros((len(folds), rows))
    for index, fold in enumerate(folds):
        found[index, fold.train] = 1
    return found


@settings(deadline=None, max_examples=12)
@given(
    st.integers(0, 999),
    st.integers(8, 30),
    st.booleans(),
    st.sampled_from(["mean", "median", "zero"]),
    st.sampled_from(["standard", "minmax", "none"]),
)
def test_features_are_those_of_scikit_learn(
    seed: int, rows: int, gaps: bool, impute: Any, scale: Any
) -> None:
    data = data_set(seed, rows, gaps=gaps)
    folds = split(data, Folds(count=3))
    prepared = Prepared(data=data, recipe=Recipe(impute=impute, scale=scale), arrays=HOST)
    found = prepared.features(weights(folds, rows))
    x = data.numbers()
    colours = np.array([word or "none" for word in words(data)], dtype=object)
    scalers = {"standard": StandardScaler(), "minmax": MinMaxScaler(), "none": FunctionTransformer()}
    strategy = {"mean": "mean", "median": "median", "zero": "constant"}[impute]
    imputer = SimpleImputer(strategy=strategy, fill_value=0.0, keep_empty_features=True)
    present = [np.unique(colours[fold.train]) for fold in folds]
    for fold, levels, features in zip(folds, present, found, strict=True):
        peer = ColumnTransformer(
            [
                ("numbers", make_pipeline(imputer, scalers[scale]), [0, 1, 2, 3]),
                (
                    "words",
                    OneHotEncoder(categories=[COLOURS], handle_unknown="ignore", sparse_output=False),
                    [4],
                ),
            ]
        )
        table = np.concatenate([x.astype(object), colours[:, None]], axis=1)
        wanted = np.asarray(peer.fit(table[fold.train]).transform(table), dtype=float)
        wanted[:, 4:] *= [level in levels for level in COLOURS]
        wanted = wanted[:, [*range(4), *(4 + COLOURS.index(level) for level in data.levels[0])]]
        np.testing.assert_allclose(features, wanted, rtol=1e-9, atol=1e-9 * max(1, np.abs(wanted).max()))


def test_rows_held_out_teach_nothing() -> None:
    data = data_set(3, 20)
    folds = split(data, Folds(count=4))
    train = weights(folds, 20)
    recipe = Recipe(indicators=True)
    found = Prepared(data=data, recipe=recipe, arrays=HOST).features(train)
    other = data.numbers().copy()
    other[folds[0].test] = np.where(np.isnan(other[folds[0].test]), np.nan, 1e9)
    changed = from_arrays(other, data.targets()[:, 0], categorical={"colour": words(data)})
    after = Prepared(data=changed, recipe=recipe, arrays=HOST).features(train)
    np.testing.assert_array_equal(found[0][folds[0].train], after[0][folds[0].train])


def words(data: DataSet) -> list[str | None]:
    return [data.levels[0][code] if code >= 0 else None for code in data.codes()[:, 0]]


def test_gaps_that_nothing_fills_are_an_error_that_names_them() -> None:
    data = data_set(1, 10)
    with pytest.raises(ValueError, match="column x0 has no value in row 0"):
        Prepared(data=data, recipe=Recipe(impute="none"), arrays=HOST).check()
    only_words = from_arrays(np.zeros((2, 0)), [0, 1], categorical={"a": ["x", "y"]})
    with pytest.raises(ValueError, match="leaves no column"):
        Prepared(data=only_words, recipe=Recipe(one_hot=False), arrays=HOST).check()
    low = from_arrays([[1.0], [2.0]], [-1.0, 2.0])
    with pytest.raises(ValueError, match="row 0 has -1"):
        _ = Prepared(data=low, recipe=Recipe(log1p_target=True), arrays=HOST).target


kinds = st.sampled_from(["k_fold", "stratified", "grouped"])


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 999), st.integers(8, 40), kinds, st.integers(2, 4), st.integers(1, 3))
def test_every_row_is_held_out_once_in_every_repeat(
    seed: int, rows: int, kind: Literal["k_fold", "stratified", "grouped"], count: int, repeats: int
) -> None:
    data = data_set(seed, rows)
    groups = data.group_codes()
    assert groups is not None
    if len(np.unique(groups)) < count:
        return
    folds = split(data, Folds(kind=kind, count=count, repeats=repeats, seed=str(seed)))
    assert len(folds) == count * repeats
    for repeat in range(repeats):
        some = folds[repeat * count : (repeat + 1) * count]
        assert sorted(np.concatenate([fold.test for fold in some]).tolist()) == list(range(rows))
        for fold in some:
            assert sorted([*fold.train, *fold.test]) == list(range(rows))
            assert len(fold.test)
            if kind == "grouped":
                assert not set(groups[fold.train]) & set(groups[fold.test])
        labels = data.targets()[:, 0].astype(int)
        if kind == "stratified":
            shares = np.array([np.bincount(labels[fold.test], minlength=3) for fold in some])
            assert (shares.max(axis=0) - shares.min(axis=0)).max() <= 1


def test_folds_without_shuffling_are_scikit_learns() -> None:
    data = data_set(1, 23)
    found = split(data, Folds(count=5, shuffle=False))
    for fold, (train, test) in zip(found, KFold(5).split(np.zeros(23)), strict=True):
        np.testing.assert_array_equal(fold.train, train)
        np.testing.assert_array_equal(fold.test, test)


def test_the_order_follows_from_the_key_for_ever() -> None:
    assert shuffled(8, "a", 0).tolist() == [2, 4, 7, 6, 3, 1, 5, 0]
    assert shuffled(8, "a", 1).tolist() != shuffled(8, "a", 0).tolist()


@pytest.mark.parametrize(
    ("folds", "words"),
    [
        (Folds(count=11), "11 folds of 10 rows"),
        (Folds(kind="given", given=(Split(test=()),)), "given fold 0 holds no row out"),
        (Folds(kind="given", given=(Split(test=(1, 10)),)), "names row 10 in `test`"),
        (Folds(kind="given", given=(Split(test=(1, 1)),)), "a row twice"),
        (Folds(kind="given", given=(Split(test=(1,), train=(1, 2)),)), "row 1 in `train` and in `test`"),
        (Folds(kind="given", given=(Split(test=tuple(range(10))),)), "leaves no row to fit to"),
    ],
)
def test_folds_that_cannot_be_are_told(folds: Folds, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        split(data_set(1, 10), folds)
    with pytest.raises(ValueError, match="rows have groups"):
        split(from_arrays([[1.0], [2.0]], [0, 1]), Folds(kind="grouped", count=2))
