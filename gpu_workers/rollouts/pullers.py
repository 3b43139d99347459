"""Who pulls the arms of a bandit: beliefs about every arm of every lane, and what is chosen by them."""

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np

from contracts.rollouts import Bandit, BanditPolicy, EpsilonGreedy, Thompson, Ucb, Uniform
from gpu_workers.arrays import Arrays
from gpu_workers.rollouts.actors import best
from gpu_workers.rollouts.luck import Luck, Purpose, box_muller

_TINY = 1e-12


class Puller(Protocol):
    """Chooses arms and learns from what they give, in all lanes at once."""

    def choose(self, context: Any, time: int) -> Any:
        """An arm for every lane: members x lanes."""
        ...

    def learn(self, context: Any, arm: Any, reward: Any) -> None:
        """Take notice of rewards (members x lanes)."""
        ...


def make_puller(
    bandit: Bandit, policies: Sequence[BanditPolicy | Uniform], luck: Luck, arrays: Arrays
) -> Puller:
    """The puller for members whose policies are of one kind; their numbers may differ."""
    first = policies[0]
    if isinstance(first, Uniform):
        return _Anyone(bandit, luck)
    beliefs = (_Linear if bandit.reward == "linear" else _Means)(bandit, policies, luck, arrays)
    if isinstance(first, EpsilonGreedy):
        return _EpsilonGreedy(beliefs, bandit, policies, luck, arrays)
    return beliefs


def _column(policies: Sequence[Any], name: str, default: float, arrays: Arrays) -> Any:
    values = [float(getattr(policy, name, default)) for policy in policies]
    return arrays.put(np.array(values)[:, None, None])


class _Anyone:
    """Pulls any arm."""

    def __init__(self, bandit: Bandit, luck: Luck) -> None:
        self._arms, self._luck = bandit.arms, luck

    def choose(self, _context: Any, time: int) -> Any:
        return (self._luck.each(Purpose.ACTION, time) * self._arms).astype(np.int64)

    def learn(self, _context: Any, _arm: Any, _reward: Any) -> None:
        pass


class _Means:
    """Counts and sums for each arm, members x arms x lanes. Every arm is pulled once before any is chosen."""

    def __init__(
        self, bandit: Bandit, policies: Sequence[BanditPolicy | Uniform], luck: Luck, arrays: Arrays
    ) -> None:
        self._bandit, self._luck, self._arrays, self._xp = bandit, luck, arrays, arrays.xp
        self._kind = type(policies[0])
        shape = (len(policies), bandit.arms, luck.lanes)
        self._counts, self._sums = arrays.xp.zeros(shape), arrays.xp.zeros(shape)
        self._discount = _column(policies, "discount", 1.0, arrays)
        self._forgets = any(getattr(policy, "discount", 1.0) != 1.0 for policy in policies)
        self._width = _column(policies, "width", 1.0, arrays)
        self._arms = arrays.put(np.arange(bandit.arms))[None, :, None]
        self._noise = max(bandit.noise, _TINY)

    def choose(self, _context: Any, time: int) -> Any:
        members, arms, lanes = self._counts.shape
        if time < arms and self._kind is not Thompson:
            return self._xp.full((members, lanes), time, dtype=np.int64)
        return best(self._xp, self._scores(time))

    def learn(self, _context: Any, arm: Any, reward: Any) -> None:
        pulled = arm[:, None] == self._arms
        if self._forgets:
            self._counts *= self._discount
            self._sums *= self._discount
        self._counts += pulled
        self._sums += pulled * reward[:, None]

    def _scores(self, time: int) -> Any:
        xp = self._xp
        if self._kind is Thompson and self._bandit.reward == "bernoulli":
            won = gamma(xp, self._luck, 1 + self._sums, 2 * time)
            lost = gamma(xp, self._luck, 1 + xp.maximum(self._counts - self._sums, 0.0), 2 * time + 1)
            return won / (won + lost)
        if self._kind is Thompson:
            precision = 1 + self._counts / self._noise**2
            drawn = self._luck.normals(Purpose.BELIEF, time, self._bandit.arms)
            return self._sums / self._noise**2 / precision + drawn / xp.sqrt(precision)
        counts = xp.maximum(self._counts, _TINY)
        means = self._sums / counts
        if self._kind is EpsilonGreedy:
            return means
        total = self._counts[:, 0]
        for number in range(1, self._bandit.arms):
            total = total + self._counts[:, number]
        scale = 1.0 if self._bandit.reward == "bernoulli" else self._noise
        return means + self._width * scale * xp.sqrt(2 * xp.log(xp.maximum(total, 1.0))[:, None] / counts)


class _Linear:
    """Ridge regression for each arm: coefficients, members x arms x features x lanes, and their covariance.

    The penalty is 1, and the inverse is kept up to date by one rank at a time (Sherman and Morrison).
    """

    def __init__(
        self, bandit: Bandit, policies: Sequence[BanditPolicy | Uniform], luck: Luck, arrays: Arrays
    ) -> None:
        self._bandit, self._luck, self._xp = bandit, luck, arrays.xp
        self._kind = type(policies[0])
        size, shape = bandit.features, (len(policies), bandit.arms)
        self._theta = arrays.xp.zeros((*shape, size, luck.lanes))
        self._inverse = arrays.put(np.eye(size))[None, None, :, :, None] + arrays.xp.zeros(
            (*shape, size, size, luck.lanes)
        )
        self._width = _column(policies, "width", 1.0, arrays) * max(bandit.noise, _TINY)
        self._arms = arrays.put(np.arange(bandit.arms))[None, :, None]
        self._product: Any = None
        """The inverse times the context of this pull, members x arms x features x lanes."""
        self._variance: Any = None
        """The context times that: members x arms x lanes."""

    def choose(self, context: Any, time: int) -> Any:
        xp, size = self._xp, self._bandit.features
        product = self._inverse[:, :, :, 0] * context[:, None, None, 0]
        for number in range(1, size):
            product = product + self._inverse[:, :, :, number] * context[:, None, None, number]
        self._product = product
        self._variance = dot(product, context)
        means = dot(self._theta, context)
        if self._kind is EpsilonGreedy:
            return best(xp, means)
        deviation = self._width * xp.sqrt(xp.maximum(self._variance, 0.0))
        if self._kind is Ucb:
            return best(xp, means + deviation)
        return best(xp, means + deviation * self._luck.normals(Purpose.BELIEF, time, self._bandit.arms))

    def learn(self, context: Any, arm: Any, reward: Any) -> None:
        pulled = (arm[:, None] == self._arms) / (1 + self._variance)
        error = reward[:, None] - dot(self._theta, context)
        self._theta += (pulled * error)[:, :, None] * self._product
        self._inverse -= pulled[:, :, None, None] * self._product[:, :, :, None] * self._product[:, :, None]


class _EpsilonGreedy:
    """Pulls the best arm by the means so far, and any arm with a chance of epsilon."""

    def __init__(
        self,
        beliefs: Puller,
        bandit: Bandit,
        policies: Sequence[BanditPolicy | Uniform],
        luck: Luck,
        arrays: Arrays,
    ) -> None:
        self._beliefs, self._luck, self._xp, self._arms = beliefs, luck, arrays.xp, bandit.arms
        self._first = bandit.arms if bandit.reward != "linear" else 0
        self._epsilon = _column(policies, "epsilon", 0.0, arrays)[:, 0]

    def choose(self, context: Any, time: int) -> Any:
        found = self._beliefs.choose(context, time)
        if time < self._first:
            return found
        chance = self._luck.each(Purpose.ACTION, time)
        # Given that it lies below epsilon, the number over epsilon is uniform again: it names the arm.
        share = chance / self._xp.maximum(self._epsilon, _TINY)
        other = self._xp.minimum((share * self._arms).astype(np.int64), self._arms - 1)
        return self._xp.where(chance < self._epsilon, other, found)

    def learn(self, context: Any, arm: Any, reward: Any) -> None:
        self._beliefs.learn(context, arm, reward)


def dot(rows: Any, context: Any) -> Any:
    """Products of rows (members x arms x features x lanes) with contexts (members x features x lanes).

    Summed one feature after the other, so that no lane depends on how many there are.
    """
    found = rows[:, :, 0] * context[:, None, 0]
    for number in range(1, rows.shape[2]):
        found = found + rows[:, :, number] * context[:, None, number]
    return found


def gamma(xp: Any, luck: Luck, shape: Any, time: int) -> Any:
    """Gamma numbers of shapes of at least 1 (members x arms x lanes), exact: what is rejected is drawn again.

    Source: Marsaglia and Tsang (2000).
    """
    third = shape - 1 / 3
    arms = xp.arange(shape.shape[1], dtype=np.uint64)
    found, taken = _accepted(xp, third, luck.fours(Purpose.BELIEF, time, arms))
    attempt = 0
    while True:
        member, arm, lane = xp.nonzero(~taken)
        if not len(member):
            return found
        attempt += 1
        some, index = luck.at(member, lane), arms[arm] + (attempt << 8)
        found[member, arm, lane], taken[member, arm, lane] = _accepted(
            xp, third[member, arm, lane], some.fours(Purpose.BELIEF, time, index)
        )


def _accepted(xp: Any, third: Any, uniform: Sequence[Any]) -> tuple[Any, Any]:
    """One attempt for each: a number, and whether it may be taken."""
    normal, _ = box_muller(xp, uniform[0], uniform[1])
    root = 1 + normal / xp.sqrt(9 * third)
    cube = root * root * root
    whole = xp.where(cube > 0, cube, 1.0)
    bound = 0.5 * normal * normal + third * (1 - whole + xp.log(whole))
    return third * whole, (cube > 0) & (xp.log(uniform[2]) < bound)
