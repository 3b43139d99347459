"""Reading the text files of a directory: what is taken, what is passed over, and what is refused."""

import os
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from agents.tasks.errors import MissingFileError, TooLargeError, UnreadableFileError, UnsafePathError

MAX_FILE_BYTES = 256 * 1024
"""A larger file is not source code that anyone reads."""
MAX_TOTAL_BYTES = 4 * 1024 * 1024
"""All files of one workspace together."""
MAX_FILES = 2_000

_PASSED_OVER = frozenset({"__pycache__", "node_modules", "venv", "build", "dist"})
_TEST_FOLDERS = frozenset({"tests", "test"})


def read_tree(root: Path, *, task: str, prefix: str = "") -> dict[str, str]:
    """Read every file below `root` of a task in the full form: path → text, sorted by path.

    Caches and hidden files are passed over; whatever else is no text file of reasonable size is refused.
    `prefix` is put before the paths, but only in errors. Raises `TaskError`.
    """
    files = {}
    for path, relative in _walk(root, task=task, pruned=frozenset({"__pycache__"})):
        shown = prefix + relative
        if path.is_symlink():
            raise UnsafePathError("is a symbolic link. Put a copy of the file there.", task=task, path=shown)
        data = _read(path, task=task, shown=shown)
        if len(data) > MAX_FILE_BYTES:
            raise TooLargeError(f"holds more than {MAX_FILE_BYTES // 1024} KiB", task=task, path=shown)
        files[relative] = _decode(data, task=task, shown=shown)
    _check_total(files, task=task)
    return dict(sorted(files.items()))


def read_project(root: Path, *, task: str) -> dict[str, str]:
    """Read the text files of a project as it lies: path → text, sorted by path.

    Hidden, built and installed things, symbolic links, binaries and files over `MAX_FILE_BYTES` are passed
    over. A Python file that is not UTF-8 is refused. Raises `TaskError`.
    """
    files = {}
    for path, relative in _walk(root, task=task, pruned=_PASSED_OVER):
        if path.is_symlink() or not path.is_file() or path.stat().st_size > MAX_FILE_BYTES:
            continue
        data = _read(path, task=task, shown=relative)
        try:
            files[relative] = _decode(data, task=task, shown=relative)
        except UnreadableFileError:
            if relative.endswith(".py"):
                raise
        _check_total(files, task=task)
    return dict(sorted(files.items()))


def read_text(path: Path, *, task: str, shown: str) -> str:
    """Read one file that has to be there, as UTF-8. Raises `TaskError`."""
    if path.is_symlink():
        raise UnsafePathError("is a symbolic link. Put a copy of the file there.", task=task, path=shown)
    return _decode(_read(path, task=task, shown=shown), task=task, shown=shown)


def is_test_path(path: str) -> bool:
    """Whether a file belongs to a project's tests: by its folder or by its name."""
    pure = PurePosixPath(path)
    by_name = pure.name == "conftest.py" or pure.name.startswith("test_") or pure.stem.endswith("_test")
    return by_name or not _TEST_FOLDERS.isdisjoint(pure.parts[:-1])


def tests_below(files: dict[str, str], paths: tuple[str, ...]) -> tuple[str, ...]:
    """Return those files `test_*.py` that lie at or below one of `paths`."""
    roots = [PurePosixPath(path) for path in paths]
    return tuple(
        path
        for path in files
        if (pure := PurePosixPath(path)).match("test_*.py")
        and any(root == pure or root in pure.parents for root in roots)
    )


def check_relative(path: str, *, task: str, shown: str) -> str:
    """Return `path` if it stays inside a workspace and is written plainly. Raises `UnsafePathError`."""
    pure = PurePosixPath(path)
    if not path or "\0" in path or "\\" in path or pure.is_absolute() or ".." in pure.parts:
        raise UnsafePathError(
            f"{path!r} leads out of the workspace. Give a path relative to it, such as 'package/module.py'.",
            task=task,
            path=shown,
        )
    return str(pure)


def _walk(root: Path, *, task: str, pruned: frozenset[str]) -> Iterator[tuple[Path, str]]:
    """Yield (path, path relative to root) of everything that is no directory, in a fixed order."""
    count = 0
    for folder, names, leaves in os.walk(root):
        here = Path(folder)
        links = [name for name in names if (here / name).is_symlink()]
        names[:] = sorted(name for name in names if _is_entered(here / name, pruned))
        for leaf in sorted([*leaves, *links]):
            if leaf.startswith(".") or leaf.endswith((".pyc", ".pyo")):
                continue
            count += 1
            if count > MAX_FILES:
                raise TooLargeError(
                    f"holds more than {MAX_FILES} files. Point at the folder with the code in question.",
                    task=task,
                )
            path = here / leaf
            yield path, path.relative_to(root).as_posix()


def _is_entered(folder: Path, pruned: frozenset[str]) -> bool:
    if folder.name in pruned or folder.name.startswith(".") or folder.is_symlink():
        return False
    return not (folder / "pyvenv.cfg").exists()


def _read(path: Path, *, task: str, shown: str) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(MAX_FILE_BYTES + 1)
    except FileNotFoundError:
        raise MissingFileError("is missing. Add the file.", task=task, path=shown) from None
    except OSError as error:
        raise UnreadableFileError(f"cannot be read: {error.strerror}", task=task, path=shown) from error


def _decode(data: bytes, *, task: str, shown: str) -> str:
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise UnreadableFileError(
            f"is not UTF-8 (byte {error.start}). Save it as UTF-8, or remove it.", task=task, path=shown
        ) from None
    if "\0" in text:
        raise UnreadableFileError("is a binary file. Only text is allowed here.", task=task, path=shown)
    return text


def _check_total(files: dict[str, str], *, task: str) -> None:
    total = sum(len(text) for text in files.values())
    if total > MAX_TOTAL_BYTES:
        raise TooLargeError(
            f"holds more than {MAX_TOTAL_BYTES // 1024**2} MiB of text. "
            "Point at the folder with the code in question.",
            task=task,
        )
