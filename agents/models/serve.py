"""A model of ours as an OpenAI-compatible endpoint on loopback: chat completions, whole or as a stream, and models.

For whoever wants to speak HTTP with the embedded model, and for tests, which thereby have a real server at the other
end.
"""

import itertools
import json
import threading
import time
from collections.abc import Iterator
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote

import msgspec
import structlog

from agents.models import terms, wire
from agents.models.errors import ModelError, RequestRefusedError
from contracts.chat import ChatReply, Model

LARGEST = 16 * 1024 * 1024
"""Bytes of a request."""
MODELS, CHAT = "/v1/models", "/v1/chat/completions"
PIECE = 24
"""Characters of a tool call's arguments in one chunk of a stream."""

_log = structlog.get_logger("models.serve")


class ModelServer(ThreadingHTTPServer):
    """Answers `/v1/chat/completions` and `/v1/models`; with a `key`, only to those who know it."""

    daemon_threads = True

    def __init__(self, model: Model, name: str, *, port: int = 0, key: str = "") -> None:
        super().__init__(("127.0.0.1", port), Handler)
        self.model = model
        self.name = name
        self.key = key
        self.count = itertools.count(1)

    @property
    def url(self) -> str:
        """The base address, as clients take it."""
        return f"http://127.0.0.1:{self.server_address[1]}/v1"

    def start(self) -> threading.Thread:
        """Serve in a thread of its own until `shutdown`."""
        thread = threading.Thread(target=self.serve_forever, name="model-server", daemon=True)
        thread.start()
        return thread


class Handler(BaseHTTPRequestHandler):
    """Answers one connection's requests."""

    server: ModelServer
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # else the body waits for the headers' acknowledgement, some 40 ms

    def do_GET(self) -> None:
        """List the models, or tell of one."""
        if not self._allowed():
            return
        entry = {"id": self.server.name, "object": "model", "created": 0, "owned_by": "ratchet"}
        path = self.path.rstrip("/")
        if path == MODELS:
            self._json(HTTPStatus.OK, {"object": "list", "data": [entry]})
        elif path.startswith(f"{MODELS}/"):
            name = unquote(path.removeprefix(f"{MODELS}/"))
            if name == self.server.name:
                self._json(HTTPStatus.OK, entry)
            else:
                self._no_model(name)
        elif path == CHAT:
            self._error(
                HTTPStatus.METHOD_NOT_ALLOWED, f"{CHAT} wants POST", "method_not_allowed", allow="POST"
            )
        else:
            self._error(HTTPStatus.NOT_FOUND, f"there is nothing at {self.path}", "not_found")

    def do_POST(self) -> None:
        """Answer a chat request."""
        data = self._body()
        if data is None or not self._allowed():
            return
        path = self.path.rstrip("/")
        if path == MODELS:
            self._error(
                HTTPStatus.METHOD_NOT_ALLOWED, f"{MODELS} wants GET", "method_not_allowed", allow="GET"
            )
            return
        if path != CHAT:
            self._error(HTTPStatus.NOT_FOUND, f"there is nothing at {self.path}", "not_found")
            return
        try:
            request, asked = wire.asked(data)
            if asked.model != self.server.name:
                self._no_model(asked.model)
                return
            request = terms.admitted(request, asked)
            reply = terms.held(self.server.model.complete(request), request, asked)
        except RequestRefusedError as error:
            self._error(HTTPStatus.BAD_REQUEST, str(error), "invalid_request_error")
            return
        except ModelError as error:
            self._error(HTTPStatus.SERVICE_UNAVAILABLE, str(error), "unavailable")
            return
        name = f"chatcmpl-{next(self.server.count)}"
        if asked.stream:
            self._stream(chunks(reply, asked, self.server.name, name))
        else:
            self._json(HTTPStatus.OK, wire.answer(reply, self.server.name, name, int(time.time())))

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """What the base class has to complain of, as JSON like all else."""
        if code == HTTPStatus.NOT_IMPLEMENTED:
            said = f"{self.command} is not answered here; there are GET {MODELS} and POST {CHAT}"
            self._error(HTTPStatus.METHOD_NOT_ALLOWED, said, "method_not_allowed", allow="GET, POST")
        else:
            status = HTTPStatus(code)
            self._error(status, explain or message or status.phrase, "invalid_request_error")

    def _body(self) -> bytes | None:
        length = self.headers.get("Content-Length", "")
        if not length.isdecimal():
            said = "the request has to say its length in Content-Length; a body in chunks is not read"
            self._error(HTTPStatus.LENGTH_REQUIRED, said, "invalid_request_error")
            return None
        if int(length) > LARGEST:
            self._error(
                HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
                f"want a Content-Length of at most {LARGEST}",
                "invalid_request_error",
            )
            return None
        return self.rfile.read(int(length))

    def _allowed(self) -> bool:
        if not self.server.key or self.headers.get("Authorization") == f"Bearer {self.server.key}":
            return True
        self._error(HTTPStatus.UNAUTHORIZED, "the key is missing or wrong", "invalid_api_key")
        return False

    def _json(self, status: HTTPStatus, value: dict[str, Any], *, allow: str = "") -> None:
        data = msgspec.json.encode(value)
        self.send_response(status)
        if allow:
            self.send_header("Allow", allow)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)

    def _no_model(self, name: str) -> None:
        said = f"there is no model {name!r} here: ask for {self.server.name!r}"
        self._error(HTTPStatus.NOT_FOUND, said, "model_not_found")

    def _error(self, status: HTTPStatus, message: str, code: str, *, allow: str = "") -> None:
        self.close_connection = True  # what was sent with a refused request may not have been read
        self._json(status, {"error": {"message": message, "type": code, "code": code}}, allow=allow)

    def _stream(self, events: Iterator[dict[str, Any]]) -> None:
        self.send_response(HTTPStatus.OK)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Cache-Control", "no-cache")
        self.send_header("Connection", "close")
        self.end_headers()
        self.close_connection = True
        for event in events:
            self.wfile.write(f"data: {json.dumps(event)}\n\n".encode())
            self.wfile.flush()
        self.wfile.write(b"data: [DONE]\n\n")

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 (the base class's name)
        """Requests are told where somebody wants to know."""
        _log.debug("request", line=format % args)


def chunks(reply: ChatReply, asked: wire.Asked, model: str, name: str) -> Iterator[dict[str, Any]]:
    """A reply as the chunks of a stream; usage comes last, to those who ask for it."""
    whole = wire.answer(reply, model, name, int(time.time()))
    message, finish = whole["choices"][0]["message"], whole["choices"][0]["finish_reason"]
    shared = {key: whole[key] for key in ("id", "created", "model")} | {"object": "chat.completion.chunk"}

    def chunk(delta: dict[str, Any], finish: str | None = None) -> dict[str, Any]:
        return {**shared, "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]}

    yield chunk({"role": "assistant", "content": message["content"] or ""})
    for index, call in enumerate(message.get("tool_calls", ())):
        arguments = call["function"]["arguments"]
        head = {"index": index, **call, "function": {"name": call["function"]["name"], "arguments": ""}}
        yield chunk({"tool_calls": [head]})
        for start in range(0, len(arguments), PIECE):
            part = {"index": index, "function": {"arguments": arguments[start : start + PIECE]}}
            yield chunk({"tool_calls": [part]})
    yield chunk({}, finish)
    if asked.stream_options.get("include_usage"):
        yield {**shared, "choices": [], "usage": whole["usage"]}
