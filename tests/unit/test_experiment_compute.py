"""Packing: whatever is stacked, cut, halved, shared or remembered, the scores are those of a job alone."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bus import traces
from contracts.datasets import DataSet, from_arrays
from contracts.experiment_results import ExperimentResult
from contracts.experiments import ExperimentSpec, Folds, Recipe, Split
from gpu_workers import arrays
from gpu_workers.errors import ExperimentFault, Interrupted
from gpu_workers.experiments.cells import CellCache
from gpu_workers.experiments.compute import Computation, Report
from gpu_workers.experiments.planner import Shape, halve, plan
from gpu_workers.experiments.prepare import prepare
from gpu_workers.families import FAMILIES

HOST = arrays.choose("numpy")


def table(rows: int = 40) -> DataSet:
    rng = np.random.default_rng(1)
    x = rng.normal(size=(rows, 3))
    return from_arrays(x, (x[:, 0] + rng.normal(size=rows) > 0).astype(int))


def spec(family: str = "logistic", **fields: Any) -> ExperimentSpec:
    grids: dict[str, dict[str, tuple[Any, ...]]] = {
        "logistic": {"C": (0.1, 1.0, 10.0)},
        "neighbours": {"neighbours": (1, 2, 5)},
        "gaussian_naive_bayes": {"var_smoothing": (1e-9, 0.1)},
    }
    values = {
        "data": table(), "metrics": ("log_loss", "accuracy"), "folds": Folds(count=4), "target": "binary",
        "grid": grids.get(family, {}), **fields,
    }  # fmt: skip
    return ExperimentSpec(family=family, **values)


def run(*specs: ExperimentSpec, cache: CellCache | None = None, **options: Any) -> list[Any]:
    experiments = [prepare(each, each.data or table(), HOST) for each in specs]
    return Computation(experiments=experiments, arrays=HOST, cache=cache or CellCache(), **options).run()


def alone(asked: ExperimentSpec, **options: Any) -> ExperimentResult:
    (found,) = run(asked, **options)
    assert isinstance(found, ExperimentResult), found
    return found


def same(one: ExperimentResult, other: ExperimentResult) -> None:
    assert one.configurations == other.configurations
    assert one.undefined == other.undefined
    for metric, scores in one.scores.items():
        mine, theirs = np.array(scores, dtype=float), np.array(other.scores[metric], dtype=float)
        np.testing.assert_allclose(mine, theirs, rtol=1e-9, atol=1e-12)


families = st.sampled_from(["logistic", "neighbours", "gaussian_naive_bayes"])


@settings(deadline=None, max_examples=12)
@given(families, st.integers(1, 200_000), st.integers(1, 3))
def test_a_job_in_pieces_or_in_company_scores_as_alone(family: str, budget: int, repeats: int) -> None:
    asked = spec(family, folds=Folds(count=4, repeats=repeats))
    wanted = alone(asked)
    same(alone(asked, budget=budget), wanted)
    others = [spec(family, folds=Folds(count=3)), spec(family, metrics=("auc",), predictions=True), asked]
    together = run(*others, budget=budget)
    same(together[2], wanted)
    same(together[0], alone(others[0]))
    assert together[2].provenance.together == 3


def test_an_experiment_of_several_cells_is_cut_to_fit() -> None:
    found = alone(spec(), budget=20_000)
    assert found.provenance.splits > 0
    assert found.provenance.batches > 1
    assert found.provenance.memory <= 20_000 or found.provenance.batches == 12


class Cramped:
    """NumPy with little memory: no array of zeros may have more than so many numbers."""

    def __init__(self, most: int) -> None:
        self.most = most

    def __getattr__(self, name: str) -> Any:
        return getattr(np, name)

    def zeros(self, shape: tuple[int, ...], **options: Any) -> Any:
        if np.prod(shape) > self.most:
            raise MemoryError
        return np.zeros(shape, **options)


def cramped(most: int) -> Any:
    library = replace(HOST, xp=Cramped(most))
    asked = spec(recipe=Recipe(scale="none"))
    experiment = prepare(asked, table(), library)
    return Computation(experiments=[experiment], arrays=library, cache=CellCache()).run()[0]


def test_what_runs_out_of_memory_is_halved_and_told() -> None:
    found = cramped(4 * 4)  # 4 coefficients of 4 members
    same(found, alone(spec(recipe=Recipe(scale="none"))))
    assert found.provenance.halvings[0].startswith("12 fits")
    assert found.provenance.batches == 4


def test_a_fit_that_does_not_come_to_its_end_is_told_as_such() -> None:
    found = alone(spec(grid={"max_iter": (1,), "C": (1.0, 1000.0)}, metrics=("log_loss",)))
    (gap,) = found.undefined
    assert "the fit did not come to its end" in gap.reason
    assert (gap.cells, gap.configuration, gap.configurations) == (8, 0, 2)


def test_one_fit_that_finds_no_room_is_a_typed_fault() -> None:
    found = cramped(3)
    assert isinstance(found, ExperimentFault)
    assert found.kind == "memory"
    assert "single fit of logistic to 40 rows" in found.reason


def test_a_refused_fit_does_not_harm_its_company() -> None:
    greedy = spec("neighbours", grid={"neighbours": (31,)})
    bad, good = run(greedy, spec("neighbours"))
    assert isinstance(bad, ExperimentFault)
    assert (bad.kind, "neighbours is 31" in bad.reason) == ("refused", True)
    same(good, alone(spec("neighbours")))


def test_known_cells_are_not_fitted_again() -> None:
    cache = CellCache()
    alone(spec(grid={"C": (0.1, 1.0)}), cache=cache)
    found = alone(spec(), cache=cache)
    assert found.provenance.reused == 8
    same(found, alone(spec()))
    repeated = alone(spec(predictions=True), cache=cache)  # predictions were not kept before
    assert repeated.provenance.reused == 0
    assert alone(spec(predictions=True), cache=cache).predictions == repeated.predictions
    assert alone(spec(recipe=Recipe(scale="none")), cache=cache).provenance.reused == 0


def test_the_cache_forgets_what_was_not_asked_for_the_longest() -> None:
    cache = CellCache(limit=10_000)
    for name in "abcd":
        cache.keep(name, {"rmse": {str(index): 1.0 for index in range(10)}}, {})
    assert cache.held <= 10_000
    assert cache.problem("d").scores
    assert not cache.problem("a").scores


def test_a_family_without_luck_is_fitted_once_for_all_seeds() -> None:
    found = alone(spec(seeds=("a", "b", "c")))
    for rows in found.scores["log_loss"]:
        assert rows[0] == rows[1] == rows[2]
    assert found.summaries[0].defined == 12
    assert alone(spec()).provenance.kernels[1].bytes == found.provenance.kernels[1].bytes


def test_scores_that_do_not_exist_say_why() -> None:
    rng = np.random.default_rng(1)
    data = from_arrays(rng.normal(size=(20, 2)), [0] * 10 + [1] * 10)
    found = alone(spec(data=data, metrics=("auc", "log_loss"), folds=Folds(count=2, shuffle=False)))
    assert found.scores["auc"] == (((None, None),),) * 3
    assert [(gap.metric, gap.cells) for gap in found.undefined] == [("auc", 6)]
    assert (found.summaries[0].mean, found.summaries[0].defined) == (None, 0)
    huge = from_arrays(np.ones((20, 1)), np.full(20, 800.0))
    grown = spec(
        "ridge", data=huge, target="regression", metrics=("rmse",), grid={}, recipe=Recipe(log1p_target=True)
    )
    assert alone(grown).undefined == ()


@pytest.mark.parametrize("rows", [2, 3])
def test_the_smallest_data_there_is(rows: int) -> None:
    data = from_arrays(np.ones((rows, 1)), np.arange(rows) % 2)
    found = alone(spec(data=data, folds=Folds(count=2)))
    assert all(score is not None for score in found.scores["log_loss"][0][0])
    ridge = spec("ridge", data=data, target="regression", metrics=("rmse",), grid={}, folds=Folds(count=rows))
    assert all(score is not None for score in alone(ridge).scores["rmse"][0][0])


def test_given_folds_may_leave_rows_out() -> None:
    data = from_arrays(np.arange(12.0).reshape(6, 2), np.arange(6.0))
    folds = Folds(kind="given", given=(Split(test=(0,), train=(1, 2, 3)), Split(test=(5, 4))))
    for metrics in (("rmse",), ("rmse", "mae")):
        asked = spec(
            "ridge", data=data, target="regression", metrics=metrics, grid={"alpha": (1.0,)}, folds=folds
        )
        scores = alone(asked).scores["rmse"][0][0]
        for fold, (train, test) in enumerate([([1, 2, 3], [0]), ([0, 1, 2, 3], [4, 5])]):
            x, y = data.numbers(), data.targets()[:, 0]
            scaled = (x - x[train].mean(axis=0)) / x[train].std(axis=0)
            moments = scaled[train].T @ scaled[train] + np.eye(2)
            slope = np.linalg.solve(moments, scaled[train].T @ (y[train] - y[train].mean()))
            error = np.sqrt(((scaled[test] @ slope + y[train].mean() - y[test]) ** 2).mean())
            assert scores[fold] == pytest.approx(error, rel=1e-9)


def test_it_ends_when_told_and_leaves_out_what_nobody_wants() -> None:
    def stop() -> None:
        raise Interrupted

    with pytest.raises(Interrupted):
        run(spec(), checkpoint=stop)
    first, second = run(spec(), spec(folds=Folds(count=2)), wanted=lambda index: index == 1, budget=1)
    assert first is None
    same(second, alone(spec(folds=Folds(count=2))))


def test_progress_and_profile_add_up() -> None:
    reports: list[Report] = []
    found = alone(spec(), listen=reports.append)
    assert (reports[0].done, reports[-1].done, reports[-1].total) == (0, 12, 12)
    kernels = {kernel.name: kernel for kernel in found.provenance.kernels}
    assert set(kernels) == {"recipe", "fit logistic", "score log_loss", "score accuracy"}
    assert all(kernel.fraction > 0 and kernel.bytes and kernel.calls for kernel in kernels.values())
    assert found.provenance.bandwidth > 1e8
    assert found.provenance.rate > 1e7


def test_kernels_are_spans() -> None:
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

    exporter = InMemorySpanExporter()
    traces.configure("test", exporter)
    try:
        with traces.span("batch"):
            alone(spec())
    finally:
        traces.shutdown()
    spans = {span.name: span for span in exporter.get_finished_spans()}
    fit = spans["kernel fit logistic"]
    assert fit.attributes is not None
    assert fit.attributes["ratchet.kernel.bytes"]
    assert fit.parent is not None
    assert fit.parent.span_id == spans["batch"].context.span_id


@settings(deadline=None, max_examples=40)
@given(st.integers(1, 6), st.integers(1, 4), st.integers(1, 5), st.integers(1, 100_000), st.integers(1, 3))
def test_a_plan_holds_every_fit_once_and_fits(c: int, s: int, f: int, budget: int, together: int) -> None:
    members = np.argwhere(np.ones((c, s, f), dtype=bool))
    configurations: list[Mapping[str, Any]] = [
        {**FAMILIES["logistic"].defaults, "fit_intercept": index % 2 == 0} for index in range(c)
    ]
    shape = Shape(
        family=FAMILIES["logistic"],
        rows=20,
        columns=2,
        outputs=1,
        held_out=5,
        budget=budget,
        together=together,
    )
    batches, cuts = plan(members, configurations, shape)
    found = np.concatenate([batch.members for batch in batches])
    assert sorted(map(tuple, found.tolist())) == sorted(map(tuple, members.tolist()))
    assert cuts == len(batches) - len({index % 2 for index in range(c)})
    for batch in batches:
        assert batch.memory <= budget or len(batch.members) == 1
        assert len({index % 2 for index in batch.members[:, 0].tolist()}) == 1


def test_halves_keep_folds_together() -> None:
    members = np.argwhere(np.ones((2, 1, 4), dtype=bool))
    first, second = halve(members, 1)
    assert (set(first[:, 2]), set(second[:, 2])) == ({0, 1}, {2, 3})
    first, second = halve(members, 4)
    assert (set(first[:, 0]), set(second[:, 0])) == ({0}, {1})
    with pytest.raises(ValueError, match="cannot be halved"):
        halve(members[:1])


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"family": "forest"}, "no family is called forest; there are ridge"),
        ({"metrics": ("roc",)}, "no metric is called roc; there are rmse"),
        ({"metrics": ("rmse",)}, "rmse does not fit a binary target; these do: log_loss"),
        ({"family": "ridge"}, "ridge predicts regression and count targets, not binary"),
        ({"grid": {"D": (1,)}}, "logistic has no parameter D; it has C"),
        ({"grid": {"C": (0,)}}, "C is 0; it is a number above 0"),
        ({"grid": {"C": ("1",)}}, "C is '1'"),
        ({"grid": {"max_iter": (1.5,)}}, "max_iter is 1.5; it is a whole number"),
        ({"grid": {"fit_intercept": (1,)}}, "fit_intercept is 1; it is one of True, False"),
        ({"configurations": ({}, {"C": 1.0}), "grid": {}}, "asked for twice, defaults filled in"),
        ({"family": "neighbours", "grid": {"weights": ("near",)}}, "it is one of uniform, distance"),
    ],
)
def test_what_cannot_be_computed_is_refused_before_anything_is(fields: dict[str, Any], words: str) -> None:
    asked = spec(**{"grid": {}, **fields})
    with pytest.raises(ValueError, match=words):
        prepare(asked, table(), HOST)


@pytest.mark.parametrize("scale", ["none", "standard", "minmax"])
@pytest.mark.parametrize("family", sorted(FAMILIES))
def test_awkward_data_gives_scores_or_reasons(family: str, scale: Any) -> None:
    rng = np.random.default_rng(1)
    x = rng.normal(size=(24, 1))
    target: Any = "regression" if family in {"ridge", "kernel_ridge"} else "binary"
    metric = "rmse" if target == "regression" else "log_loss"
    tables = {
        "constant": np.ones((24, 2)),
        "zero": np.zeros((24, 1)),
        "huge": 1e90 * x,
        "tiny": 1e-200 * x,
        "far": x + 1e12,
        "equal rows": np.repeat(x[:2], 12, axis=0),
        "wide": rng.normal(size=(24, 60)),
    }
    for name, table in tables.items():
        data = from_arrays(np.abs(table) if family == "multinomial_naive_bayes" else table, np.arange(24) % 2)
        asked = spec(
            family, data=data, target=target, metrics=(metric,), grid={}, folds=Folds(count=2),
            recipe=Recipe(scale=scale),
        )  # fmt: skip
        (found,) = run(asked)
        if isinstance(found, ExperimentFault):
            assert found.kind == "refused", name
            continue
        for score in found.scores[metric][0][0]:
            assert score is None or np.isfinite(score), name
        missing = sum(score is None for score in found.scores[metric][0][0])
        assert sum(gap.cells for gap in found.undefined) == missing, name
