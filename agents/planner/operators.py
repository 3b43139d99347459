"""Change operators: each draws a change of one kind for a harness. They know ingredients, not recipes."""

import random
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from agents.patcher.diff import apply_diff
from agents.patcher.parse import BadDiff
from agents.planner.draft import RANGES, Draft, Ground, is_run
from agents.planner.grammar import MOMENTS, Primitive
from agents.planner.mutate import mutations, sample
from agents.planner.text import erase, write
from contracts.events import Plan
from contracts.events.change import FREE
from contracts.lineage import Branch


def drafts(ground: Ground, rng: random.Random, *, per_operator: int = 120) -> list[Draft]:
    """Many possible changes, of every operator that has something to work on."""
    drawing: tuple[Callable[[Ground, random.Random], Draft | None], ...] = (perturb, compose, write)
    found = [draft for _ in range(per_operator) for draw in drawing if (draft := draw(ground, rng))]
    found += sample(mutations(ground.tree, tools=ground.tools), per_operator, rng)
    found += [*drop(ground), *erase(ground), *graft(ground)]
    return list({draft.signature: draft for draft in found}.values())


def perturb(ground: Ground, rng: random.Random) -> Draft | None:
    """Move one decoding parameter: a small step, or anywhere in its range; None where it would stay."""
    name = rng.choice(list(RANGES))
    low, high = RANGES[name]
    now = decoding_of(ground.config, name)
    if rng.random() < 0.5:
        step = rng.choice((-1, 1)) * rng.uniform(0.1, 0.4) * (high - low) * 0.5
        value = now + step if low <= now + step <= high else now - step  # at a bound there is one way only
    else:
        value = rng.uniform(low, high)
    value = round(min(high, max(low, value)), 2)
    return set_decoding(name, now, value) if value != now else None


def decoding_of(config: Mapping[str, Any], name: str) -> float:
    """A decoding parameter as harness.toml sets it."""
    return float(config.get("decoding", {}).get(name, 1.0 if name in ("temperature", "top_p") else 0.0))


def set_decoding(name: str, now: float, value: float) -> Draft:
    """The draft that gives a decoding parameter another value."""
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
        arms=(
            f"action:{action.name}",
            f"predicate:{predicate.name}",
            f"moment:{moment}",
            f"{moment}/{action.name}",
        ),
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
    earlier = [branch for branch in ground.archive if branch.effect > 0 and branch.parent != ground.head]
    promising = [
        (branch, again)
        for branch in earlier
        if (again := repeated(branch, ground)) and not _held(again.operator, again.change, ground)
    ]
    return [_grafted(ground, branch.plan, again) for branch, again in promising[-12:]]


def _grafted(ground: Ground, plan: Plan, again: Draft) -> Draft:
    if plan.operator == "perturb":
        name, value = plan.change["parameter"], plan.change["value"]
        title = set_decoding(name, decoding_of(ground.config, name), value).title
    else:
        title = plan.title
    arms = (plan.arm, "graft", *plan.ingredients)
    return replace(again, arms=arms, title=f"again: {title.removeprefix('again: ')}")


def repeated(branch: Branch, ground: Ground) -> Draft | None:
    """A change once more, as it was made: what a model wrote as the diff that it came to, if that is known."""
    plan, operator, change = branch.plan, branch.plan.operator, dict(branch.plan.change)
    if operator in FREE:
        if branch.tree not in ground.diffs:
            return None
        operator, change = "diff", {"diff": ground.diffs[branch.tree]}
    return Draft(surface=plan.surface, operator=operator, arms=plan.arms, change=change, title=plan.title)


def _held(operator: str, change: Mapping[str, Any], ground: Ground) -> bool:
    """Whether a change is in the head already, or is of a kind that is not brought back."""
    if operator == "perturb":
        return decoding_of(ground.config, str(change["parameter"])) == float(change["value"])
    if operator == "diff":
        try:
            return apply_diff(change["diff"], ground.tree) == ground.tree
        except BadDiff:
            return True  # what it changed stands there no more
    if operator == "compose":
        return f"rules/{change['name']}.py" in ground.tree
    text = ground.tree.get(str(change.get("path")), b"").decode(errors="replace")
    if operator == "write":
        return change["text"] in text
    if operator != "mutate" or not is_run(str(change["path"]), tools=ground.tools):
        return True
    return change["old"] not in text  # lines that are gone cannot be changed again


def _call(primitive: Primitive, values: Mapping[str, Any]) -> str:
    if not values:
        return primitive.name
    return f"{primitive.name}({', '.join(repr(value) for value in values.values())})"
