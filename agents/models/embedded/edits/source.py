"""A source file as the edit grammar reads it: text with exact positions, and what names mean where."""

import ast
import re
import warnings
from collections import Counter
from collections.abc import Iterable, Iterator
from functools import cached_property

from agents.models.embedded.edits import fstrings
from agents.models.embedded.tokens import BUILTINS

Function = ast.FunctionDef | ast.AsyncFunctionDef
Scope = Function | ast.Lambda
COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)


class Place:
    """A node of the tree with what surrounds it: the node above, the function and the class that it is in."""

    __slots__ = ("above", "bound", "function", "node", "owner")

    def __init__(
        self,
        node: ast.AST,
        above: "Place | None",
        function: Function | None,
        owner: ast.ClassDef | None,
        bound: tuple[str, ...],
    ) -> None:
        self.node = node
        self.above = above
        self.function = function
        self.owner = owner
        self.bound = bound
        """Names of the comprehensions and lambdas around the node."""


class Source:
    """A parsed file. Offsets are in bytes of its UTF-8 text, as the positions of `ast` are.

    Raises:
        SyntaxError: The text is not Python.
        ValueError: The text holds null bytes.
    """

    def __init__(self, path: str, text: str) -> None:
        self.path = path
        self.text = text
        self.data = text.encode()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            self.tree = ast.parse(text)
        self._starts = [0]
        for line in self.data.split(b"\n"):
            self._starts.append(self._starts[-1] + len(line) + 1)
        self.texts: list[tuple[int, int]] = []
        """Where f-strings stand, in bytes."""
        self.places = list(self._walk(self.tree, None, None, None, ()))

    def offset(self, line: int, column: int) -> int:
        """Byte offset of a position as `ast` gives it: line from 1, column in bytes."""
        return self._starts[line - 1] + column

    def span(self, node: ast.expr | ast.stmt) -> tuple[int, int]:
        """Where a node begins and ends, in bytes."""
        end = self.offset(node.end_lineno or node.lineno, node.end_col_offset or 0)
        return self.offset(node.lineno, node.col_offset), end

    def code(self, node: ast.expr | ast.stmt) -> str:
        """The text of a node."""
        return self.cut(*self.span(node))

    def cut(self, start: int, end: int) -> str:
        """The text between two byte offsets."""
        return self.data[start:end].decode()

    def is_bare(self, node: ast.expr) -> bool:
        """Whether a node has no brackets directly around it."""
        start, end = self.span(node)
        return not (self.data[:start].rstrip().endswith(b"(") and self.data[end:].lstrip().startswith(b")"))

    def line_of(self, offset: int) -> int:
        """The line, from 1, that holds a byte offset."""
        low, high = 0, len(self._starts)
        while high - low > 1:
            middle = (low + high) // 2
            if self._starts[middle] <= offset:
                low = middle
            else:
                high = middle
        return low + 1

    def line_span(self, first: int, last: int) -> tuple[int, int]:
        """Bytes of whole lines, without the last one's end."""
        return self._starts[first - 1], self._starts[last] - 1

    def between(self, left: ast.expr, right: ast.expr, symbol: str) -> tuple[int, int] | None:
        """Where an operator stands between two operands, in bytes; None if that cannot be told."""
        start, end = self.span(left)[1], self.span(right)[0]
        gap = self.data[start:end].decode()
        if "#" in gap:
            return None
        match = re.search(r"\s+".join(re.escape(part) for part in symbol.split()), gap)
        if match is None:
            return None
        before = start + len(gap[: match.start()].encode())
        return before, before + len(match.group().encode())

    def _walk(
        self,
        node: ast.AST,
        above: Place | None,
        function: Function | None,
        owner: ast.ClassDef | None,
        bound: tuple[str, ...],
    ) -> Iterator[Place]:
        place = Place(node, above, function, owner, bound)
        yield place
        if isinstance(node, ast.JoinedStr):
            node.values = list(self._within(node))  # whoever walks the tree finds these positions
            for expression in node.values:
                yield from self._walk(expression, place, function, owner, bound)
            return
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            return
        if isinstance(node, Function):
            function = node
        elif isinstance(node, ast.ClassDef):
            owner, function = node, None
        elif isinstance(node, COMPREHENSIONS):
            bound += tuple(stored(generator.target for generator in node.generators))
        elif isinstance(node, ast.Lambda):
            bound += tuple(parameters(node))
        annotations = {id(getattr(node, "annotation", None)), id(getattr(node, "returns", None))}
        for child in ast.iter_child_nodes(node):
            if id(child) not in annotations:
                yield from self._walk(child, place, function, owner, bound)

    def _within(self, node: ast.JoinedStr) -> Iterator[ast.expr]:
        """The expressions of an f-string on one line, at the positions that they have in the file."""
        if node.lineno != node.end_lineno:
            return
        self.texts.append(self.span(node))
        for offset, expression in fstrings.expressions(self.code(node)):
            for inner in ast.walk(expression):
                if isinstance(inner, ast.expr) and inner.end_col_offset is not None:
                    inner.lineno = inner.end_lineno = node.lineno
                    inner.col_offset += node.col_offset + offset
                    inner.end_col_offset += node.col_offset + offset
            yield expression

    @cached_property
    def functions(self) -> dict[Function, dict[str, int]]:
        """For each function its parameters and local names, each with the first line that binds it."""
        found: dict[Function, dict[str, int]] = {}
        for place in self.places:
            if isinstance(place.node, Function):
                names = dict.fromkeys(parameters(place.node), place.node.lineno)
                found[place.node] = names
            elif (
                isinstance(place.node, ast.Name) and isinstance(place.node.ctx, ast.Store) and place.function
            ):
                if place.node.id not in place.bound:
                    found[place.function].setdefault(place.node.id, place.node.lineno)
            elif isinstance(place.node, ast.ExceptHandler) and place.node.name and place.function:
                found[place.function].setdefault(place.node.name, place.node.lineno)
        return found

    @cached_property
    def reads(self) -> dict[Function, Counter[str]]:
        """For each function how often it reads each name; to call a method only for its effect is no reading."""
        found: dict[Function, Counter[str]] = {function: Counter() for function in self.functions}
        for place in self.places:
            node = place.node
            if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load) and place.function:
                found[place.function][node.id] += not _is_only_changed(place)
        return found

    @cached_property
    def globals(self) -> frozenset[str]:
        """Names that the module binds, and those that always have a meaning."""
        names = dict.fromkeys(("self", "cls", *BUILTINS))
        for node in self.tree.body:
            if isinstance(node, (ast.Import, ast.ImportFrom)):
                names |= {(a.asname or a.name.partition(".")[0]): None for a in node.names}
            elif isinstance(node, (Function, ast.ClassDef)):
                names[node.name] = None
            elif isinstance(node, ast.Assign):
                names |= dict.fromkeys(stored(node.targets))
        return frozenset(names)

    @cached_property
    def modules(self) -> frozenset[str]:
        """Names by which the module knows the modules that it imports."""
        imports = (node for node in self.tree.body if isinstance(node, ast.Import))
        return frozenset(a.asname or a.name.partition(".")[0] for node in imports for a in node.names)

    @cached_property
    def members(self) -> dict[ast.ClassDef, tuple[tuple[str, ...], tuple[str, ...]]]:
        """For each class its data attributes and its methods, in order of appearance."""
        data: dict[ast.ClassDef, dict[str, None]] = {}
        methods: dict[ast.ClassDef, dict[str, None]] = {}
        for place in self.places:
            node, owner = place.node, place.owner
            if isinstance(node, ast.ClassDef):
                data[node], methods[node] = {}, {}
                for statement in node.body:
                    if isinstance(statement, Function):
                        is_data = any(getattr(d, "id", "") == "property" for d in statement.decorator_list)
                        (data if is_data else methods)[node][statement.name] = None
                    elif isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name):
                        data[node][statement.target.id] = None
            elif (
                owner
                and isinstance(node, ast.Attribute)
                and isinstance(node.ctx, ast.Store)
                and on_self(node)
            ):
                data[owner][node.attr] = None
        return {owner: (tuple(data[owner]), tuple(methods[owner])) for owner in data}

    @cached_property
    def attributes(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Attribute names that the file reads on other objects, and those that it calls, in order."""
        read: dict[str, None] = {}
        called: dict[str, None] = {}
        for place in self.places:
            if isinstance(place.node, ast.Attribute) and not on_self(place.node):
                (called if is_called(place) else read)[place.node.attr] = None
        return tuple(read), tuple(called)

    def visible(self, place: Place) -> list[str]:
        """Names that a place may use: bound by comprehensions around it, parameters, earlier locals."""
        names = dict.fromkeys(reversed(place.bound))
        if place.function:
            names |= dict.fromkeys(self.known_at(place.function, getattr(place.node, "lineno", 0)))
        return [name for name in names if name not in ("self", "cls", "_")]

    def known_at(self, function: Function, line: int) -> list[str]:
        """Parameters of a function and what it binds up to a line."""
        names = self.functions[function]
        return [n for n, bound in names.items() if bound <= line and n not in ("self", "cls", "_")]

    @cached_property
    def bodies(self) -> list[tuple[Place, list[ast.stmt]]]:
        """Every list of statements within a function, with the place that holds it; an `elif` is none."""
        found = []
        for place in self.places:
            if not (place.function or isinstance(place.node, Function)):
                continue
            for name in ("body", "orelse", "finalbody"):
                body = getattr(place.node, name, None)
                if isinstance(body, list) and body and not self.is_elif(body[0]):
                    found.append((place, body))
        return found

    @cached_property
    def inside(self) -> dict[Function, list[Place]]:
        """For each function the places within it, those of functions within it left out."""
        found: dict[Function, list[Place]] = {function: [] for function in self.functions}
        for place in self.places:
            if place.function:
                found[place.function].append(place)
        return found

    @cached_property
    def owners(self) -> dict[Function, ast.ClassDef | None]:
        """For each function the class that it is a method of."""
        return {place.node: place.owner for place in self.places if isinstance(place.node, Function)}

    @cached_property
    def unit(self) -> str:
        """The blanks of one level of indentation."""
        steps = (f.body[0].col_offset - f.col_offset for f in self.functions if f.body[0].lineno > f.lineno)
        return " " * next(steps, 4)

    def is_elif(self, node: ast.AST) -> bool:
        """Whether an `if` is written as the `elif` of another one."""
        return isinstance(node, ast.If) and self.data.startswith(b"elif", self.span(node)[0])


def on_self(node: ast.Attribute) -> bool:
    """Whether an attribute is one of `self` or `cls`."""
    return isinstance(node.value, ast.Name) and node.value.id in ("self", "cls")


def _is_only_changed(place: Place) -> bool:
    """Whether a name is the object of a statement that calls one of its methods, such as `names.append(name)`."""
    chain: list[ast.AST] = []
    above = place.above
    while above and len(chain) < 3:
        chain.append(above.node)
        above = above.above
    if len(chain) < 3:
        return False
    method, call, statement = chain
    is_call = isinstance(method, ast.Attribute) and isinstance(call, ast.Call) and call.func is method
    return is_call and isinstance(statement, ast.Expr)


def is_called(place: Place) -> bool:
    """Whether the node of a place is what a call calls."""
    above = place.above and place.above.node
    return isinstance(above, ast.Call) and above.func is place.node


def parameters(node: Scope) -> list[str]:
    """Names of a function's parameters, in order."""
    a = node.args
    every = [*a.posonlyargs, *a.args, *([a.vararg] if a.vararg else []), *a.kwonlyargs]
    return [argument.arg for argument in [*every, *([a.kwarg] if a.kwarg else [])]]


def stored(targets: Iterable[ast.expr]) -> list[str]:
    """Names that assignment targets bind."""
    return [node.id for target in targets for node in ast.walk(target) if isinstance(node, ast.Name)]
