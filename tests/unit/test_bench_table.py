"""The table of the GPU workers' benchmarks: floors, ratios, peers that are missing or fail."""

import numpy as np
import pytest

from benchmarks.gpu_workers.case import Case, Ceiling, Load, Warmed, measure
from benchmarks.gpu_workers.queues import Scaling
from benchmarks.gpu_workers.table import Report, duration, markdown
from gpu_workers.arrays import choose
from gpu_workers.testing import device

CEILING = Ceiling(bandwidth=1e9, double=1e10, single=2e10)


def absent() -> None:
    raise RuntimeError("no such device\nand more")


def case() -> Case:
    return Case(
        part="metrics",
        work="sums",
        ours=lambda library: library.get(library.xp.ones(4)),
        load=lambda _: Load(bytes=1000, operations=10),
        figures=lambda found: found,
        peers={"right": lambda: np.ones(4), "off": lambda: np.array([1, 1, 1, 2]), "broken": absent},
        missing={"PyTorch": "not installed"},
    )


def test_the_floor_is_the_longer_of_moving_and_computing() -> None:
    assert Load(bytes=1000, operations=10).floor(CEILING) == pytest.approx(1e-6)
    assert Load(bytes=10, operations=10**5).floor(CEILING) == pytest.approx(1e-5)
    assert Load(bytes=10, operations=10**5, single=True).floor(CEILING) == pytest.approx(5e-6)


def test_of_two_measurements_of_a_device_each_speed_is_the_higher_one() -> None:
    other = Ceiling(bandwidth=2e9, double=1e9, single=3e10)
    assert CEILING.better(other) == Ceiling(bandwidth=2e9, double=1e10, single=3e10)


def test_a_peer_that_fails_or_is_missing_is_named_with_its_reason_and_the_others_are_compared() -> None:
    row = measure(case(), [choose("numpy")], 2)
    right, off, broken, missing = row.peers
    assert right.differs == 0
    assert off.differs == pytest.approx(0.5)
    assert right.seconds is not None
    assert right.ratios["numpy"] == pytest.approx(right.seconds / row.ours["numpy"].seconds)
    assert (broken.seconds, broken.reason) == (None, "RuntimeError: no such device")
    assert (missing.name, missing.reason) == ("PyTorch", "not installed")


def test_a_peer_that_does_another_amount_of_work_is_scaled_to_ours() -> None:
    def slow() -> float:
        return sum(1.0 for _ in range(1000))

    made = case()
    made.peers, made.figures, made.amount = {"half": slow}, None, lambda _: 1e9
    row = measure(made, [choose("numpy")], 1)
    assert row.peers[0].seconds is not None
    assert row.peers[0].seconds > 1
    assert row.peers[0].differs is None


def test_a_compiled_peer_is_called_once_before_it_is_timed() -> None:
    calls: list[int] = []
    made = case()
    made.peers = {"compiled": Warmed(lambda: lambda: calls.append(1))}
    measure(made, [choose("numpy")], 1)
    assert len(calls) == 2


def test_the_table_shows_both_libraries_floors_and_what_was_not_run() -> None:
    host = choose("numpy")
    there = device(host)
    ceilings = {"numpy": CEILING, "cupy": CEILING}
    row = measure(case(), [host, there], 1).floored(ceilings)
    assert row.ours["cupy"].floor == pytest.approx(1e-6)
    assert row.libraries_differ == 0
    report = Report(
        devices={"numpy": "2 cores", "cupy": "a device"}, cores=2, load=1.0, without_gpu="",
        versions={"numpy": "2", "torch": "not installed"}, ceilings=ceilings, turns=1, rows=(row,), seconds=1.0,
        scaling=(Scaling(work="tiny", workers=2, library="numpy", jobs_per_s=10, over_one=1.5, jobs_in_a_batch=4),),
    )  # fmt: skip
    text = markdown(report)
    lines = [line for line in text.splitlines() if line.startswith("|")]
    assert {line.count("|") for line in lines[:6]} == {lines[0].count("|")}
    assert "numpy over cupy" in lines[0]
    assert "| PyTorch | not installed |" in text
    assert "Not installed: torch." in text
    assert "| tiny | numpy | 2 | 10 | 1.50 x | 4 |" in text


def test_durations_have_a_unit_that_fits() -> None:
    assert [duration(each) for each in (12.34, 0.01234, 1.2e-5)] == ["12.3 s", "12.3 ms", "12 µs"]
