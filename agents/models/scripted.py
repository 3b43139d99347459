"""A scripted endpoint for tests: it answers what it is told to, faults included, and remembers what it was asked.

    with ScriptedServer([status(429, retry_after=1), half(), call("edit", {"line": 3})]) as server:
        ...

It speaks the OpenAI protocol below `url` and Anthropic's below `anthropic_url`, over real sockets, whole or as a
stream. When the script is over, its last line is repeated.
"""

import json
import socket
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self

import msgspec

from agents.models import messages, wire
from agents.models.serve import chunks
from contracts.chat import ChatReply, Message, ToolCall, Usage

Line = Callable[[Any], None]
"""One answer of a script."""
USAGE = Usage(input_tokens=10, output_tokens=3)
_ID = "scripted-1"


# What a model may do ------------------------------------------------------------------------------------------


def reply(given: ChatReply) -> Line:
    """An ordinary reply, in the protocol in which it was asked for."""

    def line(handler: Any) -> None:
        body = getattr(handler, "asked", {})
        if body.get("stream"):
            raw(_stream(handler, given, body), headers=[("Content-Type", "text/event-stream")])(handler)
        else:
            raw(msgspec.json.encode(_whole(handler, given)))(handler)

    return line


def respond(answer: Callable[[dict[str, Any]], ChatReply | str | Line]) -> Line:
    """A reply that follows from the request's body: a record, words, or any other line."""

    def line(handler: Any) -> None:
        found = answer(handler.asked)
        if isinstance(found, str):
            found = say(found)
        (reply(found) if isinstance(found, ChatReply) else found)(handler)

    return line


def say(text: str, usage: Usage | None = None) -> Line:
    """A reply in words."""
    return reply(ChatReply(message=Message(role="assistant", content=text), usage=usage or USAGE))


def call(name: str, arguments: dict[str, Any]) -> Line:
    """A reply that calls a tool."""
    message = Message(role="assistant", tool_calls=(ToolCall(id="call-1", name=name, arguments=arguments),))
    usage = Usage(input_tokens=10, output_tokens=9)
    return reply(ChatReply(message=message, finish_reason="tool_calls", usage=usage))


def refuse(text: str = "I would rather not.") -> Line:
    """A refusal."""
    message = Message(role="assistant", content=text)
    return reply(ChatReply(message=message, finish_reason="refusal", usage=USAGE))


def garbled_call(name: str = "edit", arguments: str = '{"line": 3', *, cut: bool = False) -> Line:
    """A call of a tool that cannot be read; with `cut`, since the answer ended there."""

    def change(body: dict[str, Any]) -> None:
        if "choices" in body:
            choice = body["choices"][0]
            function = {"name": name, "arguments": arguments}
            choice["message"]["tool_calls"] = [{"id": "call-1", "type": "function", "function": function}]
            choice["finish_reason"] = "length" if cut else "tool_calls"
        else:
            body["content"] = [{"type": "tool_use", "id": "call-1", "name": name, "input": arguments}]
            body["stop_reason"] = "max_tokens" if cut else "tool_use"

    return changed(change)


def changed(change: Callable[[dict[str, Any]], None], text: str = "hello") -> Line:
    """A reply in words whose JSON was changed before it is sent."""

    def line(handler: Any) -> None:
        whole = _whole(handler, ChatReply(message=Message(role="assistant", content=text), usage=USAGE))
        change(whole)
        raw(msgspec.json.encode(whole))(handler)

    return line


# What a provider may do ---------------------------------------------------------------------------------------


def uncounted(text: str = "hello") -> Line:
    """A reply without usage."""
    return changed(lambda body: body.pop("usage"), text)


def miscounted(text: str = "hello") -> Line:
    """A reply whose usage is nonsense."""
    return changed(lambda body: body.update(usage=dict.fromkeys(body["usage"], -5)), text)


def reported(code: int, message: str = "scripted") -> Line:
    """An error under a status of success."""
    return raw(msgspec.json.encode({"base_resp": {"status_code": code, "status_msg": message}}))


def raw(data: bytes, *, code: int = 200, headers: Sequence[tuple[str, str]] = ()) -> Line:
    """Any bytes as the answer."""

    def line(handler: Any) -> None:
        handler.send_response(code)
        for name, value in {"Content-Type": "application/json", **dict(headers)}.items():
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
    """Half of a reply, or of a stream, then the connection is cut."""

    def line(handler: Any) -> None:
        given = ChatReply(message=Message(role="assistant", content="x" * 200))
        body = getattr(handler, "asked", {})
        whole = msgspec.json.encode(_whole(handler, given))
        data = _stream(handler, given, body) if body.get("stream") else whole
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
    return slow(half(), None)


def slow(line: Line, seconds: float | None) -> Line:
    """Another line, after so many seconds."""

    def late(handler: Any) -> None:
        if handler.server.ended.wait(seconds):
            handler.close_connection = True
        else:
            line(handler)

    return late


def trickle(every: float) -> Line:
    """A reply byte by byte, with so many seconds between them."""

    def line(handler: Any) -> None:
        handler.send_response(200)
        handler.send_header("Content-Length", "1000")
        handler.end_headers()
        while not handler.server.ended.wait(every):
            try:
                handler.wfile.write(b" ")
                handler.wfile.flush()
            except OSError:
                break
        handler.close_connection = True

    return line


# The server ---------------------------------------------------------------------------------------------------


def _is_anthropic(handler: Any) -> bool:
    return bool(handler.path.endswith("/messages"))


def _whole(handler: Any, given: ChatReply) -> dict[str, Any]:
    if _is_anthropic(handler):
        return messages.answer(given, "scripted", _ID)
    return wire.answer(given, "scripted", _ID, 0)


def _stream(handler: Any, given: ChatReply, body: dict[str, Any]) -> bytes:
    if _is_anthropic(handler):
        events = messages.events(given, "scripted", _ID)
        return "".join(f"event: {event['type']}\ndata: {json.dumps(event)}\n\n" for event in events).encode()
    _, asked = wire.asked(msgspec.json.encode(body))
    parts: Iterator[dict[str, Any]] = chunks(given, asked, "scripted", _ID)
    return "".join(f"data: {json.dumps(part)}\n\n" for part in parts).encode() + b"data: [DONE]\n\n"


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
        """The base address of the OpenAI protocol."""
        return f"http://127.0.0.1:{self.server_address[1]}/v1"

    @property
    def anthropic_url(self) -> str:
        """The base address of Anthropic's protocol."""
        return f"http://127.0.0.1:{self.server_address[1]}/anthropic"

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
        self.asked = msgspec.json.decode(data)
        key = self.headers.get("Authorization") or self.headers.get("x-api-key") or ""
        self.server.take(self.asked, key)(self)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 (the base class's name)
        """Tests look at `asked`."""


if __name__ == "__main__":
    sys.stderr.write(
        "ScriptedServer, to be imported: answers tests in Python as a script says; see docs/models.md\n"
    )
    sys.exit(2)
