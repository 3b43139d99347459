"""Run a program that ends when its parent does: `python -I -S deathsig.py PARENT_PID SIGNAL PROGRAM ARGS…`.

A script of its own, and not a `preexec_fn`: between fork and exec of a process with threads no Python may
run. The kernel keeps the death signal across exec, so the process becomes the program and nothing stays
between. The signal comes when the *thread* that started the process ends: start such children from the main
thread.
"""

import ctypes
import os
import sys
from collections.abc import Sequence

_PR_SET_PDEATHSIG = 1


def tied(command: Sequence[str], signal: int) -> list[str]:
    """The command line that runs `command` so that it gets `signal` when this process ends."""
    return [sys.executable, "-I", "-S", __file__, str(os.getpid()), str(int(signal)), *command]


def tie(parent: int, signal: int) -> None:
    """Let this very process get `signal` when its parent ends; it exits when that has happened already."""
    if ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal, 0, 0, 0) != 0:
        sys.exit(f"cannot tie a process to its parent: {os.strerror(ctypes.get_errno())}")
    if os.getppid() != parent:  # it ended before the signal was set
        sys.exit("the parent has ended")


def _main() -> None:
    parent, signal, program = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
    tie(parent, signal)
    os.execv(program, sys.argv[3:])  # noqa: S606 (no shell is wanted)


if __name__ == "__main__":
    _main()
