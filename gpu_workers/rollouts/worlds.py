"""What every environment with states is to those who step it, and which class plays which record."""

from collections.abc import Callable
from typing import Any, Protocol, TypeAlias

from contracts.rollouts import CartPole, GridWorld
from gpu_workers.arrays import Arrays

State: TypeAlias = tuple[Any, ...]
"""Arrays of one shape, the lanes'; each lane is an environment of its own."""
Draw: TypeAlias = Callable[[int], list[Any]]
"""Gives so many arrays of uniform numbers in (0, 1), of the lanes' shape."""


class World(Protocol):
    """An environment, whose every operation is one of whole arrays of lanes, element by element."""

    features: int
    """Numbers of an observation."""
    actions: int
    limit: int
    """Steps after which an episode is cut off."""

    def begin(self, draw: Draw) -> State:
        """The first states of episodes."""
        ...

    def observe(self, state: State, out: Any) -> None:
        """Write the observations of states (members x lanes) into `out` (members x features x lanes)."""
        ...

    def step(self, state: State, action: Any, draw: Draw) -> tuple[State, Any, Any]:
        """The next states, the rewards, and which episodes end here by themselves."""
        ...


def make_world(environment: CartPole | GridWorld, arrays: Arrays) -> World:
    """The world that a record describes."""
    from gpu_workers.rollouts.cart_pole import CartPoleWorld
    from gpu_workers.rollouts.grid_world import GridWorldWorld

    if isinstance(environment, CartPole):
        return CartPoleWorld(environment, arrays)
    return GridWorldWorld(environment, arrays)
