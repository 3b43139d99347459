"""Rollouts as jobs of the bus: small ones that wait together are one computation."""

import time
from collections.abc import Sequence
from dataclasses import dataclass

from bus import traces
from bus.errors import JobFailed, MalformedMessage
from bus.worker import Job
from contracts.rollouts import RolloutResult, RolloutSpec, decode_spec, encode, job_id, work
from gpu_workers.batching import Batching, Waiting
from gpu_workers.errors import Interrupted
from gpu_workers.rollouts.compute import compute_together

KIND = "rollout"
SMALL = 500_000
"""Steps of a job up to which it may share a batch with others: a fraction of a second."""
REPORT_EVERY = 0.5
"""Seconds between two reports."""
_NO_ROOM = "memory does not suffice for one member; ask for fewer episodes, copies or steps"


@dataclass(kw_only=True, eq=False)
class Item(Waiting):
    """A job with what it asks for."""

    spec: RolloutSpec
    done: float = 0.0
    """Steps that are done, or turned out not to be needed."""

    @property
    def light(self) -> bool:
        """Whether it is little work."""
        return work(self.spec) <= SMALL


class Rollouts(Batching[Item, RolloutResult | str]):
    """The handler of rollout jobs. `run` has to run beside it: it computes what waits."""

    async def __call__(self, job: Job) -> bytes:
        """Answer one job.

        Raises:
            MalformedMessage: the bytes are no spec, or not the one whose id they go under.
            JobFailed: it cannot be computed; or it was interrupted or the device failed, then to be retried.
            JobWithdrawn: nobody waits for it any more.
        """
        try:
            spec = decode_spec(job.data)
        except ValueError as error:
            raise MalformedMessage(str(error)) from error
        if job_id(spec) != job.job_id:
            raise MalformedMessage(f"the job's id is {job.job_id}, but its content's is {job_id(spec)}")
        return await self.answered(
            Item(
                job_id=job.job_id,
                kind=job.kind,
                spec=spec,
                attempt=job.attempt,
                parent=traces.current_traceparent(),
            )
        )

    def compute(self, items: Sequence[Item]) -> list[RolloutResult | str | None]:
        """Results, reasons why there is none, or None; see `Batching`."""
        wanted = [item for item in items if not item.withdrawn]
        found = dict(zip(map(id, wanted), self._together(wanted), strict=True))
        return [None if item.withdrawn else found.get(id(item)) for item in items]

    async def encode(self, outcome: RolloutResult | str) -> bytes:
        """The answer to a job; see `Batching`."""
        if isinstance(outcome, str):
            raise JobFailed(outcome)
        return encode(outcome)

    def _together(self, items: Sequence[Item]) -> list[RolloutResult | str | None]:
        """One that cannot be computed is found by computing each alone."""
        try:
            return list(self._computed_at_once(items)) if items else []
        except Interrupted:
            if self.stopping.is_set():
                raise
            return [None] * len(items)  # all were withdrawn
        except ValueError as error:
            reason = str(error)
        except self._arrays.exhausted:
            reason = _NO_ROOM
        if len(items) == 1:
            return [reason]
        return [outcome for item in items for outcome in self._together([item])]

    def _computed_at_once(self, items: Sequence[Item]) -> list[RolloutResult]:
        begun = last = time.monotonic()
        for item in items:
            item.done = 0.0

        def checkpoint() -> None:
            if self.stopping.is_set() or all(item.withdrawn for item in items):
                raise Interrupted

        def report(now: float) -> None:
            for item in items:
                total = work(item.spec)
                self.tell(item, done=min(round(item.done), total), total=total, seconds=now - begun)

        def told(place: int, steps: float) -> None:
            nonlocal last
            items[place].done += steps
            now = time.monotonic()
            if now - last >= REPORT_EVERY:
                last = now
                report(now)

        report(begun)
        specs = [item.spec for item in items]
        found = compute_together(specs, self._arrays, checkpoint=checkpoint, told=told)
        report(time.monotonic())
        return found
