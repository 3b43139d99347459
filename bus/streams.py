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
from nats.js.errors import APIError, BadRequestError

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

_DAY = 86_400.0
_NAME_IN_USE = 10058

_log = structlog.get_logger("bus.streams")


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
    for config in stream_configs(lease_ttl=lease_ttl):
        name = config.name or ""
        if only is not None and name not in only:
            continue
        try:
            await bus.guarded(bus.jetstream.add_stream(config))
        except BadRequestError as error:
            if error.err_code != _NAME_IN_USE:
                raise StreamFailed(name, error.err_code or 0, error.description or "") from error
            await _update(bus, config)
        except APIError as error:
            raise StreamFailed(name, error.err_code or 0, error.description or "") from error


async def _update(bus: Bus, config: StreamConfig) -> None:
    name = config.name or ""
    try:
        await bus.guarded(bus.jetstream.update_stream(config))
    except APIError as error:
        raise StreamFailed(
            name,
            error.err_code or 0,
            f"{error.description}; the stream differs and cannot be changed. It holds nothing that is not "
            f"elsewhere: delete it with `nats stream rm {name}` and start again",
        ) from error
    _log.info("stream updated", stream=name)
