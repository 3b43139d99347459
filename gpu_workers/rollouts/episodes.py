"""Playing a number of episodes with policies as they are: one lane for each episode, all stepped at once."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gpu_workers.arrays import Arrays
from gpu_workers.rollouts.actors import Actor
from gpu_workers.rollouts.luck import Luck, Purpose
from gpu_workers.rollouts.watch import Watch
from gpu_workers.rollouts.worlds import World

LOOK = 8
"""Steps between two looks at which members have ended: on a GPU a look waits for all that was begun."""
DONE = 0.25
"""Share of members that have ended from which they are dropped; dropping fewer costs more than it saves."""


@dataclass(frozen=True, kw_only=True)
class Played:
    """What came of members x episodes, on the host."""

    returns: NDArray[np.float64]
    lengths: NDArray[np.int64]
    terminated: NDArray[np.bool_]
    """Whether the episode ended by itself, and was not cut off by the time limit."""


def play(world: World, actor: Actor, luck: Luck, arrays: Arrays, watch: Watch) -> Played:
    """Play one episode in every lane, from its beginning to its end or to the time limit.

    Whole members are dropped once all their episodes are over. A member keeps its lanes until then, since a
    matrix product of another width may round differently, and what a member does would depend on its company.
    """
    play = _Play(world, actor, luck, arrays)
    for time in range(world.limit):
        play.step(time)
        watch.passed(play.members * luck.lanes)
        if time % LOOK == LOOK - 1:
            before = play.members
            play.drop()
            watch.told((before - play.members) * luck.lanes * (world.limit - time - 1))
            if not play.members:
                break
    play.store(np.arange(play.members))
    watch.steps += int(play.played.lengths.sum())
    return play.played


class _Play:
    """Lanes under way, and the results of those that are over."""

    def __init__(self, world: World, actor: Actor, luck: Luck, arrays: Arrays) -> None:
        xp, shape = arrays.xp, (len(luck.keys), luck.lanes)
        self.members = len(luck.keys)
        self.played = Played(
            returns=np.zeros(shape),
            lengths=np.zeros(shape, dtype=np.int64),
            terminated=np.zeros(shape, dtype=bool),
        )
        self._world, self._actor, self._luck, self._arrays = world, actor, luck, arrays
        self._state = world.begin(lambda count: luck.several(Purpose.BEGIN, 0, count))
        self._seen = xp.empty((self.members, world.features, luck.lanes))
        self._alive = xp.ones(shape, dtype=bool)
        self._returns = xp.zeros(shape)
        self._lengths = xp.zeros(shape, dtype=np.int64)
        self._index = np.arange(self.members)
        """Which members those are that are still stepped."""

    def step(self, time: int) -> None:
        """Step all lanes; those whose episode is over stay as they are."""
        xp, alive = self._arrays.xp, self._alive
        if self._actor.looks:
            self._world.observe(self._state, self._seen)
        action = self._actor.act(self._seen, lambda _: [self._luck.each(Purpose.ACTION, time)])
        following, reward, ended = self._world.step(
            self._state, action, lambda _: [self._luck.each(Purpose.WORLD, time)]
        )
        self._state = tuple(
            xp.where(alive, new, old) for new, old in zip(following, self._state, strict=True)
        )
        self._returns += xp.where(alive, reward, 0.0)
        self._lengths += alive
        self._alive = alive & ~ended

    def drop(self) -> None:
        """Keep the results of members whose episodes are all over, and step the others only."""
        left = self._arrays.get(self._alive.any(axis=1))
        over, rest = np.flatnonzero(~left), np.flatnonzero(left)
        if len(over) < DONE * len(left):
            return
        self.store(over)
        keep = self._arrays.put(rest)
        self._state = tuple(each[keep] for each in self._state)
        self._seen, self._alive = self._seen[keep], self._alive[keep]
        self._returns, self._lengths = self._returns[keep], self._lengths[keep]
        self._actor, self._luck = self._actor.keep(rest), self._luck.keep(rest)
        self._index, self.members = self._index[rest], len(rest)

    def store(self, which: NDArray[np.intp]) -> None:
        """Take the figures of some of the members that are stepped to the host."""
        get, at = self._arrays.get, self._index[which]
        self.played.returns[at] = get(self._returns)[which]
        self.played.lengths[at] = get(self._lengths)[which]
        self.played.terminated[at] = ~get(self._alive)[which]
