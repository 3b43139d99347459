import ast
import itertools
import random
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import msgspec
import pytest

from agents.critic.taxonomy import KINDS
from agents.planner import policy
from agents.planner.bandit import (
    HINT,
    HINTS,
    MOST_TRUSTED,
    NEAR,
    TRUST,
    activity,
    choose,
    expected,
    hints,
    posterior,
)
from agents.planner.draft import RANGES, Draft, Ground, signature
from agents.planner.grammar import DECODING, DOMAINS, MOMENTS, PHRASES, Primitive, read_grammar
from agents.planner.mutate import mutations
from agents.planner.operators import compose, drafts, perturb
from agents.planner.wide import wider
from contracts import events as e
from contracts.lineage import Arm, Branch

ROOT = Path(__file__).parents[2]
SEED = {
    str(path.relative_to(ROOT / "harness")): path.read_bytes()
    for path in (ROOT / "harness").rglob("*")
    if path.is_file() and "__pycache__" not in path.parts
}
GRAMMAR = read_grammar(SEED)
SEEDS = 200


def branch(number: int, effect: float = 0.05, *, parent: str = "seed") -> Branch:
    change = {
        "name": f"c1_r{number}_tell_0",
        "moment": "tested",
        "predicate": ["after", {"n": number}],
        "action": ["tell", {"text": "Look."}],
    }
    plan = e.Plan(
        surface="rule",
        operator="compose",
        arm="action:tell",
        change=change,
        title="a rule",
        evidence="",
        root_cause="",
        risks="",
        prediction=e.Prediction(effect=0.0),
    )
    return Branch(round=number, parent=parent, tree=f"t{number}", plan=plan, effect=effect)


def grown(*rules: str) -> dict[str, bytes]:
    """The seed with rules turned on."""
    on = ", ".join(f'"{name}"' for name in rules)
    toml = SEED["harness.toml"].replace(b"on = []", f"on = [{on}]".encode())
    return {**SEED, "harness.toml": toml, **{f"rules/{name}.py": b"" for name in rules}}


def ground(tree: Mapping[str, bytes] = SEED, *archive: Branch) -> Ground:
    return Ground(tree=tree, archive=archive, name="c1_r1", seed=SEED)


def cluster(kind: str, share: float = 1.0) -> e.FailureCluster:
    return e.FailureCluster(kind=kind, count=9, share=share, tasks=("a",), note="so")


def picked(
    seeds: Iterable[int], arms: Mapping[str, Arm], failures: tuple[e.FailureCluster, ...] = ()
) -> Counter[str]:
    """How often each ingredient was among the four chosen."""
    found: Counter[str] = Counter()
    for seed in seeds:
        rng = random.Random(seed)
        chosen = choose(POOLS[seed], arms, failures, 4, rng)
        found.update({name for draft, _ in chosen for name in draft.arms})
    return found


SEED_GROUND = ground()
POOLS = [drafts(SEED_GROUND, random.Random(seed), per_operator=32) for seed in range(SEEDS)]


# The grammar


def test_ingredients_are_read_from_the_harness_itself() -> None:
    """Not from a list of ours: the public functions under a heading, whose first argument is the run."""
    module = ast.parse(SEED["primitives.py"])
    defined = {node.name for node in module.body if isinstance(node, ast.FunctionDef)}
    found = [primitive.name for primitive in (*GRAMMAR.predicates, *GRAMMAR.actions)]
    assert len(found) == len(set(found))
    assert set(found) == {name for name in defined if not name.startswith("_")} - {
        "covered",
        "places",
        "spans",
    }
    assert {"repeated", "off_trace"} <= {primitive.name for primitive in GRAMMAR.predicates}
    assert {"discard", "show_lines"} <= {primitive.name for primitive in GRAMMAR.actions}
    assert all(primitive.doc for primitive in (*GRAMMAR.predicates, *GRAMMAR.actions))


def test_an_ingredient_that_a_harness_gains_can_be_used_at_once() -> None:
    source = SEED["primitives.py"].replace(
        b"# Actions\n",
        b'# Actions\n\n\ndef whisper(run, text):\n    """Say it softly."""\n    run.note(text.lower())\n',
    )
    grammar = read_grammar({**SEED, "primitives.py": source})
    assert Primitive("whisper", ("text",), "Say it softly.") in grammar.actions
    assert len(grammar.actions) == len(GRAMMAR.actions) + 1
    assert grammar.predicates == GRAMMAR.predicates


@pytest.mark.parametrize("source", [None, b"def (", b"\xff", b"", b"# Actions\ndef act(self, n): ...\n"])
def test_a_harness_without_usable_ingredients_offers_none(source: bytes | None) -> None:
    tree = {path: data for path, data in SEED.items() if path != "primitives.py"}
    if source is not None:
        tree["primitives.py"] = source
    grammar = read_grammar(tree)
    assert (grammar.predicates, grammar.actions) == ((), ())
    assert compose(ground(tree), random.Random(1)) is None
    assert {d.operator for d in drafts(ground(tree), random.Random(1))} == {"perturb", "write", "mutate"}


def test_every_moment_is_one_that_the_harness_fires() -> None:
    fired = SEED["agent.py"].decode() + SEED["transcript.py"].decode() + SEED["tools/edit.py"].decode()
    for moment in MOMENTS:
        assert f'"{moment}"' in fired
    assert set(DECODING) == set(RANGES)


# Drafts


def test_drafts_follow_from_the_seed() -> None:
    tree, archive = grown("old", "older"), (branch(3), branch(4))
    first, again, other = (drafts(ground(tree, *archive), random.Random(seed)) for seed in (5, 5, 6))
    assert first == again
    assert [draft.signature for draft in first] != [draft.signature for draft in other]


def test_drafts_cover_all_operators() -> None:
    told = {**grown("old"), "prompts/system.md": SEED["prompts/system.md"] + b"Look twice.\n"}
    found = drafts(ground(told, branch(3)), random.Random(1))
    operators = {"perturb", "compose", "drop", "write", "erase", "mutate"}
    assert {draft.operator for draft in found} == operators
    assert sum("graft" in draft.arms for draft in found) == 1
    signatures = [draft.signature for draft in found]
    assert len(signatures) == len(set(signatures))


def test_any_of_several_rules_can_be_dropped() -> None:
    found = drafts(ground(grown("one", "two", "three")), random.Random(1))
    names = {draft.change["name"] for draft in found if draft.operator == "drop"}
    assert names == {"one", "two", "three"}


def test_a_change_is_the_same_whatever_its_rule_is_called() -> None:
    one, two = (
        Draft("rule", "compose", (), {"name": name, "moment": "step", "predicate": ["always", {}]}, "")
        for name in ("a", "b")
    )
    assert one.signature == two.signature
    drops = [Draft("rule", "drop", (), {"name": name}, "") for name in ("a", "b")]
    assert drops[0].signature != drops[1].signature


def test_grafts_are_what_raced_ahead_and_is_not_there() -> None:
    here, lost, ahead = branch(1), branch(2, -0.01), branch(3)
    tree = grown(here.plan.change["name"])
    grafts = [d for d in drafts(ground(tree, here, lost, ahead), random.Random(1)) if "graft" in d.arms]
    assert [draft.change for draft in grafts] == [ahead.plan.change]


def test_a_perturbation_stays_in_range_and_moves_the_parameter() -> None:
    drawn = 0
    for text in (b"top_p = 1.0", b"top_p = 0.2", b"top_p = 0.61"):
        toml = SEED["harness.toml"].replace(b"top_p = 1.0", text)
        for seed in range(300):
            draft = perturb(ground({**SEED, "harness.toml": toml}), random.Random(seed))
            if draft is None:  # it would have stayed
                continue
            drawn += 1
            name, value = draft.change["parameter"], draft.change["value"]
            low, high = RANGES[name]
            assert low <= value <= high
            now = float(text.split()[-1]) if name == "top_p" else float(name == "temperature")
            assert value != now
            side = "down" if value < now else "up"
            assert draft.arms == (f"decoding:{name}:{side}", f"decoding:{name}")
    assert drawn > 890


# No rule lies ready


def test_moment_predicate_and_action_are_drawn_independently() -> None:
    draws, rng = 20_000, random.Random(1)
    names = MOMENTS, [p.name for p in GRAMMAR.predicates], [a.name for a in GRAMMAR.actions]
    seen: Counter[tuple[str, str, str]] = Counter()
    for _ in range(draws):
        draft = compose(SEED_GROUND, rng)
        assert draft is not None
        change = draft.change
        seen[change["moment"], change["predicate"][0], change["action"][0]] += 1
    assert seen.keys() == set(itertools.product(*names))
    for one, other in ((0, 1), (0, 2), (1, 2)):
        pairs: Counter[tuple[str, str]] = Counter()
        for triple, count in seen.items():
            pairs[triple[one], triple[other]] += count
        firsts, seconds = Counter[str](), Counter[str]()
        for (first, second), count in pairs.items():
            firsts[first] += count
            seconds[second] += count
        for (first, second), count in pairs.items():  # as often together as apart
            mean = firsts[first] * seconds[second] / draws
            assert abs(count - mean) < 5 * mean**0.5, (first, second)


def test_parameters_of_ingredients_are_drawn_from_everything_that_they_may_be() -> None:
    rng = random.Random(2)
    for primitive in (*GRAMMAR.predicates, *GRAMMAR.actions):
        seen: dict[str, set[Any]] = {name: set() for name in primitive.parameters}
        for _ in range(200):
            for name, value in primitive.draw(rng).items():
                seen[name].add(value)
        for name, values in seen.items():
            if primitive.name == "shift" and name == "parameter":
                assert values == {"frequency_penalty", "presence_penalty"}
            else:
                assert values == set(DOMAINS[name])


def kinds_of(names: Iterable[str]) -> set[str]:
    """Which of the three things that a rule is made of are named."""
    found = {name.partition(":")[0] for name in names} & {"moment", "predicate", "action"}
    bare = {name.rpartition(":")[2] for name in names}
    for kind, known in (
        ("moment", MOMENTS),
        ("predicate", [p.name for p in GRAMMAR.predicates]),
        ("action", [a.name for a in GRAMMAR.actions]),
    ):
        if bare & set(known):
            found.add(kind)
    return found


def test_a_hint_names_ingredients_and_never_a_whole_rule() -> None:
    known = {f"predicate:{p.name}" for p in GRAMMAR.predicates}
    known |= {f"action:{a.name}" for a in GRAMMAR.actions}
    known |= {f"moment:{moment}" for moment in MOMENTS} | {f"decoding:{name}" for name in DECODING}
    known |= {arm for draft in mutations(SEED) for arm in draft.arms}
    known |= {"text:prompt", "text:skill", "text:memory"}
    for kind, names in HINTS.items():
        assert kind in KINDS
        assert set(names) <= known
        assert len(kinds_of(names)) < 3, f"{kind} spells out a rule"


def test_the_planners_sources_hold_no_rule() -> None:
    """No literal of theirs (a tuple, a list, a dict) names a moment, a predicate and an action together."""
    for path in sorted((ROOT / "agents" / "planner").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Tuple | ast.List | ast.Set | ast.Dict | ast.Call):
                children = node.values if isinstance(node, ast.Dict) else ast.iter_child_nodes(node)
                words = {
                    child.value
                    for child in children
                    if isinstance(child, ast.Constant) and isinstance(child.value, str)
                }
                assert len(kinds_of(words)) < 3, f"{path.name}:{node.lineno}"


def test_phrases_name_no_task() -> None:
    tasks = {path.name.rpartition("-")[0] for path in (ROOT / "suites" / "repair" / "tasks").iterdir()}
    for phrase in PHRASES:
        assert not {word.strip(".,").lower() for word in phrase.split()} & tasks


# The bandit


def test_what_is_expected_of_an_ingredient_follows_its_races() -> None:
    untried = posterior(None)
    assert posterior(Arm(planned=3)) == untried
    good, better = posterior(Arm(raced=4, effect=0.2)), posterior(Arm(raced=8, effect=0.4))
    bad = posterior(Arm(raced=4, effect=-0.2))
    assert bad[0] < untried[0] == 0 < good[0] < better[0] < 0.05
    assert untried[1] > good[1] > better[1]
    credited = posterior(Arm(raced=4, effect=0.2, credit=1.0))
    assert good[0] < credited[0] < good[0] + 0.02


def test_a_confirmation_says_more_than_a_race() -> None:
    raced = posterior(Arm(raced=2, effect=0.1))
    borne_out = posterior(Arm(raced=2, effect=0.1, confirmed=1, confirmed_effect=0.05))
    not_borne_out = posterior(Arm(raced=2, effect=0.1, confirmed=1, confirmed_effect=0.0))
    worse = posterior(Arm(raced=2, effect=0.1, confirmed=1, confirmed_effect=-0.1))
    raced_again = posterior(Arm(raced=3, effect=0.0))
    assert worse[0] < 0 < not_borne_out[0] < raced[0] < borne_out[0]
    assert borne_out[1] == not_borne_out[1] < raced_again[1] < raced[1]


def test_probes_say_something_too_and_less_than_a_race() -> None:
    probed, raced = posterior(Arm(probed=1, shown=-0.1)), posterior(Arm(raced=1, effect=-0.1))
    assert raced[0] < probed[0] < 0
    assert raced[1] < probed[1] < posterior(None)[1]


def test_what_has_paid_is_tried_more_often_and_what_has_not_less() -> None:
    plain = picked(range(SEEDS), {})
    arms = {"action:tell": Arm(raced=10, effect=0.8), "action:forget": Arm(raced=10, effect=-0.8)}
    taught = picked(range(SEEDS), arms)
    assert taught["action:tell"] > 1.8 * plain["action:tell"]
    assert taught["action:forget"] < 0.5 * plain["action:forget"]
    assert taught["action:forget"] + plain["action:forget"] > 0


def test_nothing_is_ever_given_up_for_good() -> None:
    """After one bad race an ingredient is still tried now and then."""
    arms = {"action:tell": Arm(raced=1, effect=-0.05)}
    assert picked(range(SEEDS), arms)["action:tell"] > 0


@pytest.mark.parametrize("kind", HINTS)
def test_what_the_critic_saw_points_the_way(kind: str) -> None:
    seeds = range(SEEDS)
    plain, pointed = picked(seeds, {}), picked(seeds, {}, (cluster(kind),))
    assert sum(pointed[name] for name in HINTS[kind]) > 1.15 * sum(plain[name] for name in HINTS[kind])


def test_a_hint_weighs_as_much_as_its_share_of_the_failures() -> None:
    weights = hints([cluster("broke_a_test", 0.5), cluster("gave_up", 0.25), cluster("harness_fault", 0.25)])
    assert set(weights) == {*HINTS["broke_a_test"], *HINTS["gave_up"]}
    assert weights["action:show_errors"] == pytest.approx(0.5 * NEAR["broke_a_test"] * HINT)
    assert weights["action:shift"] == pytest.approx(0.25 * HINT)
    # What nearly worked weighs more than what goes with every failure.
    near = hints([cluster("lost_a_fix", 0.2), cluster("spent_all", 1.0)])
    assert near["action:keep"] > near["action:scale"]
    # Kinds that point at the same thing add up: an episode can fail in several ways at once.
    both = hints([cluster("never_reached", 0.5), cluster("off_the_trace", 1.0)])
    assert both["action:show_lines"] == pytest.approx(
        (0.5 * NEAR["never_reached"] + NEAR["off_the_trace"]) * HINT
    )
    both = hints([cluster("repeated_itself", 0.5), cluster("repeated_itself", 0.5)])
    assert both["action:discard"] == pytest.approx(HINT)


def test_the_chosen_differ_in_their_narrowest_ingredient_as_long_as_there_are_enough() -> None:
    for seed in range(SEEDS):
        chosen = [draft for draft, _ in choose(POOLS[seed], {}, (), 4, random.Random(seed))]
        assert len({draft.arms[-1] for draft in chosen}) == 4
    tells = [draft for pool in POOLS[:20] for draft in pool if draft.arms[0] == "action:tell"]
    tells = list({draft.signature: draft for draft in tells}.values())[:6]
    chosen = [draft for draft, _ in choose(tells, {}, (), 4, random.Random(1))]
    assert len({draft.signature for draft in chosen}) == 4
    assert len(choose(tells[:2], {}, (), 4, random.Random(1))) == 2
    assert choose([], {}, (), 4, random.Random(1)) == []


def test_the_expected_effect_is_told_with_every_choice() -> None:
    arms = {"action:tell": Arm(raced=10, effect=0.8)}
    for draft, effect in choose(POOLS[0], arms, (), 4, random.Random(1)):
        assert effect == expected(draft, arms)
        assert (effect > 0) == ("action:tell" in draft.arms)


def test_a_part_of_what_a_hint_promises_is_expected_until_it_is_measured() -> None:
    failures = (cluster("never_reached"),)
    nudges = hints(failures)
    for draft, effect in choose(POOLS[0], {}, failures, 6, random.Random(1)):
        promised = max(nudges.get(name, 0.0) for name in draft.arms)
        assert effect == pytest.approx(min(MOST_TRUSTED, TRUST * promised))
    known = {name: Arm(raced=400) for name in HINTS["never_reached"]}
    for draft, effect in choose(POOLS[0], known, failures, 6, random.Random(1)):
        promised = max(nudges.get(name, 0.0) for name in draft.arms)
        assert effect < 0.05 * promised or not promised


def test_every_other_choice_is_what_is_expected_to_pay_however_many_drafts_are_untried() -> None:
    """Luck drawn for hundreds of untried ingredients would crowd out what is known to be good."""
    arms = {"action:tell": Arm(raced=20, effect=0.6)}
    rounds = [seed for seed in range(SEEDS) if any(d.arms[0] == "action:tell" for d in POOLS[seed])]
    chosen = {seed: choose(POOLS[seed], arms, (), 4, random.Random(seed)) for seed in rounds}
    told = [any(draft.arms[0] == "action:tell" for draft, _ in found) for found in chosen.values()]
    assert sum(told) > 0.9 * len(told)


def test_a_moment_at_which_most_does_nothing_is_still_tried_with_what_does_something_elsewhere() -> None:
    draft = next(d for d in POOLS[0] if d.operator == "compose")
    action, _, moment, pair = draft.arms
    assert activity(draft, {}) == 1.0
    quiet = {moment: Arm(inert=8), action: Arm(raced=8)}
    assert 0.4 < activity(draft, quiet) < 1.0
    assert activity(draft, {**quiet, pair: Arm(inert=3)}) < activity(draft, quiet)
    dead = dict.fromkeys(draft.arms, Arm(inert=98))
    assert activity(draft, dead) == pytest.approx(0.02**2)


# Plans


def test_a_plan_names_its_evidence_and_can_be_proven_wrong() -> None:
    draft = next(draft for draft in POOLS[0] if draft.operator == "compose")
    failures = [cluster("gave_up", 0.2), cluster("broke_a_test", 0.8)]
    plan = policy._plan(draft, 0.01234, failures, [f"task-{i}" for i in range(9)], 2)
    assert plan.change == {**draft.change, "name": f"{draft.change['name']}_2"}
    assert plan.arm == draft.arms[0]
    assert (plan.root_cause, plan.evidence) == ("broke_a_test", "9 episodes failed so: so")
    assert plan.prediction == e.Prediction(effect=0.0123, flips=tuple(f"task-{i}" for i in range(6)))
    assert plan.risks
    assert signature(plan.operator, plan.change) == draft.signature


def test_a_plan_says_which_lesson_was_read_before_it_was_made() -> None:
    plan = policy._plan(POOLS[0][0], 0.0, [], [], 0, "Round 7: reverted a rule (-0.0100)")
    assert plan.evidence == "no failures seen; Round 7: reverted a rule (-0.0100)"


def test_every_plan_can_be_written_down_and_read_again() -> None:
    single = drafts(ground(grown("old"), branch(3)), random.Random(3))
    for draft in (*single, *wider(ground(SEED, branch(3)), single, random.Random(4), 60)):
        plan = policy._plan(draft, 0.0, [], [], 0)
        read = msgspec.json.decode(msgspec.json.encode(plan), type=e.Plan)
        assert read == plan
        assert signature(read.operator, read.change) == draft.signature


@pytest.mark.parametrize("kind", ["never_reached", "broke_a_test"])
def test_a_hint_counts_for_less_the_more_often_its_ingredients_were_measured(kind: str) -> None:
    failures = (cluster(kind),)
    nothing = {name: Arm(raced=60) for name in HINTS[kind]}

    def times(arms: Mapping[str, Arm], told: tuple[e.FailureCluster, ...]) -> int:
        return sum(picked(range(80), arms, told)[name] for name in HINTS[kind])

    assert times({}, failures) > 1.5 * times(nothing, failures)
