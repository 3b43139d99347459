"""The host's end of one run's socket: frames, and the clock that ticks only while the run keeps the host waiting."""

import contextlib
import socket
import time
from collections.abc import Iterator
from typing import Any

import msgspec


class WallExceeded(Exception):
    """Raised when the run has kept the host waiting for too long."""


class Malformed(Exception):
    """Raised when a run sends something that is no frame."""


class Channel:
    """The host's end of one run's socket."""

    def __init__(self, sock: socket.socket, wall: float) -> None:
        self._sock = sock
        self._left = wall
        self.exchanged = False
        """Whether anything went beyond the job itself: such a run is never repeated behind anyone's back."""

    def rewind(self, wall: float) -> None:
        """Let the run keep the host waiting for this long from now on."""
        self._left = wall

    @contextlib.contextmanager
    def _waiting(self) -> Iterator[None]:
        if self._left <= 0:
            raise WallExceeded
        self._sock.settimeout(self._left)
        begun = time.monotonic()
        try:
            yield
        except TimeoutError:
            raise WallExceeded from None
        finally:
            self._left -= time.monotonic() - begun

    def send(self, frame: Any) -> bool:
        """Send one frame; False if nobody listens any more."""
        body = msgspec.json.encode(frame)
        try:
            with self._waiting():
                self._sock.sendall(len(body).to_bytes(4, "big") + body)
        except OSError:
            return False
        return True

    def receive(self, limit: int) -> bytes | None:
        """The next frame's bytes, or None at the end.

        Raises:
            Malformed: for a frame larger than `limit`, or one that ends too early.
        """
        head = self._exactly(4)
        if not head:
            return None
        size = int.from_bytes(head, "big")
        if len(head) < 4 or size > limit:
            raise Malformed(f"a frame of {size} bytes")
        body = self._exactly(size)
        if len(body) < size:
            raise Malformed("a frame that ends too early")
        return body

    def _exactly(self, size: int) -> bytes:
        parts = bytearray()
        while len(parts) < size:
            try:
                with self._waiting():
                    part = self._sock.recv(min(size - len(parts), 1 << 20))
            except ConnectionError:
                part = b""
            if not part:
                break
            parts += part
        return bytes(parts)
