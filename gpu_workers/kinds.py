"""The kinds of jobs that a worker serves, and how each is read, named and answered."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from contracts import resample, rollouts
from gpu_workers import resampling
from gpu_workers.arrays import Arrays
from gpu_workers.rollouts import compute as rolling


@dataclass(frozen=True, kw_only=True)
class Kind:
    """What a worker has to know of a kind of job."""

    decode: Callable[[bytes], Any]
    """A job from its bytes, checked; raises ValueError."""
    name: Callable[[Any], str]
    """The id under which a job goes."""
    answer: Callable[[Any, Arrays, Callable[[], None]], bytes]
    """The bytes of its result; calls its last argument, which ends it by raising, every now and then."""
    size: Callable[[Any], str]
    """What a job asks for, in words, for whoever has to ask for less."""


def _resample(job: resample.ResampleJob, arrays: Arrays, checkpoint: Callable[[], None]) -> bytes:
    return resample.encode(resampling.compute(job, arrays, checkpoint=checkpoint))


def _roll_out(spec: rollouts.RolloutSpec, arrays: Arrays, checkpoint: Callable[[], None]) -> bytes:
    return rollouts.encode(rolling.compute(spec, arrays, checkpoint=checkpoint))


KINDS: Mapping[str, Kind] = {
    "resample": Kind(
        decode=resample.decode_job,
        name=resample.job_id,
        answer=_resample,
        size=lambda job: f"{len(job.values)} rows and {job.resamples} resamples",
    ),
    "rollout": Kind(
        decode=rollouts.decode_spec,
        name=rollouts.job_id,
        answer=_roll_out,
        size=lambda spec: f"{spec.episodes} episodes of a member, or what it learns from",
    ),
}
