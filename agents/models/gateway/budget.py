"""What a call may cost at most, and whether a budget covers it beside everything that is under way."""

from typing import Literal

import msgspec

from contracts.calls import Calls
from contracts.chat import ChatRequest
from contracts.models import Charge
from contracts.record import Record
from contracts.settings import Limits

FRAME = 64
"""Tokens that a provider may put around a message or a tool."""


class Short(Record):
    """A budget that does not cover a call."""

    budget: Literal["run", "round", "role", "tokens"]
    for_good: bool
    """Whether it would not, either, once everything under way is settled."""
    reason: str


def most_input_tokens(request: ChatRequest) -> int:
    """Tokens that a request can come to at most: no token is shorter than a byte."""
    parts = len(request.messages) + len(request.tools)
    return len(msgspec.json.encode((request.messages, request.tools))) + FRAME * (1 + parts)


def short_of(calls: Calls, limits: Limits, charge: Charge, *, bound: float, tokens: int) -> Short | None:
    """The first budget that does not cover one more call; None if all do.

    Args:
        calls: what was settled, and what is under way.
        limits: the budgets.
        charge: what the call is charged to.
        bound: US dollars that it can cost at most.
        tokens: tokens in and out that it can come to at most.
    """
    under_way = tuple(calls.open.values())
    of_round = sum(each.bound for each in under_way if each.charge.round == charge.round)
    of_role = sum(each.bound for each in under_way if each.charge.role == charge.role)
    rows: tuple[tuple[Literal["run", "round", "role"], str, float, float, float], ...] = (
        ("run", "the run's", limits.cost, calls.cost, calls.bound),
        (
            "round",
            f"round {charge.round}'s",
            limits.round_cost,
            calls.round_cost.get(charge.round, 0.0),
            of_round,
        ),
        (
            "role",
            f"the {charge.role}'s",
            limits.role_cost.get(charge.role, 0.0),
            calls.role_cost.get(charge.role, 0.0),
            of_role,
        ),
    )
    for budget, whose, limit, spent, reserved in rows:
        if limit and spent + reserved + bound > limit:
            return Short(
                budget=budget,
                for_good=spent + bound > limit,
                reason=f"{whose} budget of ${limit:g} does not cover a call of up to ${bound:.4f}: "
                f"${spent:.4f} are spent, and ${reserved:.4f} under way",
            )
    open_tokens = sum(each.tokens for each in under_way)
    if limits.tokens and calls.tokens + open_tokens + tokens > limits.tokens:
        return Short(
            budget="tokens",
            for_good=calls.tokens + tokens > limits.tokens,
            reason=f"the run's budget of {limits.tokens} tokens does not cover a call of up to {tokens}: "
            f"{calls.tokens} are spent, and {open_tokens} under way",
        )
    return None
