"""Waiting for the results of many jobs, whatever happens to the bus meanwhile."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from nats.aio.msg import Msg

from bus.results import JobResult, decode_result
from bus.streams import STORED

if TYPE_CHECKING:
    from bus.connection import Bus
    from bus.jobs import JobQueue

OnResult = Callable[[str, JobResult], None]
"""Called with a job's id and result as results arrive."""

_PARALLEL = 64
_LONGEST_SILENCE = 60.0


class Collection:
    """One call of `JobQueue.collect`."""

    def __init__(self, queue: JobQueue, bus: Bus, kind: str, jobs: Mapping[str, bytes]) -> None:
        self._queue = queue
        self._bus = bus
        self._kind = kind
        self._missing = dict(jobs)
        self._arrived: asyncio.Queue[tuple[str, JobResult] | None] = asyncio.Queue()
        self._look_again = asyncio.Event()

    async def run(self, on_result: OnResult | None, patience: float) -> dict[str, JobResult]:
        """Collect all of them."""
        results: dict[str, JobResult] = {}
        if not self._missing:
            return results
        interest = await self._bus.listen(f"{STORED}.{self._kind}.*", self._take)
        self._bus.reconnected.append(self._look_again.set)
        chasing = asyncio.create_task(self._chase(patience))
        chasing.add_done_callback(lambda _: self._arrived.put_nowait(None))
        try:
            while self._missing:
                arrival = await self._arrived.get()
                if arrival is None:
                    chasing.result()  # raises what it ended with
                    continue
                job_id, result = arrival
                if self._missing.pop(job_id, None) is not None:
                    results[job_id] = result
                    if on_result is not None:
                        on_result(job_id, result)
        finally:
            self._bus.reconnected.remove(self._look_again.set)
            chasing.cancel()
            with contextlib.suppress(asyncio.CancelledError, Exception):
                await chasing
            await interest.stop()
        return results

    async def _take(self, message: Msg) -> None:
        job_id = message.subject.rsplit(".", 1)[-1]
        if job_id in self._missing:
            self._arrived.put_nowait((job_id, decode_result(message.data)))

    async def _chase(self, patience: float) -> None:
        """Look up and submit what is missing: at once, after every reconnection, and after a silence."""
        await self._bus.persist(self._bus.flush)  # from here on no result escapes the subscription
        silence = patience
        while True:
            self._look_again.clear()
            await _each(list(self._missing.items()), self._settle)
            left = len(self._missing)
            while True:
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._look_again.wait(), silence)
                    silence = patience
                    break
                if len(self._missing) == left:
                    silence = min(silence * 2, _LONGEST_SILENCE)
                    break
                left = len(self._missing)
                silence = patience

    async def _settle(self, job: tuple[str, bytes]) -> None:
        job_id, payload = job
        if job_id not in self._missing:
            return
        result = await self._queue.result(self._kind, job_id)
        if result is not None:
            self._arrived.put_nowait((job_id, result))
        else:
            await self._queue.submit(self._kind, job_id, payload)


async def _each(
    items: Sequence[tuple[str, bytes]], call: Callable[[tuple[str, bytes]], Awaitable[None]]
) -> None:
    """Call it with every item, in order, several at once; the first error ends all."""
    remaining = iter(items)

    async def run() -> None:
        for item in remaining:
            await call(item)

    tasks = [asyncio.create_task(run()) for _ in range(min(_PARALLEL, len(items)))]
    try:
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
