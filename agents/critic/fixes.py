"""Which kinds of edits mend tests: read from what was replaced by what, in plain words."""

import re
from collections import Counter
from collections.abc import Sequence

from agents.critic.story import Story
from contracts.ends import common_ends
from contracts.events import Fix

_WORD = re.compile(r"[A-Za-z_]\w*|\d+(?:\.\d+)?|'[^'\n]*'|\"[^\"\n]*\"|[<>=!]=|//|\*\*|[-+*/%]=|\S")
_COMPARISONS = {"<", "<=", ">", ">=", "==", "!=", "is", "in"}
_ARITHMETIC = {"+", "-", "*", "/", "//", "%", "**", "+=", "-=", "*=", "/=", "//="}
MOST = 12
"""Kinds that an analysis reports."""


def kind_of(old: str, new: str) -> str:
    """What an edit changed: `comparison`, `operator`, `constant` … or `statement` where it is none of these."""
    before, after = _WORD.findall(old), _WORD.findall(new)
    start, end = common_ends(before, after)
    gone, come = before[start : len(before) - end], after[start : len(after) - end]
    return _kind(gone, come, before[:start], (old.count("\n"), new.count("\n"))) if gone or come else "layout"


def _kind(gone: Sequence[str], come: Sequence[str], lead: Sequence[str], breaks: tuple[int, int]) -> str:
    words = {*gone, *come}
    if breaks[0] != breaks[1] or (not gone and come[:1] == ["if"]):
        if come[:1] == ["if"] or ("if" in come and breaks[1] > breaks[0]):
            return "missing guard"
        return "missing statement" if breaks[1] > breaks[0] else "statement order"
    if words <= {"not"}:
        return "negation"
    if words <= {"and", "or"}:
        return "boolean operator"
    if words <= _COMPARISONS | {"not"} and words:
        return "comparison"
    index = _index(lead)
    if ":" in words and index is not None:
        return "slice"
    if sorted(gone) == sorted(come):
        return "argument order"
    if {*gone, *come} <= {"+", "-", "1"} and "1" in words:
        return "off-by-one"
    if words <= _ARITHMETIC:
        return "operator"
    if len(gone) == len(come) == 1:
        return _single(gone[0], come[0], lead)
    if index is not None and ":" in index:
        return "slice"
    if lead[:1] == ["return"] or "return" in words:
        return "return value"
    return "statement"


def _index(lead: Sequence[str]) -> Sequence[str] | None:
    """What stands between an edit and the bracket that it is in; None where it is in none."""
    for at in range(len(lead) - 1, -1, -1):
        if lead[at] in "[]":
            return lead[at + 1 :] if lead[at] == "[" else None
    return None


def _single(gone: str, come: str, lead: Sequence[str]) -> str:
    if gone[0].isdigit() and come[0].isdigit():
        return "constant"
    if gone[0] in "'\"" or come[0] in "'\"" or {gone, come} & {"True", "False", "None"}:
        return "constant"
    if lead[-1:] == ["."]:
        return "attribute"
    return "wrong name" if gone.isidentifier() and come.isidentifier() else "statement"


def fixes(stories: Sequence[Story]) -> tuple[Fix, ...]:
    """How often each kind of edit was tried, and how often it made failing tests pass; the best first."""
    tried: Counter[str] = Counter()
    helped: Counter[str] = Counter()
    for story in stories:
        for attempt in story.attempts:
            if attempt.tested:
                kind = kind_of(attempt.old, attempt.new)
                tried[kind] += 1
                helped[kind] += attempt.mends
    ranked = sorted(tried, key=lambda kind: (-helped[kind], -tried[kind], kind))
    return tuple(Fix(kind=kind, count=helped[kind], tried=tried[kind]) for kind in ranked[:MOST])
