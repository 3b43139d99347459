"""A task as a directory, for people to edit and to version: what `agents.tasks.load` reads."""

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from agents.tasks.load import DESCRIPTION, check_id
from contracts.tasks import GradedTask


def write_task(folder: Path, graded: GradedTask) -> Path | None:
    """Write a task that its own tests grade into a suite's folder, under its id; answers its directory.

    Loading the directory gives the same task again, to the digest. A directory of that name is left as it is, and
    the answer is None. The paths must have been checked (`agents.tasks.foreign`). Raises OSError.
    """
    task = graded.task
    home = folder / "tasks" if (folder / "tasks").is_dir() else folder
    target = home / check_id(task.id, task="", shown=DESCRIPTION)
    if target.exists() or target.is_symlink():
        return None
    home.mkdir(parents=True, exist_ok=True)
    part = home / f".{task.id}.part"  # hidden: the loader passes over what is only half there
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir()
    (part / DESCRIPTION).write_text(_description(graded), encoding="utf-8", newline="")
    (part / "instruction.md").write_text(f"{task.instruction}\n", encoding="utf-8", newline="")
    for path, text in task.files.items():
        file = part / "workspace" / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8", newline="")
    part.rename(target)
    return target


def _description(graded: GradedTask) -> str:
    """The text of task.toml, with nothing left to defaults: those of a suite around it must not change the task."""
    task = graded.task
    tests = {
        key: value for key, value in msgspec.to_builtins(task.tests).items() if value or key != "command"
    }
    lines = [
        "# Collected by Ratchet from a failed submission. Its own tests, in workspace/, grade it; to have others",
        "# do that, put them into a folder tests/ beside this file.",
        f"id = {_toml(task.id)}",
        f"package = {_toml(task.package)}",
        f"solution_files = {_toml(task.solution_files)}",
        *_table("tests", tests),
        *_table("budget", msgspec.to_builtins(task.budget)),
    ]
    return "\n".join(lines) + "\n"


def _table(name: str, entries: Mapping[str, Any]) -> list[str]:
    return ["", f"[{name}]", *(f"{key} = {_toml(value)}" for key, value in entries.items())]


def _toml(value: object) -> str:
    if isinstance(value, str):
        return '"' + "".join(_escaped(character) for character in value) + '"'
    if isinstance(value, list | tuple):
        return "[" + ", ".join(_toml(item) for item in value) + "]"
    return str(value)


def _escaped(character: str) -> str:
    if character in '"\\':
        return f"\\{character}"
    return character if character.isprintable() else f"\\U{ord(character):08x}"
