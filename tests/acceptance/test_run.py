"""`ratchet run` and what people do around it, typed as they type it; one campaign serves many tests."""

import json
import os
import shutil
import sqlite3
import subprocess
import sys
import time
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import anyio
import pytest

from agents.testing import STREAM, History, Running, faults, module, write_suite
from contracts import events as e
from eventstore import trees
from eventstore.sqlite import SqliteStore

RATCHET = str(Path(sys.executable).with_name("ratchet"))
ROOT = Path(__file__).parents[2]
ROUNDS = 2
CANARY = "canary-5b1f0a7c"
SCORED = ["suite", "harness", "model_fingerprint", "tasks", "seeds", "score", "solved", "cost", "episodes"]
ANSWERED = ["task", "solved", "visible_passed", "patch", "attempts", "cost"]

Done = subprocess.CompletedProcess[str]


def ratchet(*arguments: str | Path, cwd: Path | None = None) -> Done:
    """The command as a process of its own, far from the clone."""
    return subprocess.run(
        [RATCHET, *map(str, arguments)], capture_output=True, text=True, timeout=90, check=False,
        cwd=cwd, env={**os.environ, "COLUMNS": "200"},
    )  # fmt: skip


def parsed(text: str) -> list[Any]:
    """Standard output as JSON: one value, or a value a line."""
    try:
        return [json.loads(text)]
    except json.JSONDecodeError:
        return [json.loads(line) for line in text.splitlines()]


class Place:
    """A campaign that a user ran in an empty folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.suite = write_suite(folder / "suite")
        self.store = folder / "store"
        self.ran = ratchet(
            "run", self.suite, "--store", self.store, "--rounds", str(ROUNDS), "--candidates", "2",
            "--race-seeds", "1", "--confirm-seeds", "1", "--release-seeds", "2", "--null-every", "2",
            cwd=folder,
        )  # fmt: skip

    def copy(self, to: Path) -> Path:
        """Its store once more, to be changed."""
        return Path(shutil.copytree(self.store, to / "store"))


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    return Place(tmp_path_factory.mktemp("run"))


@pytest.fixture
def task(place: Place, tmp_path: Path) -> Path:
    """A task whose hidden tests hold a canary."""
    home = tmp_path / "add"
    shutil.copytree(place.suite / "tasks" / "add", home)
    hidden = home / "tests" / "test_hidden_add.py"
    hidden.write_text(f"# {CANARY}\n{hidden.read_text()}")
    return home


def files(folder: Path) -> dict[str, bytes]:
    """Everything that lies in a folder."""
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def holds(store: Path, word: str) -> bool:
    """Whether a word stands anywhere in a store: in its files, or in a blob or an event of its ledger."""
    found = list(files(store).values())
    with closing(sqlite3.connect(f"file:{store / 'ledger.db'}?mode=ro", uri=True)) as connection:
        for codec, data in connection.execute("SELECT codec, data FROM blobs"):
            found.append(zlib.decompress(data) if codec == "zlib" else data)
        found += [bytes(payload) for (payload,) in connection.execute("SELECT payload FROM events")]
    return any(word.encode() in data for data in found)


def test_a_campaign_ends_with_a_report(place: Place) -> None:
    assert place.ran.returncode == 0, place.ran.stdout + place.ran.stderr
    assert "Traceback" not in place.ran.stdout + place.ran.stderr
    report = (place.store / "report" / "report.md").read_text()
    assert f"all {ROUNDS} rounds are done" in report
    assert (place.store / "report" / "score.svg").read_text().lstrip().startswith("<svg")
    assert "report.md" in place.ran.stdout
    assert faults(place.store) == []
    assert (place.store / "bus" / "secret").stat().st_mode & 0o077 == 0


READING = {
    "log": ["log"],
    "log of a stream": ["log", "--stream", STREAM, "--type", "RoundClosed"],
    "show a round": ["show", "r1"],
    "show an event": ["show", "3"],
    "diff": ["diff", "seed", "r1.0"],
    "versions": ["versions"],
    "replay": ["replay"],
    "replay --check": ["replay", "--check"],
    "verify": ["verify"],
    "status": ["status"],
    "report": ["report"],
}


@pytest.mark.parametrize("command", READING.values(), ids=READING.keys())
def test_what_reads_a_store_works_for_people_and_for_programs(place: Place, command: list[str]) -> None:
    before = files(place.store / "report")
    shown = ratchet(*command, "--store", place.store)
    assert shown.returncode == 0, shown.stderr
    assert shown.stdout.strip()
    told = ratchet(*command, "--store", place.store, "--json")
    assert told.returncode == 0, told.stderr
    assert parsed(told.stdout)
    assert "Traceback" not in shown.stderr + told.stderr
    assert files(place.store / "report") == before


def test_the_same_command_again_begins_another_campaign(place: Place, tmp_path: Path) -> None:
    store = place.copy(tmp_path)
    done = ratchet(
        "run", place.suite, "--store", store, "--rounds", "1", "--candidates", "1", "--race-seeds", "1",
        "--confirm-seeds", "1", "--json",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert all(isinstance(fact, dict) for fact in parsed(done.stdout or "{}"))
    history = History(store)
    history.look()
    assert history.finished
    assert history.state.campaigns == 2
    assert faults(store) == []


def test_eval_ends_with_a_line_for_programs(place: Place) -> None:
    command = ("eval", place.suite, "--store", place.store, "--seeds", "1", "--processes", "1")
    done = ratchet(*command, "--json")
    assert done.returncode == 0, done.stderr
    facts = json.loads(done.stdout.splitlines()[-1])
    assert list(facts) == SCORED
    assert (facts["suite"], facts["tasks"], facts["seeds"], facts["episodes"]) == ("tiny", 3, 1, 3)
    assert 0 <= facts["score"] <= 1
    assert 0 <= facts["solved"] <= 1
    shown = ratchet(*command)
    assert shown.returncode == 0, shown.stderr
    assert "3 episodes" in shown.stdout


def test_solve_changes_nothing_unless_it_is_told_to(place: Place, task: Path) -> None:
    before, stored = files(task), files(place.store)
    command = ("solve", task, "--store", place.store, "--attempts", "40")
    done = ratchet(*command, "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    facts = json.loads(done.stdout.splitlines()[-1])
    assert list(facts) == ANSWERED
    assert facts["task"] == "add"
    assert facts["solved"] is facts["visible_passed"] is True
    assert facts["patch"].count("\n+    return") == 1
    assert 1 <= facts["attempts"] <= 40
    assert files(task) == before

    applied = ratchet(*command, "--apply")
    assert applied.returncode == 0, applied.stderr
    assert applied.stdout.strip() == facts["patch"].strip()  # the same seeds, the same patch
    changed = {path for path, data in files(task).items() if before.get(path) != data}
    assert changed == {"workspace/add.py"}
    assert files(place.store).keys() == stored.keys()
    assert CANARY not in done.stdout + done.stderr + applied.stdout + applied.stderr
    assert not holds(place.store, CANARY)


def test_solve_does_not_open_hidden_tests(place: Place, task: Path) -> None:
    shutil.rmtree(task / "tests")
    (task / "tests").symlink_to("tests")  # a loop: whoever looks falls over it
    done = ratchet("solve", task, "--store", place.store, "--attempts", "40", "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    assert json.loads(done.stdout)["solved"] is True


def test_solve_takes_any_directory_with_tests(place: Place, task: Path) -> None:
    bare = task / "workspace"
    before = files(bare)
    done = ratchet("solve", bare, "--store", place.store, "--attempts", "40", "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    assert json.loads(done.stdout)["solved"] is True
    assert files(bare) == before


def test_a_task_that_cannot_be_solved_is_not_claimed_to_be(place: Place, task: Path) -> None:
    visible = task / "workspace" / "tests" / "test_add.py"
    visible.write_text("from add import add\n\n\ndef test_add():\n    assert add(1, 2) == 'neither'\n")
    before = files(task)
    done = ratchet("solve", task, "--store", place.store, "--attempts", "2", "--apply", "--json")
    assert done.returncode == 1, done.stdout + done.stderr
    facts = json.loads(done.stdout)
    assert list(facts) == ANSWERED
    assert facts["solved"] is facts["visible_passed"] is False
    assert files(task) == before


class Hands:
    """Processes that are started by hand, and ended with the test."""

    def __init__(self, store: Path, stack: ExitStack) -> None:
        self.store = store
        self.stack = stack
        self.started: list[Running] = []

    def start(self, name: str, *arguments: str) -> Running:
        """Start a module of ours on the store."""
        log = self.store.parent / f"by-hand-{len(self.started)}.log"
        running = Running(module(name, *arguments, "--store", str(self.store)), log=log)
        self.stack.callback(running.end)
        self.started.append(running)
        return running

    def address(self) -> str:
        """The address of the store's bus with its secret: the same whenever the bus runs."""
        bus = self.start("bus", "serve", "--show-url", "--json")
        url = until(lambda: next((line for line in bus.log.read_text().splitlines() if line[:1] == "{"), ""))
        bus.process.terminate()
        bus.process.wait(10)
        return str(json.loads(url)["url"])

    def said(self) -> str:
        """What they all said."""
        return "\n".join(running.log.read_text() for running in self.started)


def until(look: Callable[[], str], seconds: float = 15) -> str:
    """What `look` finds, as soon as it finds anything."""
    end = time.monotonic() + seconds
    while not (found := look()):
        assert time.monotonic() < end
        time.sleep(0.02)
    return found


@pytest.fixture
def hands(place: Place, tmp_path: Path) -> Iterator[Hands]:
    with ExitStack() as stack:
        yield Hands(place.copy(tmp_path), stack)


PARTS = {"bus": ("bus", "serve"), "ledger": ("eventstore", "serve"), "executor": ("agents.executor",)}


@pytest.mark.parametrize(
    "order", [("bus", "executor", "ledger"), ("executor", "ledger", "bus")], ids=" ".join
)
def test_a_submitted_task_is_solved_by_parts_started_in_any_order(
    hands: Hands, task: Path, order: Sequence[str]
) -> None:
    url = hands.address()
    for name in order:
        hands.start(*PARTS[name], *(("--bus", url) if name != "bus" else ()))
        time.sleep(0.3)
    before = files(task)
    done = ratchet("submit", task, "--bus", url, "--attempts", "40", "--timeout", "40", "--json")
    assert done.returncode == 0, done.stdout + done.stderr + hands.said()
    facts = json.loads(done.stdout)
    assert list(facts) == ANSWERED
    assert facts["task"].startswith("add-")
    assert facts["solved"] is True
    assert "+    return" in facts["patch"]
    assert files(task) == before
    assert holds(hands.store, "add is wrong.")  # the search itself works
    assert not holds(hands.store, CANARY)
    told = ratchet("log", "--store", hands.store, "--stream", f"task/{facts['task']}", "--json")
    assert [event["type"] for event in parsed(told.stdout)] == ["TaskSubmitted", "TaskSolved"]


def test_a_task_submitted_to_a_running_campaign_is_solved(place: Place, task: Path, tmp_path: Path) -> None:
    store = place.copy(tmp_path)
    running = Running(
        [RATCHET, "run", str(place.suite), "--store", str(store), "--rounds", "500", "--seed", "5"],
        log=tmp_path / "run.log",
    )
    try:
        until(lambda: "bus" * (store / "bus" / "url").exists())
        done = ratchet("submit", task, "--store", store, "--attempts", "40", "--timeout", "40", "--json")
        assert done.returncode == 0, done.stdout + done.stderr + running.log.read_text()
        assert json.loads(done.stdout)["solved"] is True
        running.family()
        running.process.terminate()
        assert running.process.wait(20) == 130
        assert running.left() == []
    finally:
        running.end()
    assert faults(store) == []
    assert not holds(store, CANARY)


def test_a_head_is_reverted_and_the_ledger_still_fits(place: Place, tmp_path: Path) -> None:
    store = place.copy(tmp_path)
    anyio.run(set_head, store, {"memory/note.md": b"Read the failing test first.\n"})
    done = ratchet("revert", "v0", "--reason", "it was better before", "--store", store)
    assert done.returncode == 0, done.stderr
    history = History(store)
    history.look()
    assert history.state.head == history.state.seed_tree
    assert isinstance(history.events[-1][1], e.HeadReset)
    versions = parsed(ratchet("versions", "--store", store, "--json").stdout)
    assert versions[-1]["tree"] == versions[0]["tree"]
    assert ratchet("replay", "--check", "--store", store).returncode == 0
    assert ratchet("verify", "--store", store).returncode == 0
    assert ratchet("diff", "v0", "head", "--store", store).stdout.strip() == ""
    again = ratchet("revert", "v0", "--reason", "twice", "--store", store)
    assert again.returncode == 2
    assert "is the head already" in again.stderr


async def set_head(store: Path, files: dict[str, bytes]) -> None:
    """Set the head to the seed harness with other files."""
    history = History(store)
    history.look()
    async with SqliteStore.open(store) as opened:
        seed = await trees.get_tree(opened, history.state.seed_tree)
        tree = await trees.put_tree(opened, {**seed, **files})
        reset = e.HeadReset(tree=tree, reason="a test")
        new = e.encode(reset, duty=f"test/{tree}", index=0, actor="test", correlation="test")
        await opened.append(STREAM, history.state.version, [new])


def test_the_version_in_which_a_task_began_to_fail_is_found(place: Place, tmp_path: Path) -> None:
    store = place.copy(tmp_path)
    came = len(parsed(ratchet("versions", "--store", store, "--json").stdout))
    history = History(store)
    history.look()
    assert history.state.campaign is not None
    name = history.state.campaign.suite.practice[0].id
    agent = (ROOT / "harness" / "agent.py").read_bytes()
    for note in ("one", "two"):
        anyio.run(set_head, store, {"memory/note.md": note.encode()})
    for note in ("three", "four", "five"):
        broken = b"raise SystemExit(0)\n" + agent
        anyio.run(set_head, store, {"memory/note.md": note.encode(), "agent.py": broken})
    before = sqlite_rows(store)
    done = ratchet("bisect", "--task", name, "--seeds", "4", "--store", store, "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["first"] == f"v{came + 2}"
    means = {look["version"]["number"]: look["mean"] for look in found["looked"]}
    assert len(means) < came + 5
    assert all((mean >= 0.5) == (number < came + 2) for number, mean in means.items())
    assert found["looked"][0]["recorded"] > 0
    told = ratchet("bisect", "--task", name, "--seeds", "4", "--store", store)
    assert f"{name} began to fail in v{came + 2} (reset)" in told.stdout
    alike = ratchet("bisect", "--task", name, "--seeds", "1", "--to", f"v{came}", "--store", store)
    assert alike.returncode == 1
    assert "both ends pass" in alike.stdout
    unknown = ratchet("bisect", "--task", "nothing", "--store", store)
    assert unknown.returncode == 2
    assert "task nothing" in unknown.stderr
    assert "add" in unknown.stderr
    turned = ratchet("bisect", "--task", name, "--from", "head", "--to", "v0", "--store", store)
    assert turned.returncode == 2
    assert "does not come before" in turned.stderr
    assert sqlite_rows(store) == before


def sqlite_rows(store: Path) -> int:
    """How many events a store holds."""
    with closing(sqlite3.connect(store / "ledger.db")) as connection:
        return int(connection.execute("SELECT count(*) FROM events").fetchone()[0])


def test_the_wheel_holds_what_an_installed_ratchet_needs(tmp_path: Path) -> None:
    command = [
        sys.executable,
        "-m",
        "pip",
        "--disable-pip-version-check",
        "wheel",
        "--no-deps",
        "--retries",
        "0",
    ]
    done = subprocess.run(
        [*command, "--timeout", "5", str(ROOT), "-w", str(tmp_path)],
        capture_output=True, text=True, timeout=120, check=False, cwd=tmp_path,
    )  # fmt: skip
    if done.returncode and "hatchling" in done.stdout + done.stderr:
        pytest.skip("the build backend, hatchling, is not to be had here")
    assert done.returncode == 0, done.stdout + done.stderr
    (wheel,) = tmp_path.glob("ratchet_harness-*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    for wanted in (
        "harness/agent.py",
        "harness/harness.toml",
        "suites/repair/suite.toml",
        "agents/cli/run.py",
        "agents/planner/prompts/system.md",
        "agents/patcher/prompts/system.md",
        "agents/critic/prompts/review_system.md",
        "agents/thinking/prompts/again.md",
    ):
        assert wanted in names
    for package in ("contracts", "bus", "eventstore", "gpu_workers", "agents"):
        assert f"{package}/py.typed" in names
    tops = {name.split("/")[0] for name in names}
    assert tops.isdisjoint({"tests", "benchmarks", "docs"})
    assert not [name for name in names if "__pycache__" in name or name.startswith(".")]
