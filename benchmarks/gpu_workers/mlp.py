"""How fast ensembles of networks are: ours on NumPy, and scikit-learn's grid search, on its digits.

Both train every configuration on five folds for the same epochs with the same batches; ours in single precision,
the peer in single (its best) and in double, which it takes the data in by itself. The peer has a process for each
core and one BLAS thread, which is its best setting on two cores. Rates and penalties are those of
the grid, first weights and batches differ, so mean accuracies agree up to luck.

    python -m benchmarks.gpu_workers.mlp [--configurations 32] [--epochs 30] [--hidden 32]
"""

import os

os.environ.setdefault(
    "OPENBLAS_NUM_THREADS", "1"
)  # before NumPy is loaded; ours takes one thread a core anyway

import json
import time
import warnings
from typing import Any

import click
import numpy as np

from gpu_workers.families.mlp import Mlp
from gpu_workers.families.testing import block
from gpu_workers.metrics import score
from gpu_workers.threads import cores

FOLDS = 5


def grid(count: int) -> list[dict[str, float]]:
    """Rates and penalties."""
    rates = np.geomspace(1e-3, 1e-2, -(-count // 4))
    return [{"rate": float(rate), "penalty": 10.0**-power} for rate in rates for power in range(1, 5)][:count]


def ours(data: Any, configurations: list[dict[str, float]], epochs: int, hidden: int) -> dict[str, Any]:
    """Seconds and mean accuracy of our networks."""
    family = Mlp()
    start = time.perf_counter()
    made = block(
        family,
        data.data / 16,
        data.target,
        "multiclass",
        tests=[part.tolist() for part in np.array_split(np.arange(len(data.target)), FOLDS)],
        configurations=[{**c, "hidden": (hidden,), "epochs": epochs, "patience": 0} for c in configurations],
    )
    predictions = family.fit_predict(made)
    found = score("accuracy", made.y[made.test[made.fold]], predictions, made.tested[made.fold], made.arrays)
    return {
        "seconds": round(time.perf_counter() - start, 2),
        "accuracy": round(float(np.mean(np.array(found))), 4),
    }


def peer(
    data: Any, configurations: list[dict[str, float]], epochs: int, hidden: int, dtype: Any
) -> dict[str, Any]:
    """Seconds and mean accuracy of scikit-learn's grid search."""
    from sklearn.model_selection import GridSearchCV, KFold
    from sklearn.neural_network import MLPClassifier

    search = GridSearchCV(
        MLPClassifier((hidden,), max_iter=epochs, tol=0, n_iter_no_change=epochs + 1, random_state=0),
        [{"learning_rate_init": [c["rate"]], "alpha": [c["penalty"]]} for c in configurations],
        cv=KFold(FOLDS),
        n_jobs=cores(),
        refit=False,
    )
    start = time.perf_counter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        search.fit((data.data / 16).astype(dtype), data.target)
    taken = time.perf_counter() - start
    return {
        "seconds": round(taken, 2),
        "accuracy": round(float(np.mean(search.cv_results_["mean_test_score"])), 4),
    }


@click.command()
@click.option("--configurations", type=click.IntRange(1), default=32, show_default=True)
@click.option("--epochs", type=click.IntRange(1), default=30, show_default=True)
@click.option("--hidden", type=click.IntRange(1), default=32, show_default=True)
@click.option("--alone", is_flag=True, help="Leave the peer out.")
def main(configurations: int, epochs: int, hidden: int, alone: bool) -> None:
    """Time networks against scikit-learn's, in seconds."""
    from sklearn.datasets import load_digits

    os.environ["PYTHONWARNINGS"] = "ignore"  # the peer's processes say that they did not converge
    data = load_digits()
    wanted = grid(configurations)
    rows: dict[str, Any] = {
        "fits": len(wanted) * FOLDS,
        "epochs": epochs,
        "ours": ours(data, wanted, epochs, hidden),
    }
    if not alone:
        peer(data, wanted[:1], 1, hidden, np.float32)  # starts the processes
        for name, dtype in (("single", np.float32), ("double", np.float64)):
            found = peer(data, wanted, epochs, hidden, dtype)
            rows[f"scikit_learn_{name}"] = {
                **found,
                "times": round(found["seconds"] / rows["ours"]["seconds"], 1),
            }
    print(json.dumps(rows))


if __name__ == "__main__":
    main()
