import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import stats

from contracts.intervals import Method, count_blocks, interval_of, paired_cells, whole_steps
from contracts.resample import IntervalJob, ResampleResult
from contracts.statistics import SCALE, Fixed, bootstrap_interval, cluster_means, to_fixed
from gpu_workers import arrays
from gpu_workers.resampling import compute

HOST = arrays.choose("numpy")
METHODS: tuple[Method, ...] = ("percentile", "bca", "studentized")


def skewed(seed: int, clusters: int) -> Fixed:
    return to_fixed(np.random.default_rng(seed).exponential(0.1, clusters).clip(-1, 1))


def counts(key: str, clusters: int, seeds: int, resamples: int, rows: int | None = None) -> NDArray[np.int64]:
    return np.concatenate(list(count_blocks(key, clusters, seeds, resamples, rows))).astype(np.int64)


@settings(max_examples=40, deadline=None)
@given(
    st.sampled_from(METHODS),
    st.integers(1, 30),
    st.integers(1, 3),
    st.data(),
    st.text(max_size=4),
    st.floats(0.01, 0.99),
)
def test_the_kernel_is_the_reference_to_the_bit(
    method: Method, clusters: int, seeds: int, data: st.DataObject, key: str, level: float
) -> None:
    seeds = 1 if method == "studentized" else seeds
    size = clusters * seeds
    row = st.lists(st.integers(-SCALE, SCALE), min_size=size, max_size=size)
    rows = tuple(map(tuple, data.draw(st.lists(row, min_size=1, max_size=3))))
    job = IntervalJob(values=rows, key=key, seeds=seeds, method=method, resamples=150, level=level)
    wanted = [interval_of(r, seeds=seeds, method=method, level=level, resamples=150, key=key) for r in rows]
    found = compute(job, HOST)
    assert found == ResampleResult(intervals=tuple(wanted))
    assert all(math.isfinite(end) for interval in wanted for end in (interval.low, interval.high))


def test_whole_clusters_by_percentiles_are_what_the_gate_reports() -> None:
    d = skewed(1, 30)
    assert interval_of(d, resamples=3000, key="k") == bootstrap_interval(d, resamples=3000, key="k")


@pytest.mark.parametrize("seeds", [1, 4])
def test_blocks_of_any_size_are_the_same_draws(seeds: int) -> None:
    assert np.array_equal(counts("k", 9, seeds, 100, 7), counts("k", 9, seeds, 100))


def test_two_stages_draw_clusters_then_seeds_within() -> None:
    drawn = counts("k", 8, 5, 20_000).reshape(-1, 8, 5)
    whole = drawn.sum(axis=2)
    assert (whole.sum(axis=1) == 40).all()
    assert (whole % 5 == 0).all()  # whole clusters
    assert np.allclose(drawn.mean(axis=0), 1, atol=0.05)
    assert np.var(whole[:, 0] // 5) == pytest.approx(7 / 8, rel=0.05)
    once = drawn[:, 0][whole[:, 0] == 5]
    assert np.var(once[:, 0]) == pytest.approx(5 * 0.2 * 0.8, rel=0.05)


def test_counts_beyond_a_byte_are_kept() -> None:
    assert next(iter(count_blocks("k", 255, 1, 1))).dtype == np.uint8
    assert next(iter(count_blocks("k", 128, 2, 1))).dtype == np.uint16
    assert counts("k", 300, 1, 50).sum(axis=1).tolist() == [300] * 50


def test_paired_cells_average_the_tasks_of_a_package_seed_by_seed() -> None:
    rng = np.random.default_rng(3)
    new, old = rng.integers(0, 2, (2, 5, 4)).astype(float)
    names = ["b", "a", "b", "c", "a"]
    cells = paired_cells(new, old, names)
    assert cells.shape == (3, 4)
    assert np.allclose(cells[1] / SCALE, (new - old)[[0, 2]].mean(axis=0))
    assert np.allclose(cells.mean(axis=1), cluster_means(new, old, names), atol=2)
    for bad in (new[:, :3], new[0], new[:0]):
        with pytest.raises(ValueError, match="tables of the same"):
            paired_cells(bad, old if bad is not new[:0] else old[:0], names)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("method", ["percentile", "bca"])
def test_ends_are_near_scipys(seed: int, method: Method) -> None:
    d = skewed(seed, 25)
    found = interval_of(d, method=method, resamples=20_000, level=0.9, key="k")
    theirs = stats.bootstrap(
        (d / SCALE,), np.mean, n_resamples=20_000, confidence_level=0.9,
        method="BCa" if method == "bca" else method, rng=np.random.default_rng(seed),
    )  # fmt: skip
    tolerance = 0.1 * theirs.standard_error  # three times what two bootstraps of 20,000 differ by
    assert found.low == pytest.approx(theirs.confidence_interval.low, abs=tolerance)
    assert found.high == pytest.approx(theirs.confidence_interval.high, abs=tolerance)


def test_bca_on_the_very_resamples_is_the_textbooks() -> None:
    d, resamples, level = skewed(9, 20), 4000, 0.95
    means = counts("k", 20, 1, resamples) @ d / (20 * SCALE)
    x = d / SCALE
    bias = stats.norm.ppf((np.mean(means < x.mean()) + np.mean(means <= x.mean())) / 2)
    left = np.array([np.delete(x, i).mean() for i in range(20)])
    off = left.mean() - left
    skew = (off**3).sum() / (6 * (off**2).sum() ** 1.5)
    z = bias + stats.norm.ppf([(1 - level) / 2, (1 + level) / 2])
    shares = stats.norm.cdf(bias + z / (1 - skew * z))
    found = interval_of(d, method="bca", resamples=resamples, level=level, key="k")
    assert found.low == pytest.approx(np.quantile(means, shares[0], method="lower"), abs=1e-10)
    assert found.high == pytest.approx(np.quantile(means, shares[1], method="higher"), abs=1e-10)


def test_a_studentized_interval_is_the_textbooks() -> None:
    d, resamples = skewed(4, 20), 3000
    x, drawn = d / SCALE, counts("k", 20, 1, resamples)
    means = drawn @ x / 20
    errors = np.sqrt((drawn @ x**2 / 20 - means**2) / 20)
    low, high = np.quantile((means - x.mean()) / errors, [0.05, 0.95], method="nearest")
    found = interval_of(d, method="studentized", resamples=resamples, level=0.9, key="k")
    assert found.low == pytest.approx(x.mean() - high * x.std() / 20**0.5, abs=2e-3)
    assert found.high == pytest.approx(x.mean() - low * x.std() / 20**0.5, abs=2e-3)
    assert whole_steps(d).max() == 2**20


def test_studentized_intervals_hold_their_level_where_percentiles_do_not() -> None:
    """Of 400 samples of 10 skewed differences, how many intervals hold the true mean."""
    rng, samples = np.random.default_rng(12), 400
    rows = tuple(map(tuple, to_fixed(rng.exponential(0.1, (samples, 10)).clip(-1, 1)).tolist()))
    held = {}
    for method in METHODS:
        job = IntervalJob(values=rows, key="k", method=method, resamples=2000, level=0.9)
        held[method] = sum(each.low <= 0.1 <= each.high for each in compute(job, HOST).intervals) / samples
    assert held["percentile"] < 0.85
    assert held["percentile"] <= held["bca"]
    assert held["studentized"] == pytest.approx(0.9, abs=0.045)


def test_two_stages_cover_at_least_as_often_as_one() -> None:
    rng, samples = np.random.default_rng(13), 300
    cells = 0.05 * rng.normal(size=(samples, 16, 1)) + 0.2 * rng.normal(size=(samples, 16, 3))
    fixed = to_fixed(cells.clip(-1, 1))
    both = [
        IntervalJob(values=tuple(map(tuple, rows.tolist())), key="k", seeds=seeds, resamples=1000, level=0.9)
        for rows, seeds in (
            (fixed.reshape(samples, -1), 3),
            (np.rint(fixed.mean(axis=2)).astype(np.int64), 1),
        )
    ]
    two, one = ([each.low <= 0 <= each.high for each in compute(job, HOST).intervals] for job in both)
    assert sum(two) > sum(one)
    assert sum(one) / samples == pytest.approx(0.88, abs=0.05)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    "row", [[0] * 9, [SCALE // 3] * 9, [5], [SCALE], [-SCALE, SCALE], [SCALE, *[0] * 8], [1, -1, 1, 1]]
)
def test_degenerate_rows_give_finite_ends_around_the_estimate(method: Method, row: list[int]) -> None:
    found = interval_of(row, method=method, resamples=200, key="k")
    assert -1 <= found.low <= found.estimate <= found.high <= 1
    if len(set(row)) == 1:
        assert found.low == found.high == found.estimate


@pytest.mark.parametrize("method", METHODS)
def test_one_resample_will_do(method: Method) -> None:
    found = interval_of([1, 2, 3, 4], method=method, resamples=1, key="k")
    assert found.low == found.high or method == "studentized"


@pytest.mark.parametrize(
    ("cells", "options", "reason"),
    [
        ([], {}, "at least one cluster"),
        ([1, 2, 3], {"seeds": 2}, "no table of clusters x 2"),
        ([1, 2], {"seeds": 0}, "no table"),
        ([1, 2], {"seeds": 2, "method": "studentized"}, "draw whole clusters"),
        ([2**53], {}, "exact sums"),
        ([1] * 8193, {"method": "studentized"}, "8193 cells"),
        ([0.5], {}, "one row of integers"),
        ([1], {"level": 1.0}, "between 0 and 1"),
    ],
)
def test_what_gives_no_interval_is_refused(cells: list[int], options: dict[str, object], reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        interval_of(cells, key="k", **options)  # type: ignore[arg-type]
