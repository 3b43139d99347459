"""Tasks: what an agent is asked to do, what it may spend on it, and how the outcome is graded."""

from typing import Literal

from contracts.record import Record


class Budget(Record):
    """What one episode may spend. Counted by the host, never clocked, so an episode is deterministic."""

    model_calls: int = 24
    test_runs: int = 16
    tokens: int = 400_000
    """Input and output tokens of all model calls together."""
    lines: int = 200_000
    """Lines of workspace files that one test run may execute; a run that wants more is stopped."""
    cpu_seconds: int = 20
    """CPU time of the harness's own code; beyond it the episode ends with the score it has earned: 0."""
    wall_seconds: int = 120
    """A backstop. Running into it is a fault of the infrastructure, not a score."""


class TestSpec(Record):
    """How a task's tests run.

    `plain` calls every function `test_*` of the files `test_*.py` below `paths`, in order, in a small runner;
    `pytest` runs pytest on `paths`; `command` runs `command` in the workspace and looks at its exit status.
    """

    __test__ = False  # not a test case, whatever pytest makes of the name

    runner: Literal["plain", "pytest", "command"] = "plain"
    paths: tuple[str, ...] = ("tests",)
    command: tuple[str, ...] = ()
    seconds: int = 10
    """CPU time that one run of all tests may take."""


class Task(Record):
    """A task, without its hidden tests and its solution: all that an agent may know of it."""

    id: str
    package: str
    """Tasks of one package are variants of each other: one cluster in every statistic."""
    instruction: str
    files: dict[str, str]
    """The workspace: path → text, the visible tests among them."""
    solution_files: tuple[str, ...]
    """The only files whose content is taken from the agent when its work is graded."""
    tests: TestSpec = TestSpec()
    budget: Budget = Budget()


class GradedTask(Record):
    """A task with what grades it. Never leaves the host and the grading sandbox."""

    task: Task
    hidden: dict[str, str] = {}
    """Hidden test files, path → text, laid over the workspace (below `tests/`) for grading. Empty: graded by the
    visible tests."""
    hidden_tests: TestSpec = TestSpec()
    failing: tuple[str, ...] = ()
    """Ids of the hidden tests that fail on the unchanged workspace. Empty: found out at first use."""
    digest: str = ""
    """Hash of everything above: the identity under which results may be cached."""


class TestOutcome(Record):
    """One test of one run."""

    __test__ = False

    id: str
    """`tests/test_stack.py::test_pop`."""
    passed: bool
    error: str = ""
    """Exception type and message, one line, at most 300 characters."""
    trace: tuple[tuple[str, int, str], ...] = ()
    """Frames inside the workspace, outermost first: path, line, function."""
    lines: dict[str, tuple[int, ...]] = {}
    """Lines of workspace files (tests left out) that this test ran: path → sorted line numbers."""


class TestReport(Record):
    """What one run of a task's tests showed."""

    __test__ = False

    status: Literal["ok", "broken", "lines", "cpu", "memory", "output", "crashed"]
    """`ok`: the run came to its end, whatever the tests said. Every other word says why it did not: the tests
    could not be loaded, or the run exceeded its lines, CPU time, memory or output, or ended itself early."""
    outcomes: tuple[TestOutcome, ...] = ()
    executed: int = 0
    """Lines of workspace files that were executed, repeats counted."""
    detail: str = ""

    @property
    def passed(self) -> tuple[str, ...]:
        """Ids of the tests that passed; none if the run did not come to its end."""
        return tuple(o.id for o in self.outcomes if o.passed) if self.status == "ok" else ()

    @property
    def all_passed(self) -> bool:
        """Whether the run came to its end, held at least one test, and all of them passed."""
        return self.status == "ok" and bool(self.outcomes) and all(o.passed for o in self.outcomes)
