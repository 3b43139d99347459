"""The rule for results: what is returned. And which values a function may return early."""

import ast
from collections.abc import Iterator

from agents.models.embedded.edits.change import Change
from agents.models.embedded.edits.names import nearest
from agents.models.embedded.edits.source import Function, Place, Source, parameters

NOTHINGS = ("None", "[]", "0", "{}", '""', "False")
"""Values that stand for nothing."""
_LONGEST = 24
_NO_RESULTS = (ast.Constant, ast.Yield, ast.YieldFrom, ast.Await)


def own_returns(source: Source, function: Function) -> list[ast.Return]:
    """The `return` statements of a function, those of functions within it left out."""
    return [place.node for place in source.inside[function] if isinstance(place.node, ast.Return)]


def returned(source: Source, function: Function) -> dict[str, float]:
    """Values that a function may return early, and how well each fits what it returns elsewhere.

    The empty text stands for a bare `return`: the only value of a function that returns none.
    """
    values = [r.value for r in own_returns(source, function) if r.value is not None]
    if not values:
        return {"": 1.0}
    found: dict[str, float] = {}
    for value in values:
        for text, weight in _nothings_like(source, function, value, deep=True).items():
            found[text] = max(found.get(text, 0.0), weight)
    found.setdefault("None", 0.5)
    return found


def _nothings_like(source: Source, function: Function, value: ast.expr, *, deep: bool) -> dict[str, float]:
    """Constants that are of the same sort as a returned value."""
    text = source.code(value)
    if isinstance(value, (ast.Constant, ast.List, ast.Dict, ast.Tuple, ast.UnaryOp)) and len(text) < _LONGEST:
        opposite = {"True": "False", "False": "True"}
        return {text: 1.0} | ({opposite[text]: 0.6} if text in opposite else {})
    if isinstance(value, (ast.List, ast.ListComp)):
        return {"[]": 1.0}
    if isinstance(value, (ast.Dict, ast.DictComp)):
        return {"{}": 1.0}
    if isinstance(value, (ast.Set, ast.SetComp)):
        return {"set()": 1.0}
    if isinstance(value, (ast.Compare, ast.BoolOp)):
        return {"False": 1.0, "True": 0.6}
    if isinstance(value, ast.JoinedStr):
        return {'""': 0.8}
    if isinstance(value, ast.IfExp):
        return _nothings_like(source, function, value.body, deep=deep) | _nothings_like(
            source, function, value.orelse, deep=deep
        )
    if isinstance(value, ast.BinOp):
        inner = {**_sum(value), **_nothings_like(source, function, value.left, deep=deep)}
        return inner | ({"0.0": 0.8} if isinstance(value.op, ast.Div) else {})
    if isinstance(value, ast.Call):
        name = value.func.id if isinstance(value.func, ast.Name) else getattr(value.func, "attr", "")
        return _BY_CALL.get(name, {})
    if isinstance(value, ast.Name) and deep:
        found = {value.id: 0.4} if value.id in parameters(function) else {}
        for place in source.inside[function]:
            node = place.node
            if isinstance(node, ast.Assign) and value.id in [getattr(t, "id", "") for t in node.targets]:
                found |= _nothings_like(source, function, node.value, deep=False)
        return found
    return {}


def _sum(value: ast.BinOp) -> dict[str, float]:
    """What a sum or a product is of nothing, unless one side says that it is no number."""
    if any(isinstance(side, (ast.List, ast.ListComp)) for side in (value.left, value.right)):
        return {"[]": 1.0}
    if any(isinstance(side, ast.JoinedStr) for side in (value.left, value.right)):
        return {'""': 1.0}
    return {"1": 1.0, "0": 0.5} if isinstance(value.op, (ast.Mult, ast.Pow)) else {"0": 1.0, "1": 0.4}


_NUMBER, _LIST, _TEXT, _TRUTH = {"0": 1.0, "1": 0.2}, {"[]": 1.0}, {'""': 1.0}, {"False": 1.0, "True": 0.6}
_BY_CALL: dict[str, dict[str, float]] = {
    **dict.fromkeys(("sum", "len", "min", "max", "abs", "int", "round", "count", "index"), _NUMBER),
    **dict.fromkeys(("list", "sorted", "split", "splitlines", "keys"), _LIST),
    **dict.fromkeys(("str", "join", "strip", "lower", "upper", "replace", "title", "repr"), _TEXT),
    **dict.fromkeys(("any", "all", "isinstance", "bool", "startswith", "endswith", "isdigit"), _TRUTH),
    "dict": {"{}": 1.0},
    "set": {"set()": 1.0},
    "float": {"0.0": 1.0},
}


def result(source: Source) -> Iterator[Change]:
    """Return something else: another local value, another constant, what is now computed and dropped."""
    for place in source.places:
        node = place.node
        if isinstance(node, ast.Return) and place.function:
            yield from _other_result(source, place, node)
        elif isinstance(node, ast.Expr) and place.function and not isinstance(node.value, _NO_RESULTS):
            start = source.span(node)[0]
            yield Change(
                start, start, "return ", (start, start), 0.3 if isinstance(node.value, ast.Call) else 5.0
            )
        elif isinstance(node, (ast.Yield, ast.YieldFrom)) and node.value is not None:
            span, text = source.span(node), source.code(node.value)
            yield Change(*span, f"yield {'from ' if isinstance(node, ast.Yield) else ''}{text}", span, 0.3)


def _other_result(source: Source, place: Place, node: ast.Return) -> Iterator[Change]:
    if place.function is None:
        return
    span = source.span(node)
    if node.value is None:
        for other in nearest(source, place, source.visible(place))[:3]:
            yield Change(*span, f"return {other}", span, 0.3)
        return
    text, span = source.code(node.value), source.span(node.value)
    elsewhere = [
        source.code(r.value) for r in own_returns(source, place.function) if r.value and r is not node
    ]
    weights = {other: 0.3 for other in elsewhere if len(other) < _LONGEST and "\n" not in other}
    if isinstance(node.value, ast.Name):
        weights |= dict.fromkeys(nearest(source, place, source.visible(place))[:3], 0.3)
    else:
        parts = {n.id for n in ast.walk(node.value) if isinstance(n, ast.Name)}
        visible = source.visible(place)
        names = nearest(source, place, [n for n in visible if n not in parts])
        weights |= dict.fromkeys([*names[:3], *sorted(parts & set(visible))], 0.5)
    if isinstance(node.value, ast.Tuple) and len(node.value.elts) == 2:
        weights |= {source.code(part): 0.4 for part in node.value.elts}
    if text in NOTHINGS or text == "''":
        fitting = returned(source, place.function)
        weights |= {other: 0.6 if other in fitting else 0.3 for other in (*NOTHINGS, *fitting)}
        weights |= {"True": 0.3, "-1": 0.2, "1": 0.2} | (
            {"self": 0.4} if place.owner and text == "None" else {}
        )
    elif isinstance(node.value, ast.Constant):
        weights |= {"None": 0.4} | dict.fromkeys(nearest(source, place, source.visible(place))[:3], 0.3)
    for other, weight in weights.items():
        if other not in ("", text):
            yield Change(*span, other, span, weight)
