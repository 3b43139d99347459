"""A model behind an OpenAI-compatible endpoint: asked by HTTP, again where that can help, never taken at its word.

Every call ends in one of a few named ways. A reply is a reply, malformed tool calls and refusals included: that is how
the model behaved. Everything else is an error of the way to it (`ModelUnavailableError`, which is never a score) or of
the request (`RequestRefusedError`).
"""

import hashlib
import os
import random
import re
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlsplit

from agents.models import wire
from agents.models.errors import (
    BadReplyError,
    EndpointMisconfiguredError,
    ModelError,
    ModelUnavailableError,
    RequestRefusedError,
)
from contracts.chat import ChatReply, ChatRequest
from contracts.record import Record

KEYS = ("RATCHET_API_KEY", "OPENAI_API_KEY")
"""Variables that may hold the key, the first that is set."""
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
_SPEC = re.compile(r"openai:(?P<name>.+?)@(?P<url>https?://.+)")


class Endpoint(Record):
    """Where a model is."""

    name: str
    url: str

    @property
    def spec(self) -> str:
        """As `--model` takes it."""
        return f"openai:{self.name}@{self.url}"


def parse(spec: str) -> Endpoint:
    """The endpoint of `openai:NAME@BASE_URL`.

    Raises:
        RequestRefusedError: it is not of that form; the message shows one that is.
    """
    match = _SPEC.fullmatch(spec)
    parts = urlsplit(match["url"]) if match else None
    if match is None or parts is None or not parts.hostname:
        raise RequestRefusedError(
            f"{spec!r} names no model: want openai:NAME@BASE_URL, for example "
            "openai:embedded@http://127.0.0.1:8321/v1"
        )
    if parts.username or parts.password:
        raise RequestRefusedError(f"a key does not belong into an address: set {KEYS[0]} instead")
    return Endpoint(name=match["name"], url=match["url"].rstrip("/"))


class Answered(Record):
    """A reply, and what it took."""

    reply: ChatReply
    seconds: float
    """Of the try that was answered."""
    tries: int
    lost: int = 0
    """Tries before it that the provider may have billed: those that took too long, or were cut off."""


def fingerprint(spec: str) -> str:
    """The name under which a provider keeps the weights, and where: they cannot be looked at."""
    return hashlib.sha256(spec.encode()).hexdigest()


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
            raise ModelUnavailableError(
                f"the endpoint gave no answer {BROKEN_AFTER} times; asked again in {left:.0f} s"
            )

    def note(self, *, answered: bool) -> None:
        """Count a call that was answered, or that was not whatever was tried."""
        with self._lock:
            self._failed = 0 if answered else self._failed + 1
            if self._failed >= BROKEN_AFTER:
                self._failed = 0
                self._until = self._clock() + COOLING


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
        try:
            import openai
        except ImportError:
            raise RequestRefusedError(
                "models behind endpoints need the package openai: pip install 'ratchet-harness[openai]'"
            ) from None
        self.endpoint = endpoint
        self._unsupported = unsupported
        self._extra = dict(extra or {})
        self._sleep = sleep
        self._on_wait = on_wait
        self._breaker = Breaker()
        self._key = key or next((key for name in KEYS if (key := os.environ.get(name))), "none")
        self._client: openai.OpenAI = openai.OpenAI(
            api_key=self._key, base_url=endpoint.url, timeout=timeout, max_retries=0
        )

    @property
    def fingerprint(self) -> str:
        """The name under which the provider keeps the weights, and where: they cannot be looked at."""
        return fingerprint(self.endpoint.spec)

    def complete(self, request: ChatRequest) -> ChatReply:
        """Answer one request. Raises as `ask` does."""
        return self.ask(request).reply

    def ask(self, request: ChatRequest) -> Answered:
        """Answer one request, and tell what it took.

        Raises:
            RequestRefusedError: the endpoint does not take it, whenever it is asked.
            EndpointMisconfiguredError: the endpoint does not take anything from us.
            ModelUnavailableError: there was no answer, whatever was tried.
        """
        self._breaker.check()
        body = wire.body(request, self.endpoint.name, unsupported=self._unsupported) | self._extra
        problem: ModelError = ModelUnavailableError("it was not asked")
        lost = 0
        for attempt in range(TRIES):
            started, wait = time.monotonic(), None
            try:
                reply = wire.reply(self._ask(body))
            except BadReplyError as error:
                problem = error
                lost += 1
            except _Again as error:
                problem, wait = ModelUnavailableError(self._plain(str(error))), error.wait
                lost += error.billed
            else:
                self._breaker.note(answered=True)
                seconds = round(time.monotonic() - started, 4)
                return Answered(reply=reply, seconds=seconds, tries=attempt + 1, lost=lost)
            if attempt + 1 < TRIES:
                self._wait(attempt, wait)
        self._breaker.note(answered=False)
        raise ModelUnavailableError(
            f"no answer from {self.endpoint.spec} in {TRIES} tries; the last: {problem}", lost=lost
        )

    def _wait(self, attempt: int, wished: float | None) -> None:
        """Wait before a further try: as long as the endpoint wishes, else longer from time to time."""
        if wished is not None and self._on_wait is not None:
            self._on_wait(min(wished, LONGEST))
        pause = PAUSES[min(attempt, len(PAUSES) - 1)] * random.uniform(0.5, 1.5)  # noqa: S311 (jitter)
        self._sleep(pause if wished is None else min(wished, LONGEST))

    def _ask(self, body: dict[str, Any]) -> bytes:
        import openai

        try:
            raw = self._client.chat.completions.with_raw_response.create(**body)
            return raw.http_response.content
        except openai.APITimeoutError as error:
            raise _Again("it took too long", billed=True) from error
        except openai.APIConnectionError as error:
            refused = type(error.__cause__).__name__ == "ConnectError"  # of whichever library openai uses
            raise _Again(f"the connection failed ({error.__cause__ or error})", billed=not refused) from error
        except openai.APIStatusError as error:
            status = error.status_code
            if status in (408, 409, 425, 429) or status >= 500:
                raise _Again(f"HTTP {status}: {error.message}", _wait(error.response.headers)) from error
            kind = EndpointMisconfiguredError if status in (401, 402, 403, 404) else RequestRefusedError
            raise kind(self._plain(_refusal(status, error.message, self.endpoint))) from error
        except openai.OpenAIError as error:
            raise _Again(f"{type(error).__name__}: {error}", billed=True) from error

    def _plain(self, text: str) -> str:
        """A text without the key, wherever it may have come from."""
        return text.replace(self._key, "•••") if len(self._key) > 4 else text


class _Again(Exception):
    """Raised when asking again may help: after how many seconds, if the server said so, and whether it may bill us."""

    def __init__(self, reason: str, wait: float | None = None, *, billed: bool = False) -> None:
        super().__init__(reason)
        self.wait = wait
        self.billed = billed


def _wait(headers: Any) -> float | None:
    try:
        return max(0.0, float(headers.get("retry-after", "")))
    except ValueError:
        return None  # none is given, or a date


def _refusal(status: int, message: str, endpoint: Endpoint) -> str:
    where = f"{endpoint.url} refused the request (HTTP {status}: {message})"
    if status in (401, 403):
        return f"{where}: set {KEYS[0]} to a key that it knows"
    if status == 402:
        return f"{where}: the account has no credit left"
    if status == 404:
        return (
            f"{where}: is the model's name right, and does the base URL end as the provider says (often /v1)?"
        )
    return where
