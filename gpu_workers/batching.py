"""Jobs of the bus that are computed several at once, are told of meanwhile, and can be withdrawn."""

import asyncio
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

import anyio
import anyio.to_thread

from bus import traces
from bus.connection import Bus
from bus.errors import BusError, JobFailed, JobWithdrawn
from bus.worker import Job
from contracts.progress import Progress, encode_progress
from contracts.subjects import progress_subject
from gpu_workers.arrays import Arrays
from gpu_workers.errors import DeviceLost, Interrupted

LINGER = 0.002
"""Seconds that a batch waits for others to join it."""
MOST = 256
"""Jobs in one batch."""


@dataclass(kw_only=True, eq=False)
class Waiting:
    """A job that waits for its turn."""

    job_id: str
    kind: str
    attempt: int = 1
    parent: str = ""
    """Trace context of whoever asked."""
    withdrawn: bool = field(default=False)

    @property
    def light(self) -> bool:
        """Whether it is little work."""
        raise NotImplementedError

    @property
    def small(self) -> bool:
        """Whether it may share a batch. One that was begun before may have killed its worker, and goes alone."""
        return self.attempt == 1 and self.light


W = TypeVar("W", bound=Waiting)
Outcome = TypeVar("Outcome")


def pick(waiting: Sequence[W]) -> list[W]:
    """The next batch: whatever came first, with all small ones that wait, if it is small itself."""
    if not waiting[0].small:
        return [waiting[0]]
    return [item for item in waiting if item.small][:MOST]


class Batching(ABC, Generic[W, Outcome]):
    """Computes what waits, batch by batch, in a thread. `run` has to run beside whoever asks."""

    def __init__(
        self,
        bus: Bus | None,
        arrays: Arrays,
        *,
        stopping: threading.Event | None = None,
        on_lost: Callable[[DeviceLost], None] = lambda _: None,
        on_pace: Callable[[float], None] = lambda _: None,
    ) -> None:
        """Without a bus nothing is told of progress."""
        self.stopping = stopping or threading.Event()
        """Set it, and computations end at their next kernel."""
        self.batches = 0
        """Computations so far."""
        self._bus = bus
        self._arrays = arrays
        self._on_lost = on_lost
        self._on_pace = on_pace
        self._waiting: list[tuple[W, asyncio.Future[bytes]]] = []
        self._under_way: dict[tuple[str, str], W] = {}
        self._arrived = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None

    @abstractmethod
    async def __call__(self, job: Job) -> bytes:
        """Answer one job: look at it, and let it wait by `answered`."""

    @abstractmethod
    def compute(self, items: Sequence[W]) -> Sequence[Outcome | None]:
        """Outcomes in the order of the items, None for what was withdrawn; runs in a thread.

        Raises:
            Interrupted: the worker is stopping.
        """

    @abstractmethod
    async def encode(self, outcome: Outcome) -> bytes:
        """The answer to a job.

        Raises:
            JobFailed: it cannot be computed.
        """

    async def answered(self, item: W) -> bytes:
        """The answer to a job, once its batch was computed.

        Raises:
            JobFailed: it cannot be computed; or it was interrupted or the device failed, then to be retried.
            JobWithdrawn: nobody waits for it any more.
        """
        answer: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        self._under_way[item.kind, item.job_id] = item
        self._waiting.append((item, answer))
        self._arrived.set()
        try:
            return await answer
        finally:
            item.withdrawn = item.withdrawn or not answer.done() or answer.cancelled()
            self._under_way.pop((item.kind, item.job_id), None)

    def withdraw(self, kind: str, job_id: str) -> None:
        """Nobody waits for a job any more: it ends without a result before its next kernel or batch."""
        item = self._under_way.get((kind, job_id))
        if item is not None:
            item.withdrawn = True

    async def run(self) -> None:
        """Compute what waits, batch by batch, until cancelled."""
        while True:
            await self._arrived.wait()
            await anyio.sleep(LINGER)
            self._arrived.clear()
            while self._waiting:
                chosen = {id(item) for item in pick([item for item, _ in self._waiting])}
                batch = [pair for pair in self._waiting if id(pair[0]) in chosen]
                self._waiting = [pair for pair in self._waiting if id(pair[0]) not in chosen]
                await self._answer(batch)

    def tell(self, item: W, *, done: int, total: int, seconds: float, memory: int = 0) -> None:
        """Publish how far a job has come; may be called from any thread."""
        bus, loop = self._bus, self._loop
        if bus is None or loop is None:
            return
        progress = Progress(
            job=item.job_id,
            done=done,
            total=total,
            seconds=seconds,
            eta=seconds * (total - done) / done if done else 0.0,
            memory=memory,
            worker=bus.name,
        )
        loop.call_soon_threadsafe(bus.spawn, lambda: self.publish(item.kind, progress))

    async def publish(self, kind: str, progress: Progress) -> None:
        """Tell whoever listens."""
        if self._bus is not None:
            await self._bus.publish(progress_subject(kind, progress.job), encode_progress(progress))

    async def _answer(self, batch: Sequence[tuple[W, asyncio.Future[bytes]]]) -> None:
        items = [item for item, _ in batch]
        begun = time.monotonic()
        try:
            outcomes = await self._computed(items)
        except Exception as error:
            for item, future in batch:
                _settle(future, JobWithdrawn(item.job_id) if item.withdrawn else self._explained(error))
            return
        self.batches += 1
        self._on_pace((time.monotonic() - begun) / len(batch))
        for (item, future), outcome in zip(batch, outcomes, strict=True):
            try:
                if outcome is None:
                    raise JobWithdrawn(item.job_id)
                _settle(future, await self.encode(outcome))
            except BusError as error:
                _settle(future, error)

    async def _computed(self, items: Sequence[W]) -> Sequence[Outcome | None]:
        def work() -> Sequence[Outcome | None]:
            with traces.span(f"{items[0].kind} batch", items[0].parent, **{"ratchet.jobs": len(items)}):
                return self.compute(items)

        self._loop = asyncio.get_running_loop()
        return await anyio.to_thread.run_sync(work)

    def _explained(self, error: Exception) -> Exception:
        """What the queue is told of an error that ended a whole batch."""
        if isinstance(error, Interrupted):
            return JobFailed(str(error), retry=True)
        if isinstance(error, self._arrays.lost):
            fault = DeviceLost(self._arrays.device, str(error))
            self._on_lost(fault)
            return JobFailed(str(fault), retry=True)
        return error


def _settle(future: "asyncio.Future[bytes]", answer: bytes | Exception) -> None:
    if future.done():
        return
    if isinstance(answer, bytes):
        future.set_result(answer)
    else:
        future.set_exception(answer)
