"""What a rollout is asked: parts, packing, and words for everything that cannot be computed."""

import asyncio
import dataclasses
import math
from collections.abc import Callable
from typing import Any

import anyio
import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from agents.cli.rolled import warning
from bus import traces
from bus.errors import JobFailed
from bus.worker import Job
from contracts.rollouts import (
    Bandit,
    CartPole,
    Environment,
    EpsilonGreedy,
    GridWorld,
    Linear,
    MemberResult,
    Mlp,
    Policy,
    PolicyGradient,
    RolloutResult,
    RolloutSpec,
    Tabular,
    Thompson,
    Ucb,
    Uniform,
    check,
    decode_result,
    decode_spec,
    encode,
    job_id,
    join,
    labels,
    members,
    spec_from,
    split,
    work,
)
from gpu_workers import arrays, testing
from gpu_workers.errors import DeviceLost
from gpu_workers.rollouts.compute import compute, compute_together
from gpu_workers.rollouts.jobs import Item, Rollouts

HOST = arrays.choose("numpy")
GRID = GridWorld(map=("S.#", "..G"), slip=0.2, limit=20)
ARROWS = Tabular(arrows=("vv#", ">> "))
SHORT = PolicyGradient(hidden=(5,), updates=3, copies=3, steps=9)
ACTING: tuple[Policy, ...] = (
    Uniform(),
    Linear(),
    Linear(greedy=False, scale=2.0),
    Mlp(hidden=(7, 3), greedy=False),
    SHORT,
    msgspec.structs.replace(SHORT, learning_rate=0.3, entropy=0.0, trace=0.5),
)
PULLING: tuple[Policy, ...] = (
    Uniform(),
    EpsilonGreedy(),
    EpsilonGreedy(epsilon=0.5),
    Ucb(),
    Ucb(width=0.2),
    Thompson(),
)
MIXTURES: tuple[tuple[Environment, tuple[Policy, ...]], ...] = (
    (CartPole(limit=60), ACTING),
    (GRID, (*ACTING, ARROWS, msgspec.structs.replace(SHORT, network="tabular"))),
    (Bandit(arms=3, limit=40), (*PULLING, Ucb(discount=0.9), Thompson(discount=0.8))),
    (Bandit(arms=3, reward="gaussian", drift=0.1, limit=40), (*PULLING, EpsilonGreedy(discount=0.7))),
    (Bandit(arms=3, reward="linear", features=4, limit=40), PULLING),
)


def spec(environment: Environment, *policies: Policy, **changes: Any) -> RolloutSpec:
    made = RolloutSpec(environments=(environment,), policies=policies, seeds=("a", "b", "c"), episodes=11)
    return msgspec.structs.replace(made, **changes)


# A member does not depend on its company


@pytest.mark.parametrize(("environment", "policies"), MIXTURES, ids=lambda each: type(each).__name__)
def test_a_member_alone_is_to_the_letter_what_it_is_among_others(
    environment: Environment, policies: tuple[Policy, ...]
) -> None:
    whole = spec(environment, *policies)
    together = compute(whole, HOST)
    for member, answer in zip(members(whole), together.members, strict=True):
        alone = spec(environment, policies[member.policy], seeds=(whole.seeds[member.seed],))
        assert encode(RolloutResult(members=compute(alone, HOST).members)) == encode(
            RolloutResult(members=(answer,))
        )


@pytest.mark.parametrize(("environment", "policies"), MIXTURES, ids=lambda each: type(each).__name__)
def test_several_specs_at_once_answer_each_as_alone(
    environment: Environment, policies: tuple[Policy, ...]
) -> None:
    first, second = spec(environment, *policies), spec(environment, policies[-1], seeds=("x", "b"))
    third = spec(environment, policies[0], episodes=3)
    told = [0.0] * 3

    def hear(place: int, steps: float) -> None:
        told[place] += steps

    found = compute_together([first, second, third], HOST, told=hear)
    for each, asked_alone in zip(found, (first, second, third), strict=True):
        alone = compute(asked_alone, HOST)
        assert (each.members, each.steps) == (alone.members, alone.steps)
        assert set(each.phases) == set(alone.phases)
    assert told == pytest.approx([work(first), work(second), work(third)])


@pytest.mark.parametrize(("environment", "policies"), MIXTURES, ids=lambda each: type(each).__name__)
def test_small_memory_changes_no_figure(environment: Environment, policies: tuple[Policy, ...]) -> None:
    whole = spec(environment, *policies)
    narrow = dataclasses.replace(HOST, block_bytes=6000, held_bytes=6000)
    assert compute(whole, narrow).members == compute(whole, HOST).members


@pytest.mark.parametrize("device", testing.devices(HOST), ids=lambda each: each.device)
@pytest.mark.parametrize(("environment", "policies"), MIXTURES, ids=lambda each: type(each).__name__)
def test_nothing_of_the_host_gets_among_what_is_on_a_device(
    environment: Environment, policies: tuple[Policy, ...], device: arrays.Arrays
) -> None:
    whole = spec(environment, *policies)
    found = compute(whole, dataclasses.replace(device, block_bytes=20_000))
    assert found.library == "cupy"
    for there, host in zip(found.members, compute(whole, HOST).members, strict=True):
        assert there.lengths == host.lengths
        assert there.returns == pytest.approx(
            host.returns, rel=1e-9
        )  # CuPy rounds differently in the last digits


def test_the_device_for_tests_refuses_arrays_of_the_host() -> None:
    there = testing.device(HOST)
    ours, theirs = there.put(np.arange(3.0)), np.arange(3)
    assert there.get(ours + 1).tolist() == [1.0, 2.0, 3.0]
    assert there.xp.sum(ours).shape == ()
    attempts: list[Callable[[], Any]] = [
        lambda: ours + theirs,
        lambda: theirs * ours,
        lambda: ours[theirs],
        lambda: ours.__setitem__(slice(None), theirs),
        lambda: ours.__iadd__(theirs),
        lambda: there.xp.where(ours > 1, theirs, ours),
        lambda: there.xp.concatenate([ours, theirs]),
        lambda: np.asarray([1.0]).__iadd__(ours),
    ]
    for attempt in attempts:
        with pytest.raises(testing.HostArray):
            attempt()


class Device:
    """NumPy on a device with limits: some of its functions are others."""

    def __init__(self, **functions: Any) -> None:
        self._functions = functions

    def __getattr__(self, name: str) -> Any:
        return self._functions.get(name) or getattr(np, name)


def roomy(members: int, sizes: list[int]) -> arrays.Arrays:
    """A device whose memory holds the observations of so many members; it keeps what it was asked for."""

    def empty(shape: tuple[int, ...]) -> Any:
        sizes.append(shape[0])
        if shape[0] > members:
            raise MemoryError
        return np.empty(shape)

    return dataclasses.replace(HOST, xp=Device(empty=empty))


def test_a_batch_too_large_is_halved_and_told() -> None:
    sizes: list[int] = []
    whole = spec(CartPole(), Linear(), seeds=tuple("abcdefg"))
    found = compute(whole, roomy(2, sizes))
    assert sizes == [7, 4, 2, 2, 3, 2, 1]
    assert found.halvings == 3
    assert found.members == compute(whole, HOST).members


def asked(handler: Rollouts) -> bytes:
    whole = spec(CartPole(), Linear())

    async def ask() -> bytes:
        computing = asyncio.create_task(handler.run())
        try:
            return await handler(Job(kind="rollout", job_id=job_id(whole), data=encode(whole), attempt=1))
        finally:
            computing.cancel()

    return anyio.run(ask)


def test_where_not_even_one_member_fits_the_job_fails_for_good() -> None:
    with pytest.raises(JobFailed, match="memory does not suffice for one member") as raised:
        asked(Rollouts(None, roomy(0, [])))
    assert not raised.value.retry


def test_a_job_that_finds_no_room_does_not_cost_its_company() -> None:
    def empty(shape: tuple[int, ...]) -> Any:
        if shape[-1] > 30:
            raise MemoryError
        return np.empty(shape)

    handler = Rollouts(None, dataclasses.replace(HOST, xp=Device(empty=empty)))
    specs = [spec(CartPole(), Linear(), episodes=episodes) for episodes in (3, 31, 4, 5)]
    items = [Item(job_id=job_id(each), kind="rollout", spec=each) for each in specs]
    items[3].withdrawn = True
    first, roomless, third, withdrawn = handler.compute(items)
    for found, whole in ((first, specs[0]), (third, specs[2])):
        assert isinstance(found, RolloutResult)
        assert found.members == compute(whole, HOST).members
    assert isinstance(roomless, str)
    assert "memory does not suffice for one member" in roomless
    assert withdrawn is None


def test_a_lost_device_is_told_and_the_job_goes_back() -> None:
    def cos(_: Any) -> Any:
        raise ConnectionError("the bus fell off the card")

    told: list[DeviceLost] = []
    broken = dataclasses.replace(HOST, xp=Device(cos=cos), lost=(ConnectionError,), device="card 0")
    with pytest.raises(JobFailed, match="card 0 failed: the bus fell off the card") as raised:
        asked(Rollouts(None, broken, on_lost=told.append))
    assert raised.value.retry
    assert [fault.device for fault in told] == ["card 0"]


def test_other_seeds_and_other_worlds_bring_other_luck() -> None:
    found = compute(spec(CartPole(), Uniform()), HOST).members
    assert len({member.returns for member in found}) == 3
    longer = compute(spec(CartPole(limit=499), Uniform()), HOST).members
    assert {member.returns for member in longer} & {member.returns for member in found} == set()


def test_all_policies_meet_the_same_luck() -> None:
    """The same arms and contexts, so that a comparison is paired."""
    bandit = Bandit(arms=4, means=(0.1, 0.2, 0.3, 0.9), limit=30)
    one = compute(spec(bandit, EpsilonGreedy(epsilon=0.0), EpsilonGreedy(epsilon=1e-9)), HOST).members
    assert one[0] == one[3]


def test_steps_told_sum_to_the_work_and_a_checkpoint_ends_it() -> None:
    whole = RolloutSpec(environments=(CartPole(), GRID), policies=ACTING, seeds=("a", "b"), episodes=5)
    told: list[int] = []
    result = compute(whole, HOST, told=told.append)
    assert sum(told) == work(whole)
    assert 0 < result.steps < work(whole)
    calls = 0

    def stop() -> None:
        nonlocal calls
        calls += 1
        if calls == 5:
            raise InterruptedError

    with pytest.raises(InterruptedError):
        compute(whole, HOST, checkpoint=stop)


def test_what_took_how_long_is_told_and_traced() -> None:
    whole = spec(CartPole(limit=20), SHORT, Linear(), episodes=2)
    exporter = InMemorySpanExporter()
    assert traces.configure("test", exporter)
    try:
        found = compute(whole, HOST)
    finally:
        traces.shutdown()
    assert set(found.phases) == {"learn", "play"}
    assert 0 < sum(found.phases.values()) <= found.seconds
    steps: dict[str, int] = {}
    for span in exporter.get_finished_spans():
        assert span.attributes is not None
        assert span.attributes["ratchet.rollout.members"] == 3
        steps[span.name] = steps.get(span.name, 0) + int(str(span.attributes["ratchet.rollout.steps"]))
    assert steps["rollout learn"] == 3 * 3 * 3 * 9
    assert sum(steps.values()) == found.steps
    joined = join(whole, [(whole, found), (whole, found)])
    assert joined.phases["learn"] == 2 * found.phases["learn"]


# Bytes and parts


def test_bytes_there_and_back() -> None:
    whole = spec(GRID, *ACTING, ARROWS)
    assert decode_spec(encode(whole)) == whole
    assert len(job_id(whole)) == 64
    assert job_id(whole) != job_id(msgspec.structs.replace(whole, episodes=12))
    result = compute(spec(GRID, SHORT), HOST)
    assert decode_result(encode(result)) == result


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 3), st.integers(1, 5), st.integers(1, 9), st.integers(1, 4000), st.integers(1, 300))
def test_parts_have_all_members_once_and_join_to_the_whole(
    worlds: int, policies: int, seeds: int, steps: int, figures: int
) -> None:
    whole = RolloutSpec(
        environments=tuple(CartPole(limit=10 + number) for number in range(worlds)),
        policies=tuple(Linear(scale=1.0 + number) for number in range(policies)),
        seeds=tuple(map(str, range(seeds))),
        episodes=7,
    )
    parts = split(whole, steps=steps, figures=figures)
    answers = []
    for part in parts:
        count = len(members(part))
        assert count == 1 or (work(part) <= steps and count * 57 <= figures)
        answers.append((part, RolloutResult(members=tuple(map(_named(part), members(part))), steps=1)))
    joined = join(whole, answers[::-1])
    assert joined.members == tuple(map(_named(whole), members(whole)))
    assert joined.steps == len(parts)


def _named(whole: RolloutSpec) -> Any:
    """A result that tells its member."""

    def name(member: Any) -> MemberResult:
        policy = whole.policies[member.policy]
        assert isinstance(policy, Linear)
        numbers = (
            whole.environments[member.environment].limit,
            int(policy.scale),
            int(whole.seeds[member.seed]),
        )
        return MemberResult(returns=(), lengths=numbers, terminated=0)

    return name


def test_a_missing_part_is_found_out() -> None:
    whole = spec(CartPole(limit=5), Linear())
    parts = [(part, compute(part, HOST)) for part in split(whole, steps=1, figures=1)]
    assert len(parts) == 3
    assert join(whole, parts).members == compute(whole, HOST).members
    with pytest.raises(ValueError, match="1 members are in no part"):
        join(whole, parts[1:])


def test_parts_of_two_libraries_are_told_apart() -> None:
    whole = spec(CartPole(limit=5), Linear())
    parts = [(part, compute(part, HOST)) for part in split(whole, steps=1, figures=1)]
    assert warning(join(whole, parts)) == ""
    parts[1] = (parts[1][0], msgspec.structs.replace(parts[1][1], library="cupy"))
    assert "computed by cupy and numpy" in warning(join(whole, parts))


# What cannot be computed


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (spec(CartPole(), Linear(), seeds=()), "seeds is empty"),
        (spec(CartPole(), Linear(), seeds=("a", "a")), "seeds holds the same twice"),
        (spec(CartPole(), Linear(), Linear()), "policies holds the same twice"),
        (spec(CartPole(), Linear(), episodes=0), "episodes = 0 is out of range"),
        (spec(CartPole(), Linear(), seeds=tuple(map(str, range(999))), episodes=20_000), "ask for fewer"),
        (spec(CartPole(), Linear(), kernel=2), "version 2 of the arithmetic"),
        (spec(CartPole(limit=0), Linear()), "cart_pole: limit = 0 is out of range"),
        (spec(CartPole(), Ucb()), "ucb on cart_pole: it pulls arms only"),
        (spec(CartPole(), ARROWS), "tabular on cart_pole: only a grid_world has cells"),
        (spec(CartPole(), PolicyGradient(network="tabular")), "take mlp or linear"),
        (spec(Bandit(), Mlp()), "mlp on bandit: .* take epsilon_greedy, ucb or thompson"),
        (spec(CartPole(), Linear(weights=((1.0, 2.0),))), "layer 1 is not 2 rows of 4 weights and a bias"),
        (spec(CartPole(), Linear(weights=((math.nan,) * 5,) * 2)), "a weight is no finite number"),
        (spec(CartPole(), Mlp(hidden=(2,), layers=(((0.0,) * 5,) * 2,))), "1 layers of weights; hidden wants 2"),
        (spec(CartPole(), Mlp(hidden=())), "hidden is one to 3 layers"),
        (spec(CartPole(), Mlp(hidden=(0,))), "hidden is one to 3 layers"),
        (spec(CartPole(), PolicyGradient(learning_rate=math.nan)), "learning_rate = nan is out of range"),
        (spec(CartPole(), PolicyGradient(discount=1.1)), "discount = 1.1 is out of range"),
        (spec(CartPole(limit=100_000), PolicyGradient(updates=20_000, copies=4096, steps=4096)), "steps, more"),
        (spec(GridWorld(map=()), Uniform()), "rows of one length"),
        (spec(GridWorld(map=("",)), Uniform()), "rows of one length"),
        (spec(GridWorld(map=("S.", "G")), Uniform()), "rows of one length"),
        (spec(GridWorld(map=("S?G",)), Uniform()), r"row 1 of map holds '\?'"),
        (spec(GridWorld(map=("..G",)), Uniform()), "no start"),
        (spec(GridWorld(map=("S.#G",)), Uniform()), "no goal G can be reached from the S in row 1, column 1"),
        (spec(GridWorld(map=("SXG",)), Uniform()), "no goal G can be reached"),
        (spec(GridWorld(map=("SG",), slip=math.nan), Uniform()), "slip = nan is out of range"),
        (spec(GridWorld(map=("SG",), pit=-math.inf), Uniform()), "pit = -inf is out of range"),
        (spec(GridWorld(map=("S" * 401 + "G",)), Uniform()), "more than 400 cells"),
        (spec(GRID, Tabular(arrows=("vv#",))), "another shape than the map"),
        (spec(GRID, Tabular(arrows=("v.#", ">> "))), r"row 1 of arrows holds '\.'"),
        (spec(Bandit(arms=1), Ucb()), "arms = 1 is out of range"),
        (spec(Bandit(arms=2, means=(0.5,)), Ucb()), "means has 1 numbers for 2 arms"),
        (spec(Bandit(arms=2, means=(0.5, 1.5)), Ucb()), "chances, between 0 and 1"),
        (spec(Bandit(arms=2, means=(0.5, math.nan)), Ucb()), "no number"),
        (spec(Bandit(reward="linear", drift=0.1), Ucb()), "neither means nor drift"),
        (spec(Bandit(noise=0.5), Ucb()), "noise goes with gaussian and linear arms"),
        (spec(Bandit(features=3), Ucb()), "features goes with linear arms; bernoulli ones have no context"),
        (spec(Bandit(reward="gaussian", features=3), Ucb()), "features goes with linear arms; gaussian ones"),
        (spec(Bandit(reward="linear"), Ucb(discount=0.9)), "discount is for arms that drift"),
        (spec(Bandit(), EpsilonGreedy(epsilon=2)), "epsilon = 2 is out of range"),
        (spec(Bandit(), Ucb(discount=0)), "discount = 0 is out of range"),
    ],
)  # fmt: skip
def test_what_cannot_be_computed_is_told_in_words(wrong: RolloutSpec, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        check(wrong)
    with pytest.raises(ValueError, match=words):
        compute(wrong, HOST)
    with pytest.raises(ValueError, match=words):
        decode_spec(encode(wrong))


@pytest.mark.parametrize(
    "extreme",
    [
        spec(CartPole(limit=1), *ACTING),
        spec(CartPole(), Linear(scale=1e6), Mlp(scale=0.0), episodes=1),
        spec(GridWorld(map=("SG",), goal=1e6, step=-1e6), Uniform(), SHORT),
        spec(GridWorld(map=("SG",), slip=1.0, limit=5), Uniform(), SHORT, Tabular(arrows=("> ",))),
        spec(CartPole(), msgspec.structs.replace(SHORT, learning_rate=1.0, value_rate=1.0, clip=1e9)),
        spec(CartPole(), msgspec.structs.replace(SHORT, copies=1, steps=1, discount=0.0, trace=0.0)),
        spec(CartPole(), msgspec.structs.replace(SHORT, entropy=100.0, learning_rate=0.0, clip=1e-9)),
        spec(Bandit(arms=2, noise=0.0, reward="gaussian", means=(0.0, 0.0), limit=30), *PULLING),
        spec(Bandit(arms=100, limit=1), *PULLING),
        spec(Bandit(arms=2, noise=1e6, drift=1e6, reward="gaussian", limit=30), *PULLING),
        spec(Bandit(arms=2, drift=1e6, limit=400), Ucb(discount=0.01), Thompson(discount=0.01)),
        spec(Bandit(arms=2, noise=0.0, reward="linear", features=1, limit=50), *PULLING),
        spec(Bandit(arms=2, reward="linear", features=16, noise=1e6, limit=60), *PULLING),
    ],
)
def test_extremes_give_numbers(extreme: RolloutSpec) -> None:
    with np.errstate(all="raise", under="ignore"):
        found = compute(extreme, HOST)
    for member in found.members:
        figures = (*member.returns, *member.regret, *(each for each in member.curve if each is not None))
        assert len(member.returns) == len(member.lengths) == extreme.episodes
        assert all(math.isfinite(each) for each in figures)
        assert all(each >= 0 for each in member.regret)


# As a person writes it


def table(**changes: Any) -> dict[str, Any]:
    return {"environment": [{"kind": "cart_pole"}], "policy": [{"kind": "linear"}], **changes}


def test_a_list_stands_for_one_of_each() -> None:
    found = spec_from(
        table(
            policy=[
                {"kind": "policy_gradient", "learning_rate": [0.01, 0.1], "entropy": [0, 1], "hidden": [4]}
            ],
            seeds=2,
        )
    )
    wanted = [(0.01, 0.0), (0.01, 1.0), (0.1, 0.0), (0.1, 1.0)]
    assert [(p.learning_rate, p.entropy, p.hidden) for p in found.policies] == [  # type: ignore[union-attr]
        (rate, entropy, (4,)) for rate, entropy in wanted
    ]
    assert found.seeds == ("0", "1")
    assert labels(found.policies)[0] == "policy_gradient hidden=4 learning_rate=0.01 entropy=0"
    assert labels((CartPole(), CartPole(limit=9))) == ["cart_pole limit=500", "cart_pole limit=9"]
    assert labels((GRID, msgspec.structs.replace(GRID, map=("SG", "##")), Uniform())) == [
        "grid_world map=2 rows slip=0.2 limit=20 (1)",
        "grid_world map=2 rows slip=0.2 limit=20 (2)",
        "uniform",
    ]
    assert labels((Bandit(arms=2, means=(0.2, 0.8)), Bandit(arms=2))) == [
        "bandit arms=2 means=0.2×0.8",
        "bandit arms=2 means=drawn",
    ]
    assert spec_from(table(seeds=["x", 3])).seeds == ("x", "3")
    assert spec_from(table(environment={"kind": "cart_pole", "limit": [5, 6]})).environments == (
        CartPole(limit=5),
        CartPole(limit=6),
    )


def test_a_bandit_has_as_many_arms_as_means_unless_it_says_otherwise() -> None:
    def read(**settings: Any) -> RolloutSpec:
        return spec_from(table(environment=[{"kind": "bandit", **settings}], policy=[{"kind": "ucb"}]))

    assert read(means=[0.2, 0.8], limit=[5, 6]).environments == (
        Bandit(arms=2, means=(0.2, 0.8), limit=5),
        Bandit(arms=2, means=(0.2, 0.8), limit=6),
    )
    assert read(means=[]).environments == (Bandit(),)
    with pytest.raises(ValueError, match="means has 2 numbers for 3 arms"):
        read(means=[0.2, 0.8], arms=3)


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (table(seed=3), "'seed' is no key of a rollout; it has environment, policy, seeds, episodes"),
        (table(policy=[]), r"at least one table \[\[policy\]\]"),
        (table(policy=["linear"]), r"at least one table \[\[policy\]\]"),
        ({"policy": [{"kind": "linear"}]}, r"at least one table \[\[environment\]\]"),
        (table(policy=[{}]), r"\[\[policy\]\] number 1 has no kind; it is one of uniform, linear, mlp"),
        (table(policy=[{"kind": ["linear"]}]), "is none of uniform"),
        (table(environment=[{"kind": "cartpole"}]), "kind = 'cartpole' is none of cart_pole, grid_world, bandit"),
        (table(policy=[{"kind": "linear", "sclae": 1}]), "'sclae' is no setting of linear; it has weights, scale"),
        (table(policy=[{"kind": "uniform", "a": 1}]), "'a' is no setting of uniform; it has none"),
        (table(policy=[{"kind": "linear", "scale": "x"}]), "number 1: scale = 'x' is not a number"),
        (table(policy=[{"kind": "tabular"}]), "number 1: tabular needs arrows"),
        (table(environment=[{"kind": "cart_pole", "limit": 1.5}]), "limit = 1.5 is not a whole number"),
        (table(policy=[{"kind": "policy_gradient", "network": "rnn"}]), "network = 'rnn' is none of mlp, linear"),
        (table(policy=[{"kind": "linear", "scale": []}]), "scale is an empty list"),
        (table(policy=[{"kind": "mlp", "hidden": 3}]), "Expected `array`, got `int`"),
        (table(policy=[{"kind": "linear", "scale": [*range(400)], "weights": []}], seeds=251), "100,400 members"),
        (
            table(policy=[{"kind": "policy_gradient", "entropy": [*range(400)], "updates": [*range(400)]}]),
            "more than 100,000 combinations",
        ),
        (table(seeds=0), "seeds = 0 is out of range"),
        (table(seeds=True), "seeds = True is no whole number"),
        (table(seeds=[1.5]), "no whole number"),
        (table(episodes="many"), "episodes = 'many' is no whole number"),
    ],
)  # fmt: skip
def test_a_mistake_in_a_table_is_told_in_words(wrong: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        spec_from(wrong)
