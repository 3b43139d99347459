"""Gradients against finite differences, advantages against their definition, and that something is learnt."""

import math
from typing import Any

import numpy as np
import pytest

from contracts.rollouts import CartPole, GridWorld, PolicyGradient, RolloutSpec, Uniform
from gpu_workers import arrays
from gpu_workers.rollouts.cart_pole import CartPoleWorld
from gpu_workers.rollouts.compute import compute
from gpu_workers.rollouts.network import Network
from gpu_workers.rollouts.training import Adam, Learner, advantages, policy_slopes

HOST = arrays.choose("numpy")
RNG = np.random.default_rng(5)
NETWORKS = (
    Network(sizes=(3, 4)),
    Network(sizes=(5, 4), bias=False),
    Network(sizes=(3, 6, 2)),
    Network(sizes=(3, 5, 4, 1)),
)


def slope_at(loss: Any, parameters: np.ndarray, member: int, place: int) -> float:
    """The derivative of a member's loss by one parameter, from two sides."""
    width = 1e-6
    sides = []
    for sign in (1, -1):
        moved = parameters.copy()
        moved[member, place] += sign * width
        sides.append(loss(moved)[member])
    return float(sides[0] - sides[1]) / (2 * width)


def assert_gradient(loss: Any, parameters: np.ndarray, gradient: np.ndarray) -> None:
    for member in range(len(parameters)):
        for place in range(parameters.shape[1]):
            wanted = slope_at(loss, parameters, member, place)
            assert gradient[member, place] == pytest.approx(wanted, rel=1e-5, abs=1e-8)


@pytest.mark.parametrize("network", NETWORKS, ids=str)
def test_the_policys_gradient_is_that_of_its_loss(network: Network) -> None:
    members, cases = 3, 7
    parameters = RNG.normal(size=(members, network.count))
    seen = RNG.normal(size=(members, network.sizes[0], cases))
    action = RNG.integers(0, network.sizes[-1], (members, cases))
    advantage = RNG.normal(size=(members, cases))
    entropy = np.array([[0.0], [0.1], [2.0]])

    def loss(moved: np.ndarray) -> np.ndarray:
        scores = network.forward(np, moved, seen)[-1]
        chance = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
        taken = np.take_along_axis(chance, action[:, None], axis=1)[:, 0]
        disorder = -(chance * np.log(chance)).sum(axis=1)
        return np.asarray((-advantage * np.log(taken) - entropy * disorder).mean(axis=1))

    found = network.forward(np, parameters, seen)
    slopes = policy_slopes(np, found[-1], action, advantage, entropy)
    assert_gradient(loss, parameters, network.backward(np, parameters, found, slopes))


@pytest.mark.parametrize("network", NETWORKS, ids=str)
def test_the_baselines_gradient_is_that_of_its_loss(network: Network) -> None:
    parameters = RNG.normal(size=(2, network.count))
    seen = RNG.normal(size=(2, network.sizes[0], 9))
    target = RNG.normal(size=(2, network.sizes[-1], 9))

    def loss(moved: np.ndarray) -> np.ndarray:
        return np.asarray(((network.forward(np, moved, seen)[-1] - target) ** 2).sum(axis=(1, 2)) / 2)

    found = network.forward(np, parameters, seen)
    assert_gradient(loss, parameters, network.backward(np, parameters, found, found[-1] - target))


def test_scores_far_apart_give_no_strange_slopes() -> None:
    scores = np.array([[[800.0], [-800.0]]])
    slopes = policy_slopes(np, scores, np.array([[1]]), np.array([[1.0]]), np.array([[0.1]]))
    assert slopes.tolist() == [[[1.0], [-1.0]]]


@pytest.mark.parametrize("trace", [0.0, 0.7, 1.0])
def test_advantages_are_discounted_sums_of_errors(trace: float) -> None:
    steps, discount = 12, 0.9
    shape = (2, steps, 3)
    reward, value, later = (RNG.normal(size=shape) for _ in range(3))
    ended = RNG.random(shape) < 0.15
    over = ended | (RNG.random(shape) < 0.1)
    found = advantages(
        reward, value, later, ended.astype(float), over.astype(float), np.full((2, 1), discount),
        np.full((2, 1), trace), np,
    )  # fmt: skip
    for member in range(2):
        for copy in range(3):
            for start in range(steps):
                total, weight = 0.0, 1.0
                for time in range(start, steps):
                    at = member, time, copy
                    ahead = 0.0 if ended[at] else discount * later[at]
                    total += weight * (reward[at] + ahead - value[at])
                    weight *= discount * trace
                    if over[at]:
                        break
                assert found[member, start, copy] == pytest.approx(total, abs=1e-12)


def test_adam_steps_as_its_algorithm_says() -> None:
    gradients = RNG.normal(size=(5, 2, 3))
    adam = Adam(np.zeros((2, 3)), np.array([[0.1], [0.01]]), np.array([[1e9], [0.5]]), np)
    for gradient in gradients:
        adam.descend(gradient)
    for member, (rate, clip) in enumerate(((0.1, 1e9), (0.01, 0.5))):
        place, first, second = np.zeros(3), np.zeros(3), np.zeros(3)
        for time, row in enumerate(gradients[:, member], 1):
            cut = row * min(1.0, clip / float(np.linalg.norm(row)))
            first = 0.9 * first + 0.1 * cut
            second = 0.999 * second + 0.001 * cut**2
            place -= rate * (first / (1 - 0.9**time)) / (np.sqrt(second / (1 - 0.999**time)) + 1e-8)
        assert adam.parameters[member] == pytest.approx(place, rel=1e-6)


def test_a_cart_learns_to_stay_up() -> None:
    spec = RolloutSpec(
        environments=(CartPole(),),
        policies=(Uniform(), PolicyGradient(updates=80)),
        seeds=("0", "1", "2"),
        episodes=40,
    )
    members = compute(spec, HOST).members
    chance = np.mean([member.returns for member in members[:3]])
    learnt = [float(np.mean(member.returns)) for member in members[3:]]
    assert chance < 30
    assert float(np.median(learnt)) > 150
    assert min(learnt) > 2 * chance
    for member in members[3:]:
        assert len(member.curve) == 80
        early = [each for each in member.curve[:5] if each is not None]
        late = [each for each in member.curve[-20:] if each is not None]
        assert np.mean(late) > 2 * np.mean(early)


def test_a_table_learns_the_shortest_way() -> None:
    world = GridWorld(map=("S..", ".X.", "..G"), limit=30)
    policy = PolicyGradient(network="tabular", updates=60, copies=8, steps=32, learning_rate=0.1)
    spec = RolloutSpec(environments=(world,), policies=(policy,), seeds=("0", "1"), episodes=5)
    for member in compute(spec, HOST).members:
        assert member.returns == pytest.approx((1.0 - 4 * 0.01,) * 5)
        assert member.lengths == (4,) * 5


def test_an_update_without_a_finished_episode_has_no_mean() -> None:
    policy = PolicyGradient(updates=2, copies=1, steps=2)
    spec = RolloutSpec(environments=(CartPole(),), policies=(policy,), seeds=("0",), episodes=1)
    assert compute(spec, HOST).members[0].curve == (None, None)


def test_parameters_that_are_no_numbers_name_the_member() -> None:
    """No spec within its limits is known that comes to this; it is put there by hand."""
    policies = [PolicyGradient(), PolicyGradient(learning_rate=0.5)]
    learner = Learner(policies, ("left", "right"), CartPoleWorld(CartPole(), HOST), HOST)
    learner.check()
    learner.policy.parameters[1, 3] = math.nan
    with pytest.raises(ValueError, match=r"learning_rate = 0.5 and seed 'right'.*lower learning_rate"):
        learner.check()
