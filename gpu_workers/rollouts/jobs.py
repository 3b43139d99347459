"""Rollouts as jobs of the bus."""

import threading
from collections.abc import Callable

import anyio.to_thread

from bus.errors import JobFailed, MalformedMessage
from bus.worker import Job
from contracts.rollouts import decode_spec, encode, job_id
from gpu_workers.arrays import Arrays
from gpu_workers.errors import DeviceLost, Interrupted
from gpu_workers.rollouts.compute import compute

KIND = "rollout"


class Rollouts:
    """The handler of rollout jobs, each computed in a thread."""

    def __init__(
        self,
        arrays: Arrays,
        *,
        stopping: threading.Event | None = None,
        on_lost: Callable[[DeviceLost], None] = lambda _: None,
    ) -> None:
        self.stopping = stopping or threading.Event()
        """Set it, and computations end at their next step."""
        self._arrays = arrays
        self._on_lost = on_lost

    async def __call__(self, job: Job) -> bytes:
        """Answer one job.

        Raises:
            MalformedMessage: the bytes are no spec, or not the one whose id they go under.
            JobFailed: it cannot be computed; or it was interrupted or the device failed, then to be retried.
        """
        try:
            spec = decode_spec(job.data)
        except ValueError as error:
            raise MalformedMessage(str(error)) from error
        if job_id(spec) != job.job_id:
            raise MalformedMessage(f"the job's id is {job.job_id}, but its content's is {job_id(spec)}")
        try:
            return await anyio.to_thread.run_sync(
                lambda: encode(compute(spec, self._arrays, checkpoint=self._checkpoint))
            )
        except Interrupted as error:
            raise JobFailed(str(error), retry=True) from error
        except ValueError as error:
            raise JobFailed(str(error)) from error
        except self._arrays.exhausted as error:
            raise JobFailed(
                "memory does not suffice for one member; ask for fewer episodes, copies or steps"
            ) from error
        except self._arrays.lost as error:
            fault = DeviceLost(self._arrays.device, str(error))
            self._on_lost(fault)
            raise JobFailed(str(fault), retry=True) from error

    def _checkpoint(self) -> None:
        if self.stopping.is_set():
            raise Interrupted
