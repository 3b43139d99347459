"""Every round is one trace: whatever process a span comes from, it hangs below the span that opened the round."""

import sys
from collections import defaultdict
from pathlib import Path

import msgspec
import pytest

from agents.testing import History, Running, write_suite
from contracts.record import Record

ROUNDS = 2
RATCHET = str(Path(sys.executable).with_name("ratchet"))
ROLES = {"planner", "evaluator", "critic", "patcher", "executor"}


class Span(Record, frozen=True):
    """A line of the trace file, as far as it matters here."""

    name: str
    service: str
    trace: str
    span: str
    parent: str
    start: float
    end: float
    attributes: dict[str, str | int | float | bool] = {}

    @property
    def duty(self) -> str:
        return str(self.attributes.get("ratchet.duty", ""))


class Traced:
    """A campaign that was traced: the ledger's events and the spans of all its processes."""

    def __init__(self, folder: Path) -> None:
        self.history = History(folder / "store")
        while self.history.look():
            pass
        lines = (folder / "deep" / "traces.jsonl").read_bytes().splitlines()
        self.spans = [msgspec.json.decode(line, type=Span) for line in lines]
        self.traces: dict[str, dict[str, Span]] = defaultdict(dict)
        for span in self.spans:
            self.traces[span.trace][span.span] = span

    def of_round(self, number: int) -> dict[str, Span]:
        """The spans of a round's trace, by their ids."""
        campaign = self.history.state.campaign
        assert campaign is not None
        opener = next(span for span in self.spans if span.duty == f"{campaign.id}/{number}/open")
        return self.traces[opener.trace]


@pytest.fixture(scope="module")
def traced(tmp_path_factory: pytest.TempPathFactory) -> Traced:
    folder = tmp_path_factory.mktemp("traced")
    suite = write_suite(folder / "suite")
    running = Running(
        [
            RATCHET, "run", str(suite), "--store", str(folder / "store"), "--rounds", str(ROUNDS),
            "--candidates", "2", "--race-seeds", "1", "--confirm-seeds", "1", "--release-seeds", "1",
            "--null-every", "1", "--executors", "2",
        ],
        log=folder / "run.log",
        env={"RATCHET_TRACE_FILE": str(folder / "deep" / "traces.jsonl")},
    )  # fmt: skip
    try:
        assert running.process.wait(90) == 0, running.log.read_text()
    finally:
        running.end()
    return Traced(folder)


@pytest.mark.parametrize("number", range(1, ROUNDS + 1))
def test_a_round_is_one_tree_below_the_span_that_opened_it(traced: Traced, number: int) -> None:
    spans = traced.of_round(number)
    (root,) = (span for span in spans.values() if not span.parent)
    assert root.duty.endswith(f"/{number}/open")
    assert {span.parent for span in spans.values()} - {""} <= spans.keys()
    for span in spans.values():
        above, seen = span, set()
        while above.parent:  # no span hangs below itself
            assert above.span not in seen
            seen.add(above.span)
            above = spans[above.parent]
        assert above is root


@pytest.mark.parametrize("number", range(1, ROUNDS + 1))
def test_all_roles_and_the_executors_are_in_it(traced: Traced, number: int) -> None:
    spans = traced.of_round(number)
    assert {span.service for span in spans.values()} >= ROLES
    kinds = {span.duty.split("/")[2] for span in spans.values() if span.duty}
    assert kinds >= {"open", "execute", "analyze", "plan", "patch", "lesson", "null", "close"}
    assert {span.duty.split("/")[1] for span in spans.values() if span.duty} == {str(number)}


def test_episodes_are_children_of_the_duty_that_asked_for_them(traced: Traced) -> None:
    episodes = [span for span in traced.spans if span.name == "execute_episode"]
    assert len(episodes) > 10
    asked = set()
    for episode in episodes:
        assert episode.service == "executor"
        duty = traced.traces[episode.trace][episode.parent]
        assert duty.service in {"evaluator", "critic"}
        assert duty.start <= episode.start <= episode.end <= duty.end
        asked.add(duty.duty.split("/")[-1])
    assert asked >= {"execute", "race", "null"}


def test_the_events_name_the_span_that_they_came_from(traced: Traced) -> None:
    openers = {}
    checked = 0
    for envelope, event in traced.history.events:
        if envelope.type == "RoundOpened":
            openers[getattr(event, "round", 0)] = envelope.traceparent.split("-")[1]
        if (number := getattr(event, "round", 0)) == 0:
            continue
        _, trace, span, _ = envelope.traceparent.split("-")
        assert trace == openers[number]
        origin = traced.traces[trace][span]
        assert origin.duty == envelope.causation
        assert envelope.actor.startswith(f"{origin.service}-")
        checked += 1
    assert checked > 10 * ROUNDS


def test_rounds_do_not_share_a_trace(traced: Traced) -> None:
    traces = {next(iter(traced.of_round(number).values())).trace for number in range(1, ROUNDS + 1)}
    assert len(traces) == ROUNDS
