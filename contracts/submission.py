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


def fold(state: Submission, envelope: Envelope) -> Submission:
    """The state after one more event of the stream. Raises ValueError when the event is not the next one."""
    if envelope.version != state.version + 1:
        raise ValueError(f"event {envelope.version} does not follow version {state.version}")
    if envelope.prev_hash != (state.hash or GENESIS):
        raise ValueError(f"event {envelope.version} does not point to the event before it")
    state = evolve(e.decode(envelope), state)
    return msgspec.structs.replace(
        state, version=envelope.version, hash=envelope.hash, position=envelope.position
    )


@singledispatch
def evolve(_event: e.Event, state: Submission) -> Submission:
    """The state after an event; events without effect on a submission leave it as it is."""
    return state


@evolve.register
def _(event: e.TaskSubmitted, state: Submission) -> Submission:
    return msgspec.structs.replace(state, submitted=event)


@evolve.register
def _(_event: e.TaskSolved, state: Submission) -> Submission:
    return msgspec.structs.replace(state, outcome="solved")


@evolve.register
def _(_event: e.TaskFailed, state: Submission) -> Submission:
    return msgspec.structs.replace(state, outcome="failed")


def duties(role: str, state: Submission, _now: float) -> tuple[Duty, ...]:
    """What `role` has to do about this task."""
    if role != "executor" or state.submitted is None or state.outcome:
        return ()
    return (Duty(key=f"{state.submitted.task}/solve", kind="solve"),)
