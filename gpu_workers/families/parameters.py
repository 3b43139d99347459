"""Checks of a configuration's parameters, with words that say what would be right."""

import math
from collections.abc import Collection, Mapping
from typing import Any

from contracts.datasets import Target


def fitting(family: str, target: Target, targets: Collection[Target]) -> None:
    """Raise ValueError unless the family predicts targets of this kind."""
    if target not in targets:
        raise ValueError(f"{family} predicts {' and '.join(targets)} targets, not {target}")


def known(family: str, configuration: Mapping[str, Any], defaults: Mapping[str, Any]) -> None:
    """Raise ValueError for a parameter that the family does not have."""
    for name in configuration:
        if name not in defaults:
            raise ValueError(f"{family} has no parameter {name}; it has {', '.join(defaults)}")


def number(
    family: str,
    configuration: Mapping[str, Any],
    name: str,
    low: float,
    high: float = math.inf,
    *,
    above: bool = False,
) -> None:
    """Raise ValueError unless a parameter is a finite number from `low` (or above it) to `high`."""
    value = configuration[name]
    good = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    if not good or not low <= value <= high or (above and value == low):
        limit = f"above {low:g}" if above else f"from {low:g}"
        until = "" if high == math.inf else f" to {high:g}"
        raise ValueError(f"{family}: {name} is {value!r}; it is a number {limit}{until}")


def whole(family: str, configuration: Mapping[str, Any], name: str, low: int, high: int = 1_000_000) -> None:
    """Raise ValueError unless a parameter is a whole number from `low` to `high`."""
    value = configuration[name]
    if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
        raise ValueError(f"{family}: {name} is {value!r}; it is a whole number from {low} to {high}")


def choice(family: str, configuration: Mapping[str, Any], name: str, words: Collection[Any]) -> None:
    """Raise ValueError unless a parameter is one of these words (or true and false)."""
    value = configuration[name]
    if not any(value is word or (isinstance(word, str) and value == word) for word in words):
        raise ValueError(f"{family}: {name} is {value!r}; it is one of {', '.join(map(str, words))}")
