"""A campaign's account: what stands in the ledger when a call may be sent, and what a restart makes of it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import anyio
import pytest

from agents.models.errors import BudgetSpentError
from agents.models.gateway.account import Account
from contracts import events as e
from contracts.chat import Usage
from contracts.models import Charge, Models
from contracts.settings import Limits
from eventstore.testing import MemoryStore

pytestmark = pytest.mark.anyio
CHARGE = Charge(campaign="c1", round=1)


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@asynccontextmanager
async def account(store: Any, *, name: str = "one", **limits: Any) -> AsyncIterator[Account]:
    found = Account(store, "c1", Limits(**limits), Models(), instance=name)
    await found.open()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(found.run)
        yield found
        tasks.cancel_scope.cancel()


def stored(store: MemoryStore) -> list[e.Event]:
    return [e.decode(envelope) for envelope in store.events]


async def reserve(found: Account, bound: float, call: str = "k") -> int:
    return await found.reserve(call, "m", CHARGE, bound=bound, tokens=10)


def answered(number: int, cost: float, blob: str = "") -> e.Settlement:
    return e.Settlement(number=number, outcome="answered", blob=blob, usage=Usage(output_tokens=3, cost=cost))


async def test_the_reservation_is_in_the_ledger_before_the_call_may_be_sent_and_what_came_of_it_before_it_counts() -> (
    None
):
    store = MemoryStore()
    async with account(store) as found:
        number = await reserve(found, 0.5, "key")
        (event,) = stored(store)
        assert isinstance(event, e.CallsReserved)
        assert [(each.number, each.call, each.bound) for each in event.calls] == [(number, "key", 0.5)]
        await found.settle(answered(number, 0.2, "blob"))
        assert isinstance(stored(store)[-1], e.CallsMade)
        assert (found.state.cost, found.state.open, found.answers) == (0.2, {}, {"key": "blob"})


async def test_a_call_waits_while_only_what_is_under_way_stands_in_its_way() -> None:
    async with account(MemoryStore(), cost=1.0) as found:
        first = await reserve(found, 0.7)
        numbers: list[int] = []

        async def second() -> None:
            numbers.append(await reserve(found, 0.7))

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(second)
            await anyio.wait_all_tasks_blocked()
            assert numbers == []
            await found.settle(answered(first, 0.2))
        assert numbers == [first + 1]


async def test_a_call_that_the_rest_of_the_budget_does_not_cover_is_refused_and_nothing_is_reserved() -> None:
    store = MemoryStore()
    async with account(store, cost=1.0) as found:
        await found.settle(answered(await reserve(found, 0.7), 0.7))
        before = len(store.events)
        with pytest.raises(BudgetSpentError, match=r"the run's budget of \$1 does not cover") as caught:
            await reserve(found, 0.4)
        assert caught.value.budget == "run"
        assert len(store.events) == before
        assert await reserve(found, 0.3)


async def test_what_a_gateway_left_open_counts_at_its_bound_from_then_on() -> None:
    store = MemoryStore()
    async with account(store, cost=1.0) as found:
        await reserve(found, 0.6)
    async with account(store, name="two", cost=1.0) as found:
        last = stored(store)[-1]
        assert isinstance(last, e.CallsMade)
        assert [(each.outcome, each.usage.cost) for each in last.calls] == [("lost", 0.6)]
        with pytest.raises(BudgetSpentError):
            await reserve(found, 0.5)
        assert await reserve(found, 0.4) == 2


async def test_two_gateways_on_one_account_do_not_spend_the_budget_twice() -> None:
    store = MemoryStore()
    spent: list[float] = []

    async def spend(found: Account) -> None:
        for _ in range(20):
            try:
                number = await reserve(found, 0.1)
            except BudgetSpentError:
                return
            await found.settle(answered(number, 0.1))
            spent.append(0.1)

    async with (
        account(store, cost=1.0) as one,
        account(store, name="two", cost=1.0) as other,
        anyio.create_task_group() as tasks,
    ):
        tasks.start_soon(spend, one)
        tasks.start_soon(spend, other)
    assert sum(spent) == pytest.approx(1.0)
    assert sum(isinstance(event, e.CallsMade) for event in stored(store)) >= 2


async def test_an_endpoint_that_charges_more_than_can_be_is_believed_from_then_on() -> None:
    store = MemoryStore()
    async with account(store, cost=1.0) as found:
        flying = [await reserve(found, 0.01) for _ in range(3)]
        for number in flying:
            await found.settle(answered(number, 0.05))
        assert found.factor("m") == pytest.approx(5.0)
        assert found.factor("another") == 1.0
        while True:
            try:
                number = await reserve(found, 0.01)
            except BudgetSpentError:
                break
            await found.settle(answered(number, 0.05))
        assert 0.95 < found.state.cost <= 1.0
    async with account(store, name="two", cost=1.0) as found:
        assert found.factor("m") == pytest.approx(5.0)
