"""The seed harness with the embedded model: every episode is, to the letter, what it was before there were tools."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from agents.cli.request import seed_files
from agents.executor.episode import run_episode
from agents.executor.reports import Reports
from agents.models.store import embedded_model, load_or_train
from agents.patcher.changes import apply_change
from agents.sandbox import Sandbox
from agents.tasks.suite import load_suite
from contracts.chat import Model
from contracts.jobs import EpisodeJob

EARLIER: dict[str, str] = json.loads((Path(__file__).parent / "earlier" / "seed.json").read_text())
"""The seed's files as they were when a model could only edit."""
RULES = {
    "none": [],
    "keeping": [("helped", ["always", {}], ["keep", {}]), ("step", ["always", {}], ["show_lines", {}])],
    "forgetting": [
        ("useless", ["always", {}], ["forget", {"n": 2}]),
        ("proposed", ["repeated", {"n": 1}], ["discard", {}]),
        ("broke", ["always", {}], ["keep", {}]),
        ("tested", ["every", {"n": 3}], ["shift", {"parameter": "presence_penalty", "amount": 1.0}]),
    ],
}


@pytest.fixture(scope="module")
def model() -> Model:
    return embedded_model(load_or_train())


@pytest.fixture(scope="module")
def reports() -> Iterator[Reports]:
    with Sandbox() as sandbox:
        yield Reports(sandbox)


def ruled(tree: Mapping[str, bytes], name: str) -> dict[str, bytes]:
    """A harness with some rules on."""
    made = dict(tree)
    for number, (moment, predicate, action) in enumerate(RULES[name]):
        change = {"name": f"r{number}", "moment": moment, "predicate": predicate, "action": action}
        made = apply_change("compose", change, made)
    return made


@pytest.mark.parametrize(("rules", "number"), [("none", 3), ("keeping", 27), ("forgetting", 51)])
def test_an_episode_is_what_it_was(model: Model, reports: Reports, rules: str, number: int) -> None:
    graded = load_suite("repair").practice[number]
    job = EpisodeJob(
        task="t", task_id=graded.task.id, tree="h", seed="1", fingerprint=model.fingerprint, transcript=True
    )
    trees = {path: text.encode() for path, text in EARLIER.items()}, seed_files()
    before, now = (run_episode(job, graded, ruled(tree, rules), model, reports) for tree in trees)
    assert now.model_calls > 1
    assert now.digest == before.digest
    assert (now.score, now.usage, now.signs) == (before.score, before.usage, before.signs)
