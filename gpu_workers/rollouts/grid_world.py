"""Walking on a map of cells."""

from typing import Any

import numpy as np

from contracts.rollouts import GridWorld
from contracts.rollouts.environments import GOAL, MOVES, PIT, START, free_cells
from gpu_workers.arrays import Arrays
from gpu_workers.rollouts.worlds import Draw, State


class GridWorldWorld:
    """A state is the index of a cell among those that are no walls, in the order of reading."""

    actions = len(MOVES)

    def __init__(self, environment: GridWorld, arrays: Arrays) -> None:
        self.limit = environment.limit
        self._xp = arrays.xp
        self._slip = environment.slip
        cells = free_cells(environment)
        index = {cell: number for number, cell in enumerate(cells)}
        signs = [environment.map[row][column] for row, column in cells]
        self.features = len(cells)
        target = [[index.get((row + down, column + right), index[row, column]) for down, right in MOVES]
                  for row, column in cells]  # fmt: skip
        extra = {GOAL: environment.goal, PIT: environment.pit}
        self._next = arrays.put(np.array(target, dtype=np.int64).ravel())
        self._reward = arrays.put(np.array([environment.step + extra.get(sign, 0.0) for sign in signs]))
        self._ends = arrays.put(np.array([sign in extra for sign in signs]))
        self._starts = arrays.put(np.array([number for number, sign in enumerate(signs) if sign == START]))
        self._numbers = arrays.put(np.arange(self.features))[None, :, None]

    def begin(self, draw: Draw) -> State:
        """Any of the starts."""
        (uniform,) = draw(1)
        return (self._starts[(uniform * len(self._starts)).astype(np.int64)],)

    def observe(self, state: State, out: Any) -> None:
        """1 for the cell, 0 for all others."""
        out[...] = state[0][:, None, :] == self._numbers

    def step(self, state: State, action: Any, draw: Draw) -> tuple[State, Any, Any]:
        """Move, or slip to one side; a wall or the map's edge is run into without effect."""
        xp = self._xp
        (cell,) = state
        if self._slip:
            (uniform,) = draw(1)
            aside = xp.where(uniform < self._slip / 2, 3, 1)
            action = xp.where(uniform < self._slip, (action + aside) % self.actions, action)
        cell = self._next[cell * self.actions + action]
        return (cell,), self._reward[cell], self._ends[cell]
