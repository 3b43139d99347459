"""The grade of a task: counted by hand here, and tried against everything that a report can be."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.grading import Grade, grade
from contracts.tasks import TestOutcome, TestReport


def report(outcomes: str, status: str = "ok") -> TestReport:
    """`"a+ b-"`: a passed, b did not."""
    return TestReport(
        status=status,  # type: ignore[arg-type]
        outcomes=tuple(TestOutcome(id=word[:-1], passed=word[-1] == "+") for word in outcomes.split()),
    )


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ("a- b- c+", "a+ b+ c+", Grade(score=1.0, solved=True, fixed=("a", "b"))),
        ("a- b- c+", "a+ b- c+", Grade(score=0.5, fixed=("a",))),
        ("a- b- c+", "a+ b+ c-", Grade(score=0.5, fixed=("a", "b"), broken=("c",))),
        ("a- b- c+", "a+ b- c-", Grade(score=0.0, fixed=("a",), broken=("c",))),
        ("a- b+ c+", "a- b- c-", Grade(score=0.0, broken=("b", "c"))),
        ("a- b+", "a- b+", Grade()),
        ("a- b+", "b+ a+", Grade(score=1.0, solved=True, fixed=("a",))),
        ("a- b- c- d+", "a+ b- c- d+", Grade(score=1 / 3, fixed=("a",))),
        ("a+ b+", "a+ b+", Grade(score=1.0, solved=True)),
        ("a+ b+", "a+ b-", Grade(broken=("b",))),
    ],
)
def test_counted_by_hand(before: str, after: str, expected: Grade) -> None:
    assert grade(report(before), report(after)) == expected


def test_tests_that_only_the_second_report_knows_are_ignored() -> None:
    known = grade(report("a- b+"), report("a+ b+"))
    assert grade(report("a- b+"), report("x+ a+ y- b+")) == known
    assert known.solved


@pytest.mark.parametrize("status", ["broken", "lines", "cpu", "memory", "output", "crashed"])
def test_a_run_that_did_not_end_grades_as_nothing(status: str) -> None:
    assert grade(report("a-"), report("a+", status)) == Grade()
    assert grade(report("a-", status), report("a+")) == Grade()


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("a- b-", "a+"),
        ("a-", ""),
        ("", "a+"),
        ("", ""),
        ("a-", "a+ a+"),
        ("a-", "a+ a-"),
        ("a-", "a+ x+ x+"),
        ("a- a-", "a+"),
    ],
)
def test_a_missing_or_doubled_test_grades_as_nothing(before: str, after: str) -> None:
    assert grade(report(before), report(after)) == Grade()


outcomes = st.dictionaries(st.sampled_from("abcdef"), st.booleans()).map(
    lambda passes: TestReport(
        status="ok", outcomes=tuple(TestOutcome(id=test, passed=passed) for test, passed in passes.items())
    )
)


@given(outcomes, outcomes)
def test_scores_are_shares_and_agree_with_the_lists(before: TestReport, after: TestReport) -> None:
    got = grade(before, after)
    assert 0.0 <= got.score <= 1.0
    assert set(got.fixed) <= set(after.passed) - set(before.passed)
    assert set(got.broken) <= set(before.passed) - set(after.passed)
    if got.solved:
        assert got.score == 1.0
        assert not got.broken
        assert set(after.passed) >= {outcome.id for outcome in before.outcomes}
    if got.score == 1.0:
        assert got.solved


@given(outcomes)
def test_changing_nothing_gains_nothing(before: TestReport) -> None:
    got = grade(before, before)
    assert (got.fixed, got.broken) == ((), ())
    assert got.score == (1.0 if before.all_passed else 0.0)
