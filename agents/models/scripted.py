"""A scripted endpoint for tests: it answers what it is told to, faults included, and remembers what it was asked.

    with ScriptedServer([status(429, retry_after=1), half(), call("edit", {"line": 3})]) as server:
        ...

It speaks the OpenAI protocol over real sockets. When the script is over, its last line is repeated.
"""

import socket
import threading
from collections.abc import Callable, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self

import msgspec

from agents.models import wire
from contracts.chat import ChatReply, Message, ToolCall, Usage

Line = Callable[[Any], None]
"""One answer of a script."""


def reply(given: ChatReply) -> Line:
    """An ordinary reply."""
    return raw(msgspec.json.encode(wire.answer(given, "scripted", "chatcmpl-1", 0)))


def say(text: str, usage: Usage | None = None) -> Line:
    """A reply in words."""
    message = Message(role="assistant", content=text)
    return reply(ChatReply(message=message, usage=usage or Usage(input_tokens=10, output_tokens=3)))


def call(name: str, arguments: dict[str, Any]) -> Line:
    """A reply that calls a tool."""
    message = Message(role="assistant", tool_calls=(ToolCall(id="call-1", name=name, arguments=arguments),))
    usage = Usage(input_tokens=10, output_tokens=9)
    return reply(ChatReply(message=message, finish_reason="tool_calls", usage=usage))


def raw(data: bytes, *, code: int = 200, headers: Sequence[tuple[str, str]] = ()) -> Line:
    """Any bytes as the answer."""

    def line(handler: Any) -> None:
        handler.send_response(code)
        for name, value in (("Content-Type", "application/json"), *headers):
            handler.send_header(name, value)
        handler.send_header("Content-Length", str(len(data)))
        handler.end_headers()
        handler.wfile.write(data)

    return line


def status(code: int, message: str = "scripted", *, retry_after: float | None = None) -> Line:
    """A status of failure with the body that providers send."""
    headers = [("Retry-After", f"{retry_after:g}")] if retry_after is not None else []
    return raw(msgspec.json.encode({"error": {"message": message, "code": code}}), code=code, headers=headers)


def half(share: float = 0.5) -> Line:
    """Half of a reply, then the connection is cut."""

    def line(handler: Any) -> None:
        whole = ChatReply(message=Message(role="assistant", content="x" * 200))
        data = msgspec.json.encode(wire.answer(whole, "scripted", "chatcmpl-1", 0))
        handler.send_response(200)
        handler.send_header("Content-Type", "application/json")
        handler.send_header("Content-Length", str(len(data)))
        handler.end_headers()
        handler.wfile.write(data[: int(len(data) * share)])
        handler.wfile.flush()
        handler.connection.shutdown(socket.SHUT_RDWR)
        handler.close_connection = True

    return line


def hang() -> Line:
    """No answer until the server ends."""

    def line(handler: Any) -> None:
        handler.server.ended.wait()
        handler.close_connection = True

    return line


class ScriptedServer(ThreadingHTTPServer):
    """Answers line after line of a script."""

    daemon_threads = True

    def __init__(self, script: Sequence[Line]) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.script = list(script)
        self.asked: list[dict[str, Any]] = []
        """The requests' bodies, in order."""
        self.keys: list[str] = []
        """The keys that came with them."""
        self.ended = threading.Event()
        self._lock = threading.Lock()

    @property
    def url(self) -> str:
        """The base address."""
        return f"http://127.0.0.1:{self.server_address[1]}/v1"

    def take(self, body: dict[str, Any], key: str) -> Line:
        """The next line, for a request."""
        with self._lock:
            self.asked.append(body)
            self.keys.append(key)
            return self.script.pop(0) if len(self.script) > 1 else self.script[0]

    def __enter__(self) -> Self:
        threading.Thread(target=self.serve_forever, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.ended.set()
        self.shutdown()
        self.server_close()


class _Handler(BaseHTTPRequestHandler):
    server: ScriptedServer
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # else the body waits for the headers' acknowledgement, some 40 ms

    def do_POST(self) -> None:
        data = self.rfile.read(int(self.headers.get("Content-Length", "0")))
        self.server.take(msgspec.json.decode(data), self.headers.get("Authorization", ""))(self)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 (the base class's name)
        """Tests look at `asked`."""
