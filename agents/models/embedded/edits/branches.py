"""The rule for branches: what runs in which case, and in which order cases are looked at."""

import ast
from collections.abc import Iterator
from itertools import pairwise

from agents.models.embedded.edits import blocks
from agents.models.embedded.edits.change import Change
from agents.models.embedded.edits.source import Source


def swapped_branches(source: Source) -> Iterator[Change]:
    """Swap the bodies or the conditions of branches, the arms of a conditional, or `if` and `elif`."""
    for place in source.places:
        node = place.node
        if isinstance(node, ast.IfExp):
            (start, middle), (after, end) = source.span(node.body), source.span(node.orelse)
            one, other = source.code(node.body), source.code(node.orelse)
            if one != other:
                yield Change(start, end, f"{other}{source.cut(middle, after)}{one}", (start, end), 1.0)
        elif isinstance(node, ast.If) and place.function:
            yield from _bodies(source, node)
            yield from _tests(source, node)
            if source.is_elif(node):
                start = source.span(node)[0]
                yield Change(start, start + 4, "if", (start, start + 4), 0.5)
    for _, body in source.bodies:
        for node, following in pairwise(body):
            if isinstance(node, ast.If) and not node.orelse:
                yield from _first_and_second(source, node, following)


def _bodies(source: Source, node: ast.If) -> Iterator[Change]:
    """Swap what is done if a condition holds with what is done if not, where both are short."""
    if not node.orelse:
        return
    second = node.orelse[0]
    other = second.body if isinstance(second, ast.If) and source.is_elif(second) else node.orelse
    if not all(blocks.stands_alone(source, each) for each in (*node.body, *other)):
        return
    first, last = node.body[0].lineno, blocks.last_line(other[-1])
    if first == node.lineno or last - first >= blocks.TALLEST:
        return
    upper = blocks.text(source, first, blocks.last_line(node.body[-1]))
    between = blocks.text(source, blocks.last_line(node.body[-1]) + 1, other[0].lineno - 1)
    lower = blocks.text(source, other[0].lineno, last)
    if upper.strip() != lower.strip() and node.body[0].col_offset == other[0].col_offset:
        span = source.line_span(first, last)
        yield Change(*span, f"{lower}\n{between}\n{upper}", span, 1.0)


def _tests(source: Source, node: ast.If) -> Iterator[Change]:
    """Swap the conditions of an `if` and the `elif` behind it."""
    if node.orelse and source.is_elif(node.orelse[0]) and isinstance(node.orelse[0], ast.If):
        (start, middle), (after, end) = source.span(node.test), source.span(node.orelse[0].test)
        if source.cut(start, end).count("\n") < blocks.TALLEST:
            new = f"{source.code(node.orelse[0].test)}{source.cut(middle, after)}{source.code(node.test)}"
            yield Change(start, end, new, (start, end), 0.5)


def _first_and_second(source: Source, node: ast.If, following: ast.stmt) -> Iterator[Change]:
    """Swap what a guard returns with what is returned behind it; make a second `if` an `elif`, or give it an `else`."""
    if isinstance(following, ast.Return) and following.value and len(node.body) == 1:
        own = node.body[0]
        if (
            isinstance(own, ast.Return)
            and own.value
            and source.code(own.value) != source.code(following.value)
        ):
            (start, middle), (after, end) = source.span(own.value), source.span(following.value)
            if source.cut(start, end).count("\n") < blocks.TALLEST:
                new = f"{source.code(following.value)}{source.cut(middle, after)}{source.code(own.value)}"
                yield Change(start, end, new, (start, end), 1.0)
    if (
        isinstance(following, ast.If)
        and not source.cut(source.span(node)[1], source.span(following)[0]).strip()
    ):
        start = source.span(following)[0]
        if not isinstance(node.body[-1], blocks.LEAVING):
            yield Change(start, start + 2, "elif", (start, start + 2), 0.5)
    elif isinstance(following, blocks.SIMPLE) and not isinstance(node.body[-1], blocks.LEAVING):
        last = blocks.last_line(following)
        if blocks.stands_alone(source, following) and last - following.lineno < blocks.TALLEST - 2:
            inner = blocks.moved(source, following.lineno, last, len(source.unit))
            span = source.line_span(following.lineno, last)
            yield Change(*span, f"{blocks.indent(source, following)}else:\n{inner}", span, 0.3)
