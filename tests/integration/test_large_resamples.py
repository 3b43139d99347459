"""Large resamples go to the workers and come back as the gate would have computed them itself."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TypeVar

import anyio
import numpy as np
import pytest

from agents.evaluator import resampling
from agents.evaluator.resampling import Workers
from agents.work import desk_for
from bus.testing import running_bus
from contracts import gate
from contracts.gate import ArmScores, GateSettings
from contracts.statistics import Fixed, to_fixed
from gpu_workers import arrays
from gpu_workers.worker import serve

T = TypeVar("T")
CLUSTERS, RESAMPLES = 60, 40_000


def differences() -> Fixed:
    return to_fixed(np.random.default_rng(3).normal(0.02, 0.1, CLUSTERS).clip(-1, 1))


def with_workers(store: Path, call: Callable[[Workers], T], *, serving: bool = True) -> tuple[T, int]:
    """What a call with a real worker behind it gives, and how many jobs that took."""

    async def run() -> tuple[T, int]:
        async with running_bus(store) as (server, bus), anyio.create_task_group() as tasks:
            if serving:
                tasks.start_soon(partial(serve, server.url, arrays.choose("numpy"), slots=1))
            workers = Workers(desk_for(bus, "evaluator", "e"))
            found = await anyio.to_thread.run_sync(call, workers)
            info = await bus.jetstream.stream_info("RESULTS")
            tasks.cancel_scope.cancel()
        return found, info.state.messages

    return anyio.run(run)


def test_workers_give_the_same_figures(tmp_path: Path) -> None:
    d = differences()

    def both(workers: Workers) -> tuple[object, object]:
        flips = workers.sign_flip(d, resamples=RESAMPLES, key="k")
        return flips, workers.interval(d, level=0.9, resamples=RESAMPLES, key="k")

    (flips, interval), jobs = with_workers(tmp_path, both)
    assert jobs == 2
    assert flips == gate.INLINE.sign_flip(d, resamples=RESAMPLES, key="k")
    assert interval == gate.INLINE.interval(d, level=0.9, resamples=RESAMPLES, key="k")


def test_a_whole_verdict_is_the_same_and_small_ones_ask_nobody(tmp_path: Path) -> None:
    rng = np.random.default_rng(5)
    arms = [
        ArmScores(
            tree=tree, scores=tuple(tuple(row) for row in rng.integers(0, 2, (CLUSTERS, 4)).astype(float))
        )
        for tree in ("a", "b")
    ]
    names = [f"package-{i}" for i in range(CLUSTERS)]
    large, small = GateSettings(resamples=RESAMPLES), GateSettings(resamples=1_000)

    def verdicts(workers: Workers) -> list[gate.Verdict]:
        return [
            gate.confirm(arms[0], arms[1], names, settings, key="k", resampler=workers)
            for settings in (small, large)
        ]

    found, jobs = with_workers(tmp_path, verdicts)
    assert jobs == 2
    assert found == [gate.confirm(arms[0], arms[1], names, s, key="k") for s in (small, large)]


def test_without_a_worker_the_figures_are_computed_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resampling, "PATIENCE", 0.3)
    d = differences()
    found, jobs = with_workers(
        tmp_path, lambda workers: workers.sign_flip(d, resamples=RESAMPLES, key="k"), serving=False
    )
    assert jobs == 0
    assert found == gate.INLINE.sign_flip(d, resamples=RESAMPLES, key="k")
