"""Suites: which tasks there are, and which of them the loop may learn from."""

import hashlib
import math
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

import msgspec

import contracts.tasks
from agents.tasks.describe import SplitTable, SuiteFile, decode_toml, merge_budget, overlay
from agents.tasks.errors import EmptySuiteError, InvalidFileError, TaskError, UnknownSuiteError
from agents.tasks.files import read_text
from agents.tasks.load import DESCRIPTION, load_bare, load_task
from agents.tasks.package import PACKAGE, load_package
from contracts.record import Record
from contracts.tasks import Budget, GradedTask

SUITE_DESCRIPTION = "suite.toml"


class Suite(Record, frozen=True):
    """Tasks in two parts, divided by package: what the loop learns from, and what measures its claims."""

    name: str
    digest: str
    """SHA-256, in hex, over the name and both parts: which tasks, with which content, on which side."""
    practice: tuple[GradedTask, ...]
    sealed: tuple[GradedTask, ...] = ()
    faulty: tuple[tuple[str, str], ...] = ()
    """(name of the directory, why its task cannot be used)."""
    description: str = ""


def suite_names() -> tuple[str, ...]:
    """Names of the built-in suites, sorted."""
    return tuple(sorted(path.parent.name for path in _built_in().glob(f"*/{SUITE_DESCRIPTION}")))


def load_suite(name_or_dir: str | Path, *, command: Sequence[str] | None = None) -> Suite:
    """Load a built-in suite by its name, or whatever a directory holds.

    A directory may be a suite, a folder of task directories, one task, or a bare project; only the last looks
    at `command`, the test command. A text that names a built-in suite means that suite; write `./repair` for
    a directory of the same name. Raises `UnknownSuiteError` or another `TaskError`.
    """
    if isinstance(name_or_dir, str) and name_or_dir in suite_names():
        return _load_directory(_built_in() / name_or_dir)
    directory = Path(name_or_dir)
    if not directory.is_dir():
        raise UnknownSuiteError(str(name_or_dir), suite_names())
    if (directory / SUITE_DESCRIPTION).exists():
        return _load_directory(directory)
    if (directory / DESCRIPTION).exists():
        return _gather(directory.resolve().name, [load_task(directory)])
    if any(
        any(directory.glob(f"{below}*/{name}")) for below in ("", "tasks/") for name in (DESCRIPTION, PACKAGE)
    ):
        return _load_directory(directory)
    task = load_bare(directory, command)
    return _gather(task.task.id, [task])


def split_packages(packages: Iterable[str], practice: float) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Divide packages into practice and sealed ones, ranked by the SHA-256 of their names.

    The first `practice` of them, rounded and at least one, are for practice. Nobody chooses, and a package's
    variants never lie on both sides.
    """
    ranked = sorted(set(packages), key=lambda name: hashlib.sha256(name.encode()).hexdigest())
    count = max(1, math.floor(practice * len(ranked) + 0.5))
    return tuple(ranked[:count]), tuple(ranked[count:])


def suite_digest(name: str, practice: Sequence[GradedTask], sealed: Sequence[GradedTask]) -> str:
    """SHA-256, in hex, over a suite's name and both its parts."""
    parts = [name, *([[graded.task.id, graded.digest] for graded in side] for side in (practice, sealed))]
    return hashlib.sha256(msgspec.json.encode(parts)).hexdigest()


def thinned(suite: Suite, *, practice: int, sealed: int) -> Suite:
    """A suite with at most so many tasks of every package, the first ones by id: for runs that have little time."""
    ours, theirs = _first(suite.practice, practice), _first(suite.sealed, sealed)
    digest = suite_digest(suite.name, ours, theirs)
    return msgspec.structs.replace(suite, practice=ours, sealed=theirs, digest=digest)


def _first(tasks: Sequence[GradedTask], most: int) -> tuple[GradedTask, ...]:
    seen: Counter[str] = Counter()
    kept = []
    for graded in tasks:
        seen[graded.task.package] += 1
        if seen[graded.task.package] <= most:
            kept.append(graded)
    return tuple(kept)


def _built_in() -> Path:
    """The folder of the built-in suites, which travels beside the import packages."""
    return Path(contracts.tasks.__file__).parent.parent / "suites"


def _load_directory(directory: Path) -> Suite:
    """Load every task directory of a suite; a faulty one is noted, and the rest goes on."""
    name = directory.resolve().name
    described = SuiteFile()
    path = directory / SUITE_DESCRIPTION
    if path.exists():
        text = read_text(path, task="", shown=str(path))
        described = decode_toml(text, SuiteFile, task="", shown=str(path))
    share = overlay(SplitTable(), described.split, "split", task="", shown=str(path)).practice
    if not 0 < share <= 1:
        raise InvalidFileError("[split]: `practice` must be above 0 and at most 1", path=str(path))
    budget = merge_budget(Budget(), described.budget, task="", shown=str(path))
    tasks: dict[str, GradedTask] = {}
    faulty: list[tuple[str, str]] = []
    for folder in _task_directories(directory):
        try:
            if (folder / PACKAGE).exists():
                loaded, missed = load_package(folder, budget=budget)
                faulty += missed
            else:
                loaded = [load_task(folder, budget=budget)]
        except TaskError as error:
            faulty.append((folder.name, str(error)))
            continue
        for graded in loaded:
            if graded.task.id in tasks:
                faulty.append((folder.name, f"task {graded.task.id!r}: another directory has this id"))
            else:
                tasks[graded.task.id] = graded
    return _gather(
        described.name or name, tasks.values(), faulty=faulty, share=share, description=described.description
    )


def _task_directories(directory: Path) -> list[Path]:
    """Where a suite's tasks lie: in its folder `tasks` if it has one, else in the directory itself."""
    home = directory / "tasks" if (directory / "tasks").is_dir() else directory
    return sorted(
        path for path in home.iterdir() if path.is_dir() and not path.name.startswith((".", "__pycache__"))
    )


def _gather(
    name: str,
    tasks: Iterable[GradedTask],
    *,
    faulty: Sequence[tuple[str, str]] = (),
    share: float = 1.0,
    description: str = "",
) -> Suite:
    ordered = sorted(tasks, key=lambda graded: graded.task.id)
    if not ordered:
        raise EmptySuiteError(name, faulty)
    learned, _ = split_packages((graded.task.package for graded in ordered), share)
    practice = tuple(graded for graded in ordered if graded.task.package in learned)
    sealed = tuple(graded for graded in ordered if graded.task.package not in learned)
    return Suite(
        name=name,
        digest=suite_digest(name, practice, sealed),
        practice=practice,
        sealed=sealed,
        faulty=tuple(faulty),
        description=description,
    )
