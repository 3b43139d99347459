"""Jobs for executors: one episode each, named by the hash of their content, so that none is computed twice."""

import hashlib
from typing import Literal

import msgspec

from contracts.chat import ModelFacts, Usage
from contracts.models import Charge
from contracts.record import Record


class EpisodeJob(Record):
    """Run one harness once on one task with one seed, and grade what it leaves behind."""

    task: str
    """Blob of the `GradedTask` (JSON)."""
    task_id: str
    tree: str
    """The harness."""
    seed: str
    """What the noise of the episode is keyed by; both arms of a comparison share it."""
    fingerprint: str
    """The model's; an executor with another model refuses the job."""
    model: str = ""
    """A model behind an endpoint, as `--model` names it; empty: the store's embedded one."""
    facts: ModelFacts | None = None
    """What the harness is told of its model; None: what the model's name says."""
    lineage: str = ""
    transcript: bool = False
    """Whether the result carries the transcript."""
    traceparent: str = ""
    """Trace of the duty that asked for it; not part of the job's identity."""
    charge: Charge = Charge()
    """What the model's calls are charged to; not part of the job's identity."""

    @property
    def id(self) -> str:
        """SHA-256 over everything that determines the result."""
        parts: tuple[object, ...] = (self.task, self.tree, self.seed, self.fingerprint, self.transcript)
        if self.facts is not None:  # what says nothing of them keeps the id that it had
            parts += (self.facts,)
        return hashlib.sha256(msgspec.msgpack.encode(("episode", parts))).hexdigest()


Outcome = Literal[
    "solved", "partly", "unsolved", "unchanged", "broke", "error", "cpu", "memory", "protocol", "output"
]
"""How an episode ended, in one word; the last five are faults of the harness itself."""


class EpisodeResult(Record):
    """What came of an episode."""

    job: str
    task_id: str
    tree: str
    seed: str
    score: float
    """In [0, 1]; what grading said."""
    solved: bool
    """Whether all hidden tests pass."""
    outcome: Outcome
    visible_passed: bool = False
    model_calls: int = 0
    test_runs: int = 0
    usage: Usage = Usage()
    signs: dict[str, float] = {}
    """What the transcript shows at a glance, by name: attempts, repeats, edits off the failing tests' lines …"""
    digest: str = ""
    """SHA-256 of the transcript: the same job gives the same digest on every machine."""
    behaviour: str = ""
    """SHA-256 of what came of it: the model's replies, the tests' results, the files. What was merely said to the model
    does not count: where it changed no reply, it had no effect."""
    files: dict[str, str] = {}
    """Changed solution files; kept only for tasks that a user asked for."""
    transcript: bytes = b""
    """zlib-compressed JSON lines, if the job asked for it."""
    error: str = ""
    seconds: float = 0.0
    """Wall time, for profiles only: not part of what is compared."""
