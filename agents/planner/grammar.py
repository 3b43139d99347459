"""What rules can be composed of, read from the harness itself: its moments, predicates and actions.

Nothing here knows a rule. `primitives.py` of the harness names the ingredients; every moment, predicate and action
can meet every other, so useless and harmful rules are as reachable as good ones.
"""

import ast
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

MOMENTS = ("start", "step", "proposed", "tested", "helped", "useless", "broke")

DECODING = ("temperature", "top_p", "frequency_penalty", "presence_penalty")

PHRASES = (
    "Look at the boundary of every comparison.",
    "Look for a constant that is off by one.",
    "Look for a wrong operator.",
    "Look for a wrong name.",
    "Look for a wrong attribute.",
    "Look for a call of the wrong function.",
    "Look at the bounds of every slice.",
    "Look at initial values.",
    "Look for a mutable default.",
    "Look for swapped branches.",
    "Look at the type of every exception.",
    "Look for a missing base case.",
    "Look at the order of arguments.",
    "Look for a missing guard for empty input.",
    "Look at what is returned.",
    "Look for a condition that should be negated.",
    "Look for a doubled statement.",
    "Look for a missing statement.",
    "Look for a statement in the wrong block.",
    "Take your time and think about the whole program.",
    "Change something that you have not changed before.",
    "Keep the edit as small as possible.",
)
"""Things that can be said to a model. Some may help, most do not."""

DOMAINS: dict[str, Sequence[Any]] = {
    "n": (1, 2, 3, 4, 6),
    "text": PHRASES,
    "parameter": ("temperature", "top_p"),
    "factor": (0.5, 0.7, 0.85, 1.2, 1.5),
    "amount": (-0.5, 0.25, 0.5, 1.0),
}
"""Values that a parameter of a primitive may take, by the parameter's name."""


@dataclass(frozen=True)
class Primitive:
    """A predicate or an action, and the parameters that it takes besides the run."""

    name: str
    parameters: tuple[str, ...]
    doc: str

    def draw(self, rng: random.Random) -> dict[str, Any]:
        """Values for its parameters."""
        values = {name: rng.choice(DOMAINS[name]) for name in self.parameters}
        if self.name == "shift":
            values["parameter"] = rng.choice(("frequency_penalty", "presence_penalty"))
        return values


@dataclass(frozen=True)
class Grammar:
    """The ingredients that a harness offers."""

    predicates: tuple[Primitive, ...]
    actions: tuple[Primitive, ...]


def read_grammar(tree: Mapping[str, bytes]) -> Grammar:
    """The ingredients in a harness's `primitives.py`; empty when it has none or it cannot be read."""
    try:
        source = tree["primitives.py"].decode()
        module = ast.parse(source)
    except (KeyError, SyntaxError, UnicodeDecodeError):
        return Grammar((), ())
    lines = source.splitlines()
    sections: dict[str, list[Primitive]] = {"predicates": [], "actions": [], "helpers": []}
    for node in module.body:
        if not isinstance(node, ast.FunctionDef) or node.name.startswith("_"):
            continue
        names = tuple(argument.arg for argument in node.args.args)
        section = _section(lines, node.lineno)
        if section in sections and names[:1] == ("run",) and all(n in DOMAINS for n in names[1:]):
            doc = (ast.get_docstring(node) or "").split("\n")[0]
            sections[section].append(Primitive(node.name, names[1:], doc))
    return Grammar(tuple(sections["predicates"]), tuple(sections["actions"]))


def _section(lines: Sequence[str], line: int) -> str:
    """The nearest heading comment above a line."""
    for text in reversed(lines[: line - 1]):
        if text.startswith("# "):
            return text[2:].strip().lower()
    return ""
