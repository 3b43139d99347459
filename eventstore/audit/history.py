"""Everything that ever happened to one harness, gathered round by round from its events."""

from collections.abc import Iterable
from functools import singledispatchmethod
from typing import Any, Literal

import msgspec

from contracts import events as e
from contracts.envelope import Envelope
from contracts.gate import ArmScores
from contracts.lineage import Lineage, fold
from contracts.record import Record
from contracts.settings import CampaignSettings, Spent, SuiteManifest, TaskRef
from eventstore.audit.archive import Archive, Source, opened
from eventstore.audit.errors import NotInLedger
from eventstore.errors import Tampered

PREFIX = "lineage/"


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
    status: Literal["planned", "proposed", "rejected"] = "planned"
    tree: str = ""
    patch: str = ""
    stage: str = ""
    """Where a rejected change failed."""
    rejection: str = ""
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
    origin: Literal["seed", "round", "reset"]
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


def read_lineage(store: Source, name: str = "main") -> History:
    """Fold a lineage from nothing, and gather its rounds.

    Raises:
        NotInLedger: there is no such lineage.
        Tampered: an event does not follow from the one before it.
    """
    with opened(store) as archive:
        return gather(lineage_events(archive, name), name)


def lineage_events(archive: Archive, name: str) -> Iterable[Envelope]:
    """The events of a lineage. Raises NotInLedger, naming the lineages that there are."""
    known = archive.streams(PREFIX)
    if PREFIX + name not in known:
        raise NotInLedger(f"lineage {name}", [stream.removeprefix(PREFIX) for stream in known], of="lineage")
    return archive.events(PREFIX + name)


def gather(envelopes: Iterable[Envelope], name: str = "main") -> History:
    """The history that follows from a lineage's events. Raises Tampered."""
    gatherer = _Gatherer()
    for envelope in envelopes:
        gatherer.add(envelope)
    return History(
        name=name,
        state=gatherer.state,
        campaigns=tuple(gatherer.campaigns.values()),
        versions=tuple(gatherer.versions),
        unknown=tuple(gatherer.unknown),
    )


def fold_or_blame(state: Lineage, envelope: Envelope) -> Lineage:
    """The next state. Raises Tampered where the event cannot be the next one."""
    try:
        return fold(state, envelope)
    except Exception as error:
        # The folds of a sound ledger raise nothing; whatever this event does to them, it is what does not fit.
        raise Tampered(envelope.position, f"{envelope.type} cannot be folded ({error!r})") from error


class _Gatherer:
    """What has been gathered so far."""

    def __init__(self) -> None:
        self.state = Lineage()
        self.campaigns: dict[str, CampaignHistory] = {}
        self.versions: list[VersionHistory] = []
        self.unknown: list[Mark] = []
        self.open: tuple[str, int] | None = None
        """Campaign and number of the round under way."""
        self.mark = Mark(position=0, version=0, type="", at=0.0, actor="")

    def add(self, envelope: Envelope) -> None:
        self.state = fold_or_blame(self.state, envelope)
        self.mark = Mark(
            position=envelope.position,
            version=envelope.version,
            type=envelope.type,
            at=envelope.at,
            actor=envelope.actor,
        )
        event = e.decode(envelope)
        self.take(event)
        campaign = self.campaigns.get(getattr(event, "campaign", "") or (self.open or ("",))[0])
        if campaign is not None:
            self._campaign(campaign.id, last_at=envelope.at, head=self.state.head)
        if self.open is not None and event.__class__ in {e.HeadReset, e.ApprovalGranted, e.ApprovalDenied}:
            self._round(*self.open)

    def _campaign(self, name: str, **fields: Any) -> None:
        if name in self.campaigns:
            self.campaigns[name] = msgspec.structs.replace(self.campaigns[name], **fields)

    def _of_campaign(self, name: str, **fields: Any) -> None:
        """Note an event of the campaign's own."""
        if name in self.campaigns:
            self._campaign(name, marks=(*self.campaigns[name].marks, self.mark), **fields)

    def _found(self, campaign: str, number: int) -> RoundHistory | None:
        rounds = self.campaigns[campaign].rounds if campaign in self.campaigns else ()
        return next((round_ for round_ in rounds if round_.number == number), None)

    def _round(self, campaign: str, number: int, *, spent: Spent | None = None, **fields: Any) -> None:
        """Note an event of a round."""
        round_ = self._found(campaign, number)
        if round_ is None:
            return
        if spent is not None:
            fields["spent"] = round_.spent + spent
            self._campaign(campaign, spent=self.campaigns[campaign].spent + spent)
        changed = msgspec.structs.replace(
            round_, marks=(*round_.marks, self.mark), head=self.state.head, **fields
        )
        rounds = tuple(changed if r is round_ else r for r in self.campaigns[campaign].rounds)
        self._campaign(campaign, rounds=rounds)

    def _candidate(self, campaign: str, number: int, candidate: int, **fields: Any) -> None:
        round_ = self._found(campaign, number)
        if round_ is not None:
            changed = tuple(
                msgspec.structs.replace(c, **fields) if c.number == candidate else c
                for c in round_.candidates
            )
            self._round(campaign, number, candidates=changed)

    def _release(self, campaign: str, check: int, *, spent: Spent | None = None, **fields: Any) -> None:
        if campaign not in self.campaigns:
            return
        if spent is not None:
            self._campaign(campaign, spent=self.campaigns[campaign].spent + spent)
        releases = tuple(
            msgspec.structs.replace(r, marks=(*r.marks, self.mark), **fields) if r.check == check else r
            for r in self.campaigns[campaign].releases
        )
        self._campaign(campaign, releases=releases)

    @singledispatchmethod
    def take(self, event: e.Event) -> None:
        """Sort an event in; most of them belong to a round."""

    @take.register
    def _(self, _event: e.Unknown) -> None:
        self.unknown.append(self.mark)

    @take.register
    def _(self, event: e.HarnessSeeded) -> None:
        self._version("seed", event.tree, event.origin)

    @take.register
    def _(self, event: e.HeadReset) -> None:
        self._version("reset", event.tree, event.reason)

    def _version(self, origin: Literal["seed", "round", "reset"], tree: str, title: str, **more: Any) -> None:
        self.versions.append(
            VersionHistory(
                number=len(self.versions), tree=tree, origin=origin, mark=self.mark, title=title, **more
            )
        )

    @take.register
    def _(self, event: e.CampaignRequested) -> None:
        self.campaigns[event.campaign] = CampaignHistory(
            id=event.campaign,
            settings=event.settings,
            suite=event.suite,
            fingerprint=event.fingerprint,
            model=event.model,
        )
        self._of_campaign(event.campaign)

    @take.register
    def _(self, event: e.CampaignStarted) -> None:
        self._of_campaign(event.campaign, status="running", start_tree=event.tree, started_at=self.mark.at)

    @take.register
    def _(self, event: e.CampaignPaused) -> None:
        self._of_campaign(event.campaign, status="paused", reason=event.reason)

    @take.register
    def _(self, event: e.CampaignResumed) -> None:
        self._of_campaign(event.campaign, status="running", reason=event.reason)

    @take.register
    def _(self, event: e.CampaignFinished) -> None:
        self._of_campaign(event.campaign, status="finished", reason=event.reason)
        self.open = None

    @take.register
    def _(self, _event: e.AgentLost) -> None:
        for name in list(self.campaigns)[-1:]:
            self._of_campaign(name, agents_lost=self.campaigns[name].agents_lost + 1)

    @take.register
    def _(self, event: e.RoundOpened) -> None:
        if event.campaign not in self.campaigns:
            return
        opened_ = RoundHistory(
            campaign=event.campaign, number=event.round, tree=event.tree, head=self.state.head
        )
        self._campaign(event.campaign, rounds=(*self.campaigns[event.campaign].rounds, opened_))
        self._round(event.campaign, event.round)
        self.open = (event.campaign, event.round)

    @take.register
    def _(self, event: e.TasksExecuted) -> None:
        self._round(event.campaign, event.round, executed=event, spent=event.spent)

    @take.register
    def _(self, event: e.FailuresAnalyzed) -> None:
        self._round(event.campaign, event.round, failures=event)

    @take.register
    def _(self, event: e.ChangePlanned) -> None:
        round_ = self._found(event.campaign, event.round)
        if round_ is not None:
            planned = CandidateHistory(number=event.candidate, parent=event.parent, plan=event.plan)
            self._round(event.campaign, event.round, candidates=(*round_.candidates, planned))

    @take.register
    def _(self, event: e.ChangeProposed) -> None:
        self._candidate(
            event.campaign,
            event.round,
            event.candidate,
            status="proposed",
            tree=event.tree,
            patch=event.patch,
        )

    @take.register
    def _(self, event: e.ChangeRejected) -> None:
        self._candidate(
            event.campaign,
            event.round,
            event.candidate,
            status="rejected",
            stage=event.stage,
            rejection=event.reason,
        )

    @take.register
    def _(self, event: e.CandidatesRaced) -> None:
        round_ = self._found(event.campaign, event.round)
        if round_ is None:
            return
        raced = {
            scores.candidate: (scores.arm, effect)
            for scores, effect in zip(event.candidates, event.effects, strict=True)
        }
        candidates = tuple(
            msgspec.structs.replace(c, race=raced[c.number][0], effect=raced[c.number][1])
            if c.number in raced
            else c
            for c in round_.candidates
        )
        self._round(
            event.campaign,
            event.round,
            raced=event,
            candidates=candidates,
            reason=event.reason,
            spent=event.spent,
        )

    @take.register
    def _(self, event: e.ChangeConfirmed) -> None:
        self._round(event.campaign, event.round, confirmed=event, spent=event.spent)

    @take.register
    def _(self, event: e.ApprovalRequested) -> None:
        asked = ApprovalHistory(id=event.approval, summary=event.summary, deadline=event.deadline)
        self._round(event.campaign, event.round, approval=asked)

    @take.register
    def _(self, event: e.ApprovalGranted) -> None:
        self._answer(event, "granted")

    @take.register
    def _(self, event: e.ApprovalDenied) -> None:
        self._answer(event, "denied")

    def _answer(self, event: e.ApprovalGranted | e.ApprovalDenied, status: str) -> None:
        round_ = self._found(*self.open) if self.open else None
        asked = round_.approval if round_ else None
        if round_ is None or asked is None or asked.id != event.approval or asked.status != "open":
            return
        answered = msgspec.structs.replace(asked, status=status, by=event.by, note=event.note)
        changed = msgspec.structs.replace(round_, approval=answered)
        rounds = self.campaigns[round_.campaign].rounds
        self._campaign(round_.campaign, rounds=tuple(changed if r is round_ else r for r in rounds))

    @take.register
    def _(self, event: e.ChangeKept) -> None:
        round_ = self._found(event.campaign, event.round)
        best = next((c for c in round_.candidates if c.number == event.candidate), None) if round_ else None
        figures: dict[str, Any] = {}
        if round_ is not None and round_.confirmed is not None:
            verdict = round_.confirmed.verdict
            figures = {"effect": verdict.effect, "low": verdict.low, "high": verdict.high, "p": verdict.p}
        title = best.plan.title if best else event.reason
        self._version("round", event.tree, title, campaign=event.campaign, round=event.round, **figures)
        self._round(event.campaign, event.round, decision="kept", reason=event.reason)

    @take.register
    def _(self, event: e.ChangeReverted) -> None:
        self._round(event.campaign, event.round, decision="reverted", reason=event.reason)

    @take.register
    def _(self, event: e.ChangeInconclusive) -> None:
        self._round(event.campaign, event.round, decision="inconclusive", reason=event.reason)

    @take.register
    def _(self, event: e.NullArmMeasured) -> None:
        self._round(event.campaign, event.round, null=event, spent=event.spent)

    @take.register
    def _(self, event: e.LessonRecorded) -> None:
        self._round(event.campaign, event.round, lesson=event)

    @take.register
    def _(self, event: e.RoundClosed) -> None:
        self._round(event.campaign, event.round, closed=event)
        self.open = None

    @take.register
    def _(self, event: e.ReleaseDue) -> None:
        if event.campaign in self.campaigns:
            due = ReleaseHistory(campaign=event.campaign, check=event.check, base=event.base, tree=event.tree)
            self._campaign(event.campaign, releases=(*self.campaigns[event.campaign].releases, due))
            self._release(event.campaign, event.check)

    @take.register
    def _(self, event: e.SealedQueried) -> None:
        self._release(event.campaign, event.check, queried=event, spent=event.spent)

    @take.register
    def _(self, event: e.HarnessReleased) -> None:
        self._release(event.campaign, event.check, outcome="released")

    @take.register
    def _(self, event: e.ReleaseRefused) -> None:
        self._release(event.campaign, event.check, outcome="refused", reason=event.reason)


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
