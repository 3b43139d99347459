import itertools
import math
import random as stdlib_random
from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from contracts.statistics import (
    EXACT_CLUSTERS,
    SCALE,
    block_rows,
    bootstrap_interval,
    cluster_interval,
    cluster_means,
    derive_seed,
    draw_blocks,
    flip_blocks,
    power,
    score_means,
    seeds_for,
    sign_flip_p,
    spread,
    to_fixed,
    wilson_interval,
    wilson_upper,
)

Blocks = Callable[[str, int, int, int], Iterator[NDArray[np.integer]]]
Table = list[list[Fraction]]

fractions = st.integers(1, 12).flatmap(lambda n: st.integers(0, n).map(lambda k: Fraction(k, n)))


@st.composite
def arms(draw: st.DrawFn) -> tuple[Table, Table, list[str]]:
    tasks, seeds = draw(st.integers(1, 9)), draw(st.integers(1, 4))
    table = st.lists(st.lists(fractions, min_size=seeds, max_size=seeds), min_size=tasks, max_size=tasks)
    clusters = draw(st.lists(st.sampled_from("abcdefg"), min_size=tasks, max_size=tasks))
    return draw(table), draw(table), clusters


def exact_means(candidate: Table, incumbent: Table, clusters: list[str]) -> list[Fraction]:
    means = []
    for name in sorted(set(clusters)):
        rows = [i for i, cluster in enumerate(clusters) if cluster == name]
        cells = [new - old for i in rows for new, old in zip(candidate[i], incumbent[i], strict=True)]
        means.append(sum(cells, start=Fraction()) / len(cells))
    return means


def brute_force(d: Sequence[Fraction]) -> float:
    seen = sum(d)
    flips = list(itertools.product((1, -1), repeat=len(d)))
    return sum(sum(s * x for s, x in zip(signs, d, strict=True)) >= seen for signs in flips) / len(flips)


def floats(table: Table) -> list[list[float]]:
    return [[float(x) for x in row] for row in table]


@settings(max_examples=60, deadline=None)
@given(arms())
def test_p_is_that_of_exact_fractions_counted_one_by_one(case: tuple[Table, Table, list[str]]) -> None:
    candidate, incumbent, clusters = case
    d = cluster_means(floats(candidate), floats(incumbent), clusters)
    exact = exact_means(candidate, incumbent, clusters)
    assert np.max(np.abs(d - np.array([float(x) for x in exact]) * SCALE)) <= 2
    assert sign_flip_p(d, key="k").p == brute_force(exact)


@settings(max_examples=40, deadline=None)
@given(arms(), st.randoms(use_true_random=False))
def test_order_of_tasks_and_seeds_does_not_matter(
    case: tuple[Table, Table, list[str]], random: stdlib_random.Random
) -> None:
    candidate, incumbent, clusters = case
    new, old = np.array(floats(candidate)), np.array(floats(incumbent))
    rows, columns = list(range(len(new))), list(range(new.shape[1]))
    random.shuffle(rows)
    random.shuffle(columns)
    shuffled = cluster_means(new[rows][:, columns], old[rows][:, columns], [clusters[i] for i in rows])
    plain = cluster_means(new, old, clusters)
    assert shuffled.tolist() == plain.tolist()
    assert cluster_means(old, new, clusters).tolist() == (-plain).tolist()


def test_ties_survive_thirds() -> None:
    third = to_fixed([1 / 3, 1 / 3, -2 / 3])
    assert third.sum() != 0  # the rounding that the slack is for
    assert sign_flip_p(third, key="k").p == brute_force([Fraction(1, 3), Fraction(1, 3), Fraction(-2, 3)])


@pytest.mark.parametrize("clusters", [0, 1, 7, EXACT_CLUSTERS, EXACT_CLUSTERS + 1, 100])
def test_all_zero_gives_one(clusters: int) -> None:
    assert sign_flip_p(np.zeros(clusters, dtype=np.int64), key="k").p == 1


def test_smallest_p_is_two_to_the_minus_clusters() -> None:
    result = sign_flip_p(to_fixed([0.1] * 20), key="k")
    assert (result.p, result.exact, result.resamples) == (2**-20, True, 2**20)


def test_exact_p_agrees_with_all_signs_at_fifteen_clusters() -> None:
    d = to_fixed(np.random.default_rng(3).normal(0.03, 0.1, 15))
    signs = np.array(list(itertools.product((1, -1), repeat=15)), dtype=np.int64)
    assert sign_flip_p(d, key="k").p == np.mean(signs @ d >= d.sum())


def test_sampled_p_is_near_the_exact_one() -> None:
    rng = np.random.default_rng(5)
    d = to_fixed(np.concatenate((rng.normal(0.03, 0.1, 30), np.zeros(10))))
    exact = sign_flip_p(d[:30], key="k")
    sampled = sign_flip_p(d, resamples=40_000, key="k")
    assert exact.exact
    assert not sampled.exact
    assert sampled.p == pytest.approx(exact.p, abs=0.01)


def test_sampled_p_follows_from_the_key_alone() -> None:
    d = to_fixed(np.random.default_rng(7).normal(0.01, 0.1, 50))
    assert sign_flip_p(d, key="a") == sign_flip_p(d, key="a")
    assert sign_flip_p(d, key="a") != sign_flip_p(d, key="b")


@pytest.mark.parametrize("blocks", [flip_blocks, draw_blocks])
@pytest.mark.parametrize("clusters", [1, 5, 64, 65, 131])
def test_blocks_of_any_size_are_the_same_matrix(blocks: Blocks, clusters: int) -> None:
    whole = np.concatenate(list(blocks("k", clusters, 100, 100)))
    parts = np.concatenate(list(blocks("k", clusters, 100, 7)))
    assert whole.shape == (100, clusters)
    assert np.array_equal(whole, parts)


def test_streams_are_fair() -> None:
    flips = np.concatenate(list(flip_blocks("k", 70, 4000)))
    draws = np.concatenate(list(draw_blocks("k", 7, 4000)))
    assert flips.mean() == pytest.approx(0.5, abs=0.005)
    assert set(draws.sum(axis=1).tolist()) == {7}
    assert draws.mean(axis=0) == pytest.approx(np.ones(7), abs=0.06)


def test_streams_are_pinned() -> None:
    """What is recorded must be recomputable for ever: these bits may not change with a NumPy release."""
    assert "".join(map(str, next(flip_blocks("pin", 24, 1))[0])) == PINNED_FLIPS
    assert next(draw_blocks("pin", 8, 1))[0].tolist() == PINNED_DRAWS


PINNED_FLIPS = "101001111111111100111000"
PINNED_DRAWS = [1, 0, 1, 2, 2, 1, 0, 1]


def test_interval_covers_the_mean_of_its_population() -> None:
    rng = np.random.default_rng(11)
    covered = 0
    for i in range(200):
        d = to_fixed(rng.normal(0.05, 0.1, 40).clip(-1, 1))
        interval = bootstrap_interval(d, resamples=500, key=f"{i}")
        covered += interval.low <= 0.05 <= interval.high
    assert covered >= 178  # 95 % of 200 less three standard errors


def test_interval_of_one_arm() -> None:
    scores = [[0.0, 1.0], [0.5, 0.5], [1.0, 1.0]]
    interval = cluster_interval(scores, ["a", "a", "b"], key="k")
    assert interval.estimate == 0.75
    assert (interval.low, interval.high) == (0.5, 1.0)
    assert score_means(scores, ["a", "a", "b"]).tolist() == [SCALE // 2, SCALE]


def test_interval_does_not_depend_on_how_it_is_chunked(monkeypatch: pytest.MonkeyPatch) -> None:
    d = to_fixed(np.random.default_rng(1).normal(0, 0.1, 30))
    whole = bootstrap_interval(d, key="k")
    monkeypatch.setattr("contracts.statistics.BLOCK", 1000)
    assert block_rows(30) == 33
    assert bootstrap_interval(d, key="k") == whole


@given(st.integers(0, 300), st.integers(0, 300))
def test_wilson_contains_the_share(successes: int, more: int) -> None:
    n = successes + more
    interval = wilson_interval(successes, n)
    assert 0 <= interval.low <= interval.estimate + 1e-12
    assert interval.estimate - 1e-12 <= interval.high <= 1
    assert wilson_upper(successes, n, 0.975) == pytest.approx(interval.high)


def test_wilson_known_value() -> None:
    interval = wilson_interval(10, 100)
    assert (round(interval.low, 4), round(interval.high, 4)) == (0.0552, 0.1744)
    assert wilson_upper(0, 0) == 1


def test_power_and_seeds() -> None:
    known: dict[str, Any] = {"sd_between": 0.05, "sd_within": 0.4, "clusters": 28, "tasks": 28, "alpha": 0.1}
    chances = [power(0.05, seeds=seeds, **known) for seeds in (1, 4, 16, 64)]
    assert chances == sorted(chances)
    assert power(0.0, seeds=4, **known) == pytest.approx(0.1)
    seeds = seeds_for(0.05, at_most=64, **known)
    assert power(0.05, seeds=seeds, **known) >= 0.8 > power(0.05, seeds=seeds - 1, **known)
    assert seeds_for(0.001, at_most=24, **known) == 24
    assert power(0.1, sd_between=0, sd_within=0, clusters=3, tasks=3, seeds=1, alpha=0.1) == 1


def test_power_agrees_with_simulated_decisions() -> None:
    rng = np.random.default_rng(17)
    clusters, seeds, effect = 24, 8, 0.06
    names = [str(i) for i in range(clusters)]
    hits = 0
    for _ in range(300):
        odds = rng.uniform(0.2, 0.6, clusters)
        old = rng.random((clusters, seeds)) < odds[:, None]
        new = rng.random((clusters, seeds)) < odds[:, None] + effect
        hits += sign_flip_p(cluster_means(new, old, names), key="k").p <= 0.1
    said = power(
        effect, sd_between=0, sd_within=0.68, clusters=clusters, tasks=clusters, seeds=seeds, alpha=0.1
    )
    assert hits / 300 == pytest.approx(said, abs=0.09)


def test_spread_recovers_what_made_the_scores() -> None:
    rng = np.random.default_rng(19)
    effects = rng.normal(0.05, 0.1, 300)
    names = [str(i) for i in range(300)]
    old = rng.uniform(0.4, 0.6, (300, 6))
    new = old + effects[:, None] + rng.normal(0, 0.02, (300, 6))
    found = spread(new.clip(0, 1), old, names)
    assert found.between == pytest.approx(0.1, abs=0.015)
    assert found.within == pytest.approx(0.02, abs=0.005)
    assert spread([[0.5]], [[0.5]], ["a"]).within == 0


@pytest.mark.parametrize("value", [math.nan, math.inf, 1.5, -2])
def test_a_number_out_of_range_is_refused(value: float) -> None:
    with pytest.raises(ValueError, match="range"):
        to_fixed([value])
    with pytest.raises(ValueError, match="outside"):
        cluster_means([[value]], [[0.0]], ["a"])


def test_shapes_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match="shapes"):
        cluster_means([[0.0]], [[0.0, 1.0]], ["a"])
    with pytest.raises(ValueError, match="clusters for 2"):
        cluster_means([[0.0]], [[0.0]], ["a", "b"])
    with pytest.raises(ValueError, match="table"):
        cluster_means([], [], [])
    with pytest.raises(ValueError, match="integers"):
        sign_flip_p([0.5], key="k")
    with pytest.raises(ValueError, match="exact sums"):
        sign_flip_p([2**53], key="k")
    with pytest.raises(ValueError, match="one cluster"):
        bootstrap_interval([], key="k")
    with pytest.raises(ValueError, match="proportion"):
        wilson_upper(3, 2)


def test_seeds_follow_from_their_parts() -> None:
    assert derive_seed("c", 1, "race", 0) == derive_seed("c", 1, "race", 0)
    assert derive_seed("ab", "c") != derive_seed("a", "bc")
    assert len(derive_seed()) == 16
    assert len({derive_seed("c", i, stage) for i in range(50) for stage in ("race", "confirm")}) == 100
