"""Rules for whole statements: one at the wrong place, one that stands twice, one that should not be there."""

import ast
from collections.abc import Iterator, Sequence
from itertools import pairwise

from agents.models.embedded.edits import blocks
from agents.models.embedded.edits.blocks import LEAVING, LOOPS, SIMPLE
from agents.models.embedded.edits.change import Change
from agents.models.embedded.edits.source import Function, Place, Source

_HOLDING = (*LOOPS, ast.If, ast.With, ast.Try)
_MOVABLE = (*SIMPLE, ast.Return, ast.Raise, ast.If)


def moved_statement(source: Source) -> Iterator[Change]:
    """A statement one place up or down, or one or more blocks further in or out."""
    for place, body in source.bodies:
        alone = [blocks.stands_alone(source, node) for node in body]
        for number, (node, following) in enumerate(pairwise(body)):
            if alone[number] and alone[number + 1] and not blocks.is_docstring(node):
                yield from _swapped(source, node, following)
                yield from _into_head(source, node, following)
                yield from _into_end(source, node, following)
        if alone[-1] and isinstance(place.node, _HOLDING):
            yield from _out_of_end(source, place, body)
        if (
            alone[0]
            and len(body) > 1
            and isinstance(place.node, (*LOOPS, ast.If, ast.With))
            and body is place.node.body
        ):
            yield from _out_of_head(source, place.node, body[0])


def _swapped(source: Source, node: ast.stmt, following: ast.stmt) -> Iterator[Change]:
    first, last = node.lineno, blocks.last_line(following)
    if last - first >= blocks.TALLEST or isinstance(node, Function) or isinstance(following, Function):
        return
    if isinstance(following, LEAVING) and not isinstance(node, ast.If):
        return
    weight = 0.4
    if isinstance(node, SIMPLE) and isinstance(following, SIMPLE):
        weight = 1.0
    elif isinstance(node, LEAVING):
        weight = 5.0  # what follows it can never run
    upper = blocks.text(source, first, blocks.last_line(node))
    gap = [blocks.text(source, n, n) for n in range(blocks.last_line(node) + 1, following.lineno)]
    lower = blocks.text(source, following.lineno, last)
    if upper != lower:
        span = source.line_span(first, last)
        yield Change(*span, "\n".join([lower, *gap, upper]), span, weight)


def _into_head(source: Source, node: ast.stmt, following: ast.stmt) -> Iterator[Change]:
    """Move a statement that precedes a block to its head."""
    if not isinstance(node, SIMPLE) or not isinstance(following, (*LOOPS, ast.With, ast.Try, ast.If)):
        return
    inner = following.body[0]
    if not blocks.stands_alone(source, inner) or inner.lineno - node.lineno >= blocks.TALLEST - 1:
        return
    by = inner.col_offset - node.col_offset
    head = blocks.text(source, blocks.last_line(node) + 1, inner.lineno - 1)
    own = blocks.moved(source, node.lineno, blocks.last_line(node), by)
    span = source.line_span(node.lineno, inner.lineno - 1)
    yield Change(*span, f"{head}\n{own}", source.line_span(node.lineno, node.lineno), 0.5)


def _out_of_head(source: Source, block: ast.stmt, first: ast.stmt) -> Iterator[Change]:
    """Move the first statement of a block before it."""
    last = blocks.last_line(first)
    if not isinstance(first, SIMPLE) or first.lineno == block.lineno or last - block.lineno >= blocks.TALLEST:
        return
    if blocks.is_docstring(first) or source.is_elif(block):
        return
    own = blocks.moved(source, first.lineno, last, block.col_offset - first.col_offset)
    span = source.line_span(block.lineno, last)
    head = blocks.text(source, block.lineno, first.lineno - 1)
    yield Change(*span, f"{own}\n{head}", source.line_span(first.lineno, first.lineno), 0.6)


def _into_end(source: Source, node: ast.stmt, following: ast.stmt) -> Iterator[Change]:
    """Move the statement that follows a block to the block's end, or to that of the last block within it."""
    first, last = following.lineno, blocks.last_line(following)
    if not isinstance(following, _MOVABLE) or last - first >= blocks.TALLEST:
        return
    inner, weight, span = node, 0.7, source.line_span(first, last)
    while isinstance(inner, (*LOOPS, ast.If, ast.With)):
        inner = ((inner.orelse if not isinstance(inner, ast.With) else []) or inner.body)[-1]
        by = inner.col_offset - following.col_offset
        if by > 0 and not isinstance(inner, LEAVING) and inner.lineno > node.lineno:
            yield Change(*span, blocks.moved(source, first, last, by), span, weight)
            weight *= 0.7


def _out_of_end(source: Source, place: Place, body: Sequence[ast.stmt]) -> Iterator[Change]:
    """Move the last statement of a block behind it, or behind the blocks around that end with it."""
    final = body[-1]
    moving = [final] if len(body) > 1 else []
    first, last = final.lineno, blocks.last_line(final)
    if not moving or not isinstance(final, _MOVABLE) or last - first >= blocks.TALLEST:
        return
    span, weight, at = source.line_span(first, last), 1.0, place
    while isinstance(at.node, _HOLDING) and blocks.last_line(at.node) == last:
        if not (isinstance(at.node, LOOPS) and blocks.leaves_loop(final)) and not source.is_elif(at.node):
            by = at.node.col_offset - final.col_offset
            yield Change(*span, blocks.moved(source, first, last, by), span, weight)
            weight *= 0.7
        elif isinstance(at.node, LOOPS):
            return
        if at.above is None:
            return
        at = at.above


def doubled_statement(source: Source) -> Iterator[Change]:
    """Take out one of two equal statements: of neighbours, of one block, or of a block and one within it."""
    for _, body in source.bodies:
        codes = [_words(source, node) for node in body]
        for number, code in enumerate(codes):
            if not code or not isinstance(body[number], (*SIMPLE, ast.If, ast.For, ast.Return)):
                continue
            if blocks.is_docstring(body[number]):
                continue
            if number and codes[number - 1] == code:
                weight = 8.0
            elif (
                code in codes[:number]
                or code in codes[number + 1 :]
                or any(code in _within(source, node) for node in body if node is not body[number])
            ):
                weight = 1.0
            else:
                continue
            change = blocks.removal(source, body, number, weight)
            if change:
                yield change
        yield from _within_blocks(source, body, codes)


def _words(source: Source, node: ast.stmt) -> str:
    return " ".join(source.code(node).split())


def _within(source: Source, node: ast.stmt) -> list[str]:
    """The short statements that stand directly in the blocks of a statement."""
    inner = [*getattr(node, "body", []), *getattr(node, "orelse", [])] if isinstance(node, _HOLDING) else []
    return [_words(source, each) for each in inner if isinstance(each, SIMPLE)]


def _within_blocks(source: Source, body: Sequence[ast.stmt], codes: list[str]) -> Iterator[Change]:
    """Statements in the blocks of a body that stand in the body as well."""
    for node in body:
        for inner in (
            (getattr(node, "body", []), getattr(node, "orelse", [])) if isinstance(node, _HOLDING) else ()
        ):
            for number, each in enumerate(inner):
                if isinstance(each, SIMPLE) and _words(source, each) in codes and len(inner) > 1:
                    change = blocks.removal(source, inner, number, 1.0)
                    if change:
                        yield change


def extra_statement(source: Source) -> Iterator[Change]:
    """Take out a statement that should not be there, or a part of a condition's block."""
    for place, body in source.bodies:
        for number, node in enumerate(body):
            if blocks.is_docstring(node) or (len(body) == 1 and isinstance(place.node, Function)):
                continue
            if isinstance(node, (*SIMPLE, ast.Continue, ast.Break)) or (
                isinstance(node, ast.Return) and number
            ):
                weight = 0.3 if len(body) > 1 else 0.1
                if isinstance(node, (ast.Return, ast.Assign)):
                    weight /= 2
                change = blocks.removal(source, body, number, weight)
                if change:
                    yield change
