"""Rules for names: the wrong variable, the wrong attribute."""

import ast
from collections.abc import Iterator

from agents.models.embedded.edits.change import Change
from agents.models.embedded.edits.source import Place, Source, is_called, on_self

_MOST = 6
"""Alternatives of one place; the nearest names come first."""
_TYPES = ("int", "float", "str", "list", "dict", "tuple", "bool")
_UNREAD = 5.0
"""How much likelier a name is meant that is bound but never read otherwise."""
_LEFT_UNREAD = 0.4
"""How much less likely a change is that leaves a name behind that nothing reads."""


def name(source: Source) -> Iterator[Change]:
    """Another name that is visible at the same place, or the attribute of `self` that is called the same."""
    constants = _constants(source)
    for place in source.places:
        node = place.node
        if not isinstance(node, ast.Name) or place.function is None or is_called(place):
            continue
        span = source.span(node)
        yield from _of_type(source, place, node)
        if node.id in constants and isinstance(node.ctx, ast.Load):
            for other in [n for n in constants if n != node.id][:_MOST]:
                yield Change(*span, other, span)
        elif isinstance(node.ctx, ast.Load) or isinstance(getattr(place.above, "node", None), ast.AugAssign):
            yield from _read(source, place, node)
        elif isinstance(getattr(place.above, "node", None), ast.Assign):
            yield from _bound_again(source, place, node)


def _of_type(source: Source, place: Place, node: ast.Name) -> Iterator[Change]:
    """Another built-in type that something is tested to be of."""
    above = place.above.node if place.above else None
    if (
        isinstance(above, ast.Call)
        and getattr(above.func, "id", "") == "isinstance"
        and node in above.args[1:]
    ):
        span = source.span(node)
        for other in _TYPES if node.id in _TYPES else ():
            if other != node.id:
                yield Change(*span, other, span)


def _read(source: Source, place: Place, node: ast.Name) -> Iterator[Change]:
    """Other names for one that is read."""
    if place.function is None:
        return
    span, visible = source.span(node), source.visible(place)
    above = place.above.node if place.above else None
    if node.id == "self" and isinstance(above, ast.Attribute) and place.owner:
        data, methods = source.members[place.owner]
        for other in nearest(source, place, visible)[:_MOST]:
            if other in _objects(source, place) and above.attr in (*data, *methods):
                yield Change(*span, other, span)
        return
    if node.id not in visible:
        return
    reads = source.reads[place.function]
    kept = _LEFT_UNREAD if reads[node.id] == 1 and isinstance(node.ctx, ast.Load) else 1.0
    for other in nearest(source, place, [n for n in visible if n != node.id])[:_MOST]:
        unread = other in source.functions[place.function] and not reads[other]
        yield Change(*span, other, span, kept * (_UNREAD if unread else 1.0))
    if place.owner and isinstance(node.ctx, ast.Load):
        data, _ = source.members[place.owner]
        if node.id in data:
            yield Change(*span, f"self.{node.id}", span)
        if isinstance(above, ast.Attribute) and above.attr in data:
            yield Change(*span, "self", span)


def _bound_again(source: Source, place: Place, node: ast.Name) -> Iterator[Change]:
    """Other names for one that gets another value than it has: one that gets one as well."""
    if place.function is None:
        return
    bound = source.functions[place.function]
    line = node.lineno
    others = [n for n, first in bound.items() if first < line and n not in (node.id, "self", "cls", "_")]
    weight = 1.0 if bound.get(node.id, line) < line else 0.4
    for other in nearest(source, place, others)[:3]:
        yield Change(*source.span(node), other, source.span(node), weight)


def _constants(source: Source) -> list[str]:
    """Names in capitals that the module gives a value."""
    targets = (t for node in source.tree.body if isinstance(node, ast.Assign) for t in node.targets)
    return list(dict.fromkeys(t.id for t in targets if isinstance(t, ast.Name) and t.id.isupper()))


def _objects(source: Source, place: Place) -> frozenset[str]:
    """Names whose attributes the function of a place reads."""
    nodes = (other.node for other in source.inside[place.function]) if place.function else ()
    return frozenset(
        n.value.id for n in nodes if isinstance(n, ast.Attribute) and isinstance(n.value, ast.Name)
    )


def nearest(source: Source, place: Place, names: list[str]) -> list[str]:
    """Names in the order in which their bindings precede a place, the latest first."""
    bound = source.functions[place.function] if place.function else {}
    line = getattr(place.node, "lineno", 0)
    return sorted(names, key=lambda n: line - bound.get(n, line))


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
