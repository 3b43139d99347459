"""Tasks that came over the bus: whoever wrote them, they pass the loader's checks before anything is made of them."""

from pathlib import PurePosixPath

import msgspec

from agents.tasks.describe import TaskFile
from agents.tasks.errors import InvalidFileError, TooLargeError, UnsafePathError
from agents.tasks.files import MAX_FILE_BYTES, MAX_FILES, MAX_TOTAL_BYTES, check_relative
from agents.tasks.load import assemble, check_id, task_digest
from contracts.tasks import Budget, GradedTask, Task

MOST = Budget(
    model_calls=1_000, test_runs=1_000, tokens=20_000_000, lines=20_000_000, cpu_seconds=300, wall_seconds=900
)
"""What a task may allow an episode: a campaign runs it hundreds of times."""
MAX_SECONDS = 120
"""CPU time that a run of its tests may be given."""
MAX_INSTRUCTION = 64 * 1024
MAX_BLOB = 8 * MAX_TOTAL_BYTES
"""Bytes of a stored task: its text, and what writing it as JSON adds."""

_SHOWN = "the submission"
_NEVER = frozenset({"__pycache__", "pyvenv.cfg"})
"""Names that the loader passes over; a task with such a file was not made by it."""


def decode_task(data: bytes) -> GradedTask:
    """Read a stored task. Raises `InvalidFileError` or `TooLargeError`."""
    if len(data) > MAX_BLOB:
        raise TooLargeError(f"has {len(data)} bytes; {MAX_BLOB} are allowed", path=_SHOWN)
    try:
        return msgspec.json.decode(data, type=GradedTask)
    except msgspec.MsgspecError as error:
        raise InvalidFileError(f"is no task: {error}", path=_SHOWN) from None


def readmit(task: Task, *, name: str, package: str) -> GradedTask:
    """Make a task anew from one that came from elsewhere, under another id; its own tests grade it.

    Everything is checked as if it were loaded from a directory. Raises `TaskError`.
    """
    check_id(name, task="", shown=_SHOWN)
    check_id(package, task=name, shown=_SHOWN)
    _check_files(task.files, name)
    _check_limits(task, name)
    described = TaskFile(
        id=name,
        package=package,
        instruction=task.instruction,
        solution_files=task.solution_files,
        tests=msgspec.to_builtins(task.tests),
        budget=msgspec.to_builtins(task.budget),
    )
    return assemble(described, dict(sorted(task.files.items())), None, budget=Budget(), shown=_SHOWN)


def check_stored(graded: GradedTask) -> GradedTask:
    """Return a collected task if it is what this module makes of one. Raises `TaskError`."""
    again = readmit(graded.task, name=graded.task.id, package=graded.task.package)
    if graded.digest != again.digest or graded.digest != task_digest(graded):
        raise InvalidFileError("is not as it was collected", task=graded.task.id, path=_SHOWN)
    return again


def _check_files(files: dict[str, str], name: str) -> None:
    if len(files) > MAX_FILES:
        raise TooLargeError(f"holds more than {MAX_FILES} files", task=name)
    total = 0
    for path, text in files.items():
        _check_path(path, name)
        size = len(text.encode())
        total += size
        if size > MAX_FILE_BYTES:
            raise TooLargeError(f"holds more than {MAX_FILE_BYTES // 1024} KiB", task=name, path=path)
        if "\0" in text:
            raise InvalidFileError("is a binary file. Only text is allowed here.", task=name, path=path)
    if total > MAX_TOTAL_BYTES:
        raise TooLargeError(f"holds more than {MAX_TOTAL_BYTES // 1024**2} MiB of text", task=name)
    folders = {str(parent) for path in files for parent in PurePosixPath(path).parents}
    if both := sorted(folders & files.keys()):
        raise UnsafePathError("is a file and a folder at once", task=name, path=both[0])


def _check_path(path: str, name: str) -> None:
    plain = check_relative(path, task=name, shown=_SHOWN)
    parts = PurePosixPath(plain).parts
    if (
        plain != path
        or not path.isprintable()
        or len(path.encode()) > 512
        or any(part.startswith(".") or part in _NEVER or len(part.encode()) > 200 for part in parts)
        or path.endswith((".pyc", ".pyo"))
    ):
        raise UnsafePathError(f"{path[:200]!r} is no path that a task may have", task=name, path=_SHOWN)


def _check_limits(task: Task, name: str) -> None:
    if len(task.instruction) > MAX_INSTRUCTION:
        raise TooLargeError(f"has an instruction of more than {MAX_INSTRUCTION // 1024} KiB", task=name)
    for key, most in msgspec.structs.asdict(MOST).items():
        if getattr(task.budget, key) > most:
            raise InvalidFileError(
                f"[budget]: `{key}` is {getattr(task.budget, key)}; a practice task may have {most}",
                task=name,
                path=_SHOWN,
            )
    if task.tests.seconds > MAX_SECONDS:
        raise InvalidFileError(
            f"[tests]: `seconds` is {task.tests.seconds}; a practice task may have {MAX_SECONDS}",
            task=name,
            path=_SHOWN,
        )
    if any("\0" in text for text in (task.instruction, *task.tests.command)):
        raise InvalidFileError(
            "its instruction or its test command holds a null byte", task=name, path=_SHOWN
        )
