"""Resampling as a job: what a worker is asked, what it answers, and the NumPy reference for both."""

import hashlib
from typing import Literal

import msgspec

from contracts.record import Record
from contracts.statistics import Interval, SignFlip, bootstrap_interval, sign_flip_p


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


class ResampleResult(Record, tag="resampled"):
    """One answer per row of the job."""

    tests: tuple[SignFlip, ...] = ()
    intervals: tuple[Interval, ...] = ()
    library: str = "numpy"
    """Which array library computed it: provenance, as all agree to the bit."""


_JOB = msgspec.msgpack.Decoder(ResampleJob)
_RESULT = msgspec.msgpack.Decoder(ResampleResult)


def encode(record: ResampleJob | ResampleResult) -> bytes:
    """The canonical bytes of a job or a result."""
    return msgspec.msgpack.encode(record)


def job_id(job: ResampleJob) -> str:
    """The job's identity: SHA-256 of its canonical bytes, in hex."""
    return hashlib.sha256(encode(job)).hexdigest()


def decode_job(data: bytes) -> ResampleJob:
    """A job from its bytes, checked.

    Raises:
        ValueError: the bytes are no job, or the job asks for what cannot be computed.
    """
    job = _JOB.decode(data)
    if job.kernel != 1:
        raise ValueError(f"the job asks for version {job.kernel} of the arithmetic; this is version 1")
    if len({len(row) for row in job.values}) > 1:
        raise ValueError("the rows of a job have one length")
    if job.kind == "bootstrap" and not all(job.values):
        raise ValueError("an interval needs at least one cluster")
    if not 1 <= job.resamples <= 10_000_000:
        raise ValueError("resamples lie between 1 and 10 million")
    if not 0 < job.level < 1:
        raise ValueError("a level lies between 0 and 1")
    return job


def decode_result(data: bytes) -> ResampleResult:
    """A result from its bytes.

    Raises:
        ValueError: the bytes are no result.
    """
    return _RESULT.decode(data)


def reference(job: ResampleJob) -> ResampleResult:
    """The answer by the functions of `contracts.statistics`, one row after the other.

    Raises:
        ValueError: a row is not fit for exact sums.
    """
    if job.kind == "sign_flip":
        tests = (sign_flip_p(row, resamples=job.resamples, key=job.key) for row in job.values)
        return ResampleResult(tests=tuple(tests))
    intervals = (
        bootstrap_interval(row, level=job.level, resamples=job.resamples, key=job.key) for row in job.values
    )
    return ResampleResult(intervals=tuple(intervals))
