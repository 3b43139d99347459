"""Frames on a run's own socket: four bytes of length, big-endian, then UTF-8 JSON."""

import json
import os
from typing import Any

LIMIT = 64 * 1024 * 1024
"""Bytes that the host may send in one frame."""


def read_exactly(fd: int, size: int) -> bytes:
    """Read `size` bytes; raises EOFError if the other side ends before."""
    parts = []
    while size:
        part = os.read(fd, min(size, 1 << 20))
        if not part:
            raise EOFError
        parts.append(part)
        size -= len(part)
    return b"".join(parts)


def receive(fd: int) -> Any:
    """The next frame."""
    size = int.from_bytes(read_exactly(fd, 4), "big")
    if size > LIMIT:
        raise ValueError("the frame is too large")
    return json.loads(read_exactly(fd, size))


def send(fd: int, frame: Any) -> None:
    """Send one frame, whole."""
    body = json.dumps(frame, separators=(",", ":")).encode()
    view = memoryview(len(body).to_bytes(4, "big") + body)
    while view:
        view = view[os.write(fd, view) :]
