"""How fast experiments are: ridge regression beside scikit-learn's grid search, and what the bus costs a tiny job.

Every peer runs in the same process on the same folds, in turns with ours, and has to find the same scores. Ours
includes splitting, preparing features, scoring and putting the result together. With a GPU, the same is measured
there; the floors beside it are estimates until that has happened.

    python -m benchmarks.gpu_workers.experiments [--quick] [--json]
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anyio
import click
import msgspec
import numpy as np
import structlog

from benchmarks.gpu_workers.fits import compute
from bus.jobs import JobQueue
from bus.results import Done
from bus.testing import running_bus
from contracts.datasets import DataSet, from_arrays
from contracts.experiment_results import ExperimentResult, decode_result, encode_result
from contracts.experiments import KIND, ExperimentSpec, Folds, decode_spec, encode_spec, experiment_id
from gpu_workers import arrays
from gpu_workers.errors import CupyUnfit
from gpu_workers.experiments.batches import Item
from gpu_workers.experiments.batches import compute as batch
from gpu_workers.experiments.cells import CellCache
from gpu_workers.experiments.compute import Computation
from gpu_workers.experiments.meter import ceiling
from gpu_workers.experiments.prepare import prepare
from gpu_workers.experiments.splits import split
from gpu_workers.threads import single_blas

FLOORS = {"ridge": {"two cores": "10 ms", "GPU (estimate)": "2 to 10 ms"}}


def medians(calls: dict[str, Callable[[], object]], runs: int) -> dict[str, float]:
    """Seconds of each call, the median of several, taken in turns."""
    taken: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(runs):
        for name, call in calls.items():
            begun = time.perf_counter()
            call()
            taken[name].append(time.perf_counter() - begun)
    return {name: statistics.median(values) for name, values in taken.items()}


def eigen_loop(
    data: DataSet, spec: ExperimentSpec, alphas: list[float], *, at_once: bool = True
) -> np.ndarray:
    """What one would write by hand: a decomposition per fold, then every penalty, at once or one by one.

    (penalties, folds).
    """
    x, y = data.numbers(), data.targets()[:, 0]
    found = []
    for fold in split(data, spec.folds):
        train, level = x[fold.train], y[fold.train].mean()
        mean, scale = train.mean(axis=0), train.std(axis=0)
        scale[scale == 0] = 1.0
        train = (train - mean) / scale
        values, vectors = np.linalg.eigh(train.T @ train)
        turned = vectors.T @ (train.T @ (y[fold.train] - level))
        held, wanted = (x[fold.test] - mean) / scale, y[fold.test] - level
        if at_once:
            weights = vectors @ (turned[:, None] / (values[:, None] + np.array(alphas)))
            off = held @ weights - wanted[:, None]
            found.append(np.sqrt((off**2).mean(axis=0)))
        else:
            scores = []
            for alpha in alphas:
                off = held @ (vectors @ (turned / (values + alpha))) - wanted
                scores.append(np.sqrt((off**2).mean()))
            found.append(np.array(scores))
    return np.array(found).T


def ridge(repeats: int, runs: int) -> dict[str, Any]:
    """Digits as numbers to predict, 200 penalties, 5 folds, repeated."""
    from sklearn.datasets import load_digits
    from sklearn.linear_model import Ridge
    from sklearn.model_selection import GridSearchCV
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    x, y = load_digits(return_X_y=True)
    data = from_arrays(x, y)
    alphas = np.logspace(-2, 4, 200).tolist()
    spec = ExperimentSpec(
        family="ridge", target="regression", metrics=("rmse",), blob=data.hash, grid={"alpha": tuple(alphas)},
        folds=Folds(count=5, repeats=repeats),
    )  # fmt: skip
    folds = [(fold.train, fold.test) for fold in split(data, spec.folds)]
    host = arrays.choose("numpy")
    scores: dict[str, np.ndarray] = {}

    def ours() -> None:
        scores["ours"] = np.array(compute(spec, data, host).scores["rmse"])[:, 0]

    def searched() -> None:
        search = GridSearchCV(
            make_pipeline(StandardScaler(), Ridge()), {"ridge__alpha": alphas}, cv=folds, n_jobs=2, refit=False,
            scoring="neg_root_mean_squared_error",
        )  # fmt: skip
        search.fit(x, y)
        columns = [-search.cv_results_[f"split{index}_test_score"] for index in range(len(folds))]
        scores["searched"] = np.array(columns).T

    def by_hand() -> None:
        with single_blas():  # its best setting: matrices of 64 columns
            scores["by_hand"] = eigen_loop(data, spec, alphas)

    def one_by_one() -> None:
        with single_blas():
            scores["one_by_one"] = eigen_loop(data, spec, alphas, at_once=False)

    ours()  # a warm start, as the peers have imported theirs
    peers = {"by_hand": by_hand, "one_by_one": one_by_one, "searched": searched}
    taken = medians({"ours": ours, **peers}, runs)
    off = {name: float(np.abs(scores[name] / scores["ours"] - 1).max()) for name in peers}
    row: dict[str, Any] = {
        "work": f"ridge, digits, 200 penalties x 5 folds x {repeats} repeats",
        "numpy_ms": round(taken["ours"] * 1000, 1),
        "scikit_learn_ms": round(taken["searched"] * 1000, 1),
        "by_hand_ms": round(taken["by_hand"] * 1000, 1),
        "scikit_learn_over_numpy": round(taken["searched"] / taken["ours"], 1),
        "by_hand_over_numpy": round(taken["by_hand"] / taken["ours"], 1),
        "one_by_one_over_numpy": round(taken["one_by_one"] / taken["ours"], 1),
        "largest_relative_difference": max(off.values()),
        "floors_20_repeats": FLOORS["ridge"],
        "cupy_20_repeats_ms": None,
    }
    whole = msgspec.structs.replace(spec, folds=Folds(count=5, repeats=20))
    row["numpy_20_repeats_ms"] = round(medians({"": lambda: compute(whole, data, host)}, 5)[""] * 1000, 1)
    try:
        device = arrays.choose("cupy")
    except CupyUnfit:
        return row
    compute(whole, data, device)
    row["cupy_20_repeats_ms"] = round(medians({"": lambda: compute(whole, data, device)}, 5)[""] * 1000, 1)
    found = np.array(compute(spec, data, device).scores["rmse"])[:, 0]
    row["cupy_relative_difference"] = float(np.abs(found / scores["ours"] - 1).max())
    return row


def logistic(runs: int) -> dict[str, Any]:
    """Softmax regression, 20 penalties and 5 folds, beside scikit-learn's grid search run to the same optimum."""
    import warnings

    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import GridSearchCV
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    rng = np.random.default_rng(1)
    x = rng.normal(size=(1500, 20))
    y = (x[:, :4] + rng.gumbel(size=(1500, 4))).argmax(axis=1)
    data, penalties = from_arrays(x, y), np.logspace(-3, 2, 20).tolist()
    spec = ExperimentSpec(
        family="logistic", target="multiclass", metrics=("log_loss",), blob=data.hash, folds=Folds(count=5),
        grid={"C": tuple(penalties)},
    )  # fmt: skip
    folds = [(fold.train, fold.test) for fold in split(data, spec.folds)]
    host = arrays.choose("numpy")
    scores: dict[str, np.ndarray] = {}

    def ours() -> None:
        scores["ours"] = np.array(compute(spec, data, host).scores["log_loss"])[:, 0]

    def searched() -> None:
        model = make_pipeline(StandardScaler(), LogisticRegression(tol=1e-6, max_iter=1000))
        search = GridSearchCV(
            model,
            {"logisticregression__C": penalties},
            cv=folds,
            n_jobs=2,
            refit=False,
            scoring="neg_log_loss",
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            search.fit(x, y)
        columns = [-search.cv_results_[f"split{index}_test_score"] for index in range(len(folds))]
        scores["searched"] = np.array(columns).T

    ours()
    taken = medians({"ours": ours, "searched": searched}, runs)
    return {
        "work": "logistic, 1500 rows x 20 columns, 4 classes, 20 penalties x 5 folds",
        "numpy_ms": round(taken["ours"] * 1000, 1),
        "scikit_learn_ms": round(taken["searched"] * 1000, 1),
        "scikit_learn_over_numpy": round(taken["searched"] / taken["ours"], 1),
        "largest_relative_difference": float(np.abs(scores["searched"] / scores["ours"] - 1).max()),
    }


def tiny(count: int) -> list[ExperimentSpec]:
    """Jobs that differ in a penalty: four small fits each."""
    rng = np.random.default_rng(1)
    x = rng.normal(size=(60, 3))
    data = from_arrays(x, x[:, 0] + rng.normal(size=60))
    return [
        ExperimentSpec(
            family="ridge", target="regression", metrics=("rmse",), data=data, folds=Folds(count=4),
            configurations=({"alpha": 0.01 * (1 + index)},),
        )
        for index in range(count)
    ]  # fmt: skip


def here(specs: list[ExperimentSpec]) -> float:
    """Microseconds per job in this process, one job after the other, from bytes to bytes."""
    host = arrays.choose("numpy")
    messages = [encode_spec(spec) for spec in specs]
    ceiling(host)
    cache = CellCache()
    begun = time.perf_counter()
    for message in messages:
        spec = decode_spec(message)
        assert spec.data is not None
        (found,) = Computation(experiments=[prepare(spec, spec.data, host)], arrays=host, cache=cache).run()
        assert isinstance(found, ExperimentResult)
        encode_result(found)
    return (time.perf_counter() - begun) / len(specs) * 1e6


def together(specs: list[ExperimentSpec]) -> float:
    """Microseconds per job in this process, all in one batch, from bytes to bytes."""
    host = arrays.choose("numpy")
    messages = [encode_spec(spec) for spec in specs]
    begun = time.perf_counter()
    items = []
    for message in messages:
        spec = decode_spec(message)
        assert spec.data is not None
        items.append(Item(job_id="", kind=KIND, spec=spec, data=spec.data))
    for found in batch(items, host, CellCache(), stopping=lambda: False, listen=lambda _item, _report: None):
        assert isinstance(found, ExperimentResult)
        encode_result(found)
    return (time.perf_counter() - begun) / len(specs) * 1e6


async def on_the_bus(specs: list[ExperimentSpec], workers: int, library: str = "numpy") -> dict[str, float]:
    """Jobs a second from a cold queue to the last result, with so many worker processes."""
    with tempfile.TemporaryDirectory() as folder:
        async with running_bus(Path(folder)) as (_, bus):
            command = [sys.executable, "-P", "-m", "gpu_workers", "--store", folder]
            env = {**os.environ, "RATCHET_ARRAY": library, "RATCHET_LOG_LEVEL": "error"}
            processes = [subprocess.Popen(command, env=env) for _ in range(workers)]  # noqa: ASYNC220
            try:
                queue = JobQueue(bus)
                warm = [*specs[-8 * workers :]]
                await queue.collect(KIND, {experiment_id(spec): encode_spec(spec) for spec in warm})
                jobs = {experiment_id(spec): encode_spec(spec) for spec in specs[: -8 * workers]}
                begun = time.perf_counter()
                found = await queue.collect(KIND, jobs)
                taken = time.perf_counter() - begun
            finally:
                for process in processes:
                    process.terminate()
                for process in processes:
                    process.wait()
    together = []
    for each in found.values():
        if not isinstance(each, Done):
            raise SystemExit(str(each))
        result = decode_result(each.data)
        assert isinstance(result, ExperimentResult)
        together.append(result.provenance.together)
    return {
        "jobs_per_s": round(len(jobs) / taken, 1),
        "us_per_job": round(taken / len(jobs) * 1e6),
        "jobs_in_a_batch": statistics.median(together),
    }


@click.command()
@click.option("--quick", is_flag=True, help="Fewer repeats and jobs.")
@click.option("--json", "as_json", is_flag=True, help="Print the figures as JSON.")
def main(quick: bool, as_json: bool) -> None:
    """Time experiments against their peers."""
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    os.environ.setdefault("RATCHET_LOG_LEVEL", "error")
    specs = tiny(200 if quick else 1000)
    found: dict[str, Any] = {
        "library": arrays.describe(),
        "ridge": ridge(1 if quick else 4, 1 if quick else 3),
        "logistic": logistic(1 if quick else 3),
        "tiny_jobs": {
            "alone_us_per_job": round(here(specs)),
            "in_one_batch_us_per_job": round(together(specs)),
        },
    }
    for workers in (1, 2, 4):
        found["tiny_jobs"][f"{workers} workers"] = anyio.run(on_the_bus, specs, workers)
    first = found["tiny_jobs"]["1 workers"]["us_per_job"]
    found["tiny_jobs"]["bus_us_per_job"] = first - found["tiny_jobs"]["in_one_batch_us_per_job"]
    if as_json:
        print(json.dumps(found, indent=2))
        return
    for name, row in found.items():
        print(name, json.dumps(row))


if __name__ == "__main__":
    main()
