"""One request over HTTP: sent once, within its time, and every way in which it can fail given a name.

What a status means is the same for every provider: 401, 402, 403, 404 and redirections are for a person to mend; 408,
409, 425, 429 and 5xx may pass; every other status of failure is a request that is refused whenever it is sent.
"""

import datetime as dt
import email.utils
import json
import time
import weakref
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from agents.models.errors import EndpointMisconfiguredError, RequestRefusedError

LARGEST = 32 * 1024 * 1024
"""Bytes of a reply."""
MAY_PASS = frozenset({408, 409, 425, 429})


class AgainError(Exception):
    """Raised when asking again may help.

    Attributes:
        wait: seconds that the server asks for, if it says so.
        billed: whether the provider may charge for what was sent.
    """

    def __init__(self, reason: str, wait: float | None = None, *, billed: bool = False) -> None:
        super().__init__(reason)
        self.wait = wait
        self.billed = billed


class Transport:
    """Sends JSON to one address. Safe to share between threads."""

    def __init__(self, address: str, headers: Mapping[str, str], *, timeout: float, remedy: str) -> None:
        """Raises RequestRefusedError when no HTTP library is installed.

        Args:
            address: where to.
            headers: what goes with every request; the key is among them.
            timeout: seconds from the request to the last byte of its reply.
            remedy: what to do about a key that is not taken.
        """
        self._http = _library()
        self._address = address
        self._timeout = timeout
        self._remedy = remedy
        self._client = self._http.Client(headers=dict(headers), timeout=timeout)
        weakref.finalize(self, self._client.close)

    def send(self, body: Mapping[str, Any]) -> bytes:
        """The bytes of the reply.

        Raises:
            AgainError: there is none, and there may be one the next time.
            EndpointMisconfiguredError, RequestRefusedError: there is none, and will be none.
        """
        with self._response(body) as (response, ends):
            return self._read(response, ends)

    def lines(self, body: Mapping[str, Any]) -> Iterator[str]:
        """The lines of a reply that comes as a stream. Raises as `send` does."""
        with self._response(body) as (response, ends):
            for line in response.iter_lines():
                if time.monotonic() > ends:
                    raise AgainError("it took too long", billed=True)
                yield line

    @contextmanager
    def _response(self, body: Mapping[str, Any]) -> Iterator[tuple[Any, float]]:
        ends = time.monotonic() + self._timeout
        data = json.dumps(body, separators=(",", ":"), ensure_ascii=False).encode()
        headers = {"Content-Type": "application/json"}
        http = self._http
        try:
            with self._client.stream("POST", self._address, content=data, headers=headers) as response:
                if response.status_code != 200:
                    self._refuse(response, self._read(response, ends))
                yield response, ends
        except (http.ConnectError, http.ConnectTimeout, http.PoolTimeout) as error:
            raise AgainError(f"no connection ({error or type(error).__name__})") from error
        except http.TimeoutException as error:
            raise AgainError("it took too long", billed=True) from error
        except (http.TransportError, http.DecodingError, http.StreamError) as error:
            raise AgainError(
                f"the connection failed ({error or type(error).__name__})", billed=True
            ) from error
        except (http.InvalidURL, http.UnsupportedProtocol, UnicodeError) as error:
            raise EndpointMisconfiguredError(f"{self._address} is no address ({error})") from error

    def _read(self, response: Any, ends: float) -> bytes:
        """The whole body. A server that sends a byte now and then runs out of time all the same."""
        parts = bytearray()
        for part in response.iter_bytes():
            parts += part
            if time.monotonic() > ends:
                raise AgainError("it took too long", billed=True)
            if len(parts) > LARGEST:
                raise AgainError(f"the reply is larger than {LARGEST} bytes", billed=True)
        return bytes(parts)

    def _refuse(self, response: Any, data: bytes) -> None:
        status, said = response.status_code, told(data)
        if status in MAY_PASS or status >= 500:
            raise AgainError(f"HTTP {status}: {said}", retry_after(response.headers, time.time()))
        where = f"{self._address} refused the request (HTTP {status}: {said})"
        remedy = {
            401: self._remedy,
            402: "the account has no credit left: top it up",
            403: self._remedy,
            404: "is the model's name right, and does the base URL end as the provider says (often /v1)?",
        }.get(status)
        if 200 < status < 400:
            to = response.headers.get("location", "nowhere")
            raise EndpointMisconfiguredError(f"{where}: it points to {to}; give the final base URL")
        if remedy:
            raise EndpointMisconfiguredError(f"{where}: {remedy}")
        raise RequestRefusedError(where)


def told(data: bytes) -> str:
    """What an error's body says, in whichever of the usual forms; its first characters where it is of none."""
    try:
        found = json.loads(data)
    except ValueError:
        return data[:300].decode(errors="replace").strip()
    for name in ("error", "message", "detail", "msg"):
        inner = found.get(name) if isinstance(found, dict) else None
        if isinstance(inner, dict):
            inner = inner.get("message", inner)
        if inner:
            return str(inner)[:1000]
    return str(found)[:300]


def retry_after(headers: Mapping[str, str], now: float) -> float | None:
    """Seconds that a server asks to be left alone for, given as a number or as a date; None if it asks for nothing."""
    said = headers.get("retry-after", "")
    try:
        return max(0.0, float(said))
    except ValueError:
        pass
    try:
        until = email.utils.parsedate_to_datetime(said)
    except (TypeError, ValueError):
        return None
    return max(0.0, until.replace(tzinfo=until.tzinfo or dt.UTC).timestamp() - now)


def _library() -> Any:
    """The HTTP library that the openai package brings, under the name that it has there."""
    try:
        import httpx2
    except ImportError:
        try:
            import httpx
        except ImportError:
            raise RequestRefusedError(
                "models behind endpoints need the package openai: pip install 'ratchet-harness[openai]'"
            ) from None
        return httpx
    return httpx2
