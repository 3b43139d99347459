import msgspec
import pytest

from contracts import events as e
from contracts.chat import Usage
from contracts.duties import ROLES, Duty
from contracts.envelope import GENESIS, Envelope, seal
from contracts.submission import Submission, duties, fold

SUBMITTED = e.TaskSubmitted(task="t-1", name="stack-1", blob="b")
SOLVED = e.TaskSolved(task="t-1", tree="seed", patch="diff", attempts=2, usage=Usage())
FAILED = e.TaskFailed(task="t-1", tree="seed", reason="not one attempt passed", attempts=3, usage=Usage())


def stream(*events: e.Event) -> list[Envelope]:
    found: list[Envelope] = []
    for index, event in enumerate(events):
        new = e.encode(event, duty="d", index=index, actor="test", correlation="t-1")
        prev = found[-1].hash if found else GENESIS
        found.append(seal(new, stream="task/t-1", version=index + 1, position=index + 5, at=1.0, prev=prev))
    return found


def folded(*events: e.Event) -> Submission:
    state = Submission()
    for envelope in stream(*events):
        state = fold(state, envelope)
    return state


def test_a_submitted_task_is_the_executors_to_solve() -> None:
    state = folded(SUBMITTED)
    assert (state.submitted, state.outcome) == (SUBMITTED, "")
    assert duties("executor", state, 0.0) == (Duty(key="t-1/solve", kind="solve"),)
    for role in set(ROLES) - {"executor"}:
        assert duties(role, state, 0.0) == ()


@pytest.mark.parametrize(("end", "outcome"), [(SOLVED, "solved"), (FAILED, "failed")])
def test_an_outcome_ends_the_duty(end: e.Event, outcome: str) -> None:
    state = folded(SUBMITTED, end)
    assert state.outcome == outcome
    assert (state.version, state.position) == (2, 6)
    assert all(duties(role, state, 1e12) == () for role in ROLES)


def test_nothing_is_due_before_a_task_is_submitted() -> None:
    assert duties("executor", Submission(), 0.0) == ()


def test_an_event_of_another_kind_of_stream_changes_nothing_but_the_version() -> None:
    before, after = folded(SUBMITTED), folded(SUBMITTED, e.HeadReset(tree="t", reason="r"))
    assert after.version == before.version + 1
    assert msgspec.structs.replace(
        after, version=before.version, hash=before.hash, position=before.position
    ) == (before)


def test_an_event_that_is_not_the_next_one_is_refused() -> None:
    first, second = stream(SUBMITTED, SOLVED)
    state = fold(Submission(), first)
    with pytest.raises(ValueError, match="does not follow"):
        fold(Submission(), second)
    with pytest.raises(ValueError, match="does not follow"):
        fold(state, first)
    for envelope, before in ((first, Submission()), (second, state)):
        with pytest.raises(ValueError, match="does not point"):
            fold(before, msgspec.structs.replace(envelope, prev_hash=b"x" * 32))
    assert fold(state, second).outcome == "solved"
