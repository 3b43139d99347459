"""Turning a plan's change into files: pure functions from a harness to a harness."""

import ast
import re
import tomllib
from collections.abc import Mapping
from typing import Any

BOUNDS = {
    "temperature": (0.01, 2.0),
    "top_p": (0.01, 1.0),
    "frequency_penalty": (-2.0, 2.0),
    "presence_penalty": (-2.0, 2.0),
}
"""Decoding parameters, and the least and the largest value of each."""


class CannotApply(ValueError):
    """Raised when a change does not fit the harness that it is to be made to."""


class CannotCompile(ValueError):
    """Raised when the changed harness is not well-formed."""


def apply_change(operator: str, change: Mapping[str, Any], tree: Mapping[str, bytes]) -> dict[str, bytes]:
    """The harness after the change. Raises CannotApply."""
    makers = {"perturb": _perturb, "compose": _compose, "drop": _drop}
    if operator not in makers:
        raise CannotApply(f"there is no operator {operator!r}; there are {', '.join(makers)}")
    try:
        return makers[operator](change, tree)
    except CannotApply:
        raise
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise CannotApply(f"the change lacks or garbles something: {error!r}") from error


def check_compiles(tree: Mapping[str, bytes], parent: Mapping[str, bytes] | None = None) -> None:
    """Raise CannotCompile unless every Python and TOML file is well-formed and decoding is within bounds.

    Files that a `parent`, which passed this check, has just so are passed over.
    """
    for path, data in sorted(tree.items()):
        if parent is not None and parent.get(path) == data:
            continue
        try:
            if path.endswith(".py"):
                ast.parse(data, filename=path)
            elif path.endswith(".toml"):
                tomllib.loads(data.decode())
        except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
            raise CannotCompile(f"{path}: {error}") from error
    if "agent.py" not in tree or "harness.toml" not in tree:
        raise CannotCompile("agent.py or harness.toml is gone")
    decoding = tomllib.loads(tree["harness.toml"].decode()).get("decoding")
    if not isinstance(decoding, dict):
        raise CannotCompile("harness.toml: there is no table [decoding]")
    for name, (low, high) in BOUNDS.items():
        value = decoding.get(name)
        if not isinstance(value, int | float) or isinstance(value, bool) or not low <= value <= high:
            raise CannotCompile(
                f"harness.toml: decoding.{name} is {value!r}, not a number in [{low}, {high}]"
            )


def _perturb(change: Mapping[str, Any], tree: Mapping[str, bytes]) -> dict[str, bytes]:
    name, value = change["parameter"], float(change["value"])
    if name not in BOUNDS:
        raise CannotApply(f"{name!r} is no decoding parameter; there are {', '.join(BOUNDS)}")
    text = tree["harness.toml"].decode()
    pattern = rf"(?m)^({name}[ \t]*=[ \t]*)[^\s#]+"
    if len(re.findall(pattern, text)) != 1:
        raise CannotApply(f"harness.toml does not set {name} exactly once")
    return {**tree, "harness.toml": re.sub(pattern, lambda found: f"{found[1]}{value!r}", text).encode()}


def _compose(change: Mapping[str, Any], tree: Mapping[str, bytes]) -> dict[str, bytes]:
    name = change["name"]
    if not re.fullmatch(r"[a-z][a-z0-9_]{0,60}", name):
        raise CannotApply(f"{name!r} is no name for a rule")
    path = f"rules/{name}.py"
    if path in tree:
        raise CannotApply(f"there is a rule {name} already")
    _check_rule(change, tree)
    on = _rules_on(tree)
    return _with_rules({**tree, path: render_rule(change).encode()}, [*on, name])


def _drop(change: Mapping[str, Any], tree: Mapping[str, bytes]) -> dict[str, bytes]:
    name = change["name"]
    on = _rules_on(tree)
    if name not in on:
        raise CannotApply(f"the rule {name} is not on")
    rest = {path: data for path, data in tree.items() if path != f"rules/{name}.py"}
    return _with_rules(rest, [other for other in on if other != name])


def _check_rule(change: Mapping[str, Any], tree: Mapping[str, bytes]) -> None:
    """Refuse what is no word for a moment, and ingredients that the harness does not have."""
    moment = change["moment"]
    if not (isinstance(moment, str) and moment.isidentifier()):
        raise CannotApply(f"{moment!r} is no moment")
    try:
        module = ast.parse(tree["primitives.py"])
    except SyntaxError as error:
        raise CannotApply(f"primitives.py: {error}") from error
    known = {node.name for node in module.body if isinstance(node, ast.FunctionDef)}
    for name, _ in (change["predicate"], change["action"]):
        if name not in known:
            raise CannotApply(f"primitives.py defines no {name!r}")


def render_rule(change: Mapping[str, Any]) -> str:
    """The source of a composed rule."""
    predicate, when = change["predicate"]
    action, then = change["action"]
    arguments = [", ".join(["run", *(repr(value) for value in values.values())]) for values in (when, then)]
    imports = ", ".join(sorted({predicate, action}))
    return (
        f'"""On {change["moment"]}, when {predicate}: {action}."""\n\n'
        f"from primitives import {imports}\n\n"
        f"on = {change['moment']!r}\n\n\n"
        f"def when(run):\n    return {predicate}({arguments[0]})\n\n\n"
        f"def act(run):\n    {action}({arguments[1]})\n"
    )


def _rules_on(tree: Mapping[str, bytes]) -> list[str]:
    try:
        return list(tomllib.loads(tree["harness.toml"].decode())["rules"]["on"])
    except tomllib.TOMLDecodeError as error:
        raise CannotApply(f"harness.toml: {error}") from error


def _with_rules(tree: Mapping[str, bytes], names: list[str]) -> dict[str, bytes]:
    text = tree["harness.toml"].decode()
    pattern = r"(?m)^on = \[[^\]]*\]$"
    if len(re.findall(pattern, text)) != 1:
        raise CannotApply("harness.toml does not list the rules that are on exactly once")
    listed = ", ".join(f'"{name}"' for name in names)
    return {**tree, "harness.toml": re.sub(pattern, lambda _: f"on = [{listed}]", text).encode()}
