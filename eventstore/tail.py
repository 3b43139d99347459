"""What a follower hears on the bus: the quick way to the next event, and never the only one."""

import asyncio
import time
from collections import deque

import msgspec
from nats.aio.msg import Msg

from contracts.envelope import GENESIS, Envelope
from eventstore.relay import OMITTED

CAPACITY = 8 * 1024 * 1024
"""Bytes of messages that wait for a follower; beyond that it reads from the service instead."""

_decoder = msgspec.msgpack.Decoder(Envelope)


class Tail:
    """Messages that wait for a follower, in the order of their arrival."""

    def __init__(self) -> None:
        self._messages: deque[Msg] = deque()
        self._size = 0
        self._came = asyncio.Event()

    async def take(self, message: Msg) -> None:
        """Keep a message. When too much waits all of it goes: the follower finds the gap and reads."""
        if self._size > CAPACITY:
            self._messages.clear()
            self._size = 0
        self._messages.append(message)
        self._size += len(message.data)
        self._came.set()

    async def beyond(self, position: int, *, at_most: float) -> Envelope | None:
        """The next event beyond a position; None where none came in time, or it has to be read instead."""
        end = time.monotonic() + at_most
        while True:
            while self._messages:
                message = self._messages.popleft()
                self._size -= len(message.data)
                event = _event(message)
                if event is None:
                    return None
                if event.position > position:
                    return event
            self._came.clear()
            try:
                async with asyncio.timeout(max(end - time.monotonic(), 0.0)):
                    await self._came.wait()
            except TimeoutError:
                return None


class Chain:
    """The last hash of every stream that was seen: what the next event of each has to continue."""

    def __init__(self, position: int) -> None:
        self._position = position
        self._heads: dict[str, bytes] = {}

    def add(self, event: Envelope) -> bool:
        """Whether the event continues what was seen; if so it counts as seen."""
        known = self._heads.get(event.stream, GENESIS if event.version == 1 else event.prev_hash)
        if event.position != self._position + 1 or event.prev_hash != known or not event.sound:
            return False
        self._position = event.position
        self._heads[event.stream] = event.hash
        return True


def _event(message: Msg) -> Envelope | None:
    if message.headers and OMITTED in message.headers:
        return None
    try:
        return _decoder.decode(message.data)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None
