"""What an experiment makes of many configurations' predictions: stacks and blends."""

import math
from typing import Literal

from contracts.datasets import Target
from contracts.record import Record

MOST_STACKED = 1000
"""Configurations that a stack may look at."""
MOST_ROUNDS = 10_000
"""Rounds of a blend at most."""


class Stacking(Record):
    """A stage that makes one prediction of what many configurations predict for the rows held out.

    It is cross-fitted: what a fold is predicted, and by which configurations, is learnt from the other folds.
    """

    method: Literal["linear", "logistic", "blend"] = "linear"
    """Weights that are not negative, by least squares; a regression on log odds; or weights found greedily by the
    first metric. For classes linear weights sum to 1."""
    best: int = 0
    """How many configurations it looks at: those whose mean by the first metric is best; 0 for all."""
    penalty: float = 1.0
    """Of the squared coefficients of a logistic one."""
    rounds: int = 50
    """How often a blend takes one in."""


def check_stacks(stages: tuple[Stacking, ...], target: Target, count: int) -> None:
    """Look at the stacks of an experiment with so many configurations.

    Raises:
        ValueError: what is wrong, and what would be right.
    """
    if count < 2:
        raise ValueError(
            "there is one configuration only, and nothing to stack; give several, or leave out `stacks`"
        )
    for number, stage in enumerate(stages):
        where = f"stack {number}"
        if stage.best < 0:
            raise ValueError(
                f"{where}: `best` is {stage.best}; it is a number of configurations, or 0 for all"
            )
        if (stage.best or count) > MOST_STACKED:
            raise ValueError(
                f"{where} looks at {stage.best or count} configurations; {MOST_STACKED} are allowed: set `best`"
            )
        if stage.method == "logistic" and target in {"regression", "count"}:
            raise ValueError(f"{where}: logistic stacking is for classes; take linear or blend for {target}")
        if not 0 < stage.penalty < math.inf:
            raise ValueError(f"{where}: `penalty` is {stage.penalty}; it is a number above 0")
        if not 1 <= stage.rounds <= MOST_ROUNDS:
            raise ValueError(f"{where}: `rounds` is {stage.rounds}; it lies between 1 and {MOST_ROUNDS}")
        if stage.method != "logistic" and stage.penalty != Stacking().penalty:
            raise ValueError(f"{where}: `penalty` goes with logistic, not with {stage.method}")
        if stage.method != "blend" and stage.rounds != Stacking().rounds:
            raise ValueError(f"{where}: `rounds` goes with blend, not with {stage.method}")
