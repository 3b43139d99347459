"""All families through a whole experiment: what they say of themselves, and what they predict."""

from typing import Any

import numpy as np
import pytest

from contracts.datasets import Target, from_arrays
from contracts.experiment_results import ExperimentResult
from contracts.experiments import ExperimentSpec, Folds
from gpu_workers import arrays
from gpu_workers.errors import ExperimentFault
from gpu_workers.experiments.cells import CellCache
from gpu_workers.experiments.compute import Computation
from gpu_workers.experiments.planner import Shape, plan
from gpu_workers.experiments.prepare import prepare
from gpu_workers.families import FAMILIES
from gpu_workers.families.family import Family
from gpu_workers.families.testing import problem

HOST = arrays.choose("numpy")
QUICK: dict[str, dict[str, Any]] = {
    "mlp": {"epochs": 30, "rate": 0.01, "batch": 20},
    "boosted_trees": {"rounds": 20, "min_rows": 5},
    "deep_boosting": {"rounds": 5, "min_rows": 5},
    "nystroem": {"components": 20},
    "random_features": {"components": 60, "gamma": 0.05},
    "kernel_ridge": {"gamma": 0.05},
}
METRICS = {
    "regression": "rmse",
    "count": "rmse",
    "binary": "auc",
    "multiclass": "log_loss",
    "multilabel": "column_auc",
}
CASES: list[tuple[str, Target]] = [
    (name, target)  # type: ignore[misc]
    for name in QUICK
    for target in METRICS
    if name != "kernel_ridge" or target in {"regression", "count"}
]


def run(name: str, target: Target, seeds: tuple[str, ...] = ("0",)) -> ExperimentResult:
    x, y = problem(target, 90, 4)
    data = from_arrays(x, y)
    spec = ExperimentSpec(
        family=name, target=target, data=data, metrics=(METRICS[target],), configurations=(QUICK[name],),
        folds=Folds(count=3), seeds=seeds,
    )  # fmt: skip
    (found,) = Computation(experiments=[prepare(spec, data, HOST)], arrays=HOST, cache=CellCache()).run()
    if isinstance(found, ExperimentFault):
        raise found
    assert found is not None
    return found


@pytest.mark.parametrize(("name", "target"), CASES)
def test_a_family_learns_and_repeats_itself(name: str, target: Target) -> None:
    found = run(name, target, ("0", "1"))
    (summary,) = found.summaries
    assert summary.defined == 6
    assert summary.mean is not None
    limit = {"rmse": None, "auc": 0.8, "column_auc": 0.75, "log_loss": 1.05}[METRICS[target]]
    if limit is None:
        assert summary.mean < problem(target, 90, 4)[1].std()
    else:
        assert summary.mean > limit if METRICS[target] != "log_loss" else summary.mean < limit
    again = run(name, target, ("0", "1"))
    assert np.array(again.scores[METRICS[target]]) == pytest.approx(
        np.array(found.scores[METRICS[target]]), rel=1e-9
    )


def test_luck_follows_from_the_seed() -> None:
    for name in ("mlp", "nystroem", "random_features"):
        found = run(name, "regression", ("0", "1")).scores["rmse"][0]
        assert run(name, "regression", ("1",)).scores["rmse"][0][0] == pytest.approx(found[1], rel=1e-4)
        assert found[0] != found[1]


def test_the_result_names_who_fitted_in_our_place() -> None:
    (solver,) = run("deep_boosting", "binary").provenance.solvers
    assert solver.startswith("scikit-learn ")
    assert not run("boosted_trees", "binary").provenance.solvers


def refusal(family: Family, target: Target) -> str:
    try:
        family.check({}, target)
    except ValueError as error:
        return str(error)
    return ""


def test_every_family_has_a_name_and_defaults_that_are_allowed() -> None:
    targets: list[Target] = ["regression", "binary", "multiclass", "multilabel", "count"]
    for name, family in FAMILIES.items():
        assert family.name == name
        refusals = [refusal(family, target) for target in targets]
        assert "" in refusals
        assert all(" predicts " in why for why in refusals if why)
        assert isinstance(family.bucket(dict(family.defaults)), tuple)
        assert family.memory(100, 5, 1, 20, 3, family.defaults) > 0


def test_penalties_that_share_a_decomposition_stay_together_whatever_the_budget() -> None:
    family = FAMILIES["kernel_ridge"]
    configurations = [{**family.defaults, "alpha": alpha} for alpha in np.geomspace(0.01, 10, 30).tolist()]
    members = np.array([(c, 0, fold) for c in range(30) for fold in range(5)])
    shape = Shape(family=family, rows=4000, columns=20, outputs=1, held_out=800, budget=1 << 26)
    batches, cuts = plan(members, configurations, shape)
    assert (len(batches), cuts) == (1, 0)
    assert batches[0].memory > shape.budget
