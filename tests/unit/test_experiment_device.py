"""Whole experiments on a device made of NumPy, which refuses what CuPy refuses, and on CuPy: scores as on the host."""

from typing import Any

import numpy as np
import pytest

from contracts.datasets import DataSet, from_arrays
from contracts.experiment_results import ExperimentResult
from contracts.experiments import ExperimentSpec, Folds, Recipe
from gpu_workers import arrays
from gpu_workers.arrays import Arrays
from gpu_workers.experiments.cells import CellCache
from gpu_workers.experiments.compute import Computation
from gpu_workers.experiments.prepare import prepare
from gpu_workers.testing import devices

HOST = arrays.choose("numpy")
RNG = np.random.default_rng(1)
X = RNG.normal(size=(40, 5))
GAPS = np.where(RNG.random(X.shape) < 0.2, np.nan, X)
WORDS = {"colour": [None, "red", "red", "blue"] * 10}
LABELS = RNG.integers(0, 3, 40)
NUMBERS = np.abs(X[:, 0] + RNG.normal(size=40))
WIDE = RNG.normal(size=(20, 30))


def on(library: Arrays, spec: ExperimentSpec, data: DataSet) -> ExperimentResult:
    (found,) = Computation(
        experiments=[prepare(spec, data, library)], arrays=library, cache=CellCache()
    ).run()
    assert isinstance(found, ExperimentResult), found
    return found


@pytest.mark.parametrize("device", devices(HOST), ids=lambda each: each.device)
@pytest.mark.parametrize(
    ("family", "target", "data", "fields"),
    [
        ("ridge", "regression", from_arrays(X, NUMBERS), {"grid": {"alpha": (1e-9, 1.0)}}),
        ("ridge", "regression", from_arrays(X, NUMBERS), {"recipe": Recipe(log1p_target=True)}),
        ("ridge", "regression", from_arrays(X, NUMBERS), {"metrics": ("rmse", "mae"), "predictions": True}),
        ("ridge", "regression", from_arrays(WIDE, NUMBERS[:20]), {"metrics": ("mae",)}),
        ("ridge", "count", from_arrays(GAPS, LABELS, categorical=WORDS), {"recipe": Recipe(impute="median")}),
        ("ridge", "count", from_arrays(GAPS, LABELS), {"recipe": Recipe(indicators=True, scale="minmax")}),
        ("logistic", "binary", from_arrays(WIDE, LABELS[:20] > 0), {"grid": {"C": (0.1, 1.0)}}),
        ("logistic", "multiclass", from_arrays(X, LABELS), {"predictions": True}),
        ("logistic", "multilabel", from_arrays(X, np.stack([LABELS > 0, X[:, 0] > 0], axis=1)), {}),
        ("gaussian_naive_bayes", "multiclass", from_arrays(X, LABELS), {}),
        (
            "multinomial_naive_bayes",
            "multiclass",
            from_arrays(abs(X), LABELS),
            {"recipe": Recipe(scale="none")},
        ),
        ("bernoulli_naive_bayes", "multiclass", from_arrays(X, LABELS), {}),
        ("neighbours", "regression", from_arrays(X, NUMBERS), {"grid": {"weights": ("uniform", "distance")}}),
    ],
)
def test_the_device_scores_as_the_host(
    family: str, target: Any, data: DataSet, fields: dict[str, Any], device: Arrays
) -> None:
    metric = "rmse" if target in {"regression", "count"} else "log_loss"
    values = {"metrics": (metric,), "folds": Folds(count=3), **fields}
    spec = ExperimentSpec(family=family, target=target, blob=data.hash, **values)
    host, there = on(HOST, spec, data), on(device, spec, data)
    assert there.provenance.library == "cupy"
    for name, scores in host.scores.items():
        np.testing.assert_allclose(np.array(there.scores[name]), np.array(scores), rtol=1e-9)
    if host.predictions is not None:
        assert there.predictions is not None
        mine, theirs = (np.frombuffer(each.predictions.values) for each in (host, there) if each.predictions)
        np.testing.assert_allclose(mine, theirs, rtol=1e-9)


def test_what_does_not_fit_into_the_device_is_halved_and_told() -> None:
    real = arrays.choose("")
    if real.name != "cupy":
        pytest.skip(f"no GPU: {arrays.describe()['reason']}")
    data = from_arrays(RNG.normal(size=(200, 50)), RNG.integers(0, 3, 200))
    own = {"hidden": (64,), "epochs": 2, "patience": 0, "precision": "double"}
    rates = tuple(np.geomspace(1e-3, 1e-2, 64).tolist())
    spec = ExperimentSpec(
        family="mlp", target="multiclass", blob=data.hash, metrics=("log_loss",), folds=Folds(count=3),
        configurations=(own,), grid={"rate": rates},
    )  # fmt: skip
    pool = real.xp.get_default_memory_pool()
    pool.free_all_blocks()
    pool.set_limit(size=16 * 2**20)
    try:
        found = on(real, spec, data)
    finally:
        pool.set_limit(fraction=arrays.POOL_SHARE)
    assert found.provenance.halvings[0].startswith("192 fits")
    host = np.array(on(HOST, spec, data).scores["log_loss"])
    np.testing.assert_allclose(np.array(found.scores["log_loss"]), host, rtol=1e-9)
