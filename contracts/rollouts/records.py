"""What is asked of a rollout, what comes of it, and the bytes of both."""

import hashlib
from collections import Counter
from collections.abc import Iterator, Sequence

import msgspec

from contracts.record import Record
from contracts.rollouts.environments import Bandit, Environment, check_environment
from contracts.rollouts.policies import Policy, PolicyGradient, check_pair, check_policy

KERNEL = 1
"""Version of the arithmetic: results of another version are not the same spec's."""
EPISODES = 20_000
"""Episodes of one member at most: its result has to fit into a message."""
ALL_EPISODES = 2_000_000
"""Episodes that one spec may ask for, over all its members."""
MEMBERS = 100_000
"""Members of one spec at most."""
WORK = 10**11
"""Steps that one spec may ask for at most."""
POINTS = 50
"""Points of a regret's curve at most."""


class Member(Record):
    """One policy in one environment with one seed, as indices into the spec."""

    environment: int
    policy: int
    seed: int


class RolloutSpec(Record, tag="rollout"):
    """Every policy in every environment with every seed: the members, in this order, seeds fastest."""

    environments: tuple[Environment, ...]
    policies: tuple[Policy, ...]
    seeds: tuple[str, ...]
    episodes: int = 100
    """Of each member; a policy that learns plays them after it has learnt."""
    kernel: int = KERNEL


class MemberResult(Record):
    """What came of one member."""

    returns: tuple[float, ...]
    """Sum of the rewards of each episode."""
    lengths: tuple[int, ...]
    """Steps of each episode."""
    terminated: int
    """Episodes that ended by themselves; the others ran into the time limit and were cut off."""
    curve: tuple[float | None, ...] = ()
    """Of a policy that learns by updates: mean return of the episodes that ended before each update, and None
    where none did."""
    regret: tuple[float, ...] = ()
    """Of a bandit: mean, over episodes, of what always pulling the best arm would have gained more, in
    expectation, up to each of at most `POINTS` pulls, evenly spaced, the last one being the episode's last."""


class RolloutResult(Record, tag="rolled_out"):
    """One answer per member of the spec, in the spec's order."""

    members: tuple[MemberResult, ...]
    steps: int = 0
    """Steps of all environments, learning included."""
    seconds: float = 0.0
    """What it took, over all parts; as the following, it says how the figures came about and is none of them."""
    phases: dict[str, float] = {}
    """Seconds of each kind of work: `learn`, `play` (episodes of policies as they are), `pull` (bandits)."""
    halvings: int = 0
    """How often memory did not suffice, and a batch was halved."""
    library: str = "numpy"
    """Which array library computed it. NumPy gives the same figures each time; CuPy's differ in last digits, and
    episodes in which such a digit decides differ altogether."""


_SPEC = msgspec.msgpack.Decoder(RolloutSpec)
_RESULT = msgspec.msgpack.Decoder(RolloutResult)


def encode(record: RolloutSpec | RolloutResult) -> bytes:
    """The canonical bytes of a spec or a result."""
    return msgspec.msgpack.encode(record)


def job_id(spec: RolloutSpec) -> str:
    """The spec's identity: SHA-256 of its canonical bytes, in hex."""
    return hashlib.sha256(encode(spec)).hexdigest()


def decode_spec(data: bytes) -> RolloutSpec:
    """A spec from its bytes, checked.

    Raises:
        ValueError: the bytes are no spec, or it asks for what cannot be computed.
    """
    spec = _SPEC.decode(data)
    check(spec)
    return spec


def decode_result(data: bytes) -> RolloutResult:
    """A result from its bytes.

    Raises:
        ValueError: the bytes are no result.
    """
    return _RESULT.decode(data)


def check(spec: RolloutSpec) -> None:
    """Whether a spec can be computed.

    Raises:
        ValueError: it cannot; names the value, and says what to do.
    """
    count = len(spec.environments) * len(spec.policies) * len(spec.seeds)
    if spec.kernel != KERNEL:
        raise ValueError(
            f"the spec asks for version {spec.kernel} of the arithmetic; this is version {KERNEL}"
        )
    for name in ("environments", "policies", "seeds"):
        found = getattr(spec, name)
        if not found:
            raise ValueError(f"{name} is empty; a rollout needs at least one of each")
        if len(found) != len({msgspec.msgpack.encode(each) for each in found}):
            raise ValueError(f"{name} holds the same twice; leave one of them out")
    if count > MEMBERS:
        raise ValueError(
            f"the spec has {count:,} members, more than {MEMBERS:,}; ask for fewer seeds or settings"
        )
    if not 1 <= spec.episodes <= EPISODES:
        raise ValueError(f"episodes = {spec.episodes} is out of range; it lies between 1 and {EPISODES:,}")
    for environment in spec.environments:
        check_environment(environment)
    for policy in spec.policies:
        check_policy(policy)
        for environment in spec.environments:
            check_pair(policy, environment)
    if count * spec.episodes > ALL_EPISODES:
        raise ValueError(
            f"{count:,} members with {spec.episodes:,} episodes each are more than {ALL_EPISODES:,} episodes; "
            "ask for fewer of one or the other"
        )
    if work(spec) > WORK:
        raise ValueError(
            f"the spec asks for up to {work(spec):.1e} steps, more than {WORK:.0e}; ask for fewer"
        )


def members(spec: RolloutSpec) -> list[Member]:
    """All members, in their order."""
    return [
        Member(environment=environment, policy=policy, seed=seed)
        for environment in range(len(spec.environments))
        for policy in range(len(spec.policies))
        for seed in range(len(spec.seeds))
    ]


def work(spec: RolloutSpec) -> int:
    """Steps that a spec takes at most."""
    steps = sum(member_work(e, p, spec.episodes) for e in spec.environments for p in spec.policies)
    return steps * len(spec.seeds)


def member_work(environment: Environment, policy: Policy, episodes: int) -> int:
    """Steps that one member takes at most."""
    learning = policy.updates * policy.copies * policy.steps if isinstance(policy, PolicyGradient) else 0
    return learning + episodes * environment.limit


def split(spec: RolloutSpec, *, steps: int, figures: int) -> list[RolloutSpec]:
    """Specs that together have the same members, divided no further than is needed.

    Args:
        spec: what to divide.
        steps: what a part may take at most, unless it is a single member.
        figures: how many returns and points of curves its result may hold at most, with the same exception.
    """
    count = len(spec.environments) * len(spec.policies) * len(spec.seeds)
    if count == 1 or (work(spec) <= steps and _figures(spec) <= figures):
        return [spec]
    axis = next(name for name in ("environments", "policies", "seeds") if len(getattr(spec, name)) > 1)
    values = getattr(spec, axis)
    middle = (len(values) + 1) // 2
    halves = (values[:middle], values[middle:])
    parts = [msgspec.structs.replace(spec, **{axis: half}) for half in halves]
    return [found for part in parts for found in split(part, steps=steps, figures=figures)]


def join(spec: RolloutSpec, parts: Sequence[tuple[RolloutSpec, RolloutResult]]) -> RolloutResult:
    """The result of a spec from those of its parts.

    Raises:
        ValueError: a part's result has not one answer for each of its members, or a member is in no part.
    """
    found = {
        name: answer
        for part, result in parts
        for name, answer in zip(_names(part), result.members, strict=True)
    }
    missing = [name for name in _names(spec) if name not in found]
    if missing:
        raise ValueError(f"{len(missing)} members are in no part")
    libraries = Counter(result.library for _, result in parts)
    return RolloutResult(
        members=tuple(found[name] for name in _names(spec)),
        steps=sum(result.steps for _, result in parts),
        seconds=sum(result.seconds for _, result in parts),
        phases={
            name: sum(result.phases.get(name, 0.0) for _, result in parts)
            for name in sorted({name for _, result in parts for name in result.phases})
        },
        halvings=sum(result.halvings for _, result in parts),
        library=", ".join(sorted(libraries)),
    )


def regret_points(bandit: Bandit) -> list[int]:
    """After which pulls, counted from 1, a regret's curve has a point."""
    count = min(POINTS, bandit.limit)
    return [bandit.limit * (number + 1) // count for number in range(count)]


def _figures(spec: RolloutSpec) -> int:
    each = [spec.episodes + (p.updates if isinstance(p, PolicyGradient) else POINTS) for p in spec.policies]
    return sum(each) * len(spec.environments) * len(spec.seeds)


def _names(spec: RolloutSpec) -> Iterator[tuple[bytes, bytes, str]]:
    for member in members(spec):
        environment = msgspec.msgpack.encode(spec.environments[member.environment])
        policy = msgspec.msgpack.encode(spec.policies[member.policy])
        yield environment, policy, spec.seeds[member.seed]
