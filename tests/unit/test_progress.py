"""What a person is told while a campaign runs."""

from io import StringIO
from typing import Any

import msgspec
import pytest
from rich.console import Console

from agents.cli.progress import describe
from contracts import events as e
from contracts.gate import ArmScores, Verdict, inconclusive
from contracts.lineage import Campaign, Lineage
from contracts.settings import CampaignSettings, SuiteManifest

CAMPAIGN = Campaign(
    id="c1", settings=CampaignSettings(), suite=SuiteManifest(name="s", digest="d", practice=(), sealed=()),
    fingerprint="f",
)  # fmt: skip
ARM = ArmScores(tree="t")


def told(event: e.Event, **campaign: Any) -> str:
    state = Lineage(campaign=msgspec.structs.replace(CAMPAIGN, **campaign))
    console = Console(file=StringIO(), width=200)
    for line in describe(event, state):
        console.print(line)
    return console.file.getvalue()  # type: ignore[attr-defined, no-any-return]


def confirmed(verdict: Verdict, *, complete: bool) -> e.ChangeConfirmed:
    return e.ChangeConfirmed(
        campaign="c1", round=1, candidate=0, seeds=("s",), incumbent=ARM, challenger=ARM, protected=(),
        verdict=verdict, complete=complete,
    )  # fmt: skip


def test_a_confirmation_without_scores_is_not_told_as_a_measured_one() -> None:
    measured = Verdict(decision="keep", effect=0.05, low=0.01, high=0.09, p=0.03, reason="Kept.")
    assert "confirmed on fresh seeds: Δ +0.0500 [+0.010, +0.090], p = 0.0300" in told(
        confirmed(measured, complete=True)
    )
    failed = told(confirmed(inconclusive("38 episodes gave no score"), complete=False))
    assert "not confirmed: the fresh seeds gave no scores" in failed
    assert "p =" not in failed


def test_an_arm_that_gave_no_verdict_says_why_in_place_of_a_p_value() -> None:
    def arm(verdict: Verdict) -> e.NullArmMeasured:
        return e.NullArmMeasured(
            campaign="c1", round=1, race_seeds=(), confirm_seeds=(), raced=(), incumbent_race=ARM,
            incumbent=None, challenger=None, verdict=verdict,
        )  # fmt: skip

    assert "A/A arm: revert (p = 0.700)" in told(
        arm(Verdict(decision="revert", p=0.7, reason="Nothing led."))
    )
    assert "A/A arm: inconclusive (2 episodes gave no score)" in told(
        arm(inconclusive("2 episodes gave no score"))
    )


@pytest.mark.parametrize(
    ("dropped", "line"),
    [
        (e.DroppedPlan(title="Look", reason="no surface"), "planner: no plan: Look: no surface"),
        (e.DroppedPlan(title=" ", reason="it has no title"), "planner: no plan: it has no title"),
        (
            e.DroppedPlan(title="", reason="the answer is no plan: it is empty", what="answer"),
            "planner: the answer is no plan: it is empty",
        ),
        (
            e.DroppedPlan(title="", reason="the model was not asked: no budget", what="nothing"),
            "planner: the model was not asked: no budget",
        ),
    ],
)
def test_what_came_of_no_plan_is_told_in_a_sentence(dropped: e.DroppedPlan, line: str) -> None:
    assert (
        line in told(e.PlansDropped(campaign="c1", round=1, plans=(dropped,)), rounds_done=1).splitlines()[0]
    )


def test_a_model_that_gives_no_plan_at_first_may_be_unable_to() -> None:
    def hint(what: Any, rounds_done: int) -> bool:
        dropped = e.DroppedPlan(title="", reason="there is no JSON object in it", what=what)
        event = e.PlansDropped(campaign="c1", round=rounds_done + 1, plans=(dropped,))
        return "--model planner=embedded" in told(event, rounds_done=rounds_done)

    assert hint("answer", 0)
    assert not hint("answer", 1), "it was said once"
    assert not hint("plan", 0)
    assert not hint("nothing", 0)
