"""What the processes of one command keep together: the pace of calls, and a budget."""

import time
from contextlib import suppress
from multiprocessing import get_context
from multiprocessing.synchronize import Barrier
from typing import Any

import pytest

from agents.config import BudgetConfig, EndpointConfig
from agents.models.errors import BudgetSpentError
from agents.models.meter import Meter

CONTEXT = get_context("spawn")
FREE = BudgetConfig()


def meter(budget: BudgetConfig = FREE, **allowed: Any) -> Meter:
    return Meter(EndpointConfig(**allowed), budget, CONTEXT)


def ask(shared: Meter, begin: Barrier) -> None:
    begin.wait()
    for _ in range(3):
        with shared.call(1, 0.001) as call:
            call.cost = 0.0005


def test_processes_share_pace_and_spending() -> None:
    shared = meter(BudgetConfig(run=0.01), requests_per_minute=600)
    begin = CONTEXT.Barrier(3)
    processes = [CONTEXT.Process(target=ask, args=(shared, begin)) for _ in range(2)]
    for process in processes:
        process.start()
    begin.wait()
    began = time.monotonic()
    for process in processes:
        process.join()
    assert time.monotonic() - began >= 0.5  # of six calls the last begins five gaps after the first
    assert [process.exitcode for process in processes] == [0, 0]
    with shared.call(1, 0.007):  # .003 are spent
        pass
    with pytest.raises(BudgetSpentError, match=r"\$0.0030 are spent or under way"), shared.call(1, 0.0071):
        pass


def test_what_is_under_way_counts_with_the_most_that_it_can_be() -> None:
    shared = meter(BudgetConfig(run=5.0, harness=0.01, planner=0.001))
    with (
        shared.call(1, 0.006),
        pytest.raises(BudgetSpentError, match=r"budget of \$0.01"),
        shared.call(1, 0.006),
    ):
        pass
    with shared.call(1, 0.006) as call:  # the one before came to nothing
        call.cost = 0.006
    with pytest.raises(BudgetSpentError), shared.call(1, 0.006):
        pass


def test_a_call_that_fails_costs_what_is_said_of_it() -> None:
    shared = meter(BudgetConfig(run=0.01))
    with suppress(ValueError), shared.call(1, 0.008) as call:
        call.cost = 0.002
        raise ValueError
    with pytest.raises(BudgetSpentError, match=r"\$0.0020 are spent"), shared.call(1, 0.009):
        pass


def test_an_endpoint_that_wants_to_be_left_alone_is() -> None:
    shared = meter(concurrency=1)
    began = time.monotonic()
    shared.hold(0.2)
    with shared.call(1, 0.0):
        assert time.monotonic() - began >= 0.2
