"""What a round plans: single steps, ablations every so often, wider steps where nothing has been gained for long."""

import asyncio
import random
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, cast

import msgspec
import pytest

from agents.cli.request import seed_files
from agents.patcher.changes import apply_change
from agents.patcher.policy import Patcher
from agents.planner.bandit import FADING, choose, directions, promising
from agents.planner.draft import Draft, Ground, signature
from agents.planner.operators import drafts
from agents.planner.policy import Planner, _numbered, chosen_drafts, rounds_without_gain
from agents.planner.wide import ablations
from agents.work import Desk, LineageWork
from contracts import events as e
from contracts.duties import Duty
from contracts.harness import departure
from contracts.lineage import Arm, Branch, Campaign, Candidate, Fixes, Lineage, Round, RoundSummary, Version
from contracts.models import Models
from contracts.settings import CampaignSettings, SuiteManifest, TaskRef
from eventstore.testing import MemoryStore
from eventstore.trees import put_tree

SEED = seed_files()
SUITE = SuiteManifest(
    name="s", digest="d", practice=tuple(TaskRef(id=f"task-{i}", package=f"p{i}", blob="b") for i in range(4))
)
RULES = [f"c1_r{n}_tell_0" for n in range(1, 4)]


def with_rules() -> dict[str, bytes]:
    tree = dict(SEED)
    for name in RULES:
        change = {
            "name": name,
            "moment": "step",
            "predicate": ["always", {}],
            "action": ["tell", {"text": f"Look at {name}."}],
        }
        tree = apply_change("compose", change, tree)
    return tree


GROWN = with_rules()


def ground(tree: Mapping[str, bytes] = SEED, *archive: Branch, name: str = "c1_r3") -> Ground:
    return Ground(tree=tree, archive=archive, name=name, seed=SEED, head="head", heads={"seed", "head"})


def state(
    done: int = 2, *, archive: Sequence[Branch] = (), history: str = "", arms: Any = None, **asked: Any
) -> Lineage:
    """A lineage in a campaign; of its history each letter is a round: k(ept), r(everted), o(f another campaign)."""
    campaign = Campaign(
        id="c1",
        settings=CampaignSettings(**{"plans": 6, "ablate_every": 0, "stagnation": 0, **asked}),
        suite=SUITE,
        fingerprint="f",
        status="running",
        rounds_done=done,
    )
    closed = tuple(
        RoundSummary(
            campaign="c0" if letter == "o" else "c1",
            number=number,
            tree="head",
            decision="kept" if letter == "k" else "reverted",
        )
        for number, letter in enumerate(history, 1)
    )
    return Lineage(campaign=campaign, archive=tuple(archive), history=closed, arms=arms or {})


def branch(draft: Draft, *, parent: str = "head", effect: float = -0.01, tree: str = "t") -> Branch:
    plan = e.Plan(
        surface=draft.surface,  # type: ignore[arg-type]
        operator=draft.operator,
        arm=draft.arms[0],
        change=draft.change,
        title=draft.title,
        evidence="",
        root_cause="",
        risks="",
        prediction=e.Prediction(effect=0.0),
    )
    return Branch(round=1, parent=parent, tree=tree, plan=plan, effect=effect)


def planned(
    lineage: Lineage, here: Ground | None = None, *, seed: int = 1, lessons: Sequence[str] = ()
) -> list[Draft]:
    here = here or ground(SEED, *lineage.archive)
    found = chosen_drafts(lineage, here, (), lessons, random.Random(seed))
    return [draft for draft, _ in found]


# Ablations


@pytest.mark.parametrize("every", [0, 1, 4, 8])
def test_every_so_many_rounds_the_head_is_tried_without_its_parts(every: int) -> None:
    for done in range(9):
        found = planned(state(done, ablate_every=every), ground(GROWN))
        if every and (done + 1) % every == 0:
            assert {draft.operator for draft in found} == {"drop"}
            assert sorted(draft.change["name"] for draft in found) == RULES
        else:
            assert len(found) == 6
            assert {draft.operator for draft in found} != {"drop"}


def test_an_ablation_expects_nothing() -> None:
    found = chosen_drafts(state(7, ablate_every=8), ground(GROWN), (), (), random.Random(1))
    assert {effect for _, effect in found} == {0.0}


def test_where_there_is_nothing_to_take_back_the_round_is_like_any_other() -> None:
    assert planned(state(7, ablate_every=8)) == planned(state(7))
    assert len(planned(state(7))) == 6


def test_what_was_missed_is_not_taken_back_from_the_same_head_again() -> None:
    parts = ablations(ground(GROWN))
    archive = [branch(parts[0])]
    found = planned(state(7, ablate_every=8, archive=archive), ground(GROWN, *archive))
    assert {draft.signature for draft in found} == {draft.signature for draft in parts[1:]}
    elsewhere = [branch(parts[0], parent="another head")]
    assert len(planned(state(7, ablate_every=8, archive=elsewhere), ground(GROWN, *elsewhere))) == 3
    everything = [branch(part) for part in parts]
    found = planned(state(7, ablate_every=8, archive=everything), ground(GROWN, *everything))
    assert len(found) == 6
    assert not {draft.signature for draft in found} & {draft.signature for draft in parts}


def test_the_least_worth_is_doubted_first_and_what_has_had_its_time_before_that() -> None:
    tree = apply_change("perturb", {"parameter": "temperature", "value": 0.5}, GROWN)
    arms = {"drop": Arm(raced=9, effect=0.9), "decoding:temperature:up": Arm(raced=9, effect=-0.9)}
    arms["decoding:temperature"] = arms["decoding:temperature:up"]
    asked: dict[str, Any] = {"ablate_every": 8, "plans": 2}
    for seed in range(8):
        found = planned(state(7, arms=arms, **asked), ground(tree), seed=seed)
        assert [draft.operator for draft in found] == ["perturb", "drop"]
    lesson = "- Mended tests here before: comparison (2 of 5 tries); learned in c1_r1, good for 30 rounds."
    tree = apply_change("write", {"path": "memory/lessons.md", "text": lesson}, tree)
    arms["erase"] = Arm(raced=9, effect=9.0)
    for name, operators in (("c1_r8", ["perturb", "drop"]), ("c1_r40", ["erase", "perturb"])):
        found = planned(state(7, arms=arms, **asked), ground(tree, name=name))
        assert [draft.operator for draft in found] == operators


# Stagnation


@pytest.mark.parametrize(
    ("history", "count"),
    [("", 0), ("k", 0), ("r", 1), ("kr", 1), ("rrr", 3), ("rkrr", 2), ("orr", 2), ("o", 0)],
)
def test_rounds_that_kept_nothing_are_counted_since_the_last_that_did(history: str, count: int) -> None:
    assert rounds_without_gain(state(history=history)) == count


def test_without_a_campaign_there_is_nothing_to_count_and_to_plan() -> None:
    assert rounds_without_gain(Lineage()) == 0
    assert chosen_drafts(Lineage(), ground(), (), (), random.Random(1)) == []


@pytest.mark.parametrize(
    ("history", "stagnation", "wide"),
    [("rrr", 4, 0), ("rrrr", 4, 3), ("rrrrrrrr", 4, 3), ("rrrk", 4, 0), ("rrrr", 0, 0), ("r", 1, 3)],
)
def test_half_of_a_round_is_wide_steps_where_nothing_was_gained_for_long(
    history: str, stagnation: int, wide: int
) -> None:
    found = planned(state(history=history, stagnation=stagnation))
    assert len(found) == 6
    assert [draft.operator == "several" for draft in found] == [True] * wide + [False] * (6 - wide)


def test_stagnation_also_goes_back_to_branches_that_were_not_kept() -> None:
    [single] = drafts(ground(), random.Random(1), per_operator=1)[:1]
    archive = [branch(single, effect=0.02, tree=f"ahead-{i}", parent="seed") for i in range(3)]
    archive.append(branch(single, effect=0.02, tree="seed", parent="before"))  # this one had been kept
    bases: Counter[str] = Counter()
    for seed in range(12):
        lineage = state(history="rrrr", stagnation=4, archive=archive, plans=8)
        found = planned(lineage, ground(SEED, *archive), seed=seed)
        bases.update(draft.change.get("base", "") for draft in found if draft.operator == "several")
    assert set(bases) == {"", "ahead-0", "ahead-1", "ahead-2"}


# What was tried


@pytest.mark.parametrize("stagnation", [0, 1])
def test_what_lost_against_this_head_is_not_planned_again(stagnation: int) -> None:
    archive: list[Branch] = []
    seen: set[str] = set()
    for _ in range(5):  # with the same luck the same would be drawn
        lineage = state(history="r", stagnation=stagnation, archive=archive)
        found = planned(lineage, ground(SEED, *archive))
        now = {draft.signature for draft in found}
        assert len(now) == 6
        assert not now & seen
        seen |= now
        # As the ledger keeps it: with a rule's number in its name.
        archive += [branch(recorded(draft, number)) for number, draft in enumerate(found)]
    assert any(key.startswith("compose") for key in seen)
    other_head = state(history="r", stagnation=stagnation, archive=[])
    assert {draft.signature for draft in planned(other_head)} & seen


def good(number: int, *effects: float, head: str = "head") -> list[Branch]:
    """A change that was raced several times, each time in another round."""
    draft = SINGLE[number]
    return [
        msgspec.structs.replace(
            branch(draft, parent=head, effect=effect, tree=f"good-{number}"), round=round_
        )
        for round_, effect in enumerate(effects, 1)
    ]


def confirmed(number: int, round_: int, effect: float) -> RoundSummary:
    title = SINGLE[number].title
    return RoundSummary(
        campaign="c1", number=round_, tree="head", decision="reverted", title=title, effect=effect
    )


SINGLE = drafts(ground(), random.Random(5), per_operator=4)


def test_what_looked_good_against_this_head_is_raced_again() -> None:
    archive = [*good(0, 0.05), *good(1, 0.01), *good(2, 0.05, head="another head"), *good(3, -0.05)]
    found = planned(state(archive=archive, plans=8), ground(SEED, *archive))
    again = [signature(b.plan.operator, b.plan.change) for b in archive]
    assert found[0].signature == again[0]
    assert len(found) == 8
    assert not {draft.signature for draft in found[1:]} & {again[0], again[1], again[3]}


def test_a_plan_once_more_is_the_same_plan() -> None:
    archive = [msgspec.structs.replace(good(0, 0.05)[0])]
    [first, *_] = chosen_drafts(
        state(archive=archive, plans=8), ground(SEED, *archive), (), (), random.Random(1)
    )
    draft, effect = first
    plan = archive[0].plan
    assert (draft.operator, draft.change, draft.title) == (plan.operator, plan.change, plan.title)
    assert draft.arms == plan.arms
    assert 0 < effect < 0.05, "what is expected is less than what one race showed"


def test_no_more_than_a_quarter_of_a_round_is_raced_again_the_best_first() -> None:
    archive = [b for number, effect in enumerate((0.05, 0.09, 0.07, 0.06)) for b in good(number, effect)]
    found = [branch.tree for branch, _ in promising("head", archive, ())]
    assert found == ["good-1", "good-2", "good-3", "good-0"]
    drawn = planned(state(archive=archive, plans=8), ground(SEED, *archive))
    assert [d.signature for d in drawn[:2]] == [SINGLE[1].signature, SINGLE[2].signature]
    assert not {d.signature for d in drawn[2:]} & {SINGLE[n].signature for n in range(4)}


def test_what_is_measured_again_and_again_is_pooled() -> None:
    [(_, once)] = promising("head", good(0, 0.05), ())
    [(_, twice)] = promising("head", good(0, 0.05, 0.05), ())
    assert once < twice < 0.05
    assert promising("head", good(0, 0.05, -0.05), ()) == []
    [(_, borne_out)] = promising("head", good(0, 0.05), [confirmed(0, 1, 0.03)])
    assert borne_out > once
    assert promising("head", good(0, 0.05), [confirmed(0, 1, -0.02)]) == []
    assert promising("head", good(0, 0.05), [confirmed(0, 2, -0.02)]) != [], "another round's word counts not"


def test_a_round_without_a_verdict_says_nothing_of_a_change() -> None:
    unknown = msgspec.structs.replace(confirmed(0, 1, 0.0), decision="inconclusive")
    assert promising("head", good(0, 0.05), [unknown]) == promising("head", good(0, 0.05), ())
    assert promising("head", good(0, 0.05), [confirmed(0, 1, 0.0)]) != promising("head", good(0, 0.05), ())


def test_what_a_person_denied_is_not_planned_again() -> None:
    denied = msgspec.structs.replace(
        confirmed(0, 1, 0.05), reason="denied by ada; the gate would have kept it"
    )
    assert promising("head", good(0, 0.05), [denied]) == []


def test_what_was_not_kept_after_three_races_has_had_its_chance() -> None:
    assert promising("head", good(0, 0.05, 0.05), ()) != []
    assert promising("head", good(0, 0.05, 0.05, 0.05), ()) == []
    elsewhere = good(0, 0.05, 0.05, head="another head")
    assert promising("head", [*elsewhere, *good(0, 0.05)], ()) != []


def test_what_has_become_the_head_is_not_promising() -> None:
    [was] = good(0, 0.05)
    assert promising("head", [msgspec.structs.replace(was, tree="head")], ()) == []
    assert promising("good-0", [was], ()) == []


def recorded(draft: Draft, number: int) -> Draft:
    change = msgspec.json.decode(msgspec.json.encode(_numbered(draft.operator, draft.change, number)))
    return Draft(draft.surface, draft.operator, draft.arms, change, draft.title)


# Names


def names(operator: str, change: Mapping[str, Any]) -> Iterator[str]:
    if operator == "compose":
        yield change["name"]
    for part in change.get("parts", ()):
        yield from names(part["operator"], part["change"])


@pytest.mark.parametrize("plans", [2, 3, 5, 10, 24])
def test_no_two_new_rules_of_a_round_are_called_the_same(plans: int) -> None:
    """Otherwise one of them could never be grafted onto the other's harness."""
    count = 0
    for seed in range(6):
        found = planned(state(history="rrrr", stagnation=4, plans=plans), seed=seed)
        called = [
            name
            for number, draft in enumerate(found)
            for name in names(draft.operator, _numbered(draft.operator, draft.change, number))
        ]
        assert len(called) == len(set(called)), called
        count += len(called)
    assert count or plans < 10


def test_not_even_rules_of_one_kind_in_wide_and_single_steps_are_called_the_same() -> None:
    rule = {"name": "c1_r3_tell", "moment": "step"}
    pair = {"parts": [{"operator": "compose", "change": rule}] * 2}
    called = [
        name
        for number in range(24)
        for operator, change in (("compose", rule), ("several", pair))
        for name in names(operator, _numbered(operator, change, number))
    ]
    assert len(set(called)) == 3 * 24
    assert rule["name"] == "c1_r3_tell"


def test_a_rule_that_is_brought_back_keeps_its_name() -> None:
    change = {"name": "c1_r2_tell_4", "moment": "step"}
    assert _numbered("compose", change, 7) == change
    both = {
        "parts": [{"operator": "compose", "change": change}, {"operator": "drop", "change": {"name": "x"}}]
    }
    assert _numbered("several", both, 7) == both


# The campaign's memory


def test_what_lessons_call_for_is_tried_more_often_and_what_they_warn_of_less() -> None:
    page = "# Round 1: x\n\n## Directions\n\n- {} of action:tell: +0.0300 on average so far.\n"
    pools = [drafts(ground(), random.Random(seed), per_operator=24) for seed in range(80)]

    def tried(*lessons: str) -> int:
        chosen = [
            choose(pool, {}, (), 6, random.Random(seed), lessons * 4) for seed, pool in enumerate(pools)
        ]
        return sum("action:tell" in draft.arms for found in chosen for draft, _ in found)

    plain, more, less = tried(), tried(page.format("More")), tried(page.format("Less"))
    assert less < plain < more
    assert tried("# Round 1: x\n\nMore of action:tell: but not as a direction.\n") == plain


def test_the_latest_lesson_counts_most() -> None:
    lessons = [
        "- More of action:tell: +0.1 on average so far.\n- Less of decoding:top_p:up: -0.1 on average so far.\n",
        "nothing\n",
        "- Less of action:tell: -0.1 on average so far.\n",
    ]
    found = directions(lessons)
    assert found["action:tell"] == pytest.approx(-0.01 + 0.01 * FADING**2)
    assert found["decoding:top_p:up"] == pytest.approx(-0.01 * FADING**2)
    assert directions([]) == directions(["- More tests failed than before: 3."]) == {}


# The whole duty, over a store in memory


def desk(store: MemoryStore) -> Desk:
    return Desk(
        bus=cast("Any", None), ledger=cast("Any", store), jobs=cast("Any", None), instance="x", log=None
    )


def work(store: MemoryStore, lineage: Lineage, kind: str, candidate: int = -1) -> LineageWork:
    duty = Duty(key=f"c1/3/{kind}/{candidate}", kind=kind, candidate=candidate)
    return LineageWork(desk=desk(store), stream="lineage/main", state=lineage, duty=duty, now=0.0)


def in_round(lineage: Lineage, tree: str, seed_tree: str, **fields: Any) -> Lineage:
    campaign = lineage.campaign
    assert campaign is not None
    round_ = Round(number=3, tree=tree, incumbent_means=(0.0, 0.5, 1.0, 0.5), **fields)
    return msgspec.structs.replace(
        lineage,
        head=tree,
        seed_tree=seed_tree,
        campaigns=2,
        versions=(Version(number=0, tree=seed_tree, position=1, round=0, reason="seed"),),
        fixes={"comparison": Fixes(tried=9, helped=3)},
        campaign=msgspec.structs.replace(campaign, round=round_),
    )


def test_a_round_is_planned_from_what_the_ledger_holds() -> None:
    async def plan() -> tuple[list[Any], list[Any]]:
        store = MemoryStore()
        tree = await put_tree(store, SEED)
        pages = [
            await store.put(f"# Round {n}: reverted a rule (-0.0100)\n\n- More of action:tell: x\n".encode())
            for n in range(1, 3)
        ]
        failures = (
            e.FailureCluster(kind="gave_up", count=5, share=1.0, tasks=("task-1",), note="it ended early"),
        )
        lineage = msgspec.structs.replace(
            in_round(state(history="rrrr", stagnation=4), tree, tree, failures=failures), lessons=tuple(pages)
        )
        first, again = [await Planner().perform(work(store, lineage, "plan")) for _ in range(2)]
        return list(first), list(again)

    found, again = asyncio.run(plan())
    assert found == again
    assert [planned.candidate for planned in found] == list(range(6))
    for planned in found:
        assert planned.plan.evidence.endswith("; Round 2: reverted a rule (-0.0100)")
        assert planned.plan.evidence.startswith("5 episodes failed so: it ended early")
        assert set(planned.plan.prediction.flips) <= {"task-1", "task-3"}
        assert all(name.startswith("c2_r3_") for name in names(planned.plan.operator, planned.plan.change))
    assert [planned.plan.operator == "several" for planned in found] == [True] * 3 + [False] * 3


@pytest.mark.parametrize(
    ("spec", "tools"),
    [("", False), ("openai:embedded@http://host/v1", False), ("openai:large@http://host/v1", True)],
)
def test_code_for_tools_is_changed_where_the_campaigns_model_calls_them(spec: str, tools: bool) -> None:
    async def plan() -> set[str]:
        store = MemoryStore()
        tree = await put_tree(store, SEED)
        lineage = in_round(state(plans=150, models=Models(harness=spec)), tree, tree)
        planned = await Planner().perform(work(store, lineage, "plan"))
        plans = [event.plan for event in planned if isinstance(event, e.ChangePlanned)]
        return {plan.change["path"] for plan in plans if plan.operator == "mutate"}

    paths = asyncio.run(plan())
    assert "transcript.py" in paths
    assert any(path.startswith("dialogue/") for path in paths) is tools
    assert any(path.startswith("tools/") and path != "tools/edit.py" for path in paths) is tools


def patched(plan: e.Plan, files: Mapping[str, bytes], *others: Mapping[str, bytes]) -> Any:
    """What the patcher says of a plan for a harness; in the plan's change `base` counts the other harnesses."""

    async def perform() -> Any:
        store = MemoryStore()
        tree, seed = await put_tree(store, dict(files)), await put_tree(store, SEED)
        stored = [await put_tree(store, dict(other)) for other in others]
        change = dict(plan.change)
        if "base" in change:
            change["base"] = stored[change["base"]]
        candidate = Candidate(number=0, plan=msgspec.structs.replace(plan, change=change))
        lineage = in_round(state(), tree, seed, candidates=(candidate,))
        [event] = await Patcher(lambda _: None).perform(work(store, lineage, "patch", 0))
        made = await desk(store).tree(event.tree) if isinstance(event, e.ChangeProposed) else {}
        return event, made

    return asyncio.run(perform())


def plan_of(operator: str, change: Mapping[str, Any]) -> e.Plan:
    return branch(Draft("rule", operator, ("a",), dict(change), "t")).plan


def test_a_proposal_says_by_how_much_it_departs_further_from_the_seed() -> None:
    event, made = patched(plan_of("perturb", {"parameter": "top_p", "value": 0.5}), SEED)
    assert event.growth == departure(made, SEED) == 6  # `top_p = 1.0` and `top_p = 0.5`
    event, made = patched(plan_of("drop", {"name": RULES[1]}), GROWN)
    assert event.growth == departure(made, SEED) - departure(GROWN, SEED) < 0
    event, made = patched(plan_of("perturb", {"parameter": "top_p", "value": 0.7}), {**SEED, **made})
    assert event.growth == 6


def test_a_change_to_an_earlier_branch_is_shown_and_weighed_against_the_head() -> None:
    part = {"operator": "perturb", "change": {"parameter": "top_p", "value": 0.5}}
    event, made = patched(plan_of("several", {"parts": [part], "base": 1}), GROWN, SEED, SEED)
    assert made == apply_change("perturb", part["change"], SEED)  # type: ignore[arg-type]
    assert event.growth == 6 - departure(GROWN, SEED)
    assert all(f"--- a/rules/{name}.py" in event.patch for name in RULES)
    assert "+top_p = 0.5" in event.patch
    event, made = patched(plan_of("several", {"parts": [part]}), GROWN)
    assert made == apply_change("perturb", part["change"], GROWN)  # type: ignore[arg-type]
    assert event.growth == 6


def test_a_branch_that_comes_to_the_head_again_is_nothing_new() -> None:
    parts = [{"operator": "drop", "change": {"name": name}} for name in RULES]
    event, _ = patched(plan_of("several", {"parts": parts, "base": 0}), SEED, GROWN)
    assert (event.stage, event.reason) == ("duplicate", "the change comes to nothing new")
    assert signature("drop", {"name": "a"}) != signature("drop", {"name": "b"})
