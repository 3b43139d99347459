"""The connection underneath a `Bus`: it comes back, whatever happened, with its subscriptions.

nats-py reconnects by itself when the connection breaks, but closes for good when the server reports an
error (a handshake that took too long, a protocol error). Then a fresh client takes over here.
"""

import asyncio
import contextlib
import random
import time
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import urlsplit

import structlog
from nats.aio.client import Client, Server
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription as NatsSubscription
from nats.errors import Error as NatsError
from nats.errors import SlowConsumerError

from bus.errors import BusUnavailable

STUCK_AFTER = 30.0
"""Seconds without an attempt to reconnect after which a fresh client takes over."""

RECONNECT_WAIT = 0.2
"""Seconds between attempts to reconnect, give or take half of it."""

_log = structlog.get_logger("bus.connection")

OnMessage = Callable[[Msg], Awaitable[None]]


def addresses(url: str) -> list[str]:
    """The addresses in `nats://user:secret@a,b:4223,nats://c`; what one leaves out is as in the one before."""
    found: list[str] = []
    scheme, login = "nats", ""
    for text in url.split(","):
        parts = urlsplit(text.strip() if "://" in text else f"//{text.strip()}")
        scheme = parts.scheme or scheme
        login = parts.netloc.rpartition("@")[0] or login
        host = parts.netloc.rpartition("@")[2]
        if host:
            found.append(f"{scheme}://{f'{login}@' if login else ''}{host}")
    return found or [url]


def public(url: str) -> str:
    """The address, or addresses, without the secret."""
    return ",".join(
        f"{(at := urlsplit(each)).scheme}://{at.netloc.rpartition('@')[2]}" for each in addresses(url)
    )


class Interest:
    """A subscription that outlives the client underneath."""

    def __init__(self, link: "Link", subject: str, queue: str, on_message: OnMessage) -> None:
        self.subject = subject
        self.queue = queue
        self._link = link
        self._on_message = on_message
        self._client: Client | None = None
        self._current: NatsSubscription | None = None

    async def attach(self, client: Client) -> None:
        """Subscribe with a client, unless that is done."""
        if self._client is client:
            return
        self._client = client
        self._current = await client.subscribe(self.subject, queue=self.queue, cb=self._take)

    async def stop(self) -> None:
        """Unsubscribe; messages that wait are dropped. Harmless when repeated or not connected."""
        self._link.forget(self)
        if self._current is not None:
            with contextlib.suppress(NatsError):
                await self._current.unsubscribe()
            self._current = None

    async def _take(self, message: Msg) -> None:
        await self._on_message(message)


class Link:
    """Keeps one connection alive until it is closed."""

    def __init__(self, url: str, name: str) -> None:
        self.url = url
        self.name = name
        self._known = {urlsplit(each).netloc for each in addresses(url)}
        """What was asked for; a server that a cluster names beside may lie where nobody here can reach it."""
        self.dropped = 0
        """Messages that came faster than their handler took them, and were lost."""
        self.on_lost: list[Callable[[], None]] = []
        self.on_back: list[Callable[[], None]] = []
        self.client = Client()
        self._interests: list[Interest] = []
        self._up = asyncio.Event()
        self._refused = asyncio.Event()
        self.closing = False
        """Set first of all when it is to end: what comes back then is not wanted."""
        self._closed = False
        self._lost = False
        self._lost_at = 0.0
        self._tried_at = 0.0
        self._last_error = ""
        self._reviving: asyncio.Task[None] | None = None
        self._watching: asyncio.Task[None] | None = None

    @property
    def connected(self) -> bool:
        """Whether the connection stands."""
        return self.client.is_connected and not self.closing

    async def open(self, deadline: float) -> None:
        """Connect; tries for `deadline` seconds.

        Raises:
            BusUnavailable: nothing answers, or the secret does not fit.
        """
        connecting = asyncio.create_task(self._connect())
        done = False
        refused = asyncio.create_task(self._refused.wait())
        try:
            await asyncio.wait({connecting, refused}, timeout=deadline, return_when=asyncio.FIRST_COMPLETED)
            if connecting.done():
                connecting.result()
                done = True
                return
            if refused.done():
                raise BusUnavailable(
                    public(self.url),
                    "the secret was refused",
                    "The address with the right one is in <store>/bus/url",
                )
            reason = f"{self._last_error or 'nothing answers'} (tried for {deadline:g} s)"
            raise BusUnavailable(public(self.url), reason)
        finally:
            refused.cancel()
            if not done:
                self.closing = True  # else the client that is dropped would be replaced by another, for ever
                connecting.cancel()
                await asyncio.wait({connecting})
                await self._drop_client()

    async def wait_up(self) -> None:
        """Return when the connection stands."""
        while not self.connected:
            if self.closing:
                raise BusUnavailable(public(self.url), "the connection was closed by this process")
            self._up.clear()
            await self._up.wait()

    async def listen(self, subject: str, on_message: OnMessage, *, queue: str = "") -> Interest:
        """Subscribe, now and after every reconnection. Returns when the server knows it, if there is one."""
        interest = Interest(self, subject, queue, on_message)
        self._interests.append(interest)
        if not self.client.is_closed:  # else the next client attaches it
            try:
                await interest.attach(self.client)
            except NatsError as error:
                self._interests.remove(interest)
                raise BusUnavailable(public(self.url), str(error)) from error
        return interest

    def forget(self, interest: Interest) -> None:
        """Attach it no more."""
        with contextlib.suppress(ValueError):
            self._interests.remove(interest)

    async def close(self, patience: float = 1.0) -> None:
        """Close, within `patience` seconds and a little. Harmless when repeated."""
        if self._closed:
            return
        self._closed = self.closing = True
        self._up.set()
        for task in (self._watching, self._reviving):
            if task is not None:
                task.cancel()
                await asyncio.wait([task])
        await self._drop_client(patience)

    async def _connect(self) -> None:
        options: dict[str, Any] = {  # nats-py calls seconds integers; fractions work
            "servers": addresses(self.url),
            "name": self.name,
            "max_reconnect_attempts": -1,
            "reconnect_time_wait": RECONNECT_WAIT,
            "reconnect_to_server_handler": self._again,
            "connect_timeout": 10,
            "ping_interval": 10,
            "pending_size": 0,  # fail at once while there is no connection, rather than buffer
            "error_cb": self._on_error,
            "disconnected_cb": self._on_lost,
            "reconnected_cb": self._on_back,
            "closed_cb": self._on_closed,
        }
        while True:
            self.client = client = Client()
            try:
                await client.connect(**options)
            except NatsError as error:
                self._last_error = str(error)
                await asyncio.sleep(RECONNECT_WAIT)
                continue
            if client.is_connected:
                break
            await asyncio.sleep(RECONNECT_WAIT)
        for interest in list(self._interests):
            await interest.attach(client)
        self._up.set()

    async def _drop_client(self, patience: float = 1.0) -> None:
        with contextlib.suppress(NatsError, TimeoutError, OSError):
            async with asyncio.timeout(patience):
                await self.client.close()

    def _again(self, servers: list[Server], _: dict[str, Any]) -> tuple[Server, float]:
        self._tried_at = time.monotonic()
        known = [each for each in servers if each.uri.netloc in self._known] or servers
        return random.choice(known), RECONNECT_WAIT * random.uniform(0.5, 1.5)  # noqa: S311 (jitter)

    async def _on_error(self, error: Exception) -> None:
        if isinstance(error, SlowConsumerError):
            self.dropped += 1
            if self.dropped & (self.dropped - 1) == 0:  # the 1st, 2nd, 4th, 8th …
                _log.warning("messages dropped: too slow", subject=error.subject, dropped=self.dropped)
            return
        self._last_error = str(error) or type(error).__name__
        if "authorization" in self._last_error.lower():
            self._refused.set()
        if self.client.is_connected:
            _log.warning("error on the connection", error=self._last_error, kind=type(error).__name__)
        else:
            _log.debug("not connected", error=self._last_error)

    async def _on_lost(self) -> None:
        if self.closing or self._lost:
            return
        self._lost = True
        self._up.clear()
        self._lost_at = self._tried_at = time.monotonic()
        _log.warning("connection lost; reconnecting", url=public(self.url), error=self._last_error)
        for hook in list(self.on_lost):
            hook()
        self._watching = asyncio.create_task(self._watch())

    async def _on_back(self) -> None:
        self._lost = False
        self._up.set()
        _log.info("connected again", url=public(self.url), after=round(time.monotonic() - self._lost_at, 3))
        for hook in list(self.on_back):
            hook()

    async def _watch(self) -> None:
        """Close a client whose reconnecting has come to a halt, so that another takes over."""
        while self._lost and not self.closing:
            await asyncio.sleep(STUCK_AFTER / 10)
            if self.client.is_reconnecting and time.monotonic() - self._tried_at > STUCK_AFTER:
                _log.warning("reconnecting has come to a halt")
                await self._drop_client()

    async def _on_closed(self) -> None:
        if not self.closing and (self._reviving is None or self._reviving.done()):
            self._reviving = asyncio.create_task(self._revive())

    async def _revive(self) -> None:
        _log.warning("the server ended the connection; opening another", error=str(self.client.last_error))
        while not self.closing:
            try:
                await self._connect()
            except (NatsError, OSError) as error:  # lost again while subscribing
                self._last_error = str(error)
                await self._drop_client()
                await asyncio.sleep(RECONNECT_WAIT)
            else:
                await self._on_back()
                return
