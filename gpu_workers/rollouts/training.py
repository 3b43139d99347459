"""Policy gradients for many members at once: every combination of settings and seed learns in the same steps."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from contracts.rollouts import PolicyGradient
from gpu_workers.arrays import Arrays
from gpu_workers.rollouts.actors import Scores, network_of, sample
from gpu_workers.rollouts.luck import Luck, Purpose, weights
from gpu_workers.rollouts.network import Network
from gpu_workers.rollouts.vector import Vector
from gpu_workers.rollouts.watch import Watch
from gpu_workers.rollouts.worlds import World

UNDECIDED = 0.01
"""Scale of the policy's last layer at the beginning."""
_BETAS = (0.9, 0.999)
_TINY = 1e-8


@dataclass(frozen=True, kw_only=True)
class Learnt:
    """Policies after their last update, and how they came there."""

    actor: Scores
    curve: list[tuple[float | None, ...]]
    """Of each member, before each update: mean return of the episodes that ended, None where none did."""


@dataclass(frozen=True, kw_only=True)
class Batch:
    """What was seen between two updates; cases are steps x copies, steps slowest."""

    seen: Any
    """Observations: members x features x cases."""
    action: Any
    """Members x cases, as all of the following."""
    advantage: Any
    target: Any
    """What the baseline should have said."""


def learn(
    policies: Sequence[PolicyGradient],
    seeds: Sequence[str],
    world: World,
    luck: Luck,
    arrays: Arrays,
    watch: Watch,
) -> Learnt:
    """Train members whose policies differ in no shape (see `bucket`); `luck` has their copies as lanes.

    Raises:
        ValueError: a member's parameters are no numbers any more.
    """
    learner = Learner(policies, seeds, world, arrays)
    vector = Vector(world, luck, arrays)
    curve = []
    for _ in range(policies[0].updates):
        batch, returns = learner.collect(vector, watch)
        curve.append(returns)
        learner.update(batch)
    learner.check()
    actor = Scores(
        arrays=arrays,
        network=learner.network,
        parameters=learner.policy.parameters,
        greedy=policies[0].greedy,
    )
    return Learnt(actor=actor, curve=[tuple(row) for row in zip(*curve, strict=True)])


def bucket(policy: PolicyGradient) -> tuple[object, ...]:
    """What members must have in common to be trained together; all other settings are one number each."""
    return policy.network, policy.hidden, policy.updates, policy.copies, policy.steps, policy.greedy


def training_bytes(policy: PolicyGradient, features: int) -> int:
    """Bytes that one member takes at its peak: observations, activations and slopes of all cases."""
    units = sum(policy.hidden) if policy.network == "mlp" else 0
    return 8 * policy.copies * policy.steps * (3 * features + 3 * units + 44)


class Adam:
    """Parameters of all members and their moments. Source: Kingma and Ba (2015), algorithm 1."""

    def __init__(self, parameters: Any, rates: Any, clips: Any, xp: Any) -> None:
        self.parameters = parameters
        self._rates, self._clips, self._xp = rates, clips, xp
        self._first, self._second = xp.zeros_like(parameters), xp.zeros_like(parameters)
        self._time = 0

    def descend(self, gradient: Any) -> None:
        """Take a step against the gradient (members x parameters), scaled down where it is too long."""
        xp, (slow, slower) = self._xp, _BETAS
        norm = xp.sqrt((gradient * gradient).sum(axis=1, keepdims=True))
        gradient = gradient * xp.minimum(1.0, self._clips / (norm + _TINY))
        self._time += 1
        self._first = slow * self._first + (1 - slow) * gradient
        self._second = slower * self._second + (1 - slower) * gradient * gradient
        first = self._first / (1 - slow**self._time)
        second = self._second / (1 - slower**self._time)
        self.parameters = self.parameters - self._rates * first / (xp.sqrt(second) + _TINY)


class Learner:
    """The policies and baselines of several members."""

    def __init__(
        self, policies: Sequence[PolicyGradient], seeds: Sequence[str], world: World, arrays: Arrays
    ) -> None:
        self.network = network_of(policies[0], world)
        self._baseline_network = network_of(policies[0], world, outputs=1)
        self._arrays, self._policies, self._seeds = arrays, policies, tuple(seeds)
        self._discount, self._trace, self._entropy = (
            self._column(name) for name in ("discount", "trace", "entropy")
        )
        clips = self._column("clip")
        self.policy = Adam(
            self._first(self.network, Purpose.WEIGHTS, UNDECIDED),
            self._column("learning_rate"),
            clips,
            arrays.xp,
        )
        self.baseline = Adam(
            self._first(self._baseline_network, Purpose.BASELINE, 1.0),
            self._column("value_rate"),
            clips,
            arrays.xp,
        )

    def collect(self, vector: Vector, watch: Watch) -> tuple[Batch, list[float | None]]:
        """Act for the steps between two updates; also the mean return of each member's finished episodes."""
        xp, first = self._arrays.xp, self._policies[0]
        shape = (len(self._policies), first.steps, first.copies)
        lanes = shape[0] * shape[2]
        seen = xp.empty((shape[0], self.network.sizes[0], *shape[1:]))
        following = xp.empty_like(seen)
        action = xp.empty(shape, dtype=np.int64)
        reward, ended, over, finished = (xp.empty(shape) for _ in range(4))
        for time in range(first.steps):
            now = vector.seen
            scores = self.network.forward(xp, self.policy.parameters, now)[-1]
            chosen = sample(xp, scores, vector.chance())
            step = vector.step(chosen)
            seen[:, :, time], following[:, :, time] = now, step.following
            action[:, time], reward[:, time], ended[:, time] = chosen, step.reward, step.terminated
            over[:, time], finished[:, time] = step.terminated | step.truncated, step.finished
            watch.passed(lanes)
        watch.steps += lanes * first.steps
        flat = (shape[0], -1)
        seen = seen.reshape(shape[0], seen.shape[1], -1)
        value = self._values(seen).reshape(shape)
        later = self._values(following.reshape(seen.shape)).reshape(shape)
        advantage = advantages(reward, value, later, ended, over, self._discount, self._trace, xp)
        batch = Batch(
            seen=seen,
            action=action.reshape(flat),
            advantage=advantage.reshape(flat),
            target=(advantage + value).reshape(flat),
        )
        return batch, self._means(over.reshape(flat), finished.reshape(flat))

    def update(self, batch: Batch) -> None:
        """One step of the policy and one of the baseline."""
        xp = self._arrays.xp
        mean = batch.advantage.mean(axis=1, keepdims=True)
        centred = batch.advantage - mean
        spread = xp.sqrt((centred * centred).mean(axis=1, keepdims=True))
        scaled = centred / (spread + _TINY)
        found = self.network.forward(xp, self.policy.parameters, batch.seen)
        slopes = policy_slopes(xp, found[-1], batch.action, scaled, self._entropy)
        self.policy.descend(self.network.backward(xp, self.policy.parameters, found, slopes))
        found = self._baseline_network.forward(xp, self.baseline.parameters, batch.seen)
        slopes = (found[-1] - batch.target[:, None]) / batch.target.shape[1]
        self.baseline.descend(self._baseline_network.backward(xp, self.baseline.parameters, found, slopes))

    def check(self) -> None:
        """See that all parameters are numbers.

        Raises:
            ValueError: those of a member are not; names it.
        """
        xp = self._arrays.xp
        sound = self._arrays.get(xp.isfinite(self.policy.parameters).all(axis=1))
        for policy, seed, good in zip(self._policies, self._seeds, sound, strict=True):
            if not good:
                raise ValueError(
                    f"policy_gradient with learning_rate = {policy.learning_rate:g} and seed {seed!r} came to "
                    "parameters that are no numbers; lower learning_rate, value_rate or the size of the rewards"
                )

    def _column(self, name: str) -> Any:
        values = np.array([getattr(policy, name) for policy in self._policies], dtype=np.float64)
        return self._arrays.put(values[:, None])

    def _first(self, network: Network, purpose: Purpose, last: float) -> Any:
        return self._arrays.put(network.scaled(weights(self._seeds, network.count, purpose), last=last))

    def _values(self, seen: Any) -> Any:
        return self._baseline_network.forward(self._arrays.xp, self.baseline.parameters, seen)[-1]

    def _means(self, over: Any, finished: Any) -> list[float | None]:
        get = self._arrays.get
        counts: NDArray[np.float64] = get(over.sum(axis=1))
        sums: NDArray[np.float64] = get(finished.sum(axis=1))
        return [float(total / count) if count else None for total, count in zip(sums, counts, strict=True)]


def advantages(
    reward: Any, value: Any, later: Any, ended: Any, over: Any, discount: Any, trace: Any, xp: Any
) -> Any:
    """Generalized advantage estimates, all arrays members x steps x copies. Source: Schulman and others (2016).

    Args:
        reward: of each step.
        value: what the baseline says of the state before it.
        later: what it says of the state after it; an episode that the time limit cut off is worth that.
        ended: 1 where the episode ended by itself, and nothing comes after.
        over: 1 where the next step belongs to another episode, for whichever reason.
        discount: members x 1.
        trace: members x 1.
        xp: the array library.
    """
    found = xp.empty_like(reward)
    ahead = xp.zeros_like(reward[:, 0])
    for time in range(reward.shape[1] - 1, -1, -1):
        error = reward[:, time] + discount * later[:, time] * (1 - ended[:, time]) - value[:, time]
        ahead = error + discount * trace * (1 - over[:, time]) * ahead
        found[:, time] = ahead
    return found


def policy_slopes(xp: Any, scores: Any, action: Any, advantage: Any, entropy: Any) -> Any:
    """The slopes, by the scores (members x actions x cases), of the loss that a policy descends.

    The loss is the mean over cases of -advantage · log p(action) - entropy · H(p).
    """
    raised = xp.exp(scores - scores.max(axis=1, keepdims=True))
    total = raised.sum(axis=1, keepdims=True)
    chance = raised / total
    log = (scores - scores.max(axis=1, keepdims=True)) - xp.log(total)
    disorder = -(chance * log).sum(axis=1, keepdims=True)
    numbers = xp.arange(scores.shape[1])[None, :, None]
    taken = (action[:, None] == numbers).astype(np.float64)
    slopes = advantage[:, None] * (chance - taken) + entropy[:, :, None] * chance * (log + disorder)
    return slopes / scores.shape[2]
