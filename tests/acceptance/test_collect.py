"""From a submission that the harness fails to a task that the next campaign practises on, typed as people type it."""

import json
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import anyio
import pytest
from click.testing import CliRunner

from agents.cli import main
from agents.tasks.load import load_task
from agents.tasks.suite import load_suite
from agents.testing import History, Running, faults, make_store, module, write_suite
from contracts import events as e
from contracts.collection import content_hash

RATCHET = str(Path(sys.executable).with_name("ratchet"))
PROGRAM = "def pour(cup):\n    return cup - 1\n\n\ndef drink(cup):\n    return cup + 1\n"
TEST = "from cups import drink, pour\n\n\ndef test_pour():\n    assert pour(1) == 2\n\n\n"
TEST += "def test_drink():\n    assert drink(2) == 1\n"


def ratchet(*arguments: str | Path) -> "subprocess.CompletedProcess[str]":
    """The command as a process of its own."""
    return subprocess.run(
        [RATCHET, *map(str, arguments)], capture_output=True, text=True, timeout=60, check=False
    )


def collect(*arguments: str | Path) -> tuple[int, str]:
    """`ratchet collect` in this process: its exit code and all that it said."""
    done = CliRunner().invoke(main, ["collect", *map(str, arguments)])
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    return done.exit_code, done.output


def until(path: Path, seconds: float = 15) -> None:
    end = time.monotonic() + seconds
    while not path.exists():
        assert time.monotonic() < end, path
        time.sleep(0.02)


def stop(running: Running) -> None:
    running.process.terminate()
    running.process.wait(20)
    running.end()


def write_cups(folder: Path) -> Path:
    """A task with two mistakes, and a budget for one call of the model: it must fail."""
    (folder / "workspace" / "tests").mkdir(parents=True)
    (folder / "workspace" / "cups.py").write_text(PROGRAM)
    (folder / "workspace" / "tests" / "test_cups.py").write_text(TEST)
    (folder / "task.toml").write_text(
        'id = "cups-1"\npackage = "cups"\n[budget]\nmodel_calls = 1\ntest_runs = 2\nlines = 500\n'
    )
    return folder


class Place:
    """A store on which a task was submitted, twice, and failed by a seed that ran by hand."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.store = folder / "store"
        self.suite = write_suite(folder / "suite")
        self.task = write_cups(folder / "cups")
        anyio.run(make_store, self.store)
        with ExitStack() as stack:
            for number, words in enumerate((("bus", "serve"), ("eventstore", "serve"), ("agents.executor",))):
                log = folder / f"{number}.log"
                running = Running(module(*words, "--store", str(self.store)), log=log)
                stack.callback(stop, running)
                until(self.store / "bus" / "url")
            self.submitted = ratchet("submit", self.task, "--store", self.store, "--attempts", "1", "--json")
            _, self.listed = collect("--store", self.store, "--json")
            self.name = json.loads(self.listed)["open"][0]["id"]
            self.accepted = collect("--accept", self.name, "--store", self.store)  # over the bus


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    return Place(tmp_path_factory.mktemp("collect"))


def test_what_failed_is_listed_with_what_is_known_of_it(place: Place) -> None:
    assert place.submitted.returncode == 1, place.submitted.stderr
    facts: dict[str, Any] = json.loads(place.listed)
    (entry,) = facts["open"]
    assert facts["collected"] == facts["dismissed"] == facts["unreadable"] == []
    assert entry["id"].startswith("cups-1-")
    assert (entry["package"], entry["files"], entry["failed"], entry["solved"]) == ("cups", ["cups.py"], 1, 0)
    assert entry["failing"] == ["tests/test_cups.py::test_pour", "tests/test_cups.py::test_drink"]
    assert [(h["version"], h["times"]) for h in entry["harnesses"]] == [("v1", 1)]
    assert entry["submissions"] == [json.loads(place.submitted.stdout)["task"]]


def test_what_was_accepted_stays_accepted(place: Place) -> None:
    assert place.accepted == (0, f"{place.name}: collected; failing: 2 tests, package cups\n")
    assert collect("--accept", place.name, "--store", place.store) == (
        0, f"{place.name}: is collected already\n"
    )  # fmt: skip
    code, words = collect("--store", place.store)
    assert code == 0
    assert "nothing to collect" in words
    assert place.name in words


def test_it_is_written_as_a_task_that_loads_to_the_same(place: Place) -> None:
    out = place.folder / "out"
    assert collect("--to", out, "--store", place.store)[0] == 0
    suite = load_suite(out)
    assert [graded.task.id for graded in suite.practice] == [place.name]
    assert content_hash(suite.practice[0].task) == content_hash(load_task(place.task, hidden=False).task)
    assert suite.practice[0].task.budget.model_calls == 1
    assert "left as it is" in collect("--to", out, "--store", place.store)[1]


def test_the_next_campaign_practises_on_it(place: Place) -> None:
    settings = (
        "--rounds", "1", "--candidates", "1", "--race-seeds", "1", "--confirm-seeds", "1", "--release-seeds", "1",
    )  # fmt: skip
    done = ratchet("run", place.suite, "--store", place.store, *settings)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "+1 collected task\n" in done.stdout
    history = History(place.store)
    history.look()
    campaign = history.state.campaign
    assert campaign is not None
    alone = load_suite(place.suite)
    assert [ref.id for ref in campaign.suite.practice] == [*(t.task.id for t in alone.practice), place.name]
    assert campaign.suite.practice[-1].package == "cups"
    assert campaign.suite.sealed
    assert place.name not in [ref.id for ref in campaign.suite.sealed]
    assert (campaign.suite.collected, campaign.suite.base) == ((place.name,), alone.digest)
    assert campaign.suite.digest != alone.digest
    executed = next(event for _, event in history.events if isinstance(event, e.TasksExecuted))
    assert len(executed.incumbent.scores) == len(campaign.suite.practice)
    analyzed = next(event for _, event in history.events if isinstance(event, e.FailuresAnalyzed))
    assert place.name in {task for cluster in analyzed.failures for task in cluster.tasks}
    assert faults(place.store) == []
    assert CliRunner().invoke(main, ["replay", "--check", "--store", str(place.store)]).exit_code == 0
    assert "(1 of them collected)" in (place.store / "report" / "report.md").read_text()
