"""A run that serves one job after another, at the host's end."""

import contextlib
import socket
from collections.abc import Callable
from typing import Any, TypeVar

from agents.sandbox.channel import Channel, WallExceeded

T = TypeVar("T")


class Session:
    """A run that is asked several times. Not to be shared between threads.

    Args:
        ours: the host's end of the run's socket.
        wall: seconds for which each job may keep the host waiting.
        end: called once, with whether the run is to be killed.
    """

    def __init__(self, ours: socket.socket, wall: float, end: Callable[[bool], None]) -> None:
        self._ours: socket.socket | None = ours
        self._wall = wall
        self._end = end
        self._channel = Channel(ours, wall)

    def ask(self, job: Any, converse: Callable[[Channel], T | None]) -> T | None:
        """Send a job and return what `converse` makes of the answer; None if there was no proper one.

        A session that failed once is over: every further question is answered by None.
        """
        if self._ours is None:
            return None
        self._channel.rewind(self._wall)
        result: T | None = None
        try:
            if self._channel.send(job):
                result = converse(self._channel)
        except WallExceeded:
            pass
        finally:
            if result is None:
                self.close(kill=True)
        return result

    def close(self, *, kill: bool = False) -> None:
        """End the run. May be called again."""
        if self._ours is not None:
            ours, self._ours = self._ours, None
            try:
                with contextlib.suppress(OSError):
                    ours.shutdown(socket.SHUT_RDWR)
                self._end(kill)
            finally:
                ours.close()
