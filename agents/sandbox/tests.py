"""Runs a task's tests in a sandbox."""

from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any, Self

import msgspec

from agents.sandbox.channel import Channel, Malformed
from agents.sandbox.session import Session
from agents.sandbox.zygote import Ended, Limits, Zygote
from contracts.record import Record
from contracts.tasks import TestOutcome, TestReport, TestSpec

_REPORT_BYTES = 32 << 20
PYTEST = ("pytest", "_pytest", "py", "pluggy", "iniconfig", "packaging", "pygments")
"""The packages of the host's environment that a sandbox for pytest runs sees, and no others."""
PROPER = ("ok", "broken", "lines")
"""What a run's end says of the files alone. Any other may have been the machine's doing, or an attack."""


class _Report(Record, tag_field="type", tag="report", frozen=True):
    status: str
    outcomes: tuple[TestOutcome, ...]
    executed: int
    detail: str


_decoder = msgspec.json.Decoder(_Report)


def run_tests(
    zygote: Zygote, files: Mapping[str, str], spec: TestSpec, *, lines: int, wall: float, memory: int
) -> TestReport:
    """Run the tests of `spec` on a workspace that holds exactly `files`.

    Args:
        zygote: where it runs; for the runner `pytest` one with `PYTEST`.
        files: path → text, the tests among them.
        spec: how the tests run, and the CPU time that they may take.
        lines: lines of workspace files, tests left out, that may be executed.
        wall: seconds by the clock, a backstop.
        memory: bytes of address space of each process.

    Raises:
        SandboxUnavailable: if this machine cannot make a sandbox.
        SandboxFault: if the infrastructure failed; not a score.
    """
    limits = Limits(cpu=spec.seconds, memory=memory, wall=wall)
    kind = "command" if spec.runner == "command" else "tests"
    report, ended = zygote.run(kind, limits, _job(files, spec, lines), _converse)
    return report or _without_report(ended, limits)


class TestSession:
    """Test runs of one episode in one sandbox, which is cheaper by far than one for each.

    Between two runs nothing is left but the trusted init (`guest/tests.py`). And a shared sandbox is believed only
    where all is as it should be: a run that ends otherwise than `PROPER` is done over in a sandbox of its own, and from
    then on every run gets one.

    Not to be shared between threads. While it is open, other runs of tests wait.
    """

    __test__ = False

    def __init__(self, zygote: Zygote, alone: Callable[..., TestReport]) -> None:
        self._zygote = zygote
        self._alone = alone
        self._session: Session | None = None
        self._limits: Limits | None = None
        self._trusted = True

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the sandbox; the next run starts another."""
        if self._session is not None:
            self._session.close()
            self._session = None

    def run_tests(
        self, files: Mapping[str, str], spec: TestSpec, *, lines: int, wall: float, memory: int = 1 << 30
    ) -> TestReport:
        """As `run_tests` in a sandbox of its own."""
        limits = Limits(cpu=spec.seconds, memory=memory, wall=wall)
        if spec.runner == "plain" and self._trusted:
            if self._session is None or limits != self._limits:
                self.close()
                self._session, self._limits = self._zygote.session("tests", limits), limits
            if self._session is not None:
                report = self._session.ask(_job(files, spec, lines), _converse)
                if report is not None and report.status in PROPER:
                    return report
                self._trusted = False
        self.close()
        return self._alone(files, spec, lines=lines, wall=wall, memory=memory)


def _job(files: Mapping[str, str], spec: TestSpec, lines: int) -> dict[str, Any]:
    return {"files": dict(files), "spec": spec, "lines": lines}


def _converse(channel: Channel) -> TestReport | None:
    """The report that a run sends; None if it ended without one."""
    try:
        body = channel.receive(_REPORT_BYTES)
        report = _decoder.decode(body) if body else None
    except (Malformed, msgspec.DecodeError) as error:
        return TestReport(status="crashed", detail=f"no proper report came back: {error}"[:300])
    if report is None:
        return None
    return msgspec.convert(
        {
            "status": report.status,
            "outcomes": report.outcomes,
            "executed": report.executed,
            "detail": report.detail,
        },
        TestReport,
        from_attributes=True,
    )


def _without_report(ended: Ended, limits: Limits) -> TestReport:
    """What is known of a run that was ended before it could report."""
    if ended.asleep:
        return TestReport(status="cpu", detail=f"the tests waited for {limits.wall:g} s instead of working")
    if ended.reason == "cpu":
        return TestReport(status="cpu", detail="the tests used up their CPU time")
    if ended.reason == "memory":
        return TestReport(status="memory", detail="the tests needed more memory than they may have")
    if ended.reason == "processes":
        return TestReport(
            status="crashed", detail="the tests started more processes or threads than they may"
        )
    return TestReport(status="crashed", detail=f"the tests' supervisor ended, with exit status {ended.exit}")
