"""A campaign's account: calls are reserved in the ledger before they are sent, and settled there before they count.

Whoever waits is served in batches: everything that was settled meanwhile and every reservation that fits are one
append, so that the ledger's pace is no limit. If two gateways ever write to one account, the ledger's versions make one
of them read again first; a budget is never counted on what only one of them knows.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TypeVar

import anyio
import msgspec

from agents.models.errors import BudgetSpentError
from agents.models.gateway.budget import Short, short_of
from contracts import events as e
from contracts.calls import Calls, calls_stream, evolve, fold, settled
from contracts.chat import Usage
from contracts.ledger import stream_events
from contracts.models import Charge, Models
from contracts.settings import Limits
from eventstore.client import LedgerClient
from eventstore.errors import Conflict

T = TypeVar("T")

LOOK = 1.0
"""Seconds after which the ledger is read again while calls wait."""
LOST = "the gateway that made it ended before it was settled"


@dataclass
class _Wanted:
    """A call that waits for its reservation."""

    call: str
    model: str
    charge: Charge
    bound: float
    tokens: int
    number: "asyncio.Future[int]" = field(default_factory=lambda: asyncio.get_running_loop().create_future())


@dataclass
class _Made:
    """A settlement that waits to be written."""

    settlement: e.Settlement
    written: "asyncio.Future[None]" = field(
        default_factory=lambda: asyncio.get_running_loop().create_future()
    )


class Account:
    """The calls of one campaign. Run it beside whatever asks it."""

    def __init__(
        self, ledger: LedgerClient, campaign: str, limits: Limits, models: Models, *, instance: str
    ) -> None:
        self.state = Calls()
        self.models = models
        self.answers: dict[str, str] = {}
        """Key of a call → blob, of every call that was answered."""
        self._factors: dict[str, float] = {}
        self._ledger = ledger
        self._campaign = campaign
        self._stream = calls_stream(campaign)
        self._limits = limits
        self._instance = instance
        self._wanted: list[_Wanted] = []
        self._made: list[_Made] = []
        self._wake = asyncio.Event()

    async def open(self) -> None:
        """Read what was done before. What is still open then was begun by a gateway that is gone."""
        await self._catch_up()
        if self.state.open:
            given_up = [
                e.Settlement(
                    number=each.number, outcome="lost", usage=Usage(cost=each.bound), tries=0, reason=LOST
                )
                for each in self.state.open.values()
            ]
            await self._write([e.CallsMade(campaign=self._campaign, calls=tuple(given_up))])

    def factor(self, model: str) -> float:
        """By how much a call of this model has exceeded its bound at worst; bounds are multiplied by it."""
        return self._factors.get(model, 1.0)

    async def reserve(self, call: str, model: str, charge: Charge, *, bound: float, tokens: int) -> int:
        """The call's number, once the ledger holds its reservation.

        Waits while only what is under way stands in the way.

        Raises:
            BudgetSpentError: a budget does not cover it.
        """
        wanted = _Wanted(call, model, charge, bound, tokens)
        self._wanted.append(wanted)
        self._wake.set()
        return await wanted.number

    async def settle(self, settlement: e.Settlement) -> None:
        """Say what came of a call; returns when the ledger holds it."""
        made = _Made(settlement)
        self._made.append(made)
        self._wake.set()
        await made.written

    async def run(self) -> None:
        """Write until cancelled."""
        while True:
            with anyio.move_on_after(LOOK if self._wanted else None):
                await self._wake.wait()
            if (
                not self._wake.is_set()
            ):  # what another gateway has under way may stand in the way of who waits
                await self._catch_up()
            self._wake.clear()
            await self._step()

    async def _step(self) -> None:
        """Write all that can be written now."""
        while True:
            made, self._made = self._made, []
            ended = tuple(each.settlement for each in made)
            events: list[e.Event] = [e.CallsMade(campaign=self._campaign, calls=ended)] if made else []
            after = evolve(events[0], self.state) if events else self.state
            admitted, refused = self._admit(after)
            if admitted:
                reserved = tuple(reservation for _, reservation in admitted)
                events.append(e.CallsReserved(campaign=self._campaign, calls=reserved))
            if events and not await self._write(events):
                self._made = [*made, *self._made]
                continue
            for wanted, reservation in admitted:
                self._wanted.remove(wanted)
                _tell(wanted.number, reservation.number)
            for wanted, short in refused:
                self._wanted.remove(wanted)
                if not wanted.number.done():
                    wanted.number.set_exception(BudgetSpentError(short.reason, budget=short.budget))
            for each in made:
                _tell(each.written, None)
            return

    def _admit(self, state: Calls) -> tuple[list[tuple[_Wanted, e.Reservation]], list[tuple[_Wanted, Short]]]:
        """Of those that wait: who fits beside all that is under way, and who never will."""
        admitted: list[tuple[_Wanted, e.Reservation]] = []
        refused: list[tuple[_Wanted, Short]] = []
        for wanted in self._wanted:
            factor = self.factor(wanted.model)
            bound = wanted.bound * factor
            short = short_of(state, self._limits, wanted.charge, bound=bound, tokens=wanted.tokens)
            if short is None:
                reservation = e.Reservation(
                    number=state.number + 1,
                    call=wanted.call,
                    model=wanted.model,
                    charge=wanted.charge,
                    bound=bound,
                    factor=factor,
                    tokens=wanted.tokens,
                )
                state = evolve(e.CallsReserved(campaign=self._campaign, calls=(reservation,)), state)
                admitted.append((wanted, reservation))
            elif short.for_good:
                refused.append((wanted, short))
        return admitted, refused

    async def _write(self, events: Sequence[e.Event]) -> bool:
        """Append; False when somebody else wrote in between, which has been read then."""
        duty = f"{self._stream}/{self._instance}/{self.state.version + 1}"
        new = [
            e.encode(event, duty=duty, index=index, actor=self._instance, correlation=self._campaign)
            for index, event in enumerate(events)
        ]
        try:
            appended = await self._ledger.append(self._stream, self.state.version, new)
        except Conflict:
            await self._catch_up()
            return False
        for event in events:
            self._fold(event)
        self.state = msgspec.structs.replace(self.state, version=appended.version)
        return True

    async def _catch_up(self) -> None:
        async for envelope in stream_events(self._ledger, self._stream, after=self.state.version):
            event, before = e.decode(envelope), self.state
            self._note(event, before)
            self.state = fold(before, envelope)

    def _fold(self, event: e.Event) -> None:
        self._note(event, self.state)
        self.state = evolve(event, self.state)

    def _note(self, event: e.Event, before: Calls) -> None:
        """Remember where answers are, and how far bounds were exceeded."""
        for reserved, each in settled(event, before):
            if each.blob:
                self.answers[reserved.call] = each.blob
            if each.usage.cost > reserved.bound > 0:
                worst = reserved.factor * each.usage.cost / reserved.bound
                self._factors[reserved.model] = max(self.factor(reserved.model), worst)


def _tell(future: "asyncio.Future[T]", value: T) -> None:
    """Answer, unless whoever asked has gone away meanwhile."""
    if not future.done():
        future.set_result(value)
