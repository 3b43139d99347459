"""The kinds of stream that agents live by: how each is folded, and whose turn follows from it."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from contracts import duties as lineage_duties
from contracts import lineage, submission
from contracts.duties import Duty
from contracts.envelope import Envelope
from eventstore.snapshots import Source, restore


class Folded(Protocol):
    """What every folded state tells of itself."""

    @property
    def version(self) -> int:
        """Version of the last event folded."""
        ...


S = TypeVar("S", bound=Folded)


@dataclass(frozen=True, kw_only=True)
class Category(Generic[S]):
    """A kind of stream."""

    name: str
    empty: S
    fold: Callable[[S, Envelope], S]
    duties: Callable[[str, S, float], tuple[Duty, ...]]
    finished: Callable[[S], bool]
    """Whether nothing will ever be due again, so that an agent may forget the stream."""
    root: Callable[[S], str]
    """Trace context under which work on this state belongs."""
    correlation: Callable[[S], str]
    restore: Callable[[Source, str], Awaitable[S]] | None = None
    """Where to begin with a stream that may be long; None: at its beginning."""

    @property
    def prefix(self) -> str:
        """What the names of its streams begin with."""
        return f"{self.name}/"


def _round_trace(state: lineage.Lineage) -> str:
    return state.campaign.round.traceparent if state.campaign and state.campaign.round else ""


LINEAGES: Category[lineage.Lineage] = Category(
    name="lineage",
    empty=lineage.Lineage(),
    fold=lineage.fold,
    duties=lineage_duties.duties,
    finished=lambda _: False,
    root=_round_trace,
    correlation=lambda state: state.campaign.id if state.campaign else "",
    restore=restore,
)

TASKS: Category[submission.Submission] = Category(
    name="task",
    empty=submission.Submission(),
    fold=submission.fold,
    duties=submission.duties,
    finished=lambda state: bool(state.outcome),
    root=lambda _: "",
    correlation=lambda state: state.submitted.task if state.submitted else "",
)
