"""How fast metrics are for many members at once: ours on NumPy, and a loop over scikit-learn's.

Both in the same process, on the same data; each figure is the best of several runs, and the largest difference
of the scores is printed beside it.

    python -m benchmarks.gpu_workers.metrics [--members 640] [--rows 2000]
"""

import json
import sys
import time
from collections.abc import Callable
from typing import Any

import click
import numpy as np
import structlog
from numpy.typing import NDArray

from gpu_workers import arrays
from gpu_workers.metrics import score
from gpu_workers.metrics.classes import kappa_of_classes

CLASSES = 5
AT_ONCE = 32
"""Members whose classes are looked at together, as near as `score` does it."""


def best(call: Callable[[], Any], runs: int) -> tuple[float, Any]:
    """Milliseconds of the fastest of several calls, after one that warms up, and what it gave."""
    found = call()
    taken = []
    for _ in range(runs):
        start = time.perf_counter()
        found = call()
        taken.append(time.perf_counter() - start)
    return round(min(taken) * 1000, 1), found


def peers() -> dict[str, Callable[[NDArray[Any], NDArray[Any]], float]]:
    """Scikit-learn's metric for one member, of truth (rows,) and predictions (rows, k)."""
    from sklearn import metrics

    return {
        "auc": lambda y, p: metrics.roc_auc_score(y, p[:, 0]),
        "average_precision": lambda y, p: metrics.average_precision_score(y, p[:, 0]),
        "log_loss": lambda y, p: metrics.log_loss(y, p[:, 0], labels=[0, 1]),
        "rmse": lambda y, p: metrics.root_mean_squared_error(y, p[:, 0]),
        "quadratic_kappa": lambda y, p: metrics.cohen_kappa_score(
            y, p.argmax(axis=1), labels=range(CLASSES), weights="quadratic"
        ),
        "accuracy": lambda y, p: metrics.accuracy_score(y, p.argmax(axis=1)),
        "f1": lambda y, p: metrics.f1_score(y, p.argmax(axis=1), average="macro"),
    }


def measure(name: str, members: int, rows: int) -> dict[str, Any]:
    """Milliseconds of ours and of the peer, and how far the scores are apart."""
    host = arrays.choose("numpy")
    rng = np.random.default_rng(3)
    k = CLASSES if name in {"quadratic_kappa", "accuracy", "f1"} else 1
    truth = rng.integers(0, max(2, k), (members, rows))
    predictions = rng.random((members, rows, k))
    predictions /= predictions.sum(axis=2, keepdims=True) if k > 1 else 1
    weights = np.ones((members, rows))
    one = peers()[name]
    return compared(
        name,
        lambda: score(name, truth, predictions, weights, host),
        lambda: [one(y, p) for y, p in zip(truth, predictions, strict=True)],
    )


def measure_classes(members: int, rows: int) -> dict[str, Any]:
    """Kappa alone, of classes that are decided already."""
    from sklearn.metrics import cohen_kappa_score

    rng = np.random.default_rng(3)
    truth, said = rng.integers(0, CLASSES, (2, members, rows))
    weights = np.ones((members, rows))
    parts = [slice(start, start + AT_ONCE) for start in range(0, members, AT_ONCE)]
    return compared(
        "quadratic_kappa of classes",
        lambda: np.concatenate([kappa_of_classes(np, truth[p], said[p], weights[p])[0] for p in parts]),
        lambda: [
            cohen_kappa_score(y, p, labels=range(CLASSES), weights="quadratic")
            for y, p in zip(truth, said, strict=True)
        ],
    )


def compared(name: str, ours: Callable[[], Any], theirs: Callable[[], Any]) -> dict[str, Any]:
    """Both timed, and how far their answers are apart."""
    fast, found = best(ours, 5)
    slow, wanted = best(theirs, 1)
    return {
        "metric": name,
        "ours_ms": fast,
        "scikit_learn_ms": slow,
        "times": round(slow / fast, 1),
        "largest_difference": float(np.abs(np.array(found) - np.array(wanted)).max()),
    }


@click.command()
@click.option("--members", type=click.IntRange(1), default=640, show_default=True)
@click.option("--rows", type=click.IntRange(2), default=2000, show_default=True)
def main(members: int, rows: int) -> None:
    """Time metrics against scikit-learn's, in milliseconds."""
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    for name in peers():
        print(json.dumps(measure(name, members, rows)))
    print(json.dumps(measure_classes(members, rows)))


if __name__ == "__main__":
    main()
