"""Counting how often a job was really begun.

The number of deliveries will not do: beside a job that kills its worker, innocent ones wait, and are delivered
again as often as it is. So from the second delivery on, a mark is left whenever a job is begun.
"""

from bus import jetstream
from bus.connection import Bus
from bus.errors import StreamFailed
from bus.streams import STARTS_STREAM, ensure_streams

_NO_SUCH_STREAM = 10059


async def mark_start(bus: Bus, kind: str, job_id: str) -> int:
    """Leave a mark for a job that was delivered before; returns which attempt this is. Waits for the bus."""
    subject = _subject(kind, job_id)

    async def mark() -> int:
        answer = await jetstream.manage(bus, f"STREAM.INFO.{STARTS_STREAM}", {"subjects_filter": subject})
        begun = (answer["state"].get("subjects") or {}).get(subject, 0)
        await jetstream.store(bus, subject, b"")
        return int(begun) + 2  # the first beginning left no mark

    try:
        return await bus.persist(mark)
    except StreamFailed as error:
        if error.code != _NO_SUCH_STREAM:
            raise
        await ensure_streams(bus, only=(STARTS_STREAM,))
        return await bus.persist(mark)


async def forget_starts(bus: Bus, kind: str, job_id: str) -> None:
    """Remove a job's marks."""
    await jetstream.manage(bus, f"STREAM.PURGE.{STARTS_STREAM}", {"filter": _subject(kind, job_id)})


def _subject(kind: str, job_id: str) -> str:
    return f"starts.{kind}.{job_id}"
