"""From a directory to a task with what grades it."""

import ast
import hashlib
import re
from collections.abc import Sequence
from pathlib import Path

import msgspec

from agents.tasks.describe import TaskFile, decode_toml, merge_budget, read_spec
from agents.tasks.errors import InvalidFileError, MissingFileError, NoTestsError, UnsafePathError
from agents.tasks.files import (
    check_relative,
    is_test_path,
    read_project,
    read_text,
    read_tree,
    tests_below,
)
from contracts.tasks import Budget, GradedTask, Task, TestSpec

DESCRIPTION = "task.toml"
DEFAULT_INSTRUCTION = "Some tests of this project fail. Find the mistake and mend it, so that all pass."

_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


def load_task(
    directory: Path,
    *,
    budget: Budget = Budget(),  # noqa: B008  # a frozen record
    hidden: bool = True,
) -> GradedTask:
    """Load a task in the full form: task.toml, workspace/, and, if there are hidden tests, tests/.

    `budget` holds where task.toml says nothing else. Without `hidden` the hidden tests are not even read, and the
    visible ones grade. Raises `TaskError`, which names the task and the file.
    """
    _check_directory(directory)
    name = directory.resolve().name
    text = read_text(directory / DESCRIPTION, task=name, shown=DESCRIPTION)
    described = decode_toml(text, TaskFile, task=name, shown=DESCRIPTION)
    task_id = check_id(described.id, task=name, shown=DESCRIPTION)
    files = _read_folder(directory, "workspace", task=task_id)
    if not files:
        raise MissingFileError(
            "is missing or empty. Put the files there that the agent gets.", task=task_id, path="workspace"
        )
    if not described.instruction.strip():
        described = msgspec.structs.replace(described, instruction=_instruction(directory, task=task_id))
    graders = _read_folder(directory, "tests", task=task_id) if hidden else None
    return assemble(described, files, graders, budget=budget, shown=DESCRIPTION)


def check_id(task_id: str, *, task: str, shown: str) -> str:
    """Return the id of a task if it can be one. Raises `InvalidFileError`."""
    if not _ID.fullmatch(task_id):
        raise InvalidFileError(
            f"`id` is {task_id!r}; use letters, digits, '.', '_' and '-' only, a letter or digit first",
            task=task,
            path=shown,
        )
    return task_id


def assemble(
    described: TaskFile, files: dict[str, str], graders: dict[str, str] | None, *, budget: Budget, shown: str
) -> GradedTask:
    """Put a task together from its description, its workspace and its hidden tests (None: do not hide any).

    `shown` is the name of the description in errors. Raises `TaskError`.
    """
    task_id = described.id
    laid = {f"tests/{path}": text for path, text in (graders or {}).items()}
    tests = read_spec(TestSpec(), described.tests, "tests", task=task_id, shown=shown)
    tests = _runnable(tests, files, task=task_id, shown=shown)
    task = Task(
        id=task_id,
        package=described.package or task_id,
        instruction=described.instruction.strip() or DEFAULT_INSTRUCTION,
        files=files,
        solution_files=_solution_files(described.solution_files, files, task=task_id, shown=shown),
        tests=tests,
        budget=merge_budget(budget, described.budget, task=task_id, shown=shown),
    )
    spec = (
        tests if graders is None else _hidden_spec(described, tests, files, laid, task=task_id, shown=shown)
    )
    return _identified(task, laid, spec)


def load_visible(directory: Path, command: Sequence[str] | None = None) -> GradedTask:
    """Load a user's task for solving: a task directory or a bare project, whose visible tests grade.

    Raises `TaskError`, which names the task and the file.
    """
    if (directory / DESCRIPTION).exists():
        return load_task(directory, hidden=False)
    return load_bare(directory, command)


def load_bare(directory: Path, command: Sequence[str] | None = None) -> GradedTask:
    """Load a project as it lies, without task.toml: the directory is the workspace.

    Its own tests grade it, or `command`, which passes when it exits with status 0. Raises `TaskError`.
    """
    _check_directory(directory)
    task_id = re.sub(r"[^A-Za-z0-9._-]+", "-", directory.resolve().name).strip("-._")[:100] or "project"
    files = read_project(directory, task=task_id)
    if command is None:
        tests = _found_tests(files, task=task_id)
    elif command:
        tests = TestSpec(runner="command", paths=(), command=tuple(command))
    else:
        raise NoTestsError("the test command is empty. Name a program.", task=task_id)
    task = Task(
        id=task_id,
        package=task_id,
        instruction=DEFAULT_INSTRUCTION,
        files=files,
        solution_files=_solution_files(None, files, task=task_id, shown=DESCRIPTION),
        tests=tests,
    )
    return _identified(task, {}, tests)


def task_digest(graded: GradedTask) -> str:
    """SHA-256, in hex, of the canonical JSON of all of a task but its digest and what a run found out."""
    bare = msgspec.structs.replace(graded, digest="", failing=())
    return hashlib.sha256(msgspec.json.encode(bare, order="deterministic")).hexdigest()


def _identified(task: Task, hidden: dict[str, str], hidden_tests: TestSpec) -> GradedTask:
    graded = GradedTask(task=task, hidden=hidden, hidden_tests=hidden_tests)
    return msgspec.structs.replace(graded, digest=task_digest(graded))


def _check_directory(directory: Path) -> None:
    if not directory.is_dir():
        raise MissingFileError(f"{directory} is not a directory. Check the path.", task=directory.name)


def _read_folder(directory: Path, name: str, *, task: str) -> dict[str, str]:
    folder = directory / name
    if folder.is_symlink():
        raise UnsafePathError("is a symbolic link. Make it a folder.", task=task, path=name)
    if folder.exists() and not folder.is_dir():
        raise MissingFileError("is a file. Make it a folder.", task=task, path=name)
    return read_tree(folder, task=task, prefix=f"{name}/")


def _instruction(directory: Path, *, task: str) -> str:
    path = directory / "instruction.md"
    text = read_text(path, task=task, shown=path.name).strip() if path.exists() else ""
    return text or DEFAULT_INSTRUCTION


def _solution_files(
    named: tuple[str, ...] | None, files: dict[str, str], *, task: str, shown: str
) -> tuple[str, ...]:
    """Check the solution files that task.toml names, or find all Python files that are no tests."""
    if named is None:
        found = tuple(path for path in files if path.endswith(".py") and not is_test_path(path))
        if not found:
            raise MissingFileError(
                "there is no Python file to work on, apart from tests. "
                "Add one, or name other files in `solution_files` of task.toml.",
                task=task,
            )
        return found
    paths = tuple(dict.fromkeys(check_relative(path, task=task, shown=shown) for path in named))
    if not paths:
        raise InvalidFileError("`solution_files` is empty; leave it out to mean all", task=task, path=shown)
    for path in paths:
        if path not in files:
            raise MissingFileError(
                f"the solution file {path!r} is not in the workspace. Its Python files: "
                f"{', '.join(name for name in files if name.endswith('.py')) or 'none'}.",
                task=task,
                path=shown,
            )
        if is_test_path(path):
            message = f"the solution file {path!r} is a test; an agent could pass by emptying it"
            raise InvalidFileError(message, task=task, path=shown)
    return paths


def _hidden_spec(
    described: TaskFile,
    tests: TestSpec,
    files: dict[str, str],
    hidden: dict[str, str],
    *,
    task: str,
    shown: str,
) -> TestSpec:
    """How the hidden tests run: like the visible ones, but those files only, unless task.toml differs."""
    if hidden and tests.runner != "command":
        tests = msgspec.structs.replace(tests, paths=tests_below(hidden, ("tests",)))
    spec = read_spec(tests, described.hidden_tests or {}, "hidden_tests", task=task, shown=shown)
    return _runnable(spec, {**files, **hidden}, task=task, shown=shown)


def _runnable(spec: TestSpec, files: dict[str, str], *, task: str, shown: str) -> TestSpec:
    """Return a test specification whose paths are safe and that has something to run."""
    if spec.runner == "command":
        return spec
    paths = tuple(check_relative(path, task=task, shown=shown) for path in spec.paths)
    if not tests_below(files, paths):
        raise NoTestsError(
            f"no file test_*.py lies below {', '.join(paths) or 'its tests'}. "
            "Add tests there, or name their place in `paths`.",
            task=task,
            path=shown,
        )
    return msgspec.structs.replace(spec, paths=paths)


def _found_tests(files: dict[str, str], *, task: str) -> TestSpec:
    """Find a project's tests: in its folder `tests` or `test`, or else wherever there is a test_*.py."""
    for folder in ("tests", "test"):
        if found := tests_below(files, (folder,)):
            paths: tuple[str, ...] = (folder,)
            break
    else:
        found = paths = tests_below(files, (".",))
    if not found:
        raise NoTestsError("no file test_*.py was found. Add tests, or give a test command.", task=task)
    plain = all(_is_plain(files[path]) for path in found)
    return TestSpec(runner="plain" if plain else "pytest", paths=paths)


def _is_plain(text: str) -> bool:
    """Whether a test file needs no framework: its tests are plain functions without parameters."""
    try:
        tree = ast.parse(text)
    except SyntaxError:
        return True
    imported: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            imported |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            imported.add((node.module or "").partition(".")[0])
    return imported.isdisjoint({"pytest", "unittest"}) and not any(map(_needs_framework, tree.body))


def _needs_framework(node: ast.stmt) -> bool:
    if isinstance(node, ast.ClassDef | ast.AsyncFunctionDef):
        return node.name.lower().startswith("test")
    if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
        return bool(node.args.args or node.decorator_list)
    return False
