"""Whose turn it is: a pure function of the state, so that no lost message and no crash can lose a step."""

from contracts.lineage import Campaign, Lineage, Round
from contracts.record import Record


class Duty(Record):
    """A piece of work that one agent of a role has to do, once."""

    key: str
    """Stable: the same duty has the same key in every process and after every restart."""
    kind: str
    candidate: int = -1


ROLES = ("monitor", "evaluator", "critic", "planner", "patcher", "executor")


def duties(role: str, state: Lineage, now: float) -> tuple[Duty, ...]:
    """What `role` has to do in this state at time `now` (seconds since the epoch); possibly nothing."""
    campaign = state.campaign
    if campaign is None or not state.head:
        return ()
    found = _campaign_duty(state, campaign, now)
    return tuple(duty for owner, duty in found if owner == role)


def _campaign_duty(state: Lineage, campaign: Campaign, now: float) -> list[tuple[str, Duty]]:
    prefix = campaign.id
    if campaign.status == "requested":
        return [("monitor", Duty(key=f"{prefix}/start", kind="start"))]
    if campaign.status != "running":
        return []
    if campaign.round is not None:
        return _round_duties(campaign, campaign.round, f"{prefix}/{campaign.round.number}", now)
    if campaign.release is not None and campaign.exhausted:
        return [("monitor", Duty(key=f"{prefix}/release/{campaign.release.check}/forgo", kind="forgo"))]
    if campaign.release is not None:
        return [("evaluator", Duty(key=f"{prefix}/release/{campaign.release.check}", kind="release"))]
    if stop_reason(campaign, now) is None and not campaign.release_checked:  # a release check is the last act
        number = campaign.rounds_done + 1
        return [("planner", Duty(key=f"{prefix}/{number}/open", kind="open"))]
    if release_due(state, campaign):
        return [("monitor", Duty(key=f"{prefix}/release/{state.releases + 1}/due", kind="release_due"))]
    return [("monitor", Duty(key=f"{prefix}/finish", kind="finish"))]


def _round_duties(campaign: Campaign, round_: Round, prefix: str, now: float) -> list[tuple[str, Duty]]:
    def duty(role: str, kind: str) -> list[tuple[str, Duty]]:
        return [(role, Duty(key=f"{prefix}/{kind}", kind=kind))]

    if not round_.decision:
        return _undecided(campaign, round_, prefix, now)
    if null_due(campaign, round_) and not round_.null_measured:
        return duty("evaluator", "null")
    if not round_.lesson:
        return duty("critic", "lesson")
    return duty("planner", "close")


def _undecided(campaign: Campaign, round_: Round, prefix: str, now: float) -> list[tuple[str, Duty]]:
    def duty(role: str, kind: str) -> list[tuple[str, Duty]]:
        return [(role, Duty(key=f"{prefix}/{kind}", kind=kind))]

    if round_.fault:
        # Not the key of the verdict below: one that was reached before the fault must not be given after it.
        return [("evaluator", Duty(key=f"{prefix}/verdict/fault", kind="verdict"))]
    if not round_.executed:
        return duty("evaluator", "execute")
    if round_.failures is None:
        return duty("critic", "analyze")
    if not round_.planned:
        return duty("planner", "plan")
    waiting = [
        *(("patcher", "patch", c.number) for c in round_.candidates if c.status == "planned"),
        *(("critic", "review", c.number) for c in round_.candidates if c.unreviewed),
    ]
    if waiting:
        return [
            (role, Duty(key=f"{prefix}/{kind}/{number}", kind=kind, candidate=number))
            for role, kind, number in waiting
        ]
    if not round_.raced and any(c.status == "proposed" for c in round_.candidates):
        return duty("evaluator", "race")
    if round_.best >= 0 and round_.verdict is None:
        return duty("evaluator", "confirm")
    if approval_needed(campaign, round_):
        if round_.approval is None:
            return duty("monitor", "ask")
        if round_.approval.status == "open":
            return duty("monitor", "deny") if now > round_.approval.deadline else []
    return duty("evaluator", "verdict")


def approval_needed(campaign: Campaign, round_: Round) -> bool:
    """Whether a person has a say before this round's change is kept."""
    keeps = round_.verdict is not None and round_.verdict.decision == "keep"
    return keeps and campaign.settings.approve == "keeps"


def null_due(campaign: Campaign, round_: Round) -> bool:
    """Whether the A/A arm is measured in this round."""
    every = campaign.settings.null_every
    return every > 0 and round_.number % every == 0 and round_.decision != "inconclusive"


def release_due(state: Lineage, campaign: Campaign) -> bool:
    """Whether, at the campaign's end, there is something to hold against the sealed tasks."""
    open_ = bool(campaign.suite.sealed) and not campaign.release_checked and not campaign.exhausted
    return open_ and state.head != state.released


def round_episodes(campaign: Campaign) -> int:
    """Episodes that a round may take: the race of all candidates, and the confirmation of one."""
    gate = campaign.settings.gate
    raced = len(campaign.suite.practice) * (gate.race_seeds * (1 + gate.candidates) + 2 * gate.confirm_seeds)
    return raced + campaign.settings.plans * campaign.settings.probes


def release_episodes(campaign: Campaign) -> int:
    """Episodes that a release check takes."""
    return len(campaign.suite.sealed) * 2 * campaign.settings.release_seeds


def null_episodes(campaign: Campaign, number: int) -> int:
    """Episodes of the A/A arm, in the rounds that have one."""
    every = campaign.settings.null_every
    return round_episodes(campaign) if every > 0 and number % every == 0 else 0


def stop_reason(campaign: Campaign, now: float) -> str | None:
    """Why no further round may begin; None if one may."""
    settings, limits = campaign.settings, campaign.settings.limits
    if campaign.exhausted:
        return campaign.exhausted
    if campaign.rounds_done >= settings.rounds:
        return f"all {settings.rounds} rounds are done"
    need = round_episodes(campaign) + null_episodes(campaign, campaign.rounds_done + 1)
    reserve = release_episodes(campaign)
    short = _short(campaign, need + reserve)
    if short:
        return f"{short} a further round ({need} episodes, and {reserve} kept for the release check)"
    if limits.seconds:
        elapsed = now - campaign.started_at
        each_round = elapsed / campaign.rounds_done if campaign.rounds_done else 0.0
        share = (need + reserve) / need if need else 1.0
        # A round may take longer than those before it: a fifth more is allowed for.
        if elapsed + 1.2 * each_round * share > limits.seconds:
            return (
                f"the {limits.seconds:g} s of the budget do not cover a further round ({elapsed:.0f} s spent)"
            )
    return None


def stage_fault(campaign: Campaign, stage: str, episodes: int) -> str:
    """Why a stage of a round may not begin; empty if it may.

    What an episode costs is known only once some have run: a round that was opened in good faith may turn out too
    dear, the first one above all. It is then left inconclusive instead of overdrawing the budget.
    """
    short = _short(campaign, episodes + release_episodes(campaign))
    return f"{short} {stage} ({episodes} episodes)" if short else ""


def _short(campaign: Campaign, episodes: int) -> str:
    """Which budget does not cover so many more episodes, at what an episode has cost so far; empty if all do."""
    spent, limits = campaign.spent, campaign.settings.limits
    share = episodes / spent.episodes if spent.episodes else 0.0
    if limits.episodes and spent.episodes + episodes > limits.episodes:
        return f"with {spent.episodes} spent, the budget of {limits.episodes} episodes does not cover"
    if limits.tokens and spent.tokens * (1 + share) > limits.tokens:
        return f"with {spent.tokens} spent, the budget of {limits.tokens} tokens does not cover"
    if limits.cost and spent.cost * (1 + share) > limits.cost:
        return f"with episodes worth ${spent.cost:.2f}, the budget of ${limits.cost:g} does not cover"
    return ""
