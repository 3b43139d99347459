"""The price book, by figures computed by hand."""

import datetime as dt
from typing import Any

import pytest

from agents.models.prices import Price, PriceBook, PricesUnreadable
from contracts.chat import Usage


def at(day: str) -> float:
    return dt.datetime.fromisoformat(f"{day}T12:00:00+00:00").timestamp()


TODAY = at("2026-06-01")


def test_every_token_is_charged_once_at_its_own_price() -> None:
    price = Price(model="m", input=10.0, output=50.0, cache_read=1.0, cache_write=12.5)
    usage = Usage(
        input_tokens=1_000_000, cached_tokens=600_000, cache_write_tokens=100_000, output_tokens=20_000
    )
    # 300,000 fresh at 10, 600,000 read at 1, 100,000 written at 12.50, 20,000 out at 50
    assert price.cost(usage) == pytest.approx(3.0 + 0.6 + 1.25 + 1.0)
    assert price.blended(usage) == pytest.approx(5.85 / 1.02)
    assert price.blended(Usage()) == 0.0


def test_where_the_cache_has_no_price_it_costs_what_input_costs() -> None:
    price = Price(model="m", input=10.0, output=50.0)
    usage = Usage(input_tokens=1000, cached_tokens=600, cache_write_tokens=400, output_tokens=0)
    assert price.cost(usage) == pytest.approx(0.01)


def test_usage_that_contradicts_itself_is_never_charged_below_nothing_or_twice() -> None:
    price = Price(model="m", input=10.0, output=50.0, cache_read=1.0, cache_write=12.5)
    odd = Usage(input_tokens=100, cached_tokens=900, cache_write_tokens=900, output_tokens=0)
    assert price.cost(odd) == pytest.approx(100 * 1.0 / 1e6)


def test_a_bound_holds_whatever_the_cache_does() -> None:
    price = Price(model="m", input=10.0, output=50.0, cache_read=1.0, cache_write=12.5)
    assert price.bound(1000, 100) == pytest.approx((1000 * 12.5 + 100 * 50) / 1e6)
    for cached, written in ((0, 0), (1000, 0), (0, 1000), (500, 500)):
        usage = Usage(input_tokens=1000, cached_tokens=cached, cache_write_tokens=written, output_tokens=100)
        assert price.cost(usage) <= price.bound(1000, 100)


@pytest.mark.parametrize(
    ("model", "cost"),
    [("MiniMax-M2.7", 0.30 + 1.20), ("MiniMax-M2.7-highspeed", 0.60 + 2.40), ("frontier-large", 90.0)],
)
def test_prices_that_come_along(model: str, cost: float) -> None:
    price = PriceBook.load().price(model, TODAY)
    assert price.cost(Usage(input_tokens=1_000_000, output_tokens=1_000_000)) == pytest.approx(cost)
    assert price.known


def test_a_model_without_a_price_is_free_and_said_to_be_unknown() -> None:
    price = PriceBook.load().price("llama-at-home", TODAY)
    assert not price.known
    assert price.cost(Usage(input_tokens=10**9, output_tokens=10**9)) == price.bound(10**9, 10**9) == 0.0


def test_ones_own_prices_come_first_by_pattern_and_by_date() -> None:
    entries: list[dict[str, Any]] = [
        {"model": "MiniMax-*", "since": dt.date(2026, 1, 1), "input": 1.0, "output": 2.0},
        {"model": "MiniMax-*", "since": dt.date(2026, 7, 1), "input": 3.0, "output": 4.0},
    ]
    book = PriceBook.load(entries)
    assert book.price("MiniMax-M2.7", at("2026-06-30")).input == 1.0
    assert book.price("MiniMax-M2.7", at("2026-07-01")).input == 3.0
    assert book.price("frontier-large", TODAY).input == 15.0
    assert not book.price("MiniMax-M2.7", at("2025-12-31")).known


def test_the_prices_on_offer_are_those_in_force_each_once_patterns_too() -> None:
    entries: list[dict[str, Any]] = [
        {"model": "script*", "output": 1.0},
        {"model": "script*", "since": dt.date(2026, 1, 1), "output": 2.0},
        {"model": "later", "since": dt.date(2099, 1, 1), "output": 5.0},
        {"model": "free"},
        {"model": "frontier-large", "output": 7.0},
    ]
    offers = {price.model: price.output for price in PriceBook.load(entries).offers(TODAY)}
    assert offers == {
        "script*": 2.0, "frontier-large": 7.0, "MiniMax-M2.7-highspeed": 2.4, "MiniMax-M2.7": 1.2,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        ({"model": "m", "inputs": 1.0}, "price of 'm' cannot be used: .*inputs.*want model, since, input"),
        ({"model": "m", "input": "much"}, "price of 'm' cannot be used: .*input"),
        ({"model": "m", "since": "soon"}, "price of 'm' cannot be used: .*since"),
        ({"input": 1.0}, r"price of '\(no model\)' cannot be used"),
        ({"model": "m", "output": -1.0}, "price of 'm' is below 0"),
        ({"model": "m", "input": float("nan")}, "price of 'm' is no number"),
    ],
)
def test_a_price_that_cannot_be_used_is_named(entry: dict[str, Any], words: str) -> None:
    with pytest.raises(PricesUnreadable, match=words):
        PriceBook.load([entry])
