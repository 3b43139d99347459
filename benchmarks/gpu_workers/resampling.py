"""How fast resampling is: ours on NumPy, on CuPy where there is a GPU, beside SciPy at its best and the bare product.

All of it on the same data, in the same process, in turns, each figure the best of its turns. *Fresh* includes making
the random numbers, *kept* finds the matrices of an earlier call with the same key. The *floor* is the matrix product
alone, of matrices that lie ready in memory, on all cores. SciPy runs vectorized, in the largest batches that fit.

    python -m benchmarks.gpu_workers.resampling [--quick] [--large] [--json]
"""

import json
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import click
import msgspec
import numpy as np
import structlog

from contracts.gate import USUAL, GateSettings
from contracts.maxt import studentize
from contracts.power import Design
from contracts.resample import AnyJob, AnyResult, IntervalJob, MaxTJob, ResampleJob, reference
from contracts.simulation import PowerJob
from contracts.statistics import SCALE, to_fixed
from gpu_workers import arrays
from gpu_workers.arrays import Arrays
from gpu_workers.errors import CupyUnfit
from gpu_workers.matrices import MATRICES
from gpu_workers.resampler import SMALL, go_on
from gpu_workers.resampling import compute
from gpu_workers.threads import cores, spread

TURNS = 3
_BATCH = 4_000_000
"""Numbers that SciPy may hold at once."""
_ROWS = 1600
"""Rows of a block of the bare product."""


@dataclass(kw_only=True)
class Work:
    """One piece of work, and what it is held against."""

    name: str
    job: AnyJob
    peer: Callable[[], object] | None = None
    """SciPy's call for the same work."""
    floor: Callable[[Arrays], Callable[[], object]] | None = None
    """The product alone."""
    goals: dict[str, float] = field(default_factory=dict)
    """By how much SciPy's time is to be longer than ours, fresh and kept."""


def timed(call: Callable[[], object]) -> float:
    """Milliseconds of a call."""
    start = time.perf_counter()
    call()
    return (time.perf_counter() - start) * 1000


def fresh(job: AnyJob, library: Arrays) -> AnyResult:
    """The job, with nothing kept from before."""
    MATRICES.forget()
    return compute(job, library)


def measure(work: Work, device: Arrays | None) -> dict[str, Any]:
    """Milliseconds of each that is at hand, the ratios, and whether all of ours agree to the bit."""
    host = arrays.choose("numpy")
    calls: dict[str, Callable[[], object]] = {
        "fresh": lambda: fresh(work.job, host),
        "kept": lambda: compute(work.job, host),
    }
    if work.floor is not None:
        calls["floor"] = work.floor(host)
    if work.peer is not None:
        calls["scipy"] = work.peer
    if device is not None:
        calls["cupy_fresh"] = lambda: fresh(work.job, device)
        calls["cupy_kept"] = lambda: compute(work.job, device)
        if work.floor is not None:
            calls["cupy_floor"] = work.floor(device)
    wanted = reference(work.job) if work.job.resamples <= 100_000 else compute(work.job, host)
    agree = all(
        msgspec.structs.replace(compute(work.job, library), library=wanted.library) == wanted
        for library in (host, device)
        if library is not None
    )
    best: dict[str, float] = {}
    for _ in range(TURNS):
        for name, call in calls.items():
            best[name] = min(best.get(name, np.inf), timed(call))
    row: dict[str, Any] = {"work": work.name} | {name: round(value, 2) for name, value in best.items()}
    if "scipy" in best:
        for name in ("fresh", "kept", "cupy_fresh", "cupy_kept"):
            if name in best:
                row[f"scipy_over_{name}"] = round(best["scipy"] / best[name], 1)
        for name, goal in work.goals.items():
            row[f"goal_{name}"] = goal
    row["agree_to_the_bit"] = agree
    return row


def product(
    kind: type[np.floating[Any]], resamples: int, columns: Any
) -> Callable[[Arrays], Callable[[], object]]:
    """The bare product: resamples x clusters of small counts with clusters x rows, block by block."""

    def ready(library: Arrays) -> Callable[[], object]:
        counts = np.random.default_rng(1).integers(0, 3, (resamples, len(columns)), dtype=np.uint8)
        left, right = library.put(counts).astype(kind), library.put(columns.astype(kind))

        starts = range(0, resamples, _ROWS)

        def multiply() -> object:
            if library.name == "numpy":
                spread([stripe(starts[core :: cores()]) for core in range(cores())], go_on)
                return None
            return library.get([left[i : i + _ROWS] @ right for i in starts][-1][-1])  # waits for the device

        def stripe(part: range) -> Callable[[Callable[[], None]], None]:
            return lambda _: [left[i : i + _ROWS] @ right for i in part].clear()

        return multiply

    return ready


def works(count: int, clusters: int, resamples: int, *, peers: bool, goals: bool) -> list[Work]:
    """The kinds of work of one size."""
    try:
        from scipy import stats
    except ImportError:
        peers = False
    drawn = to_fixed(np.random.default_rng(7).normal(0.02, 0.1, (count, clusters)).clip(-1, 1))
    rows = tuple(map(tuple, drawn.tolist()))
    scores, size = drawn / SCALE, f"{count} x {clusters}, {resamples:,} resamples"
    batch = max(1, _BATCH // scores.size)

    def flips() -> object:
        return stats.permutation_test(
            (scores,), np.mean, permutation_type="samples", n_resamples=resamples, alternative="greater", axis=1,
            vectorized=True, batch=batch, rng=np.random.default_rng(1),
        )  # fmt: skip

    def bootstrap(method: str) -> Callable[[], object]:
        return lambda: stats.bootstrap(
            (scores,), np.mean, n_resamples=resamples, axis=1, method=method, batch=batch,
            rng=np.random.default_rng(1),
        )  # fmt: skip

    def interval(method: Any, seeds: int = 1) -> IntervalJob:
        return IntervalJob(values=rows, key="benchmark", method=method, seeds=seeds, resamples=resamples)

    floors = drawn.size * resamples >= SMALL  # below it, starting threads takes longer than the product
    flip_floor = product(np.float32, resamples, drawn.T)
    sum_floor = product(np.float64, resamples, drawn.T)
    family_floor = product(np.float64, resamples, studentize(rows).values.T)
    plain = {"key": "benchmark", "values": rows, "resamples": resamples}
    return [
        Work(
            name=f"sign flips, {size}",
            job=ResampleJob(kind="sign_flip", **plain),  # type: ignore[arg-type]
            peer=flips if peers else None,
            floor=flip_floor if floors else None,
            goals={"fresh": 150} if goals else {},
        ),
        Work(
            name=f"bootstrap, percentile, {size}",
            job=ResampleJob(kind="bootstrap", **plain),  # type: ignore[arg-type]
            peer=bootstrap("percentile") if peers else None,
            floor=sum_floor if floors else None,
            goals={"fresh": 8, "kept": 11} if goals else {},
        ),
        Work(
            name=f"bootstrap, BCa, {size}",
            job=interval("bca"),
            peer=bootstrap("BCa") if peers else None,
            floor=sum_floor if floors else None,
        ),
        Work(
            name=f"bootstrap, studentized, {size}",
            job=interval("studentized"),
            floor=sum_floor if floors else None,
        ),
        Work(
            name=f"bootstrap in two stages of 4 seeds, {size}",
            job=interval("percentile", 4),
            floor=sum_floor if floors else None,
        ),
        Work(name=f"family by max-T, {size}", job=MaxTJob(**plain), floor=family_floor if floors else None),  # type: ignore[arg-type]
    ]


def decisions(count: int) -> Work:
    """The power of the default gate on a suite as large as `repair`, effect by effect, simulated."""
    gate = GateSettings()
    design = Design(sizes=(3,) * 24, spread=USUAL, alpha=gate.alpha, minimum_effect=gate.minimum_effect)
    job = PowerJob(design=design, effects=(0.0, 0.03, 0.1), seeds=(1, 3), key="benchmark", decisions=count)
    return Work(name=f"6 x {count:,} simulated decisions, 24 packages, 10,000 resamples", job=job)


@click.command()
@click.option("--quick", is_flag=True, help="Only the small sizes.")
@click.option("--large", is_flag=True, help="A million resamples as well, without SciPy: for a GPU.")
@click.option("--json", "as_json", is_flag=True, help="Print the figures as JSON.")
def main(quick: bool, large: bool, as_json: bool) -> None:
    """Time resampling against its peers, in milliseconds."""
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    try:
        device: Arrays | None = arrays.choose("cupy")
    except CupyUnfit:
        device = None
    wanted = works(4, 48, 10_000, peers=True, goals=False)
    if not quick:
        wanted += works(64, 200, 100_000, peers=True, goals=True)
    if large:
        wanted += works(64, 200, 1_000_000, peers=False, goals=False)
    rows = [measure(work, device) for work in (*wanted, decisions(2_000))]
    if as_json:
        print(json.dumps({"library": arrays.describe(), "work": rows}, indent=2))
        return
    print(json.dumps(arrays.describe()))
    for row in rows:
        print(json.dumps(row))


if __name__ == "__main__":
    main()
