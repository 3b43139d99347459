"""Limits of an endpoint and a budget, kept together by the processes of one command that asks without a gateway."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.context import SpawnContext

from agents.config import BudgetConfig, EndpointConfig
from agents.models.errors import BudgetSpentError
from agents.models.gateway.throttle import Pace


class Call:
    """A call under way; whoever makes it says at last what it cost, in US dollars."""

    cost = 0.0


class Meter:
    """Shared by processes: it goes to them as they are started.

    The budgets that count are those of the run and of the harness: nothing else thinks here.
    """

    def __init__(self, allowed: EndpointConfig, budget: BudgetConfig, context: SpawnContext) -> None:
        self._lock = context.Lock()
        self._places = context.BoundedSemaphore(allowed.concurrency)
        self._times = context.RawArray("d", Pace.TIMES)
        self._pace = (allowed.requests_per_minute, allowed.tokens_per_minute)
        self._spent = context.RawValue("d", 0.0)
        self._limit = min((each for each in (budget.run, budget.harness) if each), default=0.0)

    def hold(self, seconds: float) -> None:
        """Start no call for so long, in any of the processes."""
        with self._lock:
            Pace(*self._pace, self._times).hold(time.monotonic() + seconds)

    @contextmanager
    def call(self, tokens: int, bound: float) -> Iterator[Call]:
        """A call of at most so many tokens and dollars, when its turn has come.

        Raises:
            BudgetSpentError: the budget does not cover it beside all that is under way.
        """
        with self._lock:
            if self._limit and self._spent.value + bound > self._limit:
                raise BudgetSpentError(
                    f"the budget of ${self._limit:g} in ratchet.toml does not cover a call of up to ${bound:.4f}: "
                    f"${self._spent.value:.4f} are spent or under way"
                )
            self._spent.value += bound
        made = Call()
        try:
            with self._places:
                with self._lock:
                    pace = Pace(*self._pace, self._times)
                    due = pace.due(time.monotonic(), tokens)
                while (wait := max(due, pace.held_until) - time.monotonic()) > 0:
                    time.sleep(wait)
                yield made
        finally:
            with self._lock:
                self._spent.value += made.cost - bound
