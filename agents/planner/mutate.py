"""Syntax-tree mutations of the scaffold: small changes of its code, most of them useless or harmful, as in nature.

Every mutation is a replacement of whole lines in one file, so that it can be shown as a diff, applied exactly, and
taken back.
"""

import ast
import random
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from typing import NamedTuple

from agents.planner.draft import Draft, is_run, surface_of
from contracts.ends import common_ends

_COMPARISONS: dict[type[ast.cmpop], tuple[type[ast.cmpop], ...]] = {
    ast.Lt: (ast.LtE, ast.Gt),
    ast.LtE: (ast.Lt, ast.GtE),
    ast.Gt: (ast.GtE, ast.Lt),
    ast.GtE: (ast.Gt, ast.LtE),
    ast.Eq: (ast.NotEq,),
    ast.NotEq: (ast.Eq,),
    ast.Is: (ast.IsNot,),
    ast.IsNot: (ast.Is,),
    ast.In: (ast.NotIn,),
    ast.NotIn: (ast.In,),
}
_SIMPLE = (ast.Expr, ast.Assign, ast.AugAssign, ast.Return, ast.Break, ast.Continue)


Attributes = Mapping[tuple[str, bool], list[str]]
"""Name → its attributes; those that are called (True) and those that are not."""


class Mutation(NamedTuple):
    """Lines of a file and what takes their place."""

    kind: str
    path: str
    function: str
    line: int
    """Of the first of the lines, from 1."""
    old: str
    new: str


def mutations(tree: Mapping[str, bytes], *, tools: bool = False) -> list[Draft]:
    """Every mutation of every Python file of a harness that runs, for a model with or without tools, as drafts."""
    found: list[Draft] = []
    for path, data in sorted(tree.items()):
        if is_run(path, tools=tools):
            found += _mutated(path, data)
    return found


def sample(drafts: Sequence[Draft], count: int, rng: random.Random) -> list[Draft]:
    """Some mutations, of every kind as many as of any other: the kinds with most places do not crowd out the rest."""
    kinds: dict[str, list[Draft]] = {}
    for draft in drafts:
        kinds.setdefault(draft.arms[0], []).append(draft)
    return [rng.choice(kinds[rng.choice(sorted(kinds))]) for _ in range(count if kinds else 0)]


def _draft(m: Mutation) -> Draft:
    return Draft(
        surface=surface_of(m.path),
        operator="mutate",
        arms=(f"mutate:{m.kind}", f"code:{m.path}:{m.function}", f"mutate:{m.kind}@{m.function}"),
        change={"path": m.path, "line": m.line, "old": m.old, "new": m.new},
        title=f"{m.path}:{m.line}, {m.kind}: {_short(m.old, m.new)} → {_short(m.new, m.old) or 'nothing'}",
    )


def _short(text: str, other: str) -> str:
    """The words of a text that another one does not begin or end with, and one word on either side."""
    ours, theirs = text.split(), other.split()
    start, end = common_ends(ours, theirs)
    return " ".join(ours[max(0, start - 1) : len(ours) - max(0, end - 1)])[:70]


@lru_cache(maxsize=64)
def _mutated(path: str, data: bytes) -> tuple[Draft, ...]:
    try:
        text = data.decode()
        module = ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return ()
    lines = text.split("\n")
    attributes = _attributes(module)
    found: dict[tuple[int, str], Mutation] = {}
    for function, body in _bodies(module):
        for kind, first, last, new in _of_body(body, lines, attributes):
            old = "\n".join(lines[first - 1 : last])
            if new != old:
                found.setdefault((first, new), Mutation(kind, path, function, first, old, new))
    return tuple(_draft(mutation) for mutation in found.values())


def _bodies(module: ast.Module) -> Iterator[tuple[str, list[ast.stmt]]]:
    """Every block of statements within a function, with the function's name."""
    for function in (n for n in ast.walk(module) if isinstance(n, ast.FunctionDef)):
        for node in ast.walk(function):
            for name in ("body", "orelse"):
                block = getattr(node, name, None)
                if isinstance(block, list) and block and isinstance(block[0], ast.stmt):
                    yield function.name, [s for s in block if not _is_docstring(s)]


def _is_docstring(node: ast.stmt) -> bool:
    return (
        isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
    )


def _of_body(
    body: list[ast.stmt], lines: list[str], attributes: Attributes
) -> Iterator[tuple[str, int, int, str]]:
    """(kind, first line, last line, what they become) for the statements of one block."""
    for index, statement in enumerate(body):
        called = {id(node.func) for node in ast.walk(statement) if isinstance(node, ast.Call)}
        first, last = statement.lineno, statement.end_lineno or statement.lineno
        text = "\n".join(lines[first - 1 : last])
        indent = " " * statement.col_offset
        if isinstance(statement, _SIMPLE):
            yield "delete", first, last, "" if len(body) > 1 else f"{indent}pass"
            yield "double", first, last, f"{text}\n{text}"
        if isinstance(statement, ast.If) and not statement.orelse:
            inner = "\n".join(
                indent + line[statement.body[0].col_offset :]
                for line in lines[statement.body[0].lineno - 1 : last]
            )
            yield "always", first, last, inner
        if index + 1 < len(body):
            after = body[index + 1]
            end = after.end_lineno or after.lineno
            if isinstance(statement, _SIMPLE) and isinstance(after, _SIMPLE):
                swapped = (
                    lines[after.lineno - 1 : end] + lines[last : after.lineno - 1] + lines[first - 1 : last]
                )
                yield "swap", first, end, "\n".join(swapped)
        for node in _own_expressions(statement):
            if node.lineno != node.end_lineno:
                continue
            line = lines[node.lineno - 1]
            before, behind = (
                line.encode()[: node.col_offset].decode(),
                line.encode()[node.end_col_offset :].decode(),
            )
            for kind, new in _of_expression(node, attributes, called=id(node) in called):
                yield kind, node.lineno, node.lineno, before + new + behind


def _own_expressions(statement: ast.stmt) -> Iterator[ast.expr]:
    """The expressions of a statement, those of statements inside it left out, f-strings too."""
    waiting: list[ast.AST] = [statement]
    while waiting:
        node = waiting.pop()
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.stmt | ast.JoinedStr):
                continue
            if isinstance(child, ast.expr):
                yield child
            waiting.append(child)


def _of_expression(node: ast.expr, attributes: Attributes, *, called: bool) -> Iterator[tuple[str, str]]:
    if isinstance(node, ast.Constant) and isinstance(node.value, bool):
        yield "constant", repr(not node.value)
    elif isinstance(node, ast.Constant) and isinstance(node.value, int):
        for value in (node.value + 1, node.value - 1, node.value * 2):
            yield "constant", repr(value)
    elif isinstance(node, ast.Constant) and isinstance(node.value, float):
        for factor in (0.5, 2.0):
            yield "constant", repr(round(node.value * factor, 4))
    elif isinstance(node, ast.Compare) and len(node.ops) == 1:
        for other in _COMPARISONS.get(type(node.ops[0]), ()):
            yield "comparison", ast.unparse(ast.Compare(node.left, [other()], node.comparators))
    elif isinstance(node, ast.BoolOp):
        flipped = ast.Or() if isinstance(node.op, ast.And) else ast.And()
        yield "boolean", ast.unparse(ast.BoolOp(flipped, node.values))
        for operand in node.values:
            yield "operand", ast.unparse(operand)
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
        yield "negation", ast.unparse(node.operand)
    elif (
        isinstance(node, ast.Attribute)
        and isinstance(node.value, ast.Name)
        and isinstance(node.ctx, ast.Load)
    ):
        for name in attributes.get((node.value.id, called), ()):
            if name != node.attr:
                yield "attribute", f"{node.value.id}.{name}"


def _attributes(module: ast.Module) -> dict[tuple[str, bool], list[str]]:
    """Attributes that a file reads of each name: what one of them could be mistaken for."""
    found: dict[tuple[str, bool], set[str]] = {}
    called = {id(node.func) for node in ast.walk(module) if isinstance(node, ast.Call)}
    for node in ast.walk(module):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            found.setdefault((node.value.id, id(node) in called), set()).add(node.attr)
    return {key: sorted(names) for key, names in found.items()}
