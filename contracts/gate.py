"""The rule by which a verdict follows from scores: race, confirm, release. Pure, and the same for an auditor.

Tier 1 keeps the working harness moving: several candidates race against the incumbent on a few shared seeds,
and the best is confirmed on fresh ones, so that choosing the winner does not bias its p-value. Tier 2 is the
claim: a release is tested on sealed tasks, at a level that shrinks from check to check so that all of them
together err with a chance of at most `FAMILY_ALPHA`.
"""

import math
from collections.abc import Sequence
from typing import Literal, Protocol

import msgspec
import numpy as np

from contracts.record import Record
from contracts.statistics import (
    Fixed,
    Interval,
    SignFlip,
    Spread,
    bootstrap_interval,
    cluster_means,
    derive_seed,
    from_fixed,
    seeds_for,
    sign_flip_p,
    to_fixed,
)

FAMILY_ALPHA = 0.05
"""Chance that any of all releases of a campaign claims an improvement that is not there."""
ESTIMATE_STEP = 0.05
"""What a release's answer to the agents is rounded to, so that the sealed tasks leak little."""
RACE_PAIRS = 66
"""Pairs (task, seed) in which a candidate meets the incumbent in the race."""
WANTED_EFFECT = 0.03
"""The mean difference that a confirmation is to see."""
USUAL = Spread(between=0.05, within=0.2)
"""How paired differences of single changes spread on the suite `repair`, as measured."""
NO_BASE = 1e9
"""The cost ratio when the incumbent cost nothing and the candidate something."""


class GateSettings(Record):
    """The numbers of the rule. Constants of a campaign, recorded when it starts."""

    candidates: int = 8
    """Candidates of a round, which race side by side."""
    race_seeds: int = 3
    confirm_seeds: int = 16
    alpha: float = 0.20
    """Largest p-value of a confirmed change that is kept: the level of the working harness. What is claimed is tested
    at `FAMILY_ALPHA`, on other tasks (ADR 8)."""
    minimum_effect: float = 0.005
    """Smallest mean difference that is kept."""
    equivalence: float = 0.01
    """By how much a simpler harness may be worse and still count as equal: of two equal ones the simpler is kept."""
    cost_cap: float = 1.5
    """Largest cost of an episode, as a multiple of the incumbent's."""
    cheaper: float = 0.0
    """Share of an episode's cost that a change has to save for counting as equal within `equivalence`, as a simpler one
    does; 0: saving alone is no reason to keep a change."""
    protected_level: float = 0.05
    """Level at which the protected tasks are tested, jointly, for having become worse."""
    protected_at: float = 0.9
    """Mean score from which a task counts as reliably solved, hence protected."""
    level: float = 0.95
    """Of the intervals that are reported beside a verdict."""
    resamples: int = 10_000

    def __post_init__(self) -> None:
        """Refuse what no rule can be made of."""
        if min(self.candidates, self.race_seeds, self.confirm_seeds, self.resamples) < 1:
            raise ValueError("candidates, seeds and resamples are counts of at least 1")
        if not (0 < self.alpha < 1 and 0 < self.level < 1 and 0 <= self.protected_level < 1):
            raise ValueError("levels lie between 0 and 1")
        if not (0 <= self.equivalence < 1 and 0 <= self.cheaper < 1):
            raise ValueError("what counts as equal, and as cheaper, lies between 0 and 1")

    def sized(self, tasks: int, clusters: int) -> "GateSettings":
        """The settings with as many seeds as a suite of this size needs.

        The race is to see `RACE_PAIRS` pairs a candidate; the confirmation is to see an effect of `WANTED_EFFECT` with
        a power of 80 %, at differences that spread as measured ones do. Neither takes more than the settings' seeds.
        """
        tasks, clusters = max(1, tasks), max(1, clusters)
        confirm_seeds = seeds_for(
            WANTED_EFFECT,
            sd_between=USUAL.between,
            sd_within=USUAL.within,
            clusters=clusters,
            tasks=tasks,
            alpha=self.alpha,
            at_most=self.confirm_seeds,
        )
        race_seeds = min(self.race_seeds, math.ceil(RACE_PAIRS / tasks))
        return msgspec.structs.replace(self, race_seeds=race_seeds, confirm_seeds=confirm_seeds)

    def margin(self, growth: int, ratio: float = 1.0) -> float:
        """By how much a candidate may be worse than the incumbent.

        Args:
            growth: by how much it is larger.
            ratio: its cost as a multiple of the incumbent's.
        """
        saves = self.cheaper > 0 and ratio <= 1 - self.cheaper
        return self.equivalence if growth < 0 or saves else 0.0

    @classmethod
    def preset(cls, name: str) -> "GateSettings":
        """The settings of a name: `default`, or `strict` (a tenth of the level).

        Raises:
            ValueError: there is no such preset.
        """
        if name not in PRESETS:
            raise ValueError(f"there is no preset {name!r}; the presets are {', '.join(PRESETS)}")
        return PRESETS[name]

    def episodes(self, tasks: int) -> int:
        """Episodes that one round takes at most: the race of all arms, then the confirmation of two."""
        return tasks * (self.race_seeds * (self.candidates + 1) + self.confirm_seeds * 2)


PRESETS = {"default": GateSettings(), "strict": GateSettings(alpha=0.02)}


class ArmScores(Record):
    """What one harness reached in one stage."""

    tree: str
    """Hash of the harness."""
    salt: str = ""
    """What its seeds were salted with: empty but in an A/A arm."""
    scores: tuple[tuple[float, ...], ...] = ()
    """Tasks x seeds, each in [0, 1]; an invalid result is 0. All arms of a stage share tasks and seeds."""
    cost: float = 0.0
    """Mean metered cost of an episode; tokens where the model is the embedded one."""
    episodes: int = 0


class RaceOutcome(Record):
    """Which candidate goes on, if any."""

    best: int | None
    effects: tuple[float, ...]
    """Mean difference of each candidate to the incumbent. The winner's is biased upwards: never report it."""
    reason: str


class Verdict(Record):
    """What follows from a confirmation, with the figures that it rests on."""

    decision: Literal["keep", "revert", "inconclusive"]
    reason: str
    effect: float = 0.0
    """Mean difference over clusters."""
    low: float = 0.0
    high: float = 0.0
    p: float = 1.0
    exact: bool = False
    """Whether the p-value counts every assignment of signs."""
    clusters: int = 0
    pairs: int = 0
    """Tasks times seeds."""
    cost_ratio: float = 1.0
    protected_p: float = 1.0


class ReleaseVerdict(Record):
    """What follows from one check on the sealed tasks."""

    passed: bool
    p: float
    alpha: float
    """The level of this check."""
    effect: float
    """Exact, for the record of the claim; agents are told `estimate_rounded` only."""
    low: float
    high: float
    estimate_rounded: float
    reason: str


class Confirmation(Record):
    """Everything that a verdict follows from, as the ledger keeps it."""

    incumbent: ArmScores
    candidate: ArmScores
    clusters: tuple[str, ...]
    protected: tuple[bool, ...]
    settings: GateSettings
    key: str
    complete: bool = True
    growth: int = 0


class Resampler(Protocol):
    """Where the resampling is done. Every implementation gives the same figures, to the bit."""

    def sign_flip(self, d: Fixed, *, resamples: int, key: str) -> SignFlip:
        """`contracts.statistics.sign_flip_p`."""
        ...

    def interval(self, d: Fixed, *, level: float, resamples: int, key: str) -> Interval:
        """`contracts.statistics.bootstrap_interval`."""
        ...


class Inline:
    """Resamples here and now: the reference."""

    def sign_flip(self, d: Fixed, *, resamples: int, key: str) -> SignFlip:
        """One-sided sign flips over clusters."""
        return sign_flip_p(d, resamples=resamples, key=key)

    def interval(self, d: Fixed, *, level: float, resamples: int, key: str) -> Interval:
        """Cluster bootstrap of the mean."""
        return bootstrap_interval(d, level=level, resamples=resamples, key=key)


INLINE = Inline()


def verdict_key(campaign: str, round_number: int, tree: str, salt: str = "") -> str:
    """The key of a confirmation's random streams. Follows from recorded ids, so nobody can choose it."""
    return derive_seed("verdict", campaign, round_number, tree, salt)


def release_key(campaign: str, check: int, tree: str) -> str:
    """The key of a release check's random streams."""
    return derive_seed("release", campaign, check, tree)


def race(
    incumbent: ArmScores,
    candidates: Sequence[ArmScores],
    clusters: Sequence[str],
    settings: GateSettings,
    growth: Sequence[int] = (),
) -> RaceOutcome:
    """Choose the candidate to confirm: the best by mean difference, if that is positive and its cost allowed.

    Equal effects are told apart by growth, by cost, then by tree, so the order of the candidates does not matter.
    Where nothing is ahead, the best of those that are simpler, or cheaper by `settings.cheaper`, goes on, if it lies
    within what counts as equal.

    Args:
        incumbent: scores of the harness as it is.
        candidates: scores of the changed harnesses, same tasks and seeds.
        clusters: the cluster of each task.
        settings: the numbers of the rule.
        growth: by how much each candidate is larger than the incumbent; empty for equal ones.

    Raises:
        ValueError: the arms do not have the same tasks and seeds, or a score is outside [0, 1].
    """
    effects = tuple(_effect(incumbent, candidate, clusters) for candidate in candidates)
    allowed = [i for i, arm in enumerate(candidates) if cost_ratio(incumbent, arm) <= settings.cost_cap]
    growth = growth or (0,) * len(candidates)

    def rank(i: int) -> tuple[float, int, float, str]:
        return -effects[i], growth[i], candidates[i].cost, candidates[i].tree

    ahead = [i for i in allowed if effects[i] > 0]
    if ahead:
        best = min(ahead, key=rank)
        reason = f"Candidate {best + 1} of {len(candidates)} leads the incumbent by {effects[best]:+.4f}."
        return RaceOutcome(best=best, effects=effects, reason=reason)
    margins = [settings.margin(growth[i], cost_ratio(incumbent, arm)) for i, arm in enumerate(candidates)]
    equal = [i for i in allowed if margins[i] > 0 and effects[i] > -margins[i]]
    if equal:
        best = min(equal, key=rank)
        how = "simpler" if growth[best] < 0 else "cheaper"
        reason = f"Candidate {best + 1} of {len(candidates)} is {how}, at {effects[best]:+.4f}."
        return RaceOutcome(best=best, effects=effects, reason=reason)
    if not candidates:
        reason = "There was no candidate to race."
    elif any(effect > 0 for effect in effects):
        reason = (
            f"Every candidate ahead of the incumbent costs more than {settings.cost_cap:g} times as much."
        )
    else:
        reason = (
            f"None of {len(candidates)} candidates beat the incumbent; the best came to {max(effects):+.4f}."
        )
    return RaceOutcome(best=None, effects=effects, reason=reason)


def protected_tasks(incumbent: ArmScores, settings: GateSettings) -> tuple[bool, ...]:
    """Which tasks the incumbent solves reliably.

    Take scores of an earlier stage, the race say: tasks picked by their luck in the very scores that are
    compared afterwards would seem to get worse under any change.
    """
    return tuple(bool(np.mean(row) >= settings.protected_at) for row in incumbent.scores)


def confirm(
    incumbent: ArmScores,
    candidate: ArmScores,
    clusters: Sequence[str],
    settings: GateSettings,
    *,
    key: str,
    protected: Sequence[bool] = (),
    complete: bool = True,
    growth: int = 0,
    resampler: Resampler = INLINE,
) -> Verdict:
    """Keep a change or revert it, from scores on seeds that no earlier decision has seen.

    A change that makes the harness simpler, or cheaper by `settings.cheaper`, need not make it better: it is kept when
    the evidence shows, at the same level, that it is worse by less than `settings.equivalence`.

    Args:
        incumbent: scores of the harness as it is.
        candidate: scores of the changed harness, same tasks and seeds.
        clusters: the cluster of each task.
        settings: the numbers of the rule.
        key: from `verdict_key`.
        protected: for each task whether it must not get worse, from `protected_tasks`; empty for none.
        complete: False when the infrastructure failed and some score cannot be had.
        growth: by how much the candidate is larger than the incumbent, as `contracts.harness.departure` counts.
        resampler: where the resampling is done.

    Raises:
        ValueError: the arms do not have the same tasks and seeds, or a score is outside [0, 1].
    """
    if not complete:
        return inconclusive("Some scores could not be had, so nothing follows from the others.")
    d = cluster_means(candidate.scores, incumbent.scores, clusters)
    ratio = cost_ratio(incumbent, candidate)
    margin = settings.margin(growth, ratio)
    test = resampler.sign_flip(d + to_fixed(margin), resamples=settings.resamples, key=key)
    interval = resampler.interval(d, level=settings.level, resamples=settings.resamples, key=key)
    harm = _protected_p(incumbent, candidate, clusters, protected, settings, key=key)
    faults = _faults(test.p, interval.estimate, ratio, harm, settings, margin)
    figures = f"{_span(interval)}, p = {test.p:.4f} over {len(d)} clusters"
    if margin:
        how = f"simpler by {-growth}" if growth < 0 else f"at {ratio:.2f} of the cost"
        figures += f"; {how}, may be worse by {margin:g}"
    return Verdict(
        decision="revert" if faults else "keep",
        reason=f"Reverted: {'; '.join(faults)} ({figures})." if faults else f"Kept: {figures}.",
        effect=interval.estimate,
        low=interval.low,
        high=interval.high,
        p=test.p,
        exact=test.exact,
        clusters=len(d),
        pairs=sum(len(row) for row in candidate.scores),
        cost_ratio=ratio,
        protected_p=harm,
    )


def inconclusive(reason: str) -> Verdict:
    """The verdict where the evidence could not be had: never a keep."""
    return Verdict(decision="inconclusive", reason=reason)


def release_alpha(check: int) -> float:
    """The level of the `check`-th query of the sealed tasks, from 1: .05 · 6 / (π² j²), in sum .05."""
    if check < 1:
        raise ValueError("checks are counted from 1")
    return FAMILY_ALPHA * 6 / (math.pi**2 * check**2)


def release(
    last: ArmScores,
    head: ArmScores,
    clusters: Sequence[str],
    check: int,
    *,
    key: str,
    resamples: int = 100_000,
    level: float = 0.95,
    resampler: Resampler = INLINE,
) -> ReleaseVerdict:
    """Test the stack of kept changes on sealed tasks with fresh seeds.

    Args:
        last: scores of the last release, or of the seed harness before the first.
        head: scores of the harness as it is now, same tasks and seeds.
        clusters: the cluster of each task.
        check: how many times the sealed tasks will have been queried with this one, refusals included.
        key: from `release_key`.
        resamples: more than a confirmation takes, as the levels are smaller.
        level: of the interval.
        resampler: where the resampling is done.

    Raises:
        ValueError: the arms do not have the same tasks and seeds, a score is outside [0, 1], or check < 1.
    """
    alpha = release_alpha(check)
    d = cluster_means(head.scores, last.scores, clusters)
    test = resampler.sign_flip(d, resamples=resamples, key=key)
    interval = resampler.interval(d, level=level, resamples=min(resamples, 10_000), key=key)
    passed = test.p <= alpha
    rounded = round(round(interval.estimate / ESTIMATE_STEP) * ESTIMATE_STEP, 2)
    return ReleaseVerdict(
        passed=passed,
        p=test.p,
        alpha=alpha,
        effect=interval.estimate,
        low=interval.low,
        high=interval.high,
        estimate_rounded=rounded + 0.0,
        reason=(
            f"{'Passed' if passed else 'Refused'} at check {check}: {_span(interval)}, "
            f"p = {test.p:.5f} against {alpha:.5f} over {len(d)} clusters."
        ),
    )


def recompute(record: Confirmation) -> Verdict:
    """The verdict that follows from a recorded confirmation, for comparison with the recorded verdict."""
    return confirm(
        record.incumbent,
        record.candidate,
        record.clusters,
        record.settings,
        key=record.key,
        protected=record.protected,
        complete=record.complete,
        growth=record.growth,
    )


def cost_ratio(incumbent: ArmScores, candidate: ArmScores) -> float:
    """Cost of an episode as a multiple of the incumbent's; 1 when neither costs anything."""
    if incumbent.cost > 0:
        return min(NO_BASE, candidate.cost / incumbent.cost)
    return NO_BASE if candidate.cost > 0 else 1.0


def _effect(incumbent: ArmScores, candidate: ArmScores, clusters: Sequence[str]) -> float:
    d = cluster_means(candidate.scores, incumbent.scores, clusters)
    return from_fixed(int(d.sum()), len(d))


def _protected_p(
    incumbent: ArmScores,
    candidate: ArmScores,
    clusters: Sequence[str],
    protected: Sequence[bool],
    settings: GateSettings,
    *,
    key: str,
) -> float:
    """How surprising the loss on the protected tasks would be if they had not become worse; 1 for none."""
    if not any(protected):
        return 1.0
    if len(protected) != len(clusters):
        raise ValueError(f"{len(clusters)} tasks, but {len(protected)} marks of protection")
    rows = [i for i, marked in enumerate(protected) if marked]
    d = cluster_means(
        [incumbent.scores[i] for i in rows],
        [candidate.scores[i] for i in rows],
        [clusters[i] for i in rows],
    )
    return sign_flip_p(d, resamples=settings.resamples, key=f"{key} protected").p


def _faults(
    p: float, effect: float, ratio: float, harm: float, settings: GateSettings, margin: float
) -> list[str]:
    faults = []
    if p > settings.alpha:
        faults.append(f"the evidence is too weak for a level of {settings.alpha:g}")
    if not margin and effect < settings.minimum_effect:
        faults.append(f"the effect is below the minimum of {settings.minimum_effect:g}")
    if not ratio <= settings.cost_cap:  # a cost that is not a number must not pass
        faults.append(f"an episode costs {ratio:.2f} times as much, above the cap of {settings.cost_cap:g}")
    if harm <= settings.protected_level:
        faults.append(f"tasks that were solved reliably became worse (p = {harm:.4f})")
    return faults


def _span(interval: Interval) -> str:
    return f"effect {interval.estimate:+.4f} [{interval.low:+.4f}, {interval.high:+.4f}]"
