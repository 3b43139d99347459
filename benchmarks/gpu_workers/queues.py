"""Jobs a second over the bus, by the number of workers: from a cold queue to the last result."""

from collections.abc import Sequence

import anyio

from benchmarks.gpu_workers.experiments import on_the_bus, tiny
from contracts.datasets import from_arrays
from contracts.experiments import ExperimentSpec, Folds
from contracts.record import Record


class Scaling(Record):
    """What so many workers did."""

    work: str
    workers: int
    library: str
    jobs_per_s: float
    over_one: float
    """Jobs a second over those of one worker."""
    jobs_in_a_batch: float
    """The median."""


def solid(count: int) -> list[ExperimentSpec]:
    """Jobs of about a tenth of a second: boosted trees, each on a data set of its own seed."""
    import numpy as np

    rng = np.random.default_rng(2)
    x = rng.normal(size=(1000, 10))
    data = from_arrays(x, (x[:, 0] + x[:, 1] ** 2 + rng.normal(size=1000)).round(6))
    return [
        ExperimentSpec(
            family="boosted_trees", target="regression", metrics=("rmse",), data=data, folds=Folds(count=4),
            configurations=({"rate": 0.05 + 0.001 * index, "rounds": 50},),
        )
        for index in range(count)
    ]  # fmt: skip


def scaling(library: str, workers: Sequence[int], *, short: bool) -> list[Scaling]:
    """Tiny jobs, of which a worker takes many together, and solid ones."""
    works = {
        "tiny: ridge, 60 rows, 4 fits": tiny(200 if short else 1000),
        "solid: boosted trees, 1,000 rows, 50 rounds, 4 fits": solid(48 if short else 96),
    }
    found: list[Scaling] = []
    for work, specs in works.items():
        first = 0.0
        for count in workers:
            row = anyio.run(on_the_bus, specs, count, library)
            first = first or row["jobs_per_s"]
            found.append(
                Scaling(
                    work=work, workers=count, library=library, jobs_per_s=row["jobs_per_s"],
                    over_one=row["jobs_per_s"] / first, jobs_in_a_batch=row["jobs_in_a_batch"],
                )
            )  # fmt: skip
    return found
