"""The statistics of the gate, in NumPy: the reference that every other implementation agrees with to the bit.

Scores lie in [0, 1]. Differences are scaled to 64-bit integers first (`to_fixed`), so that a sum does not
depend on the order of its terms or on the library that forms it. As long as the absolute values sum to less
than 2**53, the same sums are exact in float64 too, which is what a matrix product on a CPU or a GPU computes;
every function here checks that. Randomness is a counter-based stream keyed by a text: no state, no clock.
"""

import hashlib
import math
from collections.abc import Iterator, Sequence
from statistics import NormalDist
from typing import TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from contracts.record import Record

Fixed: TypeAlias = NDArray[np.int64]
"""Integers in units of 1 / SCALE."""

SCALE = 2**40
"""Units of the fixed point in a score of 1."""
EXACT_LIMIT = 2**53
"""Integers below it are exact in float64."""
EXACT_CLUSTERS = 32
"""Up to so many clusters every assignment of signs is counted; beyond it they are sampled."""
SLACK = 2
"""Units per cluster within which two sums count as tied. A cluster's mean is off by at most 1.5 units, so
sums that are equal as fractions always tie; to count a near tie can only raise a p-value."""
BLOCK = 1 << 15
"""Cells of a resampling matrix that are held at once: few enough for a processor's cache."""


class SignFlip(Record):
    """A one-sided p-value: how often flipped signs give a mean at least as large as the one that was seen."""

    p: float
    exact: bool
    """Whether every assignment of signs was counted."""
    resamples: int
    """Assignments that were looked at: 2**K, or the number of samples."""


class Interval(Record):
    """An estimate and the interval around it."""

    estimate: float
    low: float
    high: float
    level: float


class Spread(Record):
    """Standard deviations of a paired difference, as `power` takes them."""

    between: float
    """Of the true effect between clusters."""
    within: float
    """Of one pair (one task, one seed) about its cluster's effect."""


def derive_seed(*parts: object) -> str:
    """A seed that follows from its parts (campaign, round, stage, index): 16 hex characters of BLAKE2b.

    Parts enter as text, each with its length before it, so that ("ab", "c") and ("a", "bc") differ.
    """
    return _digest(parts, 8).hex()


def to_fixed(values: ArrayLike) -> Fixed:
    """Numbers in [-1, 1] in units of 1 / SCALE, rounded to the nearest (a half to the even one).

    Raises:
        ValueError: a number is not finite or not in [-1, 1].
    """
    array = np.asarray(values, dtype=np.float64)
    if not np.all(np.abs(array) <= 1):  # NaN compares false
        raise ValueError("a score lies outside its range, or is not a number")
    return np.rint(array * SCALE).astype(np.int64)


def from_fixed(total: int, count: int = 1) -> float:
    """The mean of `count` fixed-point numbers whose sum is `total`."""
    return total / (count * SCALE)


def cluster_means(candidate: ArrayLike, incumbent: ArrayLike, clusters: Sequence[str]) -> Fixed:
    """Mean difference of every cluster, over its tasks and all seeds; clusters in the order of their names.

    Args:
        candidate: scores, tasks x seeds.
        incumbent: scores of the same tasks with the same seeds.
        clusters: the cluster of each task.

    Returns:
        One number per cluster, in units of 1 / SCALE. The sum of a cluster is exact; its division rounds to
        the nearest, a half away from zero, so exchanging the arms changes the sign and nothing else.

    Raises:
        ValueError: the shapes do not fit, or a score is outside [0, 1].
    """
    new, old = _scores(candidate, clusters), _scores(incumbent, clusters)
    if new.shape != old.shape:
        raise ValueError(f"the arms have different shapes: {new.shape} and {old.shape}")
    return _means(to_fixed(new) - to_fixed(old), clusters)


def score_means(scores: ArrayLike, clusters: Sequence[str]) -> Fixed:
    """Mean score of every cluster, as `cluster_means` has it for differences."""
    return _means(to_fixed(_scores(scores, clusters)), clusters)


def sign_flip_p(d: ArrayLike, *, resamples: int = 10_000, key: str) -> SignFlip:
    """Test one-sided whether the mean of `d` is above 0, flipping the signs of whole clusters.

    Up to `EXACT_CLUSTERS` clusters the answer is #{T* >= T} / 2**K and depends on nothing but `d`; beyond,
    it is (1 + #{T* >= T}) / (resamples + 1) with signs drawn from the stream of `key`. Ties count (see
    `SLACK`), so differences that are all 0 give 1. A p-value below 2**-K cannot occur.

    Args:
        d: one fixed-point number per cluster.
        resamples: how many assignments of signs to sample where they are not all counted.
        key: names the stream of random signs.
    """
    array = checked(d)
    clusters = len(array)
    limit = SLACK * clusters
    if clusters <= EXACT_CLUSTERS:
        return SignFlip(p=_subsets(array, limit) / 2**clusters, exact=True, resamples=2**clusters)
    floats = array.astype(np.float64)
    hits = 0
    for flips in flip_blocks(key, clusters, resamples):
        hits += int(np.count_nonzero(flips.astype(np.float64) @ floats <= limit))
    return sampled_p(hits, resamples)


def sampled_p(hits: int, resamples: int) -> SignFlip:
    """The p-value of `hits` sampled means that are at least as large as the one that was seen."""
    return SignFlip(p=(1 + hits) / (resamples + 1), exact=False, resamples=resamples)


def bootstrap_interval(d: ArrayLike, *, level: float = 0.95, resamples: int = 10_000, key: str) -> Interval:
    """Percentile interval of the mean of `d` when whole clusters are drawn with replacement.

    Describes, and does not decide: with few clusters (below 20, say) such intervals are somewhat too short.
    The ends are order statistics, rounded outwards, so they are exact too.
    """
    array = checked(d)
    if not len(array):
        raise ValueError("an interval needs at least one cluster")
    floats = array.astype(np.float64)
    sums = [counts.astype(np.float64) @ floats for counts in draw_blocks(key, len(array), resamples)]
    return percentile_interval(np.concatenate(sums), array, level)


def percentile_interval(sums: NDArray[np.float64], d: Fixed, level: float) -> Interval:
    """The interval that follows from the bootstrapped sums of `d`."""
    low, high = interval_ranks(len(sums), level)
    ordered = np.partition(sums, (low, high))
    count = len(d)
    return Interval(
        estimate=from_fixed(int(d.sum()), count),
        low=from_fixed(int(ordered[low]), count),
        high=from_fixed(int(ordered[high]), count),
        level=level,
    )


def cluster_interval(
    scores: ArrayLike,
    clusters: Sequence[str],
    *,
    level: float = 0.95,
    resamples: int = 10_000,
    key: str,
) -> Interval:
    """Mean score of one arm (clusters weigh alike) with its cluster bootstrap interval."""
    return bootstrap_interval(score_means(scores, clusters), level=level, resamples=resamples, key=key)


def wilson_interval(successes: int, n: int, level: float = 0.95) -> Interval:
    """Wilson's score interval of a proportion; (0, 1) when nothing was tried.

    Source: E. B. Wilson, Probable Inference (1927).
    """
    if not 0 <= successes <= n:
        raise ValueError(f"{successes} of {n} is no proportion")
    if n == 0:
        return Interval(estimate=0.0, low=0.0, high=1.0, level=level)
    low, high = _wilson(successes, n, NormalDist().inv_cdf(0.5 + level / 2))
    return Interval(estimate=successes / n, low=low, high=high, level=level)


def wilson_upper(successes: int, n: int, level: float = 0.95) -> float:
    """One-sided upper bound of a proportion at `level`, after Wilson."""
    if not 0 <= successes <= n:
        raise ValueError(f"{successes} of {n} is no proportion")
    return _wilson(successes, n, NormalDist().inv_cdf(level))[1] if n else 1.0


def power(
    effect: float,
    *,
    sd_between: float,
    sd_within: float,
    clusters: int,
    tasks: int,
    seeds: int,
    alpha: float,
) -> float:
    """Chance that a one-sided test at `alpha` sees a true `effect`: a normal approximation.

    The mean difference varies by sd_between² / clusters + sd_within² / (tasks · seeds). More seeds shrink the
    second term only.
    """
    error = math.sqrt(sd_between**2 / clusters + sd_within**2 / (tasks * seeds))
    normal = NormalDist()
    if error == 0:
        return 1.0 if effect > 0 else alpha
    return normal.cdf(effect / error - normal.inv_cdf(1 - alpha))


def seeds_for(
    effect: float,
    *,
    sd_between: float,
    sd_within: float,
    clusters: int,
    tasks: int,
    alpha: float,
    at_most: int,
    wanted: float = 0.8,
) -> int:
    """The fewest seeds, of 1 to `at_most`, that see `effect` with power `wanted`; `at_most` if none does."""
    for seeds in range(1, at_most):
        reached = power(
            effect,
            sd_between=sd_between,
            sd_within=sd_within,
            clusters=clusters,
            tasks=tasks,
            seeds=seeds,
            alpha=alpha,
        )
        if reached >= wanted:
            return seeds
    return max(1, at_most)


def spread(candidate: ArrayLike, incumbent: ArrayLike, clusters: Sequence[str]) -> Spread:
    """Estimate what `power` needs from measured arms: variance between clusters is what noise leaves over."""
    means = cluster_means(candidate, incumbent, clusters) / SCALE
    pairs = _scores(candidate, clusters) - _scores(incumbent, clusters)
    index, sizes = _groups(clusters)
    cells = sizes * pairs.shape[1]
    freedom = pairs.size - len(sizes)
    within = float(((pairs - means[index][:, None]) ** 2).sum()) / freedom if freedom > 0 else 0.0
    total = float(means.var(ddof=1)) if len(means) > 1 else 0.0
    noise = within * float(np.mean(1 / cells))
    return Spread(between=math.sqrt(max(0.0, total - noise)), within=math.sqrt(within))


def checked(d: ArrayLike) -> Fixed:
    """Fixed-point numbers as an array of 64-bit integers, fit for exact sums in float64.

    Raises:
        ValueError: they are not one row of integers, or their absolute values sum to 2**53 or more.
    """
    array = np.asarray(d)
    if array.ndim != 1 or (array.size and not np.issubdtype(array.dtype, np.integer)):
        raise ValueError("fixed-point numbers are one row of integers")
    largest = max(abs(int(array.min())), abs(int(array.max()))) if array.size else 0
    if largest * array.size >= EXACT_LIMIT and sum(abs(int(value)) for value in array) >= EXACT_LIMIT:
        raise ValueError(
            "too many or too large numbers for exact sums: no more than 8,000 clusters of scores"
        )
    return array.astype(np.int64)


def block_rows(columns: int) -> int:
    """Rows of a resampling matrix that are made at once."""
    return max(1, BLOCK // max(1, columns))


def flip_blocks(
    key: str,
    clusters: int,
    resamples: int,
    rows: int | None = None,
) -> Iterator[NDArray[np.uint8]]:
    """Which clusters are flipped: 0 or 1, resamples x clusters, in blocks of at most `rows` rows.

    Row b is bits b·w to (b+1)·w of the stream, w being the clusters rounded up to 64; so blocks of any size
    are parts of the same matrix. As T* = T - 2 · (sum of the flipped), T* >= T says that this sum is <= 0.
    """
    stream = philox("sign flip", key)
    words = -(-clusters // 64)
    for count in _chunks(resamples, rows or block_rows(64 * words)):
        raw = stream.random_raw(count * words).astype("<u8").view(np.uint8)
        yield np.unpackbits(raw, bitorder="little").reshape(count, 64 * words)[:, :clusters]


def draw_blocks(
    key: str,
    clusters: int,
    resamples: int,
    rows: int | None = None,
) -> Iterator[NDArray[np.int64]]:
    """How often each cluster is drawn: resamples x clusters counts, in blocks of at most `rows` rows.

    Draws are 32-bit halves of the stream, scaled by a multiplication and a shift; the bias of that is below
    clusters / 2**32. A row takes the clusters rounded up to an even number of draws.
    """
    stream = philox("bootstrap", key)
    words = -(-clusters // 2)
    for count in _chunks(resamples, rows or block_rows(2 * words)):
        raw = stream.random_raw(count * words).astype("<u8").view("<u4").reshape(count, 2 * words)
        flat = raw[:, :clusters].astype(np.uint64)
        flat *= np.uint64(clusters)
        flat >>= np.uint64(32)
        flat += clusters * np.arange(count, dtype=np.uint64)[:, None]
        yield np.bincount(flat.ravel().view(np.int64), minlength=count * clusters).reshape(count, clusters)


def interval_ranks(resamples: int, level: float) -> tuple[int, int]:
    """0-based ranks of an interval's ends among sorted resamples, rounded outwards."""
    if not 0 < level < 1 or resamples < 1:
        raise ValueError("an interval needs a level between 0 and 1 and at least one resample")
    low = math.floor((1 - level) / 2 * (resamples - 1))
    return low, resamples - 1 - low


def halves_sums(d: Fixed) -> tuple[Fixed, Fixed]:
    """Sums of every subset of the first and of the second half of `d`, unsorted."""
    middle = len(d) // 2
    return _subset_sums(d[:middle]), _subset_sums(d[middle:])


def _subset_sums(d: Fixed) -> Fixed:
    sums = np.zeros(1, dtype=np.int64)
    for value in d:
        sums = np.concatenate((sums, sums + value))
    return sums


def _subsets(d: Fixed, limit: int) -> int:
    """How many of the 2**K subsets of `d` have a sum of at most `limit`.

    Every subset is one of the first half joined with one of the second; with the second half's sums in order,
    a binary search counts the partners of each (Horowitz and Sahni, 1974): 2**(K/2) work instead of 2**K.
    """
    first, second = halves_sums(d)
    return int(np.searchsorted(np.sort(second), limit - np.sort(first), side="right").sum())


def _wilson(successes: int, n: int, z: float) -> tuple[float, float]:
    share = successes / n
    scale = 1 + z * z / n
    middle = (share + z * z / (2 * n)) / scale
    half = z / scale * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    return max(0.0, middle - half), min(1.0, middle + half)


def _scores(scores: ArrayLike, clusters: Sequence[str]) -> NDArray[np.float64]:
    array = np.asarray(scores, dtype=np.float64)
    if array.ndim != 2 or not array.size:
        raise ValueError("scores are a table of tasks x seeds with at least one of each")
    if len(array) != len(clusters):
        raise ValueError(f"there are scores of {len(array)} tasks, and clusters for {len(clusters)}")
    if not np.all((array >= 0) & (array <= 1)):
        raise ValueError("a score lies outside [0, 1], or is not a number")
    return array


def _groups(clusters: Sequence[str]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Index of each task's cluster among the sorted names, and how many tasks each cluster has."""
    _, index, sizes = np.unique(np.asarray(clusters, dtype=np.str_), return_inverse=True, return_counts=True)
    return index, sizes


def _means(cells: Fixed, clusters: Sequence[str]) -> Fixed:
    index, sizes = _groups(clusters)
    if int(sizes.max()) * cells.shape[1] >= 2**21:
        raise ValueError("one cluster holds too many scores for exact sums")
    sums = np.zeros(len(sizes), dtype=np.int64)
    np.add.at(sums, index, cells.sum(axis=1))
    counts = sizes.astype(np.int64) * cells.shape[1]
    rounded: Fixed = np.sign(sums) * ((2 * np.abs(sums) + counts) // (2 * counts))
    return rounded


def _chunks(total: int, size: int) -> Iterator[int]:
    for start in range(0, total, size):
        yield min(size, total - start)


def philox(*parts: object) -> np.random.Philox:
    """A counter-based stream of random bits that follows from its parts alone."""
    return np.random.Philox(key=stream_key(*parts))


def stream_key(*parts: object) -> int:
    """The 128 bits that a stream is keyed by."""
    return int.from_bytes(_digest(parts, 16), "big")


def _digest(parts: Sequence[object], size: int) -> bytes:
    digest = hashlib.blake2b(digest_size=size)
    for part in parts:
        text = str(part).encode()
        digest.update(len(text).to_bytes(8, "big"))
        digest.update(text)
    return digest.digest()
