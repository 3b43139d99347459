"""Rollouts as jobs on a real bus: by real workers, and by the command, with a bus and without."""

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import anyio
import pytest
from nats.aio.msg import Msg

from agents.testing import processes
from bus import jetstream
from bus.connection import Bus
from bus.errors import JobFailed
from bus.jobs import JobQueue
from bus.results import Done, Failed
from bus.testing import running_bus
from bus.worker import Job, Worker
from contracts.progress import Progress, decode_progress
from contracts.rollouts import (
    CartPole,
    Linear,
    PolicyGradient,
    RolloutSpec,
    Uniform,
    decode_result,
    encode,
    job_id,
    join,
    split,
    work,
)
from contracts.subjects import JOBS_STREAM, WITHDRAWN, progress_subject
from gpu_workers import arrays
from gpu_workers.rollouts.compute import compute
from gpu_workers.rollouts.jobs import Rollouts

SPEC = RolloutSpec(
    environments=(CartPole(limit=80),),
    policies=(Uniform(), Linear(), PolicyGradient(updates=3, copies=4, steps=16)),
    seeds=("a", "b", "c"),
    episodes=20,
)
TABLE = """
seeds = ["a", "b"]
episodes = 20
[[environment]]
kind = "cart_pole"
limit = 80
[[policy]]
kind = "uniform"
[[policy]]
kind = "linear"
scale = [1.0, 2.0]
"""


@asynccontextmanager
async def process(*command: str, folder: Path) -> AsyncIterator[asyncio.subprocess.Process]:
    environment = {**os.environ, "RATCHET_ARRAY": "numpy", "RATCHET_STORE": str(folder)}
    environment.pop("RATCHET_BUS", None)
    made = await asyncio.create_subprocess_exec(
        *command, env=environment, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    try:
        yield made
    finally:
        with suppress(ProcessLookupError):
            made.kill()
        await made.communicate()


@asynccontextmanager
async def worker(bus: Bus, folder: Path) -> AsyncIterator[asyncio.subprocess.Process]:
    """A worker process that serves already."""
    command = (sys.executable, "-P", "-m", "gpu_workers", "--silence", "1")
    async with process(*command, folder=folder) as made:
        await until_served(bus)
        yield made


async def until_served(bus: Bus) -> None:
    with anyio.fail_after(20):
        while not await JobQueue(bus).served("rollout"):  # noqa: ASYNC110 (another process's doing)
            await anyio.sleep(0.05)


async def command(folder: Path, *words: str) -> tuple[int, dict[str, Any], str]:
    """`ratchet rollout`: its exit code, its JSON, and what it said beside that."""
    (folder / "spec.toml").write_text(TABLE)
    ratchet = str(Path(sys.executable).with_name("ratchet"))
    async with process(
        ratchet, "rollout", str(folder / "spec.toml"), "--json", *words, folder=folder
    ) as made:
        with anyio.fail_after(30):
            out, said = await made.communicate()
        assert made.returncode is not None
        return made.returncode, json.loads(out), said.decode()


def figures(answer: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in answer.items() if name not in {"seconds", "phases"}}


def test_workers_answer_parts_as_this_process_answers_the_whole(tmp_path: Path) -> None:
    async def scenario() -> None:
        parts = {job_id(part): part for part in split(SPEC, steps=2500, figures=10**6)}
        assert len(parts) > 3
        bad = {"garbage": b"garbage", "another-id": encode(SPEC)}
        async with running_bus(tmp_path) as (_, bus), worker(bus, tmp_path):
            jobs = {name: encode(part) for name, part in parts.items()}
            with anyio.fail_after(30):
                found = await JobQueue(bus).collect("rollout", jobs | bad)
        kinds = {name: found.pop(name) for name in bad}
        assert all(isinstance(each, Failed) and each.kind == "malformed" for each in kinds.values())
        answers = []
        for name, result in found.items():
            assert isinstance(result, Done), result
            answers.append((parts[name], decode_result(result.data)))
        assert join(SPEC, answers).members == compute(SPEC, arrays.choose("numpy")).members

    anyio.run(scenario)


def test_the_command_asks_workers_where_some_run_and_computes_itself_where_none_does(tmp_path: Path) -> None:
    async def scenario() -> None:
        code, alone, _ = await command(tmp_path)
        assert (code, len(alone["members"])) == (0, 6)
        async with running_bus(tmp_path) as (server, bus):
            assert not await JobQueue(bus).served("rollout")
            assert figures((await command(tmp_path))[1]) == figures(alone)
            code, refused, _ = await command(tmp_path, "--bus", server.url)
            assert code == 3
            assert "python -P -m gpu_workers" in refused["error"]["message"]
            assert (await bus.jetstream.stream_info("RESULTS")).state.messages == 0
            async with worker(bus, tmp_path):
                assert figures((await command(tmp_path))[1]) == figures(alone)
                assert (await bus.jetstream.stream_info("RESULTS")).state.messages == 1
                assert figures((await command(tmp_path, "--here"))[1]) == figures(alone)

    anyio.run(scenario)


@asynccontextmanager
async def handler(bus: Bus | None) -> AsyncIterator[Rollouts]:
    """What a worker does with rollouts, in this process."""
    rollouts = Rollouts(bus, arrays.choose("numpy"))
    computing = asyncio.create_task(rollouts.run())
    try:
        yield rollouts
    finally:
        rollouts.stopping.set()
        computing.cancel()
        await asyncio.wait({computing})


@asynccontextmanager
async def serving(bus: Bus) -> AsyncIterator[Rollouts]:
    """The same with the queue and withdrawals."""
    async with handler(bus) as rollouts:
        worker = Worker(bus, ["rollout"], rollouts, slots=64, careful=True)

        async def withdraw(message: Msg) -> None:
            _, kind, job = message.subject.split(".", 2)
            worker.withdraw(kind, job)
            rollouts.withdraw(kind, job)

        interest = await bus.listen(f"{WITHDRAWN}.*.*", withdraw)
        working = asyncio.create_task(worker.run())
        yield rollouts
        rollouts.stopping.set()
        working.cancel()
        await asyncio.wait({working})
        await interest.stop()


@asynccontextmanager
async def heard(bus: Bus, spec: RolloutSpec) -> AsyncIterator[list[Progress]]:
    told: list[Progress] = []

    async def take(message: Msg) -> None:
        told.append(decode_progress(message.data))

    interest = await bus.listen(progress_subject("rollout", job_id(spec)), take)
    yield told
    await interest.stop()


async def until(what: Callable[[], bool]) -> None:
    with anyio.fail_after(20):
        while not what():  # noqa: ASYNC110 (what is waited for rings no bell)
            await anyio.sleep(0.01)


async def until_waiting(bus: Bus, count: int) -> None:
    """Until so many jobs are in the queue."""
    with anyio.fail_after(10):
        while True:
            info = await jetstream.manage(bus, f"STREAM.INFO.{JOBS_STREAM}", {})
            if info["state"]["messages"] == count:
                return
            await anyio.sleep(0.02)


def heavy(updates: int = 5000) -> RolloutSpec:
    """More work than any test waits for."""
    return RolloutSpec(
        environments=(CartPole(),), policies=(PolicyGradient(updates=updates),), seeds=("a",), episodes=1
    )


def small(seed: str) -> RolloutSpec:
    return RolloutSpec(environments=(CartPole(limit=80),), policies=(Linear(),), seeds=(seed,), episodes=20)


def test_a_heavy_rollout_can_be_interrupted_and_goes_back() -> None:
    async def scenario() -> None:
        async with handler(None) as rollouts:

            async def stop() -> None:
                await anyio.sleep(0.1)
                rollouts.stopping.set()

            async with anyio.create_task_group() as group:
                group.start_soon(stop)
                asked = Job(kind="rollout", job_id=job_id(heavy()), data=encode(heavy()), attempt=1)
                with pytest.raises(JobFailed, match="told to stop") as raised:
                    await rollouts(asked)
            assert raised.value.retry

    anyio.run(scenario)


def test_small_rollouts_share_a_batch(tmp_path: Path) -> None:
    async def scenario() -> None:
        specs = [small(str(index)) for index in range(30)]
        jobs = {job_id(each): encode(each) for each in specs}
        async with running_bus(tmp_path) as (_, bus), serving(bus) as rollouts:
            with anyio.fail_after(30):
                found = await JobQueue(bus).collect("rollout", jobs)
            assert rollouts.batches < len(specs) / 2
        for each in specs:
            result = found[job_id(each)]
            assert isinstance(result, Done), result
            alone = compute(each, arrays.choose("numpy"))
            answer = decode_result(result.data)
            assert (answer.members, answer.steps) == (alone.members, alone.steps)

    anyio.run(scenario)


def test_progress_is_told_and_a_withdrawn_rollout_ends_without_a_result(tmp_path: Path) -> None:
    async def scenario() -> None:
        spec = heavy()
        async with running_bus(tmp_path) as (_, bus), heard(bus, spec) as told, serving(bus):
            queue = JobQueue(bus)
            await queue.submit("rollout", job_id(spec), encode(spec))
            await until(lambda: any(each.done for each in told))
            last = told[-1]
            assert 0 < last.done < last.total == work(spec)
            assert last.eta > 0
            await queue.withdraw("rollout", job_id(spec))
            with anyio.fail_after(20):
                found = await queue.collect("rollout", {job_id(small("a")): encode(small("a"))})
            assert isinstance(found[job_id(small("a"))], Done)
            await until_waiting(bus, 0)
            assert await queue.result("rollout", job_id(spec)) is None

    anyio.run(scenario)


def test_a_killed_worker_costs_its_batch_only(tmp_path: Path) -> None:
    async def scenario() -> None:
        before, spec = small("a"), heavy(60)
        async with running_bus(tmp_path) as (_, bus), heard(bus, spec) as told:
            queue = JobQueue(bus)
            async with worker(bus, tmp_path) as made:
                with anyio.fail_after(20):
                    (first,) = (await queue.collect("rollout", {job_id(before): encode(before)})).values()
                await queue.submit("rollout", job_id(spec), encode(spec))
                await until(lambda: bool(told))
                made.kill()
                await made.wait()
            assert await queue.result("rollout", job_id(spec)) is None
            await until_waiting(bus, 1)
            jobs = {job_id(each): encode(each) for each in (before, spec)}
            async with worker(bus, tmp_path):
                with anyio.fail_after(30):
                    found = await queue.collect("rollout", jobs)
            assert found[job_id(before)] == first  # it was kept
            result = found[job_id(spec)]
            assert isinstance(result, Done)
            assert decode_result(result.data).members == compute(spec, arrays.choose("numpy")).members

    anyio.run(scenario)


def test_an_interrupted_command_withdraws_what_workers_have_not_done(tmp_path: Path) -> None:
    async def scenario() -> None:
        path = tmp_path / "long.toml"
        path.write_text(
            '[[environment]]\nkind = "cart_pole"\n[[policy]]\nkind = "policy_gradient"\nupdates = 20000\n'
        )
        ratchet = str(Path(sys.executable).with_name("ratchet"))
        async with running_bus(tmp_path) as (_, bus), serving(bus):
            told = []

            async def take(message: Msg) -> None:
                told.append(decode_progress(message.data))

            interest = await bus.listen(progress_subject("rollout", "*"), take)
            await until_served(bus)
            async with process(ratchet, "rollout", str(path), folder=tmp_path) as made:
                await until(lambda: bool(told))
                made.send_signal(signal.SIGINT)
                with anyio.fail_after(10):
                    _, said = await made.communicate()
                assert made.returncode == 130
            assert b"are withdrawn" in said
            assert b"Traceback" not in said
            await until_waiting(bus, 0)
            await interest.stop()

    anyio.run(scenario)


def test_the_command_ends_at_an_interrupt(tmp_path: Path) -> None:
    async def scenario() -> None:
        path = tmp_path / "long.toml"
        path.write_text(
            '[[environment]]\nkind = "cart_pole"\n[[policy]]\nkind = "policy_gradient"\nupdates = 20000\n'
        )
        ratchet = str(Path(sys.executable).with_name("ratchet"))
        async with process(ratchet, "rollout", str(path), folder=tmp_path) as made:
            with anyio.fail_after(60):  # until it computes: to start takes a fraction of this
                while processes()[made.pid].busy < 2 * os.sysconf("SC_CLK_TCK"):  # noqa: ASYNC110 - /proc rings no bell
                    await anyio.sleep(0.05)
            made.send_signal(signal.SIGINT)
            with anyio.fail_after(10):
                _, said = await made.communicate()
            assert made.returncode == 130
            assert b"interrupted; nothing was kept" in said
            assert b"Traceback" not in said

    anyio.run(scenario)
