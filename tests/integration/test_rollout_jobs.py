"""Rollouts as jobs on a real bus: by real workers, and by the command, with a bus and without."""

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import anyio
import pytest

from bus.connection import Bus
from bus.errors import JobFailed
from bus.jobs import JobQueue
from bus.results import Done, Failed
from bus.testing import running_bus
from bus.worker import Job
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
)
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
    async with process(sys.executable, "-P", "-m", "gpu_workers", folder=folder) as made:
        with anyio.fail_after(20):
            while not await JobQueue(bus).served("rollout"):  # noqa: ASYNC110 (another process's doing)
                await anyio.sleep(0.05)
        yield made


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


def test_a_heavy_rollout_can_be_interrupted_and_goes_back() -> None:
    async def scenario() -> None:
        handler = Rollouts(arrays.choose("numpy"))
        heavy = RolloutSpec(
            environments=(CartPole(),), policies=(PolicyGradient(updates=5000),), seeds=("a",), episodes=1
        )

        async def stop() -> None:
            await anyio.sleep(0.1)
            handler.stopping.set()

        async with anyio.create_task_group() as group:
            group.start_soon(stop)
            asked = Job(kind="rollout", job_id=job_id(heavy), data=encode(heavy), attempt=1)
            with pytest.raises(JobFailed, match="told to stop") as raised:
                await handler(asked)
        assert raised.value.retry

    anyio.run(scenario)


def test_the_command_ends_at_an_interrupt(tmp_path: Path) -> None:
    async def scenario() -> None:
        path = tmp_path / "long.toml"
        path.write_text(
            '[[environment]]\nkind = "cart_pole"\n[[policy]]\nkind = "policy_gradient"\nupdates = 20000\n'
        )
        ratchet = str(Path(sys.executable).with_name("ratchet"))
        async with process(ratchet, "rollout", str(path), folder=tmp_path) as made:
            assert made.stderr is not None
            with anyio.fail_after(30):
                await made.stderr.readuntil(b"array library")  # it computes
            made.send_signal(signal.SIGINT)
            with anyio.fail_after(10):
                _, said = await made.communicate()
            assert made.returncode == 130
            assert b"interrupted" in said
            assert b"Traceback" not in said

    anyio.run(scenario)
