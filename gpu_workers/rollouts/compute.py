"""Answering a whole spec: members of one shape are stacked, as many at once as memory has room for."""

import time
from collections import defaultdict, deque
from collections.abc import Callable, Iterator
from typing import TypeAlias, TypeVar

import msgspec
import numpy as np
from numpy.typing import NDArray

from contracts.rollouts import (
    Bandit,
    BanditPolicy,
    CartPole,
    GridWorld,
    Linear,
    Member,
    MemberResult,
    Mlp,
    NetworkPolicy,
    Policy,
    PolicyGradient,
    RolloutResult,
    RolloutSpec,
    Uniform,
    check,
    members,
)
from gpu_workers.arrays import Arrays
from gpu_workers.rollouts.actors import Actor, make_actor
from gpu_workers.rollouts.bandits import bandit_bytes, play_bandit
from gpu_workers.rollouts.episodes import play
from gpu_workers.rollouts.luck import Luck, keys
from gpu_workers.rollouts.training import bucket, learn, training_bytes
from gpu_workers.rollouts.watch import Watch, go_on, untold
from gpu_workers.rollouts.worlds import World, make_world

T = TypeVar("T")
Pulled: TypeAlias = tuple[NDArray[np.float64], NDArray[np.float64]]


def compute(
    spec: RolloutSpec,
    arrays: Arrays,
    *,
    checkpoint: Callable[[], None] = go_on,
    told: Callable[[int], None] = untold,
) -> RolloutResult:
    """Answer a spec.

    With NumPy a member's figures are the same whichever other members are computed beside it, to the bit.

    Args:
        spec: what to compute.
        arrays: what to compute with.
        checkpoint: called at least once for every step of a batch; it ends the computation by raising.
        told: called with steps as they are done, or turn out not to be needed; they sum to the spec's work.

    Raises:
        ValueError: the spec cannot be computed, or a member's learning came to what are no numbers.
        MemoryError: not even one member fits into memory (CuPy raises its own kind of it).
    """
    check(spec)
    started = time.perf_counter()
    run = _Run(spec, arrays, Watch(checkpoint=checkpoint, told=told))
    groups: dict[tuple[object, ...], list[Member]] = defaultdict(list)
    for member in members(spec):
        shape = _shape(spec.policies[member.policy])
        groups[member.environment, *shape].append(member)
    for group in groups.values():
        run.answer(group)
    return RolloutResult(
        members=tuple(run.found[_key(member)] for member in members(spec)),
        steps=run.watch.steps,
        seconds=time.perf_counter() - started,
        phases=run.watch.phases,
        halvings=run.halvings,
        library=arrays.name,
    )


def _key(member: Member) -> tuple[int, int, int]:
    return member.environment, member.policy, member.seed


def _shape(policy: Policy) -> tuple[object, ...]:
    """What members must have in common to be stacked."""
    kind = type(policy).__name__
    if isinstance(policy, PolicyGradient):
        return kind, *bucket(policy)
    if isinstance(policy, Linear | Mlp):
        return kind, policy.greedy, policy.hidden if isinstance(policy, Mlp) else ()
    return (kind,)


class _Run:
    """The members of one spec, answered batch by batch."""

    def __init__(self, spec: RolloutSpec, arrays: Arrays, watch: Watch) -> None:
        self.spec, self.arrays, self.watch = spec, arrays, watch
        self.found: dict[tuple[int, int, int], MemberResult] = {}
        self.halvings = 0

    def answer(self, group: list[Member]) -> None:
        """Answer members of one shape in one environment."""
        environment = self.spec.environments[group[0].environment]
        if isinstance(environment, Bandit):
            self._pull(environment, group)
            return
        policy = self.spec.policies[group[0].policy]
        world = make_world(environment, self.arrays)
        each, room = playing_bytes(policy, world.features) * self.spec.episodes, self.arrays.block_bytes
        if isinstance(policy, PolicyGradient):
            each = max(each, training_bytes(policy, world.features))
            room = self.arrays.held_bytes  # stacking more learners saves more than caches lose

        def play_some(batch: list[Member]) -> list[MemberResult]:
            return self._play(environment, world, batch)

        for batch, answers in self._batches(group, room // each, play_some):
            self.found |= zip(map(_key, batch), answers, strict=True)

    def _play(
        self, environment: CartPole | GridWorld, world: World, batch: list[Member]
    ) -> list[MemberResult]:
        """Let members learn, if they do, and play their episodes."""
        policies = [self.spec.policies[member.policy] for member in batch]
        seeds = [self.spec.seeds[member.seed] for member in batch]
        learners = [policy for policy in policies if isinstance(policy, PolicyGradient)]
        curves: list[tuple[float | None, ...]] = [()] * len(batch)
        if learners:
            luck = self._luck(batch, learners[0].copies, "learn")
            with self.watch.phase("learn", len(batch)):
                learnt = learn(learners, seeds, world, luck, self.arrays, self.watch)
            actor: Actor = learnt.actor
            curves = learnt.curve
        else:
            given = [policy for policy in policies if isinstance(policy, NetworkPolicy)]
            actor = make_actor(given, seeds, environment, world, self.arrays)
        luck = self._luck(batch, self.spec.episodes, "play")
        with self.watch.phase("play", len(batch)):
            played = play(world, actor, luck, self.arrays, self.watch)
        return [
            MemberResult(
                returns=tuple(played.returns[row].tolist()),
                lengths=tuple(played.lengths[row].tolist()),
                terminated=int(played.terminated[row].sum()),
                curve=curve,
            )
            for row, curve in enumerate(curves)
        ]

    def _pull(self, bandit: Bandit, group: list[Member]) -> None:
        """Play a bandit's episodes; those of one member may take several batches, as lanes do not touch."""
        fits = max(1, self.arrays.block_bytes // bandit_bytes(bandit))
        returns: dict[tuple[int, int, int], list[NDArray[np.float64]]] = defaultdict(list)
        regrets: dict[tuple[int, int, int], list[NDArray[np.float64]]] = defaultdict(list)
        for first in range(0, self.spec.episodes, fits):
            lanes = min(fits, self.spec.episodes - first)

            def pull_some(batch: list[Member], first: int = first, lanes: int = lanes) -> Pulled:
                policies = [self.spec.policies[member.policy] for member in batch]
                fitting = [policy for policy in policies if isinstance(policy, BanditPolicy | Uniform)]
                luck = self._luck(batch, lanes, "play", first)
                with self.watch.phase("pull", len(batch)):
                    return play_bandit(bandit, fitting, luck, self.arrays, self.watch)

            for batch, (gained, missed) in self._batches(group, fits // lanes, pull_some):
                for row, member in enumerate(batch):
                    returns[_key(member)].append(gained[row])
                    regrets[_key(member)].append(missed[row])
        for member in group:
            key = _key(member)
            regret = np.concatenate(regrets[key], axis=1).mean(axis=1)
            self.found[key] = MemberResult(
                returns=tuple(np.concatenate(returns[key]).tolist()),
                lengths=(bandit.limit,) * self.spec.episodes,
                terminated=0,
                regret=tuple(regret.tolist()),
            )

    def _batches(
        self, group: list[Member], fits: int, call: Callable[[list[Member]], T]
    ) -> Iterator[tuple[list[Member], T]]:
        """Call it with batches of so many members; one too large for memory is halved and tried again."""
        fits = max(1, fits)
        waiting = deque(group[start : start + fits] for start in range(0, len(group), fits))
        while waiting:
            batch = waiting.popleft()
            try:
                answer = call(batch)
            except self.arrays.exhausted:
                if len(batch) == 1:
                    raise
                self._free()
                self.halvings += 1
                middle = (len(batch) + 1) // 2
                waiting.extendleft((batch[middle:], batch[:middle]))
            else:
                yield batch, answer

    def _free(self) -> None:
        """Give back what CuPy's pool keeps, so that smaller arrays find room."""
        if self.arrays.name == "cupy":
            self.arrays.xp.get_default_memory_pool().free_all_blocks()

    def _luck(self, batch: list[Member], lanes: int, stage: str, first: int = 0) -> Luck:
        name = msgspec.msgpack.encode(self.spec.environments[batch[0].environment])
        seeds = [self.spec.seeds[member.seed] for member in batch]
        return Luck(arrays=self.arrays, keys=keys(seeds, name, stage), lanes=lanes, first=first)


def playing_bytes(policy: Policy, features: int) -> int:
    """Bytes that one lane takes at its peak while episodes are played."""
    hidden = policy.hidden if isinstance(policy, Mlp | PolicyGradient) else ()
    return 8 * (2 * features + 3 * max(hidden, default=0) + 32)
