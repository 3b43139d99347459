"""The state of one task that a user published (stream `task/<id>`), its fold, and who has to do something."""

from functools import singledispatch

import msgspec

from contracts import events as e
from contracts.duties import Duty
from contracts.envelope import GENESIS, Envelope
from contracts.record import Record


class Submission(Record):
    """A published task, until it is solved or given up."""

    version: int = 0
    hash: bytes = b""
    position: int = 0
    submitted: e.TaskSubmitted | None = None
    outcome: str = ""
    """`solved`, `failed`, or nothing yet."""
    ended: e.TaskSolved | e.TaskFailed | None = None
    ended_at: float = 0.0
    decision: e.TaskCollected | e.TaskDismissed | None = None
    """What a person said last about making a practice task of it."""
    decided: int = 0
    """Ledger position of that decision: of several about the same content the last one holds."""


def fold(state: Submission, envelope: Envelope) -> Submission:
    """The state after one more event of the stream. Raises ValueError when the event is not the next one."""
    if envelope.version != state.version + 1:
        raise ValueError(f"event {envelope.version} does not follow version {state.version}")
    if envelope.prev_hash != (state.hash or GENESIS):
        raise ValueError(f"event {envelope.version} does not point to the event before it")
    state = evolve(e.decode(envelope), state, envelope)
    return msgspec.structs.replace(
        state, version=envelope.version, hash=envelope.hash, position=envelope.position
    )


@singledispatch
def evolve(_event: e.Event, state: Submission, _envelope: Envelope) -> Submission:
    """The state after an event; events without effect on a submission leave it as it is."""
    return state


@evolve.register
def _(event: e.TaskSubmitted, state: Submission, _envelope: Envelope) -> Submission:
    return msgspec.structs.replace(state, submitted=event)


@evolve.register
def _(event: e.TaskSolved, state: Submission, envelope: Envelope) -> Submission:
    return msgspec.structs.replace(state, outcome="solved", ended=event, ended_at=envelope.at)


@evolve.register
def _(event: e.TaskFailed, state: Submission, envelope: Envelope) -> Submission:
    return msgspec.structs.replace(state, outcome="failed", ended=event, ended_at=envelope.at)


@evolve.register(e.TaskCollected)
@evolve.register(e.TaskDismissed)
def _(event: e.TaskCollected | e.TaskDismissed, state: Submission, envelope: Envelope) -> Submission:
    return msgspec.structs.replace(state, decision=event, decided=envelope.position)


def duties(role: str, state: Submission, _now: float) -> tuple[Duty, ...]:
    """What `role` has to do about this task."""
    if role != "executor" or state.submitted is None or state.outcome:
        return ()
    return (Duty(key=f"{state.submitted.task}/solve", kind="solve"),)
