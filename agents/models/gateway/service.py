"""The gateway on the bus: of several one serves, by a lease; the others stand by."""

import logging
from pathlib import Path

import anyio

from agents.config import Config
from agents.models.gateway.gateway import CALLS, Gateway
from agents.models.gateway.ways import Ways
from agents.models.record import CallRecord
from agents.runner import instance_name
from agents.work import desk_for
from bus.connection import connect
from bus.leases import Leases
from bus.service import respond
from bus.streams import ensure_streams
from contracts.subjects import MODELS

LEASE = "models/gateway"
STAND_BY = 1.0
"""Seconds between two looks whether the one that serves is gone."""


async def serve_gateway(url: str, config: Config, recorded: Path | None = None) -> None:
    """Serve, or stand by, until cancelled.

    Raises:
        ConfigUnreadable, LedgerError, BusError.
    """
    instance = instance_name("gateway")
    for name in ("httpx", "httpx2", "openai"):  # a line for every request would drown all others
        logging.getLogger(name).setLevel(logging.WARNING)
    ways = Ways(config)
    record = await CallRecord.open(recorded) if recorded else None
    async with await connect(url, name=instance) as bus:
        await ensure_streams(bus)
        desk = desk_for(bus, "gateway", instance)
        while True:
            lease = await Leases(bus).acquire(LEASE, instance)
            if lease is None:
                await anyio.sleep(STAND_BY)
                continue
            async with lease, anyio.create_task_group() as tasks:
                gateway = Gateway(desk, ways, tasks, record)
                interest = await respond(bus, MODELS, gateway.answer, concurrency=CALLS)
                desk.log.info("serving", recorded=len(record) if record else 0)
                try:
                    await lease.lost.wait()
                finally:
                    await interest.stop()
                tasks.cancel_scope.cancel()
            desk.log.warning("the lease was lost")
