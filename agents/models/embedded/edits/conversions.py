"""Conversions, copies and orders that are too much or too little: a part of the wrong calls."""

import ast
from collections.abc import Iterator

from agents.models.embedded.edits import uses
from agents.models.embedded.edits.change import Change
from agents.models.embedded.edits.source import Place, Source, is_called
from agents.models.embedded.edits.uses import DIVISOR, KEY, MANY, NUMBER, OBJECT, TEXT

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
"""Methods without arguments that may be called once too often."""
_OF_TEXT = ("strip", "lower", "upper")
"""Methods that may be forgotten, where the file calls them elsewhere."""
_KEEPING = (ast.Return, ast.Assign, ast.DictComp, ast.ListComp, ast.SetComp, ast.GeneratorExp)
"""What keeps a value as it is."""
_FORMS: dict[str, dict[str, float]] = {
    TEXT: {"int({})": 0.15, "list({})": 0.1},
    NUMBER: {"int({})": 0.2, "abs({})": 0.1, "str({})": 0.1},
    DIVISOR: {"float({})": 0.1, "abs({})": 0.1},
    MANY: {"list({})": 0.2, "sorted({})": 0.2, "{}.copy()": 0.15, "set({})": 0.1},
    KEY: {"int({})": 0.1, "str({})": 0.1},
    OBJECT: {"{}.copy()": 0.2, "list({})": 0.1},
    "": {
        "list({})": 0.15,
        "int({})": 0.15,
        "sorted({})": 0.1,
        "{}.copy()": 0.15,
        "dict({})": 0.1,
        "str({})": 0.05,
    },
}
"""What a value may have to be made first, by how its name is used."""


def conversions(source: Source) -> Iterator[Change]:
    """Calls that convert, copy or order, left out or put in; and `get` for a subscript or the other way round."""
    used = {function: uses.of_places(source, places) for function, places in source.inside.items()}
    for place in source.places:
        node = place.node
        if isinstance(node, ast.Call):
            yield from _unwrapped(source, node)
        elif isinstance(node, (ast.Name, ast.Attribute)) and isinstance(node.ctx, ast.Load):
            if place.function and not is_called(place):
                yield from _wrapped(source, place, node, used[place.function])
        elif isinstance(node, ast.Subscript) and isinstance(node.ctx, ast.Load):
            key, span = node.slice, source.span(node)
            is_text = isinstance(key, ast.Constant) and isinstance(key.value, str)
            if is_text or isinstance(key, (ast.Name, ast.Attribute)):
                for rest in ("", ", 0"):
                    got = f"{source.code(node.value)}.get({source.code(key)}{rest})"
                    yield Change(*span, got, span, 0.2)


def _unwrapped(source: Source, node: ast.Call) -> Iterator[Change]:
    """A call without its conversion, its method at the end, or a keyword that orders."""
    span, function = source.span(node), node.func
    if isinstance(function, ast.Name):
        converts = function.id in _WRAPPERS and len(node.args) == 1 and not node.keywords
        if converts and not isinstance(node.args[0], (ast.GeneratorExp, ast.Starred)):
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
    if called in ("sorted", "sort", "min", "max"):
        yield from _ordered(source, node, called)
    yield from _passed(source, node, called)


def _passed(source: Source, node: ast.Call, called: str) -> Iterator[Change]:
    """What a built-in method or function takes besides, or need not be given."""
    span, function = source.span(node), source.code(node.func)
    given = [source.code(argument) for argument in node.args]
    forms: dict[str, float] = {}
    is_method = isinstance(node.func, ast.Attribute)
    if node.keywords or any(isinstance(argument, (ast.Starred, ast.GeneratorExp)) for argument in node.args):
        return
    if called == "pop" and is_method:
        forms = (
            {f"{function}()": 0.7}
            if given in (["0"], ["-1"])
            else {f"{function}(0)": 0.7}
            if not given
            else {}
        )
        forms |= {f"{function}({given[0]}, None)": 0.4} if len(given) == 1 else {}
    elif called == "append" and len(given) == 1:
        forms = {f"{function.removesuffix('append')}insert(0, {given[0]})": 0.4}
    elif called == "insert" and len(given) == 2:
        forms = {f"{function.removesuffix('insert')}append({given[1]})": 1.0}
    elif called == "get" and is_method and given:
        forms = {f"{function}({given[0]}, {default})": 0.3 for default in ("0", "[]", "1", '""')}
        forms |= {f"{function}({given[0]})": 0.4} if len(given) == 2 else {}
    elif called in ("min", "max") and len(given) == 1:
        forms = {f"{function}({given[0]}, default={default})": 0.4 for default in ("0", "None")}
    elif called in ("split", "strip", "rstrip", "lstrip", "round") and is_method == (called != "round"):
        kept = given[:1] if called == "round" else []
        forms = {f"{function}({', '.join(kept)})": 0.5} if len(given) > len(kept) else {}
        forms |= {f"{function}({given[0]}, 2)": 0.5} if called == "round" and len(given) == 1 else {}
        forms |= {f'{function}(" ")': 0.2, f'{function}(",")': 0.2} if called == "split" and not given else {}
    for form, weight in forms.items():
        if form != source.code(node):
            yield Change(*span, form, span, weight)


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


def _wrapped(
    source: Source, place: Place, node: ast.Name | ast.Attribute, used: uses.Uses
) -> Iterator[Change]:
    """A conversion or a copy of a value that is gone through, returned, kept, passed on or compared."""
    above = place.above.node if place.above else None
    span, text = source.span(node), source.code(node)
    sorts = list(used.get(text, {})) or [""]
    of_text = (
        [f"{{}}.{m}()" for m in _OF_TEXT if m in source.attributes[1]] if sorts[0] in (TEXT, KEY, "") else []
    )
    if isinstance(above, (ast.For, ast.comprehension)) and above.iter is node:
        forms = {"reversed({})": 0.3, "sorted({})": 0.3}
        if isinstance(above.target, ast.Tuple):
            forms = {"enumerate({})": 0.3, "{}.items()": 0.5}
        forms |= {"list({})": 0.15, "{}.values()": 0.15}
    elif getattr(above, "value", getattr(above, "elt", None)) is node and isinstance(above, _KEEPING):
        forms = {form: weight for sort in sorts for form, weight in _FORMS[sort].items()} | dict.fromkeys(
            of_text, 0.1
        )
    elif isinstance(above, ast.Call) and (node in above.args or node in [k.value for k in above.keywords]):
        first = dict(list(_FORMS[sorts[0]].items())[:2])
        forms = {form: weight / 2 for form, weight in first.items()} | dict.fromkeys(of_text[:2], 0.05)
    elif isinstance(above, (ast.Compare, ast.Subscript)) and getattr(above, "value", None) is not node:
        forms = {"len({})": 0.06} | dict.fromkeys(of_text[:2], 0.06)
    else:
        return
    for form, weight in forms.items():
        yield Change(*span, form.format(text), span, weight)
