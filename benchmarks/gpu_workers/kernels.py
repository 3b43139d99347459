"""Resamplings, metrics and rollouts as pieces of work, beside SciPy, scikit-learn and plain loops."""

import functools
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from benchmarks.gpu_workers import metrics, resampling, rollouts
from benchmarks.gpu_workers.case import Case, Load
from contracts.resample import AnyJob
from contracts.rollouts import CartPole, Mlp, Policy, PolicyGradient, RolloutSpec, Uniform
from gpu_workers.arrays import Arrays
from gpu_workers.metrics import score
from gpu_workers.resampling import compute as resample
from gpu_workers.rollouts.compute import compute as roll


def resamplings(*, short: bool, large: bool) -> Iterator[Case]:
    """Each with random numbers made anew, and with those kept from an earlier call.

    The load is the product of signs or counts with differences; random numbers are not counted.
    """
    sizes = [(4, 48, 10_000), *([] if short else [(64, 200, 100_000)])]
    if large:
        sizes.append((64, 200, 1_000_000))
    for count, clusters, resamples in sizes:
        for work in resampling.works(count, clusters, resamples, peers=True, goals=False):
            many = resamples == 1_000_000
            if many and not work.name.startswith(("sign flips", "bootstrap, percentile", "family")):
                continue
            peer = None if many and work.name.startswith("sign flips") else work.peer
            flips = work.name.startswith("sign flips")
            load = Load(
                operations=2 * count * clusters * resamples, bytes=8 * count * resamples, single=flips
            )
            for kept in (False, True):
                yield _resampling(work.name, work.job, kept, load, peer)
    simulated = resampling.decisions(200 if short else 2_000)
    yield _resampling(simulated.name, simulated.job, True, None, None)


def _resampling(
    name: str, job: AnyJob, kept: bool, load: Load | None, peer: Callable[[], object] | None
) -> Case:
    def alone() -> None:
        assert peer is not None
        peer()

    return Case(
        part="resampling",
        work=f"{name}, {'kept' if kept else 'fresh'}",
        ours=lambda library: resample(job, library) if kept else resampling.fresh(job, library),
        load=lambda _: load or Load(),
        peers={"SciPy": alone} if peer is not None and not kept else {},
    )


def scores(*, short: bool) -> Iterator[Case]:
    """Metrics of many members at once; the load is reading truth and predictions once."""
    members, rows = (64, 2000) if short else (640, 2000)
    for name, one in metrics.peers().items():
        rng = np.random.default_rng(3)
        k = metrics.CLASSES if name in {"quadratic_kappa", "accuracy", "f1"} else 1
        truth = rng.integers(0, max(2, k), (members, rows)).astype(float)
        predictions = rng.random((members, rows, k))
        predictions /= predictions.sum(axis=2, keepdims=True) if k > 1 else 1
        weights = np.ones((members, rows))
        yield Case(
            part="metrics",
            work=f"{name}, {members} members x {rows:,} rows" + (f" x {k} classes" if k > 1 else ""),
            ours=_scored(name, truth, predictions, weights),
            load=lambda _, size=truth.nbytes + predictions.nbytes: Load(bytes=size),  # type: ignore[misc]
            figures=np.array,
            peers={
                "scikit-learn": lambda one=one, truth=truth, given=predictions: [  # type: ignore[misc]
                    one(y, p) for y, p in zip(truth, given, strict=True)
                ]
            },
        )


def _scored(name: str, truth: Any, predictions: Any, weights: Any) -> Callable[[Arrays], Any]:
    @functools.cache
    def there(library: Arrays) -> tuple[Any, Any, Any]:
        return library.put(truth), library.put(predictions), library.put(weights)  # where models leave them

    def call(library: Arrays) -> Any:
        lies, says, counts = there(library)
        return score(name, lies, says, counts, library)

    return call


def rollings(*, short: bool, large: bool) -> Iterator[Case]:
    """Rollouts and learning; the load is the state of each step, read and written, and the networks' products.

    Plain loops play other episodes, so their time is scaled by the number of steps.
    """
    chance, drawn, learnt = Uniform(), Mlp(hidden=(32,), scale=2.0), PolicyGradient(updates=20)
    inputs = 4 * 32 + 32 * 2
    seeds = 8 if short else 32
    loop = functools.partial(rollouts.cart_loop, rollouts.by_chance, 3000, 500)
    slow = functools.partial(rollouts.cart_loop, rollouts.by_network(), 100, 500)
    yield _rolling("cart-pole by chance, 200 episodes", chance, 200, seeds, 0, loop)
    yield _rolling("cart-pole, drawn networks of 32 units, 100 episodes", drawn, 100, seeds, inputs, slow)
    yield _rolling("cart-pole, 20 updates of policy gradients", learnt, 1, seeds, 3 * inputs, None)
    if large:
        yield _rolling("cart-pole, drawn networks of 32 units, 100 episodes", drawn, 100, 512, inputs, None)
        yield _rolling("cart-pole, 20 updates of policy gradients", learnt, 1, 512, 3 * inputs, None)


def _rolling(
    name: str, policy: Policy, episodes: int, seeds: int, products: int, loop: Callable[[], int] | None
) -> Case:
    spec = RolloutSpec(
        environments=(CartPole(),), policies=(policy,), seeds=tuple(map(str, range(seeds))), episodes=episodes
    )
    return Case(
        part="rollouts",
        work=f"{name}, {seeds:,} seeds",
        ours=lambda library: roll(spec, library),
        load=lambda found: Load(bytes=2 * 4 * 8 * found.steps, operations=2 * products * found.steps),
        figures=lambda found: np.array([np.mean(each.returns) for each in found.members]),
        peers={"plain loop": loop} if loop else {},
        amount=lambda found: float(found.steps),
    )
