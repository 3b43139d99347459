"""Computes an experiment in this process, where no worker is at hand. The one agent's module that computes arrays."""

import io
from collections.abc import Callable

from contracts.datasets import DataSet
from contracts.experiment_results import ExperimentResult
from contracts.experiments import ExperimentSpec


class ExperimentRefused(Exception):
    """Raised when an experiment cannot be computed; says why."""

    def __init__(self, reason: str, *, kind: str = "refused") -> None:
        self.kind = kind
        super().__init__(reason)


def compute_here(spec: ExperimentSpec, data: DataSet, listen: Callable[[int, int], None]) -> ExperimentResult:
    """The result, with progress told as (done, total).

    Raises:
        ExperimentRefused: it cannot be computed, memory does not suffice, or `RATCHET_ARRAY` asks for an array
            library that cannot be used.
    """
    from bus import logs
    from gpu_workers.arrays import choose
    from gpu_workers.errors import ExperimentFault, WorkerError
    from gpu_workers.experiments.cells import CellCache
    from gpu_workers.experiments.ensembles import Ensembles, prepare_all
    from gpu_workers.experiments.jobs import capacity

    logs.configure("ratchet", file=io.StringIO())  # the result says what computed it
    try:
        arrays = choose()
    except WorkerError as error:
        raise ExperimentRefused(str(error), kind="unavailable") from error
    if spec.needs.gpu and arrays.name != "cupy":
        raise ExperimentRefused("the experiment needs a GPU, and there is none here", kind="unavailable")
    held = capacity(arrays)
    if spec.needs.memory > held:
        raise ExperimentRefused(
            f"the experiment needs {spec.needs.memory:,} bytes of memory, and there are {held:,} here; lower "
            "`needs.memory`, or start a worker where there is more",
            kind="unavailable",
        )
    try:
        ensemble = prepare_all(spec, data, arrays)
    except ValueError as error:
        raise ExperimentRefused(str(error)) from error
    (found,) = Ensembles(
        ensembles=[ensemble],
        arrays=arrays,
        cache=CellCache(),
        listen=lambda report: listen(report.done, report.total),
    ).run()
    if not isinstance(found, ExperimentResult):
        assert isinstance(found, ExperimentFault)  # noqa: S101 (nobody withdraws it)
        raise ExperimentRefused(found.reason, kind=found.kind)
    return found


def direction(metric: str) -> str:
    """`greater` or `less`: which of two scores is the better."""
    from gpu_workers.metrics import METRICS

    return METRICS[metric].direction
