"""Answering resampling jobs: one call for every kind, with what memory there is."""

import dataclasses
from collections.abc import Callable
from contextlib import nullcontext
from typing import overload

import numpy as np
import structlog

from contracts.resample import (
    AnyJob,
    AnyResult,
    FamilyResult,
    IntervalJob,
    MaxTJob,
    PowerResult,
    ResampleJob,
    ResampleResult,
)
from contracts.simulation import PowerJob
from contracts.statistics import checked
from gpu_workers.arrays import Arrays
from gpu_workers.matrices import MATRICES
from gpu_workers.resampler import Resampler, go_on
from gpu_workers.threads import single_blas

HALVINGS = 6
"""How often blocks are halved before memory is said not to suffice."""
_log = structlog.get_logger("gpu_workers.resampling")


@overload
def compute(
    job: ResampleJob | IntervalJob, arrays: Arrays, *, checkpoint: Callable[[], None] = go_on
) -> ResampleResult: ...
@overload
def compute(job: MaxTJob, arrays: Arrays, *, checkpoint: Callable[[], None] = go_on) -> FamilyResult: ...
@overload
def compute(job: PowerJob, arrays: Arrays, *, checkpoint: Callable[[], None] = go_on) -> PowerResult: ...
@overload
def compute(job: AnyJob, arrays: Arrays, *, checkpoint: Callable[[], None] = go_on) -> AnyResult: ...
def compute(job: AnyJob, arrays: Arrays, *, checkpoint: Callable[[], None] = go_on) -> AnyResult:
    """Answer a job. Where memory does not suffice it is tried again in smaller blocks, which change no figure.

    Args:
        job: what to compute.
        arrays: what to compute with.
        checkpoint: called before every block; it ends the computation by raising.

    Raises:
        ValueError: a row is not fit for exact sums, or the rows differ in length.
        MemoryError: not even one small block fits into memory (CuPy raises its own kind of it).
    """
    for _ in range(HALVINGS):
        try:
            return _alone(job, arrays, checkpoint)
        except arrays.exhausted as error:
            MATRICES.forget()
            arrays = dataclasses.replace(
                arrays, block_bytes=arrays.block_bytes // 2, held_bytes=arrays.held_bytes // 2
            )
            _log.warning(
                "out of memory; trying smaller blocks", bytes=arrays.block_bytes, reason=str(error)[:200]
            )
    return _alone(job, arrays, checkpoint)


def _alone(job: AnyJob, arrays: Arrays, checkpoint: Callable[[], None]) -> AnyResult:
    """The answer, with one thread for each product where there is no device.

    The threads of one product wait for each other after every block, and where other work wants the cores, too, that
    costs tenfold.
    """
    with single_blas() if arrays.name == "numpy" else nullcontext():
        return _answer(job, arrays, checkpoint)


def _answer(job: AnyJob, arrays: Arrays, checkpoint: Callable[[], None]) -> AnyResult:
    resampler = Resampler(arrays=arrays, resamples=job.resamples, key=job.key, checkpoint=checkpoint)
    if isinstance(job, PowerJob):
        return PowerResult(decisions=resampler.decisions(job), library=arrays.name)
    if isinstance(job, MaxTJob):
        return FamilyResult(family=resampler.family(job.values), library=arrays.name)
    rows = [checked(row) for row in job.values]
    if len({len(row) for row in rows}) > 1:
        raise ValueError("the rows of a job have one length")
    if not rows:
        return ResampleResult(library=arrays.name)
    values = np.stack(rows)
    if isinstance(job, IntervalJob):
        found = resampler.intervals(values, job.level, seeds=job.seeds, method=job.method)
        return ResampleResult(intervals=found, library=arrays.name)
    if job.kind == "sign_flip":
        return ResampleResult(tests=resampler.sign_flips(values), library=arrays.name)
    return ResampleResult(intervals=resampler.intervals(values, job.level), library=arrays.name)
