"""Bandits: problems of many episodes at once, with those who pull their arms, and what that costs them."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from contracts.rollouts import Bandit, BanditPolicy, Uniform, regret_points
from gpu_workers.arrays import Arrays
from gpu_workers.rollouts.luck import Luck, Purpose
from gpu_workers.rollouts.pullers import dot, make_puller
from gpu_workers.rollouts.watch import Watch


class Problem:
    """The arms of all lanes; means are members x arms x lanes, and rewards are drawn about them."""

    def __init__(self, bandit: Bandit, luck: Luck, arrays: Arrays) -> None:
        self._bandit, self._luck, self._xp = bandit, luck, arrays.xp
        self.context: Any = None
        """Members x features x lanes at this pull; None where arms have no use for one."""
        shape = (len(luck.keys), bandit.arms, luck.lanes)
        if bandit.reward == "linear":
            drawn = luck.normals(Purpose.BEGIN, 0, bandit.arms * bandit.features)
            self._vectors = drawn.reshape(shape[0], bandit.arms, bandit.features, shape[2])
            self._vectors = self._vectors / math.sqrt(bandit.features)
        elif bandit.means:
            self.means = arrays.put(np.array(bandit.means))[None, :, None] + arrays.xp.zeros(shape)
        elif bandit.reward == "bernoulli":
            self.means = arrays.xp.stack(luck.several(Purpose.BEGIN, 0, bandit.arms), axis=1)
        else:
            self.means = luck.normals(Purpose.BEGIN, 0, bandit.arms)

    def look(self, time: int) -> None:
        """What there is to see before a pull: a context, from which the means follow where arms are linear."""
        if self._bandit.reward != "linear":
            return
        self.context = self._luck.normals(Purpose.CONTEXT, time, self._bandit.features)
        self.means = dot(self._vectors, self.context)

    def pull(self, arm: Any, time: int) -> tuple[Any, Any]:
        """Rewards, and how much lower their means are than the best arm's (members x lanes); then arms drift."""
        xp, means = self._xp, self.means
        best, mine = means[:, 0], xp.zeros_like(means[:, 0])
        for number in range(means.shape[1]):
            best = xp.maximum(best, means[:, number])
            mine = xp.where(arm == number, means[:, number], mine)
        if self._bandit.reward == "bernoulli":
            reward = (self._luck.each(Purpose.WORLD, time) < mine).astype(np.float64)
        else:
            reward = mine + self._bandit.noise * self._luck.normals(Purpose.WORLD, time, 1)[:, 0]
        if self._bandit.drift:
            self._drift(time)
        return reward, best - mine

    def _drift(self, time: int) -> None:
        moved = self.means + self._bandit.drift * self._luck.normals(Purpose.DRIFT, time, self._bandit.arms)
        if self._bandit.reward == "bernoulli":
            moved = self._xp.clip(moved, 0.0, 1.0)
        self.means = moved


def play_bandit(
    bandit: Bandit,
    policies: Sequence[BanditPolicy | Uniform],
    luck: Luck,
    arrays: Arrays,
    watch: Watch,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Pull arms in every lane to the end of its episode; policies are of one kind, one for each member.

    Returns:
        The sum of rewards of every lane (members x lanes), and its regret at each of `regret_points` (members
        x points x lanes), on the host.
    """
    xp = arrays.xp
    problem = Problem(bandit, luck, arrays)
    puller = make_puller(bandit, policies, luck, arrays)
    members = len(policies)
    points = {pull: place for place, pull in enumerate(regret_points(bandit))}
    returns, regret = xp.zeros((members, luck.lanes)), xp.zeros((members, luck.lanes))
    curve = np.zeros((members, len(points), luck.lanes))
    for time in range(bandit.limit):
        problem.look(time)
        arm = puller.choose(problem.context, time)
        reward, missed = problem.pull(arm, time)
        puller.learn(problem.context, arm, reward)
        returns += reward
        regret += missed
        if time + 1 in points:
            curve[:, points[time + 1]] = arrays.get(regret)
        watch.passed(members * luck.lanes)
    watch.steps += members * luck.lanes * bandit.limit
    return arrays.get(returns), curve


def bandit_bytes(bandit: Bandit) -> int:
    """Bytes that one lane takes at its peak."""
    vectors = bandit.features * (bandit.features + 3) if bandit.reward == "linear" else 0
    return 8 * (bandit.arms * (26 + 2 * vectors) + len(regret_points(bandit)) + 24)
