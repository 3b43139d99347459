"""Whether a task is fit to be practised on: its tests are run in the sandbox, twice, before it is taken."""

from agents.sandbox import Sandbox, SandboxFault
from contracts.record import Record
from contracts.tasks import GradedTask, TestOutcome, TestReport

RUNS = 2
MAX_WALL = 120.0
"""Seconds by the clock, a backstop: what ends a run is its CPU time, or its waiting for nothing."""


class Trial(Record):
    """What came of it."""

    refusal: str = ""
    """Why the task is not fit; empty if it is."""
    failing: tuple[str, ...] = ()
    """Ids of the tests that fail."""


def try_task(graded: GradedTask) -> Trial:
    """Run a task's tests on its unchanged workspace, each time in a sandbox of its own.

    Fit is what comes to an end, fails, and says the same every time: only then can it be graded, is there something
    to mend, and is an episode on it the same on every machine. Blocks; raises SandboxUnavailable.
    """
    first: TestReport | None = None
    for _ in range(RUNS):
        try:
            report = _run(graded)
        except SandboxFault as error:
            return Trial(refusal=f"its tests could not be run: {error}")
        if report.status != "ok":
            return Trial(refusal=f"{_ENDS[report.status]}{report.detail and f' ({_line(report.detail)})'}")
        first = first or report
        if unlike := difference(first, report):
            return Trial(refusal=f"its tests are not deterministic: {unlike}")
    return _judge(first or TestReport(status="broken"))


def _judge(report: TestReport) -> Trial:
    names = [outcome.id for outcome in report.outcomes]
    if len(set(names)) < len(names):
        return Trial(refusal="one of its tests is reported twice, so it cannot be graded")
    failing = tuple(outcome.id for outcome in report.outcomes if not outcome.passed)
    if not failing:
        return Trial(
            refusal=f"all of its tests ({len(names)}) pass as it was submitted, so there is nothing to mend"
        )
    return Trial(failing=failing)


def difference(first: TestReport, second: TestReport) -> str:
    """What two runs of the same tests said differently; empty if nothing that an agent is shown."""
    earlier = {outcome.id: outcome for outcome in first.outcomes}
    if [outcome.id for outcome in first.outcomes] != [outcome.id for outcome in second.outcomes]:
        return "two runs did not run the same tests"
    for later in second.outcomes:
        if what := _unlike(earlier[later.id], later):
            return f"{_line(later.id)} {what}"
    return "" if first.executed == second.executed else "two runs did not execute as many lines"


def _unlike(first: TestOutcome, second: TestOutcome) -> str:
    if first.passed != second.passed:
        return "passed in one run and failed in another"
    if first.error != second.error:
        return f"said {_line(first.error)!r}, and then {_line(second.error)!r}"
    if (first.trace, first.lines) != (second.trace, second.lines):
        return "went through different lines"
    return ""


_ENDS = {
    "broken": "its tests cannot be loaded, so there is nothing to grade by",
    "lines": "its tests do not come to an end: they execute more lines than its budget allows",
    "cpu": "its tests do not come to an end within their CPU time",
    "memory": "its tests do not come to an end: they need more memory than they may have",
    "output": "its tests do not come to an end: they write too much",
    "crashed": "its tests do not come to a proper end",
}


def _run(graded: GradedTask) -> TestReport:
    task = graded.task
    with Sandbox() as sandbox:
        wall = min(float(task.budget.wall_seconds), MAX_WALL)
        return sandbox.run_tests(task.files, task.tests, lines=task.budget.lines, wall=wall)


def _line(text: str) -> str:
    return " ".join(text.split())[:160]
