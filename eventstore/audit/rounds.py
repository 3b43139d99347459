"""What a reader wants of a lineage: its campaigns, rounds, candidates, releases and heads, as plain records."""

from typing import Literal

from contracts import events as e
from contracts.gate import ArmScores
from contracts.lineage import Lineage
from contracts.record import Record
from contracts.settings import CampaignSettings, Spent, SuiteManifest, TaskRef
from eventstore.audit.errors import NotInLedger


class Mark(Record):
    """Where and when an event was stored."""

    position: int
    version: int
    type: str
    at: float
    actor: str


class CandidateHistory(Record):
    """A change, from its plan to its race."""

    number: int
    parent: str
    plan: e.Plan
    status: Literal["planned", "proposed", "rejected", "inert"] = "planned"
    """Inert: its episodes were the incumbent's to the letter, so it did not race."""
    tree: str = ""
    patch: str = ""
    stage: str = ""
    """Where a rejected change failed."""
    rejection: str = ""
    review: e.ChangeReviewed | None = None
    """What the critic said before it was measured, of a change that a model wrote."""
    race: ArmScores | None = None
    effect: float | None = None
    """Mean difference in the race: the best one's is biased upwards."""


class ApprovalHistory(Record):
    """A question to a person, and the answer."""

    id: str
    summary: str
    deadline: float
    status: Literal["open", "granted", "denied"] = "open"
    by: str = ""
    note: str = ""


class RoundHistory(Record):
    """A round, with all that was measured, decided and learned in it."""

    campaign: str
    number: int
    tree: str
    """The incumbent."""
    head: str
    """The head when the round ended, or as it is now."""
    marks: tuple[Mark, ...] = ()
    executed: e.TasksExecuted | None = None
    failures: e.FailuresAnalyzed | None = None
    candidates: tuple[CandidateHistory, ...] = ()
    dropped: tuple[e.DroppedPlan, ...] = ()
    """What a model wanted to have tried, and what was no plan."""
    raced: e.CandidatesRaced | None = None
    confirmed: e.ChangeConfirmed | None = None
    approval: ApprovalHistory | None = None
    decision: Literal["", "kept", "reverted", "inconclusive"] = ""
    reason: str = ""
    null: e.NullArmMeasured | None = None
    lesson: e.LessonRecorded | None = None
    closed: e.RoundClosed | None = None
    spent: Spent = Spent()

    @property
    def name(self) -> str:
        """By which commands take it, within its campaign."""
        return f"r{self.number}"

    @property
    def best(self) -> CandidateHistory | None:
        """The candidate that won the race, if any."""
        number = self.confirmed.candidate if self.confirmed else self.raced.best if self.raced else -1
        return next((c for c in self.candidates if c.number == number), None)

    @property
    def seconds(self) -> float:
        """From its first event to its last, by the ledger's clock."""
        return self.marks[-1].at - self.marks[0].at if self.marks else 0.0


class ReleaseHistory(Record):
    """A question to the sealed tasks, and the answer."""

    campaign: str
    check: int
    base: str
    tree: str
    marks: tuple[Mark, ...] = ()
    queried: e.SealedQueried | None = None
    outcome: Literal["", "released", "refused"] = ""
    reason: str = ""


class CampaignHistory(Record):
    """A campaign, from request to end."""

    id: str
    settings: CampaignSettings
    suite: SuiteManifest
    fingerprint: str
    model: str
    marks: tuple[Mark, ...] = ()
    """Of its own events: requested, started, paused, resumed, finished."""
    start_tree: str = ""
    head: str = ""
    """The head at its last event."""
    started_at: float = 0.0
    last_at: float = 0.0
    rounds: tuple[RoundHistory, ...] = ()
    releases: tuple[ReleaseHistory, ...] = ()
    spent: Spent = Spent()
    status: Literal["requested", "running", "paused", "finished"] = "requested"
    reason: str = ""
    """Why it is paused or over."""
    agents_lost: int = 0


class VersionHistory(Record):
    """A harness that has been the head."""

    number: int
    tree: str
    origin: Literal["seed", "fork", "round", "reset"]
    mark: Mark
    title: str
    campaign: str = ""
    round: int = 0
    effect: float | None = None
    low: float = 0.0
    high: float = 0.0
    p: float = 1.0

    @property
    def name(self) -> str:
        """By which commands take it."""
        return f"v{self.number}"


class History(Record):
    """A lineage, as a reader wants it."""

    name: str
    state: Lineage
    campaigns: tuple[CampaignHistory, ...] = ()
    versions: tuple[VersionHistory, ...] = ()
    unknown: tuple[Mark, ...] = ()
    """Events that this version could not understand."""

    @property
    def rounds(self) -> tuple[RoundHistory, ...]:
        """The rounds of all campaigns, in order."""
        return tuple(round_ for campaign in self.campaigns for round_ in campaign.rounds)

    @property
    def campaign(self) -> CampaignHistory | None:
        """The campaign under way, or the last one."""
        return self.campaigns[-1] if self.campaigns else None

    def campaign_named(self, name: str) -> CampaignHistory:
        """A campaign by its id. Raises NotInLedger."""
        for campaign in self.campaigns:
            if campaign.id == name:
                return campaign
        raise NotInLedger(f"campaign {name}", [c.id for c in self.campaigns], of="campaign yet")

    def round_at(self, position: int) -> RoundHistory | None:
        """The round that an event belongs to."""
        for round_ in self.rounds:
            if any(mark.position == position for mark in round_.marks):
                return round_
        return None


def task_means(arm: ArmScores) -> tuple[float, ...]:
    """Mean score of each task over its seeds."""
    return tuple(sum(row) / len(row) if row else 0.0 for row in arm.scores)


def mean_score(arm: ArmScores | None, tasks: tuple[TaskRef, ...]) -> float | None:
    """Mean score of an arm as the gate weighs it: every cluster alike; None where nothing was measured."""
    if arm is None or not arm.scores or len(arm.scores) != len(tasks):
        return None
    groups: dict[str, list[float]] = {}
    for task, mean in zip(tasks, task_means(arm), strict=True):
        groups.setdefault(task.package, []).append(mean)
    return sum(sum(group) / len(group) for group in groups.values()) / len(groups)
