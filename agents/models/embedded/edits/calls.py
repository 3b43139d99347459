"""Rules for calls: what is called, and what is passed to it in which order."""

import ast
from collections.abc import Iterator, Sequence
from itertools import pairwise

from agents.models.embedded.edits.change import Change
from agents.models.embedded.edits.conversions import conversions
from agents.models.embedded.edits.source import Function, Place, Source, is_called, parameters

_LOOKALIKES = (
    ("min", "max"), ("any", "all"), ("append", "extend"), ("append", "appendleft"), ("append", "add"),
    ("sorted", "reversed"), ("sorted", "list"), ("list", "set"), ("list", "tuple"), ("str", "repr"),
    ("int", "float"), ("int", "round"), ("len", "sum"), ("pop", "popleft"), ("pop", "get"), ("add", "update"),
    ("add", "discard"), ("remove", "discard"), ("lower", "upper"), ("title", "capitalize"), ("append", "insert"),
    ("strip", "rstrip"), ("strip", "lstrip"), ("lstrip", "rstrip"), ("startswith", "endswith"),
    ("find", "rfind"), ("index", "rindex"), ("index", "find"), ("split", "rsplit"), ("split", "splitlines"),
    ("partition", "rpartition"), ("keys", "values"), ("keys", "items"), ("values", "items"),
    ("union", "intersection"), ("union", "difference"), ("intersection", "difference"), ("floor", "ceil"),
    ("difference", "symmetric_difference"), ("issubset", "issuperset"), ("isdigit", "isalpha"),
    ("isalpha", "isalnum"), ("isdigit", "isalnum"), ("isupper", "islower"), ("ljust", "rjust"), ("abs", "int"),
    ("get", "setdefault"), ("heappush", "heappop"), ("bisect_left", "bisect_right"), ("match", "search"),
    ("match", "fullmatch"), ("search", "findall"), ("lower", "casefold"), ("lower", "title"), ("pop", "remove"),
    ("extend", "update"), ("count", "index"), ("update", "setdefault"), ("zip", "zip_longest"), ("copy", "deepcopy"),
)  # fmt: skip


def _table() -> dict[str, tuple[str, ...]]:
    table: dict[str, tuple[str, ...]] = {}
    for one, other in _LOOKALIKES:
        table[one] = (*table.get(one, ()), other)
        table[other] = (*table.get(other, ()), one)
    return table


LOOKALIKES = _table()
_MOST = 4
"""Functions or methods of the file that one call may mean instead."""


def wrong_call(source: Source) -> Iterator[Change]:
    """Another function or method, or a conversion, a copy or a keyword that is too much or too little."""
    arities = _arities(source)
    for place in source.places:
        node = place.node
        if isinstance(node, ast.Attribute) and is_called(place):
            end = source.span(node)[1]
            span = (end - len(node.attr.encode()), end)
            for other in LOOKALIKES.get(node.attr, ()):
                yield Change(*span, other, span)
            for other in _methods_like(source, place, node)[:_MOST]:
                yield Change(*span, other, span, 0.7)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load):
            yield from _function(source, place, node, arities)
    yield from conversions(source)


def _arities(source: Source) -> dict[str, tuple[int, int]]:
    """For each function of the module how many arguments it takes: at least, at most."""
    found = {}
    for node in source.tree.body:
        if isinstance(node, Function):
            names = [*node.args.posonlyargs, *node.args.args]
            found[node.name] = len(names) - len(node.args.defaults), len(names)
    return found


def _methods_like(source: Source, place: Place, node: ast.Attribute) -> list[str]:
    """Methods of the same class that take as many arguments."""
    above = place.above.node if place.above else None
    given = len(above.args) + len(above.keywords) if isinstance(above, ast.Call) else 0
    taken = {(f.name, owner): len(parameters(f)) - 1 for f, owner in source.owners.items() if owner}
    owners = [owner for name, owner in taken if name == node.attr]
    return [
        name
        for (name, owner), number in taken.items()
        if owner in owners and number == given and name != node.attr and not name.startswith("__")
    ]


def _function(
    source: Source, place: Place, node: ast.Name, arities: dict[str, tuple[int, int]]
) -> Iterator[Change]:
    """Look-alikes of a function, and functions of the file that take as many arguments."""
    if node.id in source.visible(place):
        return
    span, takes_stream = source.span(node), _is_given_generator(place)
    for other in LOOKALIKES.get(node.id, ()):
        if not (takes_stream and other in ("len", "str", "repr", "int", "float", "round")):
            yield Change(*span, other, span)
    above = place.above.node if place.above else None
    if isinstance(above, ast.Call) and above.func is node and node.id in arities:
        given = len(above.args) + len(above.keywords)
        fitting = [n for n, (low, high) in arities.items() if n != node.id and low <= given <= high]
        for other in fitting[:_MOST]:
            own = place.function is not None and other == place.function.name
            yield Change(*span, other, span, 0.3 if own else 0.7)


def _is_given_generator(place: Place) -> bool:
    """Whether a name is called with a generator expression, which has no length."""
    above = place.above.node if place.above else None
    called = isinstance(above, ast.Call) and above.func is place.node
    return called and any(isinstance(a, ast.GeneratorExp) for a in getattr(above, "args", ()))


def arguments(source: Source) -> Iterator[Change]:
    """Swap two arguments, operands, keys or parts of a pair, or pass one more or one less."""
    for place in source.places:
        node, above = place.node, place.above.node if place.above else None
        if isinstance(node, ast.Call):
            yield from _neighbours(source, node.args, 1.0)
            yield from _neighbours(source, [keyword.value for keyword in node.keywords], 0.3)
            yield from _passed(source, place, node)
        elif isinstance(node, ast.BinOp):
            if isinstance(node.op, (ast.Sub, ast.Div, ast.FloorDiv, ast.Mod, ast.Pow, ast.Add)):
                plus = 0.2 if isinstance(node.op, ast.Add) else 1.0
                yield from _neighbours(source, [node.left, node.right], plus)
        elif isinstance(node, ast.Tuple) and len(node.elts) <= 3:
            if isinstance(node.ctx, ast.Load) and not isinstance(above, (ast.For, ast.Compare)):
                yield from _neighbours(source, node.elts, 1.0)
            elif isinstance(node.ctx, ast.Store) and len(node.elts) == 2:
                yield from _neighbours(source, node.elts, 0.7)
        elif isinstance(node, ast.DictComp):
            yield from _neighbours(source, [node.key, node.value], 0.5)
        elif isinstance(node, ast.Subscript) and isinstance(node.value, ast.Subscript):
            yield from _neighbours(source, [node.value.slice, node.slice], 0.5)
        elif (
            isinstance(node, ast.Subscript)
            and isinstance(node.value, ast.Name)
            and isinstance(node.slice, ast.Name)
        ):
            yield from _neighbours(source, [node.value, node.slice], 0.3)
        elif (
            isinstance(node, ast.Assign) and len(node.targets) == 1 and isinstance(node.targets[0], ast.Name)
        ):
            if isinstance(node.value, (ast.Name, ast.Attribute)):
                yield from _neighbours(source, [node.targets[0], node.value], 0.5)
        elif (
            isinstance(node, ast.Compare)
            and len(node.ops) == 1
            and isinstance(node.ops[0], (ast.In, ast.NotIn))
        ):
            yield from _neighbours(source, [node.left, node.comparators[0]], 0.2)


def _passed(source: Source, place: Place, node: ast.Call) -> Iterator[Change]:
    """The object and its argument the other way round, the first and third argument, one more, one less."""
    function, span = node.func, source.span(node)
    plain = [source.code(a) for a in node.args if not isinstance(a, ast.Starred)]
    if len(plain) != len(node.args) or node.keywords:
        return
    if isinstance(function, ast.Attribute) and len(plain) == 1:
        of = source.code(function.value)
        both_named = all(
            isinstance(part, (ast.Name, ast.Attribute)) for part in (function.value, node.args[0])
        )
        if both_named and of not in source.modules:
            yield Change(*span, f"{plain[0]}.{function.attr}({of})", span, 0.15)
    if len(plain) == 3 and plain[0] != plain[2]:
        yield Change(*span, f"{source.code(function)}({plain[2]}, {plain[1]}, {plain[0]})", span, 0.3)
    callee = _callee(source, place, function)
    if callee is None:
        return
    taken = [name for name in parameters(callee) if name not in ("self", "cls")]
    needed = len(taken) - len(callee.args.defaults)
    following = taken[len(plain) : len(plain) + 1]
    if following and not callee.args.vararg and following[0] in source.visible(place):
        given = ", ".join([*plain, following[0]])
        yield Change(*span, f"{source.code(function)}({given})", span, 1.0 if len(plain) < needed else 0.5)
    if plain and len(plain) > needed:
        yield Change(*span, f"{source.code(function)}({', '.join(plain[:-1])})", span, 0.3)


def _callee(source: Source, place: Place, function: ast.expr) -> Function | None:
    """The function or method of the file that is called, if that can be told."""
    wanted = function.id if isinstance(function, ast.Name) else getattr(function, "attr", "")
    own = isinstance(function, ast.Attribute) and getattr(function.value, "id", "") == "self"
    for node, owner in source.owners.items():
        same = owner is place.owner if own else owner is None and isinstance(function, ast.Name)
        if node.name == wanted and same:
            return node
        if node.name == "__init__" and owner and owner.name == wanted and isinstance(function, ast.Name):
            return node
    return None


def _neighbours(source: Source, parts: Sequence[ast.expr], weight: float) -> Iterator[Change]:
    for left, right in pairwise(parts):
        if isinstance(left, (ast.Starred, ast.Slice)) or isinstance(right, (ast.Starred, ast.Slice)):
            continue
        (start, middle), (after, end) = source.span(left), source.span(right)
        gap = source.cut(middle, after)
        one, other = source.code(left), source.code(right)
        if one != other and "#" not in gap and len(one) + len(other) < 120:
            yield Change(start, end, f"{other}{gap}{one}", (start, end), weight)
