"""How `ratchet run` tells why a campaign does not go on: it was halted, or another one is under way."""

import msgspec

from agents.cli.differences import MOST, differences, listed
from agents.cli.job import halted
from contracts.gate import GateSettings
from contracts.models import Models
from contracts.settings import CampaignSettings, Limits

SETTINGS = CampaignSettings(
    models=Models(harness="openai:a@http://x/v1"), limits=Limits(role_cost={"planner": 3.0})
)


def test_every_setting_that_differs_is_named_with_what_it_was_and_is() -> None:
    now = msgspec.structs.replace(
        SETTINGS,
        rounds=9,
        gate=GateSettings(candidates=3),
        models=Models(planner="openai:a@http://x/v1"),
        limits=Limits(role_cost={"planner": 3.0, "critic": 0.5}),
    )
    assert differences(SETTINGS, now) == [
        f"gate.candidates ({GateSettings().candidates} then, 3 now)",
        "limits.role_cost.critic (nothing then, 0.5 now)",
        "models.harness (openai:a@http://x/v1 then, nothing now)",
        "models.planner (nothing then, openai:a@http://x/v1 now)",
        "rounds (6 then, 9 now)",
    ]
    assert differences(SETTINGS, SETTINGS) == []


def test_a_long_list_is_cut() -> None:
    assert listed(["a", "b"]) == "a, b"
    assert listed(list("abcdefgh")) == f"a, b, c, d, e, f, and {8 - MOST} more"


def test_what_a_person_can_mend_goes_on_with_the_same_command_and_a_replay_does_not() -> None:
    words, code = halted("the key is wrong", replayed=False)
    assert (words, code) == ("the key is wrong. The same command goes on from here", 3)
    assert halted("does it end in /v1?", replayed=False)[0].startswith("does it end in /v1? The same")
    words, code = halted("this was never asked", replayed=True)
    assert code == 1
    assert "differ from those of the recorded campaign" in words
    assert "The same command goes on" not in words
