"""Runs one episode of an evolved harness in a sandbox."""

from collections.abc import Callable, Mapping
from typing import Literal

import msgspec

from agents.sandbox.channel import Channel, Malformed
from agents.sandbox.frames import (
    FRAME_BYTES,
    Checked,
    Complete,
    Failed,
    Finish,
    Frame,
    Log,
    Reply,
    Test,
    parse,
)
from agents.sandbox.zygote import Ended, Limits, Zygote
from contracts.chat import ModelFacts
from contracts.record import Record
from contracts.tasks import Task

_LOG_BYTES = 256 << 10
_SAID_BYTES = 64 << 20
_SAID_FRAMES = 20_000
_MEMORY = 512 << 20

Status = Literal["finished", "error", "cpu", "memory", "protocol", "output"]


class HarnessRun(Record, frozen=True):
    """How an episode of a harness ended, and what it left behind."""

    status: Status
    """`finished`: by itself. `error`: with an exception, or without a last word. `cpu`, `memory`, `output`:
    it exceeded a limit. `protocol`: it said something that no harness may say."""
    files: dict[str, str] = msgspec.field(default_factory=dict)
    """Files of the workspace that differ from the task's, with `finished`, `error` and `memory`; whoever
    grades takes the declared solution files from them, and nothing else."""
    error: str = ""
    traceback: str = ""
    log: str = ""


class _Talk:
    """One conversation with a harness: serves frames in turn, and counts."""

    def __init__(self, serve: Callable[[Frame], Reply]) -> None:
        self._serve = serve
        self._log: list[str] = []
        self._logged = 0

    @property
    def log(self) -> str:
        return "".join(self._log)

    def converse(self, channel: Channel) -> HarnessRun | None:
        """Serve until the harness has its last word; None if it ends without one."""
        said = 0
        try:
            for _ in range(_SAID_FRAMES):
                body = channel.receive(FRAME_BYTES)
                if body is None:
                    return None
                said += len(body)
                if said > _SAID_BYTES:
                    break
                frame = parse(body)
                if isinstance(frame, Log):
                    self._keep(frame.text)
                elif isinstance(frame, Complete | Test):
                    channel.exchanged = True
                    if not channel.send(self._serve(frame)):
                        return None
                else:
                    return self._last_word(frame)
        except Malformed as error:
            return HarnessRun(status="protocol", error=str(error), log=self.log)
        return HarnessRun(status="output", error="the harness said too much", log=self.log)

    def _keep(self, text: str) -> None:
        text = text[: _LOG_BYTES - self._logged]
        self._logged += len(text)
        self._log.append(text)

    def _last_word(self, frame: Finish | Failed | Checked) -> HarnessRun:
        if isinstance(frame, Finish):
            return HarnessRun(status="finished", files=frame.files, log=self.log)
        if isinstance(frame, Checked):
            return HarnessRun(status="protocol", error="an answer that nobody asked for", log=self.log)
        return HarnessRun(
            status="memory" if frame.error.startswith("MemoryError") else "error",
            files=frame.files,
            error=" ".join(frame.error.split())[:300],
            traceback=frame.traceback[:8000],
            log=self.log,
        )


def run_harness(
    zygote: Zygote,
    tree: Mapping[str, str],
    task: Task,
    serve: Callable[[Frame], Reply],
    *,
    seed: int,
    facts: ModelFacts,
) -> HarnessRun:
    """Run `solve(task, model, workspace)` of a tree's agent.py.

    Args:
        zygote: where it runs.
        tree: the harness as it is sent, from `Packer.packed`.
        task: what it is asked, and what it may spend.
        serve: answers each completion and each test run; called in this thread. What it raises ends the
            run and passes through.
        seed: what the harness's `random` is seeded with.
        facts: what it is told of its model.

    Raises:
        SandboxUnavailable: if this machine cannot make a sandbox.
        SandboxFault: if the infrastructure failed; not a score.
    """
    budget = task.budget
    limits = Limits(cpu=budget.cpu_seconds, memory=_MEMORY, wall=float(budget.wall_seconds))
    told = {
        "id": task.id,
        "instruction": task.instruction,
        "files": task.files,
        "solution_files": task.solution_files,
        "budget": {
            "model_calls": budget.model_calls,
            "test_runs": budget.test_runs,
            "tokens": budget.tokens,
        },
    }
    talk = _Talk(serve)
    job = {"tree": tree, "task": told, "model": facts, "seed": seed}
    run, ended = zygote.run("harness", limits, job, talk.converse)
    return run or _without_last_word(ended, limits, talk.log)


def _without_last_word(ended: Ended, limits: Limits, log: str) -> HarnessRun:
    if ended.asleep:
        return HarnessRun(status="cpu", error=f"waited for {limits.wall:g} s instead of working", log=log)
    if ended.cpu > limits.cpu - 0.5:
        return HarnessRun(status="cpu", error=f"used more than {limits.cpu} s of CPU time", log=log)
    if ended.reason == "memory":
        return HarnessRun(status="memory", error="needed more memory than it may have", log=log)
    return HarnessRun(
        status="error", error=f"ended without a last word, with exit status {ended.exit}", log=log
    )


def check_starts(zygote: Zygote, tree: Mapping[str, str]) -> str | None:
    """Why a tree does not start (agent.py or a module of rules/ or tools/ cannot be imported), or None."""

    def converse(channel: Channel) -> str | None:
        while body := channel.receive(FRAME_BYTES):
            frame = parse(body)
            if isinstance(frame, Checked):
                return frame.error
            if not isinstance(frame, Log):
                return "the harness spoke while it was being imported"
        return None

    limits = Limits(cpu=5, memory=_MEMORY, wall=30.0)
    try:
        error, ended = zygote.run("imports", limits, {"tree": tree, "seed": 0}, converse)
    except Malformed as malformed:
        return f"the harness said something while it was being imported: {malformed}"
    if error is None:
        return _without_last_word(ended, limits, "").error
    return error or None
