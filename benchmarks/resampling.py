"""How fast resampling is: ours on NumPy, on CuPy where there is a GPU, and SciPy where it is installed.

Peers run at their best setting that still fits into memory, on the same data, in the same process; each figure
is the best of several runs. Ours includes making the random numbers.

    python -m benchmarks.resampling [--quick] [--json]
"""

import json
import sys
import time
from collections.abc import Callable
from typing import Any

import click
import msgspec
import numpy as np
import structlog

from contracts.resample import ResampleJob, ResampleResult, reference
from contracts.statistics import SCALE, to_fixed
from gpu_workers import arrays
from gpu_workers.errors import CupyUnfit
from gpu_workers.resampling import compute


def best(call: Callable[[], object], runs: int) -> float:
    """Milliseconds of the fastest of several calls, after one that warms up."""
    call()
    taken = []
    for _ in range(runs):
        start = time.perf_counter()
        call()
        taken.append(time.perf_counter() - start)
    return round(min(taken) * 1000, 2)


def scipy_calls(job: ResampleJob) -> dict[str, Callable[[], object]]:
    """What SciPy calls the same work, on scores as floats; nothing where it is not installed."""
    try:
        from scipy import stats  # type: ignore[import-untyped, import-not-found, unused-ignore]
    except ImportError:
        return {}
    rows = np.array(job.values) / SCALE
    rng = np.random.default_rng(1)
    if job.kind == "bootstrap":

        def bootstrap() -> object:
            return stats.bootstrap(
                (rows,),
                np.mean,
                n_resamples=job.resamples,
                axis=1,
                method="percentile",
                batch=max(1, 4_000_000 // rows.size),
                rng=rng,
            )

        return {"scipy": bootstrap}

    def flips() -> object:
        return stats.permutation_test(
            (rows,),
            np.mean,
            permutation_type="samples",
            n_resamples=job.resamples,
            alternative="greater",
            axis=1,
            vectorized=True,
            batch=max(1, 4_000_000 // rows.size),
            rng=rng,
        )

    return {"scipy": flips}


def measure(job: ResampleJob, runs: int) -> dict[str, Any]:
    """Milliseconds of each that is at hand, and whether all of ours agree to the bit."""
    host = arrays.choose("numpy")
    row: dict[str, Any] = {
        "work": f"{job.kind}, {len(job.values)} rows x {len(job.values[0])} clusters, {job.resamples} resamples",
        "reference": best(lambda: reference(job), runs),
        "numpy": best(lambda: compute(job, host), runs),
    }
    wanted = reference(job)
    agree = compute(job, host) == wanted
    try:
        device = arrays.choose("cupy")
    except CupyUnfit:
        row["cupy"] = None
    else:
        row["cupy"] = best(lambda: compute(job, device), runs)
        found: ResampleResult = msgspec.structs.replace(compute(job, device), library=wanted.library)
        agree = agree and found == wanted
    for name, call in scipy_calls(job).items():
        row[name] = best(call, 1 if job.resamples > 20_000 else runs)
        row["scipy_over_numpy"] = round(row[name] / row["numpy"], 1)
    row["agree_to_the_bit"] = agree
    return row


def jobs(quick: bool) -> list[ResampleJob]:
    """Work of several sizes; the last is the one of the facts sheet."""
    sizes = [(1, 28, 10_000), (4, 48, 10_000)] + ([] if quick else [(64, 200, 100_000)])
    rng = np.random.default_rng(7)
    made = []
    for count, clusters, resamples in sizes:
        drawn = to_fixed(rng.normal(0.02, 0.1, (count, clusters)).clip(-1, 1))
        rows = tuple(tuple(row) for row in drawn.tolist())
        made.append(ResampleJob(kind="sign_flip", values=rows, key="benchmark", resamples=resamples))
        made.append(ResampleJob(kind="bootstrap", values=rows, key="benchmark", resamples=resamples))
    return made


@click.command()
@click.option("--quick", is_flag=True, help="Only the small sizes.")
@click.option("--json", "as_json", is_flag=True, help="Print the figures as JSON.")
def main(quick: bool, as_json: bool) -> None:
    """Time resampling against its peers, in milliseconds."""
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    rows = [measure(job, 3) for job in jobs(quick)]
    if as_json:
        print(json.dumps({"library": arrays.describe(), "work": rows}, indent=2))
        return
    for row in rows:
        print(json.dumps(row))


if __name__ == "__main__":
    main()
