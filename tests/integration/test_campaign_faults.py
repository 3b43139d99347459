"""Kill any process at any time: the campaign goes on, nothing is lost, and nothing happens twice."""

import os
import random
import shutil
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anyio
import pytest

import contracts
from agents.cli.request import lineage_state, request_campaign, seed_files
from agents.sandbox.bubblewrap import bwrap_path
from agents.tasks.suite import Suite, load_suite
from agents.testing import History, Process, Running, faults, make_store, outcome, send, write_suite
from bus import jetstream
from bus.connection import Bus, connect
from bus.dead import REASON, SUBJECT
from bus.server import read_url
from bus.streams import ensure_streams
from contracts import events as e
from contracts import gate
from contracts.duties import duties
from contracts.gate import ArmScores, GateSettings
from contracts.settings import CampaignSettings
from eventstore import trees
from eventstore.client import LedgerClient
from eventstore.sqlite import SqliteStore

ROLES = ("monitor", "planner", "patcher", "evaluator", "critic")
LEASE = "0.3"
"""Seconds for which a killed agent's duty stays leased."""
RATCHET = str(Path(sys.executable).with_name("ratchet"))


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("template") / "store"
    anyio.run(make_store, folder)
    return folder


@pytest.fixture(scope="module")
def outcomes() -> list[list[tuple[object, ...]]]:
    """What the campaigns of two rounds came to: always the same, whatever was done to them."""
    return []


class Place:
    """A store and a suite to run campaigns on."""

    def __init__(self, folder: Path, template: Path) -> None:
        self.folder = folder
        self.store = folder / "store"
        self.suite = write_suite(folder / "suite")
        self.started: list[Running] = []
        shutil.copytree(template, self.store)

    def run(self, *options: str, rounds: int = 2) -> Running:
        """The same `ratchet run` every time."""
        return self.start(
            RATCHET, "run", str(self.suite), "--store", str(self.store), "--rounds", str(rounds),
            "--candidates", "2", "--race-seeds", "1", "--confirm-seeds", "2", "--release-seeds", "2",
            "--null-every", "1", "--executors", "2", *options,
        )  # fmt: skip

    def start(self, *command: str) -> Running:
        """Start a command that is ended with the test."""
        log = self.folder / f"command-{len(self.started)}.log"
        env = {"RATCHET_LEASE_SECONDS": LEASE, "COLUMNS": "200"}
        self.started.append(Running(command, log=log, env=env))
        return self.started[-1]

    def said(self) -> str:
        """What all commands said."""
        return "\n".join(running.log.read_text() for running in self.started)


@pytest.fixture
def place(tmp_path: Path, template: Path) -> Iterator[Place]:
    made = Place(tmp_path, template)
    yield made
    for running in made.started:
        running.end()


def same(place: Place, outcomes: list[object]) -> None:
    """Kills, replicas and walls cost time, and change nothing."""
    outcomes.append(outcome(place.store))
    assert outcomes[-1]
    assert outcomes[-1] == outcomes[0]


def wait(running: Running, seconds: float, place: Place) -> int:
    end = time.monotonic() + seconds
    while running.running:
        running.family()
        assert time.monotonic() < end, place.said() + logs(place)
        time.sleep(0.05)
    return running.process.returncode


def until(history: History, kind: str, seconds: float, place: Place) -> None:
    end = time.monotonic() + seconds
    while history.count(kind) == 0:
        assert time.monotonic() < end, place.said() + logs(place)
        history.look()
        time.sleep(0.005)


def logs(place: Place) -> str:
    files = sorted((place.store / "logs").glob("*.log"))
    return "\n".join(f"--- {path.name}\n{path.read_text()[-3000:]}" for path in files)


class Reaper:
    """Kills every role at every kind of its duties, once.

    A role that has nothing to do is stopped, so that it cannot slip through a duty before it is noticed; when
    its duty opens it goes on, and is killed within milliseconds.
    """

    def __init__(self, history: History, chance: random.Random) -> None:
        self.history = history
        self.chance = chance
        self.running: Running | None = None
        self.open: set[tuple[str, str]] = set()
        self.killed: dict[tuple[str, str], bool] = {}
        """(role, kind of duty) → whether the duty was still open afterwards."""
        self.seen: set[tuple[str, str]] = set()
        self.known: dict[str, Process] = {}
        self.stopped: dict[str, Process] = {}

    def step(self) -> None:
        self.history.look()
        now = time.time()
        for role in ROLES:
            kinds = {duty.kind for duty in duties(role, self.history.state, now)}
            self.seen |= {(role, kind) for kind in kinds}
            fresh = [kind for kind in sorted(kinds) if (role, kind) not in self.killed]
            if fresh:
                self._kill(role, fresh[0])
            elif kinds:
                self.let_go(role)
            elif role not in self.stopped and (process := self._find(role)) is not None:
                send(process, signal.SIGSTOP)
                self.stopped[role] = process

    def _find(self, role: str) -> Process | None:
        known = self.known.get(role)
        if known is not None and send(known, signal.SIGCONT):
            return known
        assert self.running is not None
        found = self.running.find(f"agents.{role} ")
        if found:
            self.known[role] = found[0]
        return found[0] if found else None

    def _kill(self, role: str, kind: str) -> None:
        process = self.stopped.get(role) or self._find(role)
        if process is None:
            return  # it is being started again
        self.let_go(role)
        time.sleep(self.chance.choice((0.0, 0.004, 0.012, 0.03)))
        if send(process, signal.SIGKILL):
            self.known.pop(role, None)
            self.history.look()
            still = {duty.kind for duty in duties(role, self.history.state, time.time())}
            self.killed[role, kind] = kind in still

    def let_go(self, role: str) -> None:
        process = self.stopped.pop(role, None)
        if process is not None:
            send(process, signal.SIGCONT)

    def let_all_go(self) -> None:
        for role in tuple(self.stopped):
            self.let_go(role)


def test_every_role_is_killed_at_every_duty(place: Place, outcomes: list[object]) -> None:
    history = History(place.store)
    reaper = Reaper(history, random.Random(7))
    running = reaper.running = place.run()
    began = time.monotonic()
    executors = Executors()
    done: list[str] = []
    while running.running:
        assert time.monotonic() - began < 150, place.said() + logs(place)
        reaper.step()
        if "executors" not in done and executors.killed(running, history):
            done.append("executors")
        if "ledger" not in done and history.count("ChangePlanned"):
            assert kill(running.find("eventstore serve"))
            done.append("ledger")
        if "nats-server" not in done and history.count("CandidatesRaced"):
            assert kill(running.find("nats-server -c"))
            done.append("nats-server")
        if "run" not in done and history.count("RoundClosed"):
            running.family()
            reaper.let_all_go()
            running.process.kill()
            running.process.wait()
            done.append("run")
            again = place.run()
            again.known |= running.known
            reaper.known.clear()
            running = reaper.running = again
        if history.finished:
            reaper.let_all_go()
            wait(running, 20, place)
        time.sleep(0.002)
    assert running.process.returncode == 0, place.said() + logs(place)
    assert sorted(done) == ["executors", "ledger", "nats-server", "run"]
    assert reaper.killed.keys() == reaper.seen
    assert {"start", "release_due", "finish"} <= {kind for role, kind in reaper.killed if role == "monitor"}
    assert {"open", "plan", "close"} <= {kind for role, kind in reaper.killed if role == "planner"}
    assert ("patcher", "patch") in reaper.killed
    assert {"analyze", "lesson"} <= {kind for role, kind in reaper.killed if role == "critic"}
    assert {"execute", "race", "null", "release"} <= {k for role, k in reaper.killed if role == "evaluator"}
    assert sum(reaper.killed.values()) >= len(reaper.killed) / 2, "most were killed before they were done"
    assert faults(place.store) == []
    same(place, outcomes)
    assert "resuming" in place.said()
    assert running.left() == []


class Executors:
    """Kills every executor in the middle of an episode: once it has computed since the round was opened."""

    def __init__(self) -> None:
        self.idle: dict[int, int] = {}
        """Process id → CPU time before the round."""

    def killed(self, running: Running, history: History) -> bool:
        found = running.find("agents.executor ")
        if history.count("RoundOpened") == 0:
            self.idle = {process.pid: process.busy for process in found}
            return False
        busy = [process for process in found if process.busy > self.idle.get(process.pid, 1 << 60) + 2]
        return kill(busy)


def kill(found: list[Process]) -> bool:
    """Kill them all; tells whether there was one."""
    hit = [send(process, signal.SIGKILL) for process in found]
    return any(hit)


def test_ctrl_c_and_the_same_command_again(place: Place) -> None:
    history = History(place.store)
    running = place.run(rounds=1)
    until(history, "RoundOpened", 30, place)
    running.family()
    os.killpg(running.process.pid, signal.SIGINT)  # as a terminal does: to the whole group
    assert wait(running, 20, place) == 130
    assert "the same command resumes" in place.said()
    assert "Traceback" not in place.said()
    assert running.left() == []
    history.look()
    assert not history.finished
    assert wait(again := place.run(rounds=1), 40, place) == 0, place.said() + logs(place)
    assert "resuming" in place.said()
    assert faults(place.store) == []
    assert again.left() == []


SERVE = """
import sys, anyio
from pathlib import Path
from agents.cli.supervisor import Supervisor, children
store, left_out, replicas = Path(sys.argv[1]), sys.argv[2], {name: 2 for name in sys.argv[3:]}
wanted = [child for child in children(store, executors=1, replicas=replicas) if child.name != left_out]
anyio.run(Supervisor(store, wanted).run)
"""


def serve(place: Place, left_out: str = "", *replicas: str) -> Running:
    """All processes of a machine but one role, and two each of some."""
    return place.start(sys.executable, "-P", "-c", SERVE, str(place.store), left_out, *replicas)


async def request(place: Place, bus: Bus) -> None:
    settings = CampaignSettings(
        rounds=2, gate=GateSettings(candidates=2, race_seeds=1, confirm_seeds=2), release_seeds=2, null_every=1
    )  # fmt: skip
    await request_campaign(LedgerClient(bus), load_suite(place.suite), settings)


async def bus_of(place: Place) -> Bus:
    end = time.monotonic() + 20
    while (url := read_url(place.store)) is None:
        assert time.monotonic() < end, logs(place)
        await anyio.sleep(0.02)
    bus = await connect(url, name="test", deadline=20)
    await ensure_streams(bus, lease_ttl=float(LEASE))
    return bus


async def reached(place: Place, kind: str, seconds: float = 40) -> History:
    history = History(place.store)
    end = time.monotonic() + seconds
    while not history.count(kind):
        assert time.monotonic() < end, logs(place)
        history.look()
        await anyio.sleep(0.05)
    return history


def stop(running: Running) -> None:
    running.family()
    running.process.terminate()
    running.process.wait(20)
    assert running.left() == []


MALFORMED = {
    "jobs.episode.none": "dead.jobs.episode",
    "jobs.resample.none": "dead.jobs.resample",
    "ledger.append": "dead.ledger.append",
    "events.lineage.main": "dead.events",
}
"""Subject → where what cannot be understood is kept."""


def test_two_replicas_do_nothing_twice_see_no_store_and_live_through_nonsense(
    place: Place, outcomes: list[object]
) -> None:
    running = serve(place, "planner", "evaluator")
    blind: list[Running] = []

    async def main() -> None:
        async with await bus_of(place) as bus:
            blind.extend(planner_without_files(place) for _ in range(2))
            await request(place, bus)
            await reached(place, "RoundOpened")  # so that all of them listen
            for subject in MALFORMED:
                await bus.publish(subject, b"\xc1 nonsense")
            await reached(place, "CampaignFinished")
            for subject, dead in MALFORMED.items():
                letter = await jetstream.last(bus, "DEAD", dead)
                assert letter is not None, subject
                assert letter.data == b"\xc1 nonsense"
                assert letter.headers[REASON], subject
                assert letter.headers[SUBJECT].startswith(subject), letter.headers

    anyio.run(main)
    assert len(running.find("agents.evaluator ")) == 2
    assert not running.find("agents.planner ")  # every plan came from behind the walls
    assert all(planner.running for planner in blind)
    assert "a child ended" not in place.said()  # nothing died of the nonsense
    assert faults(place.store) == []
    same(place, outcomes)
    for part in (*blind, running):
        stop(part)


def planner_without_files(place: Place) -> Running:
    """A planner that shares nothing with the others but the loopback interface."""
    code = Path(contracts.__file__).parent.parent
    return place.start(
        str(bwrap_path()), "--unshare-all", "--share-net", "--die-with-parent", "--tmpfs", "/",
        *(part for folder in visible(code) for part in ("--ro-bind", folder, folder)),
        "--proc", "/proc", "--dev", "/dev", "--chdir", "/", "--",
        sys.executable, "-P", "-m", "agents.planner", "--bus", str(read_url(place.store)), "--store", "/nowhere",
    )  # fmt: skip


def visible(code: Path) -> list[str]:
    """What a Python process needs to see: the interpreter, the libraries, our packages; no store."""
    wanted = ["/usr", "/lib", "/lib64", "/bin", "/etc", sys.prefix, sys.base_prefix, str(code)]
    return sorted({path for path in wanted if Path(path).exists()})


async def to_be_approved(store: SqliteStore, suite: Suite, lineage: str, seconds: float) -> str:
    """Bring a campaign to where its only change would be kept if a person agreed; returns the change's tree."""
    settings = CampaignSettings(
        rounds=1, gate=GateSettings(candidates=1, race_seeds=1, confirm_seeds=2, alpha=0.5), release_seeds=1,
        null_every=0, approve="keeps", approve_seconds=seconds,
    )  # fmt: skip
    ledger: Any = store
    campaign, _ = await request_campaign(ledger, suite, settings, lineage=lineage)
    state = await lineage_state(ledger, lineage)
    tree = await trees.put_tree(ledger, {**seed_files(), "memory/note.md": lineage.encode()})
    tasks = [task.package for task in campaign.suite.practice]
    old, new = (
        ArmScores(tree=t, scores=((score, score),) * len(tasks), episodes=4)
        for t, score in ((state.head, 0.0), (tree, 1.0))
    )
    raced = ArmScores(tree=tree, scores=((1.0,),) * len(tasks), episodes=2)
    first = ArmScores(tree=state.head, scores=((0.0,),) * len(tasks), episodes=2)
    verdict = gate.confirm(old, new, tasks, settings.gate, key=gate.verdict_key(campaign.id, 1, tree))
    assert verdict.decision == "keep"
    plan = e.Plan(
        surface="memory",
        operator="note",
        arm="note",
        change={},
        title="Add a note",
        evidence="",
        root_cause="",
        risks="",
        prediction=e.Prediction(effect=0.0),
    )
    of: dict[str, Any] = {"campaign": campaign.id, "round": 1}
    steps: list[list[e.Event]] = [
        [e.CampaignStarted(campaign=campaign.id, tree=state.head, fingerprint=campaign.fingerprint)],
        [e.RoundOpened(**of, tree=state.head)],
        [e.TasksExecuted(**of, seeds=("a",), incumbent=first)],
        [e.FailuresAnalyzed(**of, failures=(), summary="all failed")],
        [e.ChangePlanned(**of, candidate=0, parent=state.head, plan=plan)],
        [e.ChangeProposed(**of, candidate=0, parent=state.head, tree=tree, patch="")],
        [e.CandidatesRaced(
            **of, seeds=("a",), incumbent=first, candidates=(e.CandidateScores(candidate=0, arm=raced),),
            effects=(1.0,), best=0,
        )],
        [e.ChangeConfirmed(
            **of, candidate=0, seeds=("b", "c"), incumbent=old, challenger=new, protected=(False,) * len(tasks),
            verdict=verdict,
        )],
    ]  # fmt: skip
    events = [
        e.encode(event, duty=f"{campaign.id}/{step}", index=0, actor="test", correlation=campaign.id)
        for step, found in enumerate(steps)
        for event in found
    ]
    await store.append(f"lineage/{lineage}", state.version, events)
    return tree


def test_silence_denies_and_a_person_approves(place: Place) -> None:
    suite = load_suite(place.suite)

    async def prepare() -> str:
        async with SqliteStore.open(place.store) as store:
            await to_be_approved(store, suite, "main", 1.0)
            return await to_be_approved(store, suite, "other", 3600.0)

    tree = anyio.run(prepare)
    running = serve(place)
    silent, asked = History(place.store), History(place.store, "lineage/other")
    until(asked, "ApprovalRequested", 20, place)
    assert asked.state.campaign is not None
    name = f"{asked.state.campaign.id}-1"
    refused, words = answer(place, "approve", "something")
    assert refused == 2
    assert name in words
    assert answer(place, "approve", name, "--note", "looks right")[0] == 0
    until(silent, "CampaignFinished", 20, place)
    until(asked, "CampaignFinished", 20, place)
    denied = [event for _, event in silent.events if isinstance(event, e.ApprovalDenied)]
    assert [event.by for event in denied] == ["deadline"]
    verdict = next(event for _, event in silent.events if isinstance(event, e.ChangeReverted))
    assert "denied by deadline" in verdict.reason
    assert "would have kept" in verdict.reason
    assert silent.count("ChangeKept") == 0
    assert asked.count("ApprovalGranted") == asked.count("ChangeKept") == 1
    assert asked.state.head == tree
    refused, words = answer(place, "approve", name)
    assert refused == 2
    assert "nothing waits" in words
    assert faults(place.store) == faults(place.store, "lineage/other") == []
    stop(running)


def answer(place: Place, *words: str) -> tuple[int, str]:
    """A command about the lineage `other`, as a person gives it; its exit code and what it said."""
    running = place.start(RATCHET, *words, "--lineage", "other", "--store", str(place.store))
    return wait(running, 20, place), running.log.read_text()
