import itertools

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from contracts import power, statistics
from contracts.gate import USUAL, ArmScores, GateSettings, confirm
from contracts.power import (
    Design,
    least_effect,
    packages_wanted,
    pooled_spread,
    reachable,
    seeds_wanted,
    seen,
)
from contracts.resample import PowerResult
from contracts.simulation import EXACT_DECISIONS, PowerJob, differences, luck, simulate
from contracts.statistics import SCALE, Spread
from gpu_workers import arrays
from gpu_workers.resampling import compute

HOST = arrays.choose("numpy")


def design(clusters: int, size: int = 3, **changes: object) -> Design:
    made = Design(sizes=(size,) * clusters, spread=USUAL, minimum_effect=0.0)
    return msgspec.structs.replace(made, **changes)


@pytest.mark.parametrize("clusters", [9, 24, 60])
@pytest.mark.parametrize("effect", [-0.02, 0.0, 0.02, 0.06])
@pytest.mark.parametrize("alpha", [0.02, 0.2])
def test_power_is_that_of_students_test(clusters: int, effect: float, alpha: float) -> None:
    level = reachable(alpha, clusters)
    shift = effect / design(clusters).error(3)
    theirs = stats.nct.sf(stats.t.isf(level, clusters - 1), clusters - 1, shift)
    assert seen(design(clusters, alpha=alpha), effect, 3) == pytest.approx(theirs, abs=2e-5)


def test_with_many_clusters_it_is_the_normal_approximation() -> None:
    known = {"sd_between": 0.05, "sd_within": 0.2, "clusters": 3000, "tasks": 9000, "alpha": 0.05}
    normal = statistics.power(0.003, seeds=2, **known)  # type: ignore[arg-type]
    assert seen(design(3000, alpha=0.05), 0.003, 2) == pytest.approx(normal, abs=1e-3)


def test_a_minimum_effect_is_part_of_what_is_seen() -> None:
    """Against a plain simulation of normal means and their estimated errors."""
    rng, clusters, error = np.random.default_rng(3), 12, design(12).error(2)
    x = 0.02 + error * 12**0.5 * rng.normal(size=(200_000, clusters))
    t = x.mean(axis=1) / (x.std(axis=1, ddof=1) / clusters**0.5)
    for least in (0.0, 0.01, 0.02, 0.08):
        kept = (t >= stats.t.isf(reachable(0.2, clusters), clusters - 1)) & (x.mean(axis=1) >= least)
        found = seen(design(clusters, minimum_effect=least), 0.02, 2)
        assert found == pytest.approx(kept.mean(), abs=0.005)


@pytest.mark.parametrize("clusters", [1, 2, 3, 6, EXACT_DECISIONS, EXACT_DECISIONS + 1, 24])
def test_simulated_decisions_agree_with_the_closed_form(clusters: int) -> None:
    alpha = 0.2 if clusters > 2 else 0.5
    made = design(clusters, alpha=alpha, minimum_effect=0.005)
    job = PowerJob(
        design=made, effects=(0.0, 0.03, 0.1), seeds=(1, 4), key="k", decisions=3000, resamples=4000
    )
    found = compute(job, HOST).decisions
    for (i, effect), (j, seeds) in itertools.product(enumerate(job.effects), enumerate(job.seeds)):
        closed = seen(made, effect, seeds)
        assert found.power(i, j).estimate == pytest.approx(closed, abs=0.03), (effect, seeds)


def test_packages_of_unlike_sizes_agree_too() -> None:
    made = design(16, sizes=(1,) * 8 + (6,) * 8, spread=Spread(between=0.02, within=0.3))
    job = PowerJob(design=made, effects=(0.0, 0.05), seeds=(2,), key="k", decisions=3000, resamples=3000)
    found = simulate(job)
    for i, effect in enumerate(job.effects):
        assert found.power(i, 0).estimate == pytest.approx(seen(made, effect, 2), abs=0.03)


@settings(max_examples=20, deadline=None)
@given(st.lists(st.integers(1, 4), min_size=1, max_size=20), st.text(max_size=3), st.integers(1, 40))
def test_the_kernel_decides_as_the_reference(sizes: list[int], key: str, decisions: int) -> None:
    made = Design(sizes=tuple(sizes[:8] if len(sizes) <= EXACT_DECISIONS else sizes), spread=USUAL)
    job = PowerJob(
        design=made, effects=(0.0, 0.05), seeds=(1, 3), key=key, decisions=decisions, resamples=200
    )
    assert compute(job, HOST) == PowerResult(decisions=simulate(job))


def test_a_simulated_decision_is_the_gates_own() -> None:
    made = design(10, alpha=0.2, size=1, minimum_effect=0.01)
    job = PowerJob(design=made, effects=(0.05,), seeds=(1,), key="k", decisions=60)
    settings = GateSettings(alpha=0.2, minimum_effect=0.01, resamples=100)
    kept = 0
    for d in differences(job, 0.05, 1, luck(job)) / SCALE:
        arms = [ArmScores(tree=side, scores=tuple((float(s),) for s in np.maximum(0, sign * d)))
                for side, sign in (("old", -1), ("new", 1))]  # fmt: skip
        names = [f"{i:02}" for i in range(10)]
        kept += confirm(arms[0], arms[1], names, settings, key="k").decision == "keep"
    assert simulate(job).kept == ((kept,),)


def test_more_of_anything_is_never_less_power() -> None:
    made = design(20)
    by_seeds = [seen(made, 0.03, seeds) for seeds in (1, 2, 4, 8, 100, 4096)]
    by_effect = [seen(made, effect, 2) for effect in np.linspace(-0.2, 0.4, 30)]
    by_packages = [seen(design(n), 0.03, 2) for n in (4, 8, 16, 64, 512)]
    for row in (by_seeds, by_effect, by_packages):
        assert row == sorted(row)
        assert all(0 <= each <= 1 for each in row)


def test_needs_are_the_least_that_do() -> None:
    made = design(24)
    seeds = seeds_wanted(made, 0.03)
    assert seeds is not None
    assert seen(made, 0.03, seeds) >= 0.8 > seen(made, 0.03, seeds - 1)
    assert seeds_wanted(made, 0.005) is None
    packages = packages_wanted(made, 0.005, 64)
    assert packages is not None
    assert seen(design(packages), 0.005, 64) >= 0.8 > seen(design(packages - 1), 0.005, 64)
    least = least_effect(made, 3)
    assert least is not None
    assert seen(made, least, 3) >= 0.8 > seen(made, least - 1e-4, 3)
    assert least_effect(design(4, alpha=0.01), 3) is None


def test_what_few_packages_cannot_show_has_no_power() -> None:
    assert reachable(0.2, 2) == 0
    assert seen(design(2, alpha=0.2), 1.0, 100) == 0
    assert seen(design(1, alpha=0.49), 1.0, 100) == 0
    assert seen(design(3, alpha=0.2), 1.0, 100) == pytest.approx(1, abs=1e-3)


def test_without_any_spread_every_effect_is_seen_from_the_minimum_on() -> None:
    still = design(8, spread=Spread(between=0.0, within=0.0), minimum_effect=0.01)
    assert [seen(still, effect, 1) for effect in (-0.1, 0.0, 0.009, 0.01, 0.5)] == [0, 0, 0, 1, 1]
    assert least_effect(still, 1) == pytest.approx(0.01, abs=1e-4)


def test_a_table_tells_episodes_and_dollars() -> None:
    made = power.table(design(24), effects=(0.0, 0.003, 0.03), seeds=(3, 1, 3), price=0.01)
    assert [(row.seeds, row.episodes, row.dollars) for row in made.rows] == [(1, 144, 1.44), (3, 432, 4.32)]
    assert made.rows[1].power[2] == seen(design(24), 0.03, 3)
    assert [need.effect for need in made.needs] == [0.003, 0.03]
    assert (made.needs[0].seeds, made.needs[0].dollars) == (None, None)
    assert made.needs[0].packages
    assert (made.needs[1].seeds, made.needs[1].episodes, made.needs[1].packages) == (3, 432, None)
    assert power.table(design(24), effects=(0.03,), seeds=(1,)).rows[0].dollars is None


def test_a_pooled_spread_recovers_what_made_the_scores() -> None:
    rng, names = np.random.default_rng(6), [f"{i // 3}" for i in range(60)]
    pairs = []
    for effect in np.linspace(-0.1, 0.1, 30):
        true = 0.5 + effect / 2 + 0.06 * rng.normal(size=20).repeat(3)[:, None] / 2
        old = 1 - true + 0.15 / 2**0.5 * rng.normal(size=(60, 2))
        pairs.append(((true + 0.15 / 2**0.5 * rng.normal(size=(60, 2))).clip(0, 1), old.clip(0, 1), names))
    found = pooled_spread(pairs)
    assert found.between == pytest.approx(0.06, abs=0.01)
    assert found.within == pytest.approx(0.15, abs=0.01)


def test_a_spread_needs_something_to_go_by() -> None:
    with pytest.raises(ValueError, match="within a package"):
        pooled_spread([])
    with pytest.raises(ValueError, match="within a package"):
        pooled_spread([([[0.5], [0.1]], [[0.4], [0.3]], ["a", "b"])])
    with pytest.raises(ValueError, match="how packages differ"):
        pooled_spread([([[0.5, 0.1]], [[0.4, 0.3]], ["a"])])


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"sizes": ()}, "at least one package"),
        ({"sizes": (0, 1)}, "a task in each"),
        ({"sizes": (1,) * 8001}, "8,001 packages"),
        ({"alpha": 0.0}, "alpha is 0"),
        ({"alpha": float("nan")}, "alpha is nan"),
        ({"spread": Spread(between=-0.1, within=0.2)}, "between packages is -0.1"),
        ({"spread": Spread(between=0.1, within=float("nan"))}, "within packages is nan"),
        ({"minimum_effect": 1.0}, "minimum effect is 1"),
    ],
)
def test_a_design_of_nonsense_is_refused(changes: dict[str, object], reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        Design(**{"sizes": (3, 3), "spread": USUAL, **changes})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"effects": ()}, "effects are"),
        ({"effects": (float("nan"),)}, "effects are"),
        ({"effects": (1.5,)}, "effects are"),
        ({"seeds": ()}, "seeds are"),
        ({"seeds": (0,)}, "seeds are"),
        ({"wanted": 1.0}, "wanted power is 1"),
        ({"price": float("inf")}, "price of an episode is inf"),
        ({"price": -1.0}, "price of an episode is -1"),
    ],
)
def test_a_table_of_nonsense_is_refused(changes: dict[str, object], reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        power.table(design(4), **{"effects": (0.1,), "seeds": (1,), **changes})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"effects": (2.0,)}, "effects are"),
        ({"seeds": (0,)}, "seeds are"),
        ({"decisions": 0}, "between 1 and 1 million"),
        ({"decisions": 1_000_000, "design": design(100)}, "fewer decisions"),
        ({"effects": (0.0,) * 1001}, "no more than 1000"),
    ],
)
def test_a_simulation_of_nonsense_is_refused(changes: dict[str, object], reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        PowerJob(**{"design": design(4), "effects": (0.0,), "seeds": (1,), "key": "k", **changes})  # type: ignore[arg-type]
