"""Rules for beginnings: the value that a name has at first, and a default that calls share."""

import ast
from collections.abc import Iterator

from agents.models.embedded.edits import blocks, uses
from agents.models.embedded.edits.change import Change
from agents.models.embedded.edits.source import Function, Place, Source, parameters

_MUTABLE = (ast.List, ast.Dict, ast.Set)
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


def initial_value(source: Source) -> Iterator[Change]:
    """Another value that a name begins with: nothing of another sort, the first of what is gone through."""
    for place in source.places:
        node = place.node
        if place.function is None or not isinstance(node, (ast.Assign, ast.AnnAssign)) or node.value is None:
            continue
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        pairs = [(target, node.value) for target in targets[:1]]
        if isinstance(targets[0], ast.Tuple) and isinstance(node.value, ast.Tuple):
            pairs = list(zip(targets[0].elts, node.value.elts, strict=False))
        for target, value in pairs:
            if _is_first(source, place.function, target, node):
                span, text = source.span(value), source.code(value)
                for new, weight in _other_beginnings(source, place, place.function, target, value).items():
                    if new != text:
                        yield Change(*span, new, span, weight)


def _other_beginnings(
    source: Source, place: Place, function: Function, target: ast.expr, value: ast.expr
) -> dict[str, float]:
    text = source.code(value)
    choices = dict(_BEGINNINGS.get(text.replace("'", '"') if "inf" in text else text, {}))
    names = [name for name in parameters(function)[:3] if name not in ("self", "cls")]
    if isinstance(target, ast.Name) and (choices or isinstance(value, ast.Subscript)):
        gone_through = _gone_through(source, function)
        choices |= {f"{name}[0]": 0.5 for name in gone_through[:2]}
        choices |= {name: 0.15 for name in source.visible(place)[:3] if name != target.id}
        if text in ("0", "1", "-1"):
            many = [
                name
                for name in names
                if uses.MANY in uses.of_places(source, source.inside[function]).get(name, {})
            ]
            choices |= {f"len({name})": 0.1 for name in many} | {f"len({name}) - 1": 0.1 for name in many}
    if text in ("[]", "set()", "{}"):
        forms = {"[]": ["[{}]"], "set()": ["{{{}}}"], "{}": ["{{{}: 0}}", "{{{}: None}}"]}[text]
        choices |= {form.format(name): 0.3 for name in names for form in forms}
    elif isinstance(value, (ast.List, ast.Set)) and value.elts:
        choices |= {"[]": 0.5, "set()": 0.5 if isinstance(value, ast.Set) else 0.2}
    elif isinstance(value, ast.Dict) and value.keys:
        choices |= {"{}": 0.5}
    if isinstance(value, ast.Subscript):
        choices |= {"0": 0.5, "None": 0.5}
    elif isinstance(value, (ast.Name, ast.Call)) and not choices:
        choices = {"0": 0.2, "None": 0.2} | ({"[]": 0.2} if isinstance(value, ast.Name) else {})
    return choices


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
