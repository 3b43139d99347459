"""Runs one episode of an evolved harness in a sandbox."""

import base64
import marshal
import warnings
from collections.abc import Callable, Mapping
from functools import lru_cache
from importlib.util import MAGIC_NUMBER, cache_from_source, source_hash
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
from contracts.record import Record
from contracts.tasks import Task

_LOG_BYTES = 256 << 10
_SAID_BYTES = 64 << 20
_SAID_FRAMES = 20_000
_MEMORY = 512 << 20
_UNCHECKED = (0b01).to_bytes(4, "little")
"""The flags of a cached file that stands without a look at its source (PEP 552)."""

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
    zygote: Zygote, tree: Mapping[str, bytes], task: Task, serve: Callable[[Frame], Reply], *, seed: int
) -> HarnessRun:
    """Run `solve(task, model, workspace)` of a tree's agent.py.

    Args:
        zygote: where it runs.
        tree: the harness, path → content.
        task: what it is asked, and what it may spend.
        serve: answers each completion and each test run; called in this thread. What it raises ends the
            run and passes through.
        seed: what the harness's `random` is seeded with.

    Raises:
        SandboxUnavailable: if this machine cannot make a sandbox.
        SandboxFault: if the infrastructure failed; not a score.
    """
    budget = task.budget
    limits = Limits(cpu=budget.cpu_seconds, memory=_MEMORY, wall=float(budget.wall_seconds))
    facts = {
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
    run, ended = zygote.run(
        "harness", limits, {"tree": _coded(tree), "task": facts, "seed": seed}, talk.converse
    )
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


def check_starts(zygote: Zygote, tree: Mapping[str, bytes]) -> str | None:
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
        error, ended = zygote.run("imports", limits, {"tree": _coded(tree), "seed": 0}, converse)
    except Malformed as malformed:
        return f"the harness said something while it was being imported: {malformed}"
    if error is None:
        return _without_last_word(ended, limits, "").error
    return error or None


def _coded(tree: Mapping[str, bytes]) -> dict[str, str]:
    return _packed(tuple(sorted(tree.items())))


@lru_cache(maxsize=64)
def _packed(files: tuple[tuple[str, bytes], ...]) -> dict[str, str]:
    """A harness as it is sent, with its Python compiled: an episode would spend a third of its start on that."""
    packed = {path: base64.b64encode(content).decode() for path, content in files}
    for path, content in files:
        if path.endswith(".py"):
            code = _compiled(path, content)
            cached = cache_from_source(path)
            if code is not None and cached not in packed:
                packed[cached] = base64.b64encode(code).decode()
    return packed


def _compiled(path: str, content: bytes) -> bytes | None:
    """A source file as Python caches it, without a look at the source's time; None if it does not compile."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            code = compile(content, f"/harness/{path}", "exec", dont_inherit=True)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None  # the harness says so itself, when it imports it
    return MAGIC_NUMBER + _UNCHECKED + source_hash(content) + marshal.dumps(code)
