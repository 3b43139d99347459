"""What a call may cost at most, and which budget does not cover it."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.models.gateway.budget import most_input_tokens, short_of
from contracts import events as e
from contracts.calls import Calls, evolve
from contracts.chat import ChatRequest, Message, Usage
from contracts.models import Charge, ModelRole
from contracts.settings import Limits


def reserved(
    number: int, bound: float, *, role: ModelRole = "harness", round_: int = 1, tokens: int = 100
) -> e.Reservation:
    charge = Charge(campaign="c1", round=round_, role=role)
    return e.Reservation(
        number=number, call=str(number), model="m", charge=charge, bound=bound, tokens=tokens
    )


def after(*events: e.Event) -> Calls:
    state = Calls()
    for event in events:
        state = evolve(event, state)
    return state


def test_what_is_under_way_counts_at_its_bound_and_what_is_settled_at_its_cost() -> None:
    state = after(e.CallsReserved(campaign="c1", calls=(reserved(1, 0.4), reserved(2, 0.3))))
    assert state.bound == pytest.approx(0.7)
    state = evolve(
        e.CallsMade(
            campaign="c1",
            calls=(e.Settlement(number=1, outcome="answered", usage=Usage(cost=0.1, output_tokens=5)),),
        ),
        state,
    )
    assert state.tokens == 5
    assert [state.cost, state.bound] == pytest.approx([0.1, 0.3])


def test_a_settlement_of_what_is_not_open_counts_for_nothing() -> None:
    state = after(e.CallsReserved(campaign="c1", calls=(reserved(1, 0.4),)))
    twice = e.CallsMade(campaign="c1", calls=(e.Settlement(number=1, outcome="lost", usage=Usage(cost=0.4)),))
    assert evolve(twice, evolve(twice, state)).cost == pytest.approx(0.4)


@pytest.mark.parametrize(
    ("limits", "budget"),
    [
        (Limits(cost=1.0), "run"),
        (Limits(round_cost=1.0), "round"),
        (Limits(role_cost={"planner": 1.0}), "role"),
        (Limits(tokens=250), "tokens"),
    ],
)
def test_each_budget_holds_a_call_back_that_it_does_not_cover(limits: Limits, budget: str) -> None:
    state = after(e.CallsReserved(campaign="c1", calls=(reserved(1, 0.8, role="planner"),)))
    charge = Charge(campaign="c1", round=1, role="planner")
    assert short_of(state, limits, charge, bound=0.2, tokens=100) is None
    short = short_of(state, limits, charge, bound=0.21, tokens=151)
    assert short is not None
    assert (short.budget, short.for_good) == (budget, False)
    other = Charge(campaign="c1", round=2, role="critic")
    if budget in ("round", "role"):
        assert short_of(state, limits, other, bound=0.21, tokens=151) is None


def test_a_call_that_would_not_fit_alone_is_refused_for_good() -> None:
    short = short_of(Calls(), Limits(cost=0.1), Charge(), bound=0.2, tokens=1)
    assert short is not None
    assert short.for_good
    assert "$0.1 " in short.reason


def test_no_budget_means_no_limit() -> None:
    state = after(e.CallsReserved(campaign="c1", calls=(reserved(1, 1e6),)))
    assert short_of(state, Limits(), Charge(), bound=1e6, tokens=10**9) is None


@given(st.text(max_size=300))
def test_no_request_has_more_tokens_than_its_bound(text: str) -> None:
    request = ChatRequest(messages=(Message(role="user", content=text),))
    assert most_input_tokens(request) > len(text.encode())


@given(
    st.lists(st.tuples(st.floats(0.001, 0.3), st.floats(0, 1), st.booleans()), max_size=40),
    st.floats(0.05, 2.0),
)
def test_no_order_of_calls_costs_more_than_the_budget(
    calls: list[tuple[float, float, bool]], limit: float
) -> None:
    """Calls are admitted while others are open, and settle at any share of their bound, whenever they do."""
    state, limits, open_ = Calls(), Limits(cost=limit), list[tuple[int, float]]()
    for number, (bound, share, settle) in enumerate(calls, 1):
        if short_of(state, limits, Charge(), bound=bound, tokens=1) is None:
            state = evolve(e.CallsReserved(campaign="c1", calls=(reserved(number, bound),)), state)
            open_.append((number, bound * share))
        if settle and open_:
            done, cost = open_.pop(0)
            made = e.Settlement(number=done, outcome="answered", usage=Usage(cost=cost))
            state = evolve(e.CallsMade(campaign="c1", calls=(made,)), state)
        assert state.cost + state.bound <= limit * (1 + 1e-9)


def test_the_state_is_the_same_whoever_folds_it() -> None:
    event = e.CallsReserved(campaign="c1", calls=(reserved(1, 0.4),))
    assert msgspec.json.encode(after(event)) == msgspec.json.encode(after(event))
