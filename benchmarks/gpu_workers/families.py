"""How fast kernel ridge and boosted trees are for many configurations: ours on NumPy, and scikit-learn's.

Both fit every configuration on the same folds of scikit-learn's digits. The peer of kernel ridge is its grid search
with a process for each core; that of boosted trees is a loop with all cores for each fit, its best setting.

    python -m benchmarks.gpu_workers.families [--configurations 20]
"""

import json
import time
from collections.abc import Callable
from typing import Any

import click
import numpy as np
from numpy.typing import NDArray

from gpu_workers import threads
from gpu_workers.experiments.block import Block
from gpu_workers.families import FAMILIES
from gpu_workers.families.testing import block, one
from gpu_workers.threads import cores

FOLDS = 5


def timed(call: Callable[[], Any]) -> tuple[float, Any]:
    """Seconds of the faster of two calls, and what it gave."""
    taken = []
    for _ in range(2):
        start = time.perf_counter()
        found = call()
        taken.append(time.perf_counter() - start)
    return round(min(taken), 2), found


def tests(rows: int) -> list[list[int]]:
    """Runs of rows, as `KFold` has them."""
    return [part.tolist() for part in np.array_split(np.arange(rows), FOLDS)]


def fitted(made: Block, name: str) -> NDArray[Any]:
    """Predictions, with the folds shared out to the cores as a worker does."""
    found = np.empty((len(made.fold), made.test.shape[1], made.outputs))
    parts = np.array_split(np.arange(FOLDS), min(FOLDS, cores()))

    def task(folds: NDArray[np.int64]) -> Callable[[Callable[[], None]], None]:
        def run(_: Callable[[], None]) -> None:
            members = np.flatnonzero(np.isin(made.fold, folds))
            chosen = {
                "fold": made.fold[members],
                "seeds": tuple(made.seeds[member] for member in members),
                "configurations": tuple(made.configurations[member] for member in members),
            }
            found[members] = FAMILIES[name].fit_predict(Block(**{**vars(one(made, 0)), **chosen}))

        return run

    threads.spread([task(part) for part in parts], made.checkpoint)
    return found


def kernel_ridge(data: Any, count: int) -> dict[str, Any]:
    """All penalties of one kernel; RMSE over all folds."""
    from sklearn.kernel_ridge import KernelRidge
    from sklearn.model_selection import GridSearchCV, KFold

    x, y = data.data / 16, data.target.astype(float)
    alphas = np.geomspace(1e-3, 10, count).tolist()
    made = block(
        FAMILIES["kernel_ridge"], x, y, "regression", tests=tests(len(y)),
        configurations=[{"alpha": alpha, "gamma": 0.05, "center": False} for alpha in alphas],
    )  # fmt: skip
    ours, found = timed(lambda: fitted(made, "kernel_ridge"))
    search = GridSearchCV(
        KernelRidge(kernel="rbf", gamma=0.05), {"alpha": alphas}, cv=KFold(FOLDS), n_jobs=cores(),
        scoring="neg_mean_squared_error", refit=False,
    )  # fmt: skip
    theirs, _ = timed(lambda: search.fit(x, y))
    errors = ((found[:, :, 0] - y[made.test[made.fold]]) ** 2 * made.tested[made.fold]).sum(axis=1)
    mine = (errors / made.tested[made.fold].sum(axis=1)).reshape(count, FOLDS).mean(axis=1)
    off = float(np.abs(mine + search.cv_results_["mean_test_score"]).max())
    return {
        "family": "kernel_ridge",
        "fits": len(made.fold),
        "ours": ours,
        "scikit_learn": theirs,
        "difference": off,
    }


def boosted_trees(data: Any, count: int) -> dict[str, Any]:
    """Stumps and trees of three levels, 50 rounds; accuracy over all folds."""
    from sklearn.ensemble import HistGradientBoostingClassifier

    x, y = data.data, data.target
    configurations = [
        {"depth": 3, "rounds": 50, "rate": float(rate)} for rate in np.linspace(0.05, 0.3, count)
    ]
    made = block(
        FAMILIES["boosted_trees"], x, y, "multiclass", tests=tests(len(y)), configurations=configurations
    )
    ours, found = timed(lambda: fitted(made, "boosted_trees"))

    def peers() -> list[float]:
        scores = []
        for member, own in enumerate(made.configurations):
            fold = made.fold[member]
            peer = HistGradientBoostingClassifier(
                learning_rate=own["rate"], max_iter=own["rounds"], max_depth=own["depth"], max_leaf_nodes=None,
                max_bins=own["bins"], early_stopping=False,
            )  # fmt: skip
            train, held = made.train[fold] > 0, made.test[fold][made.tested[fold] > 0]
            scores.append(peer.fit(x[train], y[train]).score(x[held], y[held]))
        return scores

    start = time.perf_counter()
    wanted = peers()
    theirs = round(time.perf_counter() - start, 2)
    right = (found.argmax(axis=2) == y[made.test[made.fold]]) * made.tested[made.fold]
    return {
        "family": "boosted_trees",
        "fits": len(made.fold),
        "ours": ours,
        "scikit_learn": theirs,
        "difference": float(
            abs(right.sum(axis=1) / made.tested[made.fold].sum(axis=1) - np.array(wanted)).mean()
        ),
    }


@click.command()
@click.option("--configurations", type=click.IntRange(1), default=20, show_default=True)
def main(configurations: int) -> None:
    """Time families against scikit-learn's, in seconds."""
    from sklearn.datasets import load_digits

    data = load_digits()
    for row in (kernel_ridge(data, configurations), boosted_trees(data, max(1, configurations // 5))):
        print(json.dumps({**row, "times": round(row["scikit_learn"] / row["ours"], 1)}))


if __name__ == "__main__":
    main()
