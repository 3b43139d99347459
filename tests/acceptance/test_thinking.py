"""A campaign whose planner, patcher and critic think with a model behind an endpoint, and its replay without one."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from agents.cli.request import seed_files
from agents.models.costs import read_calls
from agents.models.serve import ModelServer
from agents.testing import History, faults, without_clocks, write_suite
from contracts import events as e
from contracts.chat import ChatReply, ChatRequest, Message, Usage
from eventstore.audit.archive import opened
from eventstore.trees import diff_file

RATCHET = str(Path(sys.executable).with_name("ratchet"))
KEY = "canary-key-77f1a2"
SEED = seed_files()
LINES = b"""\
from primitives import show_lines

on = "step"


def when(run):
    return True


def act(run):
    show_lines(run)
"""
TOML = SEED["harness.toml"]
RULE = diff_file("rules/lines.py", None, LINES) + diff_file(
    "harness.toml", TOML, TOML.replace(b"on = []", b'on = ["lines"]')
)
NOTE = "--- /dev/null\n+++ b/memory/note.md\n@@ -0,0 +1 @@\n+Look at the boundary.\n"
CHEAT = "--- /dev/null\n+++ b/tools/cheat.py\n@@ -0,0 +1,2 @@\n+def knows(task):\n+    return task.id\n"


class Thinker:
    """A model that plays three roles, told apart by what it is asked."""

    fingerprint = "thinker"

    def complete(self, request: ChatRequest) -> ChatReply:
        system, user = request.messages[0].content, request.messages[1].content
        if system.startswith("You improve a harness"):
            said = f"Three ideas.\n```json\n{json.dumps({'plans': plans(user)})}\n```"
        elif system.startswith("You write patches"):
            said = f"```diff\n{RULE if 'Show failing lines' in user else NOTE}```"
        elif system.startswith("You review changes"):
            judged = dict.fromkeys(("special_cases", "touches_others", "gives_answers"), False)
            good = "Show failing lines" in user
            said = json.dumps(
                {**judged, "matches_plan": good, "reasons": [] if good else ["a note does nothing"]}
            )
        else:
            said = '{"remarks": ["Lines alone do not help."]}'
        usage = Usage(input_tokens=len(user) // 4, output_tokens=len(said) // 4)
        return ChatReply(message=Message(role="assistant", content=said), usage=usage)


def plans(user: str) -> list[dict[str, Any]]:
    shown = re.findall(r"## Episode (\w+), task (\w+)", user)
    common = {
        "surface": "rule", "evidence": [{"episode": name, "shows": "so"} for name, _ in shown[:1]],
        "root_cause": "unseen", "risks": "none", "flips": [task for _, task in shown[:1]], "effect": 0.05, "cost": 1.1,
    }  # fmt: skip
    return [
        {**common, "title": "Show failing lines", "words": "Add a rule that shows them."},
        {**common, "title": "Know the tasks", "words": "Keep a list.", "diff": CHEAT},
        {**common, "title": "Leave a note", "words": "Add a note."},
    ]


class Place:
    """A campaign, and its replay when the endpoint is gone."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        write_suite(folder / "suite")
        (folder / "ratchet.toml").write_text('[[prices]]\nmodel = "thinker"\ninput = 1.0\noutput = 1.0\n')
        server = ModelServer(Thinker(), "thinker", key=KEY)
        server.start()
        spec = f"openai:thinker@{server.url}"
        self.ran = self.run("store", "--model", f"planner={spec}", "--model", f"critic={spec}")
        server.shutdown()
        server.server_close()
        self.replayed = self.run("replay", "--model", f"recorded:{folder / 'store'}")

    def run(self, store: str, *arguments: str) -> "subprocess.CompletedProcess[str]":
        command = [
            RATCHET, "run", str(self.folder / "suite"), "--store", str(self.folder / store), "--rounds", "1",
            "--plans", "4", "--candidates", "2", "--race-seeds", "1", "--confirm-seeds", "2", "--release-seeds", "2",
            "--null-every", "0", "--executors", "2", *arguments,
        ]  # fmt: skip
        env = {**os.environ, "RATCHET_API_KEY": KEY, "COLUMNS": "200"}
        return subprocess.run(
            command, capture_output=True, text=True, timeout=120, check=False, cwd=self.folder, env=env
        )

    def events(self, store: str = "store") -> list[Any]:
        history = History(self.folder / store)
        history.look()
        return [event for _, event in history.events]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    return Place(tmp_path_factory.mktemp("thinking"))


def test_plans_patches_and_reviews_come_from_the_model(place: Place) -> None:
    assert place.ran.returncode == 0, place.ran.stderr
    events = place.events()
    assert isinstance(events[-1], e.CampaignFinished)
    first = [event for event in events if getattr(event, "round", 0) == 1]
    planned = [event.plan for event in first if isinstance(event, e.ChangePlanned)]
    assert [plan.operator == "think" for plan in planned] == [True, True, True, False]
    proposed = {event.candidate: event for event in first if isinstance(event, e.ChangeProposed)}
    assert "+++ b/rules/lines.py" in proposed[0].patch
    reviews = {event.candidate: event for event in first if isinstance(event, e.ChangeReviewed)}
    assert reviews.keys() == {0, 1, 2}
    assert reviews[0].approved
    assert reviews[1].checks == ("names",)
    assert (reviews[2].checks, reviews[2].reasons) == (("plan",), ("a note does nothing",))
    raced = next(event for event in first if isinstance(event, e.CandidatesRaced))
    seen = {scores.candidate for scores in raced.candidates} | {*raced.inert} | {int(n) for n in raced.shown}
    assert 0 in seen
    assert 1 not in seen
    assert (2 in seen) == reviews[2].sampled
    assert not faults(place.folder / "store")


def test_every_thought_is_charged_to_its_role_round_and_candidate(place: Place) -> None:
    with opened(place.folder / "store") as archive:
        charges = [call.charge for call in read_calls(archive)]
        page = next(event for event in place.events() if isinstance(event, e.LessonRecorded))
        assert "> Lines alone do not help." in archive.blob(page.lesson).decode()
    assert {charge.role for charge in charges} == {"planner", "patcher", "critic"}
    assert {charge.round for charge in charges} == {1}
    assert {charge.candidate for charge in charges if charge.role == "patcher"} >= {0, 2}
    assert {charge.candidate for charge in charges if charge.role == "planner"} == {-1}


def test_the_report_tells_of_it(place: Place) -> None:
    command = [RATCHET, "report", "--store", str(place.folder / "store")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    assert "that models wrote, the critic approved" in " ".join(done.stdout.split())
    command = [RATCHET, "show", "r1", "--store", str(place.folder / "store")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    assert "review (names)" in done.stdout


def test_the_replay_thinks_the_same_thoughts_without_an_endpoint(place: Place) -> None:
    assert place.replayed.returncode == 0, place.replayed.stderr
    one, other = (
        sorted(repr(without_clocks(event)) for event in place.events(store)) for store in ("store", "replay")
    )
    assert one == other
