"""Environments that begin again by themselves: copies of a world that are stepped for as long as one likes."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from gpu_workers.arrays import Arrays
from gpu_workers.rollouts.luck import Luck, Purpose
from gpu_workers.rollouts.worlds import World


@dataclass(frozen=True, kw_only=True)
class Step:
    """What one step of all copies (members x copies) brought."""

    reward: Any
    terminated: Any
    """Episodes that ended by themselves: nothing comes after them."""
    truncated: Any
    """Episodes that the time limit cut off: they would have gone on from `following`."""
    following: Any
    """Observations after the step (members x features x copies), before any copy begins again."""
    finished: Any
    """Return of each episode that is over with this step, 0 elsewhere."""


class Vector:
    """Members x copies of a world. Where an episode is over the next one begins at once."""

    def __init__(self, world: World, luck: Luck, arrays: Arrays) -> None:
        xp, shape = arrays.xp, (len(luck.keys), luck.lanes)
        self._world, self._luck, self._arrays = world, luck, arrays
        self._time = 0
        self._state = world.begin(lambda count: luck.several(Purpose.BEGIN, 0, count))
        self._age = xp.zeros(shape, dtype=np.int64)
        """Steps of the episode so far."""
        self._return = xp.zeros(shape)
        self._episode = xp.zeros(shape, dtype=np.uint64)
        """How many episodes of the copy are over."""
        self.seen = self._observed()
        """Observations of all copies at this moment: members x features x copies."""

    def chance(self) -> Any:
        """One uniform number for every copy, for choosing an action at this moment."""
        return self._luck.each(Purpose.ACTION, self._time)

    def step(self, action: Any) -> Step:
        """Step all copies, and begin again those whose episode is over."""
        xp, time = self._arrays.xp, self._time
        self._state, reward, terminated = self._world.step(
            self._state, action, lambda _: [self._luck.each(Purpose.WORLD, time)]
        )
        self._time += 1
        self._age += 1
        self._return += reward
        truncated = (self._age >= self._world.limit) & ~terminated
        over = terminated | truncated
        step = Step(
            reward=reward,
            terminated=terminated,
            truncated=truncated,
            following=self._observed(),
            finished=xp.where(over, self._return, 0.0),
        )
        self.seen = self._observed() if self._begin_again(over) else step.following
        return step

    def _observed(self) -> Any:
        members, copies = self._age.shape
        out = self._arrays.xp.empty((members, self._world.features, copies))
        self._world.observe(self._state, out)
        return out

    def _begin_again(self, over: Any) -> bool:
        """Draw new states for these copies only, by copy and episode; whether there were any."""
        member, copy = self._arrays.xp.nonzero(over)
        if not len(member):
            return False
        self._episode[member, copy] += 1
        episode, some = self._episode[member, copy], self._luck.at(member, copy)
        fresh = self._world.begin(lambda count: some.several(Purpose.BEGIN, episode, count))
        for each, new in zip(self._state, fresh, strict=True):
            each[member, copy] = new
        self._age[member, copy] = 0
        self._return[member, copy] = 0.0
        return True
