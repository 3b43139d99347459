"""What a constructor has to keep and a function to give back, where it does not: a part of the missing statements."""

import ast
from collections.abc import Iterator
from itertools import islice

from agents.models.embedded.edits import blocks
from agents.models.embedded.edits.change import Change
from agents.models.embedded.edits.source import Function, Source, on_self, parameters
from agents.models.embedded.edits.wants import SUSPICIOUS, Options

_MOST = 8


def fields(source: Source, function: Function, owner: ast.ClassDef | None) -> Iterator[Change]:
    """What a constructor has to keep, and what its class reads and nobody has set."""
    last = function.body[-1]
    if function.name != "__init__" or owner is None or not blocks.stands_alone(source, last):
        return
    if last.lineno == function.lineno:
        return
    read = source.reads[function]
    found: Options = {f"self.{n} = {n}": SUSPICIOUS for n in parameters(function)[1:] if not read[n]}
    own_names = _set_by(source, owner)
    for place in source.places:
        node = place.node
        is_own = (
            place.owner is owner and isinstance(node, ast.Attribute) and on_self(node) and not owner.bases
        )
        if is_own and isinstance(node, ast.Attribute) and node.attr not in own_names:
            own = [node.attr] if node.attr in parameters(function) else []
            for value in own or ("0", "[]", "{}", "None", "set()", "False"):
                found.setdefault(f"self.{node.attr} = {value}", SUSPICIOUS / 2)
    if owner.bases and "super()" not in source.code(function):
        given = ", ".join(parameters(function)[1:])
        found |= {"super().__init__()": 0.5, f"super().__init__({given})": 0.5}
    for statement in function.body if found else ():
        if blocks.stands_alone(source, statement) and not isinstance(statement, (ast.If, *blocks.LOOPS)):
            share = 1.0 if statement is last else 0.1
            for code, weight in islice(found.items(), _MOST):
                yield blocks.insertion(source, statement, [code], weight * share, behind=True)


def _set_by(source: Source, owner: ast.ClassDef) -> set[str]:
    """What a class gives a value: its methods and its own names, and what its methods assign."""
    found = set(source.members[owner][1])
    for place in source.places:
        node = place.node
        is_set = isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store)
        if (
            place.owner is owner
            and is_set
            and not isinstance(getattr(place.above, "node", None), ast.AugAssign)
        ):
            found.add(getattr(node, "attr", ""))
    for statement in owner.body:
        targets = (
            statement.targets if isinstance(statement, ast.Assign) else [getattr(statement, "target", None)]
        )
        found |= {target.id for target in targets if isinstance(target, ast.Name)}
        found |= {statement.name} if isinstance(statement, Function) else set()
    return found


def results(source: Source, function: Function) -> Iterator[Change]:
    """A result at the end of a function that has none there."""
    last, names = function.body[-1], source.functions[function]
    if isinstance(last, (ast.Return, ast.Raise)) or function.name.startswith("__init"):
        return
    if not blocks.stands_alone(source, last) or last.lineno == function.lineno or isinstance(last, ast.Pass):
        return
    own = [name for name in names if name not in (*parameters(function), "_")]
    gives = any(isinstance(p.node, ast.Return) and p.node.value for p in source.inside[function])
    yields = any(isinstance(p.node, (ast.Yield, ast.YieldFrom)) for p in source.inside[function])
    unread = {n: (SUSPICIOUS if not source.reads[function][n] or gives else 1.0) for n in own[:4]}
    found = {f"return {n}": (0.1 if yields else w) for n, w in unread.items()}
    if gives:
        found |= {
            f"return {v}": 2.0 for v in ("None", "False", "True", "-1", "0", "[]", *parameters(function)[:1])
        }
    if source.owners.get(function):
        found |= {"return self": 0.1}
    for code, weight in found.items():
        yield blocks.insertion(source, last, [code], weight, behind=True)
