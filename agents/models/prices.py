"""The price book: what a million tokens cost, by model and date."""

import datetime as dt
import fnmatch
import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Self

import msgspec

from contracts.chat import Usage

FILE = Path(__file__).parent / "prices.toml"
MILLION = 1e6


class PricesUnreadable(Exception):
    """Raised when an entry of a price book cannot be used; the message names it."""


class Price(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What tokens of a model cost, in US dollars for a million."""

    model: str
    """The model's name, or a pattern with `*`."""
    since: dt.date = dt.date(1970, 1, 1)
    """From when on."""
    input: float = 0.0
    output: float = 0.0
    cache_read: float | None = None
    """Input tokens that the provider had in its cache; the price of input where nothing is said."""
    cache_write: float | None = None
    """Input tokens that the provider put into its cache; the price of input where nothing is said."""
    known: bool = True
    """False where no entry fits, so that calls count as free."""

    def cost(self, usage: Usage) -> float:
        """US dollars for what was used. Each input token counts once: read from the cache, written, or fresh."""
        read = min(usage.cached_tokens, usage.input_tokens)
        written = min(usage.cache_write_tokens, usage.input_tokens - read)
        reading = self.input if self.cache_read is None else self.cache_read
        writing = self.input if self.cache_write is None else self.cache_write
        fresh = usage.input_tokens - read - written
        total = fresh * self.input + read * reading + written * writing + usage.output_tokens * self.output
        return total / MILLION

    def blended(self, usage: Usage) -> float:
        """US dollars for a million tokens of any kind, in the proportions in which they were used; 0 for none."""
        tokens = usage.input_tokens + usage.output_tokens
        return MILLION * self.cost(usage) / tokens if tokens else 0.0

    def bound(self, input_tokens: int, output_tokens: int) -> float:
        """US dollars that so many tokens can cost at most."""
        dearest = max(self.input, self.cache_read or 0.0, self.cache_write or 0.0)
        return (input_tokens * dearest + output_tokens * self.output) / MILLION


class PriceBook:
    """Prices: one's own before those that come with Ratchet, and in each the first that fits."""

    def __init__(self, own: Iterable[Price], shipped: Iterable[Price] = ()) -> None:
        self._books = (tuple(own), tuple(shipped))

    @classmethod
    def load(cls, first: Iterable[Mapping[str, Any]] = ()) -> Self:
        """The price book that comes with Ratchet, with entries of one's own before it.

        Raises:
            PricesUnreadable: an entry is not of the form.
        """
        shipped = msgspec.toml.decode(FILE.read_bytes())["prices"]
        return cls(map(_price, first), map(_price, shipped))

    def offers(self, at: float) -> tuple[Price, ...]:
        """What every model or pattern costs at a time (seconds since the epoch), each once; not those that are free."""
        names = dict.fromkeys(price.model for book in self._books for price in book)
        prices = (self._named(name, at) for name in names)
        return tuple(price for price in prices if price is not None and price.output)

    def _named(self, name: str, at: float) -> Price | None:
        """The price of the entry with this very name that is in force."""
        day = _day(at)
        for book in self._books:
            if same := [p for p in book if p.model == name and p.since <= day]:
                return max(same, key=lambda price: price.since)
        return None

    def price(self, model: str, at: float) -> Price:
        """The price of a model at a time (seconds since the epoch)."""
        day = _day(at)
        in_force = (p.model for book in self._books for p in book if p.since <= day)
        first = next((name for name in in_force if fnmatch.fnmatchcase(model, name)), None)
        found = None if first is None else self._named(first, at)
        return found or Price(model=model, known=False)


def _day(at: float) -> dt.date:
    return dt.datetime.fromtimestamp(at, dt.UTC).date()


def _price(entry: Mapping[str, Any]) -> Price:
    try:
        price = msgspec.convert(dict(entry), Price)
    except msgspec.ValidationError as error:
        raise PricesUnreadable(
            f"the price of {entry.get('model', '(no model)')!r} cannot be used: {error}; want model, since, input, "
            "output, cache_read, cache_write, in US dollars for a million tokens"
        ) from error
    amounts = (price.input, price.output, price.cache_read or 0.0, price.cache_write or 0.0)
    if not all(map(math.isfinite, amounts)):
        raise PricesUnreadable(
            f"the price of {price.model!r} is no number; want US dollars for a million tokens"
        )
    if min(amounts) < 0:
        raise PricesUnreadable(f"the price of {price.model!r} is below 0")
    return price
