"""Rules for names: the wrong variable, the wrong attribute, the wrong result."""

import ast
from collections.abc import Iterator

from agents.models.embedded.edits.change import Change
from agents.models.embedded.edits.source import Place, Source, is_called, on_self

_MOST = 8
"""Alternatives of one place; the nearest names come first."""
_UNREAD = 5.0
"""How much likelier a name is meant that is bound but never read otherwise."""
_LEFT_UNREAD = 0.4
"""How much less likely a change is that leaves a name behind that nothing reads."""


def name(source: Source) -> Iterator[Change]:
    """Another name that is visible at the same place, or the attribute of `self` that is called the same."""
    for place in source.places:
        node = place.node
        if not isinstance(node, ast.Name) or place.function is None or is_called(place):
            continue
        if not isinstance(node.ctx, ast.Load) and not isinstance(
            getattr(place.above, "node", None), ast.AugAssign
        ):
            continue
        visible = source.visible(place)
        if node.id not in visible:
            continue
        span, reads = source.span(node), source.reads[place.function]
        kept = _LEFT_UNREAD if reads[node.id] == 1 and isinstance(node.ctx, ast.Load) else 1.0
        for other in _nearest(source, place, [n for n in visible if n != node.id]):
            unread = other in source.functions[place.function] and not reads[other]
            yield Change(*span, other, span, kept * (_UNREAD if unread else 1.0))
        if place.owner and node.id in source.members[place.owner][0] and isinstance(node.ctx, ast.Load):
            yield Change(*span, f"self.{node.id}", span)


def _nearest(source: Source, place: Place, names: list[str]) -> list[str]:
    bound = source.functions[place.function] if place.function else {}
    line = getattr(place.node, "lineno", 0)
    return sorted(names, key=lambda n: line - bound.get(n, line))[:_MOST]


def attribute(source: Source) -> Iterator[Change]:
    """Another attribute of the class, or another one that the file uses on objects; calls stay calls."""
    for place in source.places:
        node = place.node
        if not isinstance(node, ast.Attribute) or not isinstance(node.ctx, (ast.Load, ast.Store)):
            continue
        called = is_called(place)
        if on_self(node):
            if place.owner is None:
                continue
            data, methods = source.members[place.owner]
            others = methods if called else data
            if called and node.attr not in methods:
                continue
        elif _is_of_module(source, node):
            continue
        else:
            read, calls = source.attributes
            of_classes = [n for members in source.members.values() for n in members[called]]
            others = tuple(dict.fromkeys([*of_classes, *(calls if called else read)]))
        start, end = source.span(node)
        start = end - len(node.attr.encode())
        kept = [n for n in others if n != node.attr and not n.startswith("__")]
        for other in kept[:_MOST]:
            yield Change(start, end, other, (start, end))
        if on_self(node) and isinstance(node.ctx, ast.Load) and node.attr in source.visible(place):
            yield Change(*source.span(node), node.attr, (start, end))


def _is_of_module(source: Source, node: ast.Attribute) -> bool:
    if not isinstance(node.value, ast.Name):
        return isinstance(node.value, (ast.Constant, ast.JoinedStr))
    return node.value.id in source.modules


def result(source: Source) -> Iterator[Change]:
    """Return something else: another local value, or what is now computed and dropped."""
    for place in source.places:
        node = place.node
        if isinstance(node, ast.Return) and node.value is not None and not isinstance(node.value, ast.Name):
            span = source.span(node.value)
            parts = {n.id for n in ast.walk(node.value) if isinstance(n, ast.Name)}
            names = _nearest(source, place, [n for n in source.visible(place) if n not in parts])
            for other in [*names[:3], *sorted(parts & set(source.visible(place)))]:
                yield Change(*span, other, span, 0.5)
            yield from _other_constant(node.value, span)
        elif isinstance(node, ast.Expr) and isinstance(node.value, ast.Call) and place.function:
            start = source.span(node)[0]
            yield Change(start, start, "return ", (start, start), 0.3)


def _other_constant(value: ast.expr, span: tuple[int, int]) -> Iterator[Change]:
    """Of the values that stand for nothing, another one."""
    empties = {"None": None, "[]": ast.List, "0": 0, "{}": ast.Dict, "''": "", "False": False}
    text = ast.unparse(value)
    if text in empties:
        for other in empties:
            if other != text:
                yield Change(*span, other.replace("'", '"'), span, 0.3)
