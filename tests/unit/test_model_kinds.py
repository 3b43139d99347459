"""Every kind of mistake is in reach: its right edit is a candidate of that kind, and evidence brings it to the top."""

import ast
import statistics
import time
import tomllib
from collections import Counter
from functools import cache
from pathlib import Path
from textwrap import dedent
from typing import Any, NamedTuple

import numpy as np
import pytest

from agents.models import EmbeddedModel, embedded_model, load_or_train
from agents.models.embedded.edits import RULES, Edit, derive
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


def meaning(text: str) -> str:
    try:
        return ast.unparse(ast.parse(text))
    except SyntaxError:
        return text


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
    wanted = meaning(PROGRAMS[path])
    first = next((e for e in derive(path, text).edits if meaning(made(text, e)) == wanted), None)
    if first is None:
        return None
    near = f"covered: {path}:{first.block[0]}-{first.block[1]}"
    return Found(
        first,
        ranks(path, text, first),
        ranks(path, text, first, near),
        ranks(path, text, first, near, f"Look for this: {PHRASES[mistake['kind']][0]}."),
    )
