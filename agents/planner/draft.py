"""What operators work on and what they make: the ground, and drafts of changes."""

import tomllib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from agents.planner.grammar import Grammar, read_grammar
from contracts.lineage import Branch, Fixes

RANGES = {
    "temperature": (0.1, 2.0),
    "top_p": (0.2, 1.0),
    "frequency_penalty": (-1.0, 2.0),
    "presence_penalty": (-1.0, 2.0),
}
"""Decoding parameters, and between what they are moved."""

TEXTS = ("prompts/", "skills/", "memory/")
"""Folders of a harness whose files the model reads."""

WITH_TOOLS = ("tools/", "dialogue/", "prompts/tools.md")
"""What is there only for a model that calls tools, `tools/edit.py` left out."""


@dataclass(frozen=True)
class Draft:
    """A change before it becomes a plan."""

    surface: str
    operator: str
    arms: tuple[str, ...]
    """What the bandit credits, the most telling first."""
    change: dict[str, Any]
    title: str

    @property
    def signature(self) -> str:
        """Equal for changes that would come to the same."""
        return signature(self.operator, self.change)


def signature(operator: str, change: Mapping[str, Any]) -> str:
    """Equal for changes that would come to the same: what a new rule is called does not matter."""
    if operator == "several":
        parts = [signature(part["operator"], part["change"]) for part in change["parts"]]
        return f"several:{change.get('base', '')}:{sorted(parts)}"
    named = operator == "compose"
    return f"{operator}:{sorted((k, repr(v)) for k, v in change.items() if not (named and k == 'name'))}"


def moved(operator: str, change: Mapping[str, Any]) -> set[str]:
    """Decoding parameters that a change moves, at once or by a rule."""
    if operator == "several":
        return set().union(*(moved(part["operator"], part["change"]) for part in change["parts"]))
    if operator == "perturb":
        return {str(change["parameter"])}
    if operator == "compose":
        values = change["action"][1]
        return {str(values["parameter"])} if "parameter" in values else set()
    return set()


@dataclass(frozen=True)
class Ground:
    """What operators draw from: the head's files, the seed's, and what was tried and learned before."""

    tree: Mapping[str, bytes]
    archive: Sequence[Branch]
    name: str
    """Prefix for the names of new files: unique in the lineage."""
    seed: Mapping[str, bytes] = field(default_factory=dict)
    fixes: Mapping[str, Fixes] = field(default_factory=dict)
    head: str = ""
    """The tree's digest."""
    heads: Collection[str] = ()
    """Digests of all harnesses that have been the head."""
    diffs: Mapping[str, str] = field(default_factory=dict)
    """Tree of a branch that a model wrote → what it changed, as a unified diff."""
    tools: bool = False
    """Whether the campaign's model calls tools."""

    @cached_property
    def config(self) -> dict[str, Any]:
        """The head's harness.toml."""
        return read_config(self.tree)

    @cached_property
    def grammar(self) -> Grammar:
        """The head's ingredients."""
        return read_grammar(self.tree)


def read_config(tree: Mapping[str, bytes]) -> dict[str, Any]:
    """A harness's harness.toml; empty when there is none or it cannot be read."""
    try:
        return tomllib.loads(tree["harness.toml"].decode())
    except (KeyError, tomllib.TOMLDecodeError, UnicodeDecodeError):
        return {}


def concerns(path: str, *, tools: bool) -> bool:
    """Whether a file of the harness has a part in episodes with such a model: changes to any other are inert."""
    return tools or path == "tools/edit.py" or not path.startswith(WITH_TOOLS)


def is_run(path: str, *, tools: bool) -> bool:
    """Whether it is code that runs in them."""
    return path.endswith(".py") and not path.startswith(TEXTS) and concerns(path, tools=tools)


def surface_of(path: str) -> str:
    """The surface that a file of the harness belongs to."""
    if path == "harness.toml":
        return "decoding"
    folders = {
        "rules/": "rule",
        "prompts/": "prompt",
        "skills/": "skill",
        "memory/": "memory",
        "tools/": "tool",
    }
    return next((surface for folder, surface in folders.items() if path.startswith(folder)), "scaffold")
