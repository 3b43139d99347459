"""The rule for exceptions: which are raised, caught and derived from. And how a file raises them."""

import ast
from collections.abc import Collection, Iterator
from functools import lru_cache

from agents.models.embedded.edits.change import Change
from agents.models.embedded.edits.source import Function, Place, Source

_RELATIVES: dict[str, tuple[str, ...]] = {
    "KeyError": ("IndexError", "ValueError", "LookupError", "AttributeError", "TypeError"),
    "IndexError": ("KeyError", "ValueError", "LookupError"),
    "LookupError": ("KeyError", "IndexError", "ValueError"),
    "ValueError": ("TypeError", "KeyError", "IndexError", "ArithmeticError"),
    "TypeError": ("ValueError", "AttributeError", "KeyError"),
    "AttributeError": ("KeyError", "TypeError", "ValueError"),
    "ZeroDivisionError": ("ValueError", "ArithmeticError", "TypeError"),
    "ArithmeticError": ("ZeroDivisionError", "ValueError"),
    "StopIteration": ("IndexError", "ValueError", "GeneratorExit"),
    "OverflowError": ("ValueError",),
    "OSError": ("FileNotFoundError", "ValueError"),
    "FileNotFoundError": ("OSError", "KeyError"),
    "RuntimeError": ("ValueError", "TypeError"),
    "NotImplementedError": ("TypeError", "ValueError"),
    "AssertionError": ("ValueError",),
    "Exception": ("ValueError", "KeyError", "TypeError"),
}
_COMMON = ("ValueError", "KeyError", "TypeError", "IndexError")


def raised(source: Source, function: Function, line: int, about: str) -> dict[str, float]:
    """Statements that raise at a line of a function, in the form of those of the file; ValueError where it has none."""
    found: dict[str, float] = {}
    visible = {*source.known_at(function, line), *source.globals, "self"}
    for error in _never_made(source):
        named = {f"raise {error}({about})": 3.0} if about in visible else {}
        found |= named | {f'raise {error}("invalid {about}")': 1.5}
    for other, node, names in _raises(source):
        near = 1.0 if other.owner is source.owners[function] else 0.6
        if names <= visible and node.lineno == node.end_lineno:
            found.setdefault(source.code(node), near)
        if isinstance(node.exc, ast.Call) and isinstance(node.exc.func, ast.Name):
            found.setdefault(f'raise {node.exc.func.id}("invalid {about}")', near / 2)
    if not found:
        return {f'raise ValueError("invalid {about}")': 0.7}
    return dict(sorted(found.items(), key=lambda item: -item[1])[:4])


@lru_cache(maxsize=4)
def _raises(source: Source) -> list[tuple[Place, ast.Raise, frozenset[str]]]:
    """The statements of a file that make and raise an exception, with the names in them."""
    return [
        (place, node, frozenset(n.id for n in ast.walk(node.exc) if isinstance(n, ast.Name)))
        for place in source.places
        if isinstance(node := place.node, ast.Raise) and isinstance(node.exc, ast.Call) and not node.cause
    ]


@lru_cache(maxsize=4)
def _never_made(source: Source) -> list[str]:
    """Exceptions that the module defines, and that it never raises."""
    calls = (place.node.func for place in source.places if isinstance(place.node, ast.Call))
    made = {call.id for call in calls if isinstance(call, ast.Name)}
    bases = {
        getattr(base, "id", "") for n in source.tree.body if isinstance(n, ast.ClassDef) for base in n.bases
    }
    return [error for error in _defined(source) if error not in made | bases]


def exception(source: Source) -> Iterator[Change]:
    """Another exception that is raised, caught or derived from, or the current one raised again."""
    known = _of_file(source)
    for place in source.places:
        node = place.node
        if isinstance(node, ast.Name) and _is_exception(place, known):
            base = ("Exception",) if place.above and isinstance(place.above.node, ast.ClassDef) else ()
            others = dict.fromkeys(
                n for n in (*base, *known, *_RELATIVES.get(node.id, _COMMON)) if n != node.id
            )
            span = source.span(node)
            for number, other in enumerate(others):
                yield Change(*span, other, span, 1.0 if number < 5 else 0.5)
        if isinstance(node, ast.ExceptHandler) and node.type:
            yield from _caught(source, node.type, known)
        elif isinstance(node, ast.Raise) and node.exc:
            if any(isinstance(above, ast.ExceptHandler) for above in _around(place)):
                span = source.span(node)
                yield Change(*span, "raise", span, 0.7)
        elif isinstance(node, (ast.Return, ast.Expr)) and isinstance(node.value, ast.Call):
            called = node.value.func
            if isinstance(called, ast.Name) and (called.id in known or called.id in _RELATIVES):
                start = source.span(node)[0]
                yield Change(start, source.span(node.value)[0], "raise ", (start, start), 5.0)


@lru_cache(maxsize=4)
def _of_file(source: Source) -> tuple[str, ...]:
    """Exceptions that the file raises, catches or defines."""
    found = dict.fromkeys(_defined(source))
    names = (place.node.id for place in source.places if isinstance(place.node, ast.Name))
    return tuple(found | dict.fromkeys(name for name in names if _is_built_in(name)))


def _defined(source: Source) -> list[str]:
    """Exceptions that the module defines."""
    found: list[str] = []
    for node in source.tree.body:
        if isinstance(node, ast.ClassDef):
            bases = [base.id for base in node.bases if isinstance(base, ast.Name)]
            if any(base in found or base.endswith(("Error", "Exception")) for base in bases):
                found.append(node.name)
    return found


def _is_built_in(name: str) -> bool:
    return name in _RELATIVES or name.endswith("Error")


def _around(place: Place) -> Iterator[ast.AST]:
    above = place.above
    while above:
        yield above.node
        above = above.above


def _is_exception(place: Place, known: Collection[str]) -> bool:
    """Whether a name is an exception that is raised, caught, or the base of another."""
    above, node = place.above, place.node
    if above is None or not isinstance(node, ast.Name):
        return False
    if isinstance(above.node, ast.Call) and above.node.func is node and above.above:
        return isinstance(above.above.node, ast.Raise)
    if isinstance(above.node, ast.Tuple) and above.above:
        above = above.above
    is_base = isinstance(above.node, ast.ClassDef) and node in above.node.bases
    return isinstance(above.node, (ast.ExceptHandler, ast.Raise)) or (is_base and node.id in known)


def _caught(source: Source, caught: ast.expr, known: Collection[str]) -> Iterator[Change]:
    """One exception more or less in what a handler catches."""
    span = source.span(caught)
    parts = caught.elts if isinstance(caught, ast.Tuple) else [caught]
    names = list(dict.fromkeys(source.code(each) for each in parts))  # an edit may have named one twice
    if not names:
        return
    others = [n for n in dict.fromkeys((*_RELATIVES.get(names[0], ()), *known, *_COMMON)) if n not in names]
    for other in others[:6]:
        yield Change(*span, f"({', '.join([*names, other])})", span, 0.3)
    for name in names if len(names) > 1 else ():
        rest = [other for other in names if other != name]
        yield Change(*span, f"({', '.join(rest)})" if len(rest) > 1 else rest[0], span, 0.4)
    if names != ["Exception"]:
        yield Change(*span, "Exception", span, 0.4)
