"""The rule for a missing statement: what a name, a loop, an object or a caller wants, or what stands elsewhere."""

import ast
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, islice

from agents.models.embedded.edits import blocks
from agents.models.embedded.edits.change import Change
from agents.models.embedded.edits.fields import fields, results
from agents.models.embedded.edits.source import Function, Place, Source, stored
from agents.models.embedded.edits.wants import Options, Wants, innermost_loop

_MOST = 8
"""Statements of elsewhere that are tried at one place; those of the same function come first."""
_LONGEST = 60
_LOOKED_AT = 60
"""Characters of such a statement, and statements that are looked at for one function."""

Known = list[tuple[str, ast.stmt]]


def missing_statement(source: Source) -> Iterator[Change]:
    """Put in a statement: a count, an addition, a step, a reset, a result, a field, or one that stands elsewhere."""
    for function, owner in source.owners.items():
        if not blocks.without_docstring(function.body):
            continue
        yield from fields(source, function, owner)
        yield from results(source, function)
        wants, known = Wants(source, function), _elsewhere(source, function, owner)
        for place, body in source.bodies:
            if (place.node if isinstance(place.node, Function) else place.function) is function:
                there = {source.code(statement) for statement in body}
                absent = [(code, statement) for code, statement in known if code not in there]
                yield from _behind(source, place, body, wants, absent)
                yield from _at_head(source, place, body, wants, absent)
                for statement in body if innermost_loop(place) is not None else ():
                    if isinstance(statement, ast.If) and not statement.orelse:
                        yield from wants.otherwise(statement)


def _behind(
    source: Source, place: Place, body: Sequence[ast.stmt], wants: Wants, absent: Known
) -> Iterator[Change]:
    """Behind each statement of a block, or before one that leaves the block."""
    for number, at in enumerate(body):
        on_its_line = at.lineno > getattr(place.node, "lineno", 0)
        if not on_its_line or blocks.is_docstring(at) or not blocks.stands_alone(source, at):
            continue
        options = wants.at(place, body, number)
        leaves, last = isinstance(at, blocks.LEAVING), number == len(body) - 1
        for code, weight in options.items() if last or not leaves else ():
            if not (leaves and code.split()[0] in ("break", "continue", "return")):
                share = 1.0 if last else 0.3
                yield blocks.insertion(source, at, [code], weight * share, behind=not leaves)
        if leaves or isinstance(at, (ast.Assign, ast.AugAssign, ast.Expr)):
            text = source.code(at)
            for code, statement in absent:
                if statement is not at and code not in text and code not in options:
                    yield blocks.insertion(source, at, [code], 0.7, behind=not leaves)


def _at_head(
    source: Source, place: Place, body: Sequence[ast.stmt], wants: Wants, absent: Known
) -> Iterator[Change]:
    """Before the first statement of a block."""
    first, around = body[0], place.node
    on_its_line = first.lineno > getattr(around, "lineno", 0)
    if not on_its_line or blocks.is_docstring(first) or not blocks.stands_alone(source, first):
        return
    found: Options = dict.fromkeys(wants.marks, 1.5)
    if isinstance(around, (*blocks.LOOPS, ast.If)) and around.body is body:
        found |= {code: 0.4 for code, statement in absent if statement is not first}
    if isinstance(around, (ast.For, ast.AsyncFor)) and around.body is body:
        found |= wants.cleaned(stored([around.target]))
    there = {source.code(statement) for statement in body}
    for code, weight in found.items():
        if code not in there:
            yield blocks.insertion(source, first, [code], weight)


def _elsewhere(source: Source, function: Function, owner: ast.ClassDef | None) -> Known:
    """Short statements of a function and of its class all of whose names mean something in the function."""
    siblings = owner.body if owner else []
    others = (s for f in siblings if isinstance(f, Function) and f is not function for s in _short(f))
    tried = islice(chain(_short(function), others), _LOOKED_AT)
    return _distinct(source, tried, set(source.functions[function]))


def _short(function: Function) -> list[ast.stmt]:
    """Statements of a function that would make sense a second time: assignments and calls, on one line."""
    return [
        node
        for node in ast.walk(function)
        if isinstance(node, (ast.Assign, ast.AugAssign, ast.Expr))
        and node.lineno == node.end_lineno
        and (node.end_col_offset or 0) - node.col_offset <= _LONGEST
        and not (isinstance(node, ast.Expr) and not isinstance(node.value, ast.Call))
    ]


def _distinct(source: Source, statements: Iterable[ast.stmt], visible: set[str]) -> Known:
    """Different texts of statements all of whose names mean something here."""
    found: dict[str, ast.stmt] = {}
    for statement in statements:
        read = {n.id for n in ast.walk(statement) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Load)}
        known = source.globals | visible
        targets = stored(statement.targets) if isinstance(statement, ast.Assign) else []
        if read <= known and set(targets) <= visible | read:
            found.setdefault(source.code(statement), statement)
        if len(found) == _MOST:
            break
    return list(found.items())
