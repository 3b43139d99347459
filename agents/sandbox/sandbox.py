"""The sandbox as the rest of the house sees it: one object, three calls."""

from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Self

from agents.sandbox import harness, tests
from agents.sandbox.frames import Frame, Reply
from agents.sandbox.harness import HarnessRun
from agents.sandbox.packing import Packer
from agents.sandbox.zygote import Zygote
from contracts.chat import EDITS_ONLY, ModelFacts
from contracts.tasks import Task, TestReport, TestSpec


class Sandbox:
    """Runs harnesses and tests, each kind in an outer sandbox of its own: neither ever sees the other.

    Blocking, and safe to share between threads: runs of one kind wait for each other. Outer sandboxes are
    started when they are first needed; `start` does it ahead.

    Args:
        unsafe: run hostile code as a plain process, with this user's files and network, and nothing but
            resource limits. Only ever at a person's explicit request.
    """

    def __init__(self, *, unsafe: bool = False) -> None:
        self._harness = Zygote(unsafe=unsafe)
        self._tests = Zygote(unsafe=unsafe)
        self._pytest = Zygote(unsafe=unsafe, packages=tests.PYTEST)
        self._packer = Packer(self._harness)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def nested(self) -> bool:
        """Whether test runs so far were namespaces inside one sandbox, rather than a sandbox each."""
        return self._tests.nested

    @property
    def pids(self) -> tuple[int | None, int | None]:
        """Process ids of the outer sandboxes for harnesses and for tests, as far as they are up."""
        return self._harness.pid, self._tests.pid

    def start(self) -> None:
        """Warm up: start both outer sandboxes now.

        Raises:
            SandboxUnavailable: if this machine cannot make a sandbox.
        """
        self._harness.start()
        self._tests.start()

    def close(self) -> None:
        """End everything that runs."""
        for zygote in (self._harness, self._tests, self._pytest):
            zygote.close()

    def run_tests(
        self,
        files: Mapping[str, str],
        spec: TestSpec,
        *,
        lines: int = 200_000,
        wall: float = 60.0,
        memory: int = 1 << 30,
    ) -> TestReport:
        """Run tests on a fresh workspace that holds exactly `files`; see `agents.sandbox.tests.run_tests`."""
        zygote = self._pytest if spec.runner == "pytest" else self._tests
        return tests.run_tests(zygote, files, spec, lines=lines, wall=wall, memory=memory)

    def test_session(self) -> tests.TestSession:
        """Runs tests as `run_tests` does, those of the runner `plain` in one sandbox, one after the other."""
        return tests.TestSession(self._tests, self.run_tests)

    def run_harness(
        self,
        tree: Mapping[str, bytes],
        task: Task,
        serve: Callable[[Frame], Reply],
        *,
        seed: int = 0,
        facts: ModelFacts = EDITS_ONLY,
    ) -> HarnessRun:
        """Run one episode; see `agents.sandbox.harness`."""
        packed = self._packer.packed(tree)
        return harness.run_harness(self._harness, packed, task, serve, seed=seed, facts=facts)

    def check_starts(self, tree: Mapping[str, bytes]) -> str | None:
        """Why a harness does not start, or None if it does."""
        return harness.check_starts(self._harness, self._packer.packed(tree, compiled=False))
