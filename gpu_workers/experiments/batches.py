"""Decides, between the bus and the computation, what is computed in one go, and answers for each job."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from contracts.datasets import DataSet
from contracts.experiments import ExperimentSpec, count_fits
from gpu_workers.arrays import Arrays
from gpu_workers.batching import Waiting
from gpu_workers.errors import ExperimentFault, Interrupted
from gpu_workers.experiments.cells import CellCache
from gpu_workers.experiments.compute import Outcome, Report
from gpu_workers.experiments.ensembles import Ensemble, Ensembles, prepare_all
from gpu_workers.experiments.prepare import Memo

SMALL = 20_000_000
"""Numbers that a job looks at (cells x rows) up to which it may share a batch with others."""


@dataclass(kw_only=True, eq=False)
class Item(Waiting):
    """A job with its data."""

    spec: ExperimentSpec
    data: DataSet

    @property
    def light(self) -> bool:
        """Whether it is little work."""
        return count_fits(self.spec) * self.data.rows <= SMALL


def compute(
    items: Sequence[Item],
    arrays: Arrays,
    cache: CellCache,
    *,
    stopping: Callable[[], bool],
    listen: Callable[[Item, Report], None],
) -> list[Outcome | None]:
    """Results, faults, or None for what was withdrawn, in the order of the items.

    Raises:
        Interrupted: the worker is stopping.
    """
    ready: list[Ensemble] = []
    numbers: list[int] = []
    memo: Memo = {}
    outcomes: list[Outcome | None] = [None] * len(items)
    for index, item in enumerate(items):
        if item.withdrawn:
            continue
        try:
            ready.append(prepare_all(item.spec, item.data, arrays, memo))
            numbers.append(index)
        except ValueError as error:
            outcomes[index] = ExperimentFault(str(error), kind="refused")

    def checkpoint() -> None:
        if stopping() or all(items[index].withdrawn for index in numbers):
            raise Interrupted

    def tell(report: Report) -> None:
        listen(items[numbers[report.index]], report)

    computation = Ensembles(
        ensembles=ready,
        arrays=arrays,
        cache=cache,
        checkpoint=checkpoint,
        wanted=lambda index: not items[numbers[index]].withdrawn,
        listen=tell,
        parent=items[0].parent,
    )
    try:
        found = computation.run()
    except Interrupted:
        if stopping():
            raise
        found = [None] * len(ready)
    for index, outcome in zip(numbers, found, strict=True):
        outcomes[index] = outcome
    return outcomes
