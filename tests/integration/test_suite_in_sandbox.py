"""Every task of the built-in suite can be graded where it will be: in the sandbox, within its budget of lines."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from agents.executor.episode import grade_files
from agents.executor.reports import Reports
from agents.sandbox.sandbox import Sandbox
from agents.tasks.describe import PackageFile, decode_toml
from agents.tasks.package import PACKAGE
from agents.tasks.suite import load_suite
from contracts.tasks import GradedTask

TASKS = Path(__file__).parents[2] / "suites" / "repair" / "tasks"
SUITE = load_suite("repair")


@pytest.fixture(scope="module")
def reports() -> Iterator[Reports]:
    with Sandbox() as sandbox:
        yield Reports(sandbox)


def solution(graded: GradedTask) -> dict[str, str]:
    """The right text of each file that holds a mistake."""
    folder = TASKS / graded.task.package
    described = decode_toml(
        (folder / PACKAGE).read_text(), PackageFile, task=graded.task.package, shown=PACKAGE
    )
    variant = described.variant[int(graded.task.id.rpartition("-")[2]) - 1]
    return {mistake.path: (folder / "program" / mistake.path).read_text() for mistake in variant.mistake}


@pytest.mark.parametrize("graded", [*SUITE.practice, *SUITE.sealed], ids=lambda graded: graded.task.id)
def test_the_solution_is_graded_as_solved(graded: GradedTask, reports: Reports) -> None:
    task = graded.task
    before = reports.get(task.files, task.tests, task.budget.lines, float(task.budget.wall_seconds))
    assert before.status == "ok", "the tests of the wrong program do not come to their end"
    assert any(not outcome.passed for outcome in before.outcomes)
    grade = grade_files(graded, solution(graded), reports)
    assert grade.solved
    assert grade.score == 1
