"""Rules for whole statements: guards, order, place and repetition."""

import ast
from collections.abc import Iterator
from itertools import pairwise

from agents.models.embedded.edits.change import Change
from agents.models.embedded.edits.source import Function, Source, parameters

_SIMPLE = (ast.Assign, ast.AugAssign, ast.Expr, ast.AnnAssign)
_LEAVING = (ast.Return, ast.Continue, ast.Raise, ast.Break)


def _lines(source: Source, first: ast.stmt, last: ast.stmt) -> tuple[int, int]:
    return source.line_span(first.lineno, last.end_lineno or last.lineno)


def _text(source: Source, first: ast.stmt, last: ast.stmt) -> str:
    start, end = _lines(source, first, last)
    return source.data[start:end].decode()


def _own_line(source: Source, node: ast.stmt) -> bool:
    """Whether nothing else stands on the lines of a statement."""
    start, end = source.line_span(node.lineno, node.end_lineno or node.lineno)
    before = source.data[start : source.span(node)[0]]
    after = source.data[source.span(node)[1] : end].split(b"#")[0]
    return not before.strip() and not after.strip()


def guard(source: Source) -> Iterator[Change]:
    """Add a guard at the head of a function or a loop, drop one, or drop or tighten a condition."""
    for place in source.places:
        node = place.node
        if isinstance(node, Function) and node.name != "__init__":
            yield from _entrance(source, node)
        elif isinstance(node, (ast.For, ast.AsyncFor)) and isinstance(node.target, ast.Name):
            inner = node.body[0]
            if inner.lineno > node.lineno:
                yield from _before(source, inner, [(f"if not {node.target.id}:", "continue", 1.0)])
        elif isinstance(node, (ast.If, ast.While, ast.IfExp)):
            yield from _condition(source, node.test)
    for _, body in source.bodies():
        for node, following in pairwise(body):
            leaves = isinstance(node, ast.If) and not node.orelse and len(node.body) == 1
            if leaves and isinstance(node, ast.If) and isinstance(node.body[0], _LEAVING):
                span = _lines(source, node, following)
                yield Change(*span, _text(source, following, following), span, 0.4)


def _entrance(source: Source, node: Function) -> Iterator[Change]:
    """Guards on the parameters, returning what the function's other returns hint at."""
    body = node.body
    docstring = isinstance(body[0], ast.Expr) and isinstance(body[0].value, ast.Constant)
    if docstring and len(body) > 1:
        body = body[1:]
    first = body[0]
    values = {"None": 1.0, "[]": 0.3, "0": 0.5, "False": 0.3, '""': 0.2}
    for inner in ast.walk(node):
        if isinstance(inner, ast.Return) and inner.value is not None:
            if isinstance(inner.value, (ast.Constant, ast.List, ast.Dict, ast.Tuple)):
                text = source.code(inner.value)
                if len(text) < 20:
                    values[text] = max(values.get(text, 0), 1.0)
        elif isinstance(inner, ast.Div):
            values["0.0"] = 0.5
    names = [name for name in parameters(node) if name not in ("self", "cls")][:3]
    guards = [(f"if not {n}:", f"return {v}", w) for n in names for v, w in values.items()]
    if first.lineno > node.lineno:
        yield from _before(source, first, guards)


def _before(source: Source, node: ast.stmt, guards: list[tuple[str, str, float]]) -> Iterator[Change]:
    """Put a guard before a statement; the whole first line of the statement is what the change replaces."""
    if not _own_line(source, node) or getattr(node, "decorator_list", None):
        return
    start, end = source.line_span(node.lineno, node.lineno)
    line = source.data[start:end].decode()
    indent = line[: len(line) - len(line.lstrip())]
    for head, leave, weight in guards:
        yield Change(start, end, f"{indent}{head}\n{indent}    {leave}\n{line}", (start, end), weight)


def _condition(source: Source, test: ast.expr) -> Iterator[Change]:
    span = source.span(test)
    if isinstance(test, ast.BoolOp) and len(test.values) == 2:
        for value in test.values:
            yield Change(*span, source.code(value), span, 0.5)
    elif isinstance(test, (ast.Name, ast.Attribute)):
        text = source.code(test)
        yield Change(*span, f"{text} is not None", span, 0.7)
        yield Change(*span, f"{text} is None", span, 0.3)
    elif isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not):
        yield Change(*span, f"{source.code(test.operand)} is None", span, 0.5)
    elif isinstance(test, ast.Compare) and isinstance(test.ops[0], (ast.Is, ast.IsNot)):
        text = source.code(test.left)
        yield Change(*span, text if isinstance(test.ops[0], ast.IsNot) else f"not {text}", span, 0.5)


def statement(source: Source) -> Iterator[Change]:
    """Swap two statements, drop one, move one across the end of its block, or leave a loop the other way."""
    for place, body in source.bodies():
        for node, following in pairwise(body):
            if not (_own_line(source, node) and _own_line(source, following)):
                continue
            span = _lines(source, node, following)
            first, second = _text(source, node, node), _text(source, following, following)
            if first == second and isinstance(node, _SIMPLE):
                yield Change(*span, first, span, 8.0)
                continue
            if isinstance(node, _SIMPLE) and isinstance(following, _SIMPLE) and not _is_docstring(node):
                yield Change(*span, f"{second}\n{first}", span, 1.0)
            if isinstance(node, _SIMPLE) and not _is_docstring(node):
                yield Change(*span, second, span, 0.15)
            yield from _into_block(source, node, following)
        if isinstance(place.node, (ast.For, ast.While, ast.If)) and len(body) > 1:
            yield from _out_of_block(source, place.node, body)
    for place in source.places:
        if isinstance(place.node, (ast.Break, ast.Continue)):
            span = source.span(place.node)
            other = "continue" if isinstance(place.node, ast.Break) else "break"
            yield Change(*span, other, span, 1.5)


def _is_docstring(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


def _into_block(source: Source, node: ast.stmt, following: ast.stmt) -> Iterator[Change]:
    """Move the statement that follows a block into it."""
    if not isinstance(node, (ast.For, ast.While, ast.If)) or not isinstance(
        following, (*_SIMPLE, ast.Return)
    ):
        return
    last = (node.orelse or node.body)[-1]
    if following.lineno != following.end_lineno or last.col_offset <= following.col_offset:
        return
    start, end = source.line_span(following.lineno, following.lineno)
    moved = " " * last.col_offset + source.data[start:end].decode().lstrip()
    yield Change(start, end, moved, (start, end), 0.5)


def _out_of_block(source: Source, block: ast.stmt, body: list[ast.stmt]) -> Iterator[Change]:
    """Move the last statement of a block behind it."""
    last = body[-1]
    alone = _own_line(source, last) and last.lineno == last.end_lineno
    if not alone or last.end_lineno != block.end_lineno or not isinstance(last, (*_SIMPLE, ast.Return)):
        return
    start, end = source.line_span(last.lineno, last.lineno)
    moved = " " * block.col_offset + source.data[start:end].decode().lstrip()
    yield Change(start, end, moved, (start, end), 0.7)
