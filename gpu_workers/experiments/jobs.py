"""Experiments as jobs of the bus: several at once in one batch, told of while they are computed."""

import os
import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence

import structlog

from bus import traces
from bus.connection import Bus
from bus.errors import JobFailed, MalformedMessage
from bus.worker import Job
from contracts.datasets import DataSet, decode_data
from contracts.experiment_results import StoredResult, encode_result
from contracts.experiments import ExperimentSpec, decode_spec, experiment_id
from contracts.progress import Progress
from gpu_workers.arrays import Arrays
from gpu_workers.batching import Batching
from gpu_workers.blobs import Blobs
from gpu_workers.errors import DeviceLost, ExperimentFault
from gpu_workers.experiments.batches import Item, compute
from gpu_workers.experiments.cells import CellCache
from gpu_workers.experiments.compute import Outcome, Report

DATA_BYTES = 512 * 1024 * 1024
"""Bytes of data sets that are held for later jobs."""
MESSAGE = 960 * 1024
"""Bytes of a result that fit into a message; a larger one becomes a blob."""

_log = structlog.get_logger("gpu_workers.experiments")


class Experiments(Batching[Item, Outcome]):
    """The handler of experiment jobs. `run` has to run beside it: it computes what waits."""

    def __init__(
        self,
        bus: Bus,
        arrays: Arrays,
        *,
        stopping: threading.Event | None = None,
        on_lost: Callable[[DeviceLost], None] = lambda _: None,
        on_pace: Callable[[float], None] = lambda _: None,
    ) -> None:
        super().__init__(bus, arrays, stopping=stopping, on_lost=on_lost, on_pace=on_pace)
        self._name = bus.name
        self._blobs = Blobs(bus)
        self._cache = CellCache()
        self._data: OrderedDict[str, tuple[DataSet, int]] = OrderedDict()

    async def accepts(self, job: Job) -> bool:
        """Whether this worker has what the job needs; says so on the job's progress subject if it has not."""
        try:
            needs = decode_spec(job.data).needs
        except ValueError:
            return True  # the handler says what is wrong with it
        held = capacity(self._arrays)
        if needs.gpu and self._arrays.name != "cupy":
            reason = "the job needs a GPU, and this worker has none"
        elif needs.memory > held:
            reason = f"the job needs {needs.memory} bytes of memory, and this worker has {held}"
        else:
            return True
        await self.publish(job.kind, Progress(job=job.job_id, note=reason, worker=self._name))
        return False

    async def __call__(self, job: Job) -> bytes:
        """Answer one job.

        Raises:
            MalformedMessage: the bytes are no specification, or not the one whose id they go under.
            JobFailed: it cannot be computed; or it was interrupted or the device failed, then to be retried.
            JobWithdrawn: nobody waits for it any more.
        """
        try:
            spec = decode_spec(job.data)
        except ValueError as error:
            raise MalformedMessage(str(error)) from error
        if experiment_id(spec) != job.job_id:
            raise MalformedMessage(
                f"the job's id is {job.job_id}, but its content's is {experiment_id(spec)}"
            )
        item = Item(
            job_id=job.job_id,
            kind=job.kind,
            spec=spec,
            data=await self._fetch(spec),
            attempt=job.attempt,
            parent=traces.current_traceparent(),
        )
        return await self.answered(item)

    def compute(self, items: Sequence[Item]) -> Sequence[Outcome | None]:
        """Outcomes in the order of the items; see `Batching`."""

        def listen(item: Item, report: Report) -> None:
            self.tell(
                item, done=report.done, total=report.total, seconds=report.seconds, memory=report.memory
            )

        return compute(items, self._arrays, self._cache, stopping=self.stopping.is_set, listen=listen)

    async def encode(self, outcome: Outcome) -> bytes:
        """The answer to a job, or the name of its blob; see `Batching`."""
        if isinstance(outcome, ExperimentFault):
            raise JobFailed(outcome.reason)
        data = encode_result(outcome)
        if len(data) <= MESSAGE:
            return data
        return encode_result(StoredResult(blob=await self._blobs.put(data)))

    async def _fetch(self, spec: ExperimentSpec) -> DataSet:
        if spec.data is not None:
            return spec.data
        held = self._data.get(spec.blob)
        if held is not None:
            self._data.move_to_end(spec.blob)
            return held[0]
        data = await self._blobs.get(spec.blob)
        try:
            found = decode_data(data)
        except ValueError as error:
            raise JobFailed(f"blob {spec.blob} is no data set: {error}") from error
        self._data[spec.blob] = (found, len(data))
        while sum(size for _, size in self._data.values()) > DATA_BYTES and len(self._data) > 1:
            self._data.popitem(last=False)
        return found


def capacity(arrays: Arrays) -> int:
    """Bytes of memory that a job may ask for here: the device's, or the machine's where there is none."""
    return arrays.memory or os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
