"""Dead letters: what could not be understood or served, kept with the reason for a person to look at."""

from collections.abc import Mapping

import structlog

from bus import jetstream
from bus.connection import Bus
from bus.errors import BusError
from contracts.subjects import dead_subject

REASON = "Ratchet-Reason"
SUBJECT = "Ratchet-Subject"
"""Headers of a dead letter: why, and where the message came from."""

_KEEP = 512 * 1024
_REASON_LENGTH = 500

_log = structlog.get_logger("bus.dead")


async def dead_letter(
    bus: Bus,
    where: str,
    data: bytes,
    *,
    reason: str,
    subject: str = "",
    headers: Mapping[str, str] | None = None,
) -> bool:
    """Keep a message under `dead.<where>`, up to half a MiB of it. Tells whether it was stored."""
    facts = {REASON: " ".join(reason.split())[:_REASON_LENGTH], SUBJECT: subject, **(headers or {})}
    try:
        await jetstream.store(bus, dead_subject(where), data[:_KEEP], headers=facts)
    except BusError as error:
        _log.error("a dead letter was not stored", where=where, reason=reason, error=str(error))
        return False
    return True
