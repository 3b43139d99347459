"""The built-in suite keeps its promises: every task fails, is mended by a small edit, and then passes."""

import builtins
import difflib
import importlib
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import pytest

from agents.tasks.describe import PackageFile, Variant, decode_toml
from agents.tasks.suite import load_suite
from contracts.grading import grade
from contracts.tasks import GradedTask, TestOutcome, TestReport

TASKS = Path(__file__).parents[2] / "suites" / "repair" / "tasks"
PACKAGES = sorted(path.name for path in TASKS.iterdir() if path.is_dir())
KINDS = frozenset(
    (
        "comparison", "operator", "boolean operator", "constant", "off-by-one", "name", "attribute", "arguments",
        "negation", "missing guard", "wrong guard", "return", "base case", "slice", "initial value",
        "moved statement", "doubled statement", "missing statement", "wrong call", "mutable default",
        "swapped branches", "exception",
    )
)  # fmt: skip


def described(package: str) -> list[Variant]:
    text = (TASKS / package / "package.toml").read_text()
    return list(decode_toml(text, PackageFile, task=package, shown="package.toml").variant)


VARIANTS = {f"{p}-{number}": v for p in PACKAGES for number, v in enumerate(described(p), 1)}
IDS = sorted(VARIANTS)


@cache
def tasks() -> dict[str, GradedTask]:
    suite = load_suite("repair")
    return {graded.task.id: graded for graded in (*suite.practice, *suite.sealed)}


@contextmanager
def importable(folder: Path) -> Iterator[None]:
    """Let modules of a folder be imported, and forget them afterwards."""
    known = set(sys.modules)
    path, written = sys.path[:], sys.dont_write_bytecode
    sys.path.insert(0, str(folder))
    sys.dont_write_bytecode = True
    importlib.invalidate_caches()
    try:
        yield
    finally:
        sys.path[:] = path
        sys.dont_write_bytecode = written
        for name in set(sys.modules) - known:
            del sys.modules[name]
        for entry in [entry for entry in sys.path_importer_cache if entry.startswith(str(folder))]:
            del sys.path_importer_cache[entry]


class Bench:
    """Runs a task's tests in fresh folders of its own."""

    def __init__(self, graded: GradedTask, folder: Path) -> None:
        self.graded = graded
        self.folder = folder
        self.runs = 0

    def run(self, changed: dict[str, str], tests: dict[str, str]) -> TestReport:
        self.runs += 1
        root = self.folder / str(self.runs)
        sources = {
            path: text for path, text in self.graded.task.files.items() if path not in visible(self.graded)
        }
        for path, text in {**sources, **changed}.items():
            target = root / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(text)
        with importable(root):
            return TestReport(
                status="ok",
                outcomes=tuple(outcome for path, text in tests.items() for outcome in run_file(path, text)),
            )

    def both(self, changed: dict[str, str]) -> tuple[TestReport, TestReport]:
        """Reports of the visible and of the hidden tests."""
        return self.run(changed, visible(self.graded)), self.run(changed, self.graded.hidden)


def run_file(path: str, text: str) -> Iterator[TestOutcome]:
    space: dict[str, object] = {"__name__": Path(path).stem}
    exec(compile(text, path, "exec"), space)
    for name, function in space.items():
        if name.startswith("test_") and callable(function):
            try:
                function()
            except Exception as error:  # whatever a wrong program raises
                yield TestOutcome(
                    id=f"{path}::{name}", passed=False, error=f"{type(error).__name__}: {error}"
                )
            else:
                yield TestOutcome(id=f"{path}::{name}", passed=True)


def visible(graded: GradedTask) -> dict[str, str]:
    return {path: text for path, text in graded.task.files.items() if path.startswith("tests/")}


def solution(task_id: str) -> dict[str, str]:
    """The files that hold a mistake, as they should be."""
    program = TASKS / task_id.rpartition("-")[0] / "program"
    return {
        path: (program / path).read_text() for path in sorted({m.path for m in VARIANTS[task_id].mistake})
    }


def mended(task_id: str) -> list[tuple[str, str]]:
    """(path, its text with one of the mistakes mended), for each mistake."""
    variant, program = VARIANTS[task_id], solution(task_id)
    texts = []
    for one in variant.mistake:
        text = program[one.path]
        for other in variant.mistake:
            if other.path == one.path and other != one:
                text = text.replace(other.right, other.wrong)
        texts.append((one.path, text))
    return texts


def changed_lines(before: str, after: str) -> int:
    """How many lines the smallest edit from one text to another touches."""
    old, new = before.splitlines(), after.splitlines()
    codes = [
        c for c in difflib.SequenceMatcher(None, old, new, autojunk=False).get_opcodes() if c[0] != "equal"
    ]
    return max(codes[-1][2] - codes[0][1], codes[-1][4] - codes[0][3])


def failed(report: TestReport) -> set[str]:
    return {outcome.id for outcome in report.outcomes} - set(report.passed)


@pytest.mark.parametrize("task_id", IDS)
def test_fails_before_and_passes_with_the_solution(task_id: str, tmp_path: Path) -> None:
    bench = Bench(tasks()[task_id], tmp_path)
    before, after = bench.both({}), bench.both(solution(task_id))
    for earlier, later in zip(before, after, strict=True):
        assert earlier.passed
        assert failed(earlier)
        assert not failed(later), [outcome.error for outcome in later.outcomes]
        assert grade(earlier, later).solved
    assert 4 <= len(before[0].outcomes) <= 7
    assert 4 <= len(before[1].outcomes) <= 8


@pytest.mark.parametrize("task_id", IDS)
def test_each_edit_is_small_and_helps_by_itself(task_id: str, tmp_path: Path) -> None:
    graded = tasks()[task_id]
    bench = Bench(graded, tmp_path)
    before = bench.both({})
    edits = mended(task_id)
    assert 1 <= len(edits) <= 3
    for path, text in edits:
        assert 1 <= changed_lines(graded.task.files[path], text) <= 4
        for earlier, later in zip(before, bench.both({path: text}), strict=True):
            gain = grade(earlier, later)
            assert gain.fixed
            assert not gain.broken
            assert gain.solved == (len(edits) == 1)


@pytest.mark.parametrize("task_id", IDS)
def test_form(task_id: str) -> None:
    graded = tasks()[task_id]
    task = graded.task
    sources = {path: text for path, text in task.files.items() if path not in visible(graded)}
    assert 1 <= sum(bool(text) for text in sources.values()) <= 4
    assert 20 <= sum(text.count("\n") for text in sources.values()) <= 120
    assert set(task.solution_files) == {path for path, text in sources.items() if text}
    assert set(solution(task_id)) <= set(task.solution_files)
    assert graded.hidden_tests.paths == tuple(graded.hidden)
    assert not set(graded.hidden) & set(task.files)
    assert 2 <= len(re.findall(r"[.:?!](?=\s|$)", task.instruction)) <= 6
    assert VARIANTS[task_id].kinds
    assert set(VARIANTS[task_id].kinds) <= KINDS
    for path, right in solution(task_id).items():
        fresh = set(right.splitlines()) - set(task.files[path].splitlines())
        assert not any(line.strip() in task.instruction for line in fresh)


def test_modules_of_tasks_shadow_nothing() -> None:
    for graded in tasks().values():
        tops = {path.partition("/")[0].removesuffix(".py") for path in graded.task.solution_files}
        assert not tops & (set(sys.stdlib_module_names) | set(dir(builtins)) | {"agents", "contracts", "bus"})


def test_kinds_of_mistakes() -> None:
    several = {task_id: v for task_id, v in VARIANTS.items() if len(v.mistake) > 1}
    pattern = [
        task_id
        for task_id, v in several.items()
        if len({m.path for m in v.mistake}) > 1 and len(v.kinds) == 1
    ]
    different = [task_id for task_id, v in several.items() if len(v.kinds) > 1]
    assert {kind for v in VARIANTS.values() for kind in v.kinds} == KINDS
    assert len(pattern) >= 20
    assert len(different) >= 12
    assert len(several) <= len(VARIANTS) // 2


def test_split_by_package() -> None:
    suite = load_suite("repair")
    practice, sealed = ({graded.task.package for graded in side} for side in (suite.practice, suite.sealed))
    assert (len(practice), len(sealed)) == (24, 16)
    assert not practice & sealed
    assert not suite.faulty
    assert len(suite.sealed) >= 48
    assert len(IDS) == len(suite.practice) + len(suite.sealed) >= 120
