"""How a function uses its names: what hints at which of them could be empty, zero, absent or out of bounds."""

import ast
from collections.abc import Iterable

from agents.models.embedded.edits.source import Function, Place, Source, on_self

MANY, DIVISOR, NUMBER, OBJECT, TEXT, KEY = "many", "divisor", "number", "object", "text", "key"
RISKY_CALLS = ("min", "max", "next", "mean")
_GOES_THROUGH = (
    "len",
    "sum",
    "sorted",
    "list",
    "set",
    "tuple",
    "any",
    "all",
    "enumerate",
    "zip",
    "reversed",
    "iter",
)
_OF_TEXT = (
    "strip", "split", "lower", "upper", "startswith", "endswith", "replace", "splitlines", "partition", "isdigit",
    "title", "lstrip", "rstrip", "find", "isalpha", "capitalize",
)  # fmt: skip
_ORDERS = (ast.Lt, ast.LtE, ast.Gt, ast.GtE)
_DIVISIONS = (ast.Div, ast.FloorDiv, ast.Mod)

Uses = dict[str, dict[str, None]]
"""For each name, or attribute of self, the sorts of uses that it is put to, in order of appearance."""


def of_places(source: Source, places: Iterable[Place]) -> Uses:
    """How the names and the attributes of self in some places are used."""
    found: Uses = {}
    for place in places:
        node = place.node
        is_own = isinstance(node, ast.Attribute) and on_self(node)
        if (isinstance(node, ast.Name) and node.id not in ("self", "cls")) or is_own:
            sort = _sort(place)
            if sort and isinstance(node, (ast.Name, ast.Attribute)):
                found.setdefault(source.code(node), {})[sort] = None
    return found


def _sort(place: Place) -> str:
    """What a name is used as."""
    node, above = place.node, place.above.node if place.above else None
    if isinstance(above, (ast.For, ast.AsyncFor, ast.comprehension)):
        return MANY if above.iter is node else ""
    if isinstance(above, ast.Subscript):
        return MANY if above.value is node else KEY if isinstance(node, ast.Name) else ""
    if isinstance(above, ast.Attribute):
        if above.attr in ("pop", "popleft"):
            return MANY
        return TEXT if above.attr in _OF_TEXT else OBJECT
    if isinstance(above, ast.Call) and isinstance(above.func, ast.Name) and above.func is not node:
        if above.func.id in (*_GOES_THROUGH, *RISKY_CALLS) and len(above.args) == 1:
            return MANY
        return NUMBER if above.func.id == "range" else ""
    if isinstance(above, ast.BinOp):
        if isinstance(above.op, _DIVISIONS) and not isinstance(above.left, (ast.Constant, ast.JoinedStr)):
            return DIVISOR if above.right is node else NUMBER
        return NUMBER if isinstance(above.op, (ast.Sub, ast.Mult, ast.Pow)) else ""
    if isinstance(above, ast.AugAssign):
        return NUMBER if isinstance(above.op, (ast.Add, ast.Sub, ast.Mult)) and above.value is node else ""
    if isinstance(above, ast.Compare):
        if any(isinstance(o, _ORDERS) for o in above.ops):
            return NUMBER
        return KEY if isinstance(above.ops[0], (ast.In, ast.NotIn)) and above.left is node else ""
    return ""


def containers_of(source: Source, places: Iterable[Place], name: str) -> list[str]:
    """What a name is looked up in, or as a key of: `d` of `d[name]`, of `name in d`, of `d.add(name)`."""
    found: dict[str, None] = {}
    for place in places:
        node = place.node
        if isinstance(node, ast.Subscript) and source.code(node.slice) == name:
            found[source.code(node.value)] = None
        elif isinstance(node, ast.Compare) and isinstance(node.ops[0], (ast.In, ast.NotIn)):
            if source.code(node.left) == name:
                found[source.code(node.comparators[0])] = None
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            is_added = node.func.attr == "add" and [source.code(each) for each in node.args] == [name]
            found |= {source.code(node.func.value): None} if is_added else {}
    return [text for text in found if text.replace(".", "").isidentifier()]


def counters(source: Source, function: Function) -> frozenset[str]:
    """Names that loops over `range` or `enumerate` count with: they are no keys."""
    found: set[str] = set()
    for place in source.inside[function]:
        node = place.node
        called = node.iter if isinstance(node, (ast.For, ast.comprehension)) else None
        counts = isinstance(called, ast.Call) and getattr(called.func, "id", "") in ("range", "enumerate")
        if counts and isinstance(node, (ast.For, ast.comprehension)):
            first = node.target.elts[0] if isinstance(node.target, ast.Tuple) else node.target
            found |= {first.id} if isinstance(first, ast.Name) else set()
    return frozenset(found)


def tests(source: Source, function: Function) -> frozenset[str]:
    """The conditions that a function tests already, and the parts of those that are composed."""
    found: set[str] = set()
    for place in source.inside[function]:
        node = place.node
        if isinstance(node, (ast.If, ast.While, ast.IfExp)):
            found.add(source.code(node.test))
            if isinstance(node.test, ast.BoolOp):
                found |= {source.code(value) for value in node.test.values}
    return frozenset(found)
