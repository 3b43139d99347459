"""Experiments as jobs of the bus: several at once in one batch, told of while they are computed."""

import asyncio
import os
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence

import anyio
import anyio.to_thread
import structlog

from bus import traces
from bus.connection import Bus
from bus.errors import BusError, JobFailed, JobWithdrawn, MalformedMessage
from bus.worker import Job
from contracts.datasets import DataSet, decode_data
from contracts.experiment_results import Progress, StoredResult, encode_result
from contracts.experiments import ExperimentSpec, decode_spec, experiment_id
from contracts.subjects import progress_subject
from gpu_workers.arrays import Arrays
from gpu_workers.blobs import Blobs
from gpu_workers.errors import DeviceLost, ExperimentFault, Interrupted
from gpu_workers.experiments.batches import Item, compute, pick
from gpu_workers.experiments.cells import CellCache
from gpu_workers.experiments.compute import Outcome, Report

LINGER = 0.002
"""Seconds that a batch waits for others to join it."""
DATA_BYTES = 512 * 1024 * 1024
"""Bytes of data sets that are held for later jobs."""
MESSAGE = 960 * 1024
"""Bytes of a result that fit into a message; a larger one becomes a blob."""

_log = structlog.get_logger("gpu_workers.experiments")


class Experiments:
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
        self.stopping = stopping or threading.Event()
        """Set it, and computations end at their next kernel."""
        self.batches = 0
        """Computations so far."""
        self._bus = bus
        self._arrays = arrays
        self._on_lost = on_lost
        self._on_pace = on_pace
        self._blobs = Blobs(bus)
        self._cache = CellCache()
        self._data: OrderedDict[str, tuple[DataSet, int]] = OrderedDict()
        self._waiting: list[tuple[Item, asyncio.Future[bytes]]] = []
        self._under_way: dict[tuple[str, str], Item] = {}
        self._arrived = asyncio.Event()

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
        await self._publish(job.kind, Progress(job=job.job_id, note=reason, worker=self._bus.name))
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
        answer: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        self._under_way[job.kind, job.job_id] = item
        self._waiting.append((item, answer))
        self._arrived.set()
        try:
            return await answer
        finally:
            item.withdrawn = item.withdrawn or not answer.done() or answer.cancelled()
            self._under_way.pop((job.kind, job.job_id), None)

    def withdraw(self, kind: str, job_id: str) -> None:
        """Nobody waits for a job any more: it ends without a result before its next kernel or batch."""
        item = self._under_way.get((kind, job_id))
        if item is not None:
            item.withdrawn = True

    async def run(self) -> None:
        """Compute what waits, batch by batch, until cancelled."""
        while True:
            await self._arrived.wait()
            await anyio.sleep(LINGER)
            self._arrived.clear()
            while self._waiting:
                chosen = {id(item) for item in pick([item for item, _ in self._waiting])}
                batch = [pair for pair in self._waiting if id(pair[0]) in chosen]
                self._waiting = [pair for pair in self._waiting if id(pair[0]) not in chosen]
                await self._answer(batch)

    async def _answer(self, batch: Sequence[tuple[Item, asyncio.Future[bytes]]]) -> None:
        items = [item for item, _ in batch]
        begun = time.monotonic()
        try:
            outcomes: Sequence[Outcome | None] = await self._compute(items)
        except Exception as error:
            for item, future in batch:
                _settle(future, JobWithdrawn(item.job_id) if item.withdrawn else self._explained(error))
            return
        self.batches += 1
        self._on_pace((time.monotonic() - begun) / len(batch))
        for (item, future), outcome in zip(batch, outcomes, strict=True):
            try:
                _settle(future, await self._encoded(item, outcome))
            except BusError as error:
                _settle(future, error)

    async def _compute(self, items: Sequence[Item]) -> list[Outcome | None]:
        loop = asyncio.get_running_loop()

        def listen(item: Item, report: Report) -> None:
            loop.call_soon_threadsafe(self._tell, item, report)

        def work() -> list[Outcome | None]:
            with traces.span("experiments", items[0].parent, **{"ratchet.jobs": len(items)}):
                return compute(items, self._arrays, self._cache, stopping=self.stopping.is_set, listen=listen)

        return await anyio.to_thread.run_sync(work)

    async def _encoded(self, item: Item, outcome: Outcome | None) -> bytes:
        if outcome is None:
            raise JobWithdrawn(item.job_id)
        if isinstance(outcome, ExperimentFault):
            raise JobFailed(outcome.reason)
        data = encode_result(outcome)
        if len(data) <= MESSAGE:
            return data
        return encode_result(StoredResult(blob=await self._blobs.put(data)))

    def _explained(self, error: Exception) -> Exception:
        """What the queue is told of an error that ended a whole batch."""
        if isinstance(error, Interrupted):
            return JobFailed(str(error), retry=True)
        if isinstance(error, self._arrays.lost):
            fault = DeviceLost(self._arrays.device, str(error))
            self._on_lost(fault)
            return JobFailed(str(fault), retry=True)
        return error

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

    def _tell(self, item: Item, report: Report) -> None:
        left = report.total - report.done
        eta = report.seconds * left / report.done if report.done else 0.0
        progress = Progress(
            job=item.job_id,
            done=report.done,
            total=report.total,
            seconds=report.seconds,
            eta=eta,
            memory=report.memory,
            worker=self._bus.name,
        )
        self._bus.spawn(lambda: self._publish(item.kind, progress))

    async def _publish(self, kind: str, progress: Progress) -> None:
        await self._bus.publish(progress_subject(kind, progress.job), encode_result(progress))


def capacity(arrays: Arrays) -> int:
    """Bytes of memory that a job may ask for here: the device's, or the machine's where there is none."""
    return arrays.memory or os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def _settle(future: "asyncio.Future[bytes]", answer: bytes | Exception) -> None:
    if future.done():
        return
    if isinstance(answer, bytes):
        future.set_result(answer)
    else:
        future.set_exception(answer)
