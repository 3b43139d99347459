"""The streams of the bus, created where they are missing and brought up to date where they differ."""

import os
from collections.abc import Collection

import structlog
from nats.js.api import (
    DiscardPolicy,
    RePublish,
    RetentionPolicy,
    StorageType,
    StreamConfig,
)
from nats.js.errors import APIError

from bus.connection import Bus
from bus.errors import StreamFailed
from contracts import subjects

STORED = "stored"
"""`stored.<kind>.<id>`: a result, published again by the server once it is stored.

A plain subscription on `results.>` would also see results that the stream refused because there is one
already."""

STARTS_STREAM = "STARTS"
"""Marks of jobs begun again: they tell a job that kills its worker from one that waited beside it."""

LEASES_STREAM = f"KV_{subjects.LEASES_BUCKET}"
LEASE_TTL = float(os.environ.get("RATCHET_LEASE_SECONDS") or 15.0)
"""Seconds after which a lease that is not renewed is free again: how long a killed agent's work waits."""

REPLICAS = 3
"""Copies of every stream on a bus of several servers: one of them may be lost."""

_DAY = 86_400.0
_NAME_IN_USE = 10058
_ONE_SERVER = 10074

_log = structlog.get_logger("bus.streams")


COMMITS = StreamConfig(
    name=subjects.COMMITS_STREAM,
    subjects=[subjects.COMMITS],
    retention=RetentionPolicy.LIMITS,
    storage=StorageType.FILE,
    discard=DiscardPolicy.NEW,
    duplicate_window=1.0,
    deny_delete=True,
    deny_purge=True,
    allow_direct=True,
    allow_atomic=True,
    republish=RePublish(src=subjects.COMMITS, dest=subjects.COMMITTED, headers_only=True),
)
"""The log of a replicated ledger: made on request only, and never changed but at its end."""


def stream_configs(*, lease_ttl: float = LEASE_TTL) -> tuple[StreamConfig, ...]:
    """What the streams should be like."""
    return (
        StreamConfig(
            name=subjects.LEDGER_STREAM,
            subjects=[f"{subjects.LEDGER_EVENTS}.>"],
            retention=RetentionPolicy.LIMITS,
            storage=StorageType.FILE,
            duplicate_window=120.0,
            allow_direct=True,
        ),
        StreamConfig(
            name=subjects.JOBS_STREAM,
            subjects=["jobs.>"],
            retention=RetentionPolicy.WORK_QUEUE,
            storage=StorageType.FILE,
            discard=DiscardPolicy.OLD,
            max_age=3 * _DAY,
            max_bytes=512 * 1024 * 1024,
            allow_direct=True,
        ),
        StreamConfig(
            name=subjects.RESULTS_STREAM,
            subjects=["results.>"],
            retention=RetentionPolicy.LIMITS,
            storage=StorageType.FILE,
            discard=DiscardPolicy.OLD,
            max_msgs_per_subject=1,
            max_age=3 * _DAY,
            max_bytes=512 * 1024 * 1024,
            allow_direct=True,
            republish=RePublish(src="results.>", dest=f"{STORED}.>"),
        ),
        StreamConfig(
            name=subjects.DEAD_STREAM,
            subjects=["dead.>"],
            retention=RetentionPolicy.LIMITS,
            storage=StorageType.FILE,
            discard=DiscardPolicy.OLD,
            max_msgs=10_000,
            max_age=7 * _DAY,
            max_bytes=256 * 1024 * 1024,
            allow_direct=True,
        ),
        StreamConfig(
            name=STARTS_STREAM,
            subjects=["starts.>"],
            retention=RetentionPolicy.LIMITS,
            storage=StorageType.FILE,
            discard=DiscardPolicy.OLD,
            max_msgs_per_subject=64,
            max_age=_DAY,
            max_bytes=64 * 1024 * 1024,
        ),
        # A key-value bucket, as every NATS tool knows it. On file, so that leases outlive a restart of the
        # bus.
        StreamConfig(
            name=LEASES_STREAM,
            subjects=[f"$KV.{subjects.LEASES_BUCKET}.>"],
            retention=RetentionPolicy.LIMITS,
            storage=StorageType.FILE,
            discard=DiscardPolicy.NEW,
            max_msgs_per_subject=1,
            max_age=lease_ttl,
            duplicate_window=min(lease_ttl, 120.0),
            allow_rollup_hdrs=True,
            deny_delete=False,
            allow_direct=True,
        ),
    )


async def ensure_streams(
    bus: Bus, *, lease_ttl: float = LEASE_TTL, only: Collection[str] | None = None
) -> None:
    """Create the streams that are missing and update those that differ. Any process may call it any time.

    With `only`, the streams of these names.

    Raises:
        BusUnavailable: the bus is away.
        StreamFailed: a stream exists that cannot be changed into what it should be.
    """
    replicas = 0
    for config in stream_configs(lease_ttl=lease_ttl):
        if only is None or config.name in only:
            replicas = await ensure_stream(bus, config, replicas=replicas)


async def ensure_stream(bus: Bus, config: StreamConfig, *, replicas: int = 0) -> int:
    """Create or update one stream, and return how many copies it has.

    Args:
        bus: the connection.
        config: what it should be like.
        replicas: copies to keep; 0: as many as the bus has servers for.

    Raises:
        BusUnavailable: the bus is away.
        StreamFailed: a stream exists that cannot be changed into what it should be.
    """
    copies = replicas or REPLICAS
    wanted = config.evolve(num_replicas=copies)
    name = config.name or ""
    try:
        await bus.guarded(bus.jetstream.add_stream(wanted))
    except APIError as error:
        if error.err_code == _ONE_SERVER and not replicas:
            return await ensure_stream(bus, config, replicas=1)
        if error.err_code != _NAME_IN_USE:
            raise StreamFailed(name, error.err_code or 0, error.description or "") from error
        await _update(bus, wanted)
    return copies


async def _update(bus: Bus, config: StreamConfig) -> None:
    name = config.name or ""
    try:
        await bus.guarded(bus.jetstream.update_stream(config))
    except APIError as error:
        remedy = (
            "It holds the ledger: leave it, and use the Ratchet that made it"
            if name == subjects.COMMITS_STREAM
            else f"It holds nothing that is not elsewhere: delete it with `nats stream rm {name}` and start again"
        )
        reason = f"{error.description}; the stream differs and cannot be changed. {remedy}"
        raise StreamFailed(name, error.err_code or 0, reason) from error
    _log.info("stream updated", stream=name)
