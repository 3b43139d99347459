"""Test reports by content: run once, shared through a file that may be lost, and never anybody else's."""

import sqlite3
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import pytest

from agents.executor import reports
from agents.executor.reports import Reports, runner_digest
from agents.sandbox import guest
from contracts.tasks import TestOutcome, TestReport, TestSpec

FILES = {"a.py": "x = 1\n", "tests/test_a.py": "def test_a(): ..."}
SPEC = TestSpec()


class Counting:
    """Stands in the place of a sandbox: its reports say which files they are on."""

    def __init__(self) -> None:
        self.runs: list[Mapping[str, str]] = []

    def run_tests(self, files: Mapping[str, str], spec: TestSpec, *, lines: int, wall: float) -> TestReport:
        del spec, wall
        self.runs.append(files)
        outcome = TestOutcome(
            id="tests/test_a.py::test_é",
            passed=False,
            error=files.get("a.py", ""),
            trace=(("a.py", 1, "f"),),
            lines={"a.py": (1, lines)},
        )
        return TestReport(status="ok", outcomes=(outcome,))


def opened(file: Path | None = None) -> Reports:
    return Reports(cast("Any", Counting()), file)


def ask(known: Reports, number: int = 1, **asked: Any) -> TestReport:
    told: dict[str, Any] = {"spec": SPEC, "lines": 100, "wall": 5.0, **asked}
    return known.get({**FILES, "a.py": f"x = {number}\n"}, **told)


def ran(known: Reports) -> int:
    """How often tests were run."""
    assert known.run == len(cast("Any", known.sandbox).runs)
    return known.run


def rows(file: Path) -> int:
    with sqlite3.connect(file) as connection:
        [(count,)] = connection.execute("SELECT count(*) FROM reports")
    connection.close()
    return int(count)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "reports.cache"


def test_the_same_files_are_run_once() -> None:
    known = opened()
    first = ask(known)
    assert ask(known) is first
    assert ask(known, wall=9.0) is first  # how long was allowed decides nothing about a run that ended
    assert (known.asked, ran(known)) == (3, 1)


def test_what_decides_a_report_is_part_of_its_key() -> None:
    known = opened()
    ask(known)
    ask(known, 2)
    ask(known, lines=101)
    ask(known, spec=TestSpec(paths=("more",)))
    known.get({"b.py": FILES["a.py"]}, SPEC, 100, 5.0)
    known.get({**FILES, "b.py": ""}, SPEC, 100, 5.0)
    assert ran(known) == 6
    known.get(dict(reversed(FILES.items())), SPEC, 100, 5.0)
    assert ran(known) == 6


def test_another_runner_gives_other_reports(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ask(opened(file))
    monkeypatch.setattr(reports, "runner_digest", lambda: b"another interpreter, or another way to run tests")
    newer = opened(file)
    ask(newer)
    assert ran(newer) == 1


def test_the_runner_is_its_interpreter_and_the_code_in_the_sandbox(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = runner_digest.__wrapped__
    real = found()
    assert real == found() == runner_digest()
    folder = Path(guest.__file__).parent
    for path in folder.glob("*.py"):
        (tmp_path / path.name).write_bytes(path.read_bytes())
    monkeypatch.setattr(guest, "__file__", str(tmp_path / "__init__.py"))
    assert found() == real
    (tmp_path / "tests.py").write_text((folder / "tests.py").read_text() + "\n# otherwise\n")
    assert found() != real
    (tmp_path / "tests.py").write_text((folder / "tests.py").read_text())
    monkeypatch.setattr(sys, "version", "4.0")
    assert found() != real


def test_a_file_is_shared_and_outlives_those_who_wrote_it(file: Path) -> None:
    one, other = opened(file), opened(file)
    report = ask(one)
    assert ask(other) == report
    assert report.outcomes[0].lines == {"a.py": (1, 100)}
    ask(other, 2)
    ask(one, 2)
    assert (ran(one), ran(other)) == (1, 1)
    del one, other
    later = opened(file)
    assert ask(later) == report
    assert ran(later) == 0


def test_a_file_that_is_deleted_is_done_without_and_made_again(file: Path) -> None:
    one = opened(file)
    ask(one)
    for path in file.parent.iterdir():
        path.unlink()
    ask(one)
    ask(one, 2)
    other = opened(file)
    ask(other)
    assert (ran(one), ran(other)) == (2, 1)
    assert rows(file) == 1


def test_a_file_that_is_no_cache_is_left_alone_and_done_without(file: Path) -> None:
    content = b"not a database, but long enough to be read as one" * 100
    file.write_bytes(content)
    known = opened(file)
    report = ask(known)
    assert ask(known) == report
    assert ran(known) == 1
    assert file.read_bytes() == content


def test_a_place_where_no_file_can_be_is_done_without(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    for place in (tmp_path / "folder", tmp_path / "none" / "reports.cache"):
        known = opened(place)
        assert ask(known) == ask(known)
        assert ran(known) == 1


def test_a_file_of_another_form_is_done_without(file: Path) -> None:
    with sqlite3.connect(file) as connection:
        connection.execute("CREATE TABLE reports (something TEXT)")
    connection.close()
    known = opened(file)
    assert ask(known) == ask(known)
    assert ran(known) == 1


def test_a_file_that_breaks_while_it_is_used_costs_time_and_nothing_else(file: Path) -> None:
    one = opened(file)
    ask(one)
    with sqlite3.connect(file) as connection:
        connection.execute("DROP TABLE reports")
    connection.close()
    assert ask(one, 2) == ask(one, 2)
    assert ran(one) == 2


@pytest.mark.parametrize("rubbish", [b"", b"rubbish", b"x\x9c\x03\x00\x00\x00\x00\x01", None, 7])
def test_a_report_that_cannot_be_read_is_run_again_and_mended(file: Path, rubbish: object) -> None:
    report = ask(opened(file))
    with sqlite3.connect(file) as connection:
        connection.execute("UPDATE reports SET report = ?", (rubbish,))
    connection.close()
    again, later = opened(file), opened(file)
    assert ask(again) == report
    assert ask(later) == report
    assert (ran(again), ran(later)) == (1, 0)


def test_the_oldest_make_room(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reports, "KEPT", 10)
    monkeypatch.setattr(reports, "_SWEEP", 5)
    known = opened(file)
    for number in range(50):
        ask(known, number)
        assert rows(file) <= 10 + 5
    late, early = opened(file), opened(file)
    ask(late, 49)
    ask(early, 1)
    assert (ran(late), ran(early)) == (0, 1)


def test_executors_that_live_briefly_sweep_too(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reports, "KEPT", 10)
    for number in range(25):
        ask(opened(file), number)
    assert rows(file) <= 11


def test_a_process_keeps_few_at_hand(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reports, "DECODED", 2)
    known = opened(file)
    for number in (1, 2, 1, 3):
        ask(known, number)
    assert len(known.decoded) == 2
    assert ran(known) == 3
    lone = opened()
    for number in (1, 2, 3, 1):  # without a file they are kept packed
        ask(lone, number)
    assert ran(lone) == 3


SHARE = """
import sys
from pathlib import Path
from agents.executor.reports import Reports
from contracts.tasks import TestReport, TestSpec

class Empty:
    def run_tests(self, files, spec, *, lines, wall):
        return TestReport(status="ok")

def ask(numbers):
    for number in numbers:
        known.get({"a.py": f"x = {number}"}, TestSpec(), 100, 5.0)

print("ready", flush=True)
first = int(sys.stdin.readline())
known = Reports(Empty(), Path(sys.argv[1]))
ask(range(first, first + 60))
print(known.run, flush=True)
sys.stdin.readline()
ask(range(120))
print(known.run, flush=True)
"""


def test_processes_that_start_together_share_what_they_know(file: Path) -> None:
    """Each runs its own 60; afterwards nothing of the other's is run again."""
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", SHARE, str(file)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        for _ in range(2)
    ]

    def answers(said: Sequence[str]) -> list[str]:
        for process, line in zip(processes, said, strict=True):
            assert process.stdin is not None
            process.stdin.write(f"{line}\n")
            process.stdin.flush()
        return heard()

    def heard() -> list[str]:
        return [process.stdout.readline().strip() for process in processes if process.stdout is not None]

    try:
        assert heard() == ["ready", "ready"]
        assert answers(["0", "60"]) == ["60", "60"]
        assert answers(["on", "on"]) == ["60", "60"]
    finally:
        for process in processes:
            process.communicate(timeout=30)
    assert rows(file) == 120
