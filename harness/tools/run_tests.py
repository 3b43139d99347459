"""Look at how the tests fail."""

description = (
    "Say how the visible tests fail: what each raised, and where. Costs a test run only if files changed."
)
parameters = {"type": "object", "properties": {}}
MOST = 12


def call(run, arguments):  # noqa: ARG001 - every tool takes arguments
    """The latest report in detail; a new one if the files have changed since."""
    note = run.run_tests()
    report = run.report
    lines = [run.summary(report).split("\n")[0]]
    failed = [o for o in report["outcomes"] if not o["passed"]] if report["status"] == "ok" else []
    for outcome in failed[:MOST]:
        lines.append(f"FAILED {outcome['id']}: {outcome.get('error', '')}")
        trace = outcome.get("trace", ())[-4:]
        lines += [f'  File "{path}", line {line}, in {name}' for path, line, name in trace]
    if len(failed) > MOST:
        lines.append(f"[{len(failed) - MOST} more that fail are left out]")
    return "\n".join([*lines, note] if note else lines)
