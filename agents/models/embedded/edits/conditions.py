"""The rule for wrong guards: another condition, another answer, or none at all."""

import ast
from collections.abc import Iterator
from itertools import islice

from agents.models.embedded.edits import blocks, uses
from agents.models.embedded.edits.change import Change
from agents.models.embedded.edits.exceptions import raised
from agents.models.embedded.edits.guards import Options, in_loop
from agents.models.embedded.edits.source import Function, Place, Source, parameters
from agents.models.embedded.edits.values import NOTHINGS, own_returns, returned


def wrong_guard(source: Source) -> Iterator[Change]:
    """Another condition or another answer of a guard, or none at all."""
    for place in source.places:
        node = place.node
        if isinstance(node, (ast.If, ast.While, ast.IfExp)):
            yield from _condition(source, place, node.test)
        if isinstance(node, ast.If):
            yield from _better(source, node)
        if isinstance(node, (ast.If, ast.While)) and place.function and not source.is_elif(node):
            if not node.orelse and _may_repeat(node):
                start = source.span(node)[0]
                old, new = ("if", "while") if isinstance(node, ast.If) else ("while", "if")
                yield Change(start, start + len(old), new, (start, start + len(old)), 0.25)
        elif isinstance(node, ast.comprehension) and len(node.ifs) == 1 and place.above:
            start, end = source.span(node.iter)[1], source.span(node.ifs[0])[1]
            yield Change(start, end, "", (start, end), 0.3)
    for place, body in source.bodies:
        for number, node in enumerate(body):
            if isinstance(node, ast.If) and not node.orelse and len(node.body) == 1:
                dropped = blocks.removal(source, body, number, 0.4)
                if dropped and isinstance(node.body[0], blocks.LEAVING):
                    yield dropped
                yield from _always(source, node)
        if len(body) == 1 and isinstance(place.node, (ast.If, ast.ExceptHandler)) and place.function:
            yield from _other_answer(source, place, place.function, body[0])


def _may_repeat(node: ast.If | ast.While) -> bool:
    """Whether what an `if` or a `while` does bears on its condition, and neither loop nor function is left."""
    if blocks.leaves_loop(node) or isinstance(node.body[-1], blocks.LEAVING):
        return False
    tested = {n.id for n in ast.walk(node.test) if isinstance(n, ast.Name)} - {"self"}
    changed = {n.id for s in node.body for n in ast.walk(s) if isinstance(n, ast.Name)}
    return isinstance(node, ast.While) or bool(tested & changed)


def _condition(source: Source, place: Place, test: ast.expr) -> Iterator[Change]:
    """A condition of another form, a part of it, or one that is combined with another of the function."""
    span, text = source.span(test), source.code(test)
    if isinstance(test, ast.BoolOp):
        for value in test.values:
            rest = [source.code(other) for other in test.values if other is not value]
            yield Change(*span, f" {'and' if isinstance(test.op, ast.And) else 'or'} ".join(rest), span, 0.5)
        return
    if isinstance(test, (ast.Name, ast.Attribute, ast.Subscript, ast.Call)):
        yield Change(*span, f"{text} is not None", span, 0.7)
        yield Change(*span, f"{text} is None", span, 0.3)
        if isinstance(test, (ast.Name, ast.Attribute)):
            yield Change(*span, f"{text} > 0", span, 0.2)
            yield Change(*span, f"len({text}) > 1", span, 0.1)
    elif isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not):
        operand = source.code(test.operand)
        yield Change(*span, f"{operand} is None", span, 0.5)
        for form in ("{} == 0", "{} <= 0", "len({}) < 2", "len({}) == 1") if operand.isidentifier() else ():
            yield Change(*span, form.format(operand), span, 0.15)
    elif isinstance(test, ast.Compare) and isinstance(test.comparators[0], ast.Constant):
        subject = source.code(test.left).removeprefix("len(").removesuffix(")")
        if subject.replace(".", "").isidentifier():
            yield Change(*span, f"not {subject}", span, 0.4)
            yield Change(*span, f"{subject} is None", span, 0.2)
    elif isinstance(test, ast.Compare) and isinstance(test.ops[0], (ast.Is, ast.IsNot)):
        left = source.code(test.left)
        yield Change(*span, left if isinstance(test.ops[0], ast.IsNot) else f"not {left}", span, 0.5)
    for other in islice(_conjuncts(source, place, test), 2):
        yield Change(*span, f"{other} and {text}", span, 0.3)
        if " " in other:
            yield Change(*span, f"{text} or {other}", span, 0.15)
        else:
            yield Change(*span, f"not {other} or {text}", span, 0.2)
            yield Change(*span, f"{text} and {other}", span, 0.15)


def _better(source: Source, node: ast.If) -> Iterator[Change]:
    """What else makes that the best so far gives way: that there is something better."""
    test, first = node.test, node.body[0]
    if (
        not isinstance(test, ast.Compare)
        or not isinstance(test.ops[0], ast.Is)
        or not isinstance(first, ast.Assign)
    ):
        return
    best, new = source.code(test.left), source.code(first.value)
    if source.code(first.targets[0]) != best or not isinstance(
        first.value, (ast.Name, ast.Attribute, ast.Subscript)
    ):
        return
    span, read = source.span(test), source.attributes[0]
    of_classes = (name for data, _ in source.members.values() for name in data)
    for part in ["", *(f".{name}" for name in dict.fromkeys([*read, *of_classes]))][:5]:
        for sign in (">", "<"):
            yield Change(*span, f"{source.code(test)} or {new}{part} {sign} {best}{part}", span, 0.5)


def _conjuncts(source: Source, place: Place, test: ast.expr) -> Iterator[str]:
    """What may have to hold as well: that there is what is looked at."""
    seen: set[str] = set()
    for node in ast.walk(test):
        other = ""
        if isinstance(node, ast.Subscript) and isinstance(node.value, (ast.Name, ast.Attribute)):
            of, key = (
                source.code(node.value),
                source.code(node.slice) if not isinstance(node.slice, ast.Slice) else "",
            )
            if key.isidentifier() and place.function:
                counted = key in uses.counters(source, place.function) or isinstance(place.node, ast.While)
                other = f"{key} < len({of})" if counted else f"{key} in {of}"
            else:
                other = of
        elif isinstance(node, ast.Call) and getattr(node.func, "id", "") == "len" and len(node.args) == 1:
            other = source.code(node.args[0])
        elif isinstance(node, ast.Attribute) and isinstance(node.value, (ast.Name, ast.Attribute)):
            other = (
                source.code(node.value) if source.code(node.value) not in ("self", *source.modules) else ""
            )
        if other and other not in seen and not source.code(test).startswith(other + " is"):
            seen.add(other)
            yield other
    names = [n.id for n in ast.walk(test) if isinstance(n, ast.Name)]
    yield from [name for name in reversed(source.visible(place)) if name not in names and name not in seen][
        :1
    ]


def _always(source: Source, node: ast.If) -> Iterator[Change]:
    """What a guard keeps from running, run in any case."""
    inner = node.body[0]
    if isinstance(inner, blocks.SIMPLE) and blocks.stands_alone(source, inner) and inner.lineno > node.lineno:
        first, last = node.lineno, blocks.last_line(inner)
        if last - first < blocks.TALLEST:
            span = source.line_span(first, last)
            yield Change(
                *span, blocks.moved(source, inner.lineno, last, node.col_offset - inner.col_offset), span, 0.2
            )


def _other_answer(source: Source, place: Place, function: Function, node: ast.stmt) -> Iterator[Change]:
    """What else a guard may do: another value, an exception, the loop's next turn."""
    if not isinstance(node, (*blocks.LEAVING, ast.Pass)):
        return
    span, text = source.span(node), source.code(node)
    choices: Options = {}
    if in_loop(place):
        plain = {"continue": 1.0, "break": 1.0, "pass": 0.3}
        choices |= plain if text in plain else {"continue": 0.5, "break": 0.3}
    values = returned(source, function)
    if isinstance(node, ast.Return):
        choices |= {f"return {value}": 0.3 for value in NOTHINGS if own_returns(source, function)}
    choices |= {f"return {value}".rstrip(): 0.5 * weight for value, weight in values.items()}
    about = parameters(function)[-1] if parameters(function) else "value"
    if isinstance(node, ast.Return) or text == "pass":
        choices |= {
            form: 0.3 * weight
            for form, weight in list(raised(source, function, node.lineno, about).items())[:2]
        }
    if isinstance(place.node, ast.ExceptHandler):
        choices["raise"] = 0.5
    for new, weight in sorted(choices.items(), key=lambda item: -item[1])[:6]:
        if new != text:
            yield Change(*span, new, span, weight)
