"""The one runner that serves every agent: fold the ledger, find a duty, lease it, do it, append what came of it.

A wake-up only says *look now*; what there is to do follows from the ledger alone. So a lost message, a crash, a
redelivery or a second agent of the role can cost time, and nothing else.
"""

import os
import socket
import time
from collections.abc import Sequence
from typing import Any, Generic

import anyio
import msgspec
from nats.aio.msg import Msg

from agents.book import Book
from agents.categories import LINEAGES, Category, S
from agents.work import Desk, LineageWork, Policy, Work
from bus import leases, logs, traces
from bus.dead import dead_letter
from bus.errors import BusError
from contracts.duties import Duty
from contracts.envelope import Envelope, NewEvent
from contracts.events import Event, encode
from contracts.subjects import BEATS, LEDGER_EVENTS
from eventstore.errors import Conflict, LedgerError

TICK = 1.0
"""Seconds after which an agent looks at its duties again without having been woken."""
SURVEY = 5.0
"""Seconds after which it asks the ledger itself, in case a wake-up was lost."""
BEAT = 2.0
"""Seconds between signs of life."""
PATIENCE = 30.0
"""Longest pause, in seconds, before a duty that failed is tried again."""


def instance_name(role: str) -> str:
    """A name that no other running agent has."""
    return f"{role}-{socket.gethostname()}-{os.getpid()}".replace(".", "-")


class Runner(Generic[S]):
    """An agent at work on one category of streams."""

    def __init__(self, policy: Policy, desk: Desk, category: Category[S], *, slots: int = 2) -> None:
        self.policy = policy
        self.desk = desk
        self.category = category
        self.book = Book(desk.ledger, category)
        self.leases = leases.Leases(desk.bus)
        self.slots = anyio.CapacityLimiter(slots)
        self.busy: set[str] = set()
        self.pauses: dict[str, tuple[float, float]] = {}
        self.wake = anyio.Event()
        self.surveyed = 0.0
        self.log = desk.log

    async def run(self) -> None:
        """Serve until cancelled."""
        await self.desk.bus.listen(f"{LEDGER_EVENTS}.{self.category.name}.>", self._heard)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._beat)
            while True:
                self.wake = anyio.Event()
                await self._look()
                self._take_up(tasks)
                with anyio.move_on_after(TICK):
                    await self.wake.wait()

    async def _heard(self, message: Msg) -> None:
        if not message.data:
            return  # too large for a message: the survey will find it
        try:
            envelope = msgspec.msgpack.decode(message.data, type=Envelope)
        except msgspec.MsgspecError as error:
            await dead_letter(
                self.desk.bus,
                "events",
                message.data,
                reason=f"not an event: {error}",
                subject=message.subject,
            )
            return
        self.book.hear(envelope)
        self.wake.set()

    async def _look(self) -> None:
        """Bring the book up to date; while the ledger is away, go on with what is known."""
        try:
            if time.monotonic() - self.surveyed > SURVEY:
                await self.book.survey()
                if not self.surveyed:
                    self.log.info("ready", streams=len(self.book.states))
                self.surveyed = time.monotonic()
            else:
                await self.book.refresh()
        except (LedgerError, BusError) as error:
            self.log.warning("the ledger is away", error=str(error))

    def _take_up(self, tasks: anyio.abc.TaskGroup) -> None:
        for stream, state in tuple(self.book.states.items()):
            for duty in self.category.duties(self.policy.role, state, time.time()):
                key = f"{stream}:{duty.key}"
                if key not in self.busy and self.pauses.get(key, (0.0, 0.0))[0] <= time.monotonic():
                    self.busy.add(key)
                    tasks.start_soon(self._attempt, stream, duty, key)

    def _pause(self, key: str, seconds: float | None = None) -> float:
        pause = seconds or min(PATIENCE, max(0.5, 2 * self.pauses.get(key, (0.0, 0.25))[1]))
        self.pauses[key] = (time.monotonic() + pause, pause)
        return pause

    async def _attempt(self, stream: str, duty: Duty, key: str) -> None:
        parts = duty.key.split("/")
        with logs.bound(campaign=parts[0], round=parts[1] if len(parts) > 2 else "", duty=duty.kind):
            try:
                async with self.slots:
                    await self._attempt_leased(stream, duty, key)
            except Exception as error:
                pause = self._pause(key)
                self.log.exception("duty failed", error=repr(error), again_in=pause)
            finally:
                self.busy.discard(key)
                self.wake.set()

    async def _attempt_leased(self, stream: str, duty: Duty, key: str) -> None:
        lease = await self.leases.acquire(key, self.desk.instance)
        if lease is None:
            self._pause(key, TICK)  # another agent of the role has it; look again should that one die
            return
        async with lease:
            state = await self.book.catch_up(stream)
            if not self._open(duty, state):
                return
            started = time.monotonic()
            with traces.span(
                f"invoke_agent {self.policy.role}",
                self.category.root(state),
                **{"gen_ai.agent.name": self.policy.role, "ratchet.duty": duty.key},
            ):
                found = await self.policy.perform(self._work(stream, state, duty))
                await self._append(stream, duty, state, found)
            self.pauses.pop(key, None)
            names = [type(event).__name__ for event in found]
            self.log.info("done", events=names, ms=round(1000 * (time.monotonic() - started)))

    def _work(self, stream: str, state: S, duty: Duty) -> "Work[Any]":
        kind = LineageWork if self.category.name == LINEAGES.name else Work
        return kind(desk=self.desk, stream=stream, state=state, duty=duty, now=time.time())  # type: ignore[arg-type]

    def _open(self, duty: Duty, state: S) -> bool:
        return duty in self.category.duties(self.policy.role, state, time.time())

    async def _append(self, stream: str, duty: Duty, state: S, found: Sequence[Event]) -> None:
        """Append the result; when somebody else wrote in between, look whether the duty is still open."""
        new = self._encode(duty, found, state)
        with anyio.CancelScope(
            shield=True
        ):  # an append is done or not done, whatever signal arrives meanwhile
            while new:
                try:
                    await self.desk.ledger.append(stream, state.version, new)
                    break
                except Conflict:
                    state = await self.book.catch_up(stream)
                    if not self._open(duty, state):
                        self.log.info("overtaken")
                        return
            await self.book.catch_up(stream)

    def _encode(self, duty: Duty, found: Sequence[Event], state: S) -> list[NewEvent]:
        correlation = self.category.correlation(state)
        trace = traces.current_traceparent()
        return [
            encode(
                event,
                duty=duty.key,
                index=index,
                actor=self.desk.instance,
                correlation=correlation,
                trace=trace,
            )
            for index, event in enumerate(found)
        ]

    async def _beat(self) -> None:
        subject = f"{BEATS}.{self.policy.role}.{self.desk.instance}"
        while True:
            beat = {"role": self.policy.role, "instance": self.desk.instance, "busy": sorted(self.busy)}
            try:
                await self.desk.bus.publish(subject, msgspec.json.encode(beat))
            except BusError as error:
                self.log.debug("no sign of life sent", error=str(error))
            await anyio.sleep(BEAT)
