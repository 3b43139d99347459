"""The worlds in which rollouts act, and what makes a description of one unfit."""

import math
from collections.abc import Sequence
from typing import Literal

from contracts.record import Record

LONGEST = 100_000
"""Steps that an episode may take at most."""
CELLS = 400
"""Characters that the map of a grid world may have: observations name the cell, one number for each."""
ARMS = 100
FEATURES = 16
"""Numbers of a bandit's context at most."""
WALL, FREE, START, GOAL, PIT = "#.SGX"
MOVES = ((-1, 0), (0, 1), (1, 0), (0, -1))
"""Up, right, down, left, as (rows, columns): the actions of a grid world, in their order."""


class CartPole(Record, tag="cart_pole", tag_field="kind"):
    """A pole on a cart that is pushed left or right; 1 a step until it falls or the cart leaves its track.

    Physics and limits are the usual ones: gravity 9.8 m/s², cart 1 kg, pole 0.1 kg and 1 m, 10 N, Euler's method
    at 0.02 s, the end at 12° or 2.4 m. Source: Barto, Sutton and Anderson (1983), section V.
    """

    limit: int = 500
    """Steps after which an episode is cut off, which is no failure."""


class GridWorld(Record, tag="grid_world", tag_field="kind"):
    """A map of cells on which one walks from a start to a goal, past pits; goals and pits end an episode."""

    map: tuple[str, ...]
    """Rows of one length: `#` wall, `.` free, `S` start (several: each as likely), `G` goal, `X` pit."""
    slip: float = 0.0
    """Chance that a move goes sideways instead, half of it to each side."""
    step: float = -0.01
    """Reward of every move; those of goal and pit come on top."""
    goal: float = 1.0
    pit: float = -1.0
    limit: int = 100


class Bandit(Record, tag="bandit", tag_field="kind"):
    """Arms to pull; an episode is one problem from its first pull to its last."""

    arms: int = 10
    reward: Literal["bernoulli", "gaussian", "linear"] = "bernoulli"
    """0 or 1; a mean with normal noise; or, with a fresh context each time, its product with an arm's vector."""
    means: tuple[float, ...] = ()
    """One for each arm; empty: drawn for each episode, uniform for Bernoulli arms, else standard normal."""
    noise: float = 1.0
    """Standard deviation of the rewards about their mean; Bernoulli arms have none."""
    drift: float = 0.0
    """Standard deviation of what is added to every mean after every pull; Bernoulli arms are held in [0, 1]."""
    features: int = 5
    """Numbers of a context, which are standard normal; only linear arms have one. Their vectors are standard
    normal too, over the root of this, so that a mean reward has a standard deviation of 1."""
    limit: int = 1000
    """Pulls of an episode."""


Environment = CartPole | GridWorld | Bandit


def check_environment(environment: Environment) -> None:
    """Whether it can be played.

    Raises:
        ValueError: it cannot; says which value is wrong, and what it may be.
    """
    check_range(environment, "limit", 1, LONGEST)
    if isinstance(environment, GridWorld):
        _check_grid(environment)
    elif isinstance(environment, Bandit):
        _check_bandit(environment)


def check_range(record: Record, name: str, low: float, high: float) -> None:
    """Whether a number of a record lies between two others; not a number does not.

    Raises:
        ValueError: it lies outside.
    """
    value = getattr(record, name)
    if not low <= value <= high:
        kind = getattr(type(record).__struct_config__, "tag", "")
        raise ValueError(f"{kind}: {name} = {value:g} is out of range; it lies between {low:g} and {high:g}")


def free_cells(world: GridWorld) -> list[tuple[int, int]]:
    """(Row, column) of every cell that is no wall, in the order of reading."""
    rows = range(len(world.map))
    return [(row, column) for row in rows for column, sign in enumerate(world.map[row]) if sign != WALL]


def _check_grid(world: GridWorld) -> None:
    check_range(world, "slip", 0, 1)
    for name in ("step", "goal", "pit"):
        check_range(world, name, -1e6, 1e6)
    if not world.map or not world.map[0] or len({len(row) for row in world.map}) > 1:
        raise ValueError("grid_world: map is rows of one length; fill short rows up with #")
    if sum(map(len, world.map)) > CELLS:
        raise ValueError(f"grid_world: map has more than {CELLS} cells; draw a smaller one")
    for number, row in enumerate(world.map, 1):
        if strange := sorted(set(row) - {WALL, FREE, START, GOAL, PIT}):
            raise ValueError(f"grid_world: row {number} of map holds {strange[0]!r}; it may hold # . S G X")
    starts = [cell for cell in free_cells(world) if world.map[cell[0]][cell[1]] == START]
    if not starts:
        raise ValueError("grid_world: map has no start; mark one cell or several with S")
    for start in starts:
        if not _reaches_goal(world.map, start):
            place = f"row {start[0] + 1}, column {start[1] + 1}"
            raise ValueError(f"grid_world: no goal G can be reached from the S in {place}")


def _reaches_goal(rows: Sequence[str], start: tuple[int, int]) -> bool:
    seen, waiting = {start}, [start]
    while waiting:
        row, column = waiting.pop()
        if rows[row][column] == GOAL:
            return True
        if rows[row][column] == PIT:
            continue
        for down, right in MOVES:
            cell = (row + down, column + right)
            inside = 0 <= cell[0] < len(rows) and 0 <= cell[1] < len(rows[0])
            if inside and cell not in seen and rows[cell[0]][cell[1]] != WALL:
                seen.add(cell)
                waiting.append(cell)
    return False


def _check_bandit(bandit: Bandit) -> None:
    check_range(bandit, "arms", 2, ARMS)
    check_range(bandit, "noise", 0, 1e6)
    check_range(bandit, "drift", 0, 1e6)
    check_range(bandit, "features", 1, FEATURES)
    if bandit.reward == "bernoulli" and bandit.noise != Bandit().noise:
        raise ValueError("bandit: noise goes with gaussian and linear arms; Bernoulli ones give 0 or 1")
    if bandit.reward != "linear" and bandit.features != Bandit().features:
        raise ValueError(f"bandit: features goes with linear arms; {bandit.reward} ones have no context")
    if bandit.means and len(bandit.means) != bandit.arms:
        raise ValueError(f"bandit: means has {len(bandit.means)} numbers for {bandit.arms} arms")
    if not all(map(math.isfinite, bandit.means)) or any(abs(mean) > 1e6 for mean in bandit.means):
        raise ValueError("bandit: means holds what is no number between -1e6 and 1e6")
    if bandit.reward == "bernoulli" and not all(0 <= mean <= 1 for mean in bandit.means):
        raise ValueError("bandit: the means of Bernoulli arms are chances, between 0 and 1")
    if bandit.reward == "linear" and (bandit.means or bandit.drift):
        raise ValueError("bandit: linear arms have neither means nor drift; leave both out")
