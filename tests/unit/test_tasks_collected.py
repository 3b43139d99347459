"""Tasks from elsewhere: what is refused, what joins a suite, and that writing one down loses nothing."""

from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agents.tasks import foreign
from agents.tasks.errors import InvalidFileError, MissingFileError, TaskError, TooLargeError, UnsafePathError
from agents.tasks.files import MAX_FILE_BYTES
from agents.tasks.foreign import check_stored, decode_task, readmit
from agents.tasks.join import join
from agents.tasks.load import load_task, task_digest
from agents.tasks.suite import load_suite
from agents.tasks.write import write_task
from agents.testing import write_suite
from contracts.tasks import Budget, GradedTask, Task, TestSpec

TEST = "from cup import full\n\n\ndef test_full():\n    assert full(3, 3)\n"
TASK = Task(
    id="cup",
    package="cup",
    instruction="It is never full.",
    files={"cup.py": "def full(cup, size):\n    return cup > size\n", "tests/test_cup.py": TEST},
    solution_files=("cup.py",),
)


def made(task: Task = TASK, name: str = "cup-1a2b3c4d", package: str = "cup") -> GradedTask:
    return readmit(task, name=name, package=package)


def changed(**changes: Any) -> Task:
    return msgspec.structs.replace(TASK, **changes)


def test_its_own_tests_grade_it() -> None:
    graded = made()
    assert (graded.task.id, graded.task.package, graded.hidden) == ("cup-1a2b3c4d", "cup", {})
    assert graded.hidden_tests == graded.task.tests == TestSpec()
    assert graded.digest == task_digest(graded)
    assert check_stored(graded) == graded
    assert decode_task(msgspec.json.encode(graded)) == graded


@pytest.mark.parametrize(
    "path",
    [
        "../cup.py", "/etc/passwd", "a/../../b", "a//b", "./a", "", "a\0b", "a\\b", ".git/hooks/pre-commit",
        "a/.hidden", "a/__pycache__/b.py", "a.pyc", "env/pyvenv.cfg", "a\nb", "a\x1b[2J", "x" * 201, "tests",
        "cup.py/x",
    ],
)  # fmt: skip
def test_a_path_that_the_loader_would_not_give_is_refused(path: str) -> None:
    with pytest.raises(UnsafePathError):
        made(changed(files={**TASK.files, path: "x = 1\n"}))


@pytest.mark.parametrize(
    ("task", "error"),
    [
        (changed(files={**TASK.files, "big.py": "#" * (MAX_FILE_BYTES + 1)}), TooLargeError),
        (changed(files={**TASK.files, **{f"m{n}.py": "#" * 200_000 for n in range(22)}}), TooLargeError),
        (changed(files={**TASK.files, **{f"m{n}.py": "" for n in range(2_000)}}), TooLargeError),
        (changed(files={**TASK.files, "data.txt": "a\0b"}), InvalidFileError),
        (changed(instruction="x" * (foreign.MAX_INSTRUCTION + 1)), TooLargeError),
        (changed(solution_files=("../cup.py",)), UnsafePathError),
        (changed(solution_files=("tests/test_cup.py",)), InvalidFileError),
        (changed(solution_files=("gone.py",)), MissingFileError),
        (changed(solution_files=()), InvalidFileError),
        (changed(tests=TestSpec(paths=("..",))), UnsafePathError),
        (changed(tests=TestSpec(paths=("nowhere",))), TaskError),
        (changed(tests=TestSpec(seconds=10**9)), InvalidFileError),
        (changed(tests=TestSpec(runner="command")), InvalidFileError),
        (changed(tests=TestSpec(runner="command", command=("a\0b",))), InvalidFileError),
        (changed(budget=Budget(lines=10**12)), InvalidFileError),
        (changed(budget=Budget(model_calls=0)), InvalidFileError),
    ],
)
def test_what_else_is_refused(task: Task, error: type[TaskError]) -> None:
    with pytest.raises(error):
        made(task)


@pytest.mark.parametrize("name", ["", "../x", "a b", ".x", "x" * 101])
def test_an_id_is_one(name: str) -> None:
    with pytest.raises(InvalidFileError):
        made(name=name)
    with pytest.raises(InvalidFileError):
        made(package=name)


def test_what_is_no_task_or_was_changed_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InvalidFileError):
        decode_task(b'{"task": 7}')
    monkeypatch.setattr(foreign, "MAX_BLOB", 10)
    with pytest.raises(TooLargeError):
        decode_task(b" " * 11)
    graded = made()
    hidden = msgspec.structs.replace(graded, hidden={"tests/test_x.py": TEST})
    for other in (msgspec.structs.replace(graded, digest="d" * 64), hidden):
        with pytest.raises(InvalidFileError):
            check_stored(other)


# Writing


texts = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=40)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(instruction=texts, content=texts, name=st.sampled_from(["cup.py", 'a "quoted" \u00e9.py', "a/b c.py"]))
def test_a_written_task_loads_to_the_same(
    tmp_path_factory: pytest.TempPathFactory, instruction: str, content: str, name: str
) -> None:
    folder = tmp_path_factory.mktemp("out")
    graded = made(
        changed(
            instruction=instruction,
            files={name: content, "tests/test_cup.py": TEST},
            solution_files=(name,),
            budget=Budget(model_calls=3),
        )
    )
    written = write_task(folder, graded)
    assert written == folder / "cup-1a2b3c4d"
    assert load_task(written, budget=Budget(lines=7)) == graded
    assert [path.name for path in folder.iterdir()] == ["cup-1a2b3c4d"]


@pytest.mark.parametrize(
    "tests",
    [
        TestSpec(runner="command", paths=(), command=("python", "-c", 'print("\\\\ \x7f\U0001f600")')),
        TestSpec(runner="pytest", paths=("tests/test_cup.py",), seconds=20),
    ],
    ids=lambda tests: str(tests.runner),
)
def test_however_it_is_tested(tmp_path: Path, tests: TestSpec) -> None:
    graded = made(changed(tests=tests))
    written = write_task(tmp_path, graded)
    assert written is not None
    assert load_task(written) == graded


def test_what_people_edited_is_left_and_a_suite_keeps_its_form(tmp_path: Path) -> None:
    suite = write_suite(tmp_path / "suite", practice=1.0)
    assert write_task(suite, made()) == suite / "tasks" / "cup-1a2b3c4d"
    assert write_task(suite, made()) is None
    assert "cup-1a2b3c4d" in [graded.task.id for graded in load_suite(suite).practice]
    elsewhere = tmp_path / "elsewhere"
    (tmp_path / "cup-1a2b3c4d").symlink_to(elsewhere)
    assert write_task(tmp_path, made()) is None
    assert not elsewhere.exists()


# Joining


def test_collected_tasks_are_practice_and_the_split_stays(tmp_path: Path) -> None:
    suite = load_suite(write_suite(tmp_path / "suite"))
    more = [made(name="cup-2"), made(changed(instruction="It leaks."), name="cup-1")]
    joined = join(suite, more)
    assert joined.added == ("cup-1", "cup-2")
    assert joined.suite.practice == (*suite.practice, more[1], more[0])
    assert joined.suite.sealed == suite.sealed
    assert joined.base == suite.digest != joined.suite.digest
    assert join(suite, reversed(more)).suite.digest == joined.suite.digest
    assert join(suite, more[:1]).suite.digest not in {joined.suite.digest, suite.digest}
    assert join(suite, []).suite == suite


def test_nothing_joins_that_shows_what_is_sealed_or_is_there_already(tmp_path: Path) -> None:
    suite = load_suite(write_suite(tmp_path / "suite"))
    sealed, known = suite.sealed[0], suite.practice[0]
    test = next(text for path, text in sealed.task.files.items() if path.startswith("tests/"))
    (hidden,) = sealed.hidden.values()
    cases = {
        "a-package": made(name="a-package", package=sealed.task.package),
        "b-file": made(changed(files={**TASK.files, "tests/test_b.py": f"\n{test}"}), name="b-file"),
        "c-hidden": made(changed(files={**TASK.files, "tests/test_b.py": hidden}), name="c-hidden"),
        "d-known": readmit(known.task, name="d-known", package="d"),
        known.task.id: made(name=known.task.id),
    }
    joined = join(suite, cases.values())
    assert joined.suite == suite
    assert joined.added == ()
    reasons = dict(joined.left_out)
    assert reasons.keys() == cases.keys()
    assert "is sealed" in reasons["a-package"]
    assert "sealed task" in reasons["b-file"]
    assert "sealed task" in reasons["c-hidden"]
    assert "the same task" in reasons["d-known"]
    assert "of this id" in reasons[known.task.id]
