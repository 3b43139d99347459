"""Rules for calls: the order of what is passed, look-alikes, conversions and copies."""

import ast
from collections.abc import Iterator, Sequence
from itertools import pairwise

from agents.models.embedded.edits.change import Change
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
_WRAPPERS = (
    "list",
    "sorted",
    "set",
    "tuple",
    "dict",
    "abs",
    "reversed",
    "str",
    "int",
    "float",
    "round",
    "len",
    "sum",
)
_DROPPED = (
    "strip",
    "lower",
    "upper",
    "copy",
    "items",
    "values",
    "keys",
    "title",
    "casefold",
    "rstrip",
    "lstrip",
)
"""Methods without arguments that may be called once too often, or be forgotten."""
_FORGOTTEN = ("strip", "lower", "upper", "copy", "items", "values")
_CONVERSIONS = {
    "list": 0.15,
    "int": 0.15,
    "sorted": 0.15,
    "dict": 0.1,
    "str": 0.1,
    "set": 0.08,
    "abs": 0.08,
    "len": 0.05,
}
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
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load):
            yield from _function(source, place, node, arities)
        elif isinstance(node, ast.Call):
            yield from _unwrapped(source, place, node)
        if isinstance(node, (ast.Name, ast.Attribute)) and isinstance(node.ctx, ast.Load):
            yield from _wrapped(source, place, node)
        elif isinstance(node, ast.Subscript) and isinstance(node.ctx, ast.Load):
            key = node.slice
            if isinstance(key, (ast.Name, ast.Attribute)) or (
                isinstance(key, ast.Constant) and type(key.value) is str
            ):
                span, (of, by) = source.span(node), (source.code(node.value), source.code(key))
                yield Change(*span, f"{of}.get({by})", span, 0.2)
                yield Change(*span, f"{of}.get({by}, 0)", span, 0.2)


def _arities(source: Source) -> dict[str, tuple[int, int]]:
    """For each function of the module how many arguments it takes: at least, at most."""
    found = {}
    for node in source.tree.body:
        if isinstance(node, Function):
            names = [*node.args.posonlyargs, *node.args.args]
            found[node.name] = len(names) - len(node.args.defaults), len(names)
    return found


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


def _unwrapped(source: Source, place: Place, node: ast.Call) -> Iterator[Change]:
    """A call without its conversion, its method at the end, or a keyword that orders."""
    span, function = source.span(node), node.func
    if isinstance(function, ast.Name):
        if function.id in _WRAPPERS and len(node.args) == 1 and not node.keywords:
            if not isinstance(node.args[0], (ast.GeneratorExp, ast.Starred)):
                yield Change(*span, source.code(node.args[0]), span, 0.4)
    elif (
        isinstance(function, ast.Attribute)
        and function.attr in _DROPPED
        and not node.args
        and not node.keywords
    ):
        yield Change(*span, source.code(function.value), span, 0.4)
    elif isinstance(function, ast.Attribute) and function.attr == "get" and 1 <= len(node.args) <= 2:
        yield Change(*span, f"{source.code(function.value)}[{source.code(node.args[0])}]", span, 0.2)
    called = function.id if isinstance(function, ast.Name) else getattr(function, "attr", "")
    if called in ("sorted", "sort", "min", "max") and not isinstance(place.node, ast.Starred):
        yield from _ordered(source, node, called)


def _ordered(source: Source, node: ast.Call, called: str) -> Iterator[Change]:
    """The other order, or one without its key."""
    span = source.span(node)
    code = source.code(node)
    rest = [*(source.code(a) for a in node.args), *(source.code(k.value) for k in node.keywords)]
    if (
        called in ("sorted", "sort")
        and not any(k.arg == "reverse" for k in node.keywords)
        and code.endswith(")")
    ):
        gap = "" if not rest else ", "
        yield Change(*span, f"{code[:-1].rstrip(', ')}{gap}reverse=True)", span, 0.4)
    for keyword in node.keywords:
        if keyword.arg in ("reverse", "key"):
            others = [source.code(a) for a in node.args]
            others += [f"{k.arg}={source.code(k.value)}" for k in node.keywords if k is not keyword and k.arg]
            yield Change(*span, f"{source.code(node.func)}({', '.join(others)})", span, 0.4)


def _wrapped(source: Source, place: Place, node: ast.Name | ast.Attribute) -> Iterator[Change]:
    """A conversion or a copy of a value that is returned, kept or passed on, or a method that is called on it."""
    above = place.above.node if place.above else None
    if above is None or is_called(place) or not source.functions or place.function is None:
        return
    span, text = source.span(node), source.code(node)
    if isinstance(above, (ast.For, ast.comprehension)) and above.iter is node:
        pair = isinstance(above.target, ast.Tuple)
        forms = (
            {"enumerate({})": 0.3, "{}.items()": 0.5} if pair else {"reversed({})": 0.3, "sorted({})": 0.3}
        )
        forms |= {"list({})": 0.15, "{}.values()": 0.15}
    elif isinstance(above, (ast.Return, ast.Assign)) and above.value is node:
        forms = {f"{function}({{}})": weight for function, weight in _CONVERSIONS.items()}
        forms |= {"{}.copy()": 0.15, "{}[:]": 0.1} | {f"{{}}.{m}()": 0.08 for m in _known(source)}
    elif isinstance(above, ast.Call) and (node in above.args or node in [k.value for k in above.keywords]):
        forms = {"list({})": 0.12, "{}.copy()": 0.08, "str({})": 0.05, "int({})": 0.05}
        forms |= {f"{{}}.{m}()": 0.05 for m in _known(source)}
    elif isinstance(above, (ast.Compare, ast.Subscript)) and isinstance(node, ast.Name):
        forms = {"len({})": 0.06, "abs({})": 0.04} | {f"{{}}.{m}()": 0.06 for m in _known(source)}
    else:
        return
    for form, weight in forms.items():
        yield Change(*span, form.format(text), span, weight)


def _known(source: Source) -> tuple[str, ...]:
    """Methods without arguments that the file calls elsewhere."""
    called = source.attributes[1]
    return tuple(method for method in _FORGOTTEN[:3] if method in called)


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
    if (
        isinstance(function, ast.Attribute)
        and len(plain) == 1
        and isinstance(function.value, (ast.Name, ast.Attribute))
    ):
        if (
            isinstance(node.args[0], (ast.Name, ast.Attribute))
            and source.code(function.value) not in source.modules
        ):
            swapped = f"{plain[0]}.{function.attr}({source.code(function.value)})"
            yield Change(*span, swapped, span, 0.15)
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
