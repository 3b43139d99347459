"""Rules for branches: what runs in which case, and which exceptions are raised and caught."""

import ast
from collections.abc import Iterator
from itertools import pairwise

from agents.models.embedded.edits import blocks
from agents.models.embedded.edits.change import Change
from agents.models.embedded.edits.source import Place, Source

_RELATIVES: dict[str, tuple[str, ...]] = {
    "KeyError": ("IndexError", "ValueError", "LookupError", "AttributeError", "TypeError"),
    "IndexError": ("KeyError", "ValueError", "LookupError"),
    "LookupError": ("KeyError", "IndexError", "ValueError"),
    "ValueError": ("TypeError", "KeyError", "IndexError", "ArithmeticError"),
    "TypeError": ("ValueError", "AttributeError", "KeyError"),
    "AttributeError": ("KeyError", "TypeError", "ValueError"),
    "ZeroDivisionError": ("ValueError", "ArithmeticError", "TypeError"),
    "ArithmeticError": ("ZeroDivisionError", "ValueError"),
    "StopIteration": ("IndexError", "ValueError", "GeneratorExit"),
    "OverflowError": ("ValueError",),
    "OSError": ("FileNotFoundError", "ValueError"),
    "FileNotFoundError": ("OSError", "KeyError"),
    "RuntimeError": ("ValueError", "TypeError"),
    "NotImplementedError": ("TypeError", "ValueError"),
    "AssertionError": ("ValueError",),
    "Exception": ("ValueError", "KeyError", "TypeError"),
}
_COMMON = ("ValueError", "KeyError", "TypeError", "IndexError")


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


def exception(source: Source) -> Iterator[Change]:
    """Another exception that is raised, caught or derived from, or the current one raised again."""
    known = _of_file(source)
    for place in source.places:
        node = place.node
        if isinstance(node, ast.Name) and _is_exception(place, known):
            others = dict.fromkeys(n for n in (*known, *_RELATIVES.get(node.id, _COMMON)) if n != node.id)
            span = source.span(node)
            for number, other in enumerate(others):
                yield Change(*span, other, span, 1.0 if number < 5 else 0.5)
        if isinstance(node, ast.ExceptHandler) and node.type:
            yield from _caught(source, node.type, known)
        elif isinstance(node, ast.Raise) and node.exc:
            if any(isinstance(above, ast.ExceptHandler) for above in _around(place)):
                span = source.span(node)
                yield Change(*span, "raise", span, 0.7)
        elif isinstance(node, (ast.Return, ast.Expr)) and isinstance(node.value, ast.Call):
            called = node.value.func
            if isinstance(called, ast.Name) and (called.id in known or called.id in _RELATIVES):
                start = source.span(node)[0]
                yield Change(start, source.span(node.value)[0], "raise ", (start, start), 5.0)


def _of_file(source: Source) -> list[str]:
    """Exceptions that the file raises, catches or defines."""
    found: dict[str, None] = {}
    for place in source.places:
        node = place.node
        if isinstance(node, ast.ClassDef):
            bases = [base.id for base in node.bases if isinstance(base, ast.Name)]
            if any(base in found or _is_built_in(base) for base in bases):
                found[node.name] = None
        elif isinstance(node, ast.Name) and _is_built_in(node.id):
            found[node.id] = None
    return list(found)


def _is_built_in(name: str) -> bool:
    return name in _RELATIVES or name.endswith("Error")


def _around(place: Place) -> Iterator[ast.AST]:
    above = place.above
    while above:
        yield above.node
        above = above.above


def _is_exception(place: Place, known: list[str]) -> bool:
    """Whether a name is an exception that is raised, caught, or the base of another."""
    above, node = place.above, place.node
    if above is None or not isinstance(node, ast.Name):
        return False
    if isinstance(above.node, ast.Call) and above.node.func is node and above.above:
        return isinstance(above.above.node, ast.Raise)
    if isinstance(above.node, ast.Tuple) and above.above:
        above = above.above
    is_base = isinstance(above.node, ast.ClassDef) and node in above.node.bases
    return isinstance(above.node, (ast.ExceptHandler, ast.Raise)) or (is_base and node.id in known)


def _caught(source: Source, caught: ast.expr, known: list[str]) -> Iterator[Change]:
    """One exception more or less in what a handler catches."""
    span = source.span(caught)
    names = (
        [source.code(each) for each in caught.elts]
        if isinstance(caught, ast.Tuple)
        else [source.code(caught)]
    )
    others = [n for n in dict.fromkeys((*_RELATIVES.get(names[0], ()), *known, *_COMMON)) if n not in names]
    for other in others[:6]:
        yield Change(*span, f"({', '.join([*names, other])})", span, 0.3)
    for name in names if len(names) > 1 else ():
        rest = [other for other in names if other != name]
        yield Change(*span, f"({', '.join(rest)})" if len(rest) > 1 else rest[0], span, 0.4)
    if names != ["Exception"]:
        yield Change(*span, "Exception", span, 0.4)
