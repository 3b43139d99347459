"""Whole experiments as pieces of work: every family on scikit-learn's digits, beside scikit-learn at its best.

Ours includes splitting, preparing features, scoring and putting the result together. Scikit-learn's grid searches run
a process for each core, with one thread each. Where luck decides (networks, random features) the figures are not
compared.
"""

import warnings
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.gpu_workers import stacked
from benchmarks.gpu_workers.case import Case, Load
from contracts.datasets import DataSet, from_arrays
from contracts.experiment_results import ExperimentResult
from contracts.experiments import ExperimentSpec, Folds, Recipe
from gpu_workers.arrays import Arrays
from gpu_workers.experiments.cells import CellCache
from gpu_workers.experiments.compute import Computation
from gpu_workers.experiments.prepare import prepare
from gpu_workers.experiments.splits import split
from gpu_workers.threads import cores

AS_IS = Recipe(scale="none")
PART = "experiments"


def compute(spec: ExperimentSpec, data: DataSet, library: Arrays) -> ExperimentResult:
    """One experiment in this process, with nothing remembered."""
    (found,) = Computation(
        experiments=[prepare(spec, data, library)], arrays=library, cache=CellCache()
    ).run()
    if not isinstance(found, ExperimentResult):
        raise SystemExit(str(found))
    return found


def fitted(
    work: str, spec: ExperimentSpec, data: DataSet, *, comparable: bool = True, **peers: Callable[[], Any]
) -> Case:
    """A case of an experiment whose first metric is compared, configurations x folds."""

    def load(found: ExperimentResult) -> Load:
        kernels = found.provenance.kernels
        return Load(
            bytes=sum(each.bytes for each in kernels),
            operations=sum(each.operations for each in kernels),
            single=spec.family == "mlp",
        )

    def figures(found: ExperimentResult) -> NDArray[Any]:
        return np.array(found.scores[spec.metrics[0]], dtype=float)[:, 0]

    return Case(
        part=PART,
        work=work,
        ours=lambda library: compute(spec, data, library),
        load=load,
        figures=figures if comparable else None,
        peers={name.replace("_", "-"): call for name, call in peers.items()},
    )


def searched(
    model: Any, grid: Any, scoring: str, spec: ExperimentSpec, data: DataSet, x: Any, y: Any
) -> Callable[[], NDArray[Any]]:
    """Scikit-learn's grid search on our folds; its scores, configurations x folds."""
    from sklearn.model_selection import GridSearchCV

    folds = [(fold.train, fold.test) for fold in split(data, spec.folds)]
    sign = -1.0 if scoring.startswith("neg_") else 1.0

    def call() -> NDArray[Any]:
        search = GridSearchCV(model, grid, cv=folds, n_jobs=cores(), refit=False, scoring=scoring)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            search.fit(x, y)
        columns = [sign * search.cv_results_[f"split{index}_test_score"] for index in range(len(folds))]
        return np.array(columns).T

    return call


def cases(*, short: bool, large: bool) -> Iterator[Case]:
    """Every family; with `large`, ridge and networks also in a size that fills a GPU, without scikit-learn."""
    from sklearn.datasets import load_digits

    x, y = load_digits(return_X_y=True)
    x = x / 16
    _start_processes(x, y)
    yield from _linear(x, y, short)
    yield from _classes(x, y, short)
    yield from _kernels(x, y, short)
    yield from _networks(x, y, 16 if short else 64, 10 if short else 30, peer=True)
    yield _boosting(x, y, 1 if short else 4)
    if large:
        yield from _ridge(x, y, 20, peer=False)
        yield from _networks(x, y, 512, 30, peer=False)


def _start_processes(x: Any, y: Any) -> None:
    """Scikit-learn's processes, which stay and are used by every search; starting them is not what is timed."""
    from sklearn.linear_model import Ridge
    from sklearn.model_selection import GridSearchCV

    GridSearchCV(Ridge(), {"alpha": [1.0, 2.0, 3.0, 4.0]}, n_jobs=cores(), refit=False).fit(x, y)


def _spec(family: str, target: Any, metric: str, data: DataSet, **rest: Any) -> ExperimentSpec:
    rest.setdefault("folds", Folds(count=5))
    return ExperimentSpec(family=family, target=target, metrics=(metric,), blob=data.hash, **rest)


def _ridge(x: Any, y: Any, repeats: int, *, peer: bool) -> Iterator[Case]:
    from sklearn.linear_model import Ridge
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    data, alphas = from_arrays(x, y), np.logspace(-2, 4, 200).tolist()
    spec = _spec(
        "ridge", "regression", "rmse", data, grid={"alpha": tuple(alphas)}, folds=Folds(count=5, repeats=repeats)
    )  # fmt: skip
    made = fitted(f"ridge, 200 penalties x 5 folds x {repeats} repeats", spec, data)
    folds = [(fold.train, fold.test) for fold in split(data, spec.folds)]
    made.peers, made.missing = stacked.ridge(x, y, folds, alphas)
    if peer:
        model = make_pipeline(StandardScaler(), Ridge())
        grid = {"ridge__alpha": alphas}
        theirs = searched(model, grid, "neg_root_mean_squared_error", spec, data, x, y)
        made.peers = {"scikit-learn": theirs, **made.peers}
    yield made


def _linear(x: Any, y: Any, short: bool) -> Iterator[Case]:
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    yield from _ridge(x, y, 1 if short else 4, peer=True)
    rng = np.random.default_rng(1)
    drawn = rng.normal(size=(1500, 20))
    classes = (drawn[:, :4] + rng.gumbel(size=(1500, 4))).argmax(axis=1)
    data, penalties = from_arrays(drawn, classes), np.logspace(-3, 2, 20).tolist()
    spec = _spec("logistic", "multiclass", "log_loss", data, grid={"C": tuple(penalties)})
    model = make_pipeline(StandardScaler(), LogisticRegression(tol=1e-6, max_iter=1000))
    grid = {"logisticregression__C": penalties}
    yield fitted(
        "logistic, 1,500 x 20, 4 classes, 20 penalties x 5 folds", spec, data,
        scikit_learn=searched(model, grid, "neg_log_loss", spec, data, drawn, classes),
    )  # fmt: skip


def _classes(x: Any, y: Any, short: bool) -> Iterator[Case]:
    from sklearn.naive_bayes import GaussianNB
    from sklearn.neighbors import KNeighborsClassifier

    data = from_arrays(x, y)
    smoothing = np.logspace(-9, -1, 20 if short else 50).tolist()
    spec = _spec(
        "gaussian_naive_bayes", "multiclass", "accuracy", data, recipe=AS_IS,
        grid={"var_smoothing": tuple(smoothing)},
    )  # fmt: skip
    yield fitted(
        f"gaussian naive Bayes, {len(smoothing)} smoothings x 5 folds", spec, data,
        scikit_learn=searched(GaussianNB(), {"var_smoothing": smoothing}, "accuracy", spec, data, x, y),
    )  # fmt: skip
    counts = list(range(1, 11 if short else 26))
    spec = _spec(
        "neighbours", "multiclass", "accuracy", data, recipe=AS_IS, grid={"neighbours": tuple(counts)}
    )
    model, grid = KNeighborsClassifier(algorithm="brute"), {"n_neighbors": counts}
    yield fitted(
        f"nearest neighbours, 1 to {counts[-1]} x 5 folds", spec, data,
        scikit_learn=searched(model, grid, "accuracy", spec, data, x, y),
    )  # fmt: skip


def _kernels(x: Any, y: Any, short: bool) -> Iterator[Case]:
    from sklearn.kernel_approximation import Nystroem, RBFSampler
    from sklearn.kernel_ridge import KernelRidge
    from sklearn.linear_model import Ridge
    from sklearn.pipeline import make_pipeline

    data, alphas = from_arrays(x, y), np.geomspace(1e-3, 10, 5 if short else 20).tolist()
    same = {"recipe": AS_IS, "grid": {"alpha": tuple(alphas)}}
    size = f"{len(alphas)} penalties x 5 folds"
    scoring = "neg_root_mean_squared_error"
    if not short:
        own = {"gamma": 0.05, "center": False}
        spec = _spec("kernel_ridge", "regression", "rmse", data, configurations=(own,), **same)
        model = KernelRidge(kernel="rbf", gamma=0.05)
        yield fitted(
            f"kernel ridge, {size}", spec, data,
            scikit_learn=searched(model, {"alpha": alphas}, scoring, spec, data, x, y),
        )  # fmt: skip
    features = {
        "nystroem": Nystroem(gamma=0.05, n_components=100, random_state=0),
        "random_features": RBFSampler(gamma=0.05, n_components=100, random_state=0),
    }
    for family, first in features.items():
        own = {"gamma": 0.05}
        spec = _spec(family, "regression", "rmse", data, configurations=(own,), **same)
        model = make_pipeline(first, Ridge())
        theirs = searched(model, {"ridge__alpha": alphas}, scoring, spec, data, x, y)
        name = family.replace("_", " ")
        yield fitted(f"{name}, 100 components, {size}", spec, data, comparable=False, scikit_learn=theirs)


def _networks(x: Any, y: Any, count: int, epochs: int, *, peer: bool) -> Iterator[Case]:
    from sklearn.neural_network import MLPClassifier

    rates = np.geomspace(1e-3, 1e-2, count // 4)
    wanted = [{"rate": float(rate), "penalty": 10.0**-power} for rate in rates for power in range(1, 5)]
    data = from_arrays(x, y)
    spec = _spec(
        "mlp", "multiclass", "accuracy", data, recipe=AS_IS,
        configurations=tuple({**each, "hidden": (32,), "epochs": epochs, "patience": 0} for each in wanted),
    )  # fmt: skip
    made = fitted(
        f"{count * 5:,} networks of 32 units, {epochs} epochs, single precision", spec, data, comparable=False
    )
    folds = [(fold.train, fold.test) for fold in split(data, spec.folds)]
    made.peers, made.missing = stacked.networks(x, y, folds, wanted, epochs)
    if peer:
        model = MLPClassifier((32,), max_iter=epochs, tol=0, n_iter_no_change=epochs + 1, random_state=0)
        grid = [{"learning_rate_init": [each["rate"]], "alpha": [each["penalty"]]} for each in wanted]
        theirs = searched(model, grid, "accuracy", spec, data, x.astype(np.float32), y)
        made.peers = {"scikit-learn": theirs, **made.peers}
    yield made


def _boosting(x: Any, y: Any, count: int) -> Case:
    from sklearn.ensemble import HistGradientBoostingClassifier

    rounds = 20 if count == 1 else 50
    rates = np.linspace(0.1, 0.3, count).tolist()
    data = from_arrays(x, y)
    own = {"depth": 3, "rounds": rounds}
    spec = _spec(
        "boosted_trees", "multiclass", "accuracy", data, recipe=AS_IS, configurations=(own,),
        grid={"rate": tuple(rates)},
    )  # fmt: skip

    model = HistGradientBoostingClassifier(
        max_iter=rounds, max_depth=3, max_leaf_nodes=None, max_bins=32, early_stopping=False
    )
    theirs = searched(model, {"learning_rate": rates}, "accuracy", spec, data, x, y)
    return fitted(
        f"boosted trees, 3 levels, {rounds} rounds, 10 classes, rates: {count}, 5 folds", spec, data,
        scikit_learn=theirs,
    )  # fmt: skip
