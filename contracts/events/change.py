"""Events in the life of a change: planned, proposed, raced, confirmed, kept or reverted."""

from typing import Any, Literal

from contracts.events.base import Event
from contracts.gate import ArmScores, Verdict
from contracts.record import Record
from contracts.settings import Spent


class Prediction(Record):
    """What a plan says will happen, so that it can be held against what did."""

    effect: float
    """Expected difference of the mean score."""
    flips: tuple[str, ...] = ()
    """Tasks expected to do better."""


Surface = Literal["decoding", "rule", "prompt", "skill", "memory", "scaffold", "tool"]
"""A part of the harness that a change touches."""

FREE = ("think", "diff")
"""Operators whose changes are written freely by a model, and are reviewed therefore before they are measured."""


class Plan(Record):
    """A falsifiable plan for one change of the harness."""

    surface: Surface
    operator: str
    """What made the plan: `perturb`, `compose`, `drop`, `think` …"""
    arm: str
    """What the planner's bandit credits first: a surface with its most telling ingredient."""
    change: dict[str, Any]
    """What to do, in the operator's own terms."""
    title: str
    evidence: str
    root_cause: str
    risks: str
    prediction: Prediction
    ingredients: tuple[str, ...] = ()
    """What else is credited: the other things that the change is made of."""
    cost: float | None = None
    """Expected cost of an episode, as a multiple of the incumbent's; None: nothing is said of it."""

    @property
    def free(self) -> bool:
        """Whether a model wrote it, or a part of it, in words of its own."""
        parts = self.change.get("parts", ()) if self.operator == "several" else ()
        return self.operator in FREE or any(part.get("operator") in FREE for part in parts)

    @property
    def arms(self) -> tuple[str, ...]:
        """Everything that is credited."""
        return (self.arm, *self.ingredients)


class ChangePlanned(Event):
    """The planner wants this tried."""

    campaign: str
    round: int
    candidate: int
    """0-based number within its round."""
    parent: str
    plan: Plan


class DroppedPlan(Record):
    """What a model wanted to have tried, and why that is no plan."""

    title: str
    reason: str
    what: Literal["plan", "answer", "nothing"] = "plan"
    """What could not be used: a plan; an answer that holds none; or nothing, since the model was not asked."""

    @property
    def told(self) -> str:
        """What it is, and why, as a model may have worded it."""
        if self.what != "plan":
            return self.reason
        return f"no plan: {self.title}: {self.reason}" if self.title.strip() else f"no plan: {self.reason}"


class PlansDropped(Event):
    """A model was to plan, and some of what came of it could not be used; nothing follows from that."""

    campaign: str
    round: int
    plans: tuple[DroppedPlan, ...]


class ChangeProposed(Event):
    """The patcher made it: a patch that applies, compiles and starts."""

    campaign: str
    round: int
    candidate: int
    parent: str
    tree: str
    patch: str
    """Unified diff from the parent."""
    growth: int = 0
    """By how much it is more complex than its parent, see `contracts.harness.departure`."""


class ChangeRejected(Event):
    """The patcher could not make it."""

    campaign: str
    round: int
    candidate: int
    stage: Literal["apply", "compile", "start", "duplicate"]
    reason: str


ReviewCheck = Literal["names", "copies", "plan", "special_cases", "scope", "answers"]
"""What a change is checked for before it is measured. Without a model: whether it `names` tasks or tests of the suite,
or `copies` a task's text. By a model: whether it is what the `plan` says, and whether it treats `special_cases`, leaves
its `scope`, or gives `answers` away."""


class ChangeReviewed(Event):
    """The critic looked at a change that a model had written, before anything was spent on measuring it."""

    campaign: str
    round: int
    candidate: int
    approved: bool
    reasons: tuple[str, ...] = ()
    """What speaks against it, or why less was checked than should have been."""
    checks: tuple[ReviewCheck, ...] = ()
    """Those that it did not pass."""
    sampled: bool = False
    """Rejected by a model, and measured all the same, so that it shows how often such rejections are right."""
    model: str = ""
    """Fingerprint of the model that was asked; empty where none was."""


class CandidateScores(Record):
    """One candidate's race."""

    candidate: int
    arm: ArmScores


class CandidatesRaced(Event):
    """All candidates ran against the incumbent on the same few seeds."""

    campaign: str
    round: int
    seeds: tuple[str, ...]
    incumbent: ArmScores
    candidates: tuple[CandidateScores, ...]
    effects: tuple[float, ...]
    """Mean difference of each, in the order of `candidates`."""
    inert: tuple[int, ...] = ()
    """Numbers of the candidates that did not race because their episodes were, to the letter, the incumbent's
    on every probe: whatever they change, it does not show."""
    probes: tuple[str, ...] = ()
    """The probes, as `task seed`."""
    probed: dict[str, float] = {}
    """Number of a candidate → its mean difference on the probes."""
    shown: dict[str, float] = {}
    """Number of a candidate → the effect that the probes show, by scores and by helpful edits together. Those of which
    most can be hoped, by their plans and by this, got the places in the race."""
    best: int = -1
    """Number of the candidate that goes on; -1: none."""
    reason: str = ""
    spent: Spent = Spent()
    complete: bool = True


class ChangeConfirmed(Event):
    """The best candidate and the incumbent ran again on fresh seeds; the verdict follows from these scores."""

    campaign: str
    round: int
    candidate: int
    seeds: tuple[str, ...]
    incumbent: ArmScores
    challenger: ArmScores
    protected: tuple[bool, ...]
    """Per task: whether the incumbent had solved it reliably before."""
    verdict: Verdict
    spent: Spent = Spent()
    complete: bool = True


class ChangeKept(Event):
    """The candidate is the new head."""

    campaign: str
    round: int
    candidate: int
    tree: str
    parent: str
    reason: str


class ChangeReverted(Event):
    """The head stays what it was."""

    campaign: str
    round: int
    candidate: int
    """-1: no candidate got as far as a verdict of its own."""
    reason: str


class ChangeInconclusive(Event):
    """The infrastructure did not give the scores that a verdict needs; the head stays what it was."""

    campaign: str
    round: int
    candidate: int
    reason: str
