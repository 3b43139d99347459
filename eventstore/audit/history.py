"""Everything that ever happened to one harness, gathered round by round from its events."""

from collections.abc import Iterable
from functools import singledispatchmethod
from typing import Any, Literal

import msgspec

from contracts import events as e
from contracts.envelope import Envelope
from contracts.lineage import Lineage, fold
from contracts.settings import Spent
from eventstore.audit.archive import Archive, Source, opened
from eventstore.audit.errors import NotInLedger
from eventstore.audit.rounds import (
    ApprovalHistory,
    CampaignHistory,
    CandidateHistory,
    History,
    Mark,
    ReleaseHistory,
    RoundHistory,
    VersionHistory,
)
from eventstore.errors import Tampered

PREFIX = "lineage/"


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

    @take.register
    def _(self, event: e.HarnessForked) -> None:
        self._version("fork", event.tree, f"fork of {event.parent} v{event.version}")

    def _version(
        self, origin: Literal["seed", "fork", "round", "reset"], tree: str, title: str, **more: Any
    ) -> None:
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
    def _(self, event: e.PlansDropped) -> None:
        self._round(event.campaign, event.round, dropped=event.plans)

    @take.register
    def _(self, event: e.ChangeReviewed) -> None:
        through = event.approved or event.sampled
        fields = {"review": event} if through else {"review": event, "status": "rejected"}
        self._candidate(event.campaign, event.round, event.candidate, **fields)

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
        inert = getattr(event, "inert", ())
        candidates = tuple(
            msgspec.structs.replace(c, status="inert") if c.number in inert else c for c in candidates
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
