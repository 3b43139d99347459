"""One episode on the host's side: serves the harness its model and its tests, counts, and grades what is left."""

import hashlib
import time
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

from agents.executor.reports import Reports
from agents.models.errors import RequestRefusedError
from agents.sandbox import Complete, Frame, Ok, Problem, Refused, Reply, out_of_budget
from agents.sandbox.tests import TestSession
from contracts.chat import EDITS_ONLY, ChatRequest, Message, Model, ModelFacts, ToolCall, Usage
from contracts.grading import Grade, grade
from contracts.jobs import EpisodeJob, EpisodeResult, Outcome
from contracts.models import facts_of
from contracts.tasks import GradedTask, Task, TestReport

_HARNESS_FAULTS: dict[str, Outcome] = {
    "cpu": "cpu",
    "memory": "memory",
    "protocol": "protocol",
    "output": "output",
}


@dataclass
class Episode:
    """The state of one episode: what was spent, what was said, what the tests showed."""

    task: Task
    model: Model
    reports: Reports
    noise: str
    facts: ModelFacts = EDITS_ONLY
    session: TestSession | None = None
    """Where the visible tests run while the harness works; hidden ones never do."""
    usage: Usage = Usage()
    calls: int = 0
    tests: int = 0
    refused: str = ""
    heard: int = 0
    lines: list[dict[str, Any]] = field(default_factory=list)
    edits: list[ToolCall] = field(default_factory=list)
    base: TestReport | None = None
    last: TestReport | None = None
    effects: list[str] = field(default_factory=list)

    def serve(self, frame: Frame) -> Reply:
        """Answer a frame of the harness."""
        return self._complete(frame) if isinstance(frame, Complete) else self._test(frame.files)

    def _complete(self, frame: Complete) -> Reply:
        budget = self.task.budget
        if self.calls >= budget.model_calls:
            return self._refuse("model calls")
        if self.usage.input_tokens + self.usage.output_tokens >= budget.tokens:
            return self._refuse("tokens")
        request = ChatRequest(
            messages=frame.messages,
            tools=frame.tools,
            decoding=frame.decoding,
            noise=f"{self.noise}/{self.calls}",
        )
        self.calls += 1
        try:
            reply = self.model.complete(request)
        except RequestRefusedError as error:  # what cannot be asked is the harness's doing; no answer is not
            return Refused(error=Problem(kind="refused", message=str(error)))
        self.usage += reply.usage
        self.edits += [call for call in reply.message.tool_calls if call.name == "edit"]
        self._note_call(frame.messages, reply.message)
        spent = self.usage.input_tokens + self.usage.output_tokens
        told = {"finish_reason": reply.finish_reason, "spent": spent}
        return Ok(ok=msgspec.to_builtins(reply.message) | told)

    def _note_call(self, messages: tuple[Message, ...], reply: Message) -> None:
        new = messages[self.heard :] if self.heard <= len(messages) else messages[-1:]
        self.heard = len(messages) + 1
        self.lines.append(
            {
                "call": self.calls,
                "said": [{"role": m.role, "content": m.content} for m in new if m.role != "assistant"],
                # What only its provider is to read again is no part of what was said, nor of what is graded.
                "reply": msgspec.to_builtins(msgspec.structs.replace(reply, extra=msgspec.UNSET)),
            }
        )

    def _test(self, files: Mapping[str, str]) -> Reply:
        budget = self.task.budget
        if self.tests >= budget.test_runs:
            return self._refuse("test runs")
        self.tests += 1
        report = self.run_visible(files)
        if self.base is None:
            self.base = report
        else:
            # Edits stand where the model calls tools, and else are undone, as a rule.
            before = self.last if self.facts.tools and self.last else self.base
            self.effects.append(_effect(before, report))
        self.last = report
        self.lines.append(
            {
                "test": self.tests,
                "status": report.status,
                "failed": [o.id for o in report.outcomes if not o.passed],
                "passed": sum(o.passed for o in report.outcomes),
            }
        )
        return Ok(ok=msgspec.to_builtins(report))

    def run_visible(self, files: Mapping[str, str]) -> TestReport:
        """The visible tests' report on the task's workspace with these files laid over it."""
        laid = {**self.task.files, **files}
        budget = self.task.budget
        return self.reports.get(laid, self.task.tests, budget.lines, float(budget.wall_seconds), self.session)

    def _refuse(self, what: str) -> Reply:
        self.refused = self.refused or what
        self.lines.append({"refused": what})
        return out_of_budget(what)

    def signs(self) -> dict[str, float]:
        """What the episode shows at a glance; all of it seen by the host, none of it the harness's own word."""
        seen: set[tuple[str, str, str]] = set()
        repeats = off = 0
        failing = _failing_lines(self.base) if self.base else {}
        for call in self.edits:
            arguments = call.arguments
            path, line = str(arguments.get("path", "")), arguments.get("line", 0)
            key = (path, str(arguments.get("old", "")).strip(), str(arguments.get("new", "")).strip())
            repeats += key in seen
            seen.add(key)
            off += bool(failing) and line not in failing.get(path, ())
        return {
            "attempts": float(len(self.edits)),
            "repeats": float(repeats),
            "off_trace": float(off),
            "helped": float(self.effects.count("helped")),
            "broke": float(self.effects.count("broke")),
            "useless": float(self.effects.count("useless")),
            "spent_all": float(bool(self.refused)),
        }


def run_episode(
    job: EpisodeJob, graded: GradedTask, tree: Mapping[str, bytes], model: Model, reports: Reports
) -> EpisodeResult:
    """Run a job to its end. Blocks.

    Raises:
        SandboxFault, SandboxUnavailable, ModelUnavailableError: the infrastructure failed; that is no score.
    """
    started = time.monotonic()
    task = graded.task
    facts = job.facts or facts_of(job.model)
    episode = Episode(task, model, reports, noise=f"{graded.digest}/{job.seed}", facts=facts)
    with reports.sandbox.test_session() as episode.session:
        run = reports.sandbox.run_harness(tree, task, episode.serve, seed=_number(job.seed), facts=facts)
    episode.session = None
    files = {
        p: text for p, text in run.files.items() if p in task.solution_files and text != task.files.get(p)
    }
    marks = grade_files(graded, files, reports)
    visible = bool(files) and episode.run_visible(files).all_passed
    outcome = _outcome(run.status, bool(files), marks)
    episode.lines.append({"end": run.status, "error": run.error, "files": files, "log": run.log[-4000:]})
    body = b"\n".join(msgspec.json.encode(line) for line in episode.lines)
    return EpisodeResult(
        job=job.id,
        task_id=task.id,
        tree=job.tree,
        seed=job.seed,
        score=marks.score,
        solved=marks.solved,
        outcome=outcome,
        visible_passed=visible,
        model_calls=episode.calls,
        test_runs=episode.tests,
        usage=episode.usage,
        signs=episode.signs(),
        digest=hashlib.sha256(body).hexdigest(),
        behaviour=_behaviour(episode.lines),
        files=files if job.transcript else {},
        transcript=zlib.compress(body, 6) if job.transcript else b"",
        error=run.error,
        seconds=round(time.monotonic() - started, 4),
    )


def _behaviour(lines: Sequence[Mapping[str, Any]]) -> str:
    """The digest of a transcript without what was said to the model, and without logs."""
    bare = [{key: value for key, value in line.items() if key not in ("said", "log")} for line in lines]
    return hashlib.sha256(msgspec.json.encode(bare)).hexdigest()


def grade_files(graded: GradedTask, files: Mapping[str, str], reports: Reports) -> Grade:
    """Grade solution files on a pristine copy of the task, in a sandbox that the harness never saw."""
    task = graded.task
    spec = graded.hidden_tests if graded.hidden else task.tests
    pristine = {**_without_visible(graded), **graded.hidden}
    wall = float(task.budget.wall_seconds)
    before = reports.get(pristine, spec, task.budget.lines, wall)
    if not files:
        return grade(before, before)
    return grade(before, reports.get({**pristine, **files}, spec, task.budget.lines, wall))


def _without_visible(graded: GradedTask) -> dict[str, str]:
    """The workspace without its visible tests where hidden ones take their place."""
    task = graded.task
    if not graded.hidden:
        return dict(task.files)
    paths = task.tests.paths
    return {
        path: text
        for path, text in task.files.items()
        if path in task.solution_files or not any(path == p or path.startswith(f"{p}/") for p in paths)
    }


def _outcome(status: str, changed: bool, marks: Grade) -> Outcome:
    if marks.solved:
        return "solved"
    if status in _HARNESS_FAULTS:
        return _HARNESS_FAULTS[status]
    if status == "error":
        return "error"
    if not changed:
        return "unchanged"
    if marks.score > 0:
        return "partly"
    return "broke" if marks.broken else "unsolved"


def _effect(base: TestReport, report: TestReport) -> str:
    was, now = set(base.passed), set(report.passed)
    if was - now:
        return "broke"
    return "helped" if now - was else "useless"


def _failing_lines(report: TestReport) -> dict[str, set[int]]:
    lines: dict[str, set[int]] = {}
    for outcome in report.outcomes:
        if not outcome.passed:
            for path, numbers in outcome.lines.items():
                lines.setdefault(path, set()).update(numbers)
    return lines


def _number(seed: str) -> int:
    return int.from_bytes(hashlib.sha256(seed.encode()).digest()[:4], "big")
