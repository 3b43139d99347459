"""Whole lines: what the rules for statements share. Their changes replace full lines by full lines."""

import ast
from collections.abc import Sequence

from agents.models.embedded.edits.change import Change
from agents.models.embedded.edits.source import Source

SIMPLE = (ast.Assign, ast.AugAssign, ast.AnnAssign, ast.Expr, ast.Delete)
LEAVING = (ast.Return, ast.Raise, ast.Continue, ast.Break)
LOOPS = (ast.For, ast.AsyncFor, ast.While)
TALLEST = 6
"""Lines that a change of whole statements may span."""


def last_line(node: ast.stmt) -> int:
    """The line on which a statement ends."""
    return node.end_lineno or node.lineno


def text(source: Source, first: int, last: int) -> str:
    """Full lines from one number to another."""
    start, end = source.line_span(first, last)
    return source.data[start:end].decode()


def indent(source: Source, node: ast.stmt) -> str:
    """The blanks before a statement that begins its line."""
    line = text(source, node.lineno, node.lineno)
    return line[: len(line) - len(line.lstrip())]


def stands_alone(source: Source, node: ast.stmt) -> bool:
    """Whether a statement begins its first line and nothing but a comment follows it on its last one."""
    start, end = source.line_span(node.lineno, last_line(node))
    own_start, own_end = source.span(node)
    before, after = source.data[start:own_start], source.data[own_end:end].split(b"#")[0]
    return not before.strip() and not after.strip() and not getattr(node, "decorator_list", None)


def is_docstring(node: ast.stmt) -> bool:
    """Whether a statement is nothing but a constant, as docstrings are."""
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


def without_docstring(body: Sequence[ast.stmt]) -> Sequence[ast.stmt]:
    """The statements of a body but for its docstring."""
    return body[1:] if is_docstring(body[0]) else body


def insertion(
    source: Source, node: ast.stmt, lines: Sequence[str], weight: float, *, behind: bool = False
) -> Change:
    """Put lines before a statement that stands alone, or behind it; they are indented as it is."""
    blanks = indent(source, node)
    line = last_line(node) if behind else node.lineno
    start, end = source.line_span(line, line)
    new, kept = "\n".join(blanks + added for added in lines), source.data[start:end].decode()
    site = (end, end) if behind else (start, start)
    return Change(start, end, f"{kept}\n{new}" if behind else f"{new}\n{kept}", site, weight)


def removal(
    source: Source, body: Sequence[ast.stmt], index: int, weight: float, *, upto: int = 0
) -> Change | None:
    """Take a statement out of its block, or those up to another; a neighbouring line stays as an anchor."""
    node, final = body[index], body[max(index, upto)]
    if not (stands_alone(source, node) and stands_alone(source, final)):
        return None
    first, last = node.lineno, last_line(final)
    behind = max(index, upto) + 1
    if behind < len(body):
        following = body[behind].lineno
        start, end = source.line_span(first, following)
        new = text(source, last + 1, following)
    elif index:
        previous = last_line(body[index - 1])
        start, end = source.line_span(previous, last)
        new = text(source, previous, first - 1)
    else:
        start, end = source.line_span(first, last)
        new = indent(source, node) + "pass"
    return Change(start, end, new, source.line_span(first, last), weight)


def leaves_loop(node: ast.stmt) -> bool:
    """Whether a statement is, or holds, a `break` or a `continue`."""
    return any(isinstance(inner, (ast.Break, ast.Continue)) for inner in ast.walk(node))


def moved(source: Source, first: int, last: int, by: int) -> str:
    """Lines with more or fewer blanks before them; what a text over several lines holds would move as well."""
    lines = text(source, first, last).split("\n")
    shifted = [" " * by + line if by > 0 else line[-by:] for line in lines]
    return "\n".join(new if old.strip() else old for old, new in zip(lines, shifted, strict=True))
