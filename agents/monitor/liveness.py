"""Who has fallen silent: an agent that held a duty and is not heard of any more is reported in the ledger.

The duty itself needs no report: its lease runs out, and another agent, or the same one restarted, takes it up.
"""

import time

import anyio
import msgspec
from nats.aio.msg import Msg

from agents.work import Desk
from bus.service import subscribe
from contracts import events as e
from contracts.ledger import ANY
from contracts.record import Record
from contracts.subjects import BEATS

SILENT = 10.0
"""Seconds without a sign of life after which an agent counts as lost; it sends one every two."""


class Beat(Record):
    """A sign of life."""

    role: str
    instance: str
    busy: tuple[str, ...] = ()
    """`stream:duty` of what it works on."""


class Liveness:
    """Keeps the last sign of life of every agent, and what it was doing then."""

    def __init__(self, *, silent: float = SILENT) -> None:
        self.silent = silent
        self.seen: dict[str, tuple[float, Beat]] = {}

    def hear(self, beat: Beat, now: float) -> None:
        """Note a sign of life."""
        self.seen[beat.instance] = (now, beat)

    def lost(self, now: float) -> list[tuple[str, e.AgentLost]]:
        """(stream, event) for every agent that has fallen silent with a duty in hand; each is reported once."""
        found = []
        for instance, (at, beat) in list(self.seen.items()):
            if now - at < self.silent:
                continue
            del self.seen[instance]
            event = e.AgentLost(role=beat.role, instance=instance, silent_seconds=round(now - at, 1))
            found += [(stream, event) for stream in sorted({held.rpartition(":")[0] for held in beat.busy})]
        return found


async def watch(desk: Desk) -> None:
    """Listen for signs of life, and report who is lost, until cancelled."""
    liveness = Liveness()

    async def heard(message: Msg) -> None:
        liveness.hear(msgspec.json.decode(message.data, type=Beat), time.monotonic())

    await subscribe(desk.bus, f"{BEATS}.>", heard, where="beats")
    while True:
        await anyio.sleep(SILENT / 5)
        for stream, event in liveness.lost(time.monotonic()):
            # Every monitor that notices derives the same id, so the loss is stored once.
            new = e.encode(
                event, duty=f"lost/{event.instance}", index=0, actor=desk.instance, correlation=stream
            )
            await desk.ledger.append(stream, ANY, [new])
            desk.log.warning("an agent is lost", lost=event.instance, lost_role=event.role)
