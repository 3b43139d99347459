"""Jobs: work under an id that is the hash of its content, done by whoever has a free slot, once.

A job waits in the stream JOBS under `jobs.<kind>.<id>` until it is acknowledged; one with the same id is
not taken in beside it, however late it comes. Its result stays in the stream RESULTS under
`results.<kind>.<id>`; the first one counts. Both streams may be lost at any time: whoever collects submits
again what is missing.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import TypeVar

from bus import jetstream
from bus.collection import Collection, OnResult
from bus.connection import Bus
from bus.errors import NoResponder, StreamFailed, WrongSequence
from bus.pull import consumer_name
from bus.results import JobResult, decode_result, encode_result
from bus.starts import forget_starts
from bus.streams import ensure_streams
from contracts.subjects import JOBS_STREAM, RESULTS_STREAM, job_subject, result_subject, withdrawal_subject

T = TypeVar("T")
_NOT_THERE = frozenset({10014, 10059})
"""No such consumer, no such stream: no worker of that kind was ever there."""
_LOOKS, _BETWEEN = 3, 0.2
"""Looks for a worker, and seconds between them: one that asks anew every now and then is not seen in that moment."""


class JobQueue:
    """Submits jobs and collects their results."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus

    async def submit(self, kind: str, job_id: str, payload: bytes) -> bool:
        """Put a job into the queue, for as long as it takes; returns False when it waits there already.

        Raises:
            TooLarge: the payload belongs into a blob.
            StreamFailed: JetStream refused it.
        """
        subject = f"{job_subject(kind)}.{job_id}"
        return await self._store_first(subject, payload)

    async def result(self, kind: str, job_id: str) -> JobResult | None:
        """A job's result, if there is one; waits while the bus is away.

        Raises:
            StreamFailed: JetStream refused.
        """

        async def look() -> JobResult | None:
            found = await jetstream.last(self._bus, RESULTS_STREAM, result_subject(kind, job_id))
            return None if found is None else decode_result(found.data)

        return await self._bus.persist(lambda: self._with_streams(look))

    async def store_result(self, kind: str, job_id: str, result: JobResult) -> bool:
        """Keep a result unless there is one already; returns whether it was kept (a retry may not know).

        Waits while the bus is away.

        Raises:
            TooLarge: the result belongs into a blob.
            StreamFailed: JetStream refused it.
        """
        return await self._store_first(result_subject(kind, job_id), encode_result(result))

    async def served(self, kind: str) -> bool:
        """Whether a worker waits for jobs of a kind, or has some, at this moment; one that was killed may seem to.

        Raises:
            StreamFailed, BusUnavailable, NoResponder, RequestTimeout.
        """
        for attempt in range(_LOOKS):
            if attempt:
                await asyncio.sleep(_BETWEEN)
            try:
                consumer = await jetstream.manage(
                    self._bus, f"CONSUMER.INFO.{JOBS_STREAM}.{consumer_name(kind)}", {}
                )
            except StreamFailed as error:
                if error.code not in _NOT_THERE:
                    raise
                return False
            if consumer["num_waiting"] or consumer["num_ack_pending"]:
                return True
        return False

    async def forget(self, kind: str, job_id: str) -> None:
        """Drop a job's result, so that it can be done again: after a failure whose cause was removed.

        Raises:
            StreamFailed, BusUnavailable, NoResponder, RequestTimeout.
        """
        await jetstream.manage(
            self._bus, f"STREAM.PURGE.{RESULTS_STREAM}", {"filter": result_subject(kind, job_id)}
        )
        await forget_starts(self._bus, kind, job_id)

    async def withdraw(self, kind: str, job_id: str) -> None:
        """Take a job out of the queue, and tell the worker that may have it; a result that exists stays.

        Whoever else collects the job submits it again after a silence.

        Raises:
            StreamFailed, BusUnavailable, NoResponder, RequestTimeout.
        """
        subject = f"{job_subject(kind)}.{job_id}"
        await jetstream.manage(self._bus, f"STREAM.PURGE.{JOBS_STREAM}", {"filter": subject})
        await self._bus.publish(withdrawal_subject(kind, job_id))

    async def collect(
        self,
        kind: str,
        jobs: Mapping[str, bytes],
        on_result: OnResult | None = None,
        *,
        patience: float = 5.0,
    ) -> dict[str, JobResult]:
        """The results of jobs (id → payload), for as long as it takes.

        Existing results are used, missing jobs are submitted; after a reconnection, and after `patience`
        seconds in which nothing arrived (then longer and longer), both are done again. Cancel it to stop
        waiting: the jobs stay in the queue, and a later call finds what was done meanwhile.

        Raises:
            TooLarge, StreamFailed: a job cannot be submitted.
        """
        return await Collection(self, self._bus, kind, jobs).run(on_result, patience)

    async def _store_first(self, subject: str, data: bytes) -> bool:
        async def attempt() -> bool:
            try:
                await jetstream.store(self._bus, subject, data, expected=0)
            except WrongSequence:
                return False
            return True

        return await self._bus.persist(lambda: self._with_streams(attempt))

    async def _with_streams(self, call: Callable[[], Awaitable[T]]) -> T:
        try:
            return await call()
        except NoResponder:  # a store that was wiped
            await ensure_streams(self._bus, only=(JOBS_STREAM, RESULTS_STREAM))
            return await call()
