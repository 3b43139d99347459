"""The gateway is killed in the middle of calls: the campaign comes to what it would have come to."""

import os
import random
import signal
import sys
import time
from pathlib import Path

from agents.models.costs import read_calls, total
from agents.models.serve import ModelServer
from agents.models.store import embedded_model, load_or_train
from agents.testing import Running, faults, outcome, send, write_suite
from contracts.chat import ChatReply, ChatRequest, Model
from eventstore.audit.archive import opened
from eventstore.errors import LedgerError

RATCHET = str(Path(sys.executable).with_name("ratchet"))
KILLS = 4


def run(place: Path, store: str, spec: str) -> Running:
    command = [
        RATCHET, "run", str(place / "suite"), "--store", str(place / store), "--rounds", "3", "--plans", "6",
        "--candidates", "3", "--race-seeds", "4", "--confirm-seeds", "4", "--null-every", "0", "--executors", "3",
        "--model", f"harness={spec}", "--config", str(place / "ratchet.toml"),
    ]  # fmt: skip
    return Running(command, log=place / f"{store}.log", env={**os.environ, "RATCHET_API_KEY": "none"})


def calls(store: Path) -> int:
    """Calls that were settled so far."""
    try:
        with opened(store) as archive:
            return sum(1 for _ in read_calls(archive))
    except LedgerError:
        return 0  # there is no store yet


class Slow:
    """A model that takes its time, so that calls are under way at any moment."""

    def __init__(self, model: Model) -> None:
        self.model = model
        self.fingerprint = model.fingerprint

    def complete(self, request: ChatRequest) -> ChatReply:
        time.sleep(0.05)
        return self.model.complete(request)


def test_a_campaign_comes_to_the_same_whenever_its_gateway_dies(tmp_path: Path) -> None:
    write_suite(tmp_path / "suite")
    server = ModelServer(Slow(embedded_model(load_or_train())), "embedded")
    server.start()
    spec = f"openai:embedded@{server.url}"
    (tmp_path / "ratchet.toml").write_text('[[prices]]\nmodel = "embedded"\ninput = 0.5\noutput = 1.0\n')
    calm = run(tmp_path, "calm", spec)
    assert calm.process.wait(180) == 0
    chance = random.Random(1)
    disturbed = run(tmp_path, "disturbed", spec)
    killed, seen = 0, 0
    while disturbed.running:
        time.sleep(chance.uniform(0.1, 0.4))
        made = calls(tmp_path / "disturbed") if killed < KILLS else 0
        if made > seen + 20:  # it has served since it died
            seen = made
            killed += sum(send(each, signal.SIGKILL) for each in disturbed.find("agents.models gateway"))
    server.shutdown()
    server.server_close()
    assert disturbed.process.returncode == 0
    assert killed == KILLS
    assert disturbed.left() == []
    assert not faults(tmp_path / "disturbed")
    assert outcome(tmp_path / "disturbed") == outcome(tmp_path / "calm")
    with opened(tmp_path / "calm") as archive:
        plain = total(list(read_calls(archive)))
    with opened(tmp_path / "disturbed") as archive:
        dearer = total(list(read_calls(archive)))
    assert dearer.unanswered > 0
    assert dearer.cost > plain.cost, "what was under way when it died counts at its bound"
