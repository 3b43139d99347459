"""Experiments of several families, and stacks of what they predict: cross-fitted, packed, and told with weights."""

from dataclasses import replace
from typing import Any

import msgspec
import numpy as np
import pytest
from scipy.optimize import nnls

from agents.cli.scores import show
from contracts.datasets import DataSet, from_arrays
from contracts.experiment_results import ExperimentResult, StackResult, decode_result, encode_result
from contracts.experiments import Entry, ExperimentSpec, Folds, Split, check_spec, experiment_id
from contracts.stacks import Stacking
from gpu_workers import arrays
from gpu_workers.errors import ExperimentFault, Interrupted
from gpu_workers.experiments.cells import CellCache
from gpu_workers.experiments.compute import Report
from gpu_workers.experiments.ensembles import Ensembles, prepare_all
from gpu_workers.testing import devices

HOST = arrays.choose("numpy")
FAMILIES = (
    Entry(family="ridge", grid={"alpha": (0.1, 10.0, 1000.0)}),
    Entry(family="neighbours", configurations=({"neighbours": 2}, {"neighbours": 6})),
)


def table(rows: int = 60, target: str = "regression") -> DataSet:
    rng = np.random.default_rng(1)
    x = rng.normal(size=(rows, 3))
    y: Any = x[:, 0] + np.abs(x[:, 1]) + 0.3 * rng.normal(size=rows)
    if target == "multiclass":
        y = np.digitize(y, np.quantile(y, (0.33, 0.66)))
    if target == "binary":
        y = (y > np.median(y)).astype(int)
    return from_arrays(x, y)


def spec(**fields: Any) -> ExperimentSpec:
    values = {
        "families": FAMILIES, "metrics": ("rmse", "mae"), "target": "regression", "data": table(),
        "folds": Folds(count=3, repeats=2), "stacks": (Stacking(),), **fields,
    }  # fmt: skip
    return ExperimentSpec(**values)


def classes(**fields: Any) -> ExperimentSpec:
    entries = (Entry(family="logistic", grid={"C": (0.1, 1.0)}), Entry(family="gaussian_naive_bayes"))
    given = {"families": entries, "target": "multiclass", "data": table(target="multiclass"), **fields}
    return spec(**{"metrics": ("log_loss", "accuracy"), **given})


def run(*specs: ExperimentSpec, library: Any = HOST, cache: CellCache | None = None, **options: Any) -> Any:
    ensembles = [prepare_all(each, each.data or table(), library) for each in specs]
    return Ensembles(ensembles=ensembles, arrays=library, cache=cache or CellCache(), **options).run()


def alone(asked: ExperimentSpec, **options: Any) -> ExperimentResult:
    (found,) = run(asked, **options)
    assert isinstance(found, ExperimentResult), found
    return found


def values(found: ExperimentResult) -> Any:
    """(configurations, seeds, rows held out, outputs)."""
    assert found.predictions is not None
    rows = sum(map(len, found.predictions.rows))
    shape = (len(found.configurations), len(found.seeds), rows, found.predictions.outputs)
    return np.frombuffer(found.predictions.values).reshape(shape)


def stacked(found: ExperimentResult, number: int = 0) -> Any:
    return np.frombuffer(found.stacks[number].predictions).reshape(values(found).shape[1:])


def same(one: StackResult, other: StackResult) -> None:
    assert one.members == other.members
    for metric, scores in one.scores.items():
        np.testing.assert_allclose(np.array(scores), np.array(other.scores[metric]), rtol=1e-7)
    for mine, theirs in zip(one.weights, other.weights, strict=True):
        for left, right in zip(mine, theirs, strict=True):
            np.testing.assert_allclose(left, right, atol=1e-6)


def test_several_families_score_as_each_alone() -> None:
    found = alone(spec(stacks=(), predictions=True))
    assert found.families == ("ridge",) * 3 + ("neighbours",) * 2
    assert [each.configuration for each in found.summaries] == [0, 1, 2, 3, 4] * 2
    start = 0
    for entry in FAMILIES:
        one = alone(spec(
            families=(), stacks=(), family=entry.family, configurations=entry.configurations, grid=entry.grid,
            predictions=True,
        ))  # fmt: skip
        stop = start + len(one.configurations)
        assert found.configurations[start:stop] == one.configurations
        mine, theirs = (np.array(each.scores["rmse"], dtype=float) for each in (found, one))
        np.testing.assert_allclose(mine[start:stop], theirs, rtol=1e-12)
        np.testing.assert_allclose(values(found)[start:stop], values(one), rtol=1e-12)
        start = stop


def test_a_linear_stack_is_least_squares_on_the_other_folds() -> None:
    found = alone(spec(predictions=True))
    (stack,) = found.stacks
    held_out = found.predictions.rows if found.predictions else ()
    truth = table().targets()[:, 0]
    predicted, made = values(found)[:, 0, :, 0], stacked(found)[0, :, 0]
    starts = np.cumsum([0, *map(len, held_out)])
    for fold, rows in enumerate(held_out):
        repeat = fold // 3
        others = [each for each in range(3 * repeat, 3 * repeat + 3) if each != fold]
        places = np.concatenate([np.arange(starts[each], starts[each + 1]) for each in others])
        learnt = np.concatenate([held_out[each] for each in others])
        weights, _ = nnls(predicted[:, places].T, truth[learnt])
        own = slice(starts[fold], starts[fold + 1])
        np.testing.assert_allclose(made[own], weights @ predicted[:, own], atol=1e-6)
        error = np.sqrt(np.mean((made[own] - truth[list(rows)]) ** 2))
        assert stack.scores["rmse"][0][fold] == pytest.approx(error)
    weights, _ = nnls(predicted[:, : starts[3]].T, truth[np.concatenate(held_out[:3])])
    np.testing.assert_allclose(stack.weights[0][0], weights, atol=1e-6)
    assert [each.configuration for each in stack.summaries] == [5, 5]
    best = min(each.mean for each in found.summaries if each.metric == "rmse" and each.mean is not None)
    assert stack.summaries[0].mean is not None
    assert stack.summaries[0].mean < best


def test_the_best_are_chosen_on_the_other_folds() -> None:
    asked = spec(stacks=(Stacking(best=1), Stacking(), Stacking(best=9)), predictions=True)
    found = alone(asked)
    scores = np.array(found.scores["rmse"])[:, 0]
    assert found.stacks[1].members[0][0] == tuple(range(len(scores)))
    same(found.stacks[2], found.stacks[1])  # no more than there are
    for repeat in range(2):
        span = slice(3 * repeat, 3 * repeat + 3)
        assert found.stacks[0].members[0][repeat] == (int(scores[:, span].mean(axis=1).argmin()),)
    rows = [len(each) for each in found.predictions.rows] if found.predictions else []
    starts = np.cumsum([0, *rows])
    for fold in range(6):
        others = [each for each in range(fold // 3 * 3, fold // 3 * 3 + 3) if each != fold]
        chosen = int(scores[:, others].mean(axis=1).argmin())
        own = slice(starts[fold], starts[fold + 1])
        ratio = stacked(found)[0, own, 0] / values(found)[chosen, 0, own, 0]
        np.testing.assert_allclose(ratio, ratio[0])


@pytest.mark.parametrize("target", ["binary", "multiclass"])
def test_stacks_of_classes_give_probabilities(target: Any) -> None:
    stages = (Stacking(), Stacking(method="logistic", penalty=2.0), Stacking(method="blend", rounds=10))
    found = alone(classes(target=target, data=table(target=target), stacks=stages, predictions=True))
    for number, stack in enumerate(found.stacks):
        assert not stack.undefined
        made = stacked(found, number)
        assert ((made >= 0) & (made <= 1)).all()
        if target == "multiclass":
            np.testing.assert_allclose(made.sum(axis=-1), 1.0)
        assert bool(stack.weights) == (stack.stage.method != "logistic")
        for repeat in stack.weights[0] if stack.weights else ():
            assert sum(repeat) == pytest.approx(1.0)
    kernels = {kernel.name for kernel in found.provenance.kernels}
    assert {"stack linear", "stack logistic", "stack blend", "fit logistic"} <= kernels


def test_seeds_are_stacked_one_by_one_and_luckless_ones_once() -> None:
    entries = (Entry(family="ridge"), Entry(family="random_features", configurations=({"components": 5},)))
    found = alone(spec(families=entries, seeds=("a", "b")))
    first, second = found.stacks[0].scores["rmse"]
    assert first != second
    one = alone(spec(families=entries, seeds=("b",)))
    (again,) = one.stacks[0].scores["rmse"]
    np.testing.assert_allclose(np.array(second, dtype=float), np.array(again, dtype=float), rtol=1e-9)
    twice = alone(spec(seeds=("a", "b")))
    assert twice.stacks[0].scores["rmse"][0] == twice.stacks[0].scores["rmse"][1]
    assert len(twice.stacks[0].members) == 2


def test_fits_are_shared_with_other_jobs_and_progress_adds_up() -> None:
    cache, reports = CellCache(), list[Report]()
    ridge = spec(families=(), stacks=(), family="ridge", grid={"alpha": (0.1, 10.0)}, predictions=True)
    plain, found = run(ridge, spec(), cache=cache, listen=reports.append)
    assert found.provenance.together == 2
    same(found.stacks[0], alone(spec()).stacks[0])
    assert plain.stacks == ()
    assert found.predictions is None
    last = [each for each in reports if each.index == 1][-1]
    assert (last.done, last.total) == (5 * 6 + 6, 5 * 6 + 6)
    assert alone(spec(), cache=cache).provenance.reused == 5 * 6
    assert decode_result(encode_result(found)) == found


def test_little_memory_cuts_subsets_and_changes_nothing() -> None:
    asked = spec(stacks=(Stacking(best=2), Stacking(best=3), Stacking(method="blend", best=2, rounds=8)))
    wanted = alone(asked)
    tight = alone(asked, library=replace(HOST, held_bytes=20_000))
    assert tight.provenance.splits > wanted.provenance.splits
    for one, other in zip(tight.stacks, wanted.stacks, strict=True):
        same(one, other)


class Cramped:
    """NumPy that has no room for stacks of more than so many problems."""

    def __init__(self, most: int) -> None:
        self.most = most

    def __getattr__(self, name: str) -> Any:
        return getattr(np, name)

    def diagonal(self, matrix: Any, **options: Any) -> Any:
        if len(matrix) > self.most:
            raise MemoryError
        return np.diagonal(matrix, **options)


def test_a_call_without_room_is_halved_and_a_single_one_is_a_failure() -> None:
    asked = spec(stacks=(Stacking(best=1), Stacking(best=2)), folds=Folds(count=3))
    wanted = alone(asked)
    found = alone(asked, library=replace(HOST, xp=Cramped(4)))
    for one, other in zip(found.stacks, wanted.stacks, strict=True):
        same(one, other)
    assert wanted.provenance.halvings == ()
    assert "subsets of a linear stack" in found.provenance.halvings[0]
    (failed,) = run(asked, library=replace(HOST, xp=Cramped(0)))
    assert isinstance(failed, ExperimentFault)
    assert failed.kind == "memory"
    assert "set `best`" in failed.reason


def test_configurations_that_failed_are_left_out_and_told() -> None:
    cut_short = {"max_iter": 1, "C": 1e4}
    entries = (Entry(family="logistic", configurations=({}, cut_short)), Entry(family="gaussian_naive_bayes"))
    found = alone(classes(families=entries, folds=Folds(count=3)))
    assert found.scores["accuracy"][1] == ((None,) * 3,)
    assert found.stacks[0].left_out == (1,)
    assert found.stacks[0].members == (((0, 2),),)
    assert found.stacks[0].undefined == ()
    both = (cut_short, {**cut_short, "C": 1e5})
    none = alone(classes(families=(Entry(family="logistic", configurations=both),), folds=Folds(count=3)))
    assert none.stacks[0].scores["accuracy"] == ((None,) * 3,)
    assert none.stacks[0].undefined[0].reason == "no configuration has finite predictions for all rows"


def test_scores_that_do_not_exist_say_why() -> None:
    entries = (Entry(family="logistic"), Entry(family="gaussian_naive_bayes"))
    data = from_arrays(np.random.default_rng(1).normal(size=(20, 2)), [0] * 10 + [1] * 10)
    found = alone(classes(
        families=entries, target="binary", data=data, metrics=("auc", "log_loss"),
        folds=Folds(count=2, shuffle=False), stacks=(Stacking(), Stacking(method="blend")),
    ))  # fmt: skip
    linear, blended = found.stacks
    assert linear.scores["auc"] == ((None, None),)
    assert [(gap.metric, gap.cells, gap.configuration) for gap in linear.undefined] == [("auc", 2, 2)]
    assert {gap.reason for gap in blended.undefined} == {
        "none of the candidates that are looked at has a defined auc on all parts of the rows; take another metric"
    }
    assert blended.members == (((),),)


def growing(**fields: Any) -> ExperimentSpec:
    """Ridge foretells growth better than neighbours do, but for the first fold, where it falls below 0."""
    rows = np.arange(60.0)
    entries = (Entry(family="ridge", grid={"alpha": (1e-6,)}), Entry(family="neighbours"))
    given = {
        "families": entries,
        "target": "count",
        "data": from_arrays(rows[:, None], np.maximum(rows - 15, 1)),
    }
    return spec(**given, metrics=("poisson_deviance",), folds=Folds(count=3, shuffle=False), **fields)


def test_what_is_wrong_with_one_stack_costs_the_others_nothing() -> None:
    both = (Stacking(method="blend", rounds=5), Stacking(method="blend", rounds=5, best=1))
    found = alone(growing(stacks=both))
    assert found.scores["poisson_deviance"][0][0][0] is None
    ridge, neighbours = (each.mean for each in found.summaries)
    assert ridge is not None
    assert neighbours is not None
    assert ridge < neighbours
    whole, best = found.stacks
    assert [gap.cells for gap in whole.undefined] == [1]  # the first fold, foretold by what the others taught
    assert [gap.cells for gap in best.undefined] == [3]  # it takes ridge for the first fold, by the other two
    single = alone(growing(stacks=both[:1])).stacks[0]
    one, other = (np.array(each.scores["poisson_deviance"], dtype=float) for each in (whole, single))
    np.testing.assert_allclose(one, other)


def test_a_mean_over_fewer_folds_is_not_the_best(capsys: pytest.CaptureFixture[str]) -> None:
    asked = growing(stacks=(Stacking(best=1),))
    found = alone(asked)
    assert found.stacks[0].members == (((1,),),)
    show(asked, found, 5)
    said = capsys.readouterr()
    lines = [line.split() for line in said.out.splitlines()]
    assert [line[:2] for line in lines[1:3]] == [["1", "neighbours"], ["0", "ridge"]]
    assert "(2 of 3)" in said.out
    assert "poisson_deviance of configuration 0 (ridge) is undefined once" in said.err


def test_it_ends_when_told_and_the_same_on_a_device() -> None:
    def stop() -> None:
        raise Interrupted

    with pytest.raises(Interrupted):
        run(spec(), checkpoint=stop)
    assert run(spec(), wanted=lambda _: False) == [None]
    for asked in (spec(), classes(stacks=(Stacking(method="logistic"), Stacking(method="blend", rounds=5)))):
        for library in devices(HOST):
            for one, other in zip(alone(asked, library=library).stacks, alone(asked).stacks, strict=True):
                same(one, other)


def test_awkward_data_gives_scores_or_reasons() -> None:
    rng = np.random.default_rng(1)
    x, y = rng.normal(size=(12, 2)), rng.normal(size=12)
    tables = {
        "constant": (x, np.ones(12)), "zero": (np.zeros((12, 2)), np.zeros(12)), "huge": (x, 1e90 * y),
        "tiny": (x, 1e-200 * y), "far": (x, y + 1e12), "two rows": (x[:2], y[:2]),
    }  # fmt: skip
    stages = (Stacking(), Stacking(best=1), Stacking(method="blend", rounds=5))
    entries = (
        Entry(family="ridge", grid={"alpha": (1.0, 2.0)}),
        Entry(family="neighbours", configurations=({"neighbours": 1},)),
    )
    for name, (features, target) in tables.items():
        data = from_arrays(features, target)
        found = alone(spec(data=data, stacks=stages, families=entries, folds=Folds(count=2)))
        for stack in found.stacks:
            for metric, (scores,) in stack.scores.items():
                missing = sum(gap.cells for gap in stack.undefined if gap.metric == metric)
                assert sum(score is None for score in scores) == missing, name
                assert all(score is None or np.isfinite(score) for score in scores), name


def test_the_id_covers_families_and_stacks_and_is_what_it_was_without() -> None:
    data = from_arrays([[1.0], [2.0], [3.0]], [1.0, 2.0, 3.0])
    old = ExperimentSpec(
        family="ridge", metrics=("rmse",), target="regression", data=data, grid={"alpha": (1.0, 2.0)}
    )
    # Computed before there were families and stacks.
    assert experiment_id(old) == "dc4fac9240b305872a7f9a5e41d8699b45a90bfc780f6a207ae458e15da052a0"
    first = spec()
    grid = Entry(family="ridge", configurations=tuple({"alpha": each} for each in (0.1, 10.0, 1000.0)))
    assert experiment_id(spec(families=(grid, FAMILIES[1]))) == experiment_id(first)
    others = (
        spec(families=FAMILIES[::-1]), spec(families=FAMILIES[:1]), spec(stacks=()), spec(stacks=(Stacking(best=2),)),
        msgspec.structs.replace(old, stacks=(Stacking(),)),
    )  # fmt: skip
    assert len({experiment_id(each) for each in (first, old, *others)}) == 2 + len(others)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"family": "ridge"}, "one `family`, or several `families`"),
        ({"families": ()}, "one `family`, or several `families`"),
        ({"grid": {"alpha": (1,)}}, "stand in each of them"),
        ({"families": (FAMILIES[0], FAMILIES[0])}, "`families` has ridge twice"),
        ({"families": (Entry(family="ridge", configurations=()),)}, "ridge: `configurations` is empty"),
        ({"families": (Entry(family="ridge", grid={"alpha": ()}),)}, "`ridge: grid.alpha` is empty"),
        ({"families": (Entry(family="ridge"),)}, "one configuration only, and nothing to stack"),
        ({"stacks": (Stacking(), Stacking())}, "`stacks` has .* twice"),
        ({"stacks": (Stacking(best=-1),)}, "stack 0: `best` is -1"),
        ({"stacks": (Stacking(method="logistic"),)}, "logistic stacking is for classes"),
        ({"stacks": (Stacking(method="blend", rounds=0),)}, "`rounds` is 0"),
        ({"stacks": (Stacking(method="blend", penalty=2.0),)}, "`penalty` goes with logistic, not with blend"),
        ({"stacks": (Stacking(penalty=float("nan")),)}, "`penalty` is nan"),
        ({"stacks": (Stacking(rounds=3),)}, "`rounds` goes with blend"),
        ({"families": (Entry(family="ridge", grid={"alpha": tuple(range(1, 1002))}),)}, "set `best`"),
        ({"folds": Folds(kind="given", given=(Split(test=(0, 1)), Split(test=(1, 2))))}, "every row out once"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_told(fields: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        check_spec(spec(**fields))


def test_what_only_the_data_tells_is_told_too() -> None:
    given = Folds(kind="given", given=(Split(test=(0, 1)), Split(test=(2, 3))))
    with pytest.raises(ValueError, match="holds 4 of 60 rows out"):
        prepare_all(spec(folds=given), table(), HOST)
    with pytest.raises(ValueError, match="forest"):
        prepare_all(spec(families=(*FAMILIES, Entry(family="forest"))), table(), HOST)
    (failed,) = run(classes(families=(Entry(family="logistic"), Entry(family="multinomial_naive_bayes"))))
    assert isinstance(failed, ExperimentFault)
    assert failed.reason.startswith("multinomial_naive_bayes: ")
