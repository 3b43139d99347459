"""The rule for a missing statement: one that stands elsewhere in the function or its class belongs here."""

import ast
from collections.abc import Iterable, Iterator
from itertools import chain, islice

from agents.models.embedded.edits.change import Change
from agents.models.embedded.edits.source import Function, Source, stored

_MOST = 12
"""Statements that are tried at one place; those of the same function come first."""
_LONGEST = 60
_LOOKED_AT = 60
"""Characters of such a statement, and statements that are looked at for one function."""


def missing(source: Source) -> Iterator[Change]:
    """Repeat a short statement of the same function or class behind, or before, another statement."""
    for place in source.places:
        node = place.node
        if not isinstance(node, Function):
            continue
        siblings = place.owner.body if place.owner else []
        others = (s for f in siblings if isinstance(f, Function) and f is not node for s in _short(f))
        tried = islice(chain(_short(node), others), _LOOKED_AT)
        known = _distinct(source, tried, set(source.functions[node]))
        for body in _bodies(node):
            there = {source.code(statement) for statement in body}
            absent = [(code, statement) for code, statement in known if code not in there]
            for statement in body:
                yield from _around(source, statement, absent, last=statement is body[-1])


def _short(function: Function) -> list[ast.stmt]:
    """Statements of a function that would make sense a second time: assignments and calls, on one line."""
    return [
        node
        for node in ast.walk(function)
        if isinstance(node, (ast.Assign, ast.AugAssign, ast.Expr))
        and node.lineno == node.end_lineno
        and (node.end_col_offset or 0) - node.col_offset <= _LONGEST
        and not (isinstance(node, ast.Expr) and not isinstance(node.value, ast.Call))
    ]


def _distinct(
    source: Source, statements: Iterable[ast.stmt], visible: set[str]
) -> list[tuple[str, ast.stmt]]:
    """Different texts of statements all of whose names mean something here."""
    found: dict[str, ast.stmt] = {}
    for statement in statements:
        read = {n.id for n in ast.walk(statement) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Load)}
        known = source.globals | visible
        targets = stored(statement.targets) if isinstance(statement, ast.Assign) else []
        if read <= known and set(targets) <= visible | read:
            found.setdefault(source.code(statement), statement)
        if len(found) == _MOST:
            break
    return list(found.items())


def _bodies(function: Function) -> Iterator[list[ast.stmt]]:
    for node in ast.walk(function):
        for name in ("body", "orelse", "finalbody"):
            body = getattr(node, name, None)
            if isinstance(body, list) and body and (node is function or not isinstance(node, Function)):
                yield body


def _around(
    source: Source, at: ast.stmt, known: list[tuple[str, ast.stmt]], *, last: bool
) -> Iterator[Change]:
    """Behind a simple statement, or before one that leaves the block or opens another."""
    if isinstance(at, ast.Expr) and isinstance(at.value, ast.Constant):
        return
    simple = isinstance(at, (ast.Assign, ast.AugAssign, ast.Expr))
    if not simple and not (isinstance(at, ast.Return) and last):
        return
    start, end = source.line_span(at.lineno, at.end_lineno or at.lineno)
    text = source.data[start:end].decode()
    indent = text[: len(text) - len(text.lstrip())]
    if len(indent.encode()) != at.col_offset:
        return
    for code, statement in known:
        if statement is not at and code not in text:
            new = f"{text}\n{indent}{code}" if simple else f"{indent}{code}\n{text}"
            yield Change(start, end, new, (start, end))
