"""The environments against plain scalar twins, and against what can be computed exactly."""

import math
import random
from collections.abc import Callable
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contracts.rollouts import (
    Bandit,
    CartPole,
    EpsilonGreedy,
    GridWorld,
    Linear,
    RolloutSpec,
    Tabular,
    Thompson,
    Ucb,
    Uniform,
)
from gpu_workers import arrays
from gpu_workers.rollouts.cart_pole import CartPoleWorld
from gpu_workers.rollouts.compute import compute
from gpu_workers.rollouts.grid_world import GridWorldWorld
from gpu_workers.rollouts.luck import Luck, Purpose, box_muller, keys, philox
from gpu_workers.rollouts.pullers import gamma
from gpu_workers.rollouts.vector import Vector

HOST = arrays.choose("numpy")
MAP = ("#######", "#S.X..#", "#..#..#", "#....G#", "#######")


def luck(seeds: int, lanes: int, name: bytes = b"test") -> Luck:
    return Luck(arrays=HOST, keys=keys([str(seed) for seed in range(seeds)], name, "play"), lanes=lanes)


def unused(_count: int) -> list[Any]:
    raise AssertionError("nothing is left to chance here")


# Random numbers


@pytest.mark.parametrize(
    ("counter", "key", "words"),
    [
        ((0, 0, 0, 0), (0, 0), (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8)),
        ((0xFFFFFFFF,) * 4, (0xFFFFFFFF,) * 2, (0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD)),
        (
            (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344),
            (0xA4093822, 0x299F31D0),
            (0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1),
        ),
    ],
)
def test_philox_gives_the_known_answers(
    counter: tuple[int, int, int, int], key: tuple[int, int], words: tuple[int, ...]
) -> None:
    """The vectors that Random123 publishes."""
    assert philox(counter, key) == words
    lanes = tuple(np.full(3, word, dtype=np.uint64) for word in counter)
    assert [word.tolist() for word in philox(lanes, key)] == [[word] * 3 for word in words]  # type: ignore[arg-type]


def test_numbers_follow_from_key_and_counter_alone() -> None:
    many, one = luck(5, 7), luck(5, 7).keep(np.array([3]))
    for time in (0, 1, 6):
        assert np.array_equal(many.each(Purpose.ACTION, time)[3], one.each(Purpose.ACTION, time)[0])
    lanes = Luck(arrays=HOST, keys=many.keys, lanes=2, first=4)
    assert np.array_equal(many.normals(Purpose.DRIFT, 9, 3)[:, :, 4:6], lanes.normals(Purpose.DRIFT, 9, 3))
    whole = many.several(Purpose.BEGIN, 2, 4)
    some = many.at(np.array([1, 4]), np.array([6, 0])).several(Purpose.BEGIN, 2, 4)
    assert all(np.array_equal(a[[1, 4], [6, 0]], b) for a, b in zip(whole, some, strict=True))
    drawn = [many.each(purpose, time) for purpose in (Purpose.ACTION, Purpose.WORLD) for time in range(8)]
    assert len(np.unique(np.stack(drawn))) == 16 * 35


def test_numbers_are_spread_as_they_should() -> None:
    source = luck(40, 500)
    uniform = source.each(Purpose.WORLD, 0)
    assert abs(uniform.mean() - 0.5) < 0.01
    assert abs(uniform.var() - 1 / 12) < 0.002
    normal = source.normals(Purpose.WORLD, 0, 2)
    assert abs(normal.mean()) < 0.02
    assert abs(normal.std() - 1) < 0.02
    assert abs(np.corrcoef(normal[:, 0].ravel(), normal[:, 1].ravel())[0, 1]) < 0.03
    first, second = box_muller(np, np.array([math.exp(-0.5)]), np.array([0.25]))
    assert (round(float(first[0]), 12), round(float(second[0]), 12)) == (0.0, 1.0)


@pytest.mark.parametrize("shape", [1.0, 1.5, 30.0])
def test_gamma_numbers_have_mean_and_variance_of_their_shape(shape: float) -> None:
    drawn = gamma(np, luck(40, 100), np.full((40, 5, 100), shape), 3)
    assert abs(drawn.mean() - shape) < 4 * math.sqrt(shape / drawn.size)
    assert abs(drawn.var() / shape - 1) < 0.1
    assert len(np.unique(drawn)) == drawn.size


# Cart-pole


def cart_pole_twin(state: list[float], action: int) -> tuple[list[float], bool]:
    """One step as the equations of motion stand in Barto, Sutton and Anderson, without friction."""
    x, x_dot, theta, theta_dot = state
    force = 10.0 if action == 1 else -10.0
    total = 1.1
    temp = (force + 0.05 * theta_dot**2 * math.sin(theta)) / total
    theta_acc = (9.8 * math.sin(theta) - math.cos(theta) * temp) / (
        0.5 * (4.0 / 3.0 - 0.1 * math.cos(theta) ** 2 / total)
    )
    x_acc = temp - 0.05 * theta_acc * math.cos(theta) / total
    after = [
        x + 0.02 * x_dot, x_dot + 0.02 * x_acc, theta + 0.02 * theta_dot, theta_dot + 0.02 * theta_acc
    ]  # fmt: skip
    return after, abs(after[0]) > 2.4 or abs(after[2]) > 12 * 2 * math.pi / 360


@settings(max_examples=50, deadline=None)
@given(
    st.lists(st.floats(-3, 3), min_size=4, max_size=4),
    st.lists(st.integers(0, 1), min_size=1, max_size=30),
)
def test_a_cart_moves_as_its_scalar_twin(start: list[float], actions: list[int]) -> None:
    world = CartPoleWorld(CartPole(), HOST)
    state = tuple(np.full((1, 2), number) for number in start)
    twin = start
    for action in actions:
        state, reward, ended = world.step(state, np.full((1, 2), action), unused)
        twin, over = cart_pole_twin(twin, action)
        assert [float(each[0, 1]) for each in state] == pytest.approx(twin, rel=1e-12, abs=1e-12)
        assert bool(ended[0, 0]) is over
        assert reward.tolist() == [[1.0, 1.0]]
        if over:
            return


def test_episodes_of_carts_are_those_of_the_twin() -> None:
    """A whole rollout, step by step in plain Python, from the same first states."""
    environment = CartPole(limit=120)
    upright = Linear(weights=((0.0,) * 5, (0.0, 0.5, 1.0, 1.0, 0.0)))
    spec = RolloutSpec(environments=(environment,), policies=(upright,), seeds=("7",), episodes=25)
    found = compute(spec, HOST).members[0]
    name = msgspec.msgpack.encode(environment)
    source = Luck(arrays=HOST, keys=keys(["7"], name, "play"), lanes=25)
    first = [0.1 * each - 0.05 for each in source.several(Purpose.BEGIN, 0, 4)]
    lengths = []
    for lane in range(25):
        state, length, over = [float(each[0, lane]) for each in first], 0, False
        while not over and length < 120:
            score = 0.5 * state[1] + state[2] + state[3]
            state, over = cart_pole_twin(state, int(score > 0))
            length += 1
        lengths.append((length, over))
    assert found.lengths == tuple(length for length, _ in lengths)
    assert found.returns == tuple(float(length) for length, _ in lengths)
    assert found.terminated == sum(over for _, over in lengths)


def test_a_copy_begins_again_and_tells_its_end_from_the_time_limit() -> None:
    vector = Vector(CartPoleWorld(CartPole(limit=12), HOST), luck(3, 6), HOST)
    fallen = cut = 0
    length = np.zeros((3, 6), dtype=int)
    for _ in range(60):
        before = vector.seen
        step = vector.step(np.ones((3, 6), dtype=np.int64))
        length += 1
        over = step.terminated | step.truncated
        assert not (step.terminated & step.truncated).any()
        assert np.array_equal(step.truncated, (length == 12) & ~step.terminated)
        assert np.array_equal(step.finished, np.where(over, length, 0))
        assert not np.array_equal(step.following, before)
        after = vector.seen
        assert (np.abs(after.transpose(0, 2, 1)[over]) <= 0.05).all()
        assert np.array_equal(after.transpose(0, 2, 1)[~over], step.following.transpose(0, 2, 1)[~over])
        fallen += int(step.terminated.sum())
        cut += int(step.truncated.sum())
        length[over] = 0
    assert fallen > 50  # pushed one way, it falls after nine or ten steps
    assert cut == 0
    patient = Vector(CartPoleWorld(CartPole(limit=3), HOST), luck(1, 4), HOST)
    ends = [patient.step(np.zeros((1, 4), dtype=np.int64)).truncated.all() for _ in range(6)]
    assert ends == [False, False, True, False, False, True]


# Grid world


def transitions(world: GridWorld) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Chances (cells x moves x cells), expected rewards (cells x moves) and ends, by the rules in words."""
    cells = [(r, c) for r, row in enumerate(world.map) for c, sign in enumerate(row) if sign != "#"]
    chances = np.zeros((len(cells), 4, len(cells)))
    around = [(-1, 0), (0, 1), (1, 0), (0, -1)]
    for number, (row, column) in enumerate(cells):
        for move in range(4):
            for actual, chance in (
                (move, 1 - world.slip), ((move - 1) % 4, world.slip / 2), ((move + 1) % 4, world.slip / 2)
            ):  # fmt: skip
                there = (row + around[actual][0], column + around[actual][1])
                chances[number, move, cells.index(there) if there in cells else number] += chance
    sign = [world.map[row][column] for row, column in cells]
    gain = np.array([world.step + {"G": world.goal, "X": world.pit}.get(each, 0.0) for each in sign])
    return chances, chances @ gain, np.array([each in "GX" for each in sign])


def optimal(world: GridWorld) -> tuple[np.ndarray, np.ndarray]:
    """Values and best moves after exact value iteration."""
    chances, rewards, ends = transitions(world)
    value = np.zeros(len(ends))
    for _ in range(2000):
        quality = rewards + chances @ np.where(ends, 0.0, value)
        value = quality.max(axis=1)
    return value, quality.argmax(axis=1)


@pytest.mark.parametrize("slip", [0.0, 0.3, 1.0])
def test_moves_have_the_chances_of_the_rules(slip: float) -> None:
    environment = GridWorld(map=MAP, slip=slip)
    world, chances = GridWorldWorld(environment, HOST), transitions(environment)[0]
    uniform = ((np.arange(2000) + 0.5) / 2000)[None, :]
    for cell in range(world.features):
        for move in range(4):
            state = (np.full((1, 2000), cell),)
            (after,), _, _ = world.step(state, np.full((1, 2000), move), lambda _: [uniform])
            share = np.bincount(after[0], minlength=world.features) / 2000
            assert share == pytest.approx(chances[cell, move], abs=1e-9)


@pytest.mark.parametrize("slip", [0.0, 0.2])
def test_the_best_policy_earns_what_value_iteration_says(slip: float) -> None:
    environment = GridWorld(map=MAP, slip=slip, limit=1000)
    value, moves = optimal(environment)
    cells = iter(moves)
    arrows = tuple("".join("#" if sign == "#" else "^>v<"[next(cells)] for sign in row) for row in MAP)
    spec = RolloutSpec(
        environments=(environment,), policies=(Tabular(arrows=arrows),), seeds=("a", "b"), episodes=4000
    )
    returns = np.array([member.returns for member in compute(spec, HOST).members])
    error = returns.std() / math.sqrt(returns.size)
    assert abs(returns.mean() - value[0]) <= 4 * error + 1e-9


def test_several_starts_are_as_likely() -> None:
    world = GridWorldWorld(GridWorld(map=("SS.", "S#G")), HOST)
    (cell,) = world.begin(lambda _: [((np.arange(300) + 0.5) / 300)[None, :]])
    assert np.bincount(cell[0]).tolist() == [100, 100, 0, 100]


# Bandits


def regrets(bandit: Bandit, *policies: Any) -> list[float]:
    spec = RolloutSpec(environments=(bandit,), policies=policies, seeds=("s",), episodes=150)
    return [member.regret[-1] for member in compute(spec, HOST).members]


@pytest.mark.parametrize("reward", ["bernoulli", "gaussian", "linear"])
def test_who_learns_regrets_less_than_chance(reward: Any) -> None:
    context: dict[str, Any] = {"features": 3} if reward == "linear" else {}
    bandit = Bandit(arms=5, reward=reward, limit=400, **context)
    chance, greedy, ucb, thompson = regrets(bandit, Uniform(), EpsilonGreedy(), Ucb(), Thompson())
    assert max(greedy, ucb, thompson) < 0.6 * chance
    assert min(greedy, ucb, thompson) > 0


def test_regret_of_chance_is_what_it_must_be_and_grows() -> None:
    bandit = Bandit(arms=3, means=(0.2, 0.5, 0.8), limit=200)
    spec = RolloutSpec(environments=(bandit,), policies=(Uniform(),), seeds=("s",), episodes=400)
    member = compute(spec, HOST).members[0]
    assert member.regret[-1] == pytest.approx(200 * 0.3, rel=0.03)
    assert np.mean(member.returns) == pytest.approx(200 * 0.5, rel=0.03)
    assert len(member.regret) == 50
    assert list(member.regret) == sorted(member.regret)
    assert (member.lengths, member.terminated) == ((200,) * 400, 0)


def test_logarithmic_regret_of_ucb() -> None:
    """Well within Auer's bound, which is 8 ln n / gap + (1 + π²/3) · gap for each arm that is not the best."""
    found = regrets(Bandit(arms=2, means=(0.4, 0.7), limit=3000), Ucb())[0]
    assert 5 < found < 8 * math.log(3000) / 0.3 + (1 + math.pi**2 / 3) * 0.3


def test_forgetting_helps_where_arms_drift() -> None:
    bandit = Bandit(arms=5, reward="gaussian", noise=0.5, drift=0.1, limit=600)
    never, soon = regrets(bandit, EpsilonGreedy(), EpsilonGreedy(discount=0.9))
    assert soon < 0.8 * never


def test_arms_that_never_differ_cost_nothing() -> None:
    assert regrets(Bandit(arms=2, means=(0.5, 0.5), limit=50), Thompson(), Uniform()) == [0.0, 0.0]


def bandit_twin(choose: Callable[[list[float], list[int], int], int], seed: int) -> float:
    """Regret of 500 pulls of three Bernoulli arms, in plain Python."""
    rng, means = random.Random(seed), (0.2, 0.5, 0.8)
    sums, counts, regret = [0.0] * 3, [0] * 3, 0.0
    for time in range(500):
        arm = time if time < 3 else choose(sums, counts, time)
        sums[arm] += rng.random() < means[arm]
        counts[arm] += 1
        regret += 0.8 - means[arm]
    return regret


def test_ucb_regrets_as_much_as_a_scalar_twin() -> None:
    def choose(sums: list[float], counts: list[int], time: int) -> int:
        bounds = [s / n + math.sqrt(2 * math.log(time) / n) for s, n in zip(sums, counts, strict=True)]
        return bounds.index(max(bounds))

    twin = np.mean([bandit_twin(choose, seed) for seed in range(100)])
    (ours,) = regrets(Bandit(arms=3, means=(0.2, 0.5, 0.8), limit=500), Ucb())
    assert ours == pytest.approx(twin, rel=0.08)
