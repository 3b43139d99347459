"""Turning a plan's change into files: pure functions from a harness to a harness."""

import ast
import re
import tomllib
from collections.abc import Callable, Mapping
from typing import Any

from agents.patcher.diff import apply_diff
from agents.patcher.parse import BadDiff

BOUNDS = {
    "temperature": (0.01, 2.0),
    "top_p": (0.01, 1.0),
    "frequency_penalty": (-2.0, 2.0),
    "presence_penalty": (-2.0, 2.0),
}
"""Decoding parameters, and the least and the largest value of each."""


_ON = r"(?m)^(\[rules\][ \t]*\n(?:(?!\[).*\n)*?)on = \[[^\]]*\]$"
"""The list of rules that are on; other tables may have such a list, too."""


class CannotApply(ValueError):
    """Raised when a change does not fit the harness that it is to be made to."""


class CannotCompile(ValueError):
    """Raised when the changed harness is not well-formed."""


def apply_change(operator: str, change: Mapping[str, Any], tree: Mapping[str, bytes]) -> dict[str, bytes]:
    """The harness after the change. Raises CannotApply."""
    if operator not in MAKERS:
        raise CannotApply(f"there is no operator {operator!r}; there are {', '.join(MAKERS)}")
    try:
        return MAKERS[operator](change, tree)
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
    if len(re.findall(_parameter(name), text)) != 1:
        raise CannotApply(f"harness.toml does not set {name} exactly once")
    return {
        **tree,
        "harness.toml": re.sub(_parameter(name), lambda found: f"{found[1]}{value!r}", text).encode(),
    }


def _parameter(name: str) -> str:
    """Pattern of the line that sets a decoding parameter."""
    return rf"(?m)^({name}[ \t]*=[ \t]*)[^\s#]+"


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
    return list(_settings(tree)["rules"]["on"])


def _settings(tree: Mapping[str, bytes]) -> dict[str, Any]:
    try:
        return tomllib.loads(tree["harness.toml"].decode())
    except tomllib.TOMLDecodeError as error:
        raise CannotApply(f"harness.toml: {error}") from error


def _with_rules(tree: Mapping[str, bytes], names: list[str]) -> dict[str, bytes]:
    text = tree["harness.toml"].decode()
    if len(re.findall(_ON, text)) != 1:
        raise CannotApply("harness.toml does not list the rules that are on exactly once")
    listed = ", ".join(f'"{name}"' for name in names)
    return {**tree, "harness.toml": re.sub(_ON, lambda found: f"{found[1]}on = [{listed}]", text).encode()}


def _write(change: Mapping[str, Any], tree: Mapping[str, bytes]) -> dict[str, bytes]:
    """Add lines to the end of a text that the model reads; make it where there is none."""
    path, text = _text_path(change), str(change["text"]).strip("\n")
    if not text:
        raise CannotApply("there is nothing to write")
    before = tree.get(path, b"").decode()
    if text in before:
        raise CannotApply(f"{path} says this already")
    joint = "" if not before or before.endswith("\n") else "\n"
    return {**tree, path: f"{before}{joint}{text}\n".encode()}


def _erase(change: Mapping[str, Any], tree: Mapping[str, bytes]) -> dict[str, bytes]:
    """Take lines out of a text that the model reads; a text of which nothing is left goes altogether."""
    path, text = _text_path(change), str(change["text"]).strip("\n")
    lines, gone = tree.get(path, b"").decode().split("\n"), text.split("\n")
    starts = [i for i in range(len(lines)) if lines[i : i + len(gone)] == gone]
    if not text or len(starts) != 1:
        raise CannotApply(f"{path} says this {len(starts)} times, not once")
    left = "\n".join(lines[: starts[0]] + lines[starts[0] + len(gone) :])
    if not left.strip():
        return {other: data for other, data in tree.items() if other != path}
    return {**tree, path: left.encode()}


def _text_path(change: Mapping[str, Any]) -> str:
    path = str(change["path"])
    if not re.fullmatch(r"(prompts|skills|memory)(/[A-Za-z0-9_-]+)*/[A-Za-z0-9_-]+\.md", path):
        raise CannotApply(f"{path!r} is no text that the model reads")
    return path


def _mutate(change: Mapping[str, Any], tree: Mapping[str, bytes]) -> dict[str, bytes]:
    """Replace whole lines of a Python file, where they stood or, if lines have moved, where alone they stand."""
    path, line = str(change["path"]), int(change["line"])
    if path not in tree or not path.endswith(".py"):
        raise CannotApply(f"there is no Python file {path}")
    lines, old = tree[path].decode().split("\n"), str(change["old"]).split("\n")
    starts = [i for i in range(len(lines)) if lines[i : i + len(old)] == old]
    if line - 1 not in starts and len(starts) != 1:
        raise CannotApply(f"{path}: the lines to replace stand there {len(starts)} times, and not at {line}")
    at = line - 1 if line - 1 in starts else starts[0]
    new = [*lines[:at], *(str(change["new"]).split("\n") if change["new"] else []), *lines[at + len(old) :]]
    return {**tree, path: "\n".join(new).encode()}


def _diff(change: Mapping[str, Any], tree: Mapping[str, bytes]) -> dict[str, bytes]:
    """Apply a unified diff over any files of the harness."""
    try:
        changed = apply_diff(str(change["diff"]), tree)
    except BadDiff as error:
        raise CannotApply(str(error)) from error
    if changed.get("harness.toml", tree["harness.toml"]) != tree["harness.toml"]:
        _check_form(changed)
    return changed


def _check_form(tree: Mapping[str, bytes]) -> None:
    """Refuse a harness.toml that later changes could not be made to, or that turns on what is not there."""
    text = tree["harness.toml"].decode(errors="replace")
    for name in BOUNDS:
        if len(re.findall(_parameter(name), text)) != 1:
            raise CannotApply(f"harness.toml: want one line `{name} = …`")
    if len(re.findall(_ON, text)) != 1:
        raise CannotApply(
            "harness.toml: want one list `on = […]` in [rules], at the beginning of a line, and nothing behind it"
        )
    tools = _settings(tree).get("tools", {}).get("on", ())  # earlier harnesses have none
    for kind, names in (("rule", _rules_on(tree)), ("tool", tools)):
        for name in names:
            if (path := f"{kind}s/{name}.py") not in tree:
                raise CannotApply(f"harness.toml turns on the {kind} {name!r}, and there is no {path}")


def _several(change: Mapping[str, Any], tree: Mapping[str, bytes]) -> dict[str, bytes]:
    """One change after the other."""
    for part in change["parts"]:
        if part["operator"] == "several":
            raise CannotApply("several changes cannot hold several others")
        tree = apply_change(part["operator"], part["change"], tree)
    return dict(tree)


MAKERS: Mapping[str, Callable[[Mapping[str, Any], Mapping[str, bytes]], dict[str, bytes]]] = {
    "perturb": _perturb,
    "compose": _compose,
    "drop": _drop,
    "write": _write,
    "erase": _erase,
    "mutate": _mutate,
    "diff": _diff,
    "several": _several,
}
"""What each operator does to a harness."""
