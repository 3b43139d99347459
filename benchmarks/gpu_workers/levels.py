"""Whether levels hold: those of intervals and of families, and power by its closed form.

Counted on invented differences: how often intervals hold the truth, how often a candidate that does nothing is
believed, and how far the closed form of power is from simulated decisions.

    python -m benchmarks.gpu_workers.levels [--quick] [--json]
"""

import json
import sys
import time
from typing import Any

import click
import numpy as np
import structlog
from numpy.typing import NDArray

from contracts.gate import USUAL, GateSettings
from contracts.intervals import Method
from contracts.maxt import max_t
from contracts.power import Design, seen
from contracts.resample import IntervalJob
from contracts.simulation import PowerJob
from contracts.statistics import Fixed, sign_flip_p, to_fixed, wilson_interval
from gpu_workers import arrays
from gpu_workers.resampling import compute

LEVEL = 0.95
SEEDS = 3


def draw(rng: np.random.Generator, shape: str, samples: int, clusters: int) -> NDArray[np.float64]:
    """Differences of mean 0, samples x clusters x seeds: as they spread on `repair`, or skewed and without noise."""
    if shape == "skewed":
        effects = rng.exponential(0.1, (samples, clusters, 1)) - 0.1
        return np.repeat(effects, SEEDS, axis=2)
    effects = rng.normal(0, USUAL.between, (samples, clusters, 1))
    noise: NDArray[np.float64] = effects + rng.normal(0, USUAL.within, (samples, clusters, SEEDS))
    return noise


def coverage(shape: str, clusters: int, samples: int) -> dict[str, Any]:
    """The share of intervals at 95 % that hold 0, by method."""
    host = arrays.choose("numpy")
    cells = to_fixed(draw(np.random.default_rng(17), shape, samples, clusters).clip(-1, 1))
    means = np.rint(cells.mean(axis=2)).astype(np.int64)
    row: dict[str, Any] = {"differences": shape, "clusters": clusters, "samples": samples}

    def held(values: Fixed, method: Method, seeds: int = 1) -> float:
        rows = tuple(map(tuple, values.tolist()))
        job = IntervalJob(values=rows, key="levels", method=method, seeds=seeds, resamples=2000, level=LEVEL)
        found = compute(job, host).intervals
        return round(sum(each.low <= 0 <= each.high for each in found) / samples, 3)

    row["percentile"] = held(means, "percentile")
    row["bca"] = held(means, "bca")
    row["studentized"] = held(means, "studentized")
    row["two stages"] = held(cells.reshape(samples, -1), "percentile", SEEDS)
    return row


def families(clusters: int, count: int, runs: int) -> dict[str, Any]:
    """How often a family of candidates, half of which do nothing, errs at a level of .10, and what it sees.

    Spreads differ tenfold from candidate to candidate, and a part of the luck is shared.
    """
    rng, level = np.random.default_rng(23), 0.1
    spreads = np.resize([0.01, 0.03, 0.1], count)[:, None]
    erred = alone = 0
    single, stepped = 0, 0
    for run in range(runs):
        noise = spreads * (0.6 * rng.normal(size=clusters) + 0.8 * rng.normal(size=(count, clusters)))
        noise[count // 2 :] += 0.6 * spreads[count // 2 :]
        rows = to_fixed(noise.clip(-1, 1)).tolist()
        tests = max_t(rows, resamples=1000, key=f"{run}").tests
        erred += any(test.stepped <= level for test in tests[: count // 2])
        alone += any(
            sign_flip_p(each, resamples=1000, key=f"{run}").p <= level for each in rows[: count // 2]
        )
        single += sum(test.p <= level for test in tests[count // 2 :])
        stepped += sum(test.stepped <= level for test in tests[count // 2 :])
    interval = wilson_interval(erred, runs)
    others = runs * (count - count // 2)
    return {
        "candidates": count,
        "clusters": clusters,
        "families": runs,
        "erred": round(interval.estimate, 3),
        "interval": [round(interval.low, 3), round(interval.high, 3)],
        "erred_one_by_one": round(alone / runs, 3),
        "seen": round(single / others, 3),
        "seen_stepping_down": round(stepped / others, 3),
    }


def agreement(clusters: int, size: int, decisions: int) -> dict[str, Any]:
    """The largest difference of closed form and simulation over effects and seeds, in standard errors as well."""
    gate = GateSettings()
    design = Design(
        sizes=(size,) * clusters, spread=USUAL, alpha=gate.alpha, minimum_effect=gate.minimum_effect
    )
    effects, seeds = (0.0, 0.01, 0.03, 0.05, 0.1), (1, 3, 12)
    job = PowerJob(design=design, effects=effects, seeds=seeds, key="levels", decisions=decisions)
    start = time.perf_counter()
    found = compute(job, arrays.choose("numpy")).decisions
    took = time.perf_counter() - start
    off = [
        abs(found.power(i, j).estimate - seen(design, effect, count))
        for i, effect in enumerate(effects)
        for j, count in enumerate(seeds)
    ]
    return {
        "packages": clusters,
        "tasks": clusters * size,
        "decisions": len(off) * decisions,
        "seconds": round(took, 2),
        "largest_difference": round(max(off), 4),
        "mean_difference": round(sum(off) / len(off), 4),
    }


@click.command()
@click.option("--quick", is_flag=True, help="Fewer samples.")
@click.option("--json", "as_json", is_flag=True, help="Print the figures as JSON.")
def main(quick: bool, as_json: bool) -> None:
    """Count how often levels hold."""
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    samples, runs, decisions = (400, 100, 1_000) if quick else (4_000, 1_000, 10_000)
    figures = {
        "coverage": [
            coverage(shape, clusters, samples) for shape in ("repair", "skewed") for clusters in (8, 24, 60)
        ],
        "families": [families(24, count, runs) for count in (4, 8, 32)],
        "agreement": [agreement(clusters, 3, decisions) for clusters in (4, 8, 16, 24, 48)],
    }
    if as_json:
        print(json.dumps(figures, indent=2))
        return
    for name, rows in figures.items():
        print(name)
        for row in rows:
            print(f"  {json.dumps(row)}")


if __name__ == "__main__":
    main()
