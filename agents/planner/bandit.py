"""Which changes to try next: a bandit over ingredients that learns from every race and verdict in the ledger."""

import math
import random
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import chain
from types import MappingProxyType

from agents.planner.draft import Draft
from contracts.events import FailureCluster
from contracts.lineage import Arm, Branch, RoundSummary

PRIOR_SPREAD = 0.04
"""How much the effect of an untried ingredient may differ from zero, as a standard deviation."""
PROBES_NOISE = 0.06
"""Standard deviation of what the probes of one candidate show that did not race."""
NOISE = 0.05
"""Standard deviation of one race's measured effect."""

CONFIRMED_NOISE = 0.025
"""Standard deviation of one confirmation's: more episodes, on fresh seeds."""
ALIKE = 3
"""Drafts of a round that may have the same leading ingredient."""
HINT = 0.12
"""What a hint is worth when every failed episode calls for it, as a difference of the mean score."""
TRUST = 0.25
"""Which part of a hint's worth is expected to come true. The rest is curiosity: it decides what is tried, and predicts
nothing."""
PROMISE = 0.008
"""The effect from which on a change that was measured against this very head, and not kept, is worth another race."""
MOST_TRUSTED = 0.02
"""The most that is expected for a hint's sake, so that a few bad probes outweigh it."""
TRIES = 3
"""Races against one head after which a change that is still not kept has had its chance."""
FADING = 0.8
"""How much a lesson counts beside the one after it."""

HINTS: Mapping[str, tuple[str, ...]] = {
    "lost_a_fix": ("action:keep", "code:transcript.py:settle"),
    "one_of_several": ("action:show_places", "action:tell", "action:keep"),
    "fixed_some": ("action:keep", "action:show_files"),
    "overfitted": ("action:tell", "text:prompt"),
    "never_reached": ("action:show_lines", "action:show_traces"),
    "off_the_trace": ("action:show_lines", "action:show_traces", "decoding:temperature"),
    "reached_in_vain": ("text:memory", "text:skill", "decoding:temperature"),
    "repeated_itself": ("action:discard", "decoding:frequency_penalty", "decoding:presence_penalty"),
    "broke_a_test": ("action:show_errors", "action:forget"),
    "spent_all": ("action:discard", "action:scale"),
    "gave_up": ("action:shift", "code:agent.py:solve"),
}
"""What a kind of failure points at: single ingredients, and never when or under which condition they help. That is
for the races to find."""

NEAR: Mapping[str, float] = {
    "lost_a_fix": 4.0,
    "one_of_several": 4.0,
    "fixed_some": 4.0,
    "overfitted": 2.0,
    "never_reached": 2.0,
    "off_the_trace": 2.0,
    "broke_a_test": 0.5,
    "spent_all": 0.5,
}
"""How near to success a kind of failure is, against 1 for the others: what nearly worked is looked into first, and what
goes with every failure says little."""

_DIRECTION = re.compile(r"^- (More|Less) of (\S+):", re.MULTILINE)


def posterior(arm: Arm | None) -> tuple[float, float]:
    """Mean and standard deviation of an ingredient's effect, after what probes, races and confirmations showed."""
    if arm is None or not (arm.raced or arm.probed):
        return 0.0, PRIOR_SPREAD
    probes, races, confirmations = 1 / PROBES_NOISE**2, 1 / NOISE**2, 1 / CONFIRMED_NOISE**2
    precision = 1 / PRIOR_SPREAD**2 + arm.probed * probes + arm.raced * races + arm.confirmed * confirmations
    mean = (arm.shown * probes + arm.effect * races + arm.confirmed_effect * confirmations) / precision
    return mean + 0.01 * arm.credit / max(1, arm.confirmed or 1), math.sqrt(1 / precision)


def doubt(arm: Arm | None) -> float:
    """How much of what is held of an ingredient is still prejudice rather than measurement: in (0, 1]."""
    return (posterior(arm)[1] / PRIOR_SPREAD) ** 2


def directions(lessons: Sequence[str]) -> dict[str, float]:
    """How much each ingredient gains or loses by what the campaign's memory says of it, the latest lesson last."""
    found: dict[str, float] = {}
    for age, lesson in enumerate(reversed(lessons)):
        for way, name in _DIRECTION.findall(lesson.rpartition("\n## Directions\n")[2]):
            found[name] = found.get(name, 0.0) + (0.01 if way == "More" else -0.01) * FADING**age
    return found


def choose(
    drafts: Sequence[Draft],
    arms: Mapping[str, Arm],
    failures: Sequence[FailureCluster],
    count: int,
    rng: random.Random,
    lessons: Sequence[str] = (),
) -> list[tuple[Draft, float]]:
    """The drafts to try, with the effect expected of each; no two with the same last ingredient if possible.

    Every other one is chosen by Thompson sampling: every ingredient's effect is drawn from its posterior; a draft is
    worth the mean of its ingredients' draws, plus a nudge where the critic's failures, or its lessons, point at one of
    them. A hint counts for less the more often its ingredient was measured. Among hundreds of drafts the luckiest
    draws belong to what was never tried, so the others are chosen by what is expected of them: what has paid comes
    again.
    """
    names = sorted({name for draft in drafts for name in draft.arms})
    drawn = {name: rng.gauss(*posterior(arms.get(name))) for name in names}
    nudges, told = hints(failures), directions(lessons)
    hoped = {draft.signature: expected(draft, arms, nudges, told) for draft in drafts}

    def curious(draft: Draft) -> float:
        nudge = max(nudges.get(name, 0.0) * doubt(arms.get(name)) for name in draft.arms)
        worth = sum(drawn[name] + told.get(name, 0.0) for name in draft.arms) / len(draft.arms)
        worth += nudge + rng.gauss(0, 0.01)
        return worth * activity(draft, arms) if worth > 0 else worth

    def sensible(draft: Draft) -> float:
        worth = hoped[draft.signature] + rng.gauss(0, 0.002)
        return worth * activity(draft, arms) if worth > 0 else worth

    ranked = [sorted(drafts, key=worth, reverse=True) for worth in (curious, sensible)]
    chosen: list[Draft] = []
    for draft in chain.from_iterable(zip(*ranked, strict=True)):
        new = all(draft.arms[-1] != other.arms[-1] for other in chosen)
        if len(chosen) < count and new and sum(draft.arms[0] == other.arms[0] for other in chosen) < ALIKE:
            chosen.append(draft)
    chosen += [draft for draft in ranked[0] if draft not in chosen][: count - len(chosen)]
    return [(draft, hoped[draft.signature]) for draft in chosen]


def promising(
    head: str, archive: Sequence[Branch], history: Sequence[RoundSummary]
) -> list[tuple[Branch, float]]:
    """Changes to this very head that looked good and were not kept, with what is expected of them; the best first.

    One race cannot tell a small gain from luck, nor can one confirmation: what was measured again and again, on fresh
    seeds each time, is pooled, and shrunk towards nothing.
    """
    measured = [s for s in history if s.tree == head and s.decision in ("kept", "reverted")]
    confirmed = {(summary.number, summary.title): summary.effect for summary in measured}
    denied = {(summary.number, summary.title) for summary in measured if summary.reason.startswith("denied")}
    known: dict[str, tuple[Branch, float, float]] = {}
    races = Counter(branch.tree for branch in archive if branch.parent == head)
    for branch in archive:
        if branch.parent != head or branch.tree in ("", head) or races[branch.tree] >= TRIES:
            continue
        if (branch.round, branch.plan.title) in denied:
            continue  # a person has had the last word
        _, total, weight = known.get(branch.tree, (branch, 0.0, 0.0))
        total, weight = total + branch.effect / NOISE**2, weight + 1 / NOISE**2
        found = confirmed.get((branch.round, branch.plan.title))
        if found is not None:
            total, weight = total + found / CONFIRMED_NOISE**2, weight + 1 / CONFIRMED_NOISE**2
        known[branch.tree] = branch, total, weight
    pooled = [(branch, total / (weight + 1 / PRIOR_SPREAD**2)) for branch, total, weight in known.values()]
    return sorted((found for found in pooled if found[1] >= PROMISE), key=lambda found: -found[1])


def activity(draft: Draft, arms: Mapping[str, Arm]) -> float:
    """The chance that a draft does anything at all, from how often its ingredients did: in (0, 1].

    Taken is the root of the product of the ingredients' shares. A rule acts only when its moment comes and its
    predicate holds, but a moment at which most actions do nothing may be the very one for another. The product itself
    kept the planner from trying `keep` on `helped` for twenty rounds; with the geometric mean half of its plans did
    nothing.
    """
    chance = 1.0
    for name in draft.arms:
        arm = arms.get(name, Arm())
        done = arm.raced + arm.probed
        chance *= (done + 2) / (done + arm.inert + 2)
    return math.sqrt(chance)


def expected(
    draft: Draft,
    arms: Mapping[str, Arm],
    nudges: Mapping[str, float] = MappingProxyType({}),
    told: Mapping[str, float] = MappingProxyType({}),
) -> float:
    """Effect to be expected of a draft: the mean over its ingredients, and a part of what hints promise."""
    mean = sum(posterior(arms.get(name))[0] + told.get(name, 0.0) for name in draft.arms) / len(draft.arms)
    nudge = max(nudges.get(name, 0.0) * doubt(arms.get(name)) for name in draft.arms)
    return mean + min(MOST_TRUSTED, TRUST * nudge)


def hints(failures: Sequence[FailureCluster]) -> dict[str, float]:
    """How much each ingredient gains from the kinds of failure that the critic saw."""
    found: dict[str, float] = {}
    for cluster in failures:
        for name in HINTS.get(cluster.kind, ()):
            found[name] = found.get(name, 0.0) + HINT * NEAR.get(cluster.kind, 1.0) * cluster.share
    return found
