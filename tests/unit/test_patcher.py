import ast
import random
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agents.patcher.changes import (
    BOUNDS,
    CannotApply,
    CannotCompile,
    apply_change,
    check_compiles,
    render_rule,
)
from agents.planner.draft import RANGES, Ground
from agents.planner.grammar import MOMENTS
from agents.planner.operators import compose, drafts, perturb

HARNESS = Path(__file__).parents[2] / "harness"
SEED = {
    str(path.relative_to(HARNESS)): path.read_bytes()
    for path in HARNESS.rglob("*")
    if path.is_file() and "__pycache__" not in path.parts
}
GROUND = Ground(tree=SEED, archive=(), name="c1_r1")
RULE: dict[str, Any] = {
    "name": "c1_r1_tell_0",
    "moment": "tested",
    "predicate": ["after", {"n": 3}],
    "action": ["scale", {"parameter": "temperature", "factor": 0.5}],
}


def toml(tree: Mapping[str, bytes]) -> dict[str, Any]:
    return tomllib.loads(tree["harness.toml"].decode())


def comments(tree: Mapping[str, bytes]) -> list[str]:
    text = tree["harness.toml"].decode()
    return [line[line.index("#") :] for line in text.split("\n") if "#" in line]


def with_toml(text: str) -> dict[str, bytes]:
    return {**SEED, "harness.toml": text.encode()}


def test_the_seed_is_well_formed() -> None:
    check_compiles(SEED)
    assert toml(SEED)["rules"] == {"on": []}
    assert comments(SEED)


# Every operator, on the real seed


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32))
def test_every_draft_of_the_planner_applies_and_compiles(seed: int) -> None:
    rng = random.Random(seed)
    for draft in (perturb(GROUND, rng), compose(GROUND, rng)):
        if draft is None:  # the parameter would have stayed
            continue
        tree = apply_change(draft.operator, draft.change, SEED)
        check_compiles(tree)
        assert comments(tree) == comments(SEED)
        changed = {path for path in tree if tree[path] != SEED.get(path)}
        rule = {f"rules/{draft.change['name']}.py"} if draft.operator == "compose" else set()
        assert changed <= {"harness.toml"} | rule
        assert SEED.keys() <= tree.keys()


@pytest.mark.parametrize("name", BOUNDS)
def test_a_perturbation_changes_its_parameter_and_nothing_else(name: str) -> None:
    tree = apply_change("perturb", {"parameter": name, "value": 0.35}, SEED)
    before, after = toml(SEED), toml(tree)
    assert after["decoding"].pop(name) == 0.35
    before["decoding"].pop(name)
    assert after == before
    assert apply_change("perturb", {"parameter": name, "value": toml(SEED)["decoding"][name]}, tree) == SEED


def test_the_planner_stays_within_what_the_patcher_takes() -> None:
    assert RANGES.keys() == BOUNDS.keys()
    for name, (low, high) in RANGES.items():
        assert BOUNDS[name][0] <= low < high <= BOUNDS[name][1]


def test_a_comment_beside_a_value_survives() -> None:
    text = SEED["harness.toml"].decode().replace("temperature = 1.0", "temperature  =  1.0  # plain")
    tree = apply_change("perturb", {"parameter": "temperature", "value": 0.5}, with_toml(text))
    assert "temperature  =  0.5  # plain\n" in tree["harness.toml"].decode()


def test_a_composed_rule_is_on_and_says_what_it_is() -> None:
    tree = apply_change("compose", RULE, SEED)
    assert toml(tree)["rules"]["on"] == ["c1_r1_tell_0"]
    assert tree["rules/c1_r1_tell_0.py"].decode() == (
        '"""On tested, when after: scale."""\n\nfrom primitives import after, scale\n\non = \'tested\'\n\n\n'
        "def when(run):\n    return after(run, 3)\n\n\n"
        "def act(run):\n    scale(run, 'temperature', 0.5)\n"
    )


def test_rules_run_in_the_order_in_which_they_came() -> None:
    tree: dict[str, bytes] = dict(SEED)
    for number in range(3):
        tree = apply_change("compose", {**RULE, "name": f"rule_{number}"}, tree)
    assert toml(tree)["rules"]["on"] == ["rule_0", "rule_1", "rule_2"]
    tree = apply_change("drop", {"name": "rule_1"}, tree)
    assert toml(tree)["rules"]["on"] == ["rule_0", "rule_2"]
    assert "rules/rule_1.py" not in tree


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32), st.integers(1, 4))
def test_dropping_what_was_composed_gives_the_same_bytes(seed: int, count: int) -> None:
    rng = random.Random(seed)
    trees: list[dict[str, bytes]] = [dict(SEED)]
    names = []
    for number in range(count):
        draft = compose(GROUND, rng)
        assert draft is not None
        names.append(f"{draft.change['name']}_{number}")
        trees.append(apply_change("compose", {**draft.change, "name": names[-1]}, trees[-1]))
    for name, before in zip(reversed(names), reversed(trees[:-1]), strict=True):
        assert apply_change("drop", {"name": name}, trees.pop()) == before


def test_a_change_leaves_the_tree_that_it_was_given_as_it_was() -> None:
    tree = dict(SEED)
    apply_change("compose", RULE, tree)
    apply_change("perturb", {"parameter": "top_p", "value": 0.5}, tree)
    assert tree == SEED


# Rendered rules


def test_a_rendered_rule_imports_what_the_harness_has() -> None:
    module = ast.parse(SEED["primitives.py"])
    known = {node.name for node in module.body if isinstance(node, ast.FunctionDef)}
    for draft in drafts(GROUND, random.Random(1)):
        if draft.operator != "compose":
            continue
        rule = ast.parse(render_rule(draft.change))
        [imported] = [node for node in rule.body if isinstance(node, ast.ImportFrom)]
        assert imported.module == "primitives"
        assert {alias.name for alias in imported.names} <= known
        assert {node.name for node in rule.body if isinstance(node, ast.FunctionDef)} == {"when", "act"}
        [moment] = [node.value for node in rule.body if isinstance(node, ast.Assign)]
        assert isinstance(moment, ast.Constant)
        assert moment.value in MOMENTS


@pytest.mark.parametrize("text", ['quote " and """', "back\\slash", "line\nbreak", "é…", "{run}", "'"])
def test_any_text_reaches_the_rule_as_it_is(text: str) -> None:
    source = render_rule({**RULE, "action": ["tell", {"text": text}]})
    assert [n.value for n in ast.walk(ast.parse(source)) if isinstance(n, ast.Constant)].count(text) == 1


# What does not fit


@pytest.mark.parametrize(
    "name",
    [
        "../agent",
        "a/b",
        "/etc/passwd",
        "..",
        ".",
        "",
        "__init__",
        "_hidden",
        "a.b",
        "a\n",
        "A",
        "1a",
        "a" * 62,
        "a\x00",
        "é",
        "a b",
    ],
)
@pytest.mark.parametrize("operator", ["compose", "drop"])
def test_a_name_that_is_a_path_or_worse_is_refused(name: str, operator: str) -> None:
    change = {**RULE, "name": name} if operator == "compose" else {"name": name}
    with pytest.raises(CannotApply, match=r"is no name for a rule|is not on"):
        apply_change(operator, change, SEED)


@pytest.mark.parametrize(
    ("operator", "change", "words"),
    [
        ("rewrite", {}, "there is no operator 'rewrite'"),
        ("perturb", {}, "lacks or garbles"),
        ("perturb", {"parameter": "temperature"}, "lacks or garbles"),
        ("perturb", {"parameter": "temperature", "value": "hot"}, "lacks or garbles"),
        ("perturb", {"parameter": "temperature", "value": None}, "lacks or garbles"),
        ("perturb", {"parameter": ["temperature"], "value": 1}, "lacks or garbles"),
        ("perturb", {"parameter": "on", "value": 1}, "'on' is no decoding parameter"),
        ("perturb", {"parameter": "seed", "value": 1}, "'seed' is no decoding parameter"),
        ("perturb", {"parameter": ".*", "value": 1}, "is no decoding parameter"),
        ("compose", {}, "lacks or garbles"),
        ("compose", {**RULE, "name": 5}, "lacks or garbles"),
        ("compose", {**RULE, "moment": "a b"}, "'a b' is no moment"),
        ("compose", {**RULE, "moment": '"""\nimport os\n"""'}, "is no moment"),
        ("compose", {**RULE, "moment": 3}, "3 is no moment"),
        ("compose", {**RULE, "predicate": ["wishful", {}]}, "primitives.py defines no 'wishful'"),
        ("compose", {**RULE, "action": ["os.system", {}]}, "primitives.py defines no 'os.system'"),
        ("compose", {**RULE, "action": ["Failed", {}]}, "primitives.py defines no 'Failed'"),
        ("compose", {**RULE, "action": [[], {}]}, "lacks or garbles"),
        ("compose", {**RULE, "action": "tell"}, "lacks or garbles"),
        ("compose", {**RULE, "action": ["tell"]}, "lacks or garbles"),
        ("compose", {**RULE, "action": ["tell", []]}, "lacks or garbles"),
        ("compose", {**RULE, "action": ["tell", {}, "more"]}, "lacks or garbles"),
        ("drop", {}, "lacks or garbles"),
        ("drop", {"name": "c1_r1_tell_0"}, "the rule c1_r1_tell_0 is not on"),
        ("drop", {"name": None}, "the rule None is not on"),
        ("write", {}, "lacks or garbles"),
        ("write", {"path": "prompts/system.md"}, "lacks or garbles"),
        ("write", {"path": "prompts/system.md", "text": "\n"}, "nothing to write"),
        ("write", {"path": "prompts/system.md", "text": "You repair small"}, "says this already"),
        ("write", {"path": "agent.py", "text": "x"}, "'agent.py' is no text that the model reads"),
        ("write", {"path": "prompts/../agent.md", "text": "x"}, "is no text"),
        ("write", {"path": "prompts/system.md\n", "text": "x"}, "is no text"),
        ("write", {"path": "/prompts/system.md", "text": "x"}, "is no text"),
        ("write", {"path": "skills//SKILL.md", "text": "x"}, "is no text"),
        ("write", {"path": "skills/x.py", "text": "x"}, "is no text"),
        ("write", {"path": None, "text": "x"}, "is no text"),
        ("erase", {"path": "harness.toml", "text": "[rules]"}, "is no text"),
        ("erase", {"path": "prompts/system.md", "text": ""}, "times, not once"),
        ("erase", {"path": "prompts/system.md", "text": "You repair small"}, "says this 0 times"),
        ("erase", {"path": "memory/none.md", "text": "x"}, "says this 0 times"),
        ("mutate", {"path": "agent.py", "line": 1, "old": "x"}, "stand there 0 times, and not at 1"),
        ("mutate", {"path": "agent.py", "line": 1}, "lacks or garbles"),
        ("mutate", {"path": "agent.py", "line": "one", "old": "x", "new": ""}, "lacks or garbles"),
        ("mutate", {"path": "agent.py", "line": -5, "old": "", "new": "x"}, "times, and not at -5"),
        ("mutate", {"path": "none.py", "line": 1, "old": "", "new": "x"}, "no Python file none.py"),
        ("mutate", {"path": "harness.toml", "line": 1, "old": "", "new": "x"}, "no Python file harness.toml"),
        ("several", {}, "lacks or garbles"),
        ("several", {"parts": [{"operator": "several", "change": {"parts": []}}]}, "cannot hold several"),
        ("several", {"parts": [{"operator": "rewrite", "change": {}}]}, "there is no operator 'rewrite'"),
    ],
)
def test_a_bad_change_is_refused_in_clear_words(operator: str, change: dict[str, Any], words: str) -> None:
    with pytest.raises(CannotApply) as refused:
        apply_change(operator, change, SEED)
    assert words in str(refused.value)


def test_lines_that_have_moved_are_found_where_they_stand_alone() -> None:
    lines = SEED["agent.py"].decode().split("\n")
    at = lines.index("        run.open()")
    change = {"path": "agent.py", "line": at + 1, "old": lines[at], "new": "        run.close()"}
    moved = {**SEED, "agent.py": b"\n\n" + SEED["agent.py"]}
    after = apply_change("mutate", change, moved)["agent.py"].decode().split("\n")
    assert after[at + 2] == "        run.close()"
    twice = {**SEED, "agent.py": b"\n" + SEED["agent.py"] + lines[at].encode() + b"\n"}
    with pytest.raises(CannotApply, match="stand there 2 times"):
        apply_change("mutate", change, twice)
    here = {**SEED, "agent.py": SEED["agent.py"] + lines[at].encode() + b"\n"}
    after = apply_change("mutate", change, here)["agent.py"].decode().split("\n")
    assert (after[at], after[-2]) == ("        run.close()", lines[at])


def test_a_text_is_added_at_the_end_and_a_text_of_which_nothing_is_left_goes() -> None:
    tree = apply_change("write", {"path": "memory/a-b_1.md", "text": "\nOne.\n\nTwo.\n"}, SEED)
    assert tree["memory/a-b_1.md"] == b"One.\n\nTwo.\n"
    bare = {**SEED, "prompts/system.md": b"No line break"}
    assert apply_change("write", {"path": "prompts/system.md", "text": "x"}, bare)["prompts/system.md"] == (
        b"No line break\nx\n"
    )
    tree = apply_change("erase", {"path": "memory/a-b_1.md", "text": "One."}, tree)
    assert tree["memory/a-b_1.md"] == b"\nTwo.\n"
    assert apply_change("erase", {"path": "memory/a-b_1.md", "text": "Two."}, tree) == SEED


def test_a_rule_is_not_made_twice() -> None:
    tree = apply_change("compose", RULE, SEED)
    with pytest.raises(CannotApply, match="there is a rule c1_r1_tell_0 already"):
        apply_change("compose", RULE, tree)


@pytest.mark.parametrize("order", [("rules", "tools"), ("tools", "rules")])
def test_a_rule_is_listed_among_the_rules_whatever_else_is_listed(order: tuple[str, str]) -> None:
    lists = {"rules": '# Their order.\non = [\n  "a",\n]\n', "tools": 'on = ["edit"]\n'}
    text = "".join(f"[{name}]\n{lists[name]}\n" for name in order)
    after = tomllib.loads(apply_change("compose", RULE, with_toml(text))["harness.toml"].decode())
    assert after == {"rules": {"on": ["a", RULE["name"]]}, "tools": {"on": ["edit"]}}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "lacks or garbles"),
        ("[rules\n", "harness.toml: "),
        ("[rules]\n", "lacks or garbles"),
        ("[rules]\non = 5\n", "lacks or garbles"),
        ("[tools]\non = []\n[rules]\n[rules.more]\non = []\n", "lacks or garbles"),
        ("rules = {on = []}\n", "exactly once"),
    ],
)
def test_a_harness_whose_settings_read_otherwise_is_left_alone(text: str, words: str) -> None:
    with pytest.raises(CannotApply, match=words):
        apply_change("compose", RULE, with_toml(text))
    with pytest.raises(CannotApply, match="exactly once"):
        apply_change("perturb", {"parameter": "top_p", "value": 0.5}, with_toml(text))


def test_a_harness_that_cannot_be_read_is_left_alone() -> None:
    for path, data in (
        ("harness.toml", b"\xff"),
        ("primitives.py", b"def ("),
        ("primitives.py", b"\xff\x00"),
    ):
        with pytest.raises(CannotApply):
            apply_change("compose", RULE, {**SEED, path: data})
    with pytest.raises(CannotApply, match="lacks or garbles"):
        apply_change("compose", RULE, {path: SEED[path] for path in SEED if path != "primitives.py"})


@pytest.mark.parametrize(
    ("path", "data", "words"),
    [
        ("agent.py", b"def solve(:\n", "agent.py: "),
        ("rules/x.py", b"x = 'a\x00b'", "rules/x.py: "),
        ("rules/x.py", b"# coding: nonsense\n", "rules/x.py: "),
        ("rules/x.py", b"x = " + b"-" * 200_000 + b"1", "rules/x.py: "),
        ("more.toml", b"a = ", "more.toml: "),
        ("harness.toml", b"\xff", "harness.toml: "),
        ("harness.toml", b"", r"no table \[decoding\]"),
        ("harness.toml", b"decoding = 3", r"no table \[decoding\]"),
        ("harness.toml", b"[decoding]\ntop_p = 1.0", r"decoding.temperature is None"),
    ],
)
def test_a_harness_that_is_not_well_formed_does_not_compile(path: str, data: bytes, words: str) -> None:
    with pytest.raises(CannotCompile, match=words):
        check_compiles({**SEED, path: data})


@pytest.mark.parametrize("path", ["agent.py", "harness.toml"])
def test_what_a_harness_begins_with_must_be_there(path: str) -> None:
    with pytest.raises(CannotCompile, match="is gone"):
        check_compiles({name: data for name, data in SEED.items() if name != path})


@pytest.mark.parametrize("name", BOUNDS)
@pytest.mark.parametrize("value", ["nan", "inf", "-inf", "9", "-9", "true", '"1"', "[]"])
def test_decoding_out_of_bounds_does_not_compile(name: str, value: str) -> None:
    text = SEED["harness.toml"].decode()
    now = str(toml(SEED)["decoding"][name])
    with pytest.raises(CannotCompile, match=rf"decoding\.{name} is .*, not a number in"):
        check_compiles(with_toml(text.replace(f"{name} = {now}", f"{name} = {value}")))
