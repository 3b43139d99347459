"""A change: what one rule of the edit grammar yields."""

from collections.abc import Callable, Iterator
from typing import NamedTuple

from agents.models.embedded.edits.source import Source


class Change(NamedTuple):
    """Replace the bytes from `start` to `end` by a text.

    Changes of one kind that share a `site` are alternatives: they share the odds of that place. `weight` is
    the share of this one relative to the others, whose sum need not be 1; above 1 it adds to the odds of the
    place itself.
    """

    start: int
    end: int
    new: str
    site: tuple[int, int]
    weight: float = 1.0


Rule = Callable[[Source], Iterator[Change]]
