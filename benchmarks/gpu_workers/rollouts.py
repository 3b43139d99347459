"""How fast rollouts are: steps of environments a second, beside the same work as a plain Python loop.

The loops are what one writes without arrays: an environment, a policy and a generator of the standard library,
one step after the other. No library of others was run as a peer. Each figure is the best of four
runs, and takes turns with the one that it is compared with.

    python -m benchmarks.gpu_workers.rollouts [--json]
"""

import json
import math
import random
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import click
import numpy as np
import structlog

from contracts.rollouts import (
    Bandit,
    CartPole,
    Environment,
    GridWorld,
    Linear,
    Mlp,
    Policy,
    PolicyGradient,
    RolloutSpec,
    Ucb,
    Uniform,
)
from gpu_workers import arrays
from gpu_workers.rollouts.compute import compute
from gpu_workers.rollouts.luck import Luck, keys
from gpu_workers.rollouts.vector import Vector
from gpu_workers.rollouts.worlds import make_world

HOST = arrays.choose()
MAP = ("#########", "#S..#..G#", "#.X.#.#.#", "#...#.#.#", "#.#...#.#", "#########")
UPRIGHT = ((0.0,) * 5, (0.0, 0.5, 1.0, 1.0, 0.0))
SEEDS = tuple(map(str, range(32)))


def best(*calls: Callable[[], int], runs: int = 4) -> list[float]:
    """Steps a second of the fastest run of each; they take turns, so that others on the machine slow all of them."""
    found = [0.0] * len(calls)
    for _ in range(runs):
        for number, call in enumerate(calls):
            started = time.perf_counter()
            steps = call()
            found[number] = max(found[number], steps / (time.perf_counter() - started))
    return found


# Plain loops


def cart_step(state: list[float], action: int) -> bool:
    """A step of the cart, in place; whether the episode is over."""
    x, speed, angle, spin = state
    sine, cosine = math.sin(angle), math.cos(angle)
    push = ((10.0 if action else -10.0) + 0.05 * spin * spin * sine) / 1.1
    turn = (9.8 * sine - cosine * push) / (0.5 * (4 / 3 - 0.1 * cosine * cosine / 1.1))
    state[:] = [
        x + 0.02 * speed, speed + 0.02 * (push - 0.05 * turn * cosine / 1.1),
        angle + 0.02 * spin, spin + 0.02 * turn,
    ]  # fmt: skip
    return abs(state[0]) > 2.4 or abs(state[2]) > 0.20943951023931953


def cart_loop(choose: Callable[[list[float], random.Random], int], episodes: int, limit: int) -> int:
    """Episodes of a cart, one after the other."""
    rng, steps = random.Random(1), 0
    for _ in range(episodes):
        state = [rng.uniform(-0.05, 0.05) for _ in range(4)]
        for _ in range(limit):
            steps += 1
            if cart_step(state, choose(state, rng)):
                break
    return steps


def by_chance(_state: list[float], rng: random.Random) -> int:
    """Either side."""
    return int(rng.random() < 0.5)


def by_scores(state: list[float], _rng: random.Random) -> int:
    """The side with the higher of two linear scores."""
    scores = [sum(w * s for w, s in zip(row, state, strict=False)) + row[4] for row in UPRIGHT]
    return int(scores[1] > scores[0])


def by_network() -> Callable[[list[float], random.Random], int]:
    """The side with the higher score of a drawn network of 32 units."""
    rng = random.Random(2)
    first = [[rng.gauss(0, 1) for _ in range(4)] for _ in range(32)]
    second = [[rng.gauss(0, 0.4) for _ in range(32)] for _ in range(2)]

    def choose(state: list[float], _rng: random.Random) -> int:
        units = [math.tanh(sum(w * s for w, s in zip(row, state, strict=True))) for row in first]
        scores = [sum(w * u for w, u in zip(row, units, strict=True)) for row in second]
        return int(scores[1] > scores[0])

    return choose


def grid_loop(episodes: int, limit: int, slip: float) -> int:
    """Walks at random on the map."""
    rng, steps, moves = random.Random(1), 0, ((-1, 0), (0, 1), (1, 0), (0, -1))
    for _ in range(episodes):
        row, column = 1, 1
        for _ in range(limit):
            move, chance = rng.randrange(4), rng.random()
            if chance < slip:
                move = (move + (3 if chance < slip / 2 else 1)) % 4
            there = (row + moves[move][0], column + moves[move][1])
            if MAP[there[0]][there[1]] != "#":
                row, column = there
            steps += 1
            if MAP[row][column] in "GX":
                break
    return steps


def ucb_loop(episodes: int, limit: int, arms: int) -> int:
    """UCB1 on Bernoulli arms."""
    rng = random.Random(1)
    for _ in range(episodes):
        means = [rng.random() for _ in range(arms)]
        sums, counts = [0.0] * arms, [0] * arms
        for pull in range(limit):
            arm = pull
            if pull >= arms:
                whole = 2 * math.log(pull)
                bounds = [s / n + math.sqrt(whole / n) for s, n in zip(sums, counts, strict=True)]
                arm = bounds.index(max(bounds))
            sums[arm] += rng.random() < means[arm]
            counts[arm] += 1
    return episodes * limit


# Ours


def vector(copies: int, steps: int) -> int:
    """Carts that begin again by themselves, pushed by chance."""
    source = Luck(arrays=HOST, keys=keys(["0"], b"benchmark", "play"), lanes=copies)
    carts = Vector(make_world(CartPole(), HOST), source, HOST)
    for _ in range(steps):
        carts.step((carts.chance() < 0.5).astype(np.int64))
    return copies * steps


def rolled(environment: Environment, policy: Policy, episodes: int, seeds: tuple[str, ...] = SEEDS) -> int:
    """A whole rollout, with everything that its result needs."""
    spec = RolloutSpec(environments=(environment,), policies=(policy,), seeds=seeds, episodes=episodes)
    return compute(spec, HOST).steps


def trained(members: int, *, together: bool) -> int:
    """Policy gradients, all members at once or one after the other."""
    policy = PolicyGradient(updates=20)
    batches = [SEEDS[:members]] if together else [(seed,) for seed in SEEDS[:members]]
    return sum(rolled(CartPole(), policy, 1, batch) for batch in batches)


def works() -> Iterator[tuple[str, Callable[[], int], Callable[[], int]]]:
    """Every kind of work: its name, the loop that does it, and ours."""
    world = GridWorld(map=MAP, slip=0.1)
    for copies in (1, 64, 1024, 8192):
        yield (
            f"cart-pole by chance, {copies:,} copies that begin again",
            partial(cart_loop, by_chance, 3000, 500),
            partial(vector, copies, max(50, 300_000 // copies) if copies > 1 else 20_000),
        )
    yield (
        "cart-pole, a given linear policy, 32 seeds x 200 episodes",
        partial(cart_loop, by_scores, 100, 500),
        partial(rolled, CartPole(), Linear(weights=UPRIGHT), 200),
    )
    yield (
        "cart-pole, drawn networks of 32 units, 32 seeds x 100 episodes",
        partial(cart_loop, by_network(), 100, 500),
        partial(rolled, CartPole(), Mlp(hidden=(32,), scale=2.0), 100),
    )
    yield (
        "grid world of 29 cells by chance, 32 seeds x 200 episodes",
        partial(grid_loop, 3000, 100, 0.1),
        partial(rolled, world, Uniform(), 200),
    )
    yield (
        "UCB1 on 10 Bernoulli arms, 32 seeds x 50 episodes of 200 pulls",
        partial(ucb_loop, 200, 200, 10),
        partial(rolled, Bandit(limit=200), Ucb(), 50),
    )
    for members in (4, 32):
        yield (
            f"policy gradients on cart-pole, {members} members at once, against one after the other",
            partial(trained, min(4, members), together=False),
            partial(trained, members, together=True),
        )


def measure() -> Iterator[dict[str, Any]]:
    """Steps a second of the loop, of ours, and their ratio, for every kind of work."""
    for name, loop, ours in works():
        base, found = best(loop, ours)
        yield {"work": name, "loop": round(base), "ours": round(found), "ratio": round(found / base, 2)}


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print the figures as JSON.")
def main(as_json: bool) -> None:
    """Time rollouts against plain Python loops, in steps a second."""
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    if as_json:
        print(json.dumps({"library": arrays.describe(), "work": list(measure())}, indent=2))
        return
    for row in measure():
        print(json.dumps(row))


if __name__ == "__main__":
    main()
