"""Rules for constants and bounds: a number that is one off, another text, a slice that begins or ends elsewhere."""

import ast
import re
from collections.abc import Iterator

from agents.models.embedded.edits.change import Change
from agents.models.embedded.edits.source import Place, Source

_ORDERS = (ast.Lt, ast.LtE, ast.Gt, ast.GtE, ast.Eq, ast.NotEq)
_NO_QUANTITIES = (
    "len",
    "isinstance",
    "str",
    "list",
    "set",
    "dict",
    "tuple",
    "sorted",
    "reversed",
    "iter",
    "print",
)
_BETWEEN = ("", " ", ",", ", ", "-", "_", ".", ":", "\\n", "0")
"""Texts that stand between other texts, as they are written."""
_SIMILAR_TEXTS = 2
_UNITS = (7, 10, 12, 24, 30, 60, 100, 365, 1000, 1024, 3600)
"""Numbers that come with calendars, clocks and measures, and are taken for one another."""


def constant(source: Source) -> Iterator[Change]:
    """A neighbouring number, the other sign of an index, the other truth value, or a similar text of the file."""
    numbers = dict.fromkeys(
        n.value
        for p in source.places
        if isinstance(n := p.node, ast.Constant) and type(n.value) is int and n.value > 2
    )
    for place in source.places:
        node = place.node
        if isinstance(node, ast.JoinedStr) and node.lineno == node.end_lineno:
            yield from _decimals(source, node)
        if not isinstance(node, ast.Constant) or _is_part_of_text(place):
            continue
        above = place.above.node if place.above else None
        signed = above if isinstance(above, ast.UnaryOp) and isinstance(above.op, ast.USub) else None
        span = source.span(signed or node)
        if isinstance(node.value, bool):
            yield Change(*span, str(not node.value), span)
        elif isinstance(node.value, int) and abs(node.value) < 1 << 40:
            others = [number for number in numbers if number != node.value][:2] if node.value > 2 else []
            for number, weight in _numbers(-node.value if signed else node.value, others).items():
                yield Change(*span, str(number), span, weight)
        elif isinstance(node.value, float):
            for new, weight in {
                "0.0": 0.5,
                "1.0": 0.5,
                repr(node.value * 10): 0.2,
                repr(node.value / 10): 0.2,
            }.items():
                if float(new) != node.value:
                    yield Change(*span, new, span, weight)
        elif isinstance(node.value, str) and isinstance(
            above, (ast.expr, ast.Return, ast.keyword, ast.Assign)
        ):
            for new in _texts(source, place, node):
                yield Change(*span, new, span, 0.3)


def _decimals(source: Source, node: ast.JoinedStr) -> Iterator[Change]:
    """One decimal more or less in the formats of an f-string."""
    start, code = source.span(node)[0], source.code(node)
    for match in re.finditer(r"\.([0-9])(?=[fe%]\})", code):
        at = start + len(code[: match.start(1)].encode())
        for digits in sorted({int(match[1]) - 1, int(match[1]) + 1, 2, 1} - {int(match[1]), -1, 10}):
            yield Change(at, at + 1, str(digits), (at, at + 1), 0.4)


def _numbers(value: int, others: list[int]) -> dict[int, float]:
    choices = {value + 1: 1.0, value - 1: 1.0}
    if value in (-1, 1):
        choices[-value] = 0.3
    if value:
        choices.setdefault(0, 0.3)
    if abs(value) >= 10:
        choices |= {value * 10: 0.2} | ({value // 10: 0.2} if value % 10 == 0 else {})
    if value in _UNITS:
        at = _UNITS.index(value)
        others = [*others, *_UNITS[max(at - 2, 0) : at], *_UNITS[at + 1 : at + 3]]
    return choices | {number: 0.2 for number in others if number not in choices}


def _texts(source: Source, place: Place, node: ast.Constant) -> list[str]:
    """Texts that could stand for another one: separators for separators, words of the file for words."""
    code, value = source.code(node), str(node.value)
    quote = code[-1]
    if code[0] not in "'\"" or len(value) > 20 or "\n" in code:
        return []
    if value and (value[0].isalpha() or value[-1].isalpha()):
        same = [
            n.value
            for other in source.places
            if isinstance(n := other.node, ast.Constant)
            and isinstance(n.value, str)
            and n.value.isidentifier()
            and n.value != value
            and other.above
            and place.above
            and type(other.above.node) is type(place.above.node)
        ]
        return [f"{quote}{word}{quote}" for word in list(dict.fromkeys(same))[:_SIMILAR_TEXTS]]
    return [f"{quote}{other}{quote}" for other in _BETWEEN if other != code[1:-1]][: 2 * _SIMILAR_TEXTS]


def _is_part_of_text(place: Place) -> bool:
    return place.above is not None and isinstance(place.above.node, (ast.FormattedValue, ast.JoinedStr))


def off_by_one(source: Source) -> Iterator[Change]:
    """Add or take away 1 at an index, a bound, an argument of `range`, or an operand of a comparison."""
    for place in source.places:
        node = place.node
        if not isinstance(node, ast.expr):
            continue
        span = source.span(node)
        if isinstance(node, ast.BinOp) and isinstance(node.op, (ast.Add, ast.Sub)) and _is_one(node.right):
            yield Change(*span, source.code(node.left), span)
        elif _is_bound(place):
            if not isinstance(
                node, (ast.Constant, ast.UnaryOp, ast.IfExp, ast.Lambda, ast.BoolOp, ast.Compare)
            ):
                text = source.code(node)
                yield Change(*span, f"{text} + 1", span)
                yield Change(*span, f"{text} - 1", span)
        elif _is_quantity(place):
            text = source.code(node)
            yield Change(*span, f"{text} + 1", span, 0.15)
            yield Change(*span, f"{text} - 1", span, 0.15)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and not node.keywords:
            yield from _counted_from(source, node, node.func.id)


def _counted_from(source: Source, node: ast.Call, function: str) -> Iterator[Change]:
    """Where `range` and `enumerate` begin to count."""
    span, values = source.span(node), [source.code(argument) for argument in node.args]
    if function == "range" and len(values) == 1:
        yield Change(*span, f"range(1, {values[0]})", span)
        yield Change(*span, f"range(1, {values[0]} + 1)", span, 0.5)
    elif function == "range" and len(values) == 2:
        yield Change(*span, f"range({values[1]})", span)
    elif function == "enumerate" and len(values) == 1:
        yield Change(*span, f"enumerate({values[0]}, 1)", span, 0.5)
    elif function == "enumerate" and len(values) == 2:
        yield Change(*span, f"enumerate({values[0]})", span)


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
        orders = any(isinstance(o, _ORDERS) for o in above.ops)
        return orders and isinstance(node, (ast.Name, ast.Attribute, ast.Call, ast.BinOp))
    counted = isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "len"
    return counted and isinstance(above, (ast.Assign, ast.Return, ast.BinOp))


def _is_quantity(place: Place) -> bool:
    """Whether a node may be a number that is passed on: an argument, a part of a tuple, a computed value."""
    above, node = place.above.node if place.above else None, place.node
    if isinstance(node, ast.BinOp):
        return isinstance(above, (ast.Assign, ast.Return)) and not isinstance(node.op, ast.BitOr)
    if isinstance(above, ast.Call):
        plain = isinstance(above.func, ast.Name) and above.func.id not in _NO_QUANTITIES
        return plain and isinstance(node, ast.Name) and node in above.args
    return isinstance(above, ast.Tuple) and isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)


def slice_bounds(source: Source) -> Iterator[Change]:
    """Another bound of a slice: one that is dropped, given or moved, the other side, another step, or a whole slice."""
    for place in source.places:
        node, above = place.node, place.above.node if place.above else None
        if isinstance(node, ast.Slice) and isinstance(above, ast.Subscript):
            span = source.span(node)
            bounds = [source.code(b) if b else "" for b in (node.lower, node.upper, node.step)]
            for new, weight in _other_bounds(*bounds).items():
                yield Change(*span, new, span, weight)
            yield Change(*source.span(above), source.code(above.value), span, 0.2)
        elif isinstance(node, (ast.Name, ast.Attribute)) and _is_gone_through(place):
            span = source.span(node)
            for bound, weight in {"1:": 0.15, ":-1": 0.1, "::-1": 0.15}.items():
                yield Change(*span, f"{source.code(node)}[{bound}]", span, weight)


def _other_bounds(lower: str, upper: str, step: str) -> dict[str, float]:
    """Slices that are near one, as they are written between the brackets."""
    found: dict[str, float] = {}

    def add(new_lower: str, new_upper: str, new_step: str, weight: float) -> None:
        found.setdefault(f"{new_lower}:{new_upper}" + (f":{new_step}" if new_step else ""), weight)

    if step:
        add(lower, upper, "", 0.7)
        add(lower, upper, step[1:] if step.startswith("-") else f"-{step}", 0.4)
        for other in ("1", "0") if step == "2" and lower in ("", "1", "0") else ():
            add(other if other != "0" else "", upper, step, 0.7)
    for bound, moved in ((lower, 0), (upper, 1)):
        for new, weight in _moved(bound).items():
            add(*((lower, new) if moved else (new, upper)), step, weight)
    add("" if lower else "1", upper, step, 0.5)
    add(lower, "" if upper else "-1", step, 0.5)
    if not step and bool(lower) != bool(upper):
        add(upper, lower, "", 0.7)
        bound = lower or upper
        flipped = (
            bound[1:]
            if bound.startswith("-")
            else f"-{bound}"
            if bound.isidentifier() or bound.isdigit()
            else ""
        )
        if flipped:
            add(*((flipped, "") if lower else ("", flipped)), "", 0.5)
            add(*(("", flipped) if lower else (flipped, "")), "", 0.7)
    if not step and not lower and not upper:
        add("", "", "-1", 0.3)
    found.pop(f"{lower}:{upper}" + (f":{step}" if step else ""), None)
    return {new: weight for new, weight in found.items() if not new.startswith("0:")}


def _moved(bound: str) -> dict[str, float]:
    """A bound that is one more or less."""
    if not bound:
        return {}
    number = bound.lstrip("-")
    if number.isdigit():
        value = int(number) * (-1 if bound.startswith("-") else 1)
        return {str(other): 0.7 for other in (value - 1, value + 1) if other}
    if bound.endswith((" + 1", " - 1")):
        return {bound[:-4]: 1.0}
    return {f"{bound} + 1": 0.7, f"{bound} - 1": 0.5}


def _is_gone_through(place: Place) -> bool:
    """Whether a loop, or `zip`, `sum` and the like, goes through what a node names."""
    above, node = place.above.node if place.above else None, place.node
    if isinstance(above, (ast.For, ast.comprehension)):
        return above.iter is node
    through = ("zip", "sum", "enumerate", "min", "max", "sorted", "list")
    if isinstance(above, ast.Compare):
        return isinstance(above.ops[0], (ast.Eq, ast.NotEq)) and above.left is not node
    is_call = isinstance(above, ast.Call) and isinstance(above.func, ast.Name) and above.func.id in through
    return is_call and isinstance(above, ast.Call) and above.args[:1] == [node] and len(above.args) < 3
