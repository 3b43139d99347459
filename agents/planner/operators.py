"""Change operators: each draws a change of one kind for a harness. They know ingredients, not recipes."""

import random
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from agents.planner.grammar import MOMENTS, Grammar, Primitive, read_grammar
from contracts.lineage import Branch

RANGES = {
    "temperature": (0.1, 2.0),
    "top_p": (0.2, 1.0),
    "frequency_penalty": (-1.0, 2.0),
    "presence_penalty": (-1.0, 2.0),
}


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
        parts = sorted(
            (key, repr(value))
            for key, value in self.change.items()
            if self.operator != "compose" or key != "name"  # what a new rule is called does not matter
        )
        return f"{self.operator}:{parts}"


@dataclass(frozen=True)
class Ground:
    """What operators draw from: the head's files, and what was tried before."""

    tree: Mapping[str, bytes]
    archive: Sequence[Branch]
    name: str
    """Prefix for the names of new files: unique in the lineage."""

    @cached_property
    def config(self) -> dict[str, Any]:
        """The head's harness.toml."""
        try:
            return tomllib.loads(self.tree["harness.toml"].decode())
        except (KeyError, tomllib.TOMLDecodeError, UnicodeDecodeError):
            return {}

    @cached_property
    def grammar(self) -> Grammar:
        """The head's ingredients."""
        return read_grammar(self.tree)


def drafts(ground: Ground, rng: random.Random, *, per_operator: int = 160) -> list[Draft]:
    """Many possible changes, of every operator that has something to work on."""
    found: list[Draft] = []
    for _ in range(per_operator):
        found.append(perturb(ground, rng))
        composed = compose(ground, rng)
        if composed is not None:
            found.append(composed)
    found += drop(ground)
    found += graft(ground)
    unique = {draft.signature: draft for draft in found}
    return list(unique.values())


def perturb(ground: Ground, rng: random.Random) -> Draft:
    """Move one decoding parameter: a small step, or anywhere in its range."""
    decoding = ground.config.get("decoding", {})
    name = rng.choice(list(RANGES))
    low, high = RANGES[name]
    now = float(decoding.get(name, 1.0 if name in ("temperature", "top_p") else 0.0))
    if rng.random() < 0.5:
        step = rng.choice((-1, 1)) * rng.uniform(0.1, 0.4) * (high - low) * 0.5
        value = now + step if low <= now + step <= high else now - step  # at a bound there is one way only
    else:
        value = rng.uniform(low, high)
    value = round(min(high, max(low, value)), 2)
    side = "down" if value < now else "up"
    return Draft(
        surface="decoding",
        operator="perturb",
        arms=(f"decoding:{name}:{side}", f"decoding:{name}"),
        change={"parameter": name, "value": value},
        title=f"{name} {now:g} → {value:g}",
    )


def compose(ground: Ground, rng: random.Random) -> Draft | None:
    """Put a rule together: a moment, a predicate over the transcript, an action."""
    grammar = ground.grammar
    if not grammar.predicates or not grammar.actions:
        return None
    moment = rng.choice(MOMENTS)
    conditions = [p for p in grammar.predicates if p.name != "always"]
    plain = [p for p in grammar.predicates if p.name == "always"]
    # Half of all rules have no condition: of two rules the simpler is tried first.
    predicate = rng.choice(plain if plain and (not conditions or rng.random() < 0.5) else conditions)
    action = rng.choice(grammar.actions)
    when, then = predicate.draw(rng), action.draw(rng)
    return Draft(
        surface="rule",
        operator="compose",
        arms=(f"action:{action.name}", f"predicate:{predicate.name}", f"moment:{moment}"),
        change={
            "name": f"{ground.name}_{action.name}",
            "moment": moment,
            "predicate": [predicate.name, when],
            "action": [action.name, then],
        },
        title=f"on {moment}, when {_call(predicate, when)}: {_call(action, then)}",
    )


def drop(ground: Ground) -> list[Draft]:
    """Take one rule out again: rules that stopped paying are ballast."""
    names = ground.config.get("rules", {}).get("on", [])
    return [
        Draft(
            surface="rule",
            operator="drop",
            arms=("drop",),
            change={"name": name},
            title=f"without the rule {name}",
        )
        for name in names
        if isinstance(name, str)
    ]


def graft(ground: Ground) -> list[Draft]:
    """Bring a change back that raced ahead of an earlier head and that this head does not hold."""
    promising = [
        branch
        for branch in ground.archive
        if branch.effect > 0
        and branch.plan.operator == "compose"
        and f"rules/{branch.plan.change['name']}.py" not in ground.tree
    ]
    return [
        Draft(
            surface=branch.plan.surface,
            operator="compose",
            arms=(branch.plan.arm, "graft"),
            change=dict(branch.plan.change),
            title=branch.plan.title,
        )
        for branch in promising[-12:]
    ]


def _call(primitive: Primitive, values: Mapping[str, Any]) -> str:
    if not values:
        return primitive.name
    return f"{primitive.name}({', '.join(repr(value) for value in values.values())})"
