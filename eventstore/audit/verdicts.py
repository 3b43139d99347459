"""Recomputing what was decided: every verdict from the recorded scores, every decision from the verdict.

An examiner answers with a sentence where an event does not follow from what the ledger held before it, and
with None where it does.
"""

from collections.abc import Sequence
from functools import singledispatch
from typing import Any

import msgspec

from contracts import events as e
from contracts import gate
from contracts.duties import approval_needed
from contracts.gate import ArmScores, Verdict
from contracts.lineage import Campaign, Candidate, Lineage, Round
from contracts.settings import TaskRef
from contracts.statistics import cluster_interval

VERDICTS: tuple[type[e.Event], ...] = (
    e.CandidatesRaced,
    e.ChangeConfirmed,
    e.NullArmMeasured,
    e.SealedQueried,
)
"""Events that carry scores and what was computed from them."""


def packages(tasks: Sequence[TaskRef]) -> tuple[str, ...]:
    """The cluster of each task, in the manifest's order."""
    return tuple(task.package for task in tasks)


@singledispatch
def examine(event: e.Event, state: Lineage) -> str | None:
    """What does not follow in an event, given the state before it; None when all does.

    Raises:
        ValueError: the scores are not a table of the campaign's tasks.
    """
    del event, state
    return None


@examine.register
def _(event: e.CandidatesRaced, state: Lineage) -> str | None:
    campaign, round_ = _under_way(state)
    known = {candidate.number: candidate for candidate in round_.candidates}
    for scores in event.candidates:
        if known[scores.candidate].tree != scores.arm.tree:
            return f"the scores of candidate {scores.candidate} are those of another harness"
    if not event.complete:
        return None if event.best == -1 else "a race without scores names a winner"
    if event.incumbent.tree != round_.tree:
        return "the candidates raced against another harness than the incumbent"
    if event.seeds != round_.seeds:
        return "the race used other seeds than the round's first stage"
    arms = [scores.arm for scores in event.candidates]
    growth = [known[scores.candidate].growth for scores in event.candidates]
    outcome = gate.race(
        event.incumbent, arms, packages(campaign.suite.practice), campaign.settings.gate, growth
    )
    best = event.candidates[outcome.best].candidate if outcome.best is not None else -1
    if not event.reason.startswith(outcome.reason):  # it may go on with what is no part of the rule
        return _differ("race's reason", event.reason, outcome.reason)
    return _differ("race", (event.effects, event.best), (outcome.effects, best))


@examine.register
def _(event: e.ChangeConfirmed, state: Lineage) -> str | None:
    campaign, round_ = _under_way(state)
    best = _best(round_)
    if best is None or event.candidate != best.number:
        return f"candidate {event.candidate} was confirmed, but candidate {round_.best} had won the race"
    if (event.incumbent.tree, event.challenger.tree) != (round_.tree, best.tree):
        return "the confirmation compared other harnesses than the incumbent and the race's winner"
    if set(event.seeds) & set(round_.seeds):
        return "the confirmation used seeds on which the winner had been chosen"
    if not event.complete:
        return _without_scores(event.verdict)
    settings = campaign.settings.gate
    if event.protected != tuple(mean >= settings.protected_at for mean in round_.incumbent_means):
        return "other tasks are protected than those that the incumbent had solved reliably"
    verdict = gate.confirm(
        event.incumbent,
        event.challenger,
        packages(campaign.suite.practice),
        settings,
        key=gate.verdict_key(campaign.id, round_.number, best.tree),
        protected=event.protected,
        growth=best.growth,
    )
    return _differ_in_fields("verdict", event.verdict, verdict)


@examine.register
def _(event: e.NullArmMeasured, state: Lineage) -> str | None:
    campaign, round_ = _under_way(state)
    arms = [scores.arm for scores in event.raced]
    pair = [arm for arm in (event.incumbent, event.challenger) if arm is not None]
    if any(arm.tree != round_.tree for arm in (event.incumbent_race, *arms, *pair)):
        return "an arm of the null comparison is another harness than the incumbent"
    if set(event.race_seeds) & set(event.confirm_seeds):
        return "the confirmation used seeds on which the winner had been chosen"
    if not arms:
        return _without_scores(event.verdict)
    clusters, settings = packages(campaign.suite.practice), campaign.settings.gate
    outcome = gate.race(event.incumbent_race, arms, clusters, settings)
    if outcome.best is None:
        return _differ_in_fields(
            "null arm's verdict", event.verdict, Verdict(decision="revert", reason=outcome.reason)
        )
    if event.incumbent is None or event.challenger is None:
        return _without_scores(event.verdict)
    salt = arms[outcome.best].salt
    if event.challenger.salt != salt or event.incumbent.salt:
        return "the null arm confirmed another arm than the one that had won its race"
    verdict = gate.confirm(
        event.incumbent,
        event.challenger,
        clusters,
        settings,
        key=gate.verdict_key(campaign.id, round_.number, round_.tree, salt),
        protected=gate.protected_tasks(event.incumbent_race, settings),
    )
    return _differ_in_fields("null arm's verdict", event.verdict, verdict)


@examine.register
def _(event: e.SealedQueried, state: Lineage) -> str | None:
    campaign = state.campaign
    due = campaign.release if campaign else None
    if campaign is None or due is None:
        return "the sealed tasks were asked without a release being due"
    if (event.check, event.base.tree, event.head.tree) != (due.check, due.base, due.tree):
        return "the sealed tasks were asked about other harnesses, or at another check, than what was due"
    clusters = packages(campaign.suite.sealed)
    key = gate.release_key(campaign.id, due.check, due.tree)
    found = gate.release(event.base, event.head, clusters, due.check, key=key)
    reason = _differ_in_fields("release verdict", event.verdict, found)
    for name, arm, recorded, solved in (
        ("base", event.base, event.interval_base, event.solved_base),
        ("head", event.head, event.interval_head, event.solved_head),
    ):
        interval = cluster_interval(arm.scores, clusters, key=key)
        reason = reason or _differ(f"interval of the {name}", recorded, (interval.low, interval.high))
        reason = reason or _differ(f"solved share of the {name}", solved, solved_share(arm))
    return reason


def solved_share(arm: ArmScores) -> float:
    """Share of an arm's episodes that solved their task: a score is 1 exactly when every hidden test passes."""
    return sum(score == 1.0 for row in arm.scores for score in row) / max(1, arm.episodes)


@examine.register
def _(event: e.ChangeKept, state: Lineage) -> str | None:
    campaign, round_ = _under_way(state)
    best = _best(round_)
    if round_.verdict is None or round_.verdict.decision != "keep":
        return "a change was kept without a verdict that says so"
    if round_.fault:
        return f"a change was kept although {round_.fault}"
    if best is None or (event.candidate, event.tree, event.parent) != (best.number, best.tree, round_.tree):
        return "another change was kept than the one that the verdict is about"
    if approval_needed(campaign, round_) and (round_.approval is None or round_.approval.status != "granted"):
        return "a change was kept without the approval that it needed"
    return None


@examine.register
def _(_event: e.ChangeReverted, state: Lineage) -> str | None:
    _, round_ = _under_way(state)
    keep = round_.verdict is not None and round_.verdict.decision == "keep"
    denied = round_.approval is not None and round_.approval.status == "denied"
    return "a change was reverted although its verdict was to keep it" if keep and not denied else None


@examine.register
def _(_event: e.ChangeInconclusive, state: Lineage) -> str | None:
    _, round_ = _under_way(state)
    open_ = round_.verdict is not None and round_.verdict.decision == "inconclusive"
    return None if round_.fault or open_ else "a round was called inconclusive without a reason in the ledger"


@examine.register
def _(event: e.CampaignFinished, state: Lineage) -> str | None:
    campaign = state.campaign
    if campaign is None:
        return "a campaign ended that had not begun"
    if event.fingerprint != campaign.fingerprint:
        return "the model's fingerprint at the end is not the one at the start"
    return _differ("account of what was spent", event.spent, campaign.spent)


def _under_way(state: Lineage) -> tuple[Campaign, Round]:
    if state.campaign is None or state.campaign.round is None:
        raise ValueError("no round was under way")
    return state.campaign, state.campaign.round


def _best(round_: Round) -> Candidate | None:
    return next((c for c in round_.candidates if c.number == round_.best), None)


def _without_scores(verdict: Verdict) -> str | None:
    return None if verdict.decision == "inconclusive" else "a verdict was given without scores"


def _differ(what: str, recorded: Any, found: Any) -> str | None:
    return None if recorded == found else f"the {what} is recorded as {recorded}, the scores give {found}"


def _differ_in_fields(what: str, recorded: msgspec.Struct, found: msgspec.Struct) -> str | None:
    """Name the first field that differs."""
    for field in recorded.__struct_fields__:
        ours, theirs = getattr(recorded, field), getattr(found, field)
        if ours != theirs:
            return f"the {what}'s {field} is recorded as {ours}, the scores give {theirs}"
    return None
