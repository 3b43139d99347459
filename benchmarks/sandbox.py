"""What a sandboxed episode costs to start, against a fresh `bwrap … python -I -c pass`; both in turns, in one run.

    python -m benchmarks.sandbox [--rounds 40] [--json]

cold: a new `Sandbox`, one trivial episode, and its end. warm: one trivial episode on a sandbox that is up.
tests: one trivial test file on a sandbox that is up. shared: the same as one of many runs of an episode. CPU is
that of the host's process and of the sandbox together.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from agents.sandbox import Frame, Ok, Reply, Sandbox
from agents.sandbox.bubblewrap import bwrap_path
from agents.sandbox.tests import TestSession
from contracts.tasks import Task, TestSpec

TREE = {"agent.py": b"def solve(task, model, workspace):\n    pass\n"}
TASK = Task(id="t", package="p", instruction="", files={}, solution_files=())
FILES = {
    "m.py": "def f():\n    return 1\n",
    "tests/test_m.py": "from m import f\ndef test_f(): assert f() == 1\n",
}


def serve(_: Frame) -> Reply:
    return Ok(ok=None)


def episode(box: Sandbox) -> None:
    if box.run_harness(TREE, TASK, serve).status != "finished":
        sys.exit("the trivial episode failed")


def tests(box: Sandbox) -> None:
    if not box.run_tests(FILES, TestSpec()).all_passed:
        sys.exit("the trivial test failed")


def shared(session: TestSession) -> None:
    if not session.run_tests(FILES, TestSpec(), lines=200_000, wall=60.0).all_passed:
        sys.exit("the trivial test failed")


def cold() -> None:
    with Sandbox() as box:
        episode(box)


def bare() -> None:
    binds = []
    for folder in dict.fromkeys(("/usr", "/lib", "/lib64", "/bin", sys.base_prefix)):
        if Path(folder).exists():
            binds += ["--ro-bind", folder, folder]
    options = ["--unshare-all", "--die-with-parent", "--proc", "/proc", "--dev", "/dev", "--tmpfs", "/tmp"]
    python = str(Path(getattr(sys, "_base_executable", sys.executable)).resolve())
    subprocess.run([str(bwrap_path()), *options, *binds, python, "-I", "-c", "pass"], check=True)


def cpu(pids: list[int]) -> float:
    """CPU seconds of processes and of their children that have ended."""
    ticks = 0
    for pid in pids:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        ticks += sum(int(field) for field in fields[11:15])
    return ticks / os.sysconf("SC_CLK_TCK")


def cpu_each(box: Sandbox, run: Callable[[Sandbox], None], outer: int | None, rounds: int) -> float:
    """Milliseconds of CPU of one run."""
    guests = Path(f"/proc/{outer}/task/{outer}/children").read_text().split()
    pids = [os.getpid(), *map(int, guests)]
    before = cpu(pids)
    for _ in range(rounds):
        run(box)
    return (cpu(pids) - before) / rounds * 1000


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()

    with Sandbox() as box, Sandbox() as other, other.test_session() as session:
        box.start()
        time.sleep(0.5)  # it imports ahead while nobody waits
        measured: dict[str, Callable[[], None]] = {
            "bare": bare,
            "cold": cold,
            "warm": lambda: episode(box),
            "tests": lambda: tests(box),
            "shared": lambda: shared(session),
        }
        times: dict[str, list[float]] = {name: [] for name in measured}
        for round_ in range(options.rounds + 2):
            for name, run in measured.items():
                begun = time.perf_counter()
                run()
                if round_ >= 2:
                    times[name].append((time.perf_counter() - begun) * 1000)
        cpu_warm = cpu_each(box, episode, box.pids[0], options.rounds * 3)
        cpu_tests = cpu_each(box, tests, box.pids[1], options.rounds * 3)

    medians = {name: statistics.median(found) for name, found in times.items()}
    figures = {
        "rounds": options.rounds,
        "median_ms": {name: round(value, 2) for name, value in medians.items()},
        "minimum_ms": {name: round(min(found), 2) for name, found in times.items()},
        "ratio_to_bare": {
            name: round(value / medians["bare"], 2) for name, value in medians.items() if name != "bare"
        },
        "cpu_ms": {"warm": round(cpu_warm, 2), "tests": round(cpu_tests, 2)},
    }
    if options.json:
        print(json.dumps(figures))
        return
    print(f"{'':8}{'median':>10}{'minimum':>10}{'to bare':>10}")
    for name, value in medians.items():
        print(f"{name:8}{value:8.2f}ms{min(times[name]):8.2f}ms{value / medians['bare']:10.2f}")
    print(f"CPU of one warm episode {cpu_warm:.2f} ms, of one test run {cpu_tests:.2f} ms")


if __name__ == "__main__":
    main()
