"""Every event that a ledger may hold, gathered into one table, and how stored events are read.

An event's type is its struct's name. New fields have defaults; an event whose meaning changes gets a new schema
number and an upcaster from the old one.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import msgspec

from contracts.envelope import Envelope, NewEvent, event_id
from contracts.events.base import Event
from contracts.events.calls import (
    BudgetSpent,
    CallOutcome,
    CallsMade,
    CallsReserved,
    Reservation,
    Settlement,
)
from contracts.events.campaign import (
    AgentLost,
    ApprovalDenied,
    ApprovalGranted,
    ApprovalRequested,
    CampaignFinished,
    CampaignPaused,
    CampaignRequested,
    CampaignResumed,
    CampaignStarted,
    HarnessForked,
    HarnessSeeded,
    HeadReset,
)
from contracts.events.change import (
    CandidateScores,
    CandidatesRaced,
    ChangeConfirmed,
    ChangeInconclusive,
    ChangeKept,
    ChangePlanned,
    ChangeProposed,
    ChangeRejected,
    ChangeReverted,
    ChangeReviewed,
    DroppedPlan,
    Plan,
    PlansDropped,
    Prediction,
)
from contracts.events.ledger import CheckpointSigned
from contracts.events.model import ModelProbed, ModelTrained
from contracts.events.release import HarnessReleased, ReleaseDue, ReleaseRefused, SealedQueried
from contracts.events.round import (
    FailureCluster,
    FailuresAnalyzed,
    Fix,
    LessonRecorded,
    NullArmMeasured,
    RoundClosed,
    RoundOpened,
    TasksExecuted,
)
from contracts.events.task import TaskCollected, TaskDismissed, TaskFailed, TaskSolved, TaskSubmitted

__all__ = [
    "EVENTS",
    "AgentLost",
    "ApprovalDenied",
    "ApprovalGranted",
    "ApprovalRequested",
    "BudgetSpent",
    "CallOutcome",
    "CallsMade",
    "CallsReserved",
    "CampaignFinished",
    "CampaignPaused",
    "CampaignRequested",
    "CampaignResumed",
    "CampaignStarted",
    "CandidateScores",
    "CandidatesRaced",
    "ChangeConfirmed",
    "ChangeInconclusive",
    "ChangeKept",
    "ChangePlanned",
    "ChangeProposed",
    "ChangeRejected",
    "ChangeReverted",
    "ChangeReviewed",
    "CheckpointSigned",
    "DroppedPlan",
    "Event",
    "FailureCluster",
    "FailuresAnalyzed",
    "Fix",
    "HarnessForked",
    "HarnessReleased",
    "HarnessSeeded",
    "HeadReset",
    "LessonRecorded",
    "ModelProbed",
    "ModelTrained",
    "NullArmMeasured",
    "Plan",
    "PlansDropped",
    "Prediction",
    "ReleaseDue",
    "ReleaseRefused",
    "Reservation",
    "RoundClosed",
    "RoundOpened",
    "SealedQueried",
    "Settlement",
    "TaskCollected",
    "TaskDismissed",
    "TaskFailed",
    "TaskSolved",
    "TaskSubmitted",
    "TasksExecuted",
    "Unknown",
    "decode",
    "encode",
]

EVENTS: dict[str, type[Event]] = {
    cls.__name__: cls
    for cls in (
        AgentLost,
        ApprovalDenied,
        ApprovalGranted,
        ApprovalRequested,
        BudgetSpent,
        CallsMade,
        CallsReserved,
        CampaignFinished,
        CampaignPaused,
        CampaignRequested,
        CampaignResumed,
        CampaignStarted,
        CandidatesRaced,
        ChangeConfirmed,
        ChangeInconclusive,
        ChangeKept,
        ChangePlanned,
        ChangeProposed,
        ChangeRejected,
        ChangeReverted,
        ChangeReviewed,
        CheckpointSigned,
        FailuresAnalyzed,
        HarnessReleased,
        HarnessForked,
        HarnessSeeded,
        HeadReset,
        LessonRecorded,
        ModelProbed,
        ModelTrained,
        NullArmMeasured,
        PlansDropped,
        ReleaseDue,
        ReleaseRefused,
        RoundClosed,
        RoundOpened,
        SealedQueried,
        TaskCollected,
        TaskDismissed,
        TaskFailed,
        TaskSolved,
        TaskSubmitted,
        TasksExecuted,
    )
}
"""Type name → struct."""


def _renamed(fields: dict[str, Any], old: str, new: str) -> dict[str, Any]:
    return {new if name == old else name: value for name, value in fields.items()}


UPCASTERS: dict[tuple[str, int], Callable[[dict[str, Any]], dict[str, Any]]] = {
    ("HarnessForked", 1): partial(_renamed, old="number", new="version"),
}
"""(type, schema) → what turns a payload of that schema into one of the next; stored bytes stay what they are."""

_DECODERS = {name: msgspec.json.Decoder(cls) for name, cls in EVENTS.items()}


class Unknown(Event):
    """An event of a type or schema that this version does not know: kept, reported, and without effect."""

    type: str
    reason: str


def encode(event: Event, *, duty: str, index: int, actor: str, correlation: str, trace: str = "") -> NewEvent:
    """An event as it is handed to the ledger: its id follows from the duty that it answers."""
    kind = type(event).__name__
    return NewEvent(
        event_id=event_id(duty, kind, index),
        type=kind,
        payload=msgspec.json.encode(event),
        schema=type(event).schema,
        actor=actor,
        causation=duty,
        correlation=correlation,
        traceparent=trace,
    )


def decode(envelope: Envelope) -> Event:
    """The event in an envelope, upcast to today's schema; `Unknown` when it cannot be understood."""
    cls = EVENTS.get(envelope.type)
    if cls is None:
        return Unknown(type=envelope.type, reason="this version knows no such type")
    if envelope.schema > cls.schema:
        return Unknown(
            type=envelope.type, reason=f"schema {envelope.schema} is newer than this version's {cls.schema}"
        )
    try:
        if envelope.schema == cls.schema:
            return _DECODERS[envelope.type].decode(envelope.payload)
        fields = msgspec.json.decode(envelope.payload)
        for schema in range(envelope.schema, cls.schema):
            fields = UPCASTERS[envelope.type, schema](fields)
        return msgspec.convert(fields, cls)
    except (msgspec.ValidationError, msgspec.DecodeError, KeyError) as error:
        return Unknown(type=envelope.type, reason=f"does not fit its schema: {error}")
