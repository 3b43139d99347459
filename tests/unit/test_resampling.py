import dataclasses
import hashlib

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contracts.resample import (
    ResampleJob,
    ResampleResult,
    decode_job,
    decode_result,
    encode,
    job_id,
    reference,
)
from contracts.statistics import SCALE, to_fixed
from gpu_workers import arrays
from gpu_workers.resampling import compute

HOST = arrays.choose("numpy")


def rows(count: int, clusters: int, seed: int = 0) -> tuple[tuple[int, ...], ...]:
    drawn = np.random.default_rng(seed).normal(0.02, 0.1, (count, clusters)).clip(-1, 1)
    return tuple(tuple(to_fixed(row).tolist()) for row in drawn)


JOBS = [
    ResampleJob(kind=kind, values=rows(count, clusters), key="k", resamples=resamples)
    for kind in ("sign_flip", "bootstrap")
    for count, clusters, resamples in ((1, 1, 1), (3, 12, 500), (2, 32, 300), (5, 33, 1000), (4, 200, 2000))
]


def bits(result: ResampleResult) -> ResampleResult:
    return msgspec.structs.replace(result, library="")


@pytest.mark.parametrize("job", JOBS, ids=lambda job: f"{job.kind}-{len(job.values)}x{len(job.values[0])}")
def test_numpy_agrees_with_the_reference_to_the_bit(job: ResampleJob) -> None:
    assert encode(compute(job, HOST)) == encode(reference(job))


@pytest.mark.parametrize("job", JOBS, ids=lambda job: f"{job.kind}-{len(job.values)}x{len(job.values[0])}")
def test_cupy_agrees_with_the_reference_to_the_bit(job: ResampleJob) -> None:
    device = arrays.choose("")
    if device.name != "cupy":
        pytest.skip(f"no GPU: {arrays.describe()['reason']}")
    assert bits(compute(job, device)) == bits(reference(job))


@settings(max_examples=30, deadline=None)
@given(
    st.sampled_from(["sign_flip", "bootstrap"]),
    st.integers(1, 45).flatmap(
        lambda clusters: st.lists(
            st.lists(st.integers(-SCALE, SCALE), min_size=clusters, max_size=clusters), min_size=1, max_size=4
        )
    ),
    st.text(max_size=5),
)
def test_any_job_agrees(kind: str, values: list[list[int]], key: str) -> None:
    job = decode_job(
        msgspec.msgpack.encode(
            {"type": "resample", "kind": kind, "values": values, "key": key, "resamples": 200}
        )
    )
    assert compute(job, HOST) == reference(job)


@pytest.mark.parametrize("job", JOBS[-1:] + JOBS[4:5])
def test_blocks_change_nothing(job: ResampleJob) -> None:
    small = dataclasses.replace(HOST, block_bytes=50_000, held_bytes=100_000)
    assert compute(job, small) == compute(job, HOST)


def test_no_rows_give_no_answers() -> None:
    job = ResampleJob(kind="sign_flip", values=(), key="k")
    assert compute(job, HOST) == reference(job) == ResampleResult()


def test_a_job_is_its_content() -> None:
    job = JOBS[0]
    assert job_id(job) == hashlib.sha256(encode(job)).hexdigest()
    assert decode_job(encode(job)) == job
    assert job_id(decode_job(encode(job))) == job_id(job)
    assert len({job_id(each) for each in JOBS}) == len(JOBS)
    result = reference(job)
    assert decode_result(encode(result)) == result


def test_ids_of_jobs_are_pinned() -> None:
    """Results are cached under these ids: a field that is added must not change them by accident."""
    job = ResampleJob(kind="sign_flip", values=((1, 2), (3, 4)), key="k")
    assert job_id(job) == "d8835d9a551003e020b9011e33a950819a6bbe202e49ca463be7708540508db3"


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"kernel": 2}, "version 2"),
        ({"values": ((1, 2), (3,))}, "one length"),
        ({"values": ((),), "kind": "bootstrap"}, "at least one cluster"),
        ({"resamples": 0}, "between 1"),
        ({"level": 1.0}, "between 0 and 1"),
    ],
)
def test_a_job_that_asks_for_nonsense_is_refused(change: dict[str, object], reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        decode_job(encode(msgspec.structs.replace(JOBS[0], **change)))


@pytest.mark.parametrize("data", [b"", b"\x00", b"not a job", encode(ResampleResult())])
def test_bytes_that_are_no_job_are_refused(data: bytes) -> None:
    with pytest.raises(ValueError):
        decode_job(data)


def test_rows_unfit_for_exact_sums_are_refused() -> None:
    job = ResampleJob(kind="sign_flip", values=((2**53,),), key="k")
    with pytest.raises(ValueError, match="exact sums"):
        compute(job, HOST)
    with pytest.raises(ValueError, match="one length"):
        compute(msgspec.structs.replace(job, values=((1,), (1, 2))), HOST)
