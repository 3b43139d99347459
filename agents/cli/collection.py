"""What `ratchet collect` does with a ledger: read which submissions failed, and record what a person decides."""

from collections.abc import Sequence
from typing import Any

import msgspec

from agents.tasks.errors import TaskError
from agents.tasks.foreign import check_stored, decode_task
from contracts import events as e
from contracts.collection import Entry, Sketch, collected, gather, sketch
from contracts.ledger import BlobStore, EventStore, stream_events
from contracts.lineage import Lineage
from contracts.record import Record
from contracts.submission import Submission, fold
from contracts.tasks import GradedTask
from eventstore.errors import BlobMissing, Conflict

PREFIX = "task/"


class Reading(Record):
    """The failed submissions of a ledger."""

    entries: tuple[Entry, ...]
    unreadable: tuple[tuple[str, str], ...] = ()
    """(Submission, why it cannot be read)."""

    def find(self, name: str) -> Entry | None:
        """The entry of this id, or the one that a submission of this id belongs to."""
        for entry in self.entries:
            if name == entry.name or name in entry.submissions:
                return entry
        return None


class Collected(Record):
    """The practice tasks that were made of failed submissions."""

    tasks: tuple[GradedTask, ...]
    faulty: tuple[tuple[str, str], ...] = ()
    """(Id, why it cannot be used)."""


async def read_collection(ledger: Any) -> Reading:
    """Every failed submission, by content. Raises LedgerError."""
    submissions = await _submissions(ledger, ended=True)
    sketches: dict[str, Sketch] = {}
    unreadable: dict[str, str] = {}
    for submission in submissions:
        asked = submission.submitted
        if asked is None or asked.blob in sketches:
            continue
        try:
            sketches[asked.blob] = sketch(decode_task(await ledger.get(asked.blob)).task)
        except (TaskError, BlobMissing) as error:
            if submission.outcome == "failed":
                unreadable[asked.task] = str(error)
    return Reading(entries=gather(submissions, sketches), unreadable=tuple(sorted(unreadable.items())))


async def read_collected(ledger: Any) -> Collected:
    """The tasks that are collected now, by id; whatever a writer of the ledger made of them, they are checked again.

    Raises LedgerError.
    """
    tasks: dict[str, GradedTask] = {}
    faulty = []
    for event in collected(await _submissions(ledger, ended=False)):
        try:
            graded = check_stored(decode_task(await ledger.get(event.blob)))
        except (TaskError, BlobMissing) as error:
            faulty.append((event.name, str(error)))
            continue
        tasks.setdefault(graded.task.id, graded)
    return Collected(tasks=tuple(tasks.values()), faulty=tuple(faulty))


async def read_task(ledger: BlobStore, entry: Entry) -> GradedTask:
    """The task as it was submitted. Raises TaskError, LedgerError."""
    return decode_task(await ledger.get(entry.blob))


async def accept(ledger: Any, entry: Entry, graded: GradedTask, failing: Sequence[str], by: str) -> int:
    """Record that an entry becomes this task; answers the position, or 0 if it is collected already.

    Raises LedgerError.
    """
    event = e.TaskCollected(
        task=entry.submission,
        name=graded.task.id,
        package=graded.task.package,
        content=entry.content,
        blob=await ledger.put(msgspec.json.encode(graded)),
        failing=tuple(test[:300] for test in failing[:100]),
        tree=entry.harnesses[-1].tree if entry.harnesses else "",
        by=by,
    )
    return await _decide(ledger, entry, event)


async def dismiss(ledger: Any, entry: Entry, reason: str, by: str) -> int:
    """Record that an entry is not wanted (any more); answers the position, or 0 if it is dismissed already.

    Raises LedgerError.
    """
    event = e.TaskDismissed(task=entry.submission, content=entry.content, reason=reason, by=by)
    return await _decide(ledger, entry, event)


async def _decide(ledger: EventStore, entry: Entry, event: e.TaskCollected | e.TaskDismissed) -> int:
    """Append a decision to the stream of the entry's first failure, unless the last decision says the same."""
    while True:
        submissions = [await _fold(ledger, f"{PREFIX}{name}") for name in entry.submissions]
        about = [s for s in submissions if s.decision and s.decision.content == entry.content]
        last = max(about, key=lambda s: s.decided, default=Submission())
        if type(last.decision) is type(event):
            return 0
        stream = f"{PREFIX}{entry.submission}"
        version = next(s.version for s in submissions if s.submitted and s.submitted.task == entry.submission)
        new = e.encode(
            event,
            duty=f"{stream}@{version}/operator",
            index=0,
            actor=f"operator:{event.by}",
            correlation=entry.submission,
        )
        try:
            return (await ledger.append(stream, version, [new])).position
        except Conflict:
            continue


async def _submissions(ledger: EventStore, *, ended: bool) -> list[Submission]:
    """The submissions of a ledger that have ended, or only those about which a person decided something.

    An end is the second event of a stream, a decision the third at the earliest.
    """
    least = 2 if ended else 3
    found = []
    for stream, version in await ledger.streams(PREFIX):
        if version >= least:
            state = await _fold(ledger, stream)
            if state.submitted is not None and stream == f"{PREFIX}{state.submitted.task}":
                found.append(state)
    return found


async def _fold(ledger: EventStore, stream: str) -> Submission:
    state = Submission()
    async for envelope in stream_events(ledger, stream):
        state = fold(state, envelope)
    return state


def versions(states: Sequence[Lineage]) -> dict[str, str]:
    """Tree → the version that it was, v0 for the seed, where it has been the head of one of these lineages."""
    return {version.tree: f"v{version.number}" for state in states for version in reversed(state.versions)}
