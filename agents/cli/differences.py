"""Which settings of two campaigns differ, for whoever gives another command than the one before."""

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from contracts.settings import CampaignSettings

MOST = 6
"""Differences that are told."""


def differences(then: CampaignSettings, now: CampaignSettings) -> list[str]:
    """Each setting that differs, as `models.planner (nothing then, openai:x@http://a now)`."""
    before, after = (dict(_leaves(msgspec.to_builtins(each))) for each in (then, now))
    return [
        f"{name} ({_shown(before.get(name))} then, {_shown(after.get(name))} now)"
        for name in sorted(before.keys() | after.keys())
        if before.get(name) != after.get(name)
    ]


def listed(found: list[str]) -> str:
    """Differences in a sentence."""
    more = len(found) - MOST
    return ", ".join([*found[:MOST], *([f"and {more} more"] if more > 0 else [])])


def _leaves(value: Mapping[str, Any], path: str = "") -> Iterator[tuple[str, Any]]:
    for name, inner in value.items():
        if isinstance(inner, Mapping):
            yield from _leaves(inner, f"{path}{name}.")
        else:
            yield f"{path}{name}", inner


def _shown(value: Any) -> str:
    if isinstance(value, list | tuple):
        return " ".join(map(str, value)) or "nothing"
    return "nothing" if value in ("", None) else str(value)
