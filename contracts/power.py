"""Before money is spent: how surely a comparison sees an effect, how many seeds that takes, and what it costs.

A confirmation keeps a change when its sign flips give p ≤ alpha and its mean reaches the minimum effect. Means of
clusters are taken for normal; then sign flips decide nearly as Student's test does, and the chance to keep is an
integral over the standard error, without simulation. `contracts.simulation` makes the decisions one by one and agrees.
The guardrails (cost, protected tasks) are left out: a change that runs into them is not kept, however large its effect.

Sources: Student (1908) for the test; E. Miller, Adding Error Bars to Evals (2024) for the two variances.
"""

import math
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from functools import cache
from itertools import pairwise
from statistics import NormalDist

import numpy as np
from numpy.typing import ArrayLike, NDArray

from contracts.gate import GateSettings
from contracts.record import Record
from contracts.statistics import Spread, cluster_means, from_fixed, spread

MOST_SEEDS = 4096
"""Seeds beyond which nobody looks."""
MOST_PACKAGES = 8000
"""Packages beyond which sums would not be exact."""
_NODES = 96
_REACH = 10.0
"""Standard deviations of the standard error over which is integrated."""
_NORMAL = NormalDist()


class Design(Record):
    """What decides how much a comparison of two harnesses sees, but for the seeds."""

    sizes: tuple[int, ...]
    """Tasks of each package."""
    spread: Spread
    alpha: float = GateSettings().alpha
    """Largest p-value that counts as seen."""
    minimum_effect: float = 0.0
    """Smallest mean difference that counts as seen."""

    def __post_init__(self) -> None:
        """Refuse what no comparison can be made of."""
        if not self.sizes or min(self.sizes) < 1:
            raise ValueError("a comparison needs at least one package, and a task in each")
        check_packages(len(self.sizes))
        if not 0 < self.alpha < 1:
            raise ValueError(f"alpha is {self.alpha:g}; a level lies between 0 and 1")
        for name, value in (("between", self.spread.between), ("within", self.spread.within)):
            if not 0 <= value <= 1:
                raise ValueError(
                    f"the spread {name} packages is {value:g}; differences of scores spread by 0 to 1"
                )
        if not 0 <= self.minimum_effect < 1:
            raise ValueError(f"the minimum effect is {self.minimum_effect:g}; it lies between 0 and 1")

    @property
    def tasks(self) -> int:
        """How many there are."""
        return sum(self.sizes)

    def error(self, seeds: int) -> float:
        """Standard error of the mean difference over packages.

        Raises:
            ValueError: there is not one seed.
        """
        if seeds < 1:
            raise ValueError("a comparison needs at least one seed")
        count = len(self.sizes)
        noise = self.spread.within**2 / seeds * sum(1 / size for size in self.sizes) / count**2
        return math.sqrt(self.spread.between**2 / count + noise)


class PowerRow(Record):
    """What a number of seeds buys."""

    seeds: int
    episodes: int
    """Of one comparison: both arms, every task, every seed."""
    dollars: float | None
    """What these cost; None where no price is known."""
    power: tuple[float, ...]
    """Chance to see each of the table's effects."""
    least: float | None
    """The smallest effect that is seen with the wanted power; None where no difference of scores is."""


class Need(Record):
    """What it takes to see an effect with the wanted power."""

    effect: float
    seeds: int | None
    """None where no number of seeds suffices: then packages are missing."""
    episodes: int | None
    dollars: float | None
    packages: int | None
    """Packages (of as many tasks as these have in the mean) that would do at the table's most seeds, where seeds alone
    do not; None where seeds do, or where no number of packages would."""


class PowerTable(Record):
    """A design at several numbers of seeds."""

    design: Design
    wanted: float
    effects: tuple[float, ...]
    rows: tuple[PowerRow, ...]
    needs: tuple[Need, ...]
    """One for each effect above 0."""


def check_packages(count: int) -> None:
    """Whether a comparison may have so many packages.

    Raises:
        ValueError: these are too many.
    """
    if count > MOST_PACKAGES:
        raise ValueError(f"{count:,} packages are more than the {MOST_PACKAGES:,} whose sums are exact")


def seen(design: Design, effect: float, seeds: int) -> float:
    """Chance that a comparison sees a true mean difference of `effect` (0: that it errs)."""
    count = len(design.sizes)
    level = reachable(design.alpha, count)
    if level <= 0:
        return 0.0
    error = design.error(seeds)
    if error == 0:
        return float(effect > 0 and effect >= design.minimum_effect)
    if count == 1:  # the only p-values are 1/2 and 1
        return _NORMAL.cdf((effect - design.minimum_effect) / error)
    critical = _student(level, count - 1)
    least = design.minimum_effect

    def kept(s: float) -> float:
        return _NORMAL.cdf((effect - max(critical * s * error, least)) / error)

    turn = least / (critical * error) if critical > 0 else 0.0
    return _over_errors(kept, count - 1, turn)


def reachable(alpha: float, clusters: int) -> float:
    """The largest p-value of at most `alpha` that sign flips over so many clusters can give; 0 where there is none."""
    if clusters >= 53:
        return alpha
    return math.floor(alpha * (1 << clusters)) / (1 << clusters)


def seeds_wanted(design: Design, effect: float, wanted: float = 0.8) -> int | None:
    """The fewest seeds that see `effect` with power `wanted`; None where no number up to `MOST_SEEDS` does."""
    return _least_count(lambda seeds: seen(design, effect, seeds), wanted, MOST_SEEDS)


def packages_wanted(design: Design, effect: float, seeds: int, wanted: float = 0.8) -> int | None:
    """The fewest packages, of as many tasks as the design's have in the mean, that see `effect` at so many seeds."""
    size = max(1, round(design.tasks / len(design.sizes)))

    def chance(count: int) -> float:
        return seen(_with_sizes(design, (size,) * count), effect, seeds)

    return _least_count(chance, wanted, MOST_PACKAGES)


def least_effect(design: Design, seeds: int, wanted: float = 0.8) -> float | None:
    """The smallest effect that is seen with power `wanted`, to four digits; None where not even 1 is."""
    low, high = 0.0, 1.0
    if seen(design, high, seeds) < wanted:
        return None
    while high - low > 5e-5:
        middle = (low + high) / 2
        low, high = (low, middle) if seen(design, middle, seeds) >= wanted else (middle, high)
    return high


def table(
    design: Design,
    *,
    effects: Sequence[float],
    seeds: Sequence[int],
    wanted: float = 0.8,
    price: float | None = None,
) -> PowerTable:
    """What each number of seeds buys, and what each effect takes.

    Args:
        design: the comparison.
        effects: true mean differences, in [-1, 1].
        seeds: numbers of seeds, each at least 1.
        wanted: the power that counts as enough, between 0 and 1.
        price: dollars of one episode; None where it is not known.

    Raises:
        ValueError: a number lies where it makes no sense.
    """
    if not effects or not all(-1 <= effect <= 1 for effect in effects):
        raise ValueError("effects are differences of scores: between -1 and 1, and at least one")
    if not seeds or not all(1 <= count <= MOST_SEEDS for count in seeds):
        raise ValueError(f"seeds are counts between 1 and {MOST_SEEDS}, and at least one")
    if not 0 < wanted < 1:
        raise ValueError(f"the wanted power is {wanted:g}; it lies between 0 and 1")
    if price is not None and not 0 <= price < math.inf:
        raise ValueError(f"the price of an episode is {price:g}; it is 0 or more dollars")

    def dollars(episodes: int) -> float | None:
        return None if price is None else round(episodes * price, 6)

    rows = [
        PowerRow(
            seeds=count,
            episodes=2 * design.tasks * count,
            dollars=dollars(2 * design.tasks * count),
            power=tuple(seen(design, effect, count) for effect in effects),
            least=least_effect(design, count, wanted),
        )
        for count in sorted(set(seeds))
    ]
    needs = []
    for effect in (effect for effect in effects if effect > 0):
        count = seeds_wanted(design, effect, wanted)
        episodes = None if count is None else 2 * design.tasks * count
        needs.append(
            Need(
                effect=effect,
                seeds=count,
                episodes=episodes,
                dollars=None if episodes is None else dollars(episodes),
                packages=packages_wanted(design, effect, max(seeds), wanted) if count is None else None,
            )
        )
    return PowerTable(
        design=design, wanted=wanted, effects=tuple(effects), rows=tuple(rows), needs=tuple(needs)
    )


def pooled_spread(pairs: Iterable[tuple[ArrayLike, ArrayLike, Sequence[str]]]) -> Spread:
    """How paired differences spread over several comparisons: (challenger, incumbent, cluster of each task) of each.

    Variances are pooled, not deviations, and the variance between clusters is set to 0 only after that: set to 0 in
    each comparison alone it would come out too large. Effects may differ from one comparison to another.

    Raises:
        ValueError: there is none, no cluster has two scores, or no comparison has two clusters.
    """
    within, freedom, total, noise, degrees = 0.0, 0, 0.0, 0.0, 0
    for candidate, incumbent, clusters in pairs:
        sizes = list(Counter(clusters).values())
        columns = np.asarray(candidate).shape[-1]
        left = len(clusters) * columns - len(sizes)
        within += spread(candidate, incumbent, clusters).within ** 2 * left
        freedom += left
        if len(sizes) > 1:
            d = cluster_means(candidate, incumbent, clusters)
            means = [from_fixed(int(value)) for value in d]
            total += float(np.var(means, ddof=1)) * (len(sizes) - 1)
            noise += sum(1 / (size * columns) for size in sizes) / len(sizes) * (len(sizes) - 1)
            degrees += len(sizes) - 1
    if not freedom:
        raise ValueError("nothing shows how scores spread within a package: no two of one were compared")
    if not degrees:
        raise ValueError("nothing shows how packages differ: no comparison has two of them")
    variance = within / freedom
    between = max(0.0, total / degrees - variance * noise / degrees)
    return Spread(between=math.sqrt(between), within=math.sqrt(variance))


def _with_sizes(design: Design, sizes: tuple[int, ...]) -> Design:
    return Design(sizes=sizes, spread=design.spread, alpha=design.alpha, minimum_effect=design.minimum_effect)


def _least_count(chance: Callable[[int], float], wanted: float, most: int) -> int | None:
    """The smallest of 1 to `most` with a chance of `wanted`, which grows with the count."""
    if chance(most) < wanted:
        return None
    low, high = 0, most
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if chance(middle) >= wanted else (middle, high)
    return high


@cache
def _student(alpha: float, freedom: int) -> float:
    """The quantile of Student's t that a share of `alpha` lies above."""
    low, high = -1e3, 1e3
    for _ in range(60):
        t = (low + high) / 2
        above = _over_errors(lambda s, t=t: _NORMAL.cdf(-t * s), freedom)  # type: ignore[misc]
        low, high = (t, high) if above > alpha else (low, t)
    return (low + high) / 2


def _over_errors(value: Callable[[float], float], freedom: int, turn: float = 0.0) -> float:
    """Mean of `value` at an estimated standard error, as a multiple of the true one: the root of chi² / freedom.

    Gauss-Legendre on both sides of `turn`, where the value may have an edge.
    """
    width = _REACH / math.sqrt(2 * freedom)
    low, high = max(0.0, 1 - width), 1 + width
    edges = [low, turn, high] if low < turn < high else [low, high]
    nodes, weights = _legendre()
    total = sum_ = 0.0
    for start, end in pairwise(edges):
        half = (end - start) / 2
        points = start + half * (nodes + 1)
        logs = (freedom - 1) * np.log(points) - freedom * (points**2 - 1) / 2
        density = weights * half * np.exp(logs)
        total += float(density.sum())
        sum_ += float(density @ np.array([value(s) for s in points.tolist()]))
    return sum_ / total


@cache
def _legendre() -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    nodes, weights = np.polynomial.legendre.leggauss(_NODES)
    return nodes, weights
