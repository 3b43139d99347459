"""Rules for operators, comparisons and truth: mistakes that lie between names and values, not in them."""

import ast
from collections.abc import Iterator
from itertools import pairwise

from agents.models.embedded.edits.change import Change
from agents.models.embedded.edits.source import Place, Source

_COMPARISONS: dict[type[ast.cmpop], tuple[str, dict[str, float]]] = {
    ast.Lt: ("<", {"<=": 1, ">": 0.6, ">=": 0.25, "!=": 0.1, "==": 0.1}),
    ast.LtE: ("<=", {"<": 1, ">=": 0.6, ">": 0.25, "==": 0.15}),
    ast.Gt: (">", {">=": 1, "<": 0.6, "<=": 0.25, "!=": 0.1, "==": 0.1}),
    ast.GtE: (">=", {">": 1, "<=": 0.6, "<": 0.25, "==": 0.15}),
    ast.Eq: ("==", {"!=": 1, ">=": 0.25, "<=": 0.25, "<": 0.1, ">": 0.1, "in": 0.1}),
    ast.NotEq: ("!=", {"==": 1, "<": 0.2, ">": 0.2, "not in": 0.1}),
    ast.Is: ("is", {"is not": 1, "==": 0.4}),
    ast.IsNot: ("is not", {"is": 1, "!=": 0.2}),
    ast.In: ("in", {"not in": 1, "==": 0.15}),
    ast.NotIn: ("not in", {"in": 1, "!=": 0.1}),
}
_ARITHMETIC: dict[type[ast.operator], tuple[str, dict[str, float]]] = {
    ast.Add: ("+", {"-": 1, "*": 0.3}),
    ast.Sub: ("-", {"+": 1, "*": 0.1, "%": 0.1, "//": 0.1}),
    ast.Mult: ("*", {"/": 0.5, "+": 0.5, "//": 0.3, "**": 0.4}),
    ast.Div: ("/", {"//": 1, "*": 0.7}),
    ast.FloorDiv: ("//", {"/": 1, "%": 0.7, "*": 0.3}),
    ast.Mod: ("%", {"//": 1, "/": 0.2}),
    ast.Pow: ("**", {"*": 1}),
    ast.BitAnd: ("&", {"|": 1, "^": 0.4, "-": 0.2}),
    ast.BitOr: ("|", {"&": 1, "^": 0.4}),
    ast.BitXor: ("^", {"|": 1, "&": 0.6}),
    ast.LShift: ("<<", {">>": 1}),
    ast.RShift: (">>", {"<<": 1}),
}
_PRODUCTS = (ast.Mult, ast.Div, ast.FloorDiv, ast.Mod)


def _swaps(span: tuple[int, int] | None, choices: dict[str, float]) -> Iterator[Change]:
    if span:
        for new, weight in choices.items():
            yield Change(*span, new, span, weight)


def comparison(source: Source) -> Iterator[Change]:
    """Another comparison: `<` for `<=`, `is` for `is not`, `in` for `not in`."""
    for place in source.places:
        if isinstance(place.node, ast.Compare):
            operands = [place.node.left, *place.node.comparators]
            for left, operator, right in zip(operands, place.node.ops, operands[1:], strict=False):
                symbol, choices = _COMPARISONS[type(operator)]
                yield from _swaps(source.between(left, right, symbol), choices)


def operator(source: Source) -> Iterator[Change]:
    """Another arithmetic or augmented operator, another sign, or another grouping of two operators."""
    for place in source.places:
        node = place.node
        if isinstance(node, ast.BinOp) and type(node.op) in _ARITHMETIC:
            if isinstance(node.left, (ast.Constant, ast.JoinedStr)) and isinstance(node.op, ast.Mod):
                continue  # formatting
            symbol, choices = _ARITHMETIC[type(node.op)]
            yield from _swaps(source.between(node.left, node.right, symbol), choices)
            yield from _grouped(source, node)
        elif isinstance(node, ast.AugAssign) and type(node.op) in _ARITHMETIC:
            symbol, choices = _ARITHMETIC[type(node.op)]
            augmented = {f"{new}=": weight for new, weight in choices.items()} | {"=": 0.6}
            yield from _swaps(source.between(node.target, node.value, f"{symbol}="), augmented)
        elif isinstance(node, ast.Assign) and _is_reassignment(source, place, node):
            span = source.between(node.targets[0], node.value, "=")
            yield from _swaps(span, {"+=": 0.4, "-=": 0.1})
        elif isinstance(node, ast.UnaryOp) and isinstance(node.op, (ast.USub, ast.Invert)):
            span = source.span(node)
            if not isinstance(node.operand, ast.Constant):
                yield Change(*span, source.code(node.operand), span)
        elif isinstance(node, (ast.Name, ast.Subscript, ast.Attribute, ast.Call)) and _is_sorted_by(place):
            span = source.span(node)
            yield Change(*span, f"-{source.code(node)}", span, 0.4)


def _grouped(source: Source, node: ast.BinOp) -> Iterator[Change]:
    """Put brackets around a sum that a product tears apart, or take them away."""
    span = source.span(node)
    if not isinstance(node.op, _PRODUCTS):
        inner = node.right
        torn = isinstance(inner, ast.BinOp) and isinstance(inner.op, _PRODUCTS) and source.is_bare(inner)
        if torn and isinstance(inner, ast.BinOp) and isinstance(node.op, (ast.Add, ast.Sub)):
            middle, end = source.span(inner.left)[1], span[1]
            yield Change(*span, f"({source.cut(span[0], middle)}){source.cut(middle, end)}", span, 0.3)
        return
    for part in (node.left, node.right):
        if (
            isinstance(part, ast.BinOp)
            and isinstance(part.op, (ast.Add, ast.Sub))
            and not source.is_bare(part)
        ):
            start, end = source.span(part)
            outer = (start - 1, end + 1)
            if source.data[outer[0] : start] == b"(" and source.data[end : outer[1]] == b")":
                yield Change(*outer, source.code(part), span, 0.3)


def _is_sorted_by(place: Place) -> bool:
    """Whether a node is what a `key=lambda …` gives, or a part of the tuple that it gives."""
    above = place.above
    if above and isinstance(above.node, ast.Tuple):
        above = above.above
    return above is not None and isinstance(above.node, ast.Lambda) and place.node is not above.node.args


def boolean_operator(source: Source) -> Iterator[Change]:
    """`and` for `or` and the other way round, for one of them or all, or another grouping of both."""
    for place in source.places:
        node = place.node
        if not isinstance(node, ast.BoolOp):
            continue
        symbol, other = ("and", "or") if isinstance(node.op, ast.And) else ("or", "and")
        for left, right in pairwise(node.values):
            yield from _swaps(source.between(left, right, symbol), {other: 1})
        span = source.span(node)
        for number, value in enumerate(node.values):
            if (
                isinstance(value, ast.BoolOp)
                and len(node.values) == len(value.values) == 2
                and source.is_bare(value)
            ):
                start, end = source.span(value.values[0])[1], source.span(value.values[1])[0]
                if number:  # a or b and c
                    new = f"({source.cut(span[0], start)}){source.cut(start, span[1])}"
                else:  # a and b or c
                    new = f"{source.cut(span[0], end)}({source.cut(end, span[1])})"
                yield Change(*span, new, span, 0.5)
            elif isinstance(value, ast.BoolOp) and not source.is_bare(value):
                start, end = source.span(value)
                if source.cut(start - 1, start) + source.cut(end, end + 1) == "()":
                    yield Change(start - 1, end + 1, source.code(value), span, 0.5)


def _is_reassignment(source: Source, place: Place, node: ast.Assign) -> bool:
    """Whether an assignment gives a value to something that may already have one."""
    target = node.targets[0]
    if isinstance(node.value, (ast.Constant, ast.List, ast.Dict, ast.Tuple)) or len(node.targets) > 1:
        return False
    if isinstance(target, ast.Name):
        bound = source.functions[place.function].get(target.id) if place.function else None
        return bound is not None and bound < node.lineno
    in_constructor = place.function is not None and place.function.name == "__init__"
    return isinstance(target, (ast.Attribute, ast.Subscript)) and not in_constructor


def negation(source: Source) -> Iterator[Change]:
    """Add or take away a `not`."""
    for place in source.places:
        node, above = place.node, place.above.node if place.above else None
        if not isinstance(node, ast.expr):
            continue
        span = source.span(node)
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
            yield Change(*span, source.code(node.operand), span, 1.0)
        elif isinstance(above, ast.UnaryOp) or isinstance(node, (ast.Compare, ast.Constant)):
            continue
        elif _is_condition(node, above):
            text = source.code(node)
            closed = isinstance(node, (ast.Name, ast.Attribute, ast.Call, ast.Subscript))
            yield Change(*span, f"not {text}" if closed else f"not ({text})", span, 1.0 if closed else 0.5)


def _is_condition(node: ast.expr, above: ast.AST | None) -> bool:
    if isinstance(above, (ast.If, ast.While, ast.IfExp, ast.Assert)):
        return above.test is node
    if isinstance(above, ast.comprehension):
        return node in above.ifs
    if isinstance(above, ast.BoolOp):
        return isinstance(node, (ast.Name, ast.Attribute, ast.Call, ast.Subscript))
    truths = ("all", "any", "isinstance", "bool", "callable", "hasattr")
    name = getattr(node.func, "id", getattr(node.func, "attr", "")) if isinstance(node, ast.Call) else ""
    return isinstance(above, ast.Return) and (
        name in truths or name.startswith(("is", "has", "starts", "ends"))
    )
