"""Leases: who is doing a duty just now, so that replicas do not do it twice.

They save work; correctness does not rest on them: two agents that both think to hold one append the same
events, of which the ledger takes one set.
"""

import asyncio
import contextlib
import hashlib
import secrets
import time
from types import TracebackType
from typing import Self

import anyio
import msgspec
import structlog

from bus import jetstream
from bus.connection import Bus
from bus.errors import BusError, LeaseLost, WrongSequence
from bus.streams import LEASE_TTL, LEASES_STREAM
from contracts.record import Record
from contracts.subjects import LEASES_BUCKET

_OPERATION = "KV-Operation"

_log = structlog.get_logger("bus.leases")


class Holder(Record, frozen=True, kw_only=True):
    """What a lease's entry says."""

    key: str
    owner: str
    token: str
    """Tells the leases of one owner apart."""


class Leases:
    """Takes leases. `ttl` must be what the bucket was made with (`ensure_streams(lease_ttl=…)`)."""

    def __init__(self, bus: Bus, *, ttl: float = LEASE_TTL) -> None:
        self._bus = bus
        self._ttl = ttl

    async def acquire(self, key: str, owner: str) -> "Lease | None":
        """Take the lease on a duty; None when somebody holds it. Enter it (`async with`) to keep it renewed.

        Raises:
            BusUnavailable, NoResponder, RequestTimeout: try again later; at worst the lease is taken and
            lapses.
        """
        subject = lease_subject(key)
        holder = Holder(key=key, owner=owner, token=secrets.token_hex(8))
        began = time.monotonic()
        try:
            stored = await jetstream.store(self._bus, subject, msgspec.json.encode(holder), expected=0)
        except WrongSequence:
            found = await jetstream.last(self._bus, LEASES_STREAM, subject)
            if found is not None and _OPERATION not in found.headers:
                return None
            try:  # a released lease leaves a mark until it is forgotten
                stored = await jetstream.store(
                    self._bus, subject, msgspec.json.encode(holder), expected=found.seq if found else 0
                )
            except WrongSequence:
                return None
        return Lease(self._bus, holder, revision=stored.seq, ttl=self._ttl, since=began)

    async def holder(self, key: str) -> Holder | None:
        """Who holds the lease on a duty.

        Raises:
            BusUnavailable, NoResponder, RequestTimeout.
        """
        return await _read(self._bus, key)


class Lease:
    """A lease that is held; inside `async with` it is renewed, and given back at the end."""

    def __init__(self, bus: Bus, holder: Holder, *, revision: int, ttl: float, since: float) -> None:
        self.lost = anyio.Event()
        """Set when the lease is no longer ours: someone took it, or the bus was away for too long."""
        self._bus = bus
        self._holder = holder
        self._revision = revision
        self._ttl = ttl
        self._good_until = since + ttl
        self._renewing: asyncio.Task[None] | None = None

    @property
    def key(self) -> str:
        """The duty's key."""
        return self._holder.key

    @property
    def owner(self) -> str:
        """Who holds it."""
        return self._holder.owner

    @property
    def held(self) -> bool:
        """Whether it is certainly ours: renewed in time."""
        return not self.lost.is_set() and time.monotonic() < self._good_until

    def check(self) -> None:
        """Raise `LeaseLost` unless the lease is held."""
        if not self.held:
            raise LeaseLost(self.key, self.owner)

    async def release(self) -> None:
        """Give it back, if it is still ours; never raises for a bus that is away: then it lapses."""
        if self.lost.is_set():
            return
        self.lost.set()
        self._good_until = 0.0
        with contextlib.suppress(BusError):
            await jetstream.store(
                self._bus,
                lease_subject(self.key),
                b"",
                headers={_OPERATION: "DEL"},
                expected=self._revision,
                timeout=2.0,
            )

    async def __aenter__(self) -> Self:
        self._renewing = asyncio.create_task(self._keep())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with anyio.CancelScope(shield=True):
            if self._renewing is not None:
                self._renewing.cancel()
                await asyncio.wait([self._renewing])
            await self.release()

    async def _keep(self) -> None:
        pause = self._ttl / 3
        while True:
            await asyncio.sleep(max(0.0, min(pause, self._good_until - time.monotonic())))
            if time.monotonic() >= self._good_until:
                break
            began = time.monotonic()
            try:
                ours = await self._renew(min(self._ttl / 3, self._good_until - began))
            except BusError as error:
                _log.debug("lease not renewed", key=self.key, error=str(error))
                pause = self._ttl / 20
                continue
            if not ours:
                break
            self._good_until = began + self._ttl
            pause = self._ttl / 3
        _log.warning("lease lost", key=self.key, owner=self.owner)
        self.lost.set()

    async def _renew(self, timeout: float) -> bool:
        data = msgspec.json.encode(self._holder)
        subject = lease_subject(self.key)
        try:
            stored = await jetstream.store(self._bus, subject, data, expected=self._revision, timeout=timeout)
        except WrongSequence:
            found = await jetstream.last(self._bus, LEASES_STREAM, subject, timeout=timeout)
            if found is None or found.data != data:
                return False
            self._revision = found.seq  # a renewal of which we never heard
            return True
        self._revision = stored.seq
        return True


def lease_subject(key: str) -> str:
    """The subject of a duty's lease: keys may hold what subjects may not."""
    return f"$KV.{LEASES_BUCKET}.{hashlib.sha256(key.encode()).hexdigest()}"


async def _read(bus: Bus, key: str) -> Holder | None:
    found = await jetstream.last(bus, LEASES_STREAM, lease_subject(key))
    if found is None or _OPERATION in found.headers:
        return None
    return msgspec.json.decode(found.data, type=Holder)
