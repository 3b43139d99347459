"""What an experiment may ask for, and what its id covers."""

from typing import Any

import msgspec
import numpy as np
import pytest

from contracts.datasets import DataSet, check_data, decode_data, encode_data, from_arrays, outputs
from contracts.experiments import (
    GPU_KIND,
    ExperimentSpec,
    Folds,
    Needs,
    Recipe,
    Split,
    check_spec,
    decode_spec,
    encode_spec,
    expand,
    experiment_id,
    job_kind,
)
from contracts.progress import Progress, decode_progress, encode_progress

DATA = from_arrays([[1.0, 2.0], [3.0, 4.0], [5.0, np.nan]], [0, 1, 0])


def spec(**fields: Any) -> ExperimentSpec:
    values = {"family": "ridge", "metrics": ("rmse",), "target": "regression", "data": DATA, **fields}
    return ExperimentSpec(**values)


def test_a_specification_comes_back_from_its_bytes() -> None:
    asked = spec(
        configurations=({"alpha": 1.0},), grid={"fit_intercept": (True, False)}, recipe=Recipe(log1p_target=True),
        folds=Folds(kind="given", given=(Split(test=(0,), train=(1, 2)),)), seeds=("a", "b"), needs=Needs(gpu=True),
    )  # fmt: skip
    assert decode_spec(encode_spec(asked)) == asked
    assert job_kind(asked) == GPU_KIND
    assert decode_progress(encode_progress(Progress(job="j", done=1))) == Progress(job="j", done=1)


def test_the_id_covers_what_determines_the_result_and_nothing_else() -> None:
    first = spec(grid={"alpha": (1.0, 2.0)})
    same = (
        spec(configurations=({"alpha": 1.0}, {"alpha": 2.0})),
        spec(grid={"alpha": (1.0, 2.0)}, data=None, blob=DATA.hash),
        spec(grid={"alpha": (1.0, 2.0)}, needs=Needs(gpu=True, memory=5)),
    )
    assert {experiment_id(each) for each in same} == {experiment_id(first)}
    others = (
        spec(grid={"alpha": (2.0, 1.0)}),
        spec(grid={"alpha": (1.0, 2.0)}, seeds=("1",)),
        spec(grid={"alpha": (1.0, 2.0)}, metrics=("mae",)),
        spec(grid={"alpha": (1.0, 2.0)}, folds=Folds(seed="1")),
        spec(grid={"alpha": (1.0, 2.0)}, recipe=Recipe(scale="none")),
        spec(grid={"alpha": (1.0, 2.0)}, predictions=True),
        spec(grid={"alpha": (1.0, 2.0)}, data=from_arrays([[1.0], [2.0]], [0, 1])),
    )
    assert len({experiment_id(each) for each in (first, *others)}) == 1 + len(others)


def test_a_grid_is_combined_with_every_configuration() -> None:
    asked = spec(configurations=({"c": 0}, {"c": 1}), grid={"b": (1, 2), "a": (3,)})
    assert list(expand(asked)) == [
        {"c": 0, "a": 3, "b": 1},
        {"c": 0, "a": 3, "b": 2},
        {"c": 1, "a": 3, "b": 1},
        {"c": 1, "a": 3, "b": 2},
    ]


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"kernel": 2}, "version 2 of the arithmetic"),
        ({"blob": "0" * 64}, "names its data once"),
        ({"data": None}, "names its data once"),
        ({"data": None, "blob": "xyz"}, "no SHA-256"),
        ({"data": from_arrays(np.zeros((70_000, 1)), np.zeros(70_000))}, "put it into the ledger"),
        ({"metrics": ()}, "`metrics` is empty"),
        ({"metrics": ("rmse", "rmse")}, "'rmse' twice"),
        ({"seeds": ()}, "`seeds` is empty"),
        ({"configurations": ()}, "`configurations` is empty"),
        ({"grid": {"alpha": ()}}, "`grid.alpha` is empty"),
        ({"grid": {"alpha": (1,)}, "configurations": ({"alpha": 2},)}, "in `grid` and in `configurations`"),
        ({"folds": Folds(count=1)}, "at least 2 folds"),
        ({"folds": Folds(repeats=0)}, "1 or more"),
        ({"folds": Folds(repeats=2, shuffle=False)}, "repeats differ only if"),
        ({"folds": Folds(kind="stratified")}, "use k_fold"),
        ({"folds": Folds(kind="given")}, "list at least one split"),
        ({"folds": Folds(kind="given", count=3, given=(Split(test=(0,)),))}, "leave out"),
        ({"folds": Folds(given=(Split(test=(0,)),))}, "goes with kind"),
        ({"recipe": Recipe(log1p_target=True), "target": "binary"}, "regression and count"),
        ({"needs": Needs(memory=-1)}, "number of bytes"),
        ({"grid": {"a": tuple(range(2000)), "b": tuple(range(600))}}, "make several of it"),
    ],
)
def test_what_is_wrong_is_told(fields: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        check_spec(spec(**fields))


def test_a_data_set_comes_back_from_its_bytes_and_has_one_hash() -> None:
    words = {"colour": ["red", None, "blue"]}
    data = from_arrays(DATA.numbers(), [0, 1, 0], categorical=words, groups=[1, 1, 2], classes=("no", "yes"))
    again = decode_data(encode_data(data))
    assert again == data
    assert again.hash == data.hash != DATA.hash
    assert again.levels == (("blue", "red"),)
    assert again.codes()[:, 0].tolist() == [1, -1, 0]
    assert outputs(data, "binary") == 1
    assert outputs(data, "multiclass") == 2


@pytest.mark.parametrize(
    ("data", "target", "words"),
    [
        (from_arrays([[1.0]], [1.0]), "regression", "1 row; an experiment needs at least 2"),
        (from_arrays(np.zeros((2, 0)), [1.0, 2.0]), "regression", "no features"),
        (from_arrays([[1.0], [np.inf]], [1.0, 2.0]), "regression", "x0 is infinite in row 1"),
        (from_arrays([[1.0], [-1e150]], [1.0, 2.0]), "regression", "x0 is -1e\\+150 in row 1; its square"),
        (from_arrays([[1.0], [2.0]], [1.0, 1e150]), "regression", "in row 1; give it in another unit"),
        (from_arrays([[1.0], [2.0]], [1.0, np.nan]), "regression", "target is nan in row 1"),
        (from_arrays([[1.0], [2.0]], [1.0, 2.0]), "binary", "is 2 in row 1; a binary target is 0 or 1"),
        (from_arrays([[1.0], [2.0]], [0.5, 1.0]), "multiclass", "an index from 0"),
        (from_arrays([[1.0], [2.0]], [0, 2], classes=("a", "b")), "multiclass", "there are 2 classes"),
        (from_arrays([[1.0], [2.0]], [-1, 2]), "count", "a whole number from 0"),
        (from_arrays([[1.0], [2.0]], [[0, 1], [1, 0]]), "regression", "one column; the data set has 2"),
        (from_arrays([[1.0], [2.0]], [[0, 3], [1, 0]]), "multilabel", "target1 is 3 in row 0"),
        (msgspec.structs.replace(DATA, target=b""), "binary", "target has 0 bytes; 3 rows make 24"),
    ],
)
def test_what_is_wrong_with_data_is_told(data: DataSet, target: Any, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        check_data(data, target)
