"""How followers in this process learn that the ledger has grown."""

import asyncio
import threading


class Watch:
    """The ledger's last position, and those who wait for a later one. Safe to use from any thread."""

    def __init__(self, position: int = 0) -> None:
        self._position = position
        self._lock = threading.Lock()
        self._waiting: list[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = []

    @property
    def position(self) -> int:
        """The last position that is known to be durable."""
        return self._position

    def advance(self, position: int) -> None:
        """Say that the ledger is durable up to a position, and wake those who wait."""
        with self._lock:
            if position <= self._position:
                return
            self._position = position
            waiting, self._waiting = self._waiting, []
        for loop, event in waiting:
            if not loop.is_closed():
                loop.call_soon_threadsafe(event.set)

    async def beyond(self, position: int, *, at_most: float | None = None) -> bool:
        """Wait until the ledger is beyond a position; False when `at_most` seconds went by without."""
        event = asyncio.Event()
        entry = (asyncio.get_running_loop(), event)
        with self._lock:
            if self._position > position:
                return True
            self._waiting.append(entry)
        try:
            async with asyncio.timeout(at_most):
                await event.wait()
        except TimeoutError:
            return self._position > position
        finally:
            with self._lock:
                if entry in self._waiting:
                    self._waiting.remove(entry)
        return True
