"""Rate limits of an endpoint, kept for everyone who asks it: they all come through one gateway."""

import time
from collections.abc import AsyncIterator, Callable, MutableSequence
from contextlib import asynccontextmanager

import anyio


class Pace:
    """When the next call may start.

    Args:
        requests_per_minute: 0: as many as come.
        tokens_per_minute: counted by each call's upper bound; 0: as many as come.
        times: `TIMES` numbers, 0 at first, in which it is remembered: others may share them.
    """

    TIMES = 3

    def __init__(
        self, requests_per_minute: int, tokens_per_minute: int, times: MutableSequence[float]
    ) -> None:
        self._gap = 60.0 / requests_per_minute if requests_per_minute else 0.0
        self._per_token = 60.0 / tokens_per_minute if tokens_per_minute else 0.0
        self._times = times

    @property
    def held_until(self) -> float:
        """The time before which none starts, whatever was booked."""
        return self._times[2]

    def hold(self, until: float) -> None:
        """Start none before that time."""
        self._times[2] = max(self._times[2], until)

    def due(self, now: float, tokens: int) -> float:
        """Book a call, and tell at what time it may start."""
        start = max(now, *self._times)
        self._times[0] = start + self._gap
        self._times[1] = start + tokens * self._per_token
        return start


class Throttle:
    """Spaces calls out, and holds all of them while the endpoint wants to be left alone.

    Args:
        requests_per_minute: 0: as many as come.
        tokens_per_minute: counted by each call's upper bound; 0: as many as come.
        concurrency: calls at once.
        clock: seconds, ever growing.
    """

    def __init__(
        self,
        *,
        requests_per_minute: int = 0,
        tokens_per_minute: int = 0,
        concurrency: int = 8,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._pace = Pace(requests_per_minute, tokens_per_minute, [0.0] * Pace.TIMES)
        self._clock = clock
        self._places = anyio.Semaphore(concurrency)

    def hold(self, seconds: float) -> None:
        """Start no call for so long. May be called from a thread."""
        self._pace.hold(self._clock() + seconds)

    def due(self, tokens: int) -> float:
        """Book a call, and tell at what time it may start."""
        return self._pace.due(self._clock(), tokens)

    @asynccontextmanager
    async def place(self, tokens: int) -> AsyncIterator[None]:
        """A place among the calls at once, when its time has come."""
        async with self._places:
            await anyio.sleep(max(0.0, self.due(tokens) - self._clock()))
            while (wait := self._pace.held_until - self._clock()) > 0:  # noqa: ASYNC110 - the clock rings no bell
                await anyio.sleep(wait)
            yield
