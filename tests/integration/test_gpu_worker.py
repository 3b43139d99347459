import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Literal

import anyio
import numpy as np
import pytest
from click.testing import CliRunner

from bus.connection import Bus
from bus.errors import JobFailed
from bus.jobs import JobQueue
from bus.results import Done, Failed
from bus.testing import running_bus
from bus.worker import Job
from contracts.gate import USUAL
from contracts.power import Design
from contracts.resample import (
    AnyJob,
    IntervalJob,
    MaxTJob,
    ResampleJob,
    ResampleResult,
    decode_result,
    encode,
    job_id,
    reference,
)
from contracts.simulation import PowerJob
from contracts.statistics import to_fixed
from gpu_workers import arrays
from gpu_workers.__main__ import main
from gpu_workers.worker import Resampling

Kind = Literal["sign_flip", "bootstrap"]


def job(seed: int, kind: Kind = "sign_flip", clusters: int = 40, resamples: int = 2000) -> ResampleJob:
    values = np.random.default_rng(seed).normal(0.02, 0.1, (3, clusters)).clip(-1, 1)
    rows = tuple(tuple(to_fixed(row).tolist()) for row in values)
    return ResampleJob(kind=kind, values=rows, key="k", resamples=resamples)


@asynccontextmanager
async def worker(store: Path, *arguments: str) -> AsyncIterator[asyncio.subprocess.Process]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-P", "-m", "gpu_workers", "--store", str(store), *arguments),
        env={**os.environ, "RATCHET_ARRAY": "numpy", "RATCHET_LOG": "json"},
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        yield process
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        await process.communicate()


async def collect(bus: Bus, jobs: list[ResampleJob]) -> list[ResampleResult]:
    with anyio.fail_after(30):
        found = await JobQueue(bus).collect("resample", {job_id(each): encode(each) for each in jobs})
    results = []
    for each in jobs:
        done = found[job_id(each)]
        assert isinstance(done, Done), done
        results.append(decode_result(done.data))
    return results


def test_jobs_are_answered_as_the_reference_does(tmp_path: Path) -> None:
    kinds: tuple[Kind, ...] = ("sign_flip", "bootstrap")

    async def scenario() -> None:
        jobs = [job(seed, kind) for seed in range(4) for kind in kinds]
        async with running_bus(tmp_path) as (_, bus):
            async with worker(tmp_path, "--slots", "2"):
                assert await collect(bus, jobs) == [reference(each) for each in jobs]
            assert await collect(bus, jobs) == [
                reference(each) for each in jobs
            ]  # stored: no worker is there

    anyio.run(scenario)


def test_families_intervals_and_decisions_are_answered_too(tmp_path: Path) -> None:
    rows = job(1).values
    jobs: list[AnyJob] = [
        MaxTJob(values=rows, key="k", resamples=500),
        IntervalJob(values=rows, key="k", seeds=2, resamples=500),
        PowerJob(
            design=Design(sizes=(3,) * 20, spread=USUAL), effects=(0.05,), seeds=(2,), key="k", decisions=100
        ),
    ]

    async def scenario() -> None:
        async with running_bus(tmp_path) as (_, bus), worker(tmp_path):
            with anyio.fail_after(30):
                found = await JobQueue(bus).collect("resample", {job_id(each): encode(each) for each in jobs})
            for each in jobs:
                done, wanted = found[job_id(each)], reference(each)
                assert isinstance(done, Done), done
                assert decode_result(done.data, type(wanted)) == wanted

    anyio.run(scenario)


def test_what_cannot_be_done_is_a_typed_failure_and_the_worker_lives_on(tmp_path: Path) -> None:
    async def scenario() -> None:
        unfit = ResampleJob(kind="sign_flip", values=((2**53,),), key="k")
        bad = {"garbage": b"garbage", "another-id": encode(job(1)), job_id(unfit): encode(unfit)}
        async with running_bus(tmp_path) as (_, bus), worker(tmp_path):
            with anyio.fail_after(30):
                found = await JobQueue(bus).collect("resample", bad)
            kinds = {name: result.kind for name, result in found.items() if isinstance(result, Failed)}
            assert kinds == {"garbage": "malformed", "another-id": "malformed", job_id(unfit): "refused"}
            assert await collect(bus, [job(1)]) == [reference(job(1))]

    anyio.run(scenario)


@pytest.mark.parametrize("sign", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_cleanly(tmp_path: Path, sign: signal.Signals) -> None:
    async def scenario() -> None:
        async with running_bus(tmp_path) as (_, bus), worker(tmp_path) as process:
            await collect(bus, [job(2)])
            process.send_signal(sign)
            with anyio.fail_after(10):
                _, said = await process.communicate()
            assert process.returncode == 0
            assert b"worker stopped" in said
            assert b"Traceback" not in said

    anyio.run(scenario)


def test_after_a_kill_the_next_worker_serves(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running_bus(tmp_path) as (_, bus):
            async with worker(tmp_path) as process:
                await collect(bus, [job(3)])
                process.kill()
                await process.wait()
            async with worker(tmp_path):
                assert await collect(bus, [job(4)]) == [reference(job(4))]

    anyio.run(scenario)


def test_a_heavy_job_leaves_the_loop_free_and_can_be_interrupted() -> None:
    async def scenario() -> None:
        handler = Resampling(arrays=arrays.choose("numpy"))
        heavy = job(5, "bootstrap", clusters=400, resamples=1_000_000)
        ticks = 0

        async def tick() -> None:
            nonlocal ticks
            for _ in range(20):
                await anyio.sleep(0.01)
                ticks += 1
            handler.stopping.set()

        async with anyio.create_task_group() as group:
            group.start_soon(tick)
            asked = Job(kind="resample", job_id=job_id(heavy), data=encode(heavy), attempt=1)
            with pytest.raises(JobFailed, match="told to stop") as raised:
                await handler(asked)
        assert raised.value.retry
        assert ticks == 20

    anyio.run(scenario)


def test_without_a_bus_it_says_what_to_do(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with worker(tmp_path) as process:
            _, said = await process.communicate()
            assert process.returncode == 3
            assert b"python -m bus serve" in said

    anyio.run(scenario)


@pytest.mark.parametrize("option", ["-h", "--help"])
def test_help_is_asked_for_as_of_the_other_commands(option: str) -> None:
    done = CliRunner().invoke(main, [option])
    assert (done.exit_code, "Take resamplings, experiments and rollouts" in done.output) == (0, True)
