"""A worker: takes jobs from the queue, does them, stores their results."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Sequence

import anyio
import msgspec
import structlog
from nats.aio.msg import Msg

from bus import semconv, traces
from bus.connection import Bus
from bus.dead import dead_letter
from bus.errors import BusError, JobFailed, JobWithdrawn, TooLarge
from bus.jobs import JobQueue
from bus.pull import Puller
from bus.results import Done, Failed, JobResult
from bus.service import is_malformed
from bus.starts import mark_start
from contracts.record import Record
from contracts.subjects import job_subject

_log = structlog.get_logger("bus.worker")

_ACK = b"+ACK"
_NAK = b"-NAK"
_PROGRESS = b"+WPI"
_TERM = b"+TERM"
_LONGEST_DELAY = 30.0
_PASSED = 1.0
"""Seconds until a job that a worker cannot do is delivered again, to another with luck."""


class Job(Record, frozen=True, kw_only=True):
    """A job as its handler gets it."""

    kind: str
    job_id: str
    data: bytes
    attempt: int
    """1 for the first."""


JobHandler = Callable[[Job], Awaitable[bytes]]
"""Does a job.

Raises `JobFailed` for one that cannot be done, `MalformedMessage` (or a msgspec error) for one that cannot be
understood; anything else is tried again. Long computations belong into a thread or a process: the event
loop must stay free to tell the server that the job is being worked on. `JobWithdrawn` ends a job without a
result."""

Accepts = Callable[[Job], Awaitable[bool]]
"""Whether this worker can do a job; one that it cannot goes to another, and that counts as no attempt."""


async def work(
    bus: Bus,
    kinds: Sequence[str],
    handler: JobHandler,
    *,
    slots: int = 1,
    prefetch: int | None = None,
    ack_wait: float = 30.0,
    heartbeat: float | None = None,
    max_deliver: int = 5,
    retry_delay: float = 1.0,
) -> None:
    """Work until cancelled; see `Worker`."""
    worker = Worker(
        bus,
        kinds,
        handler,
        slots=slots,
        prefetch=prefetch,
        ack_wait=ack_wait,
        heartbeat=heartbeat,
        max_deliver=max_deliver,
        retry_delay=retry_delay,
    )
    await worker.run()


class Worker:
    """Does jobs, `slots` at once, with `prefetch` more of each kind at hand (default: as many again).

    A job whose worker falls silent for `ack_wait` seconds goes to another; a sign of life is sent for all
    that are held every `heartbeat` seconds (default: a third of that). A job that failed is delivered again
    after `retry_delay` seconds, doubled each time; after `max_deliver` attempts (a death of the worker
    counts as one) it becomes a dead letter `dead.jobs.<kind>` and a stored `Failed`.

    With `careful`, jobs that were delivered before are begun one at a time: a handler that does many jobs in one
    go may have been killed by any of them, and only the one that is begun is counted.
    """

    def __init__(
        self,
        bus: Bus,
        kinds: Sequence[str],
        handler: JobHandler,
        *,
        slots: int = 1,
        prefetch: int | None = None,
        ack_wait: float = 30.0,
        heartbeat: float | None = None,
        max_deliver: int = 5,
        retry_delay: float = 1.0,
        accepts: Accepts | None = None,
        careful: bool = False,
    ) -> None:
        self.settled = 0
        """Jobs acknowledged so far, done or failed."""
        self._bus = bus
        self._queue = JobQueue(bus)
        self._handler = handler
        self._slots = slots
        self._heartbeat = heartbeat if heartbeat is not None else ack_wait / 3
        self._max_deliver = max_deliver
        self._retry_delay = retry_delay
        self._accepts = accepts
        self._turn = asyncio.Lock() if careful else None
        self._withdrawn: set[str] = set()
        self._held: dict[str, tuple[Msg, Puller]] = {}
        """Subject → message; while a job waits, no other has its subject."""
        self._waiting: asyncio.Queue[str | None] = asyncio.Queue()
        self._stopping = asyncio.Event()
        capacity = slots + (slots if prefetch is None else prefetch)
        self._pullers = [self._puller(kind, capacity, ack_wait) for kind in kinds]

    def stop(self) -> None:
        """Take no more jobs, finish those that run, hand the others back; `run` returns then."""
        if not self._stopping.is_set():
            self._stopping.set()
            for puller in self._pullers:
                puller.stop()
            for _ in range(self._slots):
                self._waiting.put_nowait(None)

    def resize(self, capacity: int) -> None:
        """Hold so many jobs of each kind from now on, those under way among them."""
        for puller in self._pullers:
            puller.resize(capacity)

    def withdraw(self, kind: str, job_id: str) -> None:
        """Drop a job that waits here; the handler itself ends one that it has begun, by `JobWithdrawn`."""
        subject = f"{job_subject(kind)}.{job_id}"
        if subject in self._held:
            self._withdrawn.add(subject)

    async def run(self) -> None:
        """Work until `stop` is called or until cancelled: then what is held goes back to the queue."""
        try:
            async with anyio.create_task_group() as background:
                for puller in self._pullers:
                    background.start_soon(puller.run)
                background.start_soon(self._send_signs_of_life)
                async with anyio.create_task_group() as runners:
                    for _ in range(self._slots):
                        runners.start_soon(self._run_jobs)
                background.cancel_scope.cancel()
        finally:
            with anyio.move_on_after(2, shield=True):
                await self._hand_back()

    def _puller(self, kind: str, capacity: int, ack_wait: float) -> Puller:
        def deliver(message: Msg) -> None:
            if message.subject in self._held:
                self._held[message.subject] = (message, puller)  # delivered again: its acknowledgement counts
                puller.release()
                return
            self._held[message.subject] = (message, puller)
            self._waiting.put_nowait(message.subject)

        puller = Puller(self._bus, kind, capacity=capacity, ack_wait=ack_wait, deliver=deliver)
        return puller

    async def _run_jobs(self) -> None:
        while not self._stopping.is_set():
            subject = await self._waiting.get()
            if subject is None:
                return
            try:
                await self._serve(subject)
            except BusError as error:
                _log.warning("job dropped; it is delivered again", job=subject, error=str(error))
                self._let_go(subject)

    async def _serve(self, subject: str) -> None:
        message, puller = self._held[subject]
        job_id = subject.removeprefix(f"{job_subject(puller.kind)}").removeprefix(".")
        if not job_id or "." in job_id:
            reason = f"the subject is not {job_subject(puller.kind)}.<id>"
            await dead_letter(self._bus, f"jobs.{puller.kind}", message.data, reason=reason, subject=subject)
            await self._settle(subject, _TERM)
            return
        if await self._queue.result(puller.kind, job_id) is not None:
            await self._settle(subject, _ACK)
            return
        job = Job(kind=puller.kind, job_id=job_id, data=bytes(message.data), attempt=1)
        if self._accepts is not None and not await self._accepts(job):
            await self._send_back(subject, _PASSED)
            return
        parent = traces.extract(message.headers)
        if message.metadata.num_delivered == 1:
            await self._begin(subject, job, parent)
            return
        async with self._turn or contextlib.nullcontext():
            attempt = await mark_start(self._bus, puller.kind, job_id)
            await self._begin(subject, msgspec.structs.replace(job, attempt=attempt), parent)

    async def _begin(self, subject: str, job: Job, parent: str) -> None:
        try:
            result = await self._do(subject, job, parent)
        except JobWithdrawn:
            await self._settle(subject, _TERM)
            return
        if result is None:
            await self._send_back(subject, min(self._retry_delay * 2.0 ** (job.attempt - 1), _LONGEST_DELAY))
            return
        try:
            await self._queue.store_result(job.kind, job.job_id, result)
        except TooLarge as error:
            result = Failed(reason=str(error), kind="too_large")
            await self._queue.store_result(job.kind, job.job_id, result)
        if isinstance(result, Failed):
            _log.warning("job failed", kind=job.kind, job=job.job_id, reason=result.reason, why=result.kind)
            await dead_letter(
                self._bus,
                f"jobs.{job.kind}",
                job.data,
                reason=f"{result.kind}: {result.reason}",
                subject=subject,
            )
        await self._settle(subject, _ACK)

    async def _do(self, subject: str, job: Job, parent: str) -> JobResult | None:
        """Run the handler; None when the job is to be tried again."""
        if subject in self._withdrawn:
            raise JobWithdrawn(job.job_id)
        if job.attempt > self._max_deliver:
            return Failed(reason=f"it was begun {self._max_deliver} times and never ended", kind="exhausted")
        facts: dict[str, traces.Attribute] = {
            semconv.MESSAGING_SYSTEM: semconv.NATS,
            semconv.MESSAGING_OPERATION_TYPE: "process",
            semconv.MESSAGING_DESTINATION_NAME: job_subject(job.kind),
            semconv.RATCHET_JOB_ID: job.job_id,
            semconv.RATCHET_JOB_ATTEMPT: job.attempt,
        }
        try:
            with traces.span(f"process {job_subject(job.kind)}", parent, **facts):
                return Done(data=await self._handler(job))
        except JobWithdrawn:
            raise
        except JobFailed as error:
            if not error.retry:
                return Failed(reason=error.reason, kind="refused")
            reason = error.reason
        except Exception as error:
            if is_malformed(error):
                return Failed(reason=str(error), kind="malformed")
            reason = f"{type(error).__name__}: {error}"
            _log.warning(
                "job's handler failed", kind=job.kind, job=job.job_id, attempt=job.attempt, exc_info=error
            )
        if job.attempt >= self._max_deliver:
            return Failed(reason=f"{reason} (attempt {job.attempt}, the last)", kind="exhausted")
        return None

    async def _send_back(self, subject: str, delay: float) -> None:
        await self._settle(subject, _NAK + b' {"delay": %d}' % int(delay * 1e9))

    async def _settle(self, subject: str, answer: bytes) -> None:
        message, _ = self._held[subject]
        await self._bus.publish(message.reply, answer)
        if answer in {_ACK, _TERM}:
            self.settled += 1
        self._let_go(subject)

    def _let_go(self, subject: str) -> None:
        self._withdrawn.discard(subject)
        held = self._held.pop(subject, None)
        if held is not None:
            held[1].release()

    async def _send_signs_of_life(self) -> None:
        while True:
            await asyncio.sleep(self._heartbeat)
            for message, _ in list(self._held.values()):
                try:
                    await self._bus.publish(message.reply, _PROGRESS)
                except BusError:
                    break

    async def _hand_back(self) -> None:
        for subject in list(self._held):
            with contextlib.suppress(BusError):
                await self._settle(subject, _NAK)
        with contextlib.suppress(BusError):
            await self._bus.flush(1.0)
