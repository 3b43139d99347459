"""From a file's text to its candidate edits: apply every rule, keep what compiles, once each."""

import ast
import warnings
from collections import defaultdict
from collections.abc import Iterator
from functools import lru_cache
from itertools import islice
from typing import NamedTuple

from agents.models.embedded.edits import (
    beginnings,
    bounds,
    branches,
    calls,
    conditions,
    exceptions,
    guards,
    missing,
    names,
    operators,
    recursion,
    statements,
    values,
)
from agents.models.embedded.edits.change import Change, Rule
from agents.models.embedded.edits.source import Function, Source
from agents.models.embedded.tokens import LogicalLine, logical_lines
from contracts.ends import common_ends

RULES: dict[str, Rule] = {
    "comparison": operators.comparison,
    "operator": operators.operator,
    "boolean operator": operators.boolean_operator,
    "negation": operators.negation,
    "constant": bounds.constant,
    "off-by-one": bounds.off_by_one,
    "slice": bounds.slice_bounds,
    "name": names.name,
    "attribute": names.attribute,
    "arguments": calls.arguments,
    "wrong call": calls.wrong_call,
    "return": values.result,
    "initial value": beginnings.initial_value,
    "mutable default": beginnings.mutable_default,
    "missing guard": guards.missing_guard,
    "wrong guard": conditions.wrong_guard,
    "base case": recursion.base_case,
    "swapped branches": branches.swapped_branches,
    "exception": exceptions.exception,
    "moved statement": statements.moved_statement,
    "doubled statement": statements.doubled_statement,
    "extra statement": statements.extra_statement,
    "missing statement": missing.missing_statement,
}
"""Every kind of mistake and the rule that finds where it could be. An edit that several find is named for the first."""

LONGEST = 60_000
"""Characters of a file beyond which nothing in it is proposed: some 1,500 lines."""
_LONGEST_BLOCK = 2_000
"""Characters of logical lines beyond which they are left alone."""
_MOST_CHANGES = 3_000
"""Changes that one rule may yield for a file. These three bound the time that any text can cost."""


class Edit(NamedTuple):
    """A candidate edit: a span of the text and what replaces it, and the same as whole lines."""

    kind: str
    path: str
    line: int
    column_start: int
    end_line: int
    column_end: int
    """Lines count from 1, columns are characters from 0."""
    old: str
    new: str
    before: str
    """All lines that the span touches, as they are."""
    after: str
    """The lines that take their place."""
    shares: tuple[tuple[str, float], ...]
    """For each kind whose rule finds it, the part of the place's odds that this alternative has; above 1 where
    the place itself is suspicious."""
    function: str
    """Name of the innermost function around it, its class before it: `Stack.pop`; empty outside functions."""
    function_lines: tuple[int, int]
    block: tuple[int, int]
    """First and last line of the logical lines that it changes."""


class Derived(NamedTuple):
    """The candidates of a file, and its logical lines."""

    edits: tuple[Edit, ...]
    lines: tuple[LogicalLine, ...]


_Key = tuple[int, str, str]


class _Layout(NamedTuple):
    """Where the logical lines and the functions of a file are."""

    blocks: list[tuple[int, int]]
    functions: list[tuple[int, int, str]]
    """For every line from 1, the innermost function that it is in: first line, last line, name."""


def is_solution_code(path: str) -> bool:
    """Whether a path is code that may be repaired: Python, and no test."""
    folders, _, name = path.rpartition("/")
    is_test = name.startswith("test_") or name == "conftest.py" or "tests" in folders.split("/")
    return name.endswith(".py") and not is_test


@lru_cache(maxsize=64)
def derive(path: str, text: str) -> Derived:
    """All candidate edits of a file, in the order of rules and positions. Empty for what is not Python."""
    text = text.replace("\r\n", "\n")
    if not is_solution_code(path) or len(text) > LONGEST:
        return Derived((), ())
    lines = tuple(logical_lines(text))
    try:
        source = Source(path, text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return Derived((), lines)
    total = text.count("\n") + 1
    layout = _Layout(_blocks(lines, total), _surroundings(source, total))
    found: dict[_Key, Edit] = {}
    shares: defaultdict[_Key, dict[str, float]] = defaultdict(dict)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for kind, rule in RULES.items():
            for change, share in _shared(rule(source)):
                edit = _edit(source, layout, kind, change)
                if edit:
                    key = _key(edit)
                    found.setdefault(key, edit)
                    shares[key][kind] = max(share, shares[key].get(kind, 0.0))
        plain = text.split("\n")
        kept = [(key, edit) for key, edit in found.items() if compiles(plain, edit)]
    return Derived(tuple(edit._replace(shares=tuple(shares[key].items())) for key, edit in kept), lines)


def _key(edit: Edit) -> _Key:
    """What an edit takes away and puts there, equal for edits that differ in the lines that they merely repeat."""
    if edit.line == edit.end_line and "\n" not in edit.after:
        return edit.line, edit.before, edit.after
    old, new = edit.before.split("\n"), edit.after.split("\n")
    start, end = common_ends(old, new)
    return edit.line + start, "\n".join(old[start : len(old) - end]), "\n".join(new[start : len(new) - end])


def _shared(changes: Iterator[Change]) -> Iterator[tuple[Change, float]]:
    """Every change with its share of the odds of its place, which all alternatives there divide."""
    every = list(islice(changes, _MOST_CHANGES))
    sites: defaultdict[tuple[int, int], float] = defaultdict(float)
    for change in every:
        sites[change.site] += min(1.0, change.weight)
    for change in every:
        yield change, change.weight / max(1.0, sites[change.site])


def _blocks(lines: tuple[LogicalLine, ...], total: int) -> list[tuple[int, int]]:
    """For every line from 1, the first and last line of the logical line that it is part of."""
    blocks = [(line, line) for line in range(total + 1)]
    for logical in lines:
        for line in range(logical.first, logical.last + 1):
            blocks[line] = (logical.first, logical.last)
    return blocks


def _surroundings(source: Source, total: int) -> list[tuple[int, int, str]]:
    """For every line from 1, the innermost function that it is in; outer functions come first in the tree."""
    found = [(0, 0, "")] * (total + 1)
    for place in source.places:
        node = place.node
        if isinstance(node, Function):
            last = node.end_lineno or node.lineno
            name = f"{place.owner.name}.{node.name}" if place.owner else node.name
            found[node.lineno : last + 1] = [(node.lineno, last, name)] * (last + 1 - node.lineno)
    return found


def _edit(source: Source, layout: _Layout, kind: str, change: Change) -> Edit | None:
    first, last = source.line_of(change.start), source.line_of(max(change.start, change.end - 1))
    block = (layout.blocks[first][0], layout.blocks[last][1])
    outer_begin, outer_finish = source.line_span(*block)
    if outer_finish - outer_begin > _LONGEST_BLOCK:
        return None
    begin, finish = source.line_span(first, last)
    before = source.cut(begin, finish)
    after = source.cut(begin, change.start) + change.new + source.cut(change.end, finish)
    if before == after or _breaks_text(source, change):
        return None
    start, end, function = layout.functions[first]
    last_begin = source.line_span(last, last)[0]
    return Edit(
        kind=kind,
        path=source.path,
        line=first,
        column_start=len(source.cut(begin, change.start)),
        end_line=last,
        column_end=len(source.cut(last_begin, change.end)),
        old=source.cut(change.start, change.end),
        new=change.new,
        before=before,
        after=after,
        shares=(),
        function=function,
        function_lines=(start, end),
        block=block,
    )


def _breaks_text(source: Source, change: Change) -> bool:
    """Whether a change within an f-string puts there what not every Python reads within one."""
    within = any(start < change.start and change.end < end for start, end in source.texts)
    return within and any(sign in change.new for sign in "'\"\\#\n{}")


def replaced(lines: list[str], edit: Edit) -> str:
    """The text of the logical lines around an edit, once it is made, given all lines of the file."""
    first, last = edit.block
    return "\n".join([*lines[first - 1 : edit.line - 1], edit.after, *lines[edit.end_line : last]])


def compiles(lines: list[str], edit: Edit) -> bool:
    """Whether the changed statements are Python, looked at by themselves."""
    return _parses(replaced(lines, edit))


@lru_cache(maxsize=65536)
def _parses(code: str) -> bool:
    """Whether logical lines parse, where heads of blocks need not have a body."""
    indent = code[: len(code) - len(code.lstrip())]
    head = code.split(maxsplit=1)[0].rstrip(":") if code.strip() else ""
    lowest = min((line.indent for line in logical_lines(code)), default=0) if "\n" in code else len(indent)
    opening = "if 1:\n" if lowest else ""
    if lowest < len(indent):  # the code begins in a deeper block than it ends in
        opening += "".join(f"{' ' * column}if 1:\n" for column in _steps(code, lowest, len(indent)))
    if head in ("elif", "else"):
        opening += f"{indent}if 1: pass\n"
    elif head in ("except", "finally"):
        opening += f"{indent}try: pass\n"
    elif head == "case":
        return True
    elif head.startswith("@"):
        code += f"\n{indent}def f(): pass"
    if code.rstrip().endswith(":"):
        code += " pass"
    try:
        ast.parse(opening + code)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    return True


def _steps(code: str, lowest: int, first: int) -> list[int]:
    """The indents of the blocks around the first line of a text that the text itself leaves."""
    return sorted({line.indent for line in logical_lines(code) if lowest <= line.indent < first})
