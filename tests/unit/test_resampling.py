import dataclasses
import hashlib
from collections.abc import Iterator

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from contracts.gate import USUAL
from contracts.power import Design
from contracts.resample import (
    AnyJob,
    AnyResult,
    FamilyResult,
    IntervalJob,
    MaxTJob,
    PowerResult,
    ResampleJob,
    ResampleResult,
    decode_job,
    decode_result,
    encode,
    job_id,
    reference,
)
from contracts.simulation import PowerJob
from contracts.statistics import SCALE, to_fixed
from gpu_workers import arrays, resampler
from gpu_workers.errors import Interrupted
from gpu_workers.matrices import MATRICES
from gpu_workers.resampling import compute
from gpu_workers.testing import device

HOST = arrays.choose("numpy")


def rows(count: int, clusters: int, seed: int = 0) -> tuple[tuple[int, ...], ...]:
    drawn = np.random.default_rng(seed).normal(0.02, 0.1, (count, clusters)).clip(-1, 1)
    return tuple(tuple(to_fixed(row).tolist()) for row in drawn)


JOBS = [
    ResampleJob(kind=kind, values=rows(count, clusters), key="k", resamples=resamples)
    for kind in ("sign_flip", "bootstrap")
    for count, clusters, resamples in ((1, 1, 1), (3, 12, 500), (2, 32, 300), (5, 33, 1000), (4, 200, 2000))
]
DESIGN = Design(sizes=(3,) * 20, spread=USUAL)
OTHERS: list[AnyJob] = [
    MaxTJob(values=rows(3, 10), key="k"),
    MaxTJob(values=rows(4, 30), key="k", resamples=500),
    IntervalJob(values=rows(3, 12), key="k", seeds=3, resamples=500),
    IntervalJob(values=rows(3, 12), key="k", method="bca", resamples=500),
    IntervalJob(values=rows(3, 12), key="k", method="studentized", resamples=500),
    PowerJob(design=DESIGN, effects=(0.0, 0.05), seeds=(1, 2), key="k", decisions=100, resamples=500),
]


def bits(result: AnyResult) -> AnyResult:
    return msgspec.structs.replace(result, library="")


@pytest.mark.parametrize("job", JOBS, ids=lambda job: f"{job.kind}-{len(job.values)}x{len(job.values[0])}")
def test_numpy_agrees_with_the_reference_to_the_bit(job: ResampleJob) -> None:
    assert encode(compute(job, HOST)) == encode(reference(job))


@pytest.mark.parametrize("job", OTHERS, ids=lambda job: type(job).__name__)
def test_the_other_kinds_agree_as_well(job: AnyJob) -> None:
    found = compute(job, HOST)
    assert encode(found) == encode(reference(job))
    assert decode_job(encode(job)) == job
    assert decode_result(encode(found), type(found)) == found


@pytest.mark.parametrize("job", [*JOBS, *OTHERS], ids=lambda job: type(job).__name__)
@pytest.mark.parametrize("limit", [10**8, 300_000])
def test_a_device_that_takes_only_its_own_arrays_agrees(job: AnyJob, limit: int) -> None:
    MATRICES.forget()
    strict = device(HOST, block_bytes=limit, held_bytes=4 * limit)
    for _ in range(2):  # fresh, then kept
        assert bits(compute(job, strict)) == bits(reference(job))
    MATRICES.forget()


@pytest.mark.parametrize("job", [*JOBS, *OTHERS], ids=lambda job: type(job).__name__)
def test_cupy_agrees_with_the_reference_to_the_bit(job: AnyJob) -> None:
    gpu = arrays.choose("")
    if gpu.name != "cupy":
        pytest.skip(f"no GPU: {arrays.describe()['reason']}")
    assert bits(compute(job, gpu)) == bits(reference(job))


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


@pytest.mark.parametrize("job", [*JOBS[-1:], *JOBS[4:5], *OTHERS], ids=lambda job: type(job).__name__)
def test_blocks_change_nothing(job: AnyJob) -> None:
    small = dataclasses.replace(HOST, block_bytes=50_000, held_bytes=100_000)
    assert compute(job, small) == compute(job, HOST)


@pytest.mark.parametrize("job", [JOBS[4], JOBS[9], *OTHERS], ids=lambda job: type(job).__name__)
def test_out_of_memory_is_tried_again_in_smaller_blocks(job: AnyJob) -> None:
    """A machine whose memory suffices for small blocks only."""
    tries = 0

    def scarce() -> None:
        nonlocal tries
        tries += 1
        if tries <= 2:
            raise MemoryError

    assert compute(job, HOST, checkpoint=scarce) == compute(job, HOST)
    assert tries > 2


@pytest.mark.parametrize("job", [JOBS[4], JOBS[9], *OTHERS], ids=lambda job: type(job).__name__)
def test_all_cores_together_give_the_same(job: AnyJob, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resampler, "SMALL", 0)
    small = dataclasses.replace(HOST, block_bytes=50_000)
    for _ in range(3):
        assert compute(job, small) == reference(job)


def test_a_computation_on_all_cores_can_be_interrupted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resampler, "SMALL", 0)

    def stop() -> None:
        raise Interrupted

    for job in (JOBS[4], JOBS[9], OTHERS[1]):
        with pytest.raises(Interrupted):
            compute(job, HOST, checkpoint=stop)


def test_memory_that_never_suffices_is_said() -> None:
    def none() -> None:
        raise MemoryError

    with pytest.raises(MemoryError):
        compute(JOBS[4], HOST, checkpoint=none)


@pytest.mark.parametrize("job", [JOBS[4], JOBS[9], *OTHERS], ids=lambda job: type(job).__name__)
def test_kept_matrices_give_what_fresh_ones_do(job: AnyJob) -> None:
    MATRICES.forget()
    fresh = compute(job, HOST)
    other = msgspec.structs.replace(job, key="another")
    assert compute(other, HOST) == reference(other)
    assert compute(job, HOST) == fresh


def test_matrices_are_kept_up_to_a_limit_and_the_oldest_go() -> None:
    small = dataclasses.replace(HOST, held_bytes=4 * 100_000)

    def made(key: str) -> list[int]:
        calls: list[int] = []

        def make(rows: int) -> Iterator[NDArray[np.uint8]]:
            calls.append(rows)
            for start in range(0, 400, rows):
                yield np.ones((min(rows, 400 - start), 100), dtype=np.uint8)

        blocks = MATRICES.blocks(small, ("flips", key, 100, 1, 400), make, shape=(400, 100), rows=150)
        assert [len(block) for block in blocks] == [150, 150, 100]
        return calls

    MATRICES.forget()
    assert [bool(made(key)) for key in "ababcab"] == [True, True, False, False, True, True, True]


@settings(max_examples=40, deadline=None)
@given(
    st.integers(33, 60),
    st.lists(
        st.sampled_from([0, 1, -1, 2, 2**20, -(2**20), 2**39 + 1, SCALE, -SCALE]), min_size=60, max_size=60
    ),
)
def test_counts_that_float32_cannot_tell_are_exact(clusters: int, drawn: list[int]) -> None:
    """Ties, near ties, and numbers of all sizes, where the rough product decides nothing."""
    job = ResampleJob(
        kind="sign_flip", values=(tuple(drawn[:clusters]), tuple(drawn[-clusters:])), key="k", resamples=300
    )
    assert compute(job, HOST) == reference(job)


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
    assert len({job_id(each) for each in (*JOBS, *OTHERS)}) == len(JOBS) + len(OTHERS)


def test_a_result_is_read_as_what_the_job_comes_to() -> None:
    for job, kind in ((OTHERS[0], FamilyResult), (OTHERS[-1], PowerResult), (OTHERS[2], ResampleResult)):
        assert type(reference(job)) is kind
    with pytest.raises(ValueError, match="family"):
        decode_result(encode(reference(OTHERS[0])))


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


@pytest.mark.parametrize(
    ("job", "change", "reason"),
    [
        (OTHERS[0], {"values": ((1, 2), (3,))}, "one length"),
        (OTHERS[0], {"kernel": 2}, "version 2"),
        (OTHERS[2], {"seeds": 5}, "no table of clusters x 5 seeds"),
        (OTHERS[2], {"seeds": 0}, "no table"),
        (OTHERS[2], {"method": "studentized"}, "whole clusters"),
        (OTHERS[2], {"level": 0.0}, "between 0 and 1"),
        (OTHERS[-1], {"resamples": 0}, "between 1"),
        (OTHERS[-1], {"decisions": 0}, "between 1"),
    ],
)
def test_other_kinds_that_ask_for_nonsense_are_refused(
    job: AnyJob, change: dict[str, object], reason: str
) -> None:
    with pytest.raises(ValueError, match=reason):
        decode_job(encode(msgspec.structs.replace(job, **change)))


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
