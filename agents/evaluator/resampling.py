"""Where resamples are computed: small ones here, large ones as jobs on the workers; the figures are the same."""

import math

import anyio
import anyio.from_thread

from agents.work import Desk
from bus.results import Done
from contracts import resample
from contracts.gate import INLINE
from contracts.resample import ResampleJob, ResampleResult
from contracts.statistics import Fixed, Interval, SignFlip

LARGE = 2_000_000
"""Resamples times clusters from which a worker is asked; below, asking takes longer than computing."""
PATIENCE = 30.0
"""Seconds to wait for a worker before the figures are computed here after all."""
EXACT = 32
"""Clusters up to which sign flips are counted exactly, in no time at all."""


class Workers:
    """The gate's resampler of an evaluator. Call it from a worker thread: it blocks."""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk

    def sign_flip(self, d: Fixed, *, resamples: int, key: str) -> SignFlip:
        """One-sided sign flips over clusters."""
        if len(d) <= EXACT or len(d) * resamples < LARGE:
            return INLINE.sign_flip(d, resamples=resamples, key=key)
        job = ResampleJob(kind="sign_flip", values=(tuple(d.tolist()),), key=key, resamples=resamples)
        answer = self._ask(job)
        return answer.tests[0] if answer else INLINE.sign_flip(d, resamples=resamples, key=key)

    def interval(self, d: Fixed, *, level: float, resamples: int, key: str) -> Interval:
        """Cluster bootstrap of the mean."""
        if len(d) * resamples < LARGE:
            return INLINE.interval(d, level=level, resamples=resamples, key=key)
        values = (tuple(d.tolist()),)
        job = ResampleJob(kind="bootstrap", values=values, key=key, resamples=resamples, level=level)
        answer = self._ask(job)
        if answer is None:
            return INLINE.interval(d, level=level, resamples=resamples, key=key)
        return answer.intervals[0]

    def _ask(self, job: ResampleJob) -> ResampleResult | None:
        return anyio.from_thread.run(self._collect, job)

    async def _collect(self, job: ResampleJob) -> ResampleResult | None:
        name = resample.job_id(job)
        with anyio.move_on_after(PATIENCE):
            answers = await self.desk.jobs.collect("resample", {name: resample.encode(job)})
            answer = answers[name]
            if isinstance(answer, Done):
                return resample.decode_result(answer.data)
            self.desk.log.warning("a worker could not resample", reason=answer.reason)
            return None
        self.desk.log.warning("no worker resampled in time", seconds=math.floor(PATIENCE))
        return None
