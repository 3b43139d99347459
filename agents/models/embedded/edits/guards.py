"""The rule for missing guards: what a function or a loop should answer before it goes on."""

import ast
import re
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice

from agents.models.embedded.edits import blocks, uses
from agents.models.embedded.edits.change import Change
from agents.models.embedded.edits.exceptions import raised
from agents.models.embedded.edits.source import Function, Place, Source, parameters, stored
from agents.models.embedded.edits.uses import DIVISOR, KEY, MANY, NUMBER, OBJECT, TEXT
from agents.models.embedded.edits.values import returned

_AT_ENTRANCE, _IN_LOOP, _BEFORE, _AROUND = 12, 6, 5, 3
"""Guards that are tried at one place, the likeliest first."""
_CONDITIONS: dict[str, dict[str, float]] = {
    MANY: {"not {}": 1.0, "{} is None": 0.2},
    TEXT: {"not {}": 1.0},
    DIVISOR: {"{} == 0": 1.5, "not {}": 0.8},
    NUMBER: {"{} < 0": 0.7, "{} <= 0": 0.7, "{} == 0": 0.4, "{} < 1": 0.4},
    OBJECT: {"{} is None": 0.8, "not {}": 0.5},
    KEY: {},
    "": {"not {}": 0.5, "{} is None": 0.4},
}
"""What could be true of a name that is used so, and then needs an answer of its own."""

Options = dict[str, float]


def _answers(source: Source, function: Function, line: int, about: str, *, looping: bool = False) -> Options:
    """What a guard may do: return, raise, or go on with the loop."""
    found = {f"return {value}".rstrip(): weight for value, weight in returned(source, function).items()}
    found |= raised(source, function, line, about)
    return ({"continue": 2.0, "break": 0.7} | found) if looping else found


def _best(
    conditions: Mapping[str, float], answers: Mapping[str, float], most: int
) -> list[tuple[str, str, float]]:
    """The likeliest pairs of a condition and an answer."""
    pairs = [(c, a, x * y) for c, x in conditions.items() for a, y in answers.items()]
    return sorted(pairs, key=lambda pair: -pair[2])[:most]


def _guards(source: Source, at: ast.stmt, found: Iterable[tuple[str, str, float]]) -> Iterator[Change]:
    for condition, answer, weight in found:
        yield blocks.insertion(source, at, [f"if {condition}:", source.unit + answer], weight)


def missing_guard(source: Source) -> Iterator[Change]:
    """Answer early, at the head of a function or a loop or before something risky, or do something only if."""
    for place in source.places:
        if isinstance(place.node, Function):
            yield from _entrance(source, place.node)
    for place, body in source.bodies:
        function = place.node if isinstance(place.node, Function) else place.function
        if function is None:
            continue
        known, alone = uses.tests(source, function), [blocks.stands_alone(source, node) for node in body]
        opening = blocks.without_docstring(function.body)[:1]
        for number, node in enumerate(body):
            if not alone[number] or node.lineno == getattr(place.node, "lineno", 0):
                continue
            if number == 0 and isinstance(place.node, (ast.For, ast.AsyncFor)):
                yield from _at_head(source, place, function, stored([place.node.target]), node)
            elif number and (taken := _taken(body[number - 1])):
                yield from _at_head(source, place, function, taken, node)
            if node not in opening:
                yield from _before(source, place, function, node, known)
            yield from _around(source, place, function, node)


def _entrance(source: Source, function: Function) -> Iterator[Change]:
    body = blocks.without_docstring(function.body)
    if not body or not blocks.stands_alone(source, body[0]) or body[0].lineno == function.lineno:
        return
    inside = source.inside[function]
    used, known = uses.of_places(source, inside), uses.tests(source, function)
    names = [name for name in parameters(function) if name not in ("self", "cls")]
    names += [name for name, sorts in used.items() if name.startswith("self.") and MANY in sorts]
    found: list[tuple[str, str, float]] = []
    for name in names[:4]:
        conditions = _conditions(name, used.get(name, {}))
        if KEY in used.get(name, {}):
            for container in uses.containers_of(source, inside, name)[:1]:
                conditions |= {f"{name} not in {container}": 1.0, f"{name} in {container}": 0.6}
        open_ones = {c: weight for c, weight in conditions.items() if c not in known}
        answers = _answers(source, function, body[0].lineno, name.removeprefix("self."))
        if function.name == "__init__":
            answers = raised(source, function, body[0].lineno, name)
        found += _best(open_ones, answers, _AT_ENTRANCE // 2)
    if len(names) > 1 and KEY in used.get(names[0], {}) and KEY in used.get(names[1], {}):
        answers = _answers(source, function, body[0].lineno, names[1])
        found += _best({f"{names[0]} == {names[1]}": 1.0}, answers, _AT_ENTRANCE // 3)
    yield from _guards(source, body[0], sorted(found, key=lambda guard: -guard[2])[:_AT_ENTRANCE])


def _conditions(name: str, sorts: Iterable[str]) -> Options:
    found: Options = {}
    for sort in list(sorts) or [""]:
        for form, weight in _CONDITIONS[sort].items():
            found[form.format(name)] = max(found.get(form.format(name), 0.0), weight)
    return found


def _taken(node: ast.stmt) -> list[str]:
    """The name that a statement gives what it takes from a collection, or makes of something."""
    if (
        isinstance(node, ast.Assign)
        and isinstance(node.value, ast.Call)
        and isinstance(node.targets[0], ast.Name)
    ):
        return [node.targets[0].id]
    return []


def _at_head(
    source: Source, place: Place, function: Function, names: list[str], at: ast.stmt
) -> Iterator[Change]:
    """Pass over a value of a loop, or leave, where the value has just become known."""
    inside = source.inside[function]
    used, known = uses.of_places(source, inside), uses.tests(source, function)
    found: list[tuple[str, str, float]] = []
    for name in names[:2]:
        if name in uses.counters(source, function):
            continue
        conditions = _conditions(name, used.get(name, {}))
        for container in uses.containers_of(source, inside, name)[:2]:
            conditions |= {f"{name} in {container}": 1.0, f"{name} not in {container}": 0.5}
        for unread in (
            p for p in parameters(function) if not source.reads[function][p] and p not in ("self", "cls")
        ):
            conditions |= {f"{name} in {unread}": 5.0, f"{name} not in {unread}": 3.0}
        answers = (
            {"continue": 1.0, "break": 0.3} if in_loop(place) else _answers(source, function, at.lineno, name)
        )
        found += _best({c: w for c, w in conditions.items() if c not in known}, answers, _IN_LOOP)
    yield from _guards(source, at, sorted(found, key=lambda guard: -guard[2])[:_IN_LOOP])


def in_loop(place: Place) -> bool:
    """Whether a place is within a loop of its function."""
    at: Place | None = place
    while at and not isinstance(at.node, (Function, ast.ClassDef)):
        if isinstance(at.node, blocks.LOOPS):
            return True
        at = at.above
    return False


def _before(
    source: Source, place: Place, function: Function, node: ast.stmt, known: frozenset[str]
) -> Iterator[Change]:
    """Answer before a statement that fails for some values of the names in it."""
    if not isinstance(node, (*blocks.SIMPLE, ast.Return)):
        return
    conditions = {c: w for c, w in _risks(source, function, node).items() if c not in known}
    if conditions:
        said = re.findall(r"[\w.]+", next(iter(conditions)))
        visible = source.known_at(function, node.lineno)
        about = next((word for word in said if word in visible), said[-1].rpartition(".")[2])
        answers = _answers(source, function, node.lineno, about, looping=in_loop(place))
        yield from _guards(source, node, _best(conditions, answers, _BEFORE))


def _risks(source: Source, function: Function, node: ast.stmt) -> Options:
    """What must not be true when a statement runs: an empty collection, a zero below, an absent key, too little."""
    found: Options = {}
    for inner in ast.walk(node):
        if isinstance(inner, ast.BinOp) and isinstance(inner.op, (ast.Div, ast.FloorDiv, ast.Mod)):
            if isinstance(inner.right, (ast.Name, ast.Attribute)):
                found |= {f"{source.code(inner.right)} == 0": 1.0, f"not {source.code(inner.right)}": 1.0}
        elif isinstance(inner, ast.Subscript) and isinstance(inner.value, (ast.Name, ast.Attribute)):
            of = source.code(inner.value)
            key = "" if isinstance(inner.slice, ast.Slice) else source.code(inner.slice)
            if key in ("0", "-1"):
                found[f"not {of}"] = 0.7
            elif key.replace(".", "").isidentifier() and key not in uses.counters(source, function):
                found |= {f"{key} not in {of}": 0.7, f"{key} in {of}": 0.4}
        elif isinstance(inner, ast.Call) and isinstance(inner.func, ast.Attribute):
            if inner.func.attr in ("pop", "popleft") and not inner.args:
                found[f"not {source.code(inner.func.value)}"] = 0.8
            elif inner.func.attr in ("append", "add") and inner.args:
                found |= _limits(source, function, source.code(inner.func.value))
        elif isinstance(inner, ast.Call) and _is_risky(source, inner):
            found[f"not {source.code(inner.args[0])}"] = 0.8
    is_less = isinstance(node, ast.AugAssign) and isinstance(node.op, ast.Sub)
    if is_less and isinstance(node, ast.AugAssign) and not isinstance(node.value, ast.Constant):
        less, more = source.code(node.target), source.code(node.value)
        found |= {f"{less} < {more}": 1.5, f"{more} > {less}": 0.8}
    return found


def _is_risky(source: Source, node: ast.Call) -> bool:
    """Whether a call fails for an empty collection, or what divides by its length does."""
    called = source.code(node.func)
    return (
        called in (*uses.RISKY_CALLS, "len")
        and len(node.args) == 1
        and isinstance(node.args[0], (ast.Name, ast.Attribute))
    )


def _limits(source: Source, function: Function, collection: str) -> Options:
    """A collection that is full, by attributes of its object that nothing else reads."""
    owner = source.owners.get(function)
    if owner is None or not collection.startswith("self."):
        return {}
    read = {
        p.node.attr
        for p in source.places
        if isinstance(p.node, ast.Attribute) and isinstance(p.node.ctx, ast.Load)
    }
    return {f"len({collection}) >= self.{name}": 5.0 for name in source.members[owner][0] if name not in read}


def _around(source: Source, place: Place, function: Function, node: ast.stmt) -> Iterator[Change]:
    """Run a statement only if a condition holds."""
    last = blocks.last_line(node)
    if not isinstance(node, (ast.Assign, ast.AugAssign, ast.Expr)) or last - node.lineno > 2:
        return
    if blocks.is_docstring(node) or (isinstance(place.node, Function) and node is function.body[0]):
        return
    conditions: Options = {}
    bound = source.functions[function]
    if isinstance(node, ast.Assign):
        target, value = source.code(node.targets[0]), source.code(node.value)
        again = isinstance(node.targets[0], ast.Name) and bound.get(target, node.lineno) < node.lineno
        if isinstance(node.targets[0], ast.Subscript):
            key, of = source.code(node.targets[0].slice), source.code(node.targets[0].value)
            conditions |= {f"{key} not in {of}": 1.0, f"{key} in {of}": 0.4}
        elif again and in_loop(place) and isinstance(node.value, (ast.Name, ast.Attribute)):
            conditions |= {f"{value} > {target}": 1.0, f"{value} < {target}": 1.0, f"{target} is None": 0.5}
        elif not again:
            return
    elif isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
        function_called = node.value.func
        for argument in node.value.args:
            if isinstance(argument, (ast.Name, ast.Attribute)) and isinstance(function_called, ast.Attribute):
                text, of = source.code(argument), source.code(function_called.value)
                conditions |= {text: 1.0, f"{text} not in {of}": 0.8, f"{text} is not None": 0.3}
    names = [n.id for n in ast.walk(node) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Load)]
    for name in islice(dict.fromkeys(n for n in names if n in bound and n not in ("self", "cls")), 2):
        conditions.setdefault(name, 0.3)
    start, end = source.line_span(node.lineno, last)
    blanks = blocks.indent(source, node)
    inner = blocks.moved(source, node.lineno, last, len(source.unit))
    for condition, weight in sorted(conditions.items(), key=lambda item: -item[1])[:_AROUND]:
        yield Change(start, end, f"{blanks}if {condition}:\n{inner}", (start, end), weight * 0.4)
