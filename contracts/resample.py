"""Resampling as a job: what a worker is asked, what it answers, and the NumPy reference for both."""

import hashlib
from typing import Any, Literal, TypeAlias, TypeVar, overload

import msgspec

from contracts.intervals import Method, check_cells, interval_of
from contracts.maxt import Family, max_t
from contracts.record import Record
from contracts.simulation import Decisions, PowerJob, simulate
from contracts.statistics import Interval, SignFlip, bootstrap_interval, sign_flip_p

MOST_RESAMPLES = 10_000_000


class ResampleJob(Record, tag="resample"):
    """Resample several rows at once, all with the random stream of one key."""

    kind: Literal["sign_flip", "bootstrap"]
    values: tuple[tuple[int, ...], ...]
    """Rows of fixed-point numbers, one per cluster, in units of 1 / SCALE; all rows of one length."""
    key: str
    resamples: int = 10_000
    level: float = 0.95
    """Of the intervals; sign flips do not look at it."""
    kernel: int = 1
    """Version of the arithmetic: results of another version are not the same job's."""


class MaxTJob(Record, tag="max_t"):
    """Test all candidates of a family at once; see `contracts.maxt.max_t`."""

    values: tuple[tuple[int, ...], ...]
    """Candidates x clusters, fixed-point numbers."""
    key: str
    resamples: int = 10_000
    kernel: int = 1
    """Version of the arithmetic."""


class IntervalJob(Record, tag="interval"):
    """Bootstrap intervals of several rows with the same draws; see `contracts.intervals.interval_of`."""

    values: tuple[tuple[int, ...], ...]
    """Rows of cells, clusters x seeds laid out one cluster after the other; fixed-point numbers."""
    key: str
    seeds: int = 1
    """Cells of a cluster; with more than one, seeds are drawn within each drawn cluster."""
    method: Method = "percentile"
    resamples: int = 10_000
    level: float = 0.95
    kernel: int = 1
    """Version of the arithmetic."""


AnyJob: TypeAlias = ResampleJob | MaxTJob | IntervalJob | PowerJob


class ResampleResult(Record, tag="resampled"):
    """One answer per row of the job."""

    tests: tuple[SignFlip, ...] = ()
    intervals: tuple[Interval, ...] = ()
    library: str = "numpy"
    """Which array library computed it: provenance, as all agree to the bit."""


class FamilyResult(Record, tag="family"):
    """What a `MaxTJob` comes to."""

    family: Family
    library: str = "numpy"


class PowerResult(Record, tag="decisions"):
    """What a `PowerJob` comes to."""

    decisions: Decisions
    library: str = "numpy"


AnyResult: TypeAlias = ResampleResult | FamilyResult | PowerResult
R = TypeVar("R", ResampleResult, FamilyResult, PowerResult)

_JOB: msgspec.msgpack.Decoder[AnyJob] = msgspec.msgpack.Decoder(AnyJob)


def encode(record: AnyJob | AnyResult) -> bytes:
    """The canonical bytes of a job or a result."""
    return msgspec.msgpack.encode(record)


def job_id(job: AnyJob) -> str:
    """The job's identity: SHA-256 of its canonical bytes, in hex."""
    return hashlib.sha256(encode(job)).hexdigest()


def decode_job(data: bytes) -> AnyJob:
    """A job from its bytes, checked.

    Raises:
        ValueError: the bytes are no job, or the job asks for what cannot be computed.
    """
    job = _JOB.decode(data)
    if job.kernel != 1:
        raise ValueError(f"the job asks for version {job.kernel} of the arithmetic; this is version 1")
    if not 1 <= job.resamples <= MOST_RESAMPLES:
        raise ValueError("resamples lie between 1 and 10 million")
    if isinstance(job, PowerJob):
        return job
    if len({len(row) for row in job.values}) > 1:
        raise ValueError("the rows of a job have one length")
    if isinstance(job, MaxTJob):
        return job
    if isinstance(job, IntervalJob):
        for row in job.values:
            check_cells(len(row), job.seeds, job.method)
    elif job.kind == "bootstrap" and not all(job.values):
        raise ValueError("an interval needs at least one cluster")
    if not 0 < job.level < 1:
        raise ValueError("a level lies between 0 and 1")
    return job


@overload
def decode_result(data: bytes) -> ResampleResult: ...
@overload
def decode_result(data: bytes, kind: type[R]) -> R: ...
def decode_result(data: bytes, kind: type[Any] = ResampleResult) -> Any:
    """A result of the kind that the job has, from its bytes.

    Raises:
        ValueError: the bytes are no such result.
    """
    return msgspec.msgpack.decode(data, type=kind)


@overload
def reference(job: ResampleJob | IntervalJob) -> ResampleResult: ...
@overload
def reference(job: MaxTJob) -> FamilyResult: ...
@overload
def reference(job: PowerJob) -> PowerResult: ...
@overload
def reference(job: AnyJob) -> AnyResult: ...
def reference(job: AnyJob) -> AnyResult:
    """The answer by the functions of the contracts, one row after the other.

    Raises:
        ValueError: a row is not fit for exact sums.
    """
    if isinstance(job, MaxTJob):
        return FamilyResult(family=max_t(job.values, resamples=job.resamples, key=job.key))
    if isinstance(job, PowerJob):
        return PowerResult(decisions=simulate(job))
    if isinstance(job, IntervalJob):
        found = (
            interval_of(
                row, seeds=job.seeds, method=job.method, level=job.level, resamples=job.resamples, key=job.key
            )
            for row in job.values
        )
        return ResampleResult(intervals=tuple(found))
    if job.kind == "sign_flip":
        tests = (sign_flip_p(row, resamples=job.resamples, key=job.key) for row in job.values)
        return ResampleResult(tests=tuple(tests))
    intervals = (
        bootstrap_interval(row, level=job.level, resamples=job.resamples, key=job.key) for row in job.values
    )
    return ResampleResult(intervals=tuple(intervals))
