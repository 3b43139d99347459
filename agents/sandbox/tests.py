"""Runs a task's tests in a sandbox."""

from collections.abc import Mapping

import msgspec

from agents.sandbox.channel import Channel, Malformed
from agents.sandbox.zygote import Ended, Limits, Zygote
from contracts.record import Record
from contracts.tasks import TestOutcome, TestReport, TestSpec

_REPORT_BYTES = 32 << 20
PYTEST = ("pytest", "_pytest", "py", "pluggy", "iniconfig", "packaging", "pygments")
"""The packages of the host's environment that a sandbox for pytest runs sees, and no others."""


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
    job = {"files": dict(files), "spec": spec, "lines": lines}

    def converse(channel: Channel) -> TestReport | None:
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

    kind = "command" if spec.runner == "command" else "tests"
    report, ended = zygote.run(kind, limits, job, converse)
    return report or _without_report(ended, limits)


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
