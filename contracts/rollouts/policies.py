"""Who acts in a rollout: given policies, policies that learn, and which of them fits which world."""

import math
from collections.abc import Iterator
from typing import Literal

from contracts.record import Record
from contracts.rollouts.environments import (
    GOAL,
    PIT,
    WALL,
    Bandit,
    CartPole,
    Environment,
    GridWorld,
    check_range,
    free_cells,
)

ARROWS = "^>v<"
"""The four moves in a map of a tabular policy, in the order of the actions."""
UNITS = 256
"""Units that a hidden layer may have."""
LAYERS = 3

Matrix = tuple[tuple[float, ...], ...]
"""Rows of numbers: one for each output, its weights and last its bias."""


class Uniform(Record, tag="uniform", tag_field="kind"):
    """Every action as likely as every other."""


class Linear(Record, tag="linear", tag_field="kind"):
    """One score for each action, linear in the observation."""

    weights: Matrix = ()
    """For each action its weights and its bias; empty: weights drawn from the seed, normal, and biases 0."""
    scale: float = 1.0
    """Standard deviation of drawn weights, times the root of how many inputs a unit has."""
    greedy: bool = True
    """Take the action with the highest score; otherwise one by the softmax of the scores."""


class Mlp(Record, tag="mlp", tag_field="kind"):
    """A small multilayer perceptron with tanh units; its outputs are the actions' scores."""

    hidden: tuple[int, ...] = (16,)
    layers: tuple[Matrix, ...] = ()
    """For each layer, for each output, its weights and its bias; empty: drawn as for a linear policy."""
    scale: float = 1.0
    greedy: bool = True


class Tabular(Record, tag="tabular", tag_field="kind"):
    """A move for every cell of a grid world."""

    arrows: tuple[str, ...]
    """The world's map with one of `^ > v <` in every cell that is neither wall nor goal nor pit."""


class EpsilonGreedy(Record, tag="epsilon_greedy", tag_field="kind"):
    """The arm that was best so far, and now and then any arm."""

    epsilon: float = 0.1
    discount: float = 1.0
    """What an observation counts for after one more pull; below 1 for arms that drift."""


class Ucb(Record, tag="ucb", tag_field="kind"):
    """The arm with the highest upper bound: optimism. Source: Auer, Cesa-Bianchi and Fischer (2002)."""

    width: float = 1.0
    """How far the bound is above the mean, in the units of its source; for linear arms in standard deviations
    (Li and others, 2010)."""
    discount: float = 1.0


class Thompson(Record, tag="thompson", tag_field="kind"):
    """The arm that is best in a draw from what is believed of all arms. Source: Thompson (1933)."""

    discount: float = 1.0


class PolicyGradient(Record, tag="policy_gradient", tag_field="kind"):
    """REINFORCE with a learnt baseline and generalized advantage estimation; learns first, is rolled out then.

    Sources: Williams (1992); Schulman and others (2016); Adam by Kingma and Ba (2015).
    """

    network: Literal["mlp", "linear", "tabular"] = "mlp"
    """Of the policy and of the baseline alike; tabular: a number for each cell and move of a grid world."""
    hidden: tuple[int, ...] = (32,)
    """Units of the hidden layers; only an mlp has some."""
    updates: int = 100
    copies: int = 16
    """Environments that each member steps at once."""
    steps: int = 64
    """Steps of every copy between two updates."""
    learning_rate: float = 0.01
    value_rate: float = 0.1
    """The baseline's learning rate."""
    discount: float = 0.99
    trace: float = 0.95
    """Lambda of the advantages: 0 trusts the baseline, 1 the returns that were seen."""
    entropy: float = 0.01
    """Weight of the bonus for undecided policies."""
    clip: float = 0.5
    """Largest norm of a gradient; longer ones are scaled down to it."""
    greedy: bool = True
    """Roll out with the likeliest action once learning is over."""


NetworkPolicy = Uniform | Linear | Mlp | Tabular
BanditPolicy = EpsilonGreedy | Ucb | Thompson
Policy = NetworkPolicy | BanditPolicy | PolicyGradient


def observed(environment: Environment) -> int:
    """How many numbers an observation has that a network sees."""
    if isinstance(environment, CartPole):
        return 4
    return len(free_cells(environment)) if isinstance(environment, GridWorld) else 0


def actions(environment: Environment) -> int:
    """How many actions there are."""
    if isinstance(environment, CartPole):
        return 2
    return environment.arms if isinstance(environment, Bandit) else 4


def check_policy(policy: Policy) -> None:
    """Whether the policy's own numbers are sound.

    Raises:
        ValueError: they are not; says which, and what they may be.
    """
    if isinstance(policy, Linear | Mlp):
        check_range(policy, "scale", 0, 1e6)
        if not all(map(math.isfinite, _numbers(policy))):
            raise ValueError(f"{_kind(policy)}: a weight is no finite number")
    if isinstance(policy, Mlp | PolicyGradient):
        _check_hidden(policy)
    if isinstance(policy, EpsilonGreedy):
        check_range(policy, "epsilon", 0, 1)
    if isinstance(policy, Ucb):
        check_range(policy, "width", 0, 1e6)
    if isinstance(policy, BanditPolicy):
        check_range(policy, "discount", 0.01, 1)
    if isinstance(policy, PolicyGradient):
        for name, low, high in (
            ("updates", 1, 20_000), ("copies", 1, 4096), ("steps", 1, 4096), ("learning_rate", 0, 1),
            ("value_rate", 0, 1), ("discount", 0, 1), ("trace", 0, 1), ("entropy", 0, 100), ("clip", 1e-9, 1e9),
        ):  # fmt: skip
            check_range(policy, name, low, high)


def check_pair(policy: Policy, environment: Environment) -> None:
    """Whether the policy can act in the environment.

    Raises:
        ValueError: it cannot; says why, and what fits instead.
    """
    both = f"{_kind(policy)} on {_kind(environment)}"
    bandit = isinstance(environment, Bandit)
    if isinstance(policy, BanditPolicy) and not bandit:
        raise ValueError(f"{both}: it pulls arms only; take uniform, linear, mlp or policy_gradient")
    if bandit and not isinstance(policy, BanditPolicy | Uniform):
        raise ValueError(f"{both}: an arm's means differ each time; take epsilon_greedy, ucb or thompson")
    if isinstance(policy, BanditPolicy) and isinstance(environment, Bandit):
        if environment.reward == "linear" and policy.discount != 1:
            raise ValueError(
                f"{both}: discount is for arms that drift, which linear ones do not; leave it out"
            )
    elif isinstance(policy, Tabular):
        _check_arrows(policy, environment, both)
    elif isinstance(policy, PolicyGradient):
        if policy.network == "tabular" and not isinstance(environment, GridWorld):
            raise ValueError(f"{both}: only a grid_world has cells for a tabular network; take mlp or linear")
    elif isinstance(policy, Linear | Mlp):
        sizes = [observed(environment), *(policy.hidden if isinstance(policy, Mlp) else ())]
        wanted = list(zip([*sizes[1:], actions(environment)], sizes, strict=True))
        for number, (layer, (outputs, inputs)) in enumerate(zip(_layers(policy), wanted, strict=False), 1):
            if len(layer) != outputs or any(len(row) != inputs + 1 for row in layer):
                raise ValueError(
                    f"{both}: layer {number} is not {outputs} rows of {inputs} weights and a bias each"
                )
        if _layers(policy) and len(_layers(policy)) != len(wanted):
            raise ValueError(
                f"{both}: there are {len(_layers(policy))} layers of weights; hidden wants {len(wanted)}"
            )


def _check_hidden(policy: Mlp | PolicyGradient) -> None:
    if not 1 <= len(policy.hidden) <= LAYERS or not all(1 <= units <= UNITS for units in policy.hidden):
        raise ValueError(f"{_kind(policy)}: hidden is one to {LAYERS} layers of 1 to {UNITS} units each")


def _check_arrows(policy: Tabular, environment: Environment, both: str) -> None:
    if not isinstance(environment, GridWorld):
        raise ValueError(f"{both}: only a grid_world has cells; take uniform, linear or mlp")  # noqa: TRY004 (a value of the spec, whatever its class)
    if [len(row) for row in policy.arrows] != [len(row) for row in environment.map]:
        raise ValueError(f"{both}: arrows has another shape than the map")
    for number, (arrows, signs) in enumerate(zip(policy.arrows, environment.map, strict=True), 1):
        for arrow, sign in zip(arrows, signs, strict=True):
            if sign not in {WALL, GOAL, PIT} and arrow not in ARROWS:
                raise ValueError(
                    f"{both}: row {number} of arrows holds {arrow!r} where one of ^ > v < is needed"
                )


def _layers(policy: Linear | Mlp) -> tuple[Matrix, ...]:
    if isinstance(policy, Mlp):
        return policy.layers
    return (policy.weights,) if policy.weights else ()


def _numbers(policy: Linear | Mlp) -> Iterator[float]:
    return (number for layer in _layers(policy) for row in layer for number in row)


def _kind(record: Policy | Environment) -> str:
    return str(type(record).__struct_config__.tag)
