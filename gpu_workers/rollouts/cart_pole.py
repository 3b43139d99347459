"""The cart and its pole."""

import math
from typing import Any

from contracts.rollouts import CartPole
from gpu_workers.arrays import Arrays
from gpu_workers.rollouts.worlds import Draw, State

GRAVITY = 9.8
CART, POLE = 1.0, 0.1
"""Masses, kg."""
HALF = 0.5
"""Half the pole's length, m."""
FORCE = 10.0
"""Newton, to the left or to the right."""
TAU = 0.02
"""Seconds of a step."""
TRACK = 2.4
"""Metres from the middle at which the track ends."""
TILT = 12 * math.pi / 180
"""Radians from upright at which the pole counts as fallen."""
SPREAD = 0.05
"""First states are uniform within this of 0, in every number."""


class CartPoleWorld:
    """States are position, speed, angle and angular speed; actions are 0, left, and 1, right."""

    features = 4
    actions = 2

    def __init__(self, environment: CartPole, arrays: Arrays) -> None:
        self.limit = environment.limit
        self._xp = arrays.xp

    def begin(self, draw: Draw) -> State:
        """States close to upright, in the middle, at rest."""
        return tuple((2 * SPREAD) * each - SPREAD for each in draw(4))

    def observe(self, state: State, out: Any) -> None:
        """The state itself."""
        for number, each in enumerate(state):
            out[:, number] = each

    def step(self, state: State, action: Any, _draw: Draw) -> tuple[State, Any, Any]:
        """A step of Euler's method; 1 for every step, the one that ends the episode too."""
        xp = self._xp
        x, speed, angle, spin = state
        mass, moment = CART + POLE, POLE * HALF
        cosine, sine = xp.cos(angle), xp.sin(angle)
        push = ((2 * FORCE) * action - FORCE + moment * spin * spin * sine) / mass
        turn = (GRAVITY * sine - cosine * push) / (HALF * (4 / 3 - (POLE / mass) * cosine * cosine))
        thrust = push - (moment / mass) * turn * cosine
        x, speed = x + TAU * speed, speed + TAU * thrust
        angle, spin = angle + TAU * spin, spin + TAU * turn
        fallen = (xp.abs(x) > TRACK) | (xp.abs(angle) > TILT)
        return (x, speed, angle, spin), xp.ones_like(x), fallen
