"""What can be wrong with a task or a suite on disk.

TaskError
 ├── MissingFileError
 ├── InvalidFileError
 ├── UnsafePathError
 ├── UnreadableFileError
 ├── TooLargeError
 ├── NoTestsError
 └── SuiteError
      ├── UnknownSuiteError
      └── EmptySuiteError
"""

from collections.abc import Sequence


class TaskError(Exception):
    """Raised when a task cannot be loaded. The base of all errors of this package."""

    def __init__(self, message: str, *, task: str = "", path: str = "") -> None:
        self.task = task
        """The task's id, or its directory's name where the id is not known yet."""
        self.path = path
        """The file at fault, relative to the task's directory; empty if it is the directory as a whole."""
        where = ", ".join(part for part in (f"task {task!r}" if task else "", path) if part)
        super().__init__(f"{where}: {message}" if where else message)


class MissingFileError(TaskError):
    """Raised when a file or directory that a task needs is not there."""


class InvalidFileError(TaskError):
    """Raised when task.toml or suite.toml is not TOML, or holds an unknown key or an unfit value."""


class UnsafePathError(TaskError):
    """Raised when a path leads out of the task's directory: absolute, with `..`, or by a symbolic link."""


class UnreadableFileError(TaskError):
    """Raised when a file of a task cannot be read or is not text in UTF-8."""


class TooLargeError(TaskError):
    """Raised when a task's files exceed what a workspace may hold."""


class NoTestsError(TaskError):
    """Raised when there is no test by which a task could be graded."""


class SuiteError(TaskError):
    """Raised when a suite cannot be loaded."""


class UnknownSuiteError(SuiteError):
    """Raised when a name is neither a built-in suite nor a directory."""

    def __init__(self, name: str, known: Sequence[str]) -> None:
        self.name = name
        self.known = tuple(known)
        super().__init__(
            f"no suite and no directory is called {name!r}. Built in: {', '.join(known) or 'none'}. "
            "For tasks of your own, give the path of their directory."
        )


class EmptySuiteError(SuiteError):
    """Raised when not one task of a suite can be used."""

    def __init__(self, name: str, faulty: Sequence[tuple[str, str]]) -> None:
        self.name = name
        self.faulty = tuple(faulty)
        reasons = "; ".join(reason for _, reason in faulty)
        super().__init__(f"suite {name!r} has no usable task: {reasons or 'it holds no task directory'}")
