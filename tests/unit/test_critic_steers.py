"""Without the critic the same round is planned differently, and worse: by what its plans were measured to be worth."""

import json
import random
from collections.abc import Sequence
from pathlib import Path
from statistics import mean

from agents.cli.request import seed_files
from agents.planner.draft import Draft, Ground
from agents.planner.policy import chosen_drafts
from contracts import events as e
from contracts.lineage import Campaign, Lineage
from contracts.settings import CampaignSettings, SuiteManifest

EFFECTS: dict[str, float] = json.loads((Path(__file__).parent / "measured" / "effects.json").read_bytes())
"""What rules without a condition are worth on the seed harness, as `moment/action`: measured on the 72 practice tasks
of `repair`, two seeds each (`benchmarks/ingredients.py`)."""
FAILURES = (
    ("spent_all", 0.94),
    ("broke_a_test", 0.73),
    ("lost_a_fix", 0.31),
    ("off_the_trace", 0.30),
    ("repeated_itself", 0.16),
    ("overfitted", 0.06),
)
"""What the critic saw in the first round of a campaign on `repair`: kind, and share of the failed episodes."""
SEED = seed_files()
ROUNDS = 60


def planned(failures: Sequence[e.FailureCluster]) -> list[list[Draft]]:
    """The first round of many campaigns."""
    campaign = Campaign(
        id="c1",
        settings=CampaignSettings(),
        suite=SuiteManifest(name="repair", digest="d", practice=()),
        fingerprint="f",
        status="running",
    )
    ground = Ground(tree=SEED, archive=(), name="c1_r1", seed=SEED, head="seed")
    lineage = Lineage(campaign=campaign)
    return [
        [draft for draft, _ in chosen_drafts(lineage, ground, failures, (), random.Random(seed))]
        for seed in range(ROUNDS)
    ]


def worth(draft: Draft) -> float | None:
    """The measured effect of a draft; None where it was not measured."""
    if draft.operator != "compose" or draft.change["predicate"][0] != "always":
        return None
    return EFFECTS.get(f"{draft.change['moment']}/{draft.change['action'][0]}")


WITH = planned([e.FailureCluster(kind=k, count=1, share=share, tasks=()) for k, share in FAILURES])
WITHOUT = planned(())


def good(rounds: list[list[Draft]]) -> float:
    """Plans a round that were measured to gain .03 or more."""
    return mean(sum((worth(draft) or 0.0) >= 0.03 for draft in drafts) for drafts in rounds)


def best(rounds: list[list[Draft]]) -> float:
    """What the best of a round's plans is worth: the one that a race is there to find."""
    return mean(max((worth(draft) or 0.0 for draft in drafts), default=0.0) for drafts in rounds)


def test_other_plans_are_made() -> None:
    assert all(
        {draft.signature for draft in one} != {draft.signature for draft in other}
        for one, other in zip(WITH, WITHOUT, strict=True)
    )


def test_fewer_plans_are_good_without_the_critic() -> None:
    assert good(WITH) > 1.5 * good(WITHOUT) > 0


def test_the_best_plan_of_a_round_is_worth_less_without_the_critic() -> None:
    assert best(WITH) > 1.3 * best(WITHOUT)
