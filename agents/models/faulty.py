"""A served model that fails now and then, as endpoints do: for tests of what depends on one.

    with FaultyServer(model, "embedded", [status(429, retry_after=0), half()], every=10) as server:
        ...

Every so many requests one of the faults comes in place of the answer, in turn; all others are answered.
"""

import sys
import threading
from collections.abc import Sequence
from types import TracebackType
from typing import Self

from agents.models.scripted import Line, half, raw, reported, status
from agents.models.serve import Handler, ModelServer
from contracts.chat import Model

USUAL = (
    status(429, retry_after=1),
    status(503),
    half(),
    raw(b"<html>502 Bad Gateway</html>"),
    reported(1002),
)
"""What busy providers do: too many requests, no answer, half a reply, what is no JSON, an error under HTTP 200."""


class FaultyServer(ModelServer):
    """Serves a model, with faults."""

    def __init__(
        self, model: Model, name: str, faults: Sequence[Line], *, every: int, port: int = 0, key: str = ""
    ) -> None:
        super().__init__(model, name, port=port, key=key)
        self.RequestHandlerClass = _Handler
        self.faults = list(faults)
        self.every = every
        self.failed = 0
        """Requests that got a fault."""
        self.ended = threading.Event()
        self._asked = 0
        self._lock = threading.Lock()

    def fault(self) -> Line | None:
        """What is answered in place of the model, if this request's turn has come."""
        with self._lock:
            self._asked += 1
            if self._asked % self.every:
                return None
            self.failed += 1
            return self.faults[(self.failed - 1) % len(self.faults)]

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.ended.set()
        self.shutdown()
        self.server_close()


class _Handler(Handler):
    server: FaultyServer

    def do_POST(self) -> None:  # noqa: N802 (the base class's name)
        fault = self.server.fault()
        if fault is None:
            super().do_POST()
            return
        self.rfile.read(int(self.headers.get("Content-Length", "0")))
        fault(self)


if __name__ == "__main__":
    sys.stderr.write(
        "FaultyServer, to be imported: a model with faults, for tests in Python; see docs/models.md. "
        "As a process: python -P -m agents.models serve --faults 10\n"
    )
    sys.exit(2)
