"""Experiments on a real bus: answered once, in batches, told of while they run, and never lost with a worker."""

import asyncio
import os
import sys
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import anyio
import msgspec
import numpy as np
import pytest
from nats.aio.msg import Msg

from bus import jetstream
from bus.connection import Bus
from bus.jobs import JobQueue
from bus.results import Done, Failed, JobResult
from bus.testing import running_bus
from bus.worker import Worker
from contracts.datasets import DataSet, encode_data, from_arrays
from contracts.experiment_results import (
    ExperimentResult,
    StoredResult,
    decode_result,
)
from contracts.experiments import (
    GPU_KIND,
    KIND,
    Entry,
    ExperimentSpec,
    Folds,
    Needs,
    encode_spec,
    experiment_id,
    job_kind,
)
from contracts.progress import Progress, decode_progress
from contracts.stacks import Stacking
from contracts.subjects import JOBS_STREAM, WITHDRAWN, progress_subject
from eventstore.client import LedgerClient
from eventstore.service import LedgerService
from eventstore.signing import Signer
from eventstore.sqlite import SqliteStore
from gpu_workers import arrays
from gpu_workers.arrays import Arrays
from gpu_workers.errors import DeviceLost
from gpu_workers.experiments.cells import CellCache
from gpu_workers.experiments.compute import Computation
from gpu_workers.experiments.jobs import Experiments
from gpu_workers.experiments.prepare import prepare

HOST = arrays.choose("numpy")


def table(rows: int = 60, columns: int = 3, classes: int = 0) -> DataSet:
    rng = np.random.default_rng(1)
    x = rng.normal(size=(rows, columns))
    y: Any = x[:, 0] + rng.normal(size=rows)
    if classes:
        y = np.digitize(y, np.quantile(y, np.arange(1, classes) / classes))
    return from_arrays(x, y)


def small(alpha: float, **fields: Any) -> ExperimentSpec:
    values = {
        "data": table(), "metrics": ("rmse", "mae"), "folds": Folds(count=4), "configurations": ({"alpha": alpha},),
        **fields,
    }  # fmt: skip
    return ExperimentSpec(family="ridge", target="regression", **values)


def large(count: int = 40, rows: int = 400) -> ExperimentSpec:
    """Some seconds of work in many batches, for a worker with little memory."""
    return ExperimentSpec(
        family="logistic", target="multiclass", data=table(rows, 20, 4), metrics=("log_loss",),
        grid={"C": tuple(np.logspace(-3, 3, count).tolist())}, folds=Folds(count=10),
    )  # fmt: skip


def here(spec: ExperimentSpec) -> ExperimentResult:
    """The answer by the same code, alone and without a bus."""
    assert spec.data is not None
    (found,) = Computation(experiments=[prepare(spec, spec.data, HOST)], arrays=HOST, cache=CellCache()).run()
    assert isinstance(found, ExperimentResult)
    return found


def same(one: ExperimentResult, other: ExperimentResult) -> None:
    assert one.configurations == other.configurations
    for metric, scores in one.scores.items():
        np.testing.assert_allclose(np.array(scores), np.array(other.scores[metric]), rtol=1e-9)


@asynccontextmanager
async def process(store: Path, *arguments: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """`python -m gpu_workers`."""
    found = await asyncio.create_subprocess_exec(
        *(sys.executable, "-P", "-m", "gpu_workers", "--store", str(store), "--silence", "1", *arguments),
        env={**os.environ, "RATCHET_ARRAY": "numpy", "RATCHET_LOG": "json"},
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        yield found
    finally:
        with suppress(ProcessLookupError):
            found.kill()
        await found.wait()


@asynccontextmanager
async def handler(
    bus: Bus, *, memory: int = 0, library: Arrays = HOST, slots: int = 64, **more: Any
) -> AsyncIterator[Experiments]:
    """The same in this process, on so many bytes of memory."""
    library = replace(library, held_bytes=memory) if memory else library
    experiments = Experiments(bus, library, stopping=threading.Event(), **more)
    worker = Worker(bus, [KIND], experiments, slots=slots, accepts=experiments.accepts, careful=True)

    async def withdraw(message: Msg) -> None:
        _, kind, job = message.subject.split(".", 2)
        worker.withdraw(kind, job)
        experiments.withdraw(kind, job)

    interest = await bus.listen(f"{WITHDRAWN}.*.*", withdraw)
    async with anyio.create_task_group() as group:
        group.start_soon(experiments.run)
        group.start_soon(worker.run)
        try:
            yield experiments
        finally:
            experiments.stopping.set()
            group.cancel_scope.cancel()
    await interest.stop()


async def outcomes(bus: Bus, *specs: ExperimentSpec) -> list[JobResult]:
    jobs = {experiment_id(spec): encode_spec(spec) for spec in specs}
    with anyio.fail_after(30):
        found = await JobQueue(bus).collect(job_kind(specs[0]), jobs)
    return [found[experiment_id(spec)] for spec in specs]


async def results(bus: Bus, *specs: ExperimentSpec) -> list[ExperimentResult]:
    answers = []
    for found in await outcomes(bus, *specs):
        assert isinstance(found, Done), found
        answer = decode_result(found.data)
        assert isinstance(answer, ExperimentResult)
        answers.append(answer)
    return answers


async def waiting(bus: Bus) -> int:
    """Jobs in the queue."""
    info = await jetstream.manage(bus, f"STREAM.INFO.{JOBS_STREAM}", {})
    return int(info["state"]["messages"])


async def until_waiting(bus: Bus, count: int) -> None:
    with anyio.fail_after(10):
        while await waiting(bus) != count:  # noqa: ASYNC110 (a stream rings no bell)
            await anyio.sleep(0.01)


async def until(what: Callable[[], bool]) -> None:
    with anyio.fail_after(20):
        while not what():  # noqa: ASYNC110 (what is waited for rings no bell)
            await anyio.sleep(0.01)


@asynccontextmanager
async def heard(bus: Bus, spec: ExperimentSpec) -> AsyncIterator[list[Progress]]:
    """What is told of a job."""
    told: list[Progress] = []

    async def take(message: Msg) -> None:
        told.append(decode_progress(message.data))

    interest = await bus.listen(progress_subject(job_kind(spec), experiment_id(spec)), take)
    yield told
    await interest.stop()


def test_small_jobs_share_a_batch_and_a_result_is_computed_once(tmp_path: Path) -> None:
    async def scenario() -> None:
        specs = [small(0.1 * (1 + index)) for index in range(40)]
        async with running_bus(tmp_path) as (_, bus):
            async with handler(bus) as worker:
                for spec, found in zip(specs, await results(bus, *specs), strict=True):
                    same(found, here(spec))
                assert worker.batches < len(specs) / 2
                batches = worker.batches
                twice = small(0.1, configurations=({},), grid={"alpha": (0.1,)}, needs=Needs(memory=1))
                assert experiment_id(twice) == experiment_id(specs[0])
                await results(bus, twice)
                assert worker.batches == batches
            again = await results(bus, *specs)  # stored: no worker is there
            assert max(found.provenance.together for found in again) > 1

    anyio.run(scenario)


def test_stacks_share_a_batch_and_fits_with_other_jobs(tmp_path: Path) -> None:
    async def scenario() -> None:
        entries = (
            Entry(family="ridge", grid={"alpha": (0.5, 2.0)}),
            Entry(family="neighbours", grid={"neighbours": (2, 5)}),
        )
        stacked = msgspec.structs.replace(
            small(1.0),
            family="",
            configurations=({},),
            families=entries,
            stacks=(Stacking(), Stacking(best=2)),
        )
        async with running_bus(tmp_path) as (_, bus), heard(bus, stacked) as told, handler(bus) as worker:
            found, single = await results(bus, stacked, small(0.5))
            assert worker.batches == 1
            (later,) = await results(bus, small(2.0, predictions=True))
            assert later.provenance.reused == 4
            await until(lambda: bool(told) and told[-1].done == told[-1].total)
            assert told[-1].total == 4 * 4 + 2 * 4
        same(single, here(small(0.5)))
        assert found.families == ("ridge", "ridge", "neighbours", "neighbours")
        assert found.scores["rmse"][0][0] == pytest.approx(single.scores["rmse"][0][0])
        assert [len(stack.members[0][0]) for stack in found.stacks] == [4, 2]

    anyio.run(scenario)


def test_overlapping_jobs_fit_only_what_is_new(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running_bus(tmp_path) as (_, bus), handler(bus):
            (first,) = await results(bus, small(1.0))
            wider = small(1.0, configurations=({},), grid={"alpha": (0.5, 1.0)})
            (second,) = await results(bus, wider)
            assert (first.provenance.reused, second.provenance.reused) == (0, 4)
            same(second, here(wider))

    anyio.run(scenario)


def test_a_killed_worker_costs_its_batch_only(tmp_path: Path) -> None:
    async def scenario() -> None:
        before, heavy = small(1.0), large(60, 600)
        async with running_bus(tmp_path) as (_, bus), heard(bus, heavy) as told:
            queue = JobQueue(bus)
            async with process(tmp_path) as worker:
                await results(bus, before)
                await queue.submit(KIND, experiment_id(heavy), encode_spec(heavy))
                await until(lambda: bool(told))
                worker.kill()
                await worker.wait()
            assert await queue.result(KIND, experiment_id(heavy)) is None
            assert await waiting(bus) == 1
            async with process(tmp_path):
                heavy_again, before_again = await results(bus, heavy, before)
            same(before_again, here(before))
            same(heavy_again, here(heavy))

    anyio.run(scenario)


def test_progress_is_told_and_a_withdrawn_job_ends_without_a_result(tmp_path: Path) -> None:
    async def scenario() -> None:
        spec, other = large(400), small(3.0)
        async with (
            running_bus(tmp_path) as (_, bus),
            heard(bus, spec) as told,
            handler(bus, memory=4_000_000),
        ):
            queue = JobQueue(bus)
            await queue.submit(KIND, experiment_id(spec), encode_spec(spec))
            await until(lambda: any(each.done for each in told))
            last = told[-1]
            assert 0 < last.done < last.total == 4000
            assert last.eta > 0
            assert 0 < last.memory <= 4_000_000
            await queue.withdraw(KIND, experiment_id(spec))
            await results(bus, other)
            await until_waiting(bus, 0)
            assert await queue.result(KIND, experiment_id(spec)) is None
            count = len(told)
            await anyio.sleep(0.6)
            assert len(told) == count

    anyio.run(scenario)


def test_what_a_worker_has_not_stays_for_others(tmp_path: Path) -> None:
    async def scenario() -> None:
        on_gpu, roomy = small(1.0, needs=Needs(gpu=True)), small(1.0, needs=Needs(memory=2**60))
        async with running_bus(tmp_path) as (_, bus), heard(bus, roomy) as told, handler(bus):
            queue = JobQueue(bus)
            for spec in (on_gpu, roomy):
                await queue.submit(job_kind(spec), experiment_id(spec), encode_spec(spec))
            await until(lambda: bool(told))
            assert "this worker has" in told[0].note
            await results(bus, small(2.0))
            assert job_kind(on_gpu) == GPU_KIND
            await until_waiting(bus, 2)
            assert await queue.result(GPU_KIND, experiment_id(on_gpu)) is None

    anyio.run(scenario)


def test_what_cannot_be_computed_is_a_typed_failure_and_the_others_go_on(tmp_path: Path) -> None:
    async def scenario() -> None:
        gap = from_arrays([[np.inf], *np.ones((9, 1))], np.arange(10))
        refused = {
            "no family is called forest": msgspec.structs.replace(small(1.0), family="forest"),
            "alpha is -1": small(-1.0),
            "no metric is called roc": small(1.0, metrics=("roc",)),
            "column x0 is infinite in row 0": small(1.0, data=gap),
            "61 folds of 60 rows": small(1.0, folds=Folds(count=61)),
        }
        async with running_bus(tmp_path) as (_, bus), handler(bus):
            *bad, good = await outcomes(bus, *refused.values(), small(2.0))
            assert isinstance(good, Done)
            for words, found in zip(refused, bad, strict=True):
                assert isinstance(found, Failed)
                assert found.kind == "refused"
                assert words in found.reason
            garbage = await JobQueue(bus).collect(KIND, {"garbage": b"garbage"})
            assert isinstance(garbage["garbage"], Failed)
            assert garbage["garbage"].kind == "malformed"

    anyio.run(scenario)


def test_data_and_large_results_go_through_the_ledger(tmp_path: Path) -> None:
    async def scenario() -> None:
        data = table(3000, 4)
        spec = small(1.0, data=None, blob=data.hash, predictions=True)
        wide = msgspec.structs.replace(spec, configurations=tuple({"alpha": 1.0 + i} for i in range(60)))
        async with running_bus(tmp_path) as (_, bus), SqliteStore.open(tmp_path, create=True) as store:
            service = LedgerService(store, bus, Signer(store))
            await service.start()
            leading = asyncio.create_task(service.lead())
            async with handler(bus):
                ledger = LedgerClient(bus)
                assert await ledger.put(encode_data(data)) == data.hash
                (found,) = await results(bus, spec)
                same(found, here(msgspec.structs.replace(spec, data=data, blob="")))
                (stored,) = await outcomes(bus, wide)
                assert isinstance(stored, Done)
                named = decode_result(stored.data)
                assert isinstance(named, StoredResult)
                whole = decode_result(await ledger.get(named.blob))
                assert isinstance(whole, ExperimentResult)
                assert whole.predictions is not None
                assert len(whole.predictions.values) == 60 * 3000 * 8
                (lost,) = await outcomes(bus, small(1.0, data=None, blob="0" * 64))
                assert isinstance(lost, Failed)
                assert "0000" in lost.reason
            await service.stop()
            leading.cancel()
            await asyncio.wait({leading})

    anyio.run(scenario)


class Gone(Exception):
    """What a lost device raises."""


class Breaking:
    """NumPy whose device is lost as soon as something is fitted."""

    def __getattr__(self, name: str) -> Any:
        return getattr(np, name)

    def einsum(self, *_: Any, **__: Any) -> Any:
        raise Gone("the bus of the card went away")


def test_a_lost_device_ends_the_worker_and_its_job_goes_back(tmp_path: Path) -> None:
    async def scenario() -> None:
        faults: list[DeviceLost] = []
        library = replace(HOST, xp=Breaking(), lost=(Gone,), device="a card")
        async with running_bus(tmp_path) as (_, bus):
            async with handler(bus, library=library, on_lost=faults.append):
                await JobQueue(bus).submit(KIND, experiment_id(small(1.0)), encode_spec(small(1.0)))
                await until(lambda: bool(faults))
            assert "a card failed: the bus of the card went away" in str(faults[0])
            assert await waiting(bus) == 1
            async with handler(bus):
                (found,) = await results(bus, small(1.0))
            same(found, here(small(1.0)))

    anyio.run(scenario)
