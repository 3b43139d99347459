"""From one right program to several tasks: a package is a program, its tests, and the mistakes to put into it."""

from pathlib import Path

from agents.tasks.describe import PackageFile, TaskFile, Variant, decode_toml
from agents.tasks.errors import InvalidFileError, TaskError
from agents.tasks.files import read_text, read_tree
from agents.tasks.load import assemble, check_id
from contracts.tasks import Budget, GradedTask

PACKAGE = "package.toml"


def load_package(directory: Path, *, budget: Budget) -> tuple[list[GradedTask], list[tuple[str, str]]]:
    """Load every variant of a package: package.toml, program/ as it should be, and the hidden tests in tests/.

    Returns the tasks, in order, and (id, reason) for every variant that cannot be used. Raises `TaskError` when
    nothing of the package can be.
    """
    name = check_id(directory.resolve().name, task="", shown=PACKAGE)
    text = read_text(directory / PACKAGE, task=name, shown=PACKAGE)
    described = decode_toml(text, PackageFile, task=name, shown=PACKAGE)
    program = read_tree(directory / "program", task=name, prefix="program/")
    hidden = read_tree(directory / "tests", task=name, prefix="tests/")
    tasks, faulty = [], []
    for number, variant in enumerate(described.variant, 1):
        task_id = f"{name}-{number}"
        try:
            tasks.append(_task(task_id, name, described, variant, program, hidden, budget))
        except TaskError as error:
            faulty.append((task_id, str(error)))
    if not tasks and not faulty:
        raise InvalidFileError("there is no [[variant]]; each makes a task", task=name, path=PACKAGE)
    return tasks, faulty


def _task(
    task_id: str,
    package: str,
    described: PackageFile,
    variant: Variant,
    program: dict[str, str],
    hidden: dict[str, str],
    budget: Budget,
) -> GradedTask:
    if not variant.mistake:
        raise InvalidFileError("has no [[variant.mistake]]", task=task_id, path=PACKAGE)
    files = dict(program)
    for mistake in variant.mistake:
        if mistake.path not in files:
            message = (
                f"the program has no file {mistake.path!r}; its files: {', '.join(sorted(files)) or 'none'}"
            )
            raise InvalidFileError(message, task=task_id, path=PACKAGE)
        times = files[mistake.path].count(mistake.right)
        if not mistake.right or times != 1:
            message = f"`right` stands {times} times in {mistake.path}, not once: {mistake.right[:60]!r}"
            raise InvalidFileError(message, task=task_id, path=PACKAGE)
        files[mistake.path] = files[mistake.path].replace(mistake.right, mistake.wrong)
    spec = TaskFile(
        id=task_id,
        package=package,
        instruction=variant.instruction,
        solution_files=described.solution_files,
        tests=described.tests,
        budget=described.budget,
    )
    return assemble(spec, files, hidden, budget=budget, shown=PACKAGE)
