"""Families, metrics and stacking on a device made of NumPy, which refuses what CuPy refuses, and on CuPy."""

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from contracts.datasets import Target
from gpu_workers import arrays
from gpu_workers.arrays import Arrays
from gpu_workers.families import FAMILIES
from gpu_workers.families.testing import block, problem
from gpu_workers.metrics import METRICS, score
from gpu_workers.stacking import Candidates, blend, everything, stack_linear, stack_logistic
from gpu_workers.testing import devices

HOST = arrays.choose("numpy")
DEVICES = pytest.mark.parametrize("device", devices(HOST), ids=lambda each: each.device)
OWN: dict[str, dict[str, Any]] = {
    "mlp": {"epochs": 4, "batch": 9, "patience": 2, "hidden": (5, 3)},
    "boosted_trees": {"rounds": 3, "min_rows": 4, "subsample": 0.8},
    "deep_boosting": {"rounds": 2, "min_rows": 4},
    "nystroem": {"components": 9},
    "random_features": {"components": 9},
    "kernel_ridge": {},
}
TARGETS: list[Target] = ["regression", "binary", "multiclass", "multilabel", "count"]
CASES = [
    (name, target)
    for name in OWN
    for target in TARGETS
    if name != "kernel_ridge" or target in {"regression", "count"}
]
FOLDS = (np.arange(0, 30, 2), np.arange(1, 30, 2))


@DEVICES
@pytest.mark.parametrize(("name", "target"), CASES)
def test_families_predict_the_same_on_a_device(name: str, target: Target, device: Arrays) -> None:
    x, y = problem(target, 50, 3)
    found = []
    for library in (HOST, device):
        made = block(
            FAMILIES[name], x, y, target, tests=[range(9), range(9, 20)], seeds=("0", "1"),
            configurations=[OWN[name]], arrays=library,
        )  # fmt: skip
        found.append(library.get(FAMILIES[name].fit_predict(made)))
    assert found[1] == pytest.approx(found[0], rel=1e-4, abs=1e-5)


@DEVICES
@pytest.mark.parametrize("name", METRICS)
@pytest.mark.parametrize("padded", [False, True])
def test_metrics_are_the_same_on_a_device(name: str, padded: bool, device: Arrays) -> None:
    rng = np.random.default_rng(0)
    for target in METRICS[name].targets:
        k = 3 if target in {"multiclass", "multilabel"} else 1
        predictions = rng.integers(1, 9, (4, 20, k)) / 10
        truth: NDArray[Any] = rng.integers(0, max(k, 2), (4, 20))
        if target == "multilabel":
            truth = rng.integers(0, 2, (4, 20, k))
        weights = np.ones((4, 20))
        if padded:
            weights[:, 18:] = 0
            weights[3] = 0
        there = score(name, device.put(truth), device.put(predictions), device.put(weights), device)
        host = score(name, truth, predictions, weights, HOST)
        assert there == tuple(
            pytest.approx(each, rel=1e-12) if isinstance(each, float) else each for each in host
        )


@DEVICES
@pytest.mark.parametrize("target", ["binary", "multiclass", "multilabel"])
def test_stacking_is_the_same_on_a_device(target: Target, device: Arrays) -> None:
    rng = np.random.default_rng(1)
    k = 1 if target == "binary" else 3
    truth = rng.integers(0, 2, (30, k)) if target == "multilabel" else rng.integers(0, max(2, k), 30)
    predictions, fresh = rng.uniform(0.1, 0.9, (3, 30, k)), rng.uniform(0.1, 0.9, (3, 4, k))
    found = []
    for library in (HOST, device):
        put = library.put
        made = Candidates(
            arrays=library,
            target=target,
            truth=put(truth),
            predictions=put(predictions),
            folds=FOLDS,
            fresh=put(fresh),
        )
        some = everything(made)
        ways = (
            stack_linear(made, some, sum_to_one=True),
            blend(made, some, "log_loss", rounds=4),
            stack_logistic(made, some),
        )
        found += [
            np.concatenate([library.get(way.predictions), library.get(way.fresh)], axis=1) for way in ways
        ]
    for host, there in zip(found[:3], found[3:], strict=True):
        assert there == pytest.approx(host, rel=1e-9, abs=1e-9)
