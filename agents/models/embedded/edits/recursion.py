"""The rule for base cases: where a function that calls itself has to stop, and with what."""

import ast
from collections.abc import Iterator, Sequence

from agents.models.embedded.edits import blocks, uses
from agents.models.embedded.edits.change import Change
from agents.models.embedded.edits.source import Function, Source, is_called, parameters
from agents.models.embedded.edits.values import returned

_MOST, _OTHERS = 16, 5
"""Base cases that are put in at the head of one function, and conditions that are tried instead of one."""

Options = dict[str, float]


def base_case(source: Source) -> Iterator[Change]:
    """A base case at the head of a function that calls itself, or another condition or value of one."""
    collections = _collections(source)
    for function, owner in source.owners.items():
        calls = [
            place.node
            for place in source.inside[function]
            if isinstance(place.node, ast.Call)
            and _calls_itself(place.node, function, owner)
            and source.code(getattr(place.node.func, "value", place.node.func)) not in collections
        ]
        body = blocks.without_docstring(function.body)
        if (
            not calls
            or not body
            or not blocks.stands_alone(source, body[0])
            or body[0].lineno == function.lineno
        ):
            continue
        conditions, values = _conditions(source, function, calls), _values(source, function, calls)
        known = uses.tests(source, function)
        pairs = [
            (c, v, x * y * _fit(c, v))
            for c, x in conditions.items()
            for v, y in values.items()
            if c not in known
        ]
        pairs.sort(key=lambda pair: -pair[2])
        for at, most, share in (
            (body[0], _MOST, 1.0),
            *((after, _MOST // 2, 0.5) for after in _behind(source, body)),
        ):
            for condition, value, weight in pairs[:most]:
                lines = [f"if {condition}:", f"{source.unit}return {value}".rstrip()]
                yield blocks.insertion(source, at, lines, weight * share)
        for node in body[:2]:
            if isinstance(node, ast.If) and len(node.body) == 1 and isinstance(node.body[0], ast.Return):
                yield from _other(source, node, node.body[0], conditions, values)


def _fit(condition: str, value: str) -> float:
    """How much better a value answers a condition than others do: the last number, or what is short, is its own."""
    return (
        3.0
        if condition in (f"{value} < 2", f"{value} <= 1", f"len({value}) <= 1", f"len({value}) < 2")
        else 1.0
    )


def _collections(source: Source) -> set[str]:
    """What is a built-in collection, so that a method of the same name is not the function itself."""
    sets = (place.node for place in source.places if isinstance(place.node, ast.Assign))
    plain = (ast.List, ast.Dict, ast.Set, ast.ListComp, ast.DictComp, ast.SetComp, ast.Constant)
    return {source.code(target) for s in sets if isinstance(s.value, plain) for target in s.targets}


def _behind(source: Source, body: Sequence[ast.stmt]) -> list[ast.stmt]:
    """The statement behind the first one, where that is a guard or sets up something."""
    first = body[0]
    opening = isinstance(first, ast.Assign) or (
        isinstance(first, ast.If) and isinstance(first.body[-1], blocks.LEAVING)
    )
    return [node for node in body[1:2] if opening and blocks.stands_alone(source, node)]


def _calls_itself(call: ast.Call, function: Function, owner: ast.ClassDef | None) -> bool:
    if owner is None:
        return isinstance(call.func, ast.Name) and call.func.id == function.name
    is_method = isinstance(call.func, ast.Attribute) and call.func.attr == function.name
    takes = len(parameters(function)) - 1
    return is_method and takes - len(function.args.defaults) <= len(call.args) <= takes


def _other(
    source: Source, node: ast.If, answer: ast.Return, conditions: Options, values: Options
) -> Iterator[Change]:
    """Another condition or value of a base case that there is."""
    span, subject = source.span(node.test), _names(node.test)
    near = [c for c in conditions if _names(ast.parse(c)) <= subject]
    for condition in near[:_OTHERS]:
        if condition != source.code(node.test):
            yield Change(*span, condition, span, 0.5)
    span = source.span(answer)
    for value in values:
        if f"return {value}".rstrip() != source.code(answer):
            yield Change(*span, f"return {value}".rstrip(), span, 0.5)


def _names(node: ast.AST) -> set[str]:
    return {inner.id for inner in ast.walk(node) if isinstance(inner, ast.Name)}


def _conditions(source: Source, function: Function, calls: list[ast.Call]) -> Options:
    """When to stop, by how the arguments of the function's own calls differ from its parameters."""
    found: Options = {}
    names = [name for name in parameters(function) if name not in ("self", "cls")]
    used = uses.of_places(source, source.inside[function])
    for call in calls:
        for name, argument in zip(names, call.args, strict=False):
            if source.code(argument) != name:
                ends = _ends(name, argument, names, used) | _of_loop(source, function, argument)
                found |= {c: max(w, found.get(c, 0.0)) for c, w in ends.items()}
        receiver = call.func.value if isinstance(call.func, ast.Attribute) else None
        if isinstance(receiver, ast.Attribute):
            found |= {f"{source.code(receiver)} is None": 1.0, f"not {source.code(receiver)}": 0.5}
    return found


def _of_loop(source: Source, function: Function, argument: ast.expr) -> Options:
    """Where an argument goes through the parts of something: that there are none."""
    for place in source.inside[function]:
        node = place.node
        if isinstance(node, (ast.For, ast.comprehension)) and source.code(node.target) == source.code(
            argument
        ):
            if isinstance(node.iter, (ast.Name, ast.Attribute)):
                return {f"not {source.code(node.iter)}": 1.0}
            return {}
    return {}


def _ends(name: str, argument: ast.expr, names: list[str], used: uses.Uses) -> Options:
    """Where the changes of one argument come to an end."""
    numbers = [other for other in names if uses.NUMBER in used.get(other, {})]
    if any(isinstance(node, ast.Slice) for node in ast.walk(argument)):
        return {
            f"not {name}": 1.0,
            f"len({name}) <= 1": 0.7,
            f"len({name}) == 1": 0.4,
            f"len({name}) < 2": 0.3,
        }
    if isinstance(argument, ast.BinOp) and not _names(argument) & {name} and len(names) > 1:
        one, other = (numbers if len(numbers) == 2 else names)[-2:]
        return {f"{one} > {other}": 1.5, f"{one} >= {other}": 1.0, f"{one} == {other}": 0.4}
    if isinstance(argument, ast.BinOp) and isinstance(argument.op, (ast.Sub, ast.FloorDiv, ast.Mod)):
        zero = {
            f"{name} == 0": 1.0,
            f"{name} <= 1": 0.8,
            f"{name} < 2": 0.5,
            f"{name} <= 0": 0.6,
            f"{name} == 1": 0.5,
        }
        return (
            zero
            | {f"{name} < 0": 0.3}
            | {f"{name} > {o}": 0.4 for o in names if o != name and len(names) < 4}
        )
    if isinstance(argument, ast.BinOp) and isinstance(argument.op, ast.Add):
        many = [other for other in names if uses.MANY in used.get(other, {})]
        ends = {f"{name} == len({other})": 1.0 for other in many} | {
            f"{name} >= len({other})": 0.8 for other in many
        }
        return ends | {f"{name} > {other}": 0.6 for other in names if other not in (name, *many)}
    if isinstance(argument, ast.BinOp) or (
        isinstance(argument, ast.Name) and uses.NUMBER in used.get(name, {})
    ):
        return {f"{name} == 0": 1.0, f"not {name}": 0.5}
    if isinstance(argument, ast.Attribute):
        return {f"{name} is None": 1.0, f"not {name}": 0.6}
    if isinstance(argument, ast.Name):
        return {
            f"not isinstance({name}, list)": 0.4,
            f"not isinstance({name}, dict)": 0.2,
            f"not {name}": 0.7,
            f"{name} is None": 0.6,
        }
    return {f"not {name}": 0.7, f"len({name}) <= 1": 0.4}


def _values(source: Source, function: Function, calls: list[ast.Call]) -> Options:
    """With what to stop: what fits the other returns, or one of the parameters."""
    found = returned(source, function)
    if "" in found:
        return found
    if "0" in found:
        found.setdefault("-1", 0.3)
    names = [name for name in parameters(function) if name not in ("self", "cls")]
    inside = {id(n) for c in calls for n in ast.walk(c)}
    products = [p.node for p in source.inside[function] if isinstance(p.node, ast.BinOp)]
    if any(isinstance(p.op, ast.Mult) and (id(p.left) in inside or id(p.right) in inside) for p in products):
        found |= {"1": 1.0, "0": 0.4}
    joined = [p.node for p in source.inside[function] if isinstance(p.node, ast.BoolOp)]
    for node in joined:
        if any(id(value) in inside for value in node.values):
            found |= (
                {"True": 1.0, "False": 0.6} if isinstance(node.op, ast.And) else {"False": 1.0, "True": 0.6}
            )
    found |= {name: 0.5 for name in names[:2] if name not in found}
    for place in source.inside[function]:
        read = place.node
        plain = isinstance(read, ast.Attribute) and isinstance(read.ctx, ast.Load) and not is_called(place)
        if plain and isinstance(read, ast.Attribute) and source.code(read.value) in [*names[:1], "self"]:
            found.setdefault(source.code(read), 0.3)
    if "[]" in found or names:
        found.setdefault("[[]]", 0.3)
        found |= {f"[{name}]": 0.25 for name in names[:1]}
    return found
