"""Rules for calls: the order of what is passed, and look-alike functions and methods."""

import ast
from collections.abc import Iterator, Sequence
from itertools import pairwise

from agents.models.embedded.edits.change import Change
from agents.models.embedded.edits.source import Place, Source

_LOOKALIKES = (
    ("min", "max"), ("any", "all"), ("append", "extend"), ("append", "appendleft"), ("append", "add"),
    ("sorted", "reversed"), ("sorted", "list"), ("list", "set"), ("list", "tuple"), ("str", "repr"),
    ("int", "float"), ("int", "round"), ("len", "sum"), ("pop", "popleft"), ("pop", "get"), ("add", "update"),
    ("add", "discard"), ("remove", "discard"), ("lower", "upper"), ("title", "capitalize"),
    ("strip", "rstrip"), ("strip", "lstrip"), ("lstrip", "rstrip"), ("startswith", "endswith"),
    ("find", "rfind"), ("index", "rindex"), ("index", "find"), ("split", "rsplit"),
    ("partition", "rpartition"), ("keys", "values"), ("keys", "items"), ("values", "items"),
    ("union", "intersection"), ("union", "difference"), ("floor", "ceil"), ("isdigit", "isalpha"),
    ("isalpha", "isalnum"), ("isdigit", "isalnum"), ("isupper", "islower"), ("ljust", "rjust"),
    ("get", "setdefault"), ("heappush", "heappop"), ("bisect_left", "bisect_right"), ("match", "search"),
)  # fmt: skip


def _table() -> dict[str, tuple[str, ...]]:
    table: dict[str, tuple[str, ...]] = {}
    for one, other in _LOOKALIKES:
        table[one] = (*table.get(one, ()), other)
        table[other] = (*table.get(other, ()), one)
    return table


LOOKALIKES = _table()
_WRAPPERS = ("list", "sorted", "set", "tuple", "abs", "reversed", "str", "int", "len", "sum")


def lookalike(source: Source) -> Iterator[Change]:
    """A look-alike of a built-in function or a method, or a conversion added or taken away."""
    for place in source.places:
        node = place.node
        if isinstance(node, ast.Attribute):
            above = place.above.node if place.above else None
            if isinstance(above, ast.Call) and above.func is node:
                end = source.span(node)[1]
                span = (end - len(node.attr.encode()), end)
                for other in LOOKALIKES.get(node.attr, ()):
                    yield Change(*span, other, span)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load):
            span, takes_stream = source.span(node), _is_given_generator(place)
            for other in LOOKALIKES.get(node.id, ()) if node.id not in source.visible(place) else ():
                if not (takes_stream and other in ("len", "str", "repr", "int", "float", "round")):
                    yield Change(*span, other, span)
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and len(node.args) == 1:
            if node.func.id in _WRAPPERS and not isinstance(node.args[0], (ast.GeneratorExp, ast.Starred)):
                span = source.span(node)
                yield Change(*span, source.code(node.args[0]), span, 0.3)
        elif isinstance(node, (ast.Return, ast.Assign)) and isinstance(node.value, (ast.Name, ast.Attribute)):
            span = source.span(node.value)
            for wrapper in ("list", "dict", "int", "sorted"):
                yield Change(*span, f"{wrapper}({source.code(node.value)})", span, 0.1)


def _is_given_generator(place: Place) -> bool:
    """Whether a name is called with a generator expression, which has no length."""
    above = place.above.node if place.above else None
    called = isinstance(above, ast.Call) and above.func is place.node
    return called and any(isinstance(a, ast.GeneratorExp) for a in getattr(above, "args", ()))


def arguments(source: Source) -> Iterator[Change]:
    """Swap two neighbouring arguments, the operands of an operator, or the parts of a pair."""
    for place in source.places:
        node, above = place.node, place.above.node if place.above else None
        if isinstance(node, ast.Call):
            yield from _neighbours(source, node.args, 1.0)
            yield from _neighbours(source, [keyword.value for keyword in node.keywords], 0.3)
        elif isinstance(node, ast.BinOp):
            if isinstance(node.op, (ast.Sub, ast.Div, ast.FloorDiv, ast.Mod, ast.Pow, ast.Add)):
                plus = 0.2 if isinstance(node.op, ast.Add) else 1.0
                yield from _neighbours(source, [node.left, node.right], plus)
        elif isinstance(node, ast.IfExp):
            yield from _neighbours(source, [node.body, node.orelse], 1.0)
        elif isinstance(node, ast.Tuple) and len(node.elts) <= 3 and isinstance(node.ctx, ast.Load):
            if isinstance(above, (ast.Return, ast.Assign, ast.Call, ast.Yield)):
                yield from _neighbours(source, node.elts, 1.0)
        elif isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Tuple):
            if len(node.targets[0].elts) == 2:
                yield from _neighbours(source, node.targets[0].elts, 0.7)
        elif isinstance(node, ast.Subscript) and isinstance(node.value, ast.Subscript):
            yield from _neighbours(source, [node.value.slice, node.slice], 0.5)


def _neighbours(source: Source, parts: Sequence[ast.expr], weight: float) -> Iterator[Change]:
    for left, right in pairwise(parts):
        if isinstance(left, (ast.Starred, ast.Slice)) or isinstance(right, (ast.Starred, ast.Slice)):
            continue
        (start, middle), (after, end) = source.span(left), source.span(right)
        gap = source.data[middle:after].decode()
        one, other = source.code(left), source.code(right)
        if one != other and "#" not in gap and len(one) + len(other) < 120:
            yield Change(start, end, f"{other}{gap}{one}", (start, end), weight)
