"""Every kind of mistake is in reach: its right edit is a candidate of that kind, and evidence brings it to the top."""

import os
import statistics
import subprocess
import sys
import tomllib
from collections import Counter, defaultdict
from functools import cache
from pathlib import Path
from textwrap import dedent
from typing import NamedTuple

import numpy as np
import pytest

from agents.models import EmbeddedModel, embedded_model, load_or_train
from agents.models.embedded.context import key_for
from agents.models.embedded.edits import RULES, Edit, derive
from agents.models.embedded.head import prior
from agents.models.embedded.kinds import PHRASES
from contracts.chat import ChatRequest, Message, Tool

FOLDER = Path(__file__).parent / "mistakes"
PROGRAMS = {path.stem: path.read_text() for path in sorted(FOLDER.glob("*.txt"))}
MISTAKES: list[dict[str, str]] = tomllib.loads((FOLDER / "mistakes.toml").read_text())["mistake"]
IDS = [f"{number}-{m['kind']}-{m['path']}" for number, m in enumerate(MISTAKES)]
CLASSIC = (
    "comparison", "operator", "boolean operator", "negation", "constant", "off-by-one", "slice", "name", "attribute",
    "arguments", "wrong call", "return",
)  # fmt: skip
"""Kinds of mistakes at one place of an expression."""


def wrong_program(mistake: dict[str, str]) -> str:
    """The program with a mistake in it."""
    text, right, wrong = PROGRAMS[mistake["path"]], mistake["right"], mistake["wrong"]
    if "\n" not in right + wrong and wrong and text.count(right) == 1:
        return text.replace(right, wrong)
    lines, block = text.split("\n"), right.strip("\n").split("\n")
    wanted = dedent("\n".join(block))
    (at,) = (i for i in range(len(lines)) if dedent("\n".join(lines[i : i + len(block)])) == wanted)
    shift = lines[at].removesuffix(block[0])
    new = [shift + line for line in wrong.strip("\n").split("\n")] if wrong else []
    return "\n".join([*lines[:at], *new, *lines[at + len(block) :]])


def made(text: str, edit: Edit) -> str:
    lines = text.split("\n")
    return "\n".join([*lines[: edit.line - 1], edit.after, *lines[edit.end_line :]])


def laid_out(text: str) -> list[str]:
    """A program's lines without blanks but those before them, empty lines left out."""
    lines = [line for line in text.split("\n") if line.strip()]
    return [line[: len(line) - len(line.lstrip())] + "".join(line.split()) for line in lines]


class Found(NamedTuple):
    """The right edit of a mistake, and its rank without evidence, with its place shown, and with its kind said too."""

    edit: Edit
    plain: int
    placed: int
    named: int


@cache
def model() -> EmbeddedModel:
    return embedded_model(load_or_train())


def ranks(path: str, text: str, right: Edit, *said: str) -> int:
    shown = Message(role="user", content="\n".join([f"Mend it.\n```python {path}\n{text}```", *said]))
    edits, odds = model().odds(ChatRequest(messages=(shown,), tools=(Tool(name="edit"),), noise=""))
    return 1 + int(np.sum(odds > odds[edits.index(right)]))


@cache
def found(number: int) -> Found | None:
    mistake = MISTAKES[number]
    text, path = wrong_program(mistake), mistake["path"]
    wanted = laid_out(PROGRAMS[path])
    first = next((e for e in derive(path, text).edits if laid_out(made(text, e)) == wanted), None)
    if first is None:
        return None
    near = f"covered: {path}:{first.block[0]}-{first.block[1]}"
    return Found(
        first,
        ranks(path, text, first),
        ranks(path, text, first, near),
        ranks(path, text, first, near, f"Look for this: {PHRASES[mistake['kind']][0]}."),
    )


def test_every_kind_has_a_rule_that_is_tried_on_several_mistakes() -> None:
    times = Counter(mistake["kind"] for mistake in MISTAKES)
    assert set(times) == set(RULES)
    assert min(times.values()) >= 4


@pytest.mark.parametrize("number", range(len(MISTAKES)), ids=IDS)
def test_the_right_edit_is_in_reach(number: int) -> None:
    right = found(number)
    assert right is not None
    assert MISTAKES[number]["kind"] in dict(right.edit.shares)
    assert max(right.edit.before.count("\n"), right.edit.after.count("\n")) < 8
    assert right.placed <= 120
    assert right.named <= 70
    assert right.named <= right.placed <= right.plain


def test_evidence_brings_the_right_edit_to_the_top() -> None:
    every = [right for right in map(found, range(len(MISTAKES))) if right]
    assert statistics.median(right.plain for right in every) <= 125
    assert statistics.median(right.placed for right in every) <= 5
    assert statistics.median(right.named for right in every) <= 3


@pytest.mark.parametrize("path", PROGRAMS)
def test_a_file_has_no_more_than_some_fifteen_candidates_a_line(path: str) -> None:
    edits = derive(path, PROGRAMS[path]).edits
    assert len(edits) <= 17 * PROGRAMS[path].count("\n")


def test_new_statements_do_not_crowd_out_the_classic_mistakes() -> None:
    mass: defaultdict[str, float] = defaultdict(float)
    for path, text in PROGRAMS.items():
        shown = Message(role="user", content=f"```python {path}\n{text}```")
        edits, odds = model().odds(ChatRequest(messages=(shown,), tools=(Tool(name="edit"),), noise=""))
        for edit, part in zip(edits, odds, strict=True):
            mass[edit.kind] += float(part) / len(PROGRAMS)
    assert sum(mass[kind] for kind in CLASSIC) > 0.6
    added = ("missing guard", "base case", "missing statement", "moved statement", "extra statement")
    assert sum(mass[kind] for kind in added) < 0.3


@pytest.mark.parametrize("path", PROGRAMS)
def test_every_candidate_leaves_a_program(path: str) -> None:
    for edit in derive(path, PROGRAMS[path]).edits:
        compile(made(PROGRAMS[path], edit), path, "exec")


def test_the_same_candidates_whatever_the_hash_seed() -> None:
    script = (
        "import hashlib, pathlib; from agents.models.embedded.edits import derive; "
        f"texts = [(p.stem, p.read_text()) for p in sorted(pathlib.Path({str(FOLDER)!r}).glob('*.txt'))]; "
        "print(hashlib.sha256(repr([derive(*text).edits for text in texts]).encode()).hexdigest())"
    )
    root = Path(__file__).parents[2]
    runs = [
        subprocess.run(
            [sys.executable, "-c", script],
            cwd=root,
            env=os.environ | {"PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("0", "1")
    ]
    assert runs[0] == runs[1]


def test_expressions_within_f_strings_are_edited_in_what_every_python_reads() -> None:
    text = 'def f(first, last):\n    größe = len(first)\n    return f"{first}, {größe:>4}, {{last}}" f"{first!r}"\n'
    lines = {e.after.strip() for e in derive("f.py", text).edits if e.line == 3}
    assert 'return f"{last}, {größe:>4}, {{last}}" f"{first!r}"' in lines
    assert 'return f"{first}, {first:>4}, {{last}}" f"{first!r}"' in lines
    assert 'return f"{first}, {größe:>4}, {{last}}" f"{größe!r}"' in lines
    within = [line for line in lines if line.startswith('return f"')]
    assert all(line.count('"') == 4 for line in within if "f(" not in line and line.endswith('"'))


def test_an_edit_that_several_rules_find_has_the_odds_of_all() -> None:
    text = "def f(xs):\n    n = 0\n    for x in xs:\n        n += x\n    return n\n"
    (edit,) = (e for e in derive("f.py", text).edits if e.after == "    n = 1")
    assert set(dict(edit.shares)) == {"constant", "initial value"}
    assert edit.kind == "constant"
    together, alone = prior(edit.shares), prior(edit.shares[:1])
    assert together > alone


def test_a_line_that_moves_in_is_told_from_one_that_moves_out() -> None:
    text = "def f(xs):\n    n = 0\n    for x in xs:\n        if x:\n            n += x\n            n -= 1\n"
    moves = {
        e.after: e
        for e in derive("f.py", text).edits
        if e.kind == "moved statement" and e.before.strip() == "n -= 1"
    }
    assert set(moves) == {"        n -= 1", "    n -= 1"}
    keys = {key_for("f.py", e.before, e.after) for e in moves.values()}
    assert len(keys) == 2
