import itertools
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import stats

from contracts.maxt import EXACT_FAMILY, max_t, studentize
from contracts.resample import MaxTJob
from contracts.statistics import SCALE, Fixed, cluster_means, sign_flip_p, to_fixed
from gpu_workers import arrays
from gpu_workers.resampling import compute

HOST = arrays.choose("numpy")

scores = st.integers(1, 6).flatmap(lambda n: st.integers(0, n).map(lambda k: k / n))


def normal_family(seed: int, count: int, clusters: int, means: float = 0.0) -> Fixed:
    return to_fixed(np.random.default_rng(seed).normal(means, 0.1, (count, clusters)).clip(-1, 1))


def order_of_t(row: NDArray[np.float64]) -> Fraction:
    """S · |S| / Q, exact: grows with t, and needs no root."""
    exact = [Fraction(float(value)).limit_denominator(10**6) for value in row]
    total, squares = sum(exact, start=Fraction()), sum((x * x for x in exact), start=Fraction())
    return total * abs(total) / squares if squares else Fraction()


def brute_force(family: NDArray[np.float64]) -> tuple[list[float], list[float]]:
    """Single-step and step-down p-values of exact fractions, by the definitions."""
    seen = [order_of_t(row) for row in family]
    order = sorted(range(len(family)), key=lambda i: -seen[i])
    signs = list(itertools.product((1, -1), repeat=family.shape[1]))
    drawn = [[order_of_t(row * np.array(sign)) for row in family] for sign in signs]
    single = [sum(max(each) >= mine for each in drawn) / len(signs) for mine in seen]
    stepped, least = [0.0] * len(family), 0.0
    for place, i in enumerate(order):
        behind = order[place:]
        least = max(least, sum(max(each[k] for k in behind) >= seen[i] for each in drawn) / len(signs))
        stepped[i] = least
    return single, stepped


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_p_values_are_those_of_the_definitions_in_exact_fractions(data: st.DataObject) -> None:
    count, clusters, seeds = (data.draw(st.integers(1, most)) for most in (3, 6, 2))
    arm = st.lists(
        st.lists(scores, min_size=seeds, max_size=seeds), min_size=clusters, max_size=clusters
    ).map(np.array)
    names = [f"{i}" for i in range(clusters)]
    old, new = data.draw(arm), [data.draw(arm) for _ in range(count)]
    found = max_t([cluster_means(each, old, names) for each in new], key="k")
    single, stepped = brute_force(np.stack([(each - old).mean(axis=1) for each in new]))
    assert [test.p for test in found.tests] == single
    assert [test.stepped for test in found.tests] == stepped
    assert found.exact


@settings(max_examples=30, deadline=None)
@given(
    st.integers(1, 24).flatmap(
        lambda clusters: st.lists(
            st.lists(st.integers(-SCALE, SCALE), min_size=clusters, max_size=clusters), min_size=1, max_size=5
        )
    ),
    st.text(max_size=4),
)
def test_the_kernel_is_the_reference_to_the_bit(values: list[list[int]], key: str) -> None:
    rows = tuple(tuple(row) for row in values)
    if len(rows[0]) in range(13, EXACT_FAMILY + 1):
        rows = tuple(row[:12] for row in rows)  # all assignments of 18 clusters take a moment
    assert compute(MaxTJob(values=rows, key=key, resamples=300), HOST).family == max_t(
        rows, resamples=300, key=key
    )


@settings(max_examples=30, deadline=None)
@given(st.lists(scores, min_size=2, max_size=10))
def test_a_family_of_one_has_the_p_value_of_its_only_test(new: list[float]) -> None:
    names = [f"{i}" for i in range(len(new))]
    d = cluster_means([[x] for x in new], [[0.5]] * len(new), names)
    (test,) = max_t([d], key="k").tests
    assert test.p == test.stepped == sign_flip_p(d, key="k").p


def test_studentizing_orders_as_student_does() -> None:
    family = normal_family(1, 6, 30, 0.03)
    t = stats.ttest_1samp(family / SCALE, 0, axis=1).statistic
    found = np.array([test.score for test in max_t(family.tolist(), resamples=100, key="k").tests])
    assert np.allclose(found * np.sqrt(29 / (30 - found**2)), t, rtol=1e-9)
    assert np.array_equal(studentize(family.tolist()).order, np.argsort(-t, kind="stable"))


def test_one_candidate_alone_has_scipys_p_value_and_never_more_than_in_the_family() -> None:
    family = normal_family(2, 5, 10, 0.04)
    found = max_t(family.tolist(), key="k")
    for row, test in zip(family, found.tests, strict=True):
        alone = stats.permutation_test(
            (row / SCALE,), np.sum, permutation_type="samples", alternative="greater", n_resamples=np.inf
        ).pvalue
        assert max_t([row.tolist()], key="k").tests[0].p == pytest.approx(alone, abs=1e-12)
        assert alone <= test.stepped + 1e-12 <= test.p + 2e-12


def test_the_level_holds_for_the_family_and_stepping_down_sees_more() -> None:
    """300 families of six: three candidates that do nothing, three that help; spreads tenfold apart; shared luck."""
    rng, level, families = np.random.default_rng(5), 0.1, 300
    erred = single = stepped = raw = 0
    for run in range(families):
        spreads = np.array([0.01, 0.03, 0.1, 0.01, 0.03, 0.1])[:, None]
        shared = rng.normal(size=24)
        noise = spreads * (0.6 * shared + 0.8 * rng.normal(size=(6, 24)))
        noise[3:] += 0.65 * spreads[3:]
        rows = to_fixed(noise.clip(-1, 1)).tolist()
        found = max_t(rows, resamples=400, key=f"{run}").tests
        erred += any(test.stepped <= level for test in found[:3])
        raw += any(sign_flip_p(row, resamples=400, key=f"{run}").p <= level for row in rows[:3])
        single += sum(test.p <= level for test in found[3:])
        stepped += sum(test.stepped <= level for test in found[3:])
    assert erred / families <= level + 0.045  # two and a half standard errors
    assert raw / families > 0.15  # without the family, the level does not hold
    assert stepped >= single
    assert single / (3 * families) > 0.6


def test_sampled_p_values_are_near_the_counted_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    family = normal_family(7, 4, 12, 0.03).tolist()
    exact = max_t(family, key="k")
    monkeypatch.setattr("contracts.maxt.EXACT_FAMILY", 0)
    sampled = max_t(family, resamples=20_000, key="k")
    assert exact.exact
    assert not sampled.exact
    for one, other in zip(exact.tests, sampled.tests, strict=True):
        assert one.p == pytest.approx(other.p, abs=0.015)
        assert one.stepped == pytest.approx(other.stepped, abs=0.015)


def test_the_order_of_candidates_does_not_matter() -> None:
    family = normal_family(8, 6, 20, 0.02).tolist()
    family[4] = family[1]
    found = max_t(family, resamples=500, key="k").tests
    assert found[4] == found[1]
    assert max_t(family[::-1], resamples=500, key="k").tests == found[::-1]


@pytest.mark.parametrize("size", [1, 2**20, SCALE])
def test_scale_does_not_matter_but_where_it_drowns_in_rounding(size: int) -> None:
    found = max_t([[size, size, -size, size, size, size]] * 2, key="k").tests
    assert found[0].score == pytest.approx(4 / 6**0.5)
    assert found[0].p == (1.0 if size == 1 else 7 / 64)


def test_constants_zeros_and_outliers_give_numbers() -> None:
    zeros, constant, outlier = [0] * 8, [SCALE // 3] * 8, [SCALE, *[1] * 7]
    found = max_t([zeros, constant, outlier], key="k").tests
    assert (found[0].score, found[0].p, found[0].stepped) == (0.0, 1.0, 1.0)
    assert found[1].p == 1 / 2**8
    assert found[1].score == pytest.approx(8**0.5)
    assert 0 < found[2].p <= 1
    assert max_t([zeros] * 3, key="k").tests == (found[0],) * 3


@pytest.mark.parametrize("rows", [(), ((),), ((5,),)])
def test_the_smallest_families(rows: tuple[tuple[int, ...], ...]) -> None:
    found = max_t(rows, key="k")
    assert len(found.tests) == len(rows)
    assert compute(MaxTJob(values=rows, key="k"), HOST).family == found


@pytest.mark.parametrize(
    ("rows", "reason"),
    [(((1, 2), (1,)), "one length"), (((2**53,),), "exact sums"), (((0.5,),), "one row of integers")],
)
def test_what_is_no_family_is_refused(rows: tuple[tuple[int, ...], ...], reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        max_t(rows, key="k")
