"""A worker on the bus: takes resamplings, experiments and rollouts from the queue, answers them from threads."""

import signal
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field

import anyio
import anyio.to_thread
import structlog
from nats.aio.msg import Msg

from bus.connection import Bus, connect
from bus.errors import JobFailed, MalformedMessage
from bus.streams import ensure_streams
from bus.worker import Accepts, Job, JobHandler, Worker
from contracts import experiments
from contracts.resample import decode_job, encode, job_id
from contracts.subjects import WITHDRAWN
from gpu_workers.arrays import Arrays
from gpu_workers.errors import DeviceLost, Interrupted
from gpu_workers.experiments.jobs import Experiments
from gpu_workers.resampling import compute
from gpu_workers.rollouts import jobs as rollouts
from gpu_workers.rollouts.jobs import Rollouts

KIND = "resample"
GRACE = 5.0
"""Seconds that running jobs get to end once the worker was told to stop."""
ACK_WAIT = 30.0
"""Seconds after which the jobs of a worker that fell silent go to another."""
FEW, MANY = 4, 256
"""Experiments, and rollouts, that a worker holds at least, while they are large, and at most, while they are tiny."""
AT_HAND = 0.5
"""Seconds of work that a worker holds, by the pace of the last batch."""

_log = structlog.get_logger("gpu_workers.worker")


@dataclass(kw_only=True)
class Resampling:
    """The handler of resampling jobs."""

    arrays: Arrays
    stopping: threading.Event = field(default_factory=threading.Event)
    """Set it, and computations end at their next block."""
    lost: anyio.Event = field(default_factory=anyio.Event)
    """Set when the device failed."""
    fault: DeviceLost | None = None

    async def __call__(self, job: Job) -> bytes:
        """Answer one job.

        Raises:
            MalformedMessage: the bytes are no job, or not the one whose id they go under.
            JobFailed: it cannot be computed; or it was interrupted or the device failed, then to be retried.
        """
        try:
            asked = decode_job(job.data)
        except ValueError as error:
            raise MalformedMessage(str(error)) from error
        if job_id(asked) != job.job_id:
            raise MalformedMessage(f"the job's id is {job.job_id}, but its content's is {job_id(asked)}")
        try:
            return await anyio.to_thread.run_sync(
                lambda: encode(compute(asked, self.arrays, checkpoint=self._checkpoint))
            )
        except Interrupted as error:
            raise JobFailed(str(error), retry=True) from error
        except ValueError as error:
            raise JobFailed(str(error)) from error
        except self.arrays.exhausted as error:
            raise JobFailed(
                f"memory does not suffice for {len(job.data)} bytes of numbers and {asked.resamples} resamples; "
                "ask for fewer rows or resamples in one job"
            ) from error
        except self.arrays.lost as error:
            self.fail(DeviceLost(self.arrays.device, str(error)))
            raise JobFailed(str(self.fault), retry=True) from error

    def fail(self, fault: DeviceLost) -> None:
        """The device is lost: the worker has to end."""
        self.fault = fault
        self.lost.set()

    def _checkpoint(self) -> None:
        if self.stopping.is_set():
            raise Interrupted


async def serve(url: str, arrays: Arrays, *, slots: int = 1, ack_wait: float = ACK_WAIT) -> None:
    """Work until SIGTERM or SIGINT; then running jobs get a moment to end, and the others go back at once.

    Args:
        url: address of the bus.
        arrays: what to compute with.
        slots: resampling jobs at once; experiments and rollouts are computed batch by batch.
        ack_wait: seconds after which the jobs of a worker that fell silent go to another; the same for all
            workers of a bus.

    Raises:
        BusUnavailable: nothing answers at the address.
        DeviceLost: the GPU failed.
    """
    handler = Resampling(arrays=arrays)
    with anyio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
        async with await connect(url, name="gpu_workers") as bus:
            await ensure_streams(bus)
            trials = Experiments(
                bus, arrays, stopping=handler.stopping, on_lost=handler.fail,
                on_pace=lambda seconds: fitting.resize(held_at(seconds)),
            )  # fmt: skip
            rolls = Rollouts(
                bus, arrays, stopping=handler.stopping, on_lost=handler.fail,
                on_pace=lambda seconds: rolling.resize(held_at(seconds)),
            )  # fmt: skip
            kinds = [experiments.KIND, *([experiments.GPU_KIND] if arrays.name == "cupy" else [])]
            fitting = batched(bus, kinds, trials, ack_wait, trials.accepts)
            rolling = batched(bus, [rollouts.KIND], rolls, ack_wait)
            single = Worker(bus, [KIND], handler, slots=slots, ack_wait=ack_wait)
            workers = (single, fitting, rolling)

            def stop() -> None:
                for worker in workers:
                    worker.stop()

            async def until_signal() -> None:
                async for _ in signals:
                    stop()
                    await anyio.sleep(GRACE)
                    handler.stopping.set()
                    return

            async def until_lost() -> None:
                await handler.lost.wait()
                stop()

            async def withdraw(message: Msg) -> None:
                _, kind, job = message.subject.split(".", 2)
                for worker in (fitting, rolling):
                    worker.withdraw(kind, job)
                for batching in (trials, rolls):
                    batching.withdraw(kind, job)

            await bus.listen(f"{WITHDRAWN}.*.*", withdraw)
            _log.info("worker started", bus=bus.url, library=arrays.name, slots=slots)
            async with anyio.create_task_group() as group:
                group.start_soon(until_signal)
                group.start_soon(until_lost)
                group.start_soon(trials.run)
                group.start_soon(rolls.run)
                async with anyio.create_task_group() as working:
                    for worker in workers:
                        working.start_soon(worker.run)
                group.cancel_scope.cancel()
    _log.info("worker stopped", jobs=sum(worker.settled for worker in workers))
    if handler.fault is not None:
        raise handler.fault


def batched(
    bus: Bus, kinds: Sequence[str], handler: JobHandler, ack_wait: float, accepts: Accepts | None = None
) -> Worker:
    """A worker for jobs that are computed many at once; it holds few until it knows how long one takes."""
    worker = Worker(
        bus, kinds, handler, slots=MANY, prefetch=0, ack_wait=ack_wait, accepts=accepts, careful=True
    )
    worker.resize(FEW)
    return worker


def held_at(seconds: float) -> int:
    """Jobs to hold where one takes so long: many tiny ones for one batch, few large ones, as others wait."""
    return max(FEW, min(MANY, int(AT_HAND / max(seconds, 1e-6))))
