"""Episodes without a bus: a few processes on this machine, for commands that answer at once and keep nothing."""

import os
import signal
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from contextlib import contextmanager
from multiprocessing import get_context
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from agents.executor.episode import run_episode
from agents.executor.reports import Reports
from agents.models.meter import Meter
from agents.models.sources import ModelSource
from agents.sandbox import Sandbox, SandboxFault
from bus.deathsig import tie
from contracts.chat import Model
from contracts.jobs import EpisodeJob, EpisodeResult
from contracts.tasks import GradedTask

_TRIES = 2
"""A failure of the infrastructure is no score: the episode runs once more before it is an error."""


class _Worker:
    """What a process keeps between episodes."""

    model: Model
    reports: Reports
    tasks: Mapping[str, GradedTask]


def _begin(
    source: ModelSource,
    meter: Meter | None,
    tasks: Mapping[str, GradedTask],
    reports: Path | None,
    unsafe: bool,
    parent: int,
) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to handle
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    tie(parent, signal.SIGKILL)
    _Worker.model = source.model(meter)
    _Worker.reports = Reports(Sandbox(unsafe=unsafe), reports)
    _Worker.tasks = tasks


def _episode(tree: Mapping[str, bytes], job: EpisodeJob) -> EpisodeResult:
    for attempt in range(_TRIES):
        try:
            return run_episode(job, _Worker.tasks[job.task], tree, _Worker.model, _Worker.reports)
        except SandboxFault:
            if attempt == _TRIES - 1:
                raise
    raise AssertionError("unreachable")


@contextmanager
def _undisturbed() -> Iterator[None]:
    """Put Ctrl-C off while a process may be starting, which would be left behind half made.

    The process itself inherits the blocked signal: a terminal sends Ctrl-C to all of them at once.
    """
    pressed: list[int] = []
    handler = signal.signal(signal.SIGINT, lambda number, _: pressed.append(number))
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        signal.signal(signal.SIGINT, handler)
    if pressed:
        raise KeyboardInterrupt


class LocalExecutors:
    """A pool of executor processes for some tasks, named by their digest."""

    def __init__(
        self,
        source: ModelSource,
        tasks: Mapping[str, GradedTask],
        *,
        processes: int | None = None,
        reports: Path | None = None,
        unsafe: bool = False,
    ) -> None:
        """`reports` is a file through which they share test reports, see `agents.executor.reports`."""
        self.count = processes or max(1, len(os.sched_getaffinity(0)))
        context = get_context("spawn")
        self._pool = ProcessPoolExecutor(
            self.count,
            mp_context=context,
            initializer=_begin,
            initargs=(source, source.meter(context), dict(tasks), reports, unsafe, os.getpid()),
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        processes: dict[int, Any] = dict(self._pool._processes or {})  # noqa: SLF001 - there is no public way
        self._pool.shutdown(wait=False, cancel_futures=True)
        for process in processes.values():
            process.terminate()
        for process in processes.values():
            process.join(5)

    def run(self, tree: Mapping[str, bytes], jobs: Iterable[EpisodeJob]) -> Iterator[EpisodeResult]:
        """Results of a harness's jobs as they come, in no order. Raises what an episode raised."""
        waiting: set[Future[EpisodeResult]] = set()
        for job in jobs:
            with _undisturbed():
                waiting.add(self._pool.submit(_episode, tree, job))
            if len(waiting) >= 8 * self.count:
                done, waiting = wait(waiting, return_when=FIRST_COMPLETED)
                yield from (future.result() for future in done)
        while waiting:
            done, waiting = wait(waiting, return_when=FIRST_COMPLETED)
            yield from (future.result() for future in done)
