"""Bad input, broken stores and machines that cannot: an exit code, and words that say what to do."""

import json
import math
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anyio
import pytest
from click.testing import CliRunner

from agents.cli import main
from agents.cli.request import request_campaign
from agents.sandbox import probe
from agents.sandbox.bubblewrap import bwrap_path
from agents.tasks.suite import load_suite
from agents.testing import STREAM, TASKS, History, Running, make_store, module, write_suite
from contracts.settings import CampaignSettings, Limits
from eventstore.errors import Malformed
from eventstore.sqlite import SqliteStore

RATCHET = str(Path(sys.executable).with_name("ratchet"))


@pytest.fixture(autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """One cache for all tests, so that the model is trained once, and nobody's own is touched."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.getbasetemp() / "cache"))
    monkeypatch.delenv("RATCHET_STORE", raising=False)
    monkeypatch.delenv("RATCHET_BUS", raising=False)


def call(*command: str, seconds: float = 60) -> tuple[int, str]:
    """A command's exit code, and what it said."""
    done = subprocess.run(command, capture_output=True, text=True, timeout=seconds, check=False)
    words = done.stdout + done.stderr
    assert "Traceback" not in words, words
    return done.returncode, words


def ratchet(*words: str | Path) -> tuple[int, str]:
    """The command in this process, for what is refused at once."""
    done = CliRunner().invoke(main, [str(word) for word in words])
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception  # what would have been a traceback
    return done.exit_code, done.output


@pytest.mark.parametrize("command", [("run",), ("eval",), ("run", "--json")])
def test_unknown_suite(tmp_path: Path, command: tuple[str, ...]) -> None:
    code, words = ratchet(command[0], "nosuch", *command[1:], "--store", tmp_path / "store")
    assert code == 2
    assert "'nosuch'" in words
    assert "repair" in words
    if "--json" in command:
        assert json.loads(words)["error"]["kind"] == "suite"
    assert not (tmp_path / "store").exists()


def test_faulty_tasks_are_named_and_the_rest_goes_on(tmp_path: Path) -> None:
    endless = ("def spin(a):\n    while True:\n        pass\n", "spin(1) == 1", "spin(2) == 2")
    suite = write_suite(tmp_path / "suite", {**TASKS, "spin": endless}, practice=1.0)
    for name in ("untold", "lost"):
        folder = suite / "tasks" / name
        (folder / "workspace").mkdir(parents=True)
        (folder / "workspace" / "a.py").write_text("a = 1\n")
    (suite / "tasks" / "untold" / "task.toml").write_text("id = [")
    (suite / "tasks" / "lost" / "task.toml").write_text('id = "lost"\nsolution_files = ["gone.py"]\n')
    code, words = call(RATCHET, "eval", str(suite), "--seeds", "1", "--store", str(tmp_path / "store"))
    assert code == 0, words
    assert "task untold is left out" in words
    assert "not valid TOML" in words
    assert "task lost is left out" in words
    rows = {line.split()[0]: line.split()[1:] for line in words.splitlines() if line.startswith(" ")}
    assert {"add", "big", "last", "spin"} <= rows.keys(), words
    assert rows["spin"][:2] == ["0.00", "0/1"]  # its tests never end: a score, and no fault


def test_a_suite_without_a_usable_task(tmp_path: Path) -> None:
    (tmp_path / "suite" / "one").mkdir(parents=True)
    (tmp_path / "suite" / "one" / "task.toml").write_text('id = "one"\ninstruction = "?"\n')
    code, words = ratchet("eval", tmp_path / "suite", "--store", tmp_path / "store")
    assert code == 2
    assert "'one'" in words


def test_unknown_harness(tmp_path: Path) -> None:
    suite = write_suite(tmp_path / "suite")
    code, words = ratchet("eval", suite, "--harness", "abcdef12", "--store", tmp_path / "store")
    assert code == 2
    assert "'abcdef12'" in words
    assert "seed, head" in words


@pytest.mark.parametrize("budget", ["5apples", "0", "-3", ""])
def test_bad_budget(tmp_path: Path, budget: str) -> None:
    code, words = ratchet("run", "repair", "--budget", budget, "--store", tmp_path / "store")
    assert code == 2
    assert "3.50usd" in words or "above zero" in words


COMMANDS = (
    ("log",), ("verify",), ("replay", "--check"), ("status",), ("report",), ("approve", "x"),
    ("revert", "v0", "--reason", "r"), ("collect",), ("collect", "--all"),
)  # fmt: skip


@pytest.fixture
def foreign(tmp_path: Path) -> Path:
    (tmp_path / "ledger.db").write_text("a diary, and no ledger\n")
    return tmp_path


@pytest.fixture
def newer(tmp_path: Path) -> Path:
    SqliteStore.open(tmp_path, create=True).close()
    connection = sqlite3.connect(tmp_path / "ledger.db")
    connection.execute("PRAGMA user_version=99")
    connection.close()
    return tmp_path


def test_foreign_store(foreign: Path) -> None:
    suite = str(write_suite(foreign / "suite"))
    for command in (*COMMANDS, ("run", suite), ("eval", suite)):
        code, words = ratchet(*command, "--store", foreign)
        assert code == 2, command
        assert "is not a ledger of Ratchet and is left alone" in words, command
    code, words = call(RATCHET, "doctor", "--store", str(foreign))
    assert code == 3
    assert "MISSING ledger" in words
    assert (foreign / "ledger.db").read_text() == "a diary, and no ledger\n"


def test_newer_store(newer: Path) -> None:
    suite = str(write_suite(newer / "suite"))
    for command in (("log",), ("approve", "x"), ("run", suite), ("eval", suite)):
        code, words = ratchet(*command, "--store", newer)
        assert code == 2, command
        assert "has format 99" in words, command
        assert "use the version that wrote it" in words, command


def test_read_only_store(tmp_path: Path) -> None:
    suite = write_suite(tmp_path / "suite")
    store = tmp_path / "store"
    SqliteStore.open(store, create=True).close()
    for path in (store, *store.iterdir()):
        path.chmod(0o500 if path.is_dir() else 0o400)  # its owner says so: that binds root, too
    try:
        for command in (("run", suite), ("approve", "x")):
            code, words = ratchet(*command, "--store", store)
            assert code == 2, command
            assert str(store) in words
            assert "read-only" in words or "cannot be used" in words, command
        assert ratchet("log", "--store", store)[0] == 0
    finally:
        store.chmod(0o700)


def test_no_store(tmp_path: Path) -> None:
    for command in COMMANDS:
        code, words = ratchet(*command, "--store", tmp_path / "none")
        assert code == 2, (command, words)
        assert "none" in words
    assert not (tmp_path / "none").exists()


def test_store_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    code, words = ratchet("run", write_suite(tmp_path / "suite"), "--store", tmp_path / "file" / "store")
    assert code == 2
    assert "--store" in words


def test_port_in_use(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        code, words = call(*module("bus", "serve", "--port", port, "--store", str(tmp_path)))
    assert code == 3
    assert f"port {port}" in words
    assert "--port" in words


def test_an_agent_without_a_bus(tmp_path: Path) -> None:
    code, words = call(*module("agents.planner", "--store", str(tmp_path)))
    assert code == 3
    assert "no bus" in words
    assert "bus serve" in words


@pytest.fixture
def started() -> Iterator[list[Running]]:
    found: list[Running] = []
    yield found
    for running in found:
        running.end()


def test_other_settings_under_way_and_a_store_in_use(tmp_path: Path, started: list[Running]) -> None:
    suite, store = write_suite(tmp_path / "suite"), tmp_path / "store"

    async def prepare() -> None:
        await make_store(store)
        async with SqliteStore.open(store) as ledger:
            client: Any = ledger
            await request_campaign(client, load_suite(suite), CampaignSettings(rounds=3))

    anyio.run(prepare)
    command = (
        RATCHET, "run", str(suite), "--store", str(store), "--rounds", "1", "--candidates", "1",
        "--race-seeds", "1", "--confirm-seeds", "1", "--release-seeds", "1",
    )  # fmt: skip
    code, words = call(*command)
    assert code == 2
    assert "tiny-s1-c1 (0 of 3 rounds done) is under way with other settings" in words
    assert "rounds (3 then, 1 now)" in words
    assert "--abandon" in words

    first = Running([*command, "--abandon"], log=tmp_path / "first.log")
    started.append(first)
    history = History(store, STREAM)
    end = time.monotonic() + 30
    while not history.count(
        "CampaignFinished"
    ):  # the agents of the call before may have started the old campaign
        assert time.monotonic() < end, first.log.read_text()
        history.look()
        time.sleep(0.01)
    code, words = call(*command)
    assert code == 3, words
    assert f"process {first.process.pid}" in words
    assert "ratchet status" in words
    first.family()
    assert first.process.wait(30) == 0, first.log.read_text()
    history.look()
    assert history.count("CampaignFinished") == 2
    assert "abandoned by the operator" in str([event for _, event in history.events])
    assert first.left() == []


def test_a_request_that_cannot_be_read_again_ends_with_words(tmp_path: Path) -> None:
    suite = load_suite(write_suite(tmp_path / "suite"))
    endless = CampaignSettings(limits=Limits(cost=math.inf))  # JSON has no such number

    async def ask() -> None:
        await make_store(tmp_path / "store")
        async with SqliteStore.open(tmp_path / "store") as ledger:
            client: Any = ledger
            for words in ("cannot be read; use another store", "cannot be read; use another store"):
                with anyio.fail_after(20), pytest.raises(Malformed, match=words):
                    await request_campaign(client, suite, endless)

    anyio.run(ask)


@pytest.mark.skipif(not probe().works, reason="this machine itself makes no sandbox")
def test_no_user_namespaces(tmp_path: Path) -> None:
    without = (
        str(bwrap_path()), "--unshare-user", "--disable-userns", "--die-with-parent", "--bind", "/", "/",
        "--dev", "/dev", "--proc", "/proc", "--", RATCHET,
    )  # fmt: skip
    suite = write_suite(tmp_path / "suite", practice=1.0)
    for command in (("doctor",), ("eval", str(suite), "--seeds", "1")):
        code, words = call(*without, *command, "--store", str(tmp_path / "store"))
        assert code == 3, (command, words)
        assert words.count("kernel.unprivileged_userns_clone") == 1, command
        assert words.count("No sandbox can be made here") == 1, command


def evaluation(tmp_path: Path, when: str) -> Running:
    """A long evaluation that has come as far as a process with these words in its command line."""
    suite = write_suite(tmp_path / "suite", practice=1.0)
    running = Running(
        [RATCHET, "eval", str(suite), "--seeds", "3000", "--store", str(tmp_path / "s")], log=tmp_path / "log"
    )
    end = time.monotonic() + 30
    while not running.find(when):
        assert time.monotonic() < end, running.log.read_text()
        time.sleep(0.01)
    return running


@pytest.mark.parametrize("when", ["spawn_main", "bwrap"])  # its processes are starting; they are at work
def test_ctrl_c_in_an_evaluation(tmp_path: Path, started: list[Running], when: str) -> None:
    running = evaluation(tmp_path, when)
    started.append(running)
    os.killpg(running.process.pid, signal.SIGINT)
    assert running.process.wait(20) == 130
    assert "Traceback" not in running.log.read_text()
    assert "interrupted" in running.log.read_text()
    assert running.left() == []


def test_a_killed_evaluation_leaves_nothing_behind(tmp_path: Path, started: list[Running]) -> None:
    running = evaluation(tmp_path, "bwrap")
    started.append(running)
    running.process.kill()
    running.process.wait()
    assert running.left() == []
