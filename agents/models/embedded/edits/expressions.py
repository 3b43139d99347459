"""Rules for operators, constants, bounds and truth: mistakes within an expression that name nothing else."""

import ast
from collections.abc import Iterator

from agents.models.embedded.edits.change import Change
from agents.models.embedded.edits.source import Place, Source

_COMPARISONS: dict[type[ast.cmpop], tuple[str, dict[str, float]]] = {
    ast.Lt: ("<", {"<=": 1, ">": 0.6, ">=": 0.25, "!=": 0.1}),
    ast.LtE: ("<=", {"<": 1, ">=": 0.6, ">": 0.25, "==": 0.15}),
    ast.Gt: (">", {">=": 1, "<": 0.6, "<=": 0.25, "!=": 0.1}),
    ast.GtE: (">=", {">": 1, "<=": 0.6, "<": 0.25, "==": 0.15}),
    ast.Eq: ("==", {"!=": 1, ">=": 0.25, "<=": 0.25, "<": 0.1, ">": 0.1}),
    ast.NotEq: ("!=", {"==": 1, "<": 0.2, ">": 0.2}),
    ast.Is: ("is", {"is not": 1, "==": 0.4}),
    ast.IsNot: ("is not", {"is": 1, "!=": 0.2}),
    ast.In: ("in", {"not in": 1, "==": 0.15}),
    ast.NotIn: ("not in", {"in": 1, "!=": 0.1}),
}
_ARITHMETIC: dict[type[ast.operator], tuple[str, dict[str, float]]] = {
    ast.Add: ("+", {"-": 1, "*": 0.3}),
    ast.Sub: ("-", {"+": 1, "*": 0.1, "%": 0.1}),
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
    """Another arithmetic, Boolean, augmented or unary operator."""
    for place in source.places:
        node = place.node
        if isinstance(node, ast.BinOp) and type(node.op) in _ARITHMETIC:
            if isinstance(node.left, (ast.Constant, ast.JoinedStr)) and isinstance(node.op, ast.Mod):
                continue  # formatting
            symbol, choices = _ARITHMETIC[type(node.op)]
            yield from _swaps(source.between(node.left, node.right, symbol), choices)
        elif isinstance(node, ast.BoolOp):
            symbol, other = ("and", "or") if isinstance(node.op, ast.And) else ("or", "and")
            for left, right in zip(node.values, node.values[1:], strict=False):
                yield from _swaps(source.between(left, right, symbol), {other: 1})
        elif isinstance(node, ast.AugAssign) and type(node.op) in _ARITHMETIC:
            symbol, choices = _ARITHMETIC[type(node.op)]
            augmented = {f"{new}=": weight for new, weight in choices.items()} | {"=": 0.6}
            yield from _swaps(source.between(node.target, node.value, f"{symbol}="), augmented)
        elif isinstance(node, ast.Assign) and _is_reassignment(source, place, node):
            span = source.between(node.targets[0], node.value, "=")
            yield from _swaps(span, {"+=": 0.4, "-=": 0.1})
        elif isinstance(node, ast.UnaryOp) and isinstance(node.op, (ast.USub, ast.Invert)):
            start, end = source.span(node)
            if not isinstance(node.operand, ast.Constant):
                yield Change(start, end, source.code(node.operand), (start, end))


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


def constant(source: Source) -> Iterator[Change]:
    """A neighbouring number, the other sign of an index, or the other truth value."""
    for place in source.places:
        node = place.node
        if not isinstance(node, ast.Constant) or _is_default_of_format(place):
            continue
        above = place.above.node if place.above else None
        negative = isinstance(above, ast.UnaryOp) and isinstance(above.op, ast.USub)
        start, end = source.span(above if negative and isinstance(above, ast.UnaryOp) else node)
        if isinstance(node.value, bool):
            yield Change(start, end, str(not node.value), (start, end))
        elif isinstance(node.value, int) and abs(node.value) < 1 << 40:
            value = -node.value if negative else node.value
            choices = {value + 1: 1.0, value - 1: 1.0}
            if value in (-1, 1):
                choices[-value] = 0.3
            if value:
                choices.setdefault(0, 0.3)
            if abs(value) >= 10:
                choices |= {value * 10: 0.2} | ({value // 10: 0.2} if value % 10 == 0 else {})
            for number, weight in choices.items():
                yield Change(start, end, str(number), (start, end), weight)
        elif isinstance(node.value, float):
            for new, weight in {"0.0": 0.5, "1.0": 0.5}.items():
                if float(new) != node.value:
                    yield Change(start, end, new, (start, end), weight)


def _is_default_of_format(place: Place) -> bool:
    return place.above is not None and isinstance(place.above.node, (ast.FormattedValue, ast.JoinedStr))


def off_by_one(source: Source) -> Iterator[Change]:
    """Add or take away 1 at an index, a bound, an argument of `range`, or an operand of a comparison."""
    for place in source.places:
        node = place.node
        if not isinstance(node, ast.expr):
            continue
        if isinstance(node, ast.BinOp) and isinstance(node.op, (ast.Add, ast.Sub)) and _is_one(node.right):
            span = source.span(node)
            yield Change(*span, source.code(node.left), span)
        elif _is_bound(place):
            span = source.span(node)
            if not isinstance(
                node, (ast.Constant, ast.UnaryOp, ast.IfExp, ast.Lambda, ast.BoolOp, ast.Compare)
            ):
                text = source.code(node)
                yield Change(*span, f"{text} + 1", span)
                yield Change(*span, f"{text} - 1", span)
        elif _is_quantity(place):
            span, text = source.span(node), source.code(node)
            yield Change(*span, f"{text} + 1", span, 0.15)
            yield Change(*span, f"{text} - 1", span, 0.15)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "range":
            yield from _range_start(source, node)
        if isinstance(node, ast.Slice):
            yield from _slice_bounds(source, node)


def _range_start(source: Source, node: ast.Call) -> Iterator[Change]:
    span = source.span(node)
    if len(node.args) == 1:
        yield Change(*span, f"range(1, {source.code(node.args[0])})", span)
    elif len(node.args) == 2:
        yield Change(*span, f"range({source.code(node.args[1])})", span)


def _slice_bounds(source: Source, node: ast.Slice) -> Iterator[Change]:
    """Drop a constant bound of a slice, or give it one that it lacks."""
    span = source.span(node)
    if node.step is not None:
        return
    lower = source.code(node.lower) if node.lower else ""
    upper = source.code(node.upper) if node.upper else ""
    if node.lower and isinstance(node.lower, ast.Constant):
        yield Change(*span, f":{upper}", span, 0.5)
    if not node.lower:
        yield Change(*span, f"1:{upper}", span, 0.5)
    if not node.upper:
        yield Change(*span, f"{lower}:-1", span, 0.5)
    elif upper == "-1":
        yield Change(*span, f"{lower}:", span, 0.5)


def _is_one(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and node.value == 1 and not isinstance(node.value, bool)


def _is_bound(place: Place) -> bool:
    above, node = place.above.node if place.above else None, place.node
    if isinstance(above, ast.Subscript):
        is_number = isinstance(node, (ast.Name, ast.BinOp, ast.Call))
        return above.slice is node and is_number
    if isinstance(above, ast.Slice):
        return above.step is not node
    if isinstance(above, ast.Call):
        return isinstance(above.func, ast.Name) and above.func.id == "range" and above.func is not node
    if isinstance(above, ast.Compare):
        orders = any(isinstance(o, (ast.Lt, ast.LtE, ast.Gt, ast.GtE, ast.Eq, ast.NotEq)) for o in above.ops)
        return orders and isinstance(node, (ast.Name, ast.Attribute, ast.Call, ast.BinOp))
    counted = isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "len"
    return counted and isinstance(above, (ast.Assign, ast.Return, ast.BinOp))


def _is_quantity(place: Place) -> bool:
    """Whether a node may be a number that is passed on: an argument, a part of a tuple, a computed value."""
    above, node = place.above.node if place.above else None, place.node
    if isinstance(node, ast.BinOp):
        return isinstance(above, (ast.Assign, ast.Return)) and not isinstance(node.op, ast.BitOr)
    if isinstance(above, ast.Call):
        plain = isinstance(above.func, ast.Name) and above.func.id not in (
            "len",
            "isinstance",
            "str",
            "list",
            "set",
        )
        return plain and isinstance(node, ast.Name) and node in above.args
    return isinstance(above, ast.Tuple) and isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)


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
