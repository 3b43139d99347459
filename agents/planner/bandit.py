"""Which changes to try next: a bandit over ingredients that learns from every race and verdict in the ledger."""

import math
import random
from collections.abc import Mapping, Sequence

from agents.planner.operators import Draft
from contracts.events import FailureCluster
from contracts.lineage import Arm

PRIOR_SPREAD = 0.04
"""How much the effect of an untried ingredient may differ from zero, as a standard deviation."""
NOISE = 0.05
"""Standard deviation of one race's measured effect."""

HINTS: Mapping[str, tuple[str, ...]] = {
    "repeated_itself": ("action:discard", "decoding:frequency_penalty", "decoding:presence_penalty"),
    "off_the_trace": ("action:show_lines", "action:show_traces", "decoding:temperature"),
    "broke_a_test": ("action:show_errors", "action:show_places"),
    "fixed_some": ("action:keep", "action:show_places"),
    "overfitted": ("action:tell",),
    "spent_all": ("action:discard", "action:forget"),
}
"""What a kind of failure points at: single ingredients, and never when or under which condition they help. That is
for the races to find."""


def posterior(arm: Arm | None) -> tuple[float, float]:
    """Mean and standard deviation of an ingredient's effect, after what its races showed."""
    if arm is None or not arm.raced:
        return 0.0, PRIOR_SPREAD
    precision = 1 / PRIOR_SPREAD**2 + arm.raced / NOISE**2
    mean = (arm.effect / NOISE**2) / precision
    return mean + 0.01 * arm.credit / max(1, arm.confirmed or 1), math.sqrt(1 / precision)


def choose(
    drafts: Sequence[Draft],
    arms: Mapping[str, Arm],
    failures: Sequence[FailureCluster],
    count: int,
    rng: random.Random,
) -> list[tuple[Draft, float]]:
    """The drafts to try, with the effect expected of each; no two with the same leading ingredient if possible.

    Thompson sampling: every ingredient's effect is drawn from its posterior; a draft is worth the mean of its
    ingredients' draws, plus a nudge where the critic's failures point at one of them.
    """
    names = sorted({name for draft in drafts for name in draft.arms})
    drawn = {name: rng.gauss(*posterior(arms.get(name))) for name in names}
    nudges = hints(failures)

    def value(draft: Draft) -> float:
        nudge = max(nudges.get(name, 0.0) for name in draft.arms)
        worth = sum(drawn[name] for name in draft.arms) / len(draft.arms) + nudge + rng.gauss(0, 0.01)
        return worth * activity(draft, arms) if worth > 0 else worth

    ranked = sorted(drafts, key=value, reverse=True)
    chosen: list[Draft] = []
    for draft in ranked:
        if len(chosen) < count and all(draft.arms[0] != other.arms[0] for other in chosen):
            chosen.append(draft)
    chosen += [draft for draft in ranked if draft not in chosen][: count - len(chosen)]
    return [(draft, expected(draft, arms)) for draft in chosen]


def activity(draft: Draft, arms: Mapping[str, Arm]) -> float:
    """The chance that a draft does anything at all, from how often its ingredients did: in (0, 1].

    A rule acts only when its moment comes and its predicate holds, so the chances are multiplied.
    """
    chance = 1.0
    for name in draft.arms:
        arm = arms.get(name, Arm())
        chance *= (arm.raced + 2) / (arm.raced + arm.inert + 2)
    return chance


def expected(draft: Draft, arms: Mapping[str, Arm]) -> float:
    """Effect to be expected of a draft: the mean over its ingredients."""
    return sum(posterior(arms.get(name))[0] for name in draft.arms) / len(draft.arms)


def hints(failures: Sequence[FailureCluster]) -> dict[str, float]:
    """How much each ingredient gains from the kinds of failure that the critic saw."""
    found: dict[str, float] = {}
    for cluster in failures:
        for name in HINTS.get(cluster.kind, ()):
            found[name] = found.get(name, 0.0) + 0.08 * cluster.share
    return found
