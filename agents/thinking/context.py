"""Fitting what a model shall know into a budget of tokens.

Sections come in a fixed order: those that stay the same from call to call first, so that a provider's prefix cache
finds them, what changes last. The budget is handed out by priority instead. What had to be cut is said at the end.
"""

from collections.abc import Sequence
from typing import Literal

from contracts.chat import estimate_tokens
from contracts.record import Record

LEAST = 40
"""Tokens below which a part of a section says nothing."""


class Section(Record):
    """A part of a context."""

    title: str
    text: str
    priority: int = 0
    """Those with the highest get their tokens first; of equals the earlier one."""
    stable: bool = False
    """Whether it stays the same while the harness does."""
    keep: Literal["beginning", "end", "whole"] = "beginning"
    """What is kept of it where not all fits; `whole`: all or nothing."""


def build(sections: Sequence[Section], budget: int) -> str:
    """The sections as markdown, within so many tokens (by `estimate_tokens`)."""
    left = budget - estimate_tokens(_left_out(sections, {}))
    shown: dict[int, str] = {}
    for at in sorted(range(len(sections)), key=lambda at: (-sections[at].priority, at)):
        section = sections[at]
        text = section.text.strip("\n")
        if not text:
            continue
        room = left - estimate_tokens(_headed(section, ""))
        if estimate_tokens(text) > room:
            text = _cut(text, room, section.keep)
        if text:
            shown[at] = text
            left -= estimate_tokens(_headed(section, text))
    order = sorted(shown, key=lambda at: (not sections[at].stable, at))
    parts = [_headed(sections[at], shown[at]).rstrip("\n") for at in order]
    said = _left_out(sections, shown)
    return "\n\n".join([*parts, said] if said else parts)


def _headed(section: Section, text: str) -> str:
    return f"## {section.title}\n\n{text}\n\n"


def _cut(text: str, room: int, keep: str) -> str:
    """As many whole lines from one end of a text as there is room for."""
    if keep == "whole" or room < LEAST:
        return ""
    lines = text.split("\n")
    kept: list[str] = []
    for line in lines if keep == "beginning" else reversed(lines):
        if estimate_tokens("\n".join([*kept, line, "…"])) > room:
            break
        kept.append(line)
    if not kept:
        return ""
    return "\n".join([*kept, "…"] if keep == "beginning" else ["…", *reversed(kept)])


def _left_out(sections: Sequence[Section], shown: dict[int, str]) -> str:
    """Which sections are not there, or not whole. With nothing shown: the longest that this can become."""
    told = []
    for at, section in enumerate(sections):
        text = section.text.strip("\n")
        if text and shown.get(at) != text:
            part = "its beginning is" if section.keep == "beginning" else "its end is"
            told.append(
                f"- {section.title}: {part if at in shown or not shown else 'nothing of it is'} shown"
            )
    if not told:
        return ""
    return "\n".join(["## Left out for want of room", "", *told])
