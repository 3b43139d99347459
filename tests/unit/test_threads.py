import sys
import threading
import time
from collections.abc import Callable

import numpy as np
import pytest

from gpu_workers import threads


def test_tasks_run_at_the_same_time_with_one_blas_thread_and_everything_is_put_back() -> None:
    before, turn = threads._openblas()[0](), sys.getswitchinterval()
    barrier = threading.Barrier(threads.cores())
    seen: list[int] = []

    def task(look: Callable[[], None]) -> None:
        look()
        barrier.wait(10)
        seen.append(threads._openblas()[0]())

    threads.spread([task] * threads.cores(), lambda: None)
    assert seen == [1] * threads.cores()
    assert (threads._openblas()[0](), sys.getswitchinterval()) == (before, turn)


def test_the_blas_of_numpy_is_found() -> None:
    if "openblas" not in str(np.show_config(mode="dicts")):
        pytest.skip("NumPy brings another BLAS")
    assert threads._openblas()[0]() >= 1
    with threads.single_blas(), threads.single_blas():
        assert threads._openblas()[0]() == 1


def test_the_first_fault_ends_all_tasks() -> None:
    ended: list[bool] = []

    def endless(look: Callable[[], None]) -> None:
        try:
            while True:
                look()
                time.sleep(0.001)
        finally:
            ended.append(True)

    def faulty(_look: Callable[[], None]) -> None:
        raise KeyError("x")

    with pytest.raises(KeyError, match="x"):
        threads.spread([faulty, endless, endless], lambda: None)
    assert len(ended) <= 2  # one that had not begun does not begin

    def stop() -> None:
        raise InterruptedError

    with pytest.raises(InterruptedError):
        threads.spread([endless], stop)
    assert ended[-1]
