"""A model behind an endpoint: asked by HTTP, again where that can help, never taken at its word.

Every call ends in one of a few named ways. A reply is a reply, malformed tool calls and refusals included: that is how
the model behaved. Everything else is an error of the way to it (`ModelUnavailableError`, which is never a score), of
the request (`RequestRefusedError`), or of what the operator has set up (`EndpointMisconfiguredError`).
"""

import hashlib
import os
import random
import re
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Literal
from urllib.parse import SplitResult, urlsplit

import msgspec

from agents.models import messages, wire
from agents.models.base import Wire
from agents.models.errors import BadReplyError, ModelError, ModelUnavailableError, RequestRefusedError
from agents.models.transport import AgainError, Transport
from contracts.chat import ChatReply, ChatRequest
from contracts.models import DECODING
from contracts.record import Record

WIRES: dict[str, Wire] = {"openai": wire, "anthropic": messages}
"""Protocols by name."""
KEYS = tuple(dict.fromkeys(key for each in WIRES.values() for key in each.KEYS))
"""Variables that may hold a key."""
TIMEOUT = 120.0
"""Seconds for one answer."""
TRIES = 6
PAUSES = (0.5, 1.0, 2.0, 4.0, 8.0)
"""Seconds before the n-th further try, give or take half; what the server asks for comes before."""
LONGEST = 60.0
"""Seconds that a server may ask us to wait."""
BROKEN_AFTER = 4
"""Calls in a row without an answer after which the endpoint counts as down."""
COOLING = 30.0
"""Seconds for which an endpoint that is down is not asked."""
_SPEC = re.compile(r"(?P<protocol>openai|anthropic):(?P<name>.+?)@(?P<url>https?://.+)")


class Endpoint(Record):
    """Where a model is."""

    name: str
    url: str
    protocol: Literal["openai", "anthropic"] = "openai"

    @property
    def spec(self) -> str:
        """As `--model` takes it."""
        return f"{self.protocol}:{self.name}@{self.url}"


def parse(spec: str) -> Endpoint:
    """The endpoint of `openai:NAME@BASE_URL` or `anthropic:NAME@BASE_URL`.

    Raises:
        RequestRefusedError: it is not of that form; the message shows one that is.
    """
    match = _SPEC.fullmatch(spec)
    parts = urlsplit(match["url"]) if match else None
    if match is None or parts is None or not parts.hostname or not _has_port(parts):
        raise RequestRefusedError(
            f"{spec!r} names no model: want openai:NAME@BASE_URL or anthropic:NAME@BASE_URL, for example "
            "openai:embedded@http://127.0.0.1:8321/v1"
        )
    if parts.username or parts.password:
        raise RequestRefusedError(f"a key does not belong into an address: set {KEYS[0]} instead")
    if parts.query or parts.fragment:
        raise RequestRefusedError(
            "an address ends before ? and #: a key is taken from the environment, and other fields go under extra "
            "in ratchet.toml"
        )
    return msgspec.convert(match.groupdict() | {"url": match["url"].rstrip("/")}, Endpoint)


def _has_port(parts: SplitResult) -> bool:
    """Whether there may be a server at the port, or none is named."""
    try:
        return parts.port != 0
    except ValueError:
        return False


class Answered(Record):
    """A reply, and what it took."""

    reply: ChatReply
    seconds: float
    """Of the try that was answered."""
    tries: int
    lost: int = 0
    """Tries before it that the provider may have billed: they took too long, were cut off, or could not be read."""


def fingerprint(spec: str) -> str:
    """The name under which a provider keeps the weights, and where: they cannot be looked at."""
    return hashlib.sha256(spec.encode()).hexdigest()


def lacking(spec: str) -> tuple[str, ...]:
    """Decoding parameters that a model's protocol does not have. Raises RequestRefusedError when the name is none."""
    return tuple(name for name in DECODING if name in WIRES[parse(spec).protocol].LACKS)


class Breaker:
    """Keeps calls from an endpoint that is down, for a while."""

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._failed = 0
        self._until = 0.0

    def check(self) -> None:
        """Raise ModelUnavailableError while the endpoint counts as down."""
        with self._lock:
            left = self._until - self._clock()
        if left > 0:
            reason = f"the endpoint gave no answer {BROKEN_AFTER} times; asked again in {left:.0f} s"
            raise ModelUnavailableError(reason, again=left, sent=False)

    def note(self, *, answered: bool) -> float:
        """Count a call that was answered, or that was not whatever was tried; for how long the endpoint is down now."""
        with self._lock:
            self._failed = 0 if answered else self._failed + 1
            if self._failed < BROKEN_AFTER:
                return 0.0
            self._failed = 0
            self._until = self._clock() + COOLING
            return COOLING


class EndpointModel:
    """The chat protocol over HTTP. Safe to share between threads.

    Args:
        endpoint: where the model is.
        unsupported: names of the parameters that the endpoint does not honour; they are left out.
        key: what the endpoint knows us by; None takes it from the environment.
        extra: fields that go into the body of every request as they are.
        timeout: seconds for one answer.
        sleep: how to wait between tries.
        on_wait: told for how many seconds the endpoint wants to be left alone.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        *,
        unsupported: frozenset[str] = frozenset(),
        key: str | None = None,
        extra: Mapping[str, Any] | None = None,
        timeout: float = TIMEOUT,
        sleep: Callable[[float], None] = time.sleep,
        on_wait: Callable[[float], None] | None = None,
    ) -> None:
        """Raises RequestRefusedError when the openai package is not installed."""
        self.endpoint = endpoint
        self.wire = WIRES[endpoint.protocol]
        self._unsupported = unsupported
        self._extra = dict(extra or {})
        self._sleep = sleep
        self._on_wait = on_wait
        self._breaker = Breaker()
        names = self.wire.KEYS
        self._key = key or next((key for name in names if (key := os.environ.get(name))), "none")
        self._transport = Transport(
            self.wire.address(endpoint.url),
            self.wire.headers(self._key),
            timeout=timeout,
            remedy=f"set {names[0]} to a key that it knows",
        )

    @property
    def fingerprint(self) -> str:
        """The name under which the provider keeps the weights, and where: they cannot be looked at."""
        return fingerprint(self.endpoint.spec)

    def complete(self, request: ChatRequest) -> ChatReply:
        """Answer one request. Raises as `ask` does."""
        return self.ask(request).reply

    def ask(self, request: ChatRequest, more: Mapping[str, Any] | None = None) -> Answered:
        """Answer one request, and tell what it took.

        Args:
            request: what is asked.
            more: fields that go into the body of this request as they are.

        Raises:
            RequestRefusedError: the endpoint does not take it, whenever it is asked.
            EndpointMisconfiguredError: the endpoint does not take anything from us.
            ModelUnavailableError: there was no answer, whatever was tried.
        """
        self._breaker.check()
        body = self.body(request, more)
        problem = ""
        lost = 0
        for attempt in range(TRIES):
            started, wait = time.monotonic(), None
            try:
                reply = self.wire.reply(self._transport.send(body))
            except BadReplyError as error:
                problem = str(error)
                lost += error.billed
            except AgainError as error:
                problem, wait = str(error), error.wait
                lost += error.billed
            except ModelError as error:
                if self._renamed(body, error):
                    body = self.body(request, more)
                    continue
                raise type(error)(self.plain(str(error))) from None  # the one before may hold the key
            else:
                self._breaker.note(answered=True)
                seconds = round(time.monotonic() - started, 4)
                return Answered(reply=reply, seconds=seconds, tries=attempt + 1, lost=lost)
            self._wait(attempt, wait)
        again = self._breaker.note(answered=False)
        reason = f"no answer from {self.endpoint.spec} in {TRIES} tries; the last: {self.plain(problem)}"
        raise ModelUnavailableError(reason, lost=lost, again=again)

    def _renamed(self, body: Mapping[str, Any], error: ModelError) -> bool:
        """Whether an endpoint wants an answer's length by its newer name; it is asked by that from now on."""
        renamed = "max_tokens" in body and "max_completion_tokens" in str(error)
        if renamed and isinstance(error, RequestRefusedError):
            self._unsupported |= {"max_tokens"}
            return True
        return False

    def body(self, request: ChatRequest, more: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """The JSON that a request is sent as."""
        made = self.wire.body(request, self.endpoint.name, unsupported=self._unsupported)
        return made | self._extra | dict(more or {})

    def lines(self, body: Mapping[str, Any]) -> Iterator[str]:
        """The lines of a reply that comes as a stream; asked once. Raises as `ask` does."""
        try:
            yield from self._transport.lines(body)
        except AgainError as error:
            raise ModelUnavailableError(self.plain(str(error)), lost=int(error.billed)) from None
        except ModelError as error:
            raise type(error)(self.plain(str(error))) from None

    def plain(self, text: str) -> str:
        """A text without the key, wherever it may have come from."""
        return text.replace(self._key, "•••") if len(self._key) > 4 else text

    def _wait(self, attempt: int, wished: float | None) -> None:
        """Wait before a further try, if there is one: as the endpoint wishes, else longer from time to time."""
        asked = None if wished is None else min(wished, LONGEST)
        if asked is not None and self._on_wait is not None:
            self._on_wait(asked)
        if attempt + 1 < TRIES:
            pause = PAUSES[min(attempt, len(PAUSES) - 1)] * random.uniform(0.5, 1.5)  # noqa: S311 (jitter)
            self._sleep(pause if asked is None else asked)
