"""What the names of a function want done: a counter its count, a collection its items, a loop its step."""

import ast
from collections.abc import Iterator, Sequence
from itertools import chain

from agents.models.embedded.edits import blocks, uses
from agents.models.embedded.edits.change import Change
from agents.models.embedded.edits.source import Function, Place, Source, parameters

SUSPICIOUS = 6.0
"""How much likelier a statement is missing without which something would have no use."""
_CLEANING = ("strip", "lower", "upper")
_ADDING = {
    "[]": "{}.append({})",
    "list()": "{}.append({})",
    "set()": "{}.add({})",
    "deque()": "{}.append({})",
}
_GROWING = ("append", "add", "extend", "insert", "update", "appendleft", "setdefault", "push", "discard")

Options = dict[str, float]
"""Statements, and how likely each is the missing one."""


class Wants:
    """What one function wants, by the values that its names begin with and by how it uses them."""

    def __init__(self, source: Source, function: Function) -> None:
        self.source = source
        self.function = function
        self.inside = source.inside[function]
        self.used = uses.of_places(source, self.inside)
        self.beginnings = self._beginnings()
        self.marks = self._marks()

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
            for each in node.targets if isinstance(node, ast.Assign) else ():
                target = self.source.code(each)
                if isinstance(node, ast.Assign) and (
                    place.function is self.function or target.startswith("self.")
                ):
                    found.setdefault(target, self.source.code(node.value))
        return found

    def at(self, place: Place, body: Sequence[ast.stmt], number: int) -> Options:
        """Statements that the names of a function want at the end of a block."""
        found: Options = {}
        last = number == len(body) - 1
        loop = innermost_loop(place)
        there = "\n".join(self.source.code(statement) for statement in body)
        if last or isinstance(body[number], blocks.LEAVING):
            found |= self._steps(loop, direct=loop is place.node)
            if loop is not None:
                found |= self._additions(loop)
                found |= dict.fromkeys(self.marks, 1.5)
            found |= self._kept(body)
        if (
            loop is not None
            and last
            and not isinstance(place.node, blocks.LOOPS)
            and isinstance(place.node, ast.If)
        ):
            found |= {"break": 0.4, "continue": 0.4}
        if isinstance(body[number], ast.If) and (tested := _looked_up(self.source, body[number])):
            found |= {code: 5.0 for code in self.marks if code.split("(")[1].rstrip(")") in tested}
        return {code: weight for code, weight in found.items() if code not in there}

    def cleaned(self, names: Sequence[str]) -> Options:
        """What makes texts alike before they are looked at, where the file does so with texts."""
        called = self.source.attributes[1]
        texts = [name for name in names if uses.TEXT in self.used.get(name, {})]
        return {
            f"{name} = {name}.{method}()": 0.7 for name in texts for method in _CLEANING if method in called
        }

    def otherwise(self, node: ast.If) -> Iterator[Change]:
        """What a name begins with, again, where the condition of its changes does not hold."""
        changed = (n.id for n in ast.walk(node) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store))
        last = node.body[-1]
        if not blocks.stands_alone(self.source, last) or last.lineno == node.lineno:
            return
        blanks = " " * node.col_offset
        start, end = self.source.line_span(blocks.last_line(last), blocks.last_line(last))
        kept = self.source.cut(start, end)
        for name in dict.fromkeys(changed):
            beginning = self.beginnings.get(name, "")
            if beginning and len(beginning) <= 6 and not self.source.is_elif(node):
                new = f"{kept}\n{blanks}else:\n{blanks}{self.source.unit}{name} = {beginning}"
                yield Change(start, end, new, (end, end), 1.5)

    def _steps(self, loop: ast.stmt | None, *, direct: bool) -> Options:
        """What brings a `while` loop nearer to its end, if nothing does so far; within a branch, only then."""
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
            weight = 0.3 if changed & set(names) else SUSPICIOUS
            if name in changed and not direct:
                continue
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
        is_method = isinstance(node, ast.Attribute) and node.attr in _GROWING
        return is_method and isinstance(node, ast.Attribute) and self.source.code(node.value) == target

    def _marks(self) -> list[str]:
        """What makes that a thing is known which the function looks up, where nothing does."""
        found = []
        calls = (place.node for place in self.inside if isinstance(place.node, ast.Call))
        passed = {self.source.code(argument): "set()" for call in calls for argument in call.args}
        for place in self.inside:
            node = place.node
            if isinstance(node, ast.Compare) and isinstance(node.ops[0], (ast.In, ast.NotIn)):
                of, key = node.comparators[0], node.left
                plain = isinstance(of, (ast.Name, ast.Attribute)) and isinstance(
                    key, (ast.Name, ast.Attribute)
                )
                text = self.source.code(of)
                if plain and not any(self._grows(p, text) for p in self.inside):
                    form = _ADDING.get((passed | self.beginnings).get(text, ""), "")
                    found += [form.format(text, self.source.code(key))] if form else []
        return list(dict.fromkeys(found))[:2]

    def _kept(self, body: Sequence[ast.stmt]) -> Options:
        """What a method may have to keep of its parameters, where nothing reads them; and what a cache lacks."""
        found: Options = {}
        names = [name for name in parameters(self.function)[1:] if not self.source.reads[self.function][name]]
        for target, beginning in self.beginnings.items():
            if not target.startswith("self.") or self.function.name == "__init__":
                continue
            if beginning in _ADDING:
                found |= {_ADDING[beginning].format(target, name): SUSPICIOUS for name in names}
            elif beginning in ("0", "0.0"):
                found |= {f"{target} += {name}": SUSPICIOUS for name in names} | {
                    f"{target} += 1": 0.2,
                    f"{target} -= 1": 0.2,
                }
            elif beginning in ("{}", "dict()") and len(names) > 1:
                found |= {f"{target}[{names[0]}] = {names[1]}": SUSPICIOUS}
            elif beginning in parameters(self.function):
                found |= {f"{target} = {name}": SUSPICIOUS for name in names}
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


def _looked_up(source: Source, node: ast.stmt) -> list[str]:
    """What the condition of an `if` looks up in a collection."""
    compared = (
        [n for n in ast.walk(node.test) if isinstance(n, ast.Compare)] if isinstance(node, ast.If) else []
    )
    return [source.code(n.left) for n in compared if isinstance(n.ops[0], (ast.In, ast.NotIn))]


def innermost_loop(place: Place) -> ast.stmt | None:
    """The innermost loop around a place, within its function."""
    at: Place | None = place
    while at and not isinstance(at.node, (Function, ast.ClassDef)):
        if isinstance(at.node, blocks.LOOPS):
            return at.node
        at = at.above
    return None
