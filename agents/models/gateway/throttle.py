"""Rate limits of an endpoint, kept for everyone who asks it: they all come through one gateway."""

import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import anyio


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
        self._gap = 60.0 / requests_per_minute if requests_per_minute else 0.0
        self._per_token = 60.0 / tokens_per_minute if tokens_per_minute else 0.0
        self._clock = clock
        self._places = anyio.Semaphore(concurrency)
        self._next_request = self._next_tokens = self._held_until = 0.0

    def hold(self, seconds: float) -> None:
        """Start no call for so long. May be called from a thread."""
        self._held_until = max(self._held_until, self._clock() + seconds)

    def due(self, tokens: int) -> float:
        """Book a call, and tell at what time it may start."""
        now = self._clock()
        start = max(now, self._held_until, self._next_request, self._next_tokens)
        self._next_request = start + self._gap
        self._next_tokens = start + tokens * self._per_token
        return start

    @asynccontextmanager
    async def place(self, tokens: int) -> AsyncIterator[None]:
        """A place among the calls at once, when its time has come."""
        async with self._places:
            await anyio.sleep(max(0.0, self.due(tokens) - self._clock()))
            while (wait := self._held_until - self._clock()) > 0:  # noqa: ASYNC110 - the clock rings no bell
                await anyio.sleep(wait)
            yield
