"""Requests and replies over one subscription, which end at once when the connection does.

nats-py's own `request` waits its whole timeout when the server dies, and changes the headers that it is
handed.
"""

import asyncio
import secrets
from collections.abc import Awaitable, Callable, Mapping

from nats.aio.msg import Msg

from bus.errors import BusError, NoResponder, RequestTimeout

Send = Callable[[str, bytes, str, Mapping[str, str]], Awaitable[None]]
"""Publish: subject, data, reply subject, headers."""

_NO_RESPONDERS = "503"


class Inbox:
    """Pairs replies with the requests that wait for them."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self._prefix = f"_INBOX.{secrets.token_hex(11)}."
        self._waiting: dict[str, asyncio.Future[Msg]] = {}
        self._count = 0

    @property
    def subject(self) -> str:
        """What to subscribe to."""
        return f"{self._prefix}*"

    async def deliver(self, message: Msg) -> None:
        """Take a message of the subscription."""
        waiting = self._waiting.get(message.subject[len(self._prefix) :])
        if waiting is not None and not waiting.done():
            waiting.set_result(message)

    def fail_all(self, error: BusError) -> None:
        """End every request that waits."""
        for waiting in self._waiting.values():
            if not waiting.done():
                waiting.set_exception(error)

    async def call(self, subject: str, data: bytes, headers: Mapping[str, str], timeout: float) -> Msg:
        """Send a request and wait for its reply.

        Raises:
            NoResponder: nobody listens on the subject.
            RequestTimeout: no reply came in time.
            BusUnavailable: there is no connection, or it ended.
        """
        reply = await self._wait(subject, timeout, lambda to: self._send(subject, data, to, headers))
        if reply.headers is not None and reply.headers.get("Status") == _NO_RESPONDERS and not reply.data:
            raise NoResponder(subject)
        return reply

    async def round_trip(self, timeout: float) -> None:
        """Send a message to ourselves and wait for it: all that was sent before has reached the server.

        nats-py's `flush` does not say so: its ping overtakes what is still to be sent.

        Raises:
            RequestTimeout, BusUnavailable.
        """
        await self._wait("the way to the server", timeout, lambda to: self._send(to, b"", "", {}))

    async def _wait(self, subject: str, timeout: float, send: Callable[[str], Awaitable[None]]) -> Msg:
        self._count += 1
        token = f"{self._count:x}"
        waiting: asyncio.Future[Msg] = asyncio.get_running_loop().create_future()
        self._waiting[token] = waiting
        try:
            async with asyncio.timeout(timeout):
                await send(self._prefix + token)
                return await waiting
        except TimeoutError:
            raise RequestTimeout(subject, timeout) from None
        finally:
            del self._waiting[token]
            if waiting.done() and not waiting.cancelled():
                waiting.exception()  # seen, even where sending failed first
