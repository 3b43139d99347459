"""Answering whole specs: members of one shape are stacked, as many at once as memory has room for."""

import time
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias, TypeVar

import msgspec
import numpy as np
from numpy.typing import NDArray

from contracts.rollouts import (
    Bandit,
    BanditPolicy,
    CartPole,
    Environment,
    GridWorld,
    Linear,
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
    """Answer a spec; see `compute_together`.

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
    (found,) = compute_together(
        [spec], arrays, checkpoint=checkpoint, told=lambda _, steps: told(round(steps))
    )
    return msgspec.structs.replace(found, seconds=time.perf_counter() - started)


def compute_together(
    specs: Sequence[RolloutSpec],
    arrays: Arrays,
    *,
    checkpoint: Callable[[], None] = go_on,
    told: Callable[[int, float], None] = lambda _, __: None,
) -> list[RolloutResult]:
    """Answer several specs that were checked, in their order; members of one shape are stacked whosever they are.

    With NumPy a member's figures are the same whichever other members are computed beside it, to the bit. Seconds of
    a batch are shared out by members, which take equal parts of it.

    Args:
        specs: what to compute.
        arrays: what to compute with.
        checkpoint: called at least once for every step of a batch; it ends the computation by raising.
        told: called with a spec's place, and with steps of it as they are done or turn out not to be needed.

    Raises:
        ValueError: a member's learning came to what are no numbers.
        MemoryError: not even one member fits into memory (CuPy raises its own kind of it).
    """
    run = _Run(specs, arrays, checkpoint, told)
    groups: dict[tuple[object, ...], list[_Case]] = defaultdict(list)
    for case in run.cases:
        environment = msgspec.msgpack.encode(case.environment)
        groups[environment, case.episodes, *_shape(case.policy)].append(case)
    for group in groups.values():
        run.answer(group)
    return [run.result(place) for place in range(len(specs))]


@dataclass(frozen=True, kw_only=True, eq=False)
class _Case:
    """A member of one of the specs."""

    spec: int
    environment: Environment
    policy: Policy
    seed: str
    episodes: int

    def steps(self, answer: MemberResult) -> int:
        """Steps that it took, learning included."""
        learning = 0
        if isinstance(self.policy, PolicyGradient):
            learning = self.policy.updates * self.policy.copies * self.policy.steps
        return learning + sum(answer.lengths)


@dataclass(kw_only=True)
class _Share:
    """What one spec took."""

    seconds: float = 0.0
    phases: dict[str, float] = field(default_factory=dict)
    halvings: int = 0


def _shape(policy: Policy) -> tuple[object, ...]:
    """What members must have in common to be stacked."""
    kind = type(policy).__name__
    if isinstance(policy, PolicyGradient):
        return kind, *bucket(policy)
    if isinstance(policy, Linear | Mlp):
        return kind, policy.greedy, policy.hidden if isinstance(policy, Mlp) else ()
    return (kind,)


class _Run:
    """The members of some specs, answered batch by batch."""

    def __init__(
        self,
        specs: Sequence[RolloutSpec],
        arrays: Arrays,
        checkpoint: Callable[[], None],
        told: Callable[[int, float], None],
    ) -> None:
        self.arrays, self.checkpoint, self.told = arrays, checkpoint, told
        self.cases = [
            _Case(
                spec=place,
                environment=spec.environments[member.environment],
                policy=spec.policies[member.policy],
                seed=spec.seeds[member.seed],
                episodes=spec.episodes,
            )
            for place, spec in enumerate(specs)
            for member in members(spec)
        ]
        self.found: dict[_Case, MemberResult] = {}
        self.shares = [_Share() for _ in specs]

    def result(self, place: int) -> RolloutResult:
        """What came of one spec."""
        own = [case for case in self.cases if case.spec == place]
        share = self.shares[place]
        return RolloutResult(
            members=tuple(self.found[case] for case in own),
            steps=sum(case.steps(self.found[case]) for case in own),
            seconds=share.seconds,
            phases=share.phases,
            halvings=share.halvings,
            library=self.arrays.name,
        )

    def answer(self, group: list[_Case]) -> None:
        """Answer members of one shape in one environment."""
        first = group[0]
        if isinstance(first.environment, Bandit):
            self._pull(first.environment, group)
            return
        policy, environment = first.policy, first.environment
        world = make_world(environment, self.arrays)
        each, room = playing_bytes(policy, world.features) * first.episodes, self.arrays.block_bytes
        if isinstance(policy, PolicyGradient):
            each = max(each, training_bytes(policy, world.features))
            room = self.arrays.held_bytes  # stacking more learners saves more than caches lose

        def play_some(batch: list[_Case], watch: Watch) -> list[MemberResult]:
            return self._play(environment, world, batch, watch)

        for batch, answers in self._batches(group, room // each, play_some):
            self.found |= zip(batch, answers, strict=True)

    def _play(
        self, environment: CartPole | GridWorld, world: World, batch: list[_Case], watch: Watch
    ) -> list[MemberResult]:
        """Let members learn, if they do, and play their episodes."""
        policies, seeds = [case.policy for case in batch], [case.seed for case in batch]
        learners = [policy for policy in policies if isinstance(policy, PolicyGradient)]
        curves: list[tuple[float | None, ...]] = [()] * len(batch)
        if learners:
            luck = self._luck(batch, learners[0].copies, "learn")
            with watch.phase("learn", len(batch)):
                learnt = learn(learners, seeds, world, luck, self.arrays, watch)
            actor: Actor = learnt.actor
            curves = learnt.curve
        else:
            given = [policy for policy in policies if isinstance(policy, NetworkPolicy)]
            actor = make_actor(given, seeds, environment, world, self.arrays)
        luck = self._luck(batch, batch[0].episodes, "play")
        with watch.phase("play", len(batch)):
            played = play(world, actor, luck, self.arrays, watch)
        return [
            MemberResult(
                returns=tuple(played.returns[row].tolist()),
                lengths=tuple(played.lengths[row].tolist()),
                terminated=int(played.terminated[row].sum()),
                curve=curve,
            )
            for row, curve in enumerate(curves)
        ]

    def _pull(self, bandit: Bandit, group: list[_Case]) -> None:
        """Play a bandit's episodes; those of one member may take several batches, as lanes do not touch."""
        fits = max(1, self.arrays.block_bytes // bandit_bytes(bandit))
        episodes = group[0].episodes
        returns: dict[_Case, list[NDArray[np.float64]]] = defaultdict(list)
        regrets: dict[_Case, list[NDArray[np.float64]]] = defaultdict(list)
        for first in range(0, episodes, fits):
            lanes = min(fits, episodes - first)

            def pull_some(batch: list[_Case], watch: Watch, first: int = first, lanes: int = lanes) -> Pulled:
                fitting = [case.policy for case in batch if isinstance(case.policy, BanditPolicy | Uniform)]
                luck = self._luck(batch, lanes, "play", first)
                with watch.phase("pull", len(batch)):
                    return play_bandit(bandit, fitting, luck, self.arrays, watch)

            for batch, (gained, missed) in self._batches(group, fits // lanes, pull_some):
                for row, case in enumerate(batch):
                    returns[case].append(gained[row])
                    regrets[case].append(missed[row])
        for case in group:
            regret = np.concatenate(regrets[case], axis=1).mean(axis=1)
            self.found[case] = MemberResult(
                returns=tuple(np.concatenate(returns[case]).tolist()),
                lengths=(bandit.limit,) * episodes,
                terminated=0,
                regret=tuple(regret.tolist()),
            )

    def _batches(
        self, group: list[_Case], fits: int, call: Callable[[list[_Case], Watch], T]
    ) -> Iterator[tuple[list[_Case], T]]:
        """Call it with batches of so many members; one too large for memory is halved and tried again."""
        fits = max(1, fits)
        waiting = deque(group[start : start + fits] for start in range(0, len(group), fits))
        while waiting:
            batch = waiting.popleft()
            counts = Counter(case.spec for case in batch)
            watch = self._watch(counts, len(batch))
            begun = time.perf_counter()
            try:
                answer = call(batch, watch)
            except self.arrays.exhausted:
                if len(batch) == 1:
                    raise
                self._free()
                for place in counts:
                    self.shares[place].halvings += 1
                middle = (len(batch) + 1) // 2
                waiting.extendleft((batch[middle:], batch[:middle]))
            else:
                for place, count in counts.items():
                    share, part = self.shares[place], count / len(batch)
                    share.seconds += part * (time.perf_counter() - begun)
                    for name, seconds in watch.phases.items():
                        share.phases[name] = share.phases.get(name, 0.0) + part * seconds
                yield batch, answer

    def _watch(self, counts: Mapping[int, int], size: int) -> Watch:
        """One that tells each spec of its own part of a batch's steps."""

        def told(steps: int) -> None:
            for place, count in counts.items():
                self.told(place, steps * count / size)

        return Watch(checkpoint=self.checkpoint, told=told)

    def _free(self) -> None:
        """Give back what CuPy's pool keeps, so that smaller arrays find room."""
        if self.arrays.name == "cupy":
            self.arrays.xp.get_default_memory_pool().free_all_blocks()

    def _luck(self, batch: list[_Case], lanes: int, stage: str, first: int = 0) -> Luck:
        name = msgspec.msgpack.encode(batch[0].environment)
        return Luck(
            arrays=self.arrays,
            keys=keys([case.seed for case in batch], name, stage),
            lanes=lanes,
            first=first,
        )


def playing_bytes(policy: Policy, features: int) -> int:
    """Bytes that one lane takes at its peak while episodes are played."""
    hidden = policy.hidden if isinstance(policy, Mlp | PolicyGradient) else ()
    return 8 * (2 * features + 3 * max(hidden, default=0) + 32)
