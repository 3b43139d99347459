"""Rules for values: what is returned, what a name begins with, what a default shares."""

import ast
from collections.abc import Iterator

from agents.models.embedded.edits import blocks
from agents.models.embedded.edits.change import Change
from agents.models.embedded.edits.names import nearest
from agents.models.embedded.edits.source import Function, Place, Source, parameters

NOTHINGS = ("None", "[]", "0", "{}", '""', "False")
"""Values that stand for nothing."""
_LONGEST = 24
_MUTABLE = (ast.List, ast.Dict, ast.Set)
_NO_RESULTS = (ast.Constant, ast.Yield, ast.YieldFrom, ast.Await)
_EMPTY_CALLS = ("list()", "dict()", "set()")
_BEGINNINGS: dict[str, dict[str, float]] = {
    "0": {
        "1": 0.6,
        "None": 0.5,
        "-1": 0.4,
        'float("-inf")': 0.3,
        'float("inf")': 0.3,
        "[]": 0.2,
        "0.0": 0.1,
        '""': 0.2,
    },
    "1": {"0": 0.8, "2": 0.2, "None": 0.2, "-1": 0.2},
    "-1": {"0": 0.8, "None": 0.4, "1": 0.2, 'float("-inf")': 0.3},
    "None": {"0": 0.5, "[]": 0.4, '""': 0.4, "{}": 0.4, "False": 0.2},
    "[]": {"{}": 0.4, "set()": 0.4, "None": 0.4, '""': 0.3, "0": 0.3, "[[]]": 0.2, "[0]": 0.3, "[1]": 0.2},
    "{}": {"[]": 0.4, "set()": 0.5, "None": 0.3},
    "set()": {"[]": 0.6, "{}": 0.5},
    '""': {"[]": 0.5, "None": 0.4, "0": 0.3, '" "': 0.2},
    "''": {"[]": 0.5, "None": 0.4, "0": 0.3, "' '": 0.2},
    "True": {"False": 1.0, "None": 0.2},
    "False": {"True": 1.0, "None": 0.2},
    'float("inf")': {'float("-inf")': 1.0, "0": 0.6, "None": 0.4},
    'float("-inf")': {'float("inf")': 1.0, "0": 0.6, "None": 0.4},
}
"""What a name may begin with instead of a value."""


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


def initial_value(source: Source) -> Iterator[Change]:
    """Another value that a name begins with: nothing of another sort, the first of what is gone through."""
    for place in source.places:
        node = place.node
        targets = (
            node.targets
            if isinstance(node, ast.Assign)
            else [node.target]
            if isinstance(node, ast.AnnAssign)
            else []
        )
        value = node.value if isinstance(node, (ast.Assign, ast.AnnAssign)) else None
        if len(targets) != 1 or value is None or not isinstance(targets[0], (ast.Name, ast.Attribute)):
            continue
        if place.function is None or not _is_first(source, place.function, targets[0], node):
            continue
        span, text = source.span(value), source.code(value)
        choices = dict(_BEGINNINGS.get(text.replace("'", '"') if "inf" in text else text, {}))
        if isinstance(targets[0], ast.Name) and (choices or isinstance(value, ast.Subscript)):
            gone_through = _gone_through(source, place.function)
            choices |= {f"{name}[0]": 0.5 for name in gone_through[:2]}
            choices |= {name: 0.15 for name in source.visible(place)[:3] if name != targets[0].id}
        if text in ("[]", "set()"):
            form = "[{}]" if text == "[]" else "{{{}}}"
            choices |= {form.format(name): 0.3 for name in parameters(place.function)[:3] if name != "self"}
        elif isinstance(value, (ast.List, ast.Set)) and value.elts:
            choices |= {"[]": 0.5, "set()": 0.5 if isinstance(value, ast.Set) else 0.2}
        if isinstance(value, ast.Subscript):
            choices |= {"0": 0.5, "None": 0.5}
        elif isinstance(value, (ast.Name, ast.Call)) and not choices:
            choices = {"0": 0.2, "None": 0.2} | ({"[]": 0.2} if isinstance(value, ast.Name) else {})
        for new, weight in choices.items():
            if new != text:
                yield Change(*span, new, span, weight)


def _is_first(source: Source, function: Function, target: ast.expr, node: ast.AST) -> bool:
    """Whether an assignment is the first of a name that changes later on, or sets up an object."""
    if isinstance(target, ast.Attribute):
        return function.name == "__init__"
    line = getattr(node, "lineno", 0)
    return isinstance(target, ast.Name) and source.functions[function].get(target.id) == line


def _gone_through(source: Source, function: Function) -> list[str]:
    """What the loops of a function go through, if it has a name."""
    loops = (place.node.iter for place in source.inside[function] if isinstance(place.node, ast.For))
    return list(
        dict.fromkeys(source.code(each) for each in loops if isinstance(each, (ast.Name, ast.Attribute)))
    )


def mutable_default(source: Source) -> Iterator[Change]:
    """Let no two calls or objects share a list, a dictionary or a set."""
    for place in source.places:
        node = place.node
        if isinstance(node, Function):
            yield from _defaults(source, node)
        elif isinstance(node, ast.ClassDef):
            yield from _of_class(source, node)
        elif (
            isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mult) and isinstance(node.left, ast.List)
        ):
            inner = node.left.elts[0] if len(node.left.elts) == 1 else None
            if isinstance(inner, (*_MUTABLE, ast.ListComp, ast.BinOp, ast.Call)):
                span = source.span(node)
                yield Change(
                    *span, f"[{source.code(inner)} for _ in range({source.code(node.right)})]", span, 3.0
                )
        elif isinstance(node, ast.Call) and getattr(node.func, "attr", "") == "fromkeys":
            shared = [source.code(argument) for argument in node.args if isinstance(argument, _MUTABLE)]
            if len(node.args) == 2 and shared:
                keys, span = source.code(node.args[0]), source.span(node)
                yield Change(*span, f"{{key: {shared[-1]} for key in {keys}}}", span, 3.0)


def _is_mutable(source: Source, node: ast.expr | None) -> bool:
    return isinstance(node, _MUTABLE) or (node is not None and source.code(node) in _EMPTY_CALLS)


def _defaults(source: Source, function: Function) -> Iterator[Change]:
    """A default of None instead of a shared one, and a fresh one within."""
    arguments = function.args
    names = [*arguments.posonlyargs, *arguments.args]
    pairs = [*zip(names[len(names) - len(arguments.defaults) :], arguments.defaults, strict=True)]
    pairs += [
        (name, default)
        for name, default in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True)
        if default
    ]
    first = blocks.without_docstring(function.body)[:1]
    for name, default in pairs:
        span, text = source.span(default), source.code(default)
        if _is_mutable(source, default):
            yield Change(*span, "None", span, 3.0)
        if not first or not blocks.stands_alone(source, first[0]) or first[0].lineno <= function.lineno:
            continue
        blanks, empty = blocks.indent(source, first[0]), text if _is_mutable(source, default) else "[]"
        setting = [f"if {name.arg} is None:", f"{source.unit}{name.arg} = {empty}"]
        if _is_mutable(source, default):
            start, end = source.line_span(function.lineno, first[0].lineno)
            if first[0].lineno - function.lineno < blocks.TALLEST - 2:
                head = (
                    source.cut(start, span[0])
                    + "None"
                    + source.cut(span[1], source.line_span(1, first[0].lineno - 1)[1])
                )
                lines = [
                    head,
                    *(blanks + line for line in setting),
                    blocks.text(source, first[0].lineno, first[0].lineno),
                ]
                yield Change(start, end, "\n".join(lines), span, 5.0)
        elif text == "None":
            yield blocks.insertion(source, first[0], setting, 0.5)
            yield blocks.insertion(source, first[0], [setting[0], setting[1].replace("[]", "{}")], 0.3)


def _of_class(source: Source, node: ast.ClassDef) -> Iterator[Change]:
    """Attributes of each object instead of ones of the class, where it has no constructor."""
    if any(isinstance(s, Function) and s.name == "__init__" for s in node.body):
        return
    kept = [s for s in node.body if isinstance(s, ast.Assign) and not source.code(s.targets[0]).isupper()]
    if not any(_is_mutable(source, s.value) for s in kept) or not all(
        blocks.stands_alone(source, s) for s in kept
    ):
        return
    first, last = kept[0].lineno, blocks.last_line(kept[-1])
    if last - first == len(kept) - 1 < blocks.TALLEST - 1:
        blanks, span = blocks.indent(source, kept[0]), source.line_span(first, last)
        body = [f"{blanks}{source.unit}self.{source.code(s)}" for s in kept]
        yield Change(*span, "\n".join([f"{blanks}def __init__(self):", *body]), span, 3.0)
