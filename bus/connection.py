"""A connection to the bus: publish, request, subscribe, serve."""

import asyncio
import contextlib
import random
import time
from collections.abc import Awaitable, Callable, Mapping
from types import TracebackType
from typing import Self, TypeVar

import anyio
import structlog
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.errors import (
    ConnectionClosedError,
    ConnectionDrainingError,
    MaxPayloadError,
    NoRespondersError,
    OutboundBufferLimitError,
)
from nats.errors import TimeoutError as NatsTimeoutError
from nats.js import JetStreamContext
from nats.js.errors import ServiceUnavailableError

from bus import traces
from bus.errors import BusError, BusUnavailable, NoResponder, RequestFailed, RequestTimeout, TooLarge
from bus.inbox import Inbox
from bus.link import Interest, Link, public

T = TypeVar("T")

ERROR_HEADER = "Ratchet-Error"
"""On a reply: the service could not serve the request; `malformed` or `internal`, and the body says why."""

_AWAY = (OutboundBufferLimitError, ConnectionClosedError, ConnectionDrainingError)

_log = structlog.get_logger("bus.connection")


async def connect(url: str, *, name: str, deadline: float = 10.0) -> "Bus":
    """Connect to the bus; tries for `deadline` seconds. `name` is shown by the server's tools.

    Raises:
        BusUnavailable: nothing answers, or the secret does not fit.
    """
    bus = Bus(url, name)
    await bus.open(deadline)
    return bus


class Bus:
    """A connection that comes back by itself. While it is away, calls fail at once with `BusUnavailable`."""

    def __init__(self, url: str, name: str) -> None:
        self._link = Link(url, name)
        self._inbox = Inbox(self._send)
        self._tasks: set[asyncio.Task[None]] = set()
        self._link.on_lost.append(self._on_lost)

    async def open(self, deadline: float) -> None:
        """Connect; `connect` does this."""
        await self._link.open(deadline)
        try:
            await self._link.listen(self._inbox.subject, self._inbox.deliver)
        except BaseException:
            await self._link.close()
            raise

    @property
    def name(self) -> str:
        """The connection's name."""
        return self._link.name

    @property
    def url(self) -> str:
        """The address, without its secret."""
        return public(self._link.url)

    @property
    def connected(self) -> bool:
        """Whether the connection stands."""
        return self._link.connected

    @property
    def dropped(self) -> int:
        """Messages lost because their handler was too slow."""
        return self._link.dropped

    @property
    def reconnected(self) -> list[Callable[[], None]]:
        """Functions that are called after every reconnection; append yours. They must not block."""
        return self._link.on_back

    @property
    def client(self) -> Client:
        """The nats-py client of the moment; do not keep it."""
        return self._link.client

    @property
    def jetstream(self) -> JetStreamContext:
        """nats-py's JetStream of the moment; do not keep it. Run its calls through `guarded`."""
        return self._link.client.jetstream()

    async def wait_connected(self) -> None:
        """Return when the connection stands. Raises `BusUnavailable` when it was closed by us."""
        await self._link.wait_up()

    async def publish(
        self, subject: str, data: bytes = b"", *, reply: str = "", headers: Mapping[str, str] | None = None
    ) -> None:
        """Send a message; whether anyone takes it is not known.

        Raises:
            BusUnavailable: there is no connection.
            TooLarge: the server takes no message of this size.
        """
        await self._send(subject, data, reply, self._traced(headers))

    async def call(
        self,
        subject: str,
        data: bytes = b"",
        *,
        headers: Mapping[str, str] | None = None,
        timeout: float = 5.0,
    ) -> Msg:
        """Send a request and return the whole reply, whatever it says.

        Raises:
            NoResponder, RequestTimeout, BusUnavailable, TooLarge.
        """
        return await self._inbox.call(subject, data, self._traced(headers), timeout)

    async def request(self, subject: str, data: bytes = b"", *, timeout: float = 5.0) -> bytes:
        """Send a request and return the reply's data.

        Raises:
            NoResponder: nobody listens; nothing happened.
            RequestTimeout: no reply came in time; the outcome is unknown.
            BusUnavailable: no connection (nothing happened), or it was lost (the outcome is unknown).
            RequestFailed: the service answered with an error.
            TooLarge: the server takes no message of this size.
        """
        reply = await self.call(subject, data, timeout=timeout)
        if reply.headers and (kind := reply.headers.get(ERROR_HEADER)):
            raise RequestFailed(subject, kind, reply.data.decode(errors="replace"))
        return bytes(reply.data)

    async def request_until(
        self, subject: str, data: bytes = b"", *, deadline: float = float("inf"), timeout: float = 5.0
    ) -> bytes:
        """An idempotent request, repeated until it is answered or `deadline` seconds have passed.

        Raises:
            NoResponder, RequestTimeout, BusUnavailable: what went wrong last when the time was up.
            RequestFailed, TooLarge: at once.
        """
        return await self.persist(lambda: self.request(subject, data, timeout=timeout), deadline=deadline)

    async def persist(self, attempt: Callable[[], Awaitable[T]], *, deadline: float = float("inf")) -> T:
        """Repeat an idempotent call while the bus or a service is away, for `deadline` seconds from now.

        Raises:
            BusError: what went wrong last when the time was up, or what repeating does not heal.
        """
        end = time.monotonic() + deadline
        delay = 0.05
        while True:
            try:
                return await attempt()
            except (NoResponder, RequestTimeout, BusUnavailable):
                left = end - time.monotonic()
                if left <= 0 or self._link.closing:
                    raise
                with anyio.move_on_after(min(left, 3600.0)):
                    await asyncio.sleep(delay * random.uniform(0.5, 1.0))  # noqa: S311 (jitter)
                    await self.wait_connected()
                delay = min(delay * 2, 1.0)

    async def listen(
        self, subject: str, on_message: Callable[[Msg], Awaitable[None]], *, queue: str = ""
    ) -> Interest:
        """Subscribe, message by message, in order; see `bus.service` for handlers that take their time.

        Raises:
            BusUnavailable: the connection was closed.
        """
        return await self._link.listen(subject, on_message, queue=queue)

    async def flush(self, timeout: float = 5.0) -> None:
        """Return when the server has taken all that was sent and subscribed.

        Raises:
            BusUnavailable, RequestTimeout.
        """
        await self._inbox.round_trip(timeout)

    async def guarded(self, call: Awaitable[T]) -> T:
        """A call of nats-py's, with its errors about the connection as ours; JetStream's own go through."""
        try:
            return await call
        except _AWAY as error:
            raise BusUnavailable(self.url, str(error)) from error
        except ServiceUnavailableError as error:
            raise NoResponder("$JS.API") from error
        except NoRespondersError as error:
            raise NoResponder("$JS.API") from error
        except NatsTimeoutError as error:
            raise RequestTimeout("$JS.API", 5.0) from error

    def spawn(self, work: Callable[[], Awaitable[None]]) -> None:
        """Run something in the background until it ends or the bus is closed; an error is logged."""
        if self._link.closing:
            return

        async def run() -> None:
            try:
                await work()
            except BusError as error:
                _log.warning("background work failed", error=str(error))
            except Exception:
                _log.exception("background work failed")

        task = asyncio.create_task(run())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def close(self) -> None:
        """Cancel the handlers and close; takes three seconds at most, whatever the server does."""
        self._link.closing = True
        tasks = [task for task in self._tasks if task is not asyncio.current_task()]
        for task in tasks:
            task.cancel()
        with anyio.CancelScope(shield=True):
            if tasks:
                await asyncio.wait(tasks, timeout=1.0)
            with contextlib.suppress(BusError):
                await self.flush(1.0)
            await self._link.close()
        self._inbox.fail_all(BusUnavailable(self.url, "the connection was closed by this process"))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    def _on_lost(self) -> None:
        self._inbox.fail_all(BusUnavailable(self.url, "the connection was lost; the outcome is unknown"))

    @staticmethod
    def _traced(headers: Mapping[str, str] | None) -> dict[str, str]:
        copy = dict(headers) if headers else {}  # nats-py changes what it is handed
        traces.inject(copy)
        return copy

    async def _send(self, subject: str, data: bytes, reply: str, headers: Mapping[str, str]) -> None:
        client = self._link.client
        if not client.is_connected:
            raise BusUnavailable(self.url, "reconnecting")
        try:
            await client.publish(subject, data, reply=reply, headers=dict(headers) if headers else None)
        except MaxPayloadError:
            raise TooLarge(subject, len(data), client.max_payload) from None
        except _AWAY as error:
            raise BusUnavailable(self.url, str(error)) from error
