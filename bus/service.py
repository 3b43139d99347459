"""Handlers of messages: bounded in number, answered for when they fail, and never the end of the service."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial

import msgspec
import structlog
from nats.aio.msg import Msg

from bus import semconv, traces
from bus.connection import ERROR_HEADER, Bus
from bus.dead import dead_letter
from bus.errors import BusError, BusUnavailable, MalformedMessage
from bus.link import Interest

Handler = Callable[[bytes], Awaitable[bytes]]
"""Answers a request. Raises `MalformedMessage` (or a msgspec error) for what it cannot understand."""

_log = structlog.get_logger("bus.service")


async def subscribe(
    bus: Bus,
    subject: str,
    handler: Callable[[Msg], Awaitable[None]],
    *,
    queue: str = "",
    concurrency: int = 16,
    where: str = "",
) -> Interest:
    """Call `handler` with every message, up to `concurrency` at once; more wait, too many are dropped.

    With a `queue`, each message goes to one of those that subscribed under this name. An exception of the
    handler makes a dead letter `dead.<where>` (default: the subject), and the subscription lives on. Stop
    it with `stop()` of what is returned; it is there again after every reconnection.

    Raises:
        BusUnavailable: the connection was closed.
    """
    place = where or subject.replace("*", "_").replace(">", "_")
    free = asyncio.Semaphore(concurrency)

    async def run(message: Msg) -> None:
        try:
            await handler(message)
        except Exception as error:
            _report(error, message.subject)
            await dead_letter(bus, place, message.data, reason=_reason(error), subject=message.subject)
        finally:
            free.release()

    async def take(message: Msg) -> None:
        await free.acquire()
        bus.spawn(partial(run, message))

    return await bus.listen(subject, take, queue=queue)


async def respond(
    bus: Bus, subject: str, handler: Handler, *, queue: str = "", concurrency: int = 16, where: str = ""
) -> Interest:
    """Serve requests: reply to each with what `handler` returns, up to `concurrency` at once.

    What the handler cannot understand, and any other exception, makes a dead letter `dead.<where>`
    (default: the subject) with the reason and an error reply, which `Bus.request` raises as
    `RequestFailed`; the service lives on.

    Raises:
        BusUnavailable: the connection was closed.
    """

    async def serve(message: Msg) -> None:
        try:
            with traces.span(
                f"process {message.subject}",
                traces.extract(message.headers),
                **{
                    semconv.MESSAGING_SYSTEM: semconv.NATS,
                    semconv.MESSAGING_OPERATION_TYPE: "process",
                    semconv.MESSAGING_DESTINATION_NAME: message.subject,
                },
            ):
                reply = await handler(bytes(message.data))
                if message.reply:
                    with suppress(BusUnavailable):  # whoever asked hears nothing, and asks again
                        await bus.publish(message.reply, reply)
        except Exception as error:
            if message.reply:
                kind = "malformed" if is_malformed(error) else "internal"
                await bus.publish(message.reply, _reason(error).encode(), headers={ERROR_HEADER: kind})
            raise

    return await subscribe(bus, subject, serve, queue=queue, concurrency=concurrency, where=where)


def is_malformed(error: Exception) -> bool:
    """Whether an error says that a message cannot be understood."""
    return isinstance(error, MalformedMessage | msgspec.MsgspecError)


def _reason(error: Exception) -> str:
    return str(error) if isinstance(error, BusError) else f"{type(error).__name__}: {error}"


def _report(error: Exception, subject: str) -> None:
    if isinstance(error, BusError) or is_malformed(error):
        _log.warning("message not served", subject=subject, error=str(error))
    else:
        _log.error("handler failed", subject=subject, exc_info=error)
