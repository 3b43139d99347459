"""What calls of models came to, in groups and at other prices."""

from typing import Any

import pytest

from agents.models.costs import Made, elsewhere, grouped
from agents.models.prices import PriceBook
from contracts import events as e
from contracts.chat import Usage
from contracts.models import Charge

USAGE = Usage(input_tokens=1_000_000, output_tokens=1_000_000)


def made(
    *, spec: str = "openai:script-1@http://x/v1", tries: int = 1, outcome: Any = "answered", **charge: Any
) -> Made:
    usage = USAGE if outcome == "answered" else Usage()
    settlement = e.Settlement(number=1, outcome=outcome, usage=usage, tries=tries, seconds=1.0)
    return Made(charge=Charge(campaign="c1", **charge), model=spec, settlement=settlement, at=0.0)


CALLS = [
    made(round=1, candidate=2, episode="e"),
    made(round=0, episode="e"),
    made(round=2, outcome="unavailable", tries=0),
    made(round=2, outcome="unavailable", tries=1),
    made(round=2, outcome="lost", tries=0),
]


def test_calls_outside_of_rounds_are_called_what_they_are_for() -> None:
    labels = {cost.group: cost.label for cost in grouped(CALLS, "round")}
    assert labels == {
        "c1 round 0": "c1 release check",
        "c1 round 1": "c1 round 1",
        "c1 round 2": "c1 round 2",
    }
    mixed = grouped([made(round=0, episode="e"), made(round=0, task="mine")], "candidate")
    assert [cost.label for cost in mixed] == ["c1 release check and submissions"]


def test_calls_that_were_never_sent_are_told_apart() -> None:
    found = {cost.group: (cost.calls, cost.unanswered, cost.unsent) for cost in grouped(CALLS, "outcome")}
    assert found == {"answered": (2, 0, 0), "unavailable": (2, 2, 1), "lost": (1, 1, 0)}


def test_the_same_tokens_cost_elsewhere_what_is_on_offer_there() -> None:
    book = PriceBook.load(
        [
            {"model": "script*", "output": 2.0},
            {"model": "other-*", "output": 3.0},
            {"model": "later", "since": "2099-01-01", "output": 5.0},
        ]
    )
    day = 1_790_000_000.0
    alone = elsewhere(CALLS, book, day)
    assert alone["other-*"] == pytest.approx(6.0)
    assert not {"script*", "later"} & alone.keys()
    several = elsewhere([*CALLS, made(spec="openai:other-1@http://x/v1", round=1)], book, day)
    assert several["script*"] == pytest.approx(6.0)
    assert several["other-*"] == pytest.approx(9.0)
