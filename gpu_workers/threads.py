"""Many small products on a CPU: a thread for each core with one BLAS thread each, instead of all cores for each."""

import ctypes
import os
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path

import numpy as np

_PATIENCE = 0.1
"""Seconds between two looks at whether the work is to end."""
_TURN = 1e-4
"""Seconds after which a thread that waits for the interpreter gets it: calls here take about as long."""
_MAPS = Path("/proc/self/maps")
_CALLS = ("scipy_openblas_{}_num_threads64_", "openblas_{}_num_threads64_", "openblas_{}_num_threads")
_lock = threading.Lock()
_held = 0
_before = (0, 0.0)


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0))


def spread(tasks: Sequence[Callable[[Callable[[], None]], None]], checkpoint: Callable[[], None]) -> None:
    """Run tasks on all cores, with one BLAS thread each.

    Args:
        tasks: each is handed a checkpoint of its own, to be called often; it ends the task by raising.
        checkpoint: what the caller's computation is ended by. It is called from this thread only.

    Raises:
        Exception: whatever a task or the checkpoint raises first; by then no task runs any more.
    """
    ended = threading.Event()

    def look() -> None:
        if ended.is_set():
            raise _Ended

    def run(task: Callable[[Callable[[], None]], None]) -> None:
        look()
        with np.errstate(all="ignore"):
            task(look)

    with single_blas(), ThreadPoolExecutor(cores()) as pool:
        waiting = {pool.submit(run, task) for task in tasks}
        try:
            while waiting:
                done, waiting = wait(waiting, timeout=_PATIENCE, return_when=FIRST_EXCEPTION)
                for future in done:
                    future.result()
                checkpoint()
        finally:
            ended.set()


@contextmanager
def single_blas() -> Iterator[None]:
    """One thread for each BLAS call within, in the whole process, where NumPy's BLAS can be told so.

    Threads also take shorter turns, so that none waits long between two calls.
    """
    global _held, _before  # noqa: PLW0603  both numbers are the process's own, too
    get, put = _openblas()
    with _lock:
        if not _held:
            _before = get(), sys.getswitchinterval()
            put(1)
            sys.setswitchinterval(_TURN)
        _held += 1
    try:
        yield
    finally:
        with _lock:
            _held -= 1
            if not _held:
                put(_before[0])
                sys.setswitchinterval(_before[1])


class _Ended(Exception):
    """Raised within a task once another one failed; nobody sees it."""


@cache
def _openblas() -> tuple[Callable[[], int], Callable[[int], None]]:
    """How the OpenBLAS that NumPy brings is asked, and told, how many threads it takes; nothing for another BLAS."""
    with suppress(OSError):
        paths = {line.split()[-1] for line in _MAPS.read_text().splitlines() if "openblas" in line}
        package = str(Path(np.__file__).parent)
        for path in sorted(paths, key=lambda path: not path.startswith(package)):
            library = ctypes.CDLL(path)
            for name in _CALLS:
                get, put = (getattr(library, name.format(word), None) for word in ("get", "set"))
                if get and put:
                    put.argtypes, put.restype = [ctypes.c_int], None
                    return get, put
    return (lambda: 1), (lambda _: None)
