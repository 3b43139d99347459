"""The rule for a missing statement: what a loop, a constructor or a result still wants, or what stands elsewhere."""

import ast
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, islice

from agents.models.embedded.edits import blocks, uses
from agents.models.embedded.edits.change import Change
from agents.models.embedded.edits.source import Function, Place, Source, parameters, stored

_MOST = 10
"""Statements that are tried at one place; those of the same function come first."""
_LONGEST = 60
_LOOKED_AT = 60
"""Characters of such a statement, and statements that are looked at for one function."""
_SUSPICIOUS = 6.0
"""How much likelier a statement is missing without which something would have no use."""
_ADDING = {
    "[]": "{}.append({})",
    "list()": "{}.append({})",
    "set()": "{}.add({})",
    "deque()": "{}.append({})",
}
_BY_CALL = ("append", "add", "extend", "insert", "update", "appendleft", "setdefault", "push", "discard")

Options = dict[str, float]


def missing_statement(source: Source) -> Iterator[Change]:
    """Put in a statement: a count, an addition, a step, a reset, a result, a field, or one that stands elsewhere."""
    for function, owner in source.owners.items():
        if not blocks.without_docstring(function.body):
            continue
        yield from _fields(source, function, owner)
        yield from _results(source, function)
        own = _Function(source, function)
        for place, body in source.bodies:
            if (place.node if isinstance(place.node, Function) else place.function) is function:
                yield from own.within(place, body)


def _fields(source: Source, function: Function, owner: ast.ClassDef | None) -> Iterator[Change]:
    """What a constructor has to keep, and what its class reads and nobody has set."""
    last = function.body[-1]
    if function.name != "__init__" or owner is None or not blocks.stands_alone(source, last):
        return
    if last.lineno == function.lineno:
        return
    read = source.reads[function]
    found: Options = {f"self.{n} = {n}": _SUSPICIOUS for n in parameters(function)[1:] if not read[n]}
    data, methods = source.members[owner]
    for place in source.places:
        node = place.node
        if (
            place.owner is owner
            and isinstance(node, ast.Attribute)
            and source.code(node) == f"self.{node.attr}"
        ):
            if node.attr not in (*data, *methods) and not owner.bases:
                own = [node.attr] if node.attr in parameters(function) else []
                for value in own or ("0", "[]", "{}", "None", "set()", "False"):
                    found.setdefault(f"self.{node.attr} = {value}", _SUSPICIOUS / 2)
    if owner.bases and "super()" not in source.code(function):
        given = ", ".join(parameters(function)[1:])
        found |= {"super().__init__()": 0.5, f"super().__init__({given})": 0.5}
    for statement in function.body if found else ():
        if blocks.stands_alone(source, statement) and not isinstance(statement, (ast.If, *blocks.LOOPS)):
            share = 1.0 if statement is last else 0.1
            for code, weight in islice(found.items(), _MOST):
                yield blocks.insertion(source, statement, [code], weight * share, behind=True)


def _results(source: Source, function: Function) -> Iterator[Change]:
    """A result at the end of a function that has none there."""
    last, names = function.body[-1], source.functions[function]
    if isinstance(last, (ast.Return, ast.Raise)) or function.name.startswith("__init"):
        return
    if not blocks.stands_alone(source, last) or last.lineno == function.lineno or isinstance(last, ast.Pass):
        return
    own = [name for name in names if name not in (*parameters(function), "_")]
    gives = any(isinstance(p.node, ast.Return) and p.node.value for p in source.inside[function])
    yields = any(isinstance(p.node, (ast.Yield, ast.YieldFrom)) for p in source.inside[function])
    unread = {n: (_SUSPICIOUS if not source.reads[function][n] or gives else 1.0) for n in own[:4]}
    found = {f"return {n}": (0.1 if yields else w) for n, w in unread.items()}
    if gives:
        found |= {
            f"return {v}": 2.0 for v in ("None", "False", "True", "-1", "0", "[]", *parameters(function)[:1])
        }
    if function in source.owners and source.owners[function]:
        found |= {"return self": 0.1}
    for code, weight in found.items():
        yield blocks.insertion(source, last, [code], weight, behind=True)


class _Function:
    """What one function offers: the values that its names begin with, and statements to repeat."""

    def __init__(self, source: Source, function: Function) -> None:
        self.source = source
        self.function = function
        self.inside = source.inside[function]
        self.used = uses.of_places(source, self.inside)
        self.beginnings = self._beginnings()
        owner = source.owners[function]
        siblings = owner.body if owner else []
        others = (s for f in siblings if isinstance(f, Function) and f is not function for s in _short(f))
        tried = islice(chain(_short(function), others), _LOOKED_AT)
        self.known = _distinct(source, tried, set(source.functions[function]))

    def _beginnings(self) -> dict[str, str]:
        """What each local name, and each attribute of the object, is at first."""
        owner = self.source.owners[self.function]
        of_class = (
            p
            for p in self.source.places
            if owner and p.owner is owner and p.function not in (None, self.function)
        )
        found: dict[str, str] = {}
        for place in chain(self.inside, of_class):
            node = place.node
            if (
                isinstance(node, ast.Assign)
                and len(node.targets) == 1
                and not isinstance(node.targets[0], ast.Tuple)
            ):
                target = self.source.code(node.targets[0])
                if place.function is self.function or target.startswith("self."):
                    found.setdefault(target, self.source.code(node.value))
        return found

    def within(self, place: Place, body: Sequence[ast.stmt]) -> Iterator[Change]:
        """Statements for every position of a block."""
        there = {self.source.code(statement) for statement in body}
        repeated = [(code, statement) for code, statement in self.known if code not in there]
        alone = [blocks.stands_alone(self.source, statement) for statement in body]
        for number, statement in enumerate(body):
            if not alone[number] or statement.lineno == getattr(place.node, "lineno", 0):
                continue
            options = self._options(place, body, number)
            yield from self._put(statement, body[number + 1 :], repeated, options)
        first = body[0]
        if alone[0] and first.lineno > getattr(place.node, "lineno", 0) and not blocks.is_docstring(first):
            marks = {code: 1.5 for code in self._marks() if code not in there}
            again = (
                {c: 0.4 for c, s in repeated[:_MOST] if s is not first}
                if isinstance(place.node, blocks.LOOPS)
                else {}
            )
            simple = isinstance(first, (*blocks.SIMPLE, ast.If, *blocks.LOOPS))
            for code, weight in (marks | again).items() if simple or marks else ():
                yield blocks.insertion(self.source, first, [code], weight)

    def _put(
        self,
        at: ast.stmt,
        following: Sequence[ast.stmt],
        repeated: list[tuple[str, ast.stmt]],
        options: Options,
    ) -> Iterator[Change]:
        """Behind a statement, or before one that leaves the block."""
        if blocks.is_docstring(at):
            return
        leaves = isinstance(at, blocks.LEAVING)
        if not leaves or not following:
            share = 1.0 if not following or leaves else 0.3
            for code, weight in options.items():
                if not (leaves and code.split()[0] in ("break", "continue", "return")):
                    yield blocks.insertion(self.source, at, [code], weight * share, behind=not leaves)
        if isinstance(at, (ast.Assign, ast.AugAssign, ast.Expr)) or leaves:
            text = self.source.code(at)
            for code, statement in repeated:
                if statement is not at and code not in text and code not in options:
                    yield blocks.insertion(self.source, at, [code], 0.7, behind=not leaves)

    def _options(self, place: Place, body: Sequence[ast.stmt], number: int) -> Options:
        """Statements that the names of a function want at the end of a block."""
        found: Options = {}
        last = number == len(body) - 1
        loop = _loop(place)
        there = "\n".join(self.source.code(statement) for statement in body)
        if last or isinstance(body[number], blocks.LEAVING):
            found |= self._steps(loop) if loop is place.node else {}
            if loop is not None:
                found |= self._additions(loop)
            found |= self._kept(body)
        if (
            loop is not None
            and last
            and not isinstance(place.node, blocks.LOOPS)
            and isinstance(place.node, ast.If)
        ):
            found |= {"break": 0.4, "continue": 0.4}
        last_bound = body[number]
        if isinstance(last_bound, ast.Assign) and isinstance(last_bound.targets[0], ast.Name):
            found |= {code: 1.5 for code in self._marks() if f"({last_bound.targets[0].id})" in code}
        return {code: weight for code, weight in found.items() if code not in there}

    def _steps(self, loop: ast.stmt | None) -> Options:
        """What brings a `while` loop nearer to its end, if nothing does so far."""
        if not isinstance(loop, ast.While):
            return {}
        found: Options = {}
        names = dict.fromkeys(n.id for n in ast.walk(loop.test) if isinstance(n, ast.Name))
        changed = {
            n.id
            for s in loop.body
            for n in ast.walk(s)
            if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)
        }
        for name in names:
            weight = 0.3 if changed & set(names) else _SUSPICIOUS
            sorts = self.used.get(name, {})
            if uses.NUMBER in sorts or uses.KEY in sorts or uses.DIVISOR in sorts:
                found |= {f"{name} += 1": weight, f"{name} -= 1": weight}
                found |= (
                    {f"{name} //= 10": weight / 4, f"{name} //= 2": weight / 4}
                    if uses.NUMBER in sorts
                    else {}
                )
            for attribute in self.source.attributes[0][:4] if uses.OBJECT in sorts else ():
                found[f"{name} = {name}.{attribute}"] = weight
        return found

    def _additions(self, loop: ast.stmt) -> Options:
        """What a loop may count or collect."""
        found: Options = {}
        values = self._values(loop)
        for target, beginning in self.beginnings.items():
            if "." not in target and not target.isidentifier():
                continue
            grows = any(self._grows(place, target) for place in self.inside)
            weight = 0.4 if grows else 3.0
            if target.startswith("self.") or target in values:
                continue
            if beginning in _ADDING:
                found |= {_ADDING[beginning].format(target, value): weight for value in values[:3]}
            elif beginning in ("0", "1", "0.0"):
                found[f"{target} += 1"] = weight
                found |= {f"{target} += {value}": weight / 2 for value in values[:2]}
            elif beginning in ("{}", "dict()") and len(values) > 1:
                found |= {
                    f"{target}[{values[1]}] = {values[0]}": weight,
                    f"{target}[{values[0]}] = {values[1]}": weight / 2,
                }
            elif beginning in ('""', "''"):
                found |= {f"{target} += {value}": weight for value in values[:2]}
        return found

    def _values(self, loop: ast.stmt) -> list[str]:
        """Names that a loop gives values: the latest first, what it goes through last."""
        bound = self.source.functions[self.function]
        last = blocks.last_line(loop)
        return [name for name, line in reversed(bound.items()) if loop.lineno <= line <= last and name != "_"]

    def _grows(self, place: Place, target: str) -> bool:
        node = place.node
        if isinstance(node, ast.AugAssign):
            return self.source.code(node.target) == target
        if isinstance(node, ast.Subscript) and not isinstance(node.ctx, ast.Load):
            return self.source.code(node.value) == target
        is_method = isinstance(node, ast.Attribute) and node.attr in _BY_CALL
        return is_method and isinstance(node, ast.Attribute) and self.source.code(node.value) == target

    def _marks(self) -> list[str]:
        """What makes that a thing is known which the function looks up, where nothing does."""
        found = []
        for place in self.inside:
            node = place.node
            if isinstance(node, ast.Compare) and isinstance(node.ops[0], (ast.In, ast.NotIn)):
                of, key = node.comparators[0], node.left
                plain = isinstance(of, (ast.Name, ast.Attribute)) and isinstance(
                    key, (ast.Name, ast.Attribute)
                )
                if plain and not any(self._grows(p, self.source.code(of)) for p in self.inside):
                    form = _ADDING.get(self.beginnings.get(self.source.code(of), "set()"), "")
                    found += [form.format(self.source.code(of), self.source.code(key))] if form else []
        return list(dict.fromkeys(found))[:2]

    def _kept(self, body: Sequence[ast.stmt]) -> Options:
        """What a method may have to keep of its parameters, where nothing reads them; and what a cache lacks."""
        found: Options = {}
        names = [name for name in parameters(self.function)[1:] if not self.source.reads[self.function][name]]
        for target, beginning in self.beginnings.items():
            if not target.startswith("self.") or self.function.name == "__init__":
                continue
            if beginning in _ADDING:
                found |= {_ADDING[beginning].format(target, name): _SUSPICIOUS for name in names}
            elif beginning in ("0", "0.0"):
                found |= {f"{target} += {name}": _SUSPICIOUS for name in names} | {
                    f"{target} += 1": 0.2,
                    f"{target} -= 1": 0.2,
                }
            elif beginning in ("{}", "dict()") and len(names) > 1:
                found |= {f"{target}[{names[0]}] = {names[1]}": _SUSPICIOUS}
            elif beginning in parameters(self.function):
                found |= {f"{target} = {name}": _SUSPICIOUS for name in names}
        final = body[-1]
        if isinstance(final, ast.Return) and isinstance(final.value, ast.Name):
            for place in self.inside:
                node = place.node
                if (
                    isinstance(node, ast.Subscript)
                    and isinstance(node.ctx, ast.Load)
                    and not isinstance(node.slice, ast.Slice)
                ):
                    of = self.source.code(node.value)
                    if not any(self._grows(p, of) for p in self.inside) and not isinstance(
                        node.slice, ast.Constant
                    ):
                        found[f"{self.source.code(node)} = {final.value.id}"] = 1.0
        return found


def _loop(place: Place) -> ast.stmt | None:
    """The innermost loop around a place, within its function."""
    at: Place | None = place
    while at and not isinstance(at.node, (Function, ast.ClassDef)):
        if isinstance(at.node, blocks.LOOPS):
            return at.node
        at = at.above
    return None


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


def _distinct(
    source: Source, statements: Iterable[ast.stmt], visible: set[str]
) -> list[tuple[str, ast.stmt]]:
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
