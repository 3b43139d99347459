"""What a campaign came to, as facts that a report is written from."""

from contracts.calls import Calls, calls_stream
from contracts.calls import fold as fold_calls
from contracts.gate import ArmScores
from contracts.record import Record
from contracts.settings import Spent
from eventstore.audit.archive import Archive, tree_diff
from eventstore.audit.errors import NotInLedger
from eventstore.audit.reviews import Reviews, count_reviews
from eventstore.audit.rounds import (
    CampaignHistory,
    History,
    ReleaseHistory,
    RoundHistory,
    mean_score,
)


class RoundLine(Record):
    """A round, in a line."""

    name: str
    decision: str
    surface: str = ""
    title: str = ""
    predicted: float | None = None
    effect: float | None = None
    """Mean difference on fresh seeds; None where nothing was confirmed."""
    low: float = 0.0
    high: float = 0.0
    p: float | None = None
    incumbent: float | None = None
    """Mean score of the incumbent: in the confirmation, or else in the round's first stage."""
    challenger: float | None = None
    reason: str = ""


class Sealed(Record):
    """An answer of the sealed tasks."""

    check: int
    outcome: str
    tasks: int
    seeds: int
    base: str
    head: str
    score_base: float
    score_head: float
    interval_base: tuple[float, float]
    interval_head: tuple[float, float]
    solved_base: float
    solved_head: float
    effect: float
    low: float
    high: float
    p: float
    alpha: float


class Report(Record):
    """What a campaign came to."""

    lineage: str
    campaign: str
    status: str
    reason: str
    model: str
    fingerprint: str
    suite: str
    practice: int
    sealed: int
    started_at: float
    seconds: float
    """From its start to its last event."""
    level: float
    """Of the intervals."""
    alpha: float
    rounds: tuple[RoundLine, ...]
    resets: tuple[str, ...]
    """Heads that a person set while it ran."""
    releases: tuple[Sealed, ...]
    nulls: int
    nulls_kept: int
    spent: Spent
    spent_sealed: Spent
    calls: Calls
    """What calls of models behind endpoints came to; empty where there were none."""
    before: str
    after: str
    diff: str
    unknown: int = 0
    collected: int = 0
    """Practice tasks that were collected from failed submissions."""
    reviews: Reviews = Reviews()
    """What the critic said of changes that models wrote, and how often it was right."""
    dropped: int = 0
    """Plans of a model that were none."""
    planless: int = 0
    """Rounds in which the planner's model was asked, and its answer held no plan."""
    unasked: int = 0
    """Rounds in which the planner's model was not asked, since a budget or the endpoint did not allow it."""

    @property
    def kept(self) -> tuple[RoundLine, ...]:
        """The rounds that changed the harness."""
        return tuple(round_ for round_ in self.rounds if round_.decision == "kept")


def _calls(archive: Archive, campaign: str) -> Calls:
    state = Calls()
    for envelope in archive.events(calls_stream(campaign)):
        state = fold_calls(state, envelope)
    return state


def build(archive: Archive, history: History, campaign: str = "") -> Report:
    """The report of a campaign (the last one when none is named).

    Raises:
        NotInLedger: there is no such campaign.
        BlobMissing, Tampered: the harness cannot be read.
    """
    told = history.campaign_named(campaign) if campaign else history.campaign
    if told is None:
        raise NotInLedger("a campaign", of="campaign yet: `ratchet run` starts one")
    released = [Spent() if r.queried is None else r.queried.spent for r in told.releases]
    lines = tuple(round_line(told, round_) for round_ in told.rounds)
    nulls = [round_.null for round_ in told.rounds if round_.null is not None]
    before, after = told.start_tree or history.state.seed_tree, told.head
    dropped = [each for round_ in told.rounds for each in round_.dropped]
    return Report(
        lineage=history.name,
        campaign=told.id,
        status=told.status,
        reason=told.reason,
        model=told.model,
        fingerprint=told.fingerprint,
        suite=told.suite.name,
        practice=len(told.suite.practice),
        sealed=len(told.suite.sealed),
        started_at=told.started_at,
        seconds=max(0.0, told.last_at - told.started_at) if told.started_at else 0.0,
        level=told.settings.gate.level,
        alpha=told.settings.gate.alpha,
        rounds=lines,
        resets=_resets(history, told),
        releases=tuple(sealed for r in told.releases if (sealed := _sealed(told, r)) is not None),
        nulls=len(nulls),
        nulls_kept=sum(null.verdict.decision == "keep" for null in nulls),
        spent=told.spent,
        spent_sealed=sum(released, Spent()),
        calls=_calls(archive, told.id),
        before=before,
        after=after,
        diff=tree_diff(archive, before, after) if before and after and before != after else "",
        unknown=len(history.unknown),
        collected=len(told.suite.collected),
        reviews=count_reviews(told.rounds),
        dropped=sum(each.what == "plan" for each in dropped),
        planless=sum(each.what == "answer" for each in dropped),
        unasked=sum(each.what == "nothing" for each in dropped),
    )


def round_line(told: CampaignHistory, round_: RoundHistory) -> RoundLine:
    """A round, in a line."""
    best, confirmed, tasks = round_.best, round_.confirmed, told.suite.practice
    measured = confirmed is not None and confirmed.complete
    first: ArmScores | None = round_.executed.incumbent if round_.executed else None
    return RoundLine(
        name=round_.name,
        decision=round_.decision,
        surface=best.plan.surface if best else "",
        title=best.plan.title if best else "",
        predicted=best.plan.prediction.effect if best else None,
        effect=confirmed.verdict.effect if confirmed and measured else None,
        low=confirmed.verdict.low if confirmed and measured else 0.0,
        high=confirmed.verdict.high if confirmed and measured else 0.0,
        p=confirmed.verdict.p if confirmed and measured else None,
        incumbent=mean_score(confirmed.incumbent if confirmed and measured else first, tasks),
        challenger=mean_score(confirmed.challenger, tasks) if confirmed and measured else None,
        reason=round_.reason,
    )


def _resets(history: History, told: CampaignHistory) -> tuple[str, ...]:
    return tuple(
        f"{version.name}, {version.title}"
        for version in history.versions
        if version.origin == "reset" and told.started_at <= version.mark.at <= told.last_at
    )


def _sealed(told: CampaignHistory, release: ReleaseHistory) -> Sealed | None:
    asked = release.queried
    if asked is None:
        return None
    return Sealed(
        check=release.check,
        outcome=release.outcome,
        tasks=len(told.suite.sealed),
        seeds=len(asked.seeds),
        base=release.base,
        head=release.tree,
        score_base=mean_score(asked.base, told.suite.sealed) or 0.0,
        score_head=mean_score(asked.head, told.suite.sealed) or 0.0,
        interval_base=asked.interval_base,
        interval_head=asked.interval_head,
        solved_base=asked.solved_base,
        solved_head=asked.solved_head,
        effect=asked.verdict.effect,
        low=asked.verdict.low,
        high=asked.verdict.high,
        p=asked.verdict.p,
        alpha=asked.verdict.alpha,
    )
