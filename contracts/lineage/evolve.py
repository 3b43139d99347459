"""The fold of a lineage: what each event makes of the state. Pure, on every machine and for ever the same."""

from functools import singledispatch

import msgspec

from contracts import events as e
from contracts.envelope import GENESIS, Envelope
from contracts.lineage.state import (
    ARCHIVE,
    HISTORY,
    PLACES,
    Approval,
    Arm,
    Branch,
    Campaign,
    Candidate,
    Fixes,
    Lineage,
    Release,
    Review,
    Round,
    RoundSummary,
    Version,
)
from contracts.settings import Spent


def fold(state: Lineage, envelope: Envelope) -> Lineage:
    """The state after one more event of the lineage. Raises ValueError when the event is not the next one."""
    if envelope.version != state.version + 1:
        raise ValueError(f"event {envelope.version} does not follow version {state.version}")
    if envelope.prev_hash != (state.hash or GENESIS):
        raise ValueError(f"event {envelope.version} does not point to the event before it")
    state = evolve(e.decode(envelope), state, envelope)
    return msgspec.structs.replace(
        state, version=envelope.version, hash=envelope.hash, position=envelope.position
    )


def _replace_campaign(state: Lineage, **fields: object) -> Lineage:
    if state.campaign is None:
        return state
    return msgspec.structs.replace(state, campaign=msgspec.structs.replace(state.campaign, **fields))


def _replace_round(state: Lineage, *, spent: Spent | None = None, **fields: object) -> Lineage:
    campaign = state.campaign
    if campaign is None or campaign.round is None:
        return state
    updates: dict[str, object] = {"round": msgspec.structs.replace(campaign.round, **fields)}
    if spent is not None:
        updates["spent"] = campaign.spent + spent
    return _replace_campaign(state, **updates)


def _current(state: Lineage) -> Round | None:
    return state.campaign.round if state.campaign else None


def _credit(state: Lineage, plan: e.Plan, **changes: float) -> Lineage:
    """Book something on every ingredient of a plan."""
    arms = dict(state.arms)
    for name in plan.arms:
        arm = arms.get(name, Arm())
        arms[name] = msgspec.structs.replace(arm, **{k: getattr(arm, k) + v for k, v in changes.items()})
    return msgspec.structs.replace(state, arms=arms)


def _candidates(round_: Round, number: int, **fields: object) -> tuple[Candidate, ...]:
    return tuple(msgspec.structs.replace(c, **fields) if c.number == number else c for c in round_.candidates)


def _new_head(state: Lineage, tree: str, envelope: Envelope, round_: int, reason: str) -> Lineage:
    version = Version(
        number=len(state.versions), tree=tree, position=envelope.position, round=round_, reason=reason
    )
    return msgspec.structs.replace(state, head=tree, versions=(*state.versions, version))


def _archived(state: Lineage, round_: Round, candidate: Candidate, effect: float) -> Lineage:
    branch = Branch(
        round=round_.number, parent=round_.tree, tree=candidate.tree, plan=candidate.plan, effect=effect
    )
    return msgspec.structs.replace(state, archive=(*state.archive, branch)[-ARCHIVE:])


@singledispatch
def evolve(event: e.Event, state: Lineage, _envelope: Envelope) -> Lineage:
    """The state after an event; events without effect on a lineage leave it as it is."""
    if isinstance(event, e.Unknown):
        return msgspec.structs.replace(state, unknown=state.unknown + 1)
    return state


@evolve.register
def _(event: e.HarnessSeeded, state: Lineage, envelope: Envelope) -> Lineage:
    state = msgspec.structs.replace(state, seed_tree=event.tree, released=event.tree)
    return _new_head(state, event.tree, envelope, 0, event.origin)


@evolve.register
def _(event: e.HarnessForked, state: Lineage, envelope: Envelope) -> Lineage:
    state = msgspec.structs.replace(state, seed_tree=event.seed, released=event.tree, releases=event.checks)
    return _new_head(state, event.tree, envelope, 0, f"fork of {event.parent} v{event.version}")


@evolve.register
def _(event: e.CampaignRequested, state: Lineage, envelope: Envelope) -> Lineage:
    campaign = Campaign(
        id=event.campaign,
        settings=event.settings,
        suite=event.suite,
        fingerprint=event.fingerprint,
        model=event.model,
        last_at=envelope.at,
    )
    return msgspec.structs.replace(state, campaign=campaign, campaigns=state.campaigns + 1)


@evolve.register
def _(event: e.CampaignStarted, state: Lineage, envelope: Envelope) -> Lineage:
    return _replace_campaign(
        state, status="running", start_tree=event.tree, started_at=envelope.at, last_at=envelope.at
    )


@evolve.register
def _(event: e.CampaignPaused, state: Lineage, _envelope: Envelope) -> Lineage:
    if state.campaign is None or state.campaign.status == "finished":
        return state
    return _replace_campaign(state, status="paused", paused_reason=event.reason)


@evolve.register
def _(_event: e.CampaignResumed, state: Lineage, _envelope: Envelope) -> Lineage:
    if state.campaign is None or state.campaign.status != "paused":
        return state
    status = "running" if state.campaign.start_tree else "requested"
    return _replace_campaign(state, status=status, paused_reason="")


@evolve.register
def _(event: e.BudgetSpent, state: Lineage, _envelope: Envelope) -> Lineage:
    state = _replace_campaign(state, exhausted=event.reason)
    round_ = _current(state)
    # What is not decided by now never will be: there is no money for the scores.
    return state if round_ is None or round_.decision else _replace_round(state, fault=event.reason)


@evolve.register
def _(event: e.CampaignFinished, state: Lineage, envelope: Envelope) -> Lineage:
    return _replace_campaign(
        state, status="finished", reason=event.reason, round=None, release=None, last_at=envelope.at
    )


@evolve.register
def _(event: e.HeadReset, state: Lineage, envelope: Envelope) -> Lineage:
    state = _new_head(state, event.tree, envelope, -1, event.reason)
    campaign = state.campaign
    if campaign is None or campaign.round is None or campaign.round.decision:
        return state
    # A round that was measuring changes of another head has lost its ground: it ends without a verdict.
    return _replace_round(state, fault=f"the head was reset: {event.reason}")


@evolve.register
def _(event: e.RoundOpened, state: Lineage, envelope: Envelope) -> Lineage:
    # The planner may have read the head before a person set it elsewhere: then there is nothing to measure against.
    fault = "" if event.tree == state.head else "the head was reset while the round was being opened"
    round_ = Round(number=event.round, tree=event.tree, traceparent=envelope.traceparent, fault=fault)
    return _replace_campaign(state, round=round_, last_at=envelope.at)


@evolve.register
def _(event: e.TasksExecuted, state: Lineage, _envelope: Envelope) -> Lineage:
    means = tuple(sum(row) / len(row) for row in event.incumbent.scores)
    fault = "" if event.complete else event.reason or "the incumbent could not be measured"
    return _replace_round(
        state,
        executed=True,
        incumbent_means=means,
        seeds=event.seeds,
        fault=fault,
        spent=event.spent,
    )


@evolve.register
def _(event: e.FailuresAnalyzed, state: Lineage, _envelope: Envelope) -> Lineage:
    fixes, places = dict(state.fixes), dict(state.places)
    for fix in event.fixes:
        known = fixes.get(fix.kind, Fixes())
        fixes[fix.kind] = Fixes(tried=known.tried + fix.tried, helped=known.helped + fix.count)
    for task, found in event.places.items():
        places[task] = tuple(dict.fromkeys((*places.get(task, ()), *found)))[:PLACES]
    state = msgspec.structs.replace(state, fixes=fixes, places=places)
    return _replace_round(state, failures=event.failures)


@evolve.register
def _(event: e.ChangePlanned, state: Lineage, _envelope: Envelope) -> Lineage:
    round_ = _current(state)
    if round_ is None:
        return state
    candidates = (*round_.candidates, Candidate(number=event.candidate, plan=event.plan))
    return _credit(_replace_round(state, candidates=candidates, planned=True), event.plan, planned=1)


@evolve.register
def _(event: e.ChangeProposed, state: Lineage, _envelope: Envelope) -> Lineage:
    round_ = _current(state)
    if round_ is None:
        return state
    return _replace_round(
        state,
        candidates=_candidates(
            round_, event.candidate, status="proposed", tree=event.tree, growth=event.growth
        ),
    )


@evolve.register
def _(event: e.ChangeRejected, state: Lineage, _envelope: Envelope) -> Lineage:
    round_ = _current(state)
    if round_ is None:
        return state
    free = any(c.number == event.candidate and c.plan.free for c in round_.candidates)
    rejected = _candidates(
        round_, event.candidate, status="rejected", rejection=f"{event.stage}: {event.reason}" if free else ""
    )
    return _replace_round(state, candidates=rejected)


@evolve.register
def _(event: e.ChangeReviewed, state: Lineage, _envelope: Envelope) -> Lineage:
    round_ = _current(state)
    if round_ is None:
        return state
    review = Review(approved=event.approved, sampled=event.sampled, reason="; ".join(event.reasons))
    through = event.approved or event.sampled
    fields: dict[str, object] = {"review": review} if through else {"review": review, "status": "rejected"}
    return _replace_round(state, candidates=_candidates(round_, event.candidate, **fields))


@evolve.register
def _(event: e.CandidatesRaced, state: Lineage, _envelope: Envelope) -> Lineage:
    round_ = _current(state)
    if round_ is None:
        return state
    for scores, effect in zip(event.candidates, event.effects, strict=True):
        candidate = next(c for c in round_.candidates if c.number == scores.candidate)
        round_ = msgspec.structs.replace(
            round_, candidates=_candidates(round_, scores.candidate, effect=effect)
        )
        state = _credit(state, candidate.plan, raced=1, effect=effect)
        state = _archived(state, round_, candidate, effect)
    for number in event.inert:
        round_ = msgspec.structs.replace(round_, candidates=_candidates(round_, number, status="inert"))
        candidate = next(c for c in round_.candidates if c.number == number)
        state = _credit(_archived(state, round_, candidate, 0.0), candidate.plan, inert=1)
    raced = {scores.arm.tree for scores in event.candidates}
    for candidate in round_.candidates if event.complete else ():
        shown = event.shown.get(str(candidate.number))
        if shown is not None and candidate.tree not in raced and candidate.status == "proposed":
            state = _credit(state, candidate.plan, probed=1, shown=shown)
    fault = "" if event.complete else event.reason or "the candidates could not be measured"
    return _replace_round(
        state,
        raced=True,
        best=event.best,
        candidates=round_.candidates,
        fault=fault,
        reason=event.reason,
        spent=event.spent,
    )


@evolve.register
def _(event: e.ChangeConfirmed, state: Lineage, _envelope: Envelope) -> Lineage:
    round_ = _current(state)
    if round_ is None or state.campaign is None:
        return state
    candidate = next(c for c in round_.candidates if c.number == event.candidate)
    if not event.complete:  # there are no scores, and nothing follows for the plan
        return _replace_round(state, verdict=event.verdict, fault=event.verdict.reason, spent=event.spent)
    tasks = state.campaign.suite.practice
    flips = tuple(
        task.id
        for task, ours, theirs in zip(tasks, event.incumbent.scores, event.challenger.scores, strict=True)
        if theirs and sum(theirs) - sum(ours) > 0.05 * len(theirs)
    )
    state = _credit(state, candidate.plan, confirmed=1, confirmed_effect=event.verdict.effect)
    return _replace_round(state, verdict=event.verdict, flips=flips, spent=event.spent)


@evolve.register
def _(event: e.ApprovalRequested, state: Lineage, _envelope: Envelope) -> Lineage:
    return _replace_round(state, approval=Approval(id=event.approval, deadline=event.deadline))


def _answer(state: Lineage, approval: str, status: str, by: str) -> Lineage:
    round_ = _current(state)
    if round_ is None or round_.approval is None or round_.approval.id != approval:
        return state
    if round_.approval.status != "open":
        return state  # the first answer stands
    return _replace_round(state, approval=msgspec.structs.replace(round_.approval, status=status, by=by))


@evolve.register
def _(event: e.ApprovalGranted, state: Lineage, _envelope: Envelope) -> Lineage:
    return _answer(state, event.approval, "granted", event.by)


@evolve.register
def _(event: e.ApprovalDenied, state: Lineage, _envelope: Envelope) -> Lineage:
    return _answer(state, event.approval, "denied", event.by)


@evolve.register
def _(event: e.ChangeKept, state: Lineage, envelope: Envelope) -> Lineage:
    round_ = _current(state)
    if round_ is None:
        return state
    candidate = next(c for c in round_.candidates if c.number == event.candidate)
    state = _credit(state, candidate.plan, kept=1)
    state = _new_head(state, event.tree, envelope, event.round, candidate.plan.title)
    return _replace_round(state, decision="kept", reason=event.reason)


@evolve.register
def _(event: e.ChangeReverted, state: Lineage, _envelope: Envelope) -> Lineage:
    return _replace_round(state, decision="reverted", reason=event.reason)


@evolve.register
def _(event: e.ChangeInconclusive, state: Lineage, _envelope: Envelope) -> Lineage:
    return _replace_round(state, decision="inconclusive", reason=event.reason)


@evolve.register
def _(event: e.NullArmMeasured, state: Lineage, _envelope: Envelope) -> Lineage:
    state = msgspec.structs.replace(
        state,
        nulls=state.nulls + (event.verdict.decision != "inconclusive"),
        nulls_kept=state.nulls_kept + (event.verdict.decision == "keep"),
    )
    return _replace_round(state, null_measured=True, spent=event.spent)


@evolve.register
def _(event: e.LessonRecorded, state: Lineage, _envelope: Envelope) -> Lineage:
    round_ = _current(state)
    if round_ is None:
        return state
    best = next((c for c in round_.candidates if c.number == round_.best), None)
    if best is not None:
        state = _credit(state, best.plan, credit=event.credit)
    state = msgspec.structs.replace(state, lessons=(*state.lessons, event.lesson)[-HISTORY:])
    return _replace_round(state, lesson=event.lesson)


@evolve.register
def _(event: e.RoundClosed, state: Lineage, envelope: Envelope) -> Lineage:
    campaign = state.campaign
    round_ = _current(state)
    if campaign is None or round_ is None:
        return state
    best = next((c for c in round_.candidates if c.number == round_.best), None)
    means = round_.incumbent_means
    summary = RoundSummary(
        campaign=campaign.id,
        number=event.round,
        tree=round_.tree,
        decision=round_.decision,
        title=best.plan.title if best else "",
        surface=best.plan.surface if best else "",
        arm=best.plan.arm if best else "",
        effect=round_.verdict.effect if round_.verdict else 0.0,
        low=round_.verdict.low if round_.verdict else 0.0,
        high=round_.verdict.high if round_.verdict else 0.0,
        p=round_.verdict.p if round_.verdict else 1.0,
        incumbent_mean=sum(means) / len(means) if means else 0.0,
        reason=round_.reason,
    )
    state = msgspec.structs.replace(state, history=(*state.history, summary)[-HISTORY:])
    return _replace_campaign(state, round=None, rounds_done=event.round, last_at=envelope.at)


@evolve.register
def _(event: e.ReleaseDue, state: Lineage, _envelope: Envelope) -> Lineage:
    return _replace_campaign(state, release=Release(check=event.check, base=event.base, tree=event.tree))


@evolve.register
def _(event: e.SealedQueried, state: Lineage, _envelope: Envelope) -> Lineage:
    state = msgspec.structs.replace(state, releases=event.check)
    campaign = state.campaign
    return _replace_campaign(state, spent=campaign.spent + event.spent) if campaign else state


@evolve.register
def _(event: e.HarnessReleased, state: Lineage, _envelope: Envelope) -> Lineage:
    state = msgspec.structs.replace(state, released=event.tree)
    return _replace_campaign(state, release=None, release_checked=True)


@evolve.register
def _(_event: e.ReleaseRefused, state: Lineage, _envelope: Envelope) -> Lineage:
    return _replace_campaign(state, release=None, release_checked=True)
