"""From a file's text to its candidate edits: apply every rule, keep what compiles, once each."""

import ast
import warnings
from collections import defaultdict
from collections.abc import Iterator
from functools import lru_cache
from itertools import islice
from typing import NamedTuple

from agents.models.embedded.edits import calls, expressions, missing, names, statements
from agents.models.embedded.edits.change import Change, Rule
from agents.models.embedded.edits.source import Function, Source
from agents.models.embedded.tokens import LogicalLine, logical_lines

RULES: dict[str, Rule] = {
    "comparison": expressions.comparison,
    "operator": expressions.operator,
    "constant": expressions.constant,
    "off-by-one": expressions.off_by_one,
    "negation": expressions.negation,
    "name": names.name,
    "attribute": names.attribute,
    "arguments": calls.arguments,
    "builtin": calls.lookalike,
    "return": names.result,
    "guard": statements.guard,
    "statement": statements.statement,
    "missing": missing.missing,
}
"""Every kind of mistake and the rule that finds where it could be."""


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
    share: float
    """The part of its place's odds that this alternative has; above 1 where the place itself is suspicious."""
    function: str
    """Name of the innermost function around it, its class before it: `Stack.pop`; empty outside functions."""
    function_lines: tuple[int, int]
    block: tuple[int, int]
    """First and last line of the logical lines that it changes."""


class Derived(NamedTuple):
    """The candidates of a file, and its logical lines."""

    edits: tuple[Edit, ...]
    lines: tuple[LogicalLine, ...]


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
    found: dict[tuple[int, str, str], Edit] = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for kind, rule in RULES.items():
            for change, share in _shared(rule(source)):
                edit = _edit(source, layout, kind, change, share)
                if edit and (edit.line, edit.before, edit.after) not in found:
                    found[edit.line, edit.before, edit.after] = edit
        plain = text.split("\n")
        kept = tuple(edit for edit in found.values() if compiles(plain, edit))
    return Derived(kept, lines)


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


def _edit(source: Source, layout: _Layout, kind: str, change: Change, share: float) -> Edit | None:
    first, last = source.line_of(change.start), source.line_of(max(change.start, change.end - 1))
    block = (layout.blocks[first][0], layout.blocks[last][1])
    outer_begin, outer_finish = source.line_span(*block)
    if outer_finish - outer_begin > _LONGEST_BLOCK:
        return None
    begin, finish = source.line_span(first, last)
    data = source.data
    before = data[begin:finish].decode()
    after = data[begin : change.start].decode() + change.new + data[change.end : finish].decode()
    if before.strip() == after.strip() and before.split() == after.split() and kind != "statement":
        return None
    if before == after:
        return None
    start, end, function = layout.functions[first]
    last_begin = source.line_span(last, last)[0]
    return Edit(
        kind=kind,
        path=source.path,
        line=first,
        column_start=len(data[begin : change.start].decode()),
        end_line=last,
        column_end=len(data[last_begin : change.end].decode()),
        old=data[change.start : change.end].decode(),
        new=change.new,
        before=before,
        after=after,
        share=share,
        function=function,
        function_lines=(start, end),
        block=block,
    )


def replaced(lines: list[str], edit: Edit) -> str:
    """The text of the logical lines around an edit, once it is made, given all lines of the file."""
    first, last = edit.block
    return "\n".join([*lines[first - 1 : edit.line - 1], edit.after, *lines[edit.end_line : last]])


def compiles(lines: list[str], edit: Edit) -> bool:
    """Whether the changed statements are Python, looked at by themselves."""
    return _parses(replaced(lines, edit))


@lru_cache(maxsize=8192)
def _parses(code: str) -> bool:
    """Whether logical lines parse, where heads of blocks need not have a body."""
    indent = code[: len(code) - len(code.lstrip())]
    head = code.split(maxsplit=1)[0].rstrip(":") if code.strip() else ""
    opening = "if 1:\n" if indent else ""
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
