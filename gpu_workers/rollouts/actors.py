"""Who acts on observations: networks of many members at once, and pure chance."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from contracts.rollouts import (
    CartPole,
    GridWorld,
    Linear,
    Mlp,
    NetworkPolicy,
    PolicyGradient,
    Tabular,
    Uniform,
)
from contracts.rollouts.environments import GOAL, PIT, WALL
from contracts.rollouts.policies import ARROWS
from gpu_workers.arrays import Arrays
from gpu_workers.rollouts.luck import Purpose, weights
from gpu_workers.rollouts.network import Network
from gpu_workers.rollouts.worlds import Draw, World

SURE = 1.0
"""The score of a tabular policy's move; those of the others are 0."""
Played: TypeAlias = CartPole | GridWorld


class Actor(Protocol):
    """Chooses actions for all lanes of its members."""

    looks: ClassVar[bool]
    """Whether it looks at observations; otherwise they need not be made."""

    def act(self, observations: Any, draw: Draw) -> Any:
        """Actions (members x lanes, whole numbers) for observations (members x features x lanes)."""
        ...

    def keep(self, members: NDArray[np.intp]) -> "Actor":
        """The same for some of the members."""
        ...


@dataclass(frozen=True, kw_only=True)
class Chance:
    """Every action as likely as every other."""

    looks: ClassVar[bool] = False
    actions: int

    def act(self, _observations: Any, draw: Draw) -> Any:
        """Actions at random."""
        (uniform,) = draw(1)
        return (uniform * self.actions).astype(np.int64)

    def keep(self, _members: NDArray[np.intp]) -> "Chance":
        """Itself: all members are alike."""
        return self


@dataclass(frozen=True, kw_only=True)
class Scores:
    """The outputs of a network are the actions' scores."""

    looks: ClassVar[bool] = True
    arrays: Arrays
    network: Network
    parameters: Any
    """Members x the network's count."""
    greedy: bool

    def act(self, observations: Any, draw: Draw) -> Any:
        """The action with the highest score (the first of several), or one by the softmax of the scores."""
        xp = self.arrays.xp
        scores = self.network.forward(xp, self.parameters, observations)[-1]
        if self.greedy:
            return best(xp, scores)
        (uniform,) = draw(1)
        return sample(xp, scores, uniform)

    def keep(self, members: NDArray[np.intp]) -> "Scores":
        """The same for some of the members."""
        return replace(self, parameters=self.parameters[self.arrays.put(members)])


def best(xp: Any, scores: Any) -> Any:
    """Which of the scores (members x actions x lanes) is the highest; of several, the first."""
    top = scores[:, 0]
    found = xp.zeros(top.shape, dtype=np.int64)
    for number in range(1, scores.shape[1]):
        higher = scores[:, number] > top
        top = xp.where(higher, scores[:, number], top)
        found = xp.where(higher, number, found)
    return found


def sample(xp: Any, scores: Any, uniform: Any) -> Any:
    """Actions by the softmax of the scores (members x actions x lanes), from one uniform number each."""
    top = scores[:, 0]
    for number in range(1, scores.shape[1]):
        top = xp.maximum(top, scores[:, number])
    shares = xp.exp(scores - top[:, None])
    below = [shares[:, 0]]
    for number in range(1, scores.shape[1]):
        below.append(below[-1] + shares[:, number])
    mark = uniform * below[-1]
    found = xp.zeros(mark.shape, dtype=np.int64)
    for each in below[:-1]:
        found += mark >= each
    return found


def network_of(policy: Linear | Mlp | Tabular | PolicyGradient, world: World, outputs: int = 0) -> Network:
    """The network by which a policy scores a world's actions, or another with so many outputs."""
    kind = policy.network if isinstance(policy, PolicyGradient) else type(policy).__struct_config__.tag
    hidden = policy.hidden if isinstance(policy, Mlp | PolicyGradient) and kind == "mlp" else ()
    return Network(sizes=(world.features, *hidden, outputs or world.actions), bias=kind != "tabular")


def make_actor(
    policies: Sequence[NetworkPolicy], seeds: Sequence[str], environment: Played, world: World, arrays: Arrays
) -> Actor:
    """An actor of several members, whose policies are of one kind and shape."""
    first = policies[0]
    if isinstance(first, Uniform):
        return Chance(actions=world.actions)
    network = network_of(first, world)
    rows = [
        _parameters(policy, seed, environment, network) for policy, seed in zip(policies, seeds, strict=True)
    ]
    greedy = isinstance(first, Tabular) or first.greedy
    return Scores(arrays=arrays, network=network, parameters=arrays.put(np.stack(rows)), greedy=greedy)


def _parameters(
    policy: NetworkPolicy, seed: str, environment: Played, network: Network
) -> NDArray[np.float64]:
    """One member's parameters: given with the policy, or drawn from the seed."""
    if isinstance(policy, Tabular) and isinstance(environment, GridWorld):
        return _table(policy, environment)
    if isinstance(policy, Linear | Mlp):
        layers = policy.layers if isinstance(policy, Mlp) else (policy.weights,) if policy.weights else ()
        if layers:
            return network.given(layers)
        drawn = network.scaled(weights((seed,), network.count, Purpose.WEIGHTS))
        parameters: NDArray[np.float64] = drawn[0] * policy.scale
        return parameters
    raise TypeError(f"{type(policy).__name__} has no parameters here")


def _table(policy: Tabular, environment: GridWorld) -> NDArray[np.float64]:
    """Moves x cells, as the only layer of a network without biases has them."""
    signs = [
        (arrow, sign)
        for arrows, row in zip(policy.arrows, environment.map, strict=True)
        for arrow, sign in zip(arrows, row, strict=True)
        if sign != WALL
    ]
    table = np.zeros((len(ARROWS), len(signs)))
    for cell, (arrow, sign) in enumerate(signs):
        if sign not in {GOAL, PIT}:
            table[ARROWS.index(arrow), cell] = SURE
    return table.ravel()
