"""Hundreds of kills at random moments, of everything that runs; `make faults` runs this, `make test` does not."""

import os
import random
import shutil
import signal
import sys
import time
from collections import Counter
from pathlib import Path

import anyio
import pytest

from agents.testing import History, Process, Running, faults, make_store, outcome, send, write_suite

KILLS = int(os.environ.get("RATCHET_SOAK_KILLS", "0"))
SEED = int(os.environ.get("RATCHET_SOAK_SEED", "1"))
ROUNDS = 6
TARGETS = (
    "agents.monitor ", "agents.planner ", "agents.patcher ", "agents.evaluator ", "agents.critic ",
    "agents.executor ", "eventstore serve", "nats-server -c", "bus serve", "gpu_workers ", "bwrap",
)  # fmt: skip
RATCHET = str(Path(sys.executable).with_name("ratchet"))
OF_THE_RUN = 0.05
"""Share of the kills that hit `ratchet run` itself."""

pytestmark = pytest.mark.skipif(not KILLS, reason="takes minutes; `make faults` sets RATCHET_SOAK_KILLS")


def command(suite: Path, store: Path, campaign: int) -> list[str]:
    return [
        RATCHET, "run", str(suite), "--store", str(store), "--rounds", str(ROUNDS), "--seed", str(campaign),
        "--candidates", "2", "--race-seeds", "1", "--confirm-seeds", "2", "--release-seeds", "2",
        "--null-every", "2", "--executors", "2",
    ]  # fmt: skip


class Storm:
    """Kills until there were enough kills, through as many campaigns as that takes."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.suite = write_suite(folder / "suite")
        self.store = folder / "store"
        self.chance = random.Random(SEED)
        self.killed: Counter[str] = Counter()
        self.campaigns = 0
        self.known: dict[tuple[int, int], Process] = {}

    def start(self) -> Running:
        running = Running(
            command(self.suite, self.store, self.campaigns),
            log=self.folder / "run.log",
            env={"RATCHET_LEASE_SECONDS": "1"},
        )
        running.known |= self.known
        return running

    def blow(self) -> None:
        while self.killed.total() < KILLS:
            self.campaigns += 1
            running = self.start()
            end = time.monotonic() + 600
            try:
                while running.running:
                    assert time.monotonic() < end, self.words()
                    time.sleep(self.chance.expovariate(1 / 0.35))
                    running = self.strike(running)
                assert running.process.returncode == 0, self.words()
                assert running.left(15) == []
            finally:
                running.end()

    def strike(self, running: Running) -> Running:
        family = running.family()
        self.known |= running.known
        if self.chance.random() < OF_THE_RUN and self.killed.total() < KILLS:
            running.process.send_signal(self.chance.choice([signal.SIGKILL, signal.SIGINT]))
            running.process.wait(60)
            if running.process.returncode == 0:
                return running  # it had just finished
            self.killed["ratchet run"] += 1
            return self.start()
        target = self.chance.choice(TARGETS)
        found = [process for process in family if target in process.command]
        if found and self.killed.total() < KILLS and send(self.chance.choice(found), signal.SIGKILL):
            self.killed[target.strip()] += 1
        return running

    def words(self) -> str:
        logs = sorted((self.store / "logs").glob("*.log"))
        return "\n".join(
            f"--- {path}\n{path.read_text()[-2000:]}" for path in [self.folder / "run.log", *logs]
        )


def test_a_storm_of_kills_changes_nothing(tmp_path: Path) -> None:
    template = tmp_path / "template"
    anyio.run(make_store, template)
    storm = Storm(tmp_path / "storm")
    shutil.copytree(template, storm.store)
    storm.blow()
    assert faults(storm.store) == []

    calm = tmp_path / "calm"
    shutil.copytree(template, calm)
    for campaign in range(1, storm.campaigns + 1):
        running = Running(command(storm.suite, calm, campaign), log=tmp_path / "calm.log")
        try:
            assert running.process.wait(300) == 0, (tmp_path / "calm.log").read_text()
        finally:
            running.end()
    history = History(storm.store)
    history.look()
    assert history.count("CampaignFinished") == storm.campaigns
    assert outcome(storm.store) == outcome(calm)
