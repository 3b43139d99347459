"""How the outcome of a task follows from two runs of its hidden tests."""

from contracts.record import Record
from contracts.tasks import TestReport


class Grade(Record, frozen=True):
    """What a change of the solution files was worth. All zero and empty where a report cannot be trusted."""

    score: float = 0.0
    """In [0, 1]: tests newly passing less tests newly failing, over the tests that failed before."""
    solved: bool = False
    """Whether every test of the first report passes in the second."""
    fixed: tuple[str, ...] = ()
    """Ids of the tests that pass now and did not before, in the order of the first report."""
    broken: tuple[str, ...] = ()
    """Ids of the tests that passed before and do not now, in the order of the first report."""


def grade(before: TestReport, after: TestReport) -> Grade:
    """Compare the hidden tests' outcomes on the unchanged workspace with those on the changed one.

    A report that did not come to its end, that names a test twice, or a second one that leaves out a test of
    the first, grades as nothing at all. Tests that only the second report knows are ignored. Where nothing
    failed before there is nothing to gain: the score is 1 if all still pass, and 0 if not.
    """
    earlier, later = _passes(before), _passes(after)
    if not earlier or not later or not earlier.keys() <= later.keys():
        return Grade()
    fixed = tuple(test for test, passed in earlier.items() if not passed and later[test])
    broken = tuple(test for test, passed in earlier.items() if passed and not later[test])
    failing = sum(not passed for passed in earlier.values())
    solved = all(later[test] for test in earlier)
    gain = (len(fixed) - len(broken)) / failing if failing else float(solved)
    return Grade(score=min(1.0, max(0.0, gain)), solved=solved, fixed=fixed, broken=broken)


def _passes(report: TestReport) -> dict[str, bool]:
    """Test id → whether it passed; empty if the report is not to be trusted."""
    passes = {outcome.id: outcome.passed for outcome in report.outcomes}
    return passes if report.status == "ok" and len(passes) == len(report.outcomes) else {}
