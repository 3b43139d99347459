"""Pulling jobs of one kind from their durable consumer, ahead of need, across every kind of interruption."""

import asyncio
import secrets
import time
from collections.abc import Callable

import msgspec
import structlog
from nats.aio.msg import Msg

from bus import jetstream
from bus.connection import Bus
from bus.errors import BusError, StreamFailed
from bus.link import Interest
from bus.streams import STARTS_STREAM, ensure_streams
from contracts.subjects import JOBS_STREAM, RESULTS_STREAM, job_subject

_EXPIRES = 30.0
_IDLE_HEARTBEAT = 5.0
_NANO = 1_000_000_000
_NO_SUCH_STREAM = 10059
_ORDINARY = frozenset({"404", "408"})
"""Ends of a pull request that mean no harm: nothing there, time is up."""

_log = structlog.get_logger("bus.pull")


def consumer_name(kind: str) -> str:
    """The durable consumer that all workers of a kind share."""
    return f"workers-{kind}"


async def ensure_consumer(bus: Bus, kind: str, ack_wait: float) -> str:
    """Create or update the durable consumer that all workers of a kind share; returns its name.

    Raises:
        StreamFailed, NoResponder, RequestTimeout, BusUnavailable.
    """
    name = consumer_name(kind)
    subject = job_subject(kind)
    request = {
        "stream_name": JOBS_STREAM,
        "config": {
            "name": name,
            "durable_name": name,
            "filter_subjects": [subject, f"{subject}.>"],
            "deliver_policy": "all",
            "ack_policy": "explicit",
            "ack_wait": int(ack_wait * _NANO),
            # No limit here: the server would leave a job that ran into it in the stream, and tell nobody. The
            # worker counts, and answers for it.
            "max_deliver": -1,
            "max_ack_pending": 20_000,
        },
    }
    verb = f"CONSUMER.CREATE.{JOBS_STREAM}.{name}"
    try:
        await jetstream.manage(bus, verb, request)
    except StreamFailed as error:
        if error.code != _NO_SUCH_STREAM:
            raise
        await ensure_streams(bus, only=(JOBS_STREAM, RESULTS_STREAM, STARTS_STREAM))
        await jetstream.manage(bus, verb, request)
    return name


class Puller:
    """Keeps up to `capacity` jobs of a kind at hand. One pull request is open at a time."""

    def __init__(
        self, bus: Bus, kind: str, *, capacity: int, ack_wait: float, deliver: Callable[[Msg], None]
    ) -> None:
        self.kind = kind
        self.held = 0
        """Jobs delivered and not yet released."""
        self._bus = bus
        self._capacity = capacity
        self._ack_wait = ack_wait
        self._deliver = deliver
        self._inbox = f"_INBOX.{secrets.token_hex(11)}"
        self._open = 0
        """Messages that the open request may still bring."""
        self._request = 0
        self._heard = 0.0
        self._consumer = ""
        self._wake = asyncio.Event()
        self._interest: Interest | None = None

    def stop(self) -> None:
        """Ask for no more; what is on its way may still come."""
        self._capacity = 0

    def resize(self, capacity: int) -> None:
        """Keep so many at hand from now on; what is held beyond it stays."""
        if self._capacity:  # it was not stopped
            self._capacity = max(1, capacity)
            self._wake.set()

    def release(self) -> None:
        """A job is settled: there is room for another."""
        self.held -= 1
        self._wake.set()

    async def run(self) -> None:
        """Pull until cancelled."""
        self._interest = await self._bus.listen(f"{self._inbox}.*", self._take)
        self._bus.reconnected.append(self._restart)
        try:
            while True:
                self._wake.clear()
                pause = _IDLE_HEARTBEAT
                try:
                    await self._pull()
                except BusError as error:
                    _log.debug("pull failed", kind=self.kind, error=str(error))
                    pause = 0.5
                try:
                    await asyncio.wait_for(self._wake.wait(), pause)
                except TimeoutError:
                    if time.monotonic() - self._heard > 2.5 * _IDLE_HEARTBEAT:
                        self._open = 0  # the server has forgotten the request
        finally:
            self._bus.reconnected.remove(self._restart)
            await self._interest.stop()

    async def _pull(self) -> None:
        room = self._capacity - self.held
        if self._open > 0 or room < max(1, self._capacity // 2):
            return
        if not self._consumer:
            self._consumer = await ensure_consumer(self._bus, self.kind, self._ack_wait)
        self._request += 1
        self._open = room
        self._heard = time.monotonic()
        request = {
            "batch": room,
            "expires": int(_EXPIRES * _NANO),
            "idle_heartbeat": int(_IDLE_HEARTBEAT * _NANO),
        }
        try:
            await self._bus.publish(
                f"$JS.API.CONSUMER.MSG.NEXT.{JOBS_STREAM}.{self._consumer}",
                msgspec.json.encode(request),
                reply=f"{self._inbox}.{self._request}",
            )
        except BusError:
            self._open = 0
            raise

    async def _take(self, message: Msg) -> None:
        self._heard = time.monotonic()
        status = (message.headers or {}).get("Status")
        if status is None:
            self.held += 1
            self._open = max(0, self._open - 1)
            self._deliver(message)
        elif status == "100" or not message.subject.endswith(f".{self._request}"):
            return  # a sign of life, or the end of an earlier request
        else:
            self._open = 0
            if status not in _ORDINARY:  # the consumer may be gone
                self._consumer = ""
                await asyncio.sleep(0.1)
        self._wake.set()

    def _restart(self) -> None:
        self._open = 0
        self._consumer = ""
        self._wake.set()
