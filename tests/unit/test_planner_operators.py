"""What the planner's operators draw: every draft of every kind, made by the patcher on harnesses that have grown."""

import random
from collections import Counter
from collections.abc import Mapping

import msgspec
import pytest

from agents.cli.request import seed_files
from agents.patcher.changes import CannotApply, apply_change, check_compiles
from agents.planner.draft import Draft, Ground, concerns, surface_of
from agents.planner.grammar import PHRASES
from agents.planner.mutate import mutations, sample
from agents.planner.operators import drafts, graft
from agents.planner.text import EXPIRES, MEMORY, PROMPT, erase, expired, write
from agents.planner.wide import ablations, several, wider
from contracts import events as e
from contracts.harness import departure
from contracts.lineage import Branch, Fixes

SEED = seed_files()
FIXES = {
    "off-by-one": Fixes(tried=40, helped=9),
    "comparison": Fixes(tried=30, helped=3),
    "layout": Fixes(tried=9),
}
OPERATORS = {"perturb", "compose", "drop", "write", "erase", "mutate"}


def ground(tree: Mapping[str, bytes] = SEED, *archive: Branch, name: str = "c1_r1") -> Ground:
    return Ground(tree=tree, archive=archive, name=name, seed=SEED, fixes=FIXES, head="head")


def made(draft: Draft, tree: Mapping[str, bytes]) -> dict[str, bytes]:
    """The harness after a draft: it applies, compiles, and is another one."""
    after = apply_change(draft.operator, draft.change, tree)
    check_compiles(after, tree)
    assert after != tree, draft
    return after


def grown(rng: random.Random, steps: int) -> dict[str, bytes]:
    """The seed after some drafts, of whatever operator."""
    tree = dict(SEED)
    for step in range(steps):
        pool: dict[str, list[Draft]] = {}
        for draft in drafts(ground(tree, name=f"c0_r{step}"), rng, per_operator=3):
            pool.setdefault(draft.operator, []).append(draft)
        tree = made(rng.choice(pool[rng.choice(sorted(pool))]), tree)
    return tree


def branch(draft: Draft, *, effect: float = 0.02, tree: str = "branch", parent: str = "before") -> Branch:
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
    return Branch(round=4, parent=parent, tree=tree, plan=plan, effect=effect)


# Every operator


@pytest.mark.parametrize("seed", range(10))
def test_every_draft_applies_compiles_and_gives_another_harness(seed: int) -> None:
    rng = random.Random(seed)
    tree = grown(rng, seed % 5)
    found = drafts(ground(tree), rng, per_operator=12)
    assert {"perturb", "compose", "write", "mutate"} <= {draft.operator for draft in found} <= OPERATORS
    for draft in found:
        after = made(draft, tree)
        changed = {path for path in {*tree, *after} if tree.get(path) != after.get(path)}
        assert {surface_of(path) for path in changed} - {"decoding"} <= {draft.surface}
        # What the ledger keeps of it makes the same harness.
        read = msgspec.json.decode(msgspec.json.encode(draft.change))
        assert apply_change(draft.operator, read, tree) == after


def test_grown_harnesses_give_every_operator_something_to_do() -> None:
    rng = random.Random(3)
    tree = grown(rng, 12)
    assert {draft.operator for draft in drafts(ground(tree), rng)} == OPERATORS


def test_a_harness_of_nothing_gives_drafts_still() -> None:
    found = drafts(ground({}), random.Random(1), per_operator=5)
    assert {draft.operator for draft in found} <= {"perturb", "write"}


# Mutations


def test_every_kind_of_mutation_occurs_on_the_seed() -> None:
    kinds = Counter(draft.arms[0].partition(":")[2] for draft in mutations(SEED))
    assert set(kinds) == {
        *("delete", "double", "swap", "always", "constant", "comparison"),
        *("boolean", "operand", "negation", "attribute"),
    }
    assert min(kinds.values()) >= 10


def test_every_mutation_replaces_lines_that_stand_where_it_says() -> None:
    found = mutations(SEED)
    tried = set(range(0, len(found), 7))  # some of every kind and file
    for number, draft in enumerate(found):
        change = draft.change
        lines = SEED[change["path"]].decode().split("\n")
        old = change["old"].split("\n")
        at = change["line"] - 1
        assert lines[at : at + len(old)] == old
        if number not in tried:
            continue
        after = made(draft, SEED)
        assert {path for path in SEED if after[path] != SEED[path]} == {change["path"]}
        now = after[change["path"]].decode().split("\n")
        rest = len(lines) - at - len(old)
        assert now[:at] == lines[:at]
        assert now[len(now) - rest :] == lines[len(lines) - rest :]
        if change["new"]:
            back = {**change, "old": change["new"], "new": change["old"]}
            assert apply_change("mutate", back, after) == SEED


def test_only_code_that_runs_for_the_model_is_mutated() -> None:
    embedded = {draft.change["path"] for draft in mutations(SEED)}
    assert embedded == {"agent.py", "primitives.py", "rules/__init__.py", "tools/edit.py", "transcript.py"}
    large = {draft.change["path"] for draft in mutations(SEED, tools=True)}
    assert large == {path for path in SEED if path.endswith(".py")}
    for tools, paths in ((False, embedded), (True, large)):
        here = Ground(tree=SEED, archive=(), name="c1_r1", seed=SEED, tools=tools)
        found = drafts(here, random.Random(1), per_operator=600)
        mutated = [draft for draft in found if draft.operator == "mutate"]
        assert {draft.change["path"] for draft in mutated} == paths
        assert {draft.surface for draft in mutated} == {"rule", "scaffold", "tool"}


def test_what_is_there_for_tools_alone_concerns_no_other_model() -> None:
    idle = {path for path in SEED if not concerns(path, tools=False)}
    assert idle >= {"prompts/tools.md", "dialogue/__init__.py", "tools/read.py"}
    assert not idle & {"prompts/system.md", "tools/edit.py", "agent.py", "harness.toml"}
    assert all(concerns(path, tools=True) for path in SEED)


def test_what_a_campaign_with_tools_found_in_them_is_not_brought_back_without() -> None:
    found = next(draft for draft in mutations(SEED, tools=True) if draft.change["path"] == "tools/read.py")
    for tools in (False, True):
        here = Ground(tree=SEED, archive=(branch(found),), name="c1_r1", seed=SEED, head="head", tools=tools)
        assert [draft.change for draft in graft(here)] == ([found.change] if tools else [])


def test_mutations_come_in_one_order_and_none_twice() -> None:
    found = mutations(SEED)
    assert mutations(dict(reversed(SEED.items()))) == found
    assert [draft.signature for draft in found] == list(
        dict.fromkeys(draft.signature for draft in mutations(dict(SEED)))
    )


SMALL = '''"""Text."""


def f(run, n):
    """More text."""
    if run.a < 3 and not n:
        run.b = 0.5
        g(run.c)
    return f"{run.a} {n < 1}"
'''


@pytest.mark.parametrize(
    ("kind", "line", "old", "new"),
    [
        ("comparison", 6, "run.a < 3", "run.a <= 3"),
        ("comparison", 6, "run.a < 3", "run.a > 3"),
        ("constant", 6, "3", "4"),
        ("constant", 6, "3", "2"),
        ("constant", 7, "0.5", "1.0"),
        ("boolean", 6, "and not n", "or not n"),
        ("operand", 6, "run.a < 3 and not n", "not n"),
        ("negation", 6, "and not n", "and n"),
        ("attribute", 6, "run.a", "run.c"),
        ("attribute", 8, "run.c", "run.a"),
    ],
)
def test_what_a_mutation_may_be(kind: str, line: int, old: str, new: str) -> None:
    wanted = SMALL.split("\n")[line - 1].replace(old, new)
    found = [draft for draft in mutations({"a.py": SMALL.encode()}) if draft.arms[0] == f"mutate:{kind}"]
    assert wanted in [draft.change["new"] for draft in found if draft.change["line"] == line]
    assert all(draft.arms[1:] == ("code:a.py:f", f"mutate:{kind}@f") for draft in found)


def test_statements_are_deleted_doubled_swapped_and_let_out_of_their_condition() -> None:
    found = {draft.arms[0]: draft.change for draft in mutations({"a.py": SMALL.encode()})}
    assert (found["mutate:swap"]["line"], found["mutate:swap"]["new"]) == (
        7,
        "        g(run.c)\n        run.b = 0.5",
    )
    assert found["mutate:always"]["new"] == "    run.b = 0.5\n    g(run.c)"
    lone = "def f(n):\n    if n:\n        g(n)\n    return n\n"
    changes = [(d.arms[0], d.change["line"], d.change["new"]) for d in mutations({"a.py": lone.encode()})]
    assert ("mutate:delete", 3, "        pass") in changes  # a block cannot be empty
    assert ("mutate:delete", 4, "") in changes
    assert ("mutate:double", 4, "    return n\n    return n") in changes


def test_texts_are_not_mutated_wherever_they_stand() -> None:
    inside = [draft.change["line"] for draft in mutations({"a.py": SMALL.encode()})]
    assert not {1, 5} & set(inside)
    assert all(
        "{n < 1}" in draft.change["new"]
        for draft in mutations({"a.py": SMALL.encode()})
        if draft.change["line"] == 9 and draft.change["new"]
    )
    assert not mutations({"prompts/system.md": b"x = 1 < 2\n", "skills/a/x.py": SMALL.encode()})


@pytest.mark.parametrize(
    "data", [b"", b"\xff", b"def (", b"x = '\x00'", b"x = 1 < 2\n", b"x = " + b"-" * 100_000]
)
def test_a_file_that_cannot_be_read_or_holds_no_function_has_no_mutations(data: bytes) -> None:
    assert mutations({"a.py": data}) == []


def test_kinds_of_mutation_are_drawn_alike_however_many_places_they_have() -> None:
    drawn = Counter(draft.arms[0] for draft in sample(mutations(SEED), 2000, random.Random(1)))
    assert len(drawn) == 10
    assert all(140 < count < 260 for count in drawn.values())
    assert sample([], 5, random.Random(1)) == []


# Texts


def written(count: int = 60, tree: Mapping[str, bytes] = SEED, name: str = "c1_r1") -> list[Draft]:
    rng = random.Random(5)
    return [draft for _ in range(count) if (draft := write(ground(tree, name=name), rng))]


def test_prompt_skills_and_memory_are_all_written_to() -> None:
    found = written()
    assert {draft.surface for draft in found} == {"prompt", "skill", "memory"}
    assert {surface_of(draft.change["path"]) for draft in found} == {"prompt", "skill", "memory"}
    bare = Ground(tree=SEED, archive=(), name="c1_r1", seed=SEED)
    rng = random.Random(5)
    silent = [draft for _ in range(60) if (draft := write(bare, rng))]
    assert {draft.surface for draft in silent} == {"prompt", "skill"}, "there is nothing to remember yet"


@pytest.mark.parametrize("steps", [0, 3])
def test_what_was_written_can_be_erased_to_the_byte(steps: int) -> None:
    tree = grown(random.Random(11), steps)
    for draft in written(tree=tree, name="c1_r9"):
        after = made(draft, tree)
        undone = [
            apply_change(eraser.operator, eraser.change, after)
            for eraser in erase(ground(after))
            if eraser.change["path"] == draft.change["path"]
        ]
        assert tree in undone


def test_only_what_was_added_to_the_seeds_texts_is_erased() -> None:
    assert erase(ground()) == []
    tree = {**SEED, PROMPT: b"Before.\n" + SEED[PROMPT] + b"\n\nAfter.\n"}
    assert [draft.change["text"] for draft in erase(ground(tree))] == ["Before.", "After."]
    skill = b"# Title\n\n- One.\n- Two.\n"
    tree = {**SEED, "skills/title/SKILL.md": skill}
    [whole] = erase(ground(tree))
    assert whole.change["text"] == skill.decode().strip("\n")
    assert whole.surface == "skill"
    assert made(whole, tree) == SEED


def test_nothing_is_said_twice() -> None:
    tree = {**SEED, PROMPT: SEED[PROMPT] + "\n".join(PHRASES).encode() + b"\n"}
    for draft in written(tree=tree):
        made(draft, tree)
        assert draft.surface != "prompt"
    after = dict(SEED)
    told = set()
    for step in range(200):
        rng = random.Random(step)
        new = write(ground(after, name=f"c1_r{step}"), rng)
        if new is None or new.surface != "memory":
            continue
        after = made(new, after)
        told.add(new.title)
        assert len(after[MEMORY].splitlines()) == len(told), "the same was told in other rounds' words"
    assert len(told) > 3


def test_what_mended_more_is_told_more_often() -> None:
    drawn = Counter(arm for draft in written(600) if draft.surface == "memory" for arm in draft.arms)
    assert drawn["tells:off_by_one"] > drawn["tells:comparison"] > drawn["tells:layout"] > 0
    [said] = {
        draft.change["text"]
        for draft in written(600)
        if draft.arms == ("text:memory", "tells:off_by_one", "tells:layout")
    }
    assert said == (
        "- Mended tests here before: off-by-one (9 of 40 tries), layout (0 of 9 tries); "
        f"learned in c1_r1, good for {EXPIRES} rounds."
    )


@pytest.mark.parametrize(
    ("now", "over"),
    [("c2_r12", False), ("c2_r31", False), ("c2_r32", True), ("c2_r90", True), ("c3_r1", True)],
)
def test_a_lesson_has_its_time(now: str, over: bool) -> None:
    lesson = next(draft for draft in written(name="c2_r2") if draft.surface == "memory")
    sentence = next(draft for draft in written(name="c2_r2") if draft.surface == "prompt")
    tree = made(sentence, made(lesson, SEED))
    later = ground(tree, name=now)
    assert {d.surface: expired(d, later) for d in erase(later)} == {"memory": over, "prompt": False}
    assert not expired(sentence, later)


# Several at once


def test_several_changes_are_one_after_the_other() -> None:
    rng = random.Random(7)
    single = drafts(ground(), rng, per_operator=10)
    count = 0
    for draft in wider(ground(), single, rng, 80):
        first, second = draft.change["parts"]
        middle = apply_change(first["operator"], first["change"], SEED)
        try:
            wanted = apply_change(second["operator"], second["change"], middle)
        except CannotApply:
            with pytest.raises(CannotApply):
                apply_change("several", draft.change, SEED)
            continue
        count += 1
        assert made(draft, SEED) == wanted
        assert wanted not in (middle, SEED)
        read = msgspec.json.decode(msgspec.json.encode(draft.change))
        assert apply_change("several", read, SEED) == wanted
    assert count > 60


def test_a_wide_step_credits_everything_that_it_is_made_of() -> None:
    one, other = drafts(ground(), random.Random(1), per_operator=1)[:2]
    both = several([one, other])
    assert set(both.arms) == {*one.arms, *other.arms}
    assert both.title == f"{one.title} and {other.title}"
    assert several([one, other]).signature == several([other, one]).signature
    assert len({both.signature, several([one, other], base="t").signature, one.signature}) == 3


def test_two_parts_of_a_wide_step_are_never_the_same_step_twice() -> None:
    single = drafts(ground(), random.Random(2), per_operator=40)
    moved = [draft for draft in single if draft.operator == "perturb"]
    for draft in wider(ground(), moved, random.Random(3), 300):
        names = [part["change"]["parameter"] for part in draft.change["parts"]]
        assert len(set(names)) == 2, "the second would undo the first"
    assert wider(ground(), moved[:1], random.Random(3), 300) == []


def test_a_wide_step_may_start_from_a_branch_that_was_not_kept() -> None:
    [one, other] = drafts(ground(), random.Random(1), per_operator=1)[:2]
    archive = (
        branch(one, tree="ahead"),
        branch(one, tree="behind", effect=-0.01),
        branch(one, tree="head"),
        branch(one, tree="earlier head"),
        branch(one, tree=""),
        branch(one, tree="inert", parent="inert"),
    )
    single = drafts(ground(), random.Random(2), per_operator=20)
    here = Ground(tree=SEED, archive=archive, name="c1_r9", head="head", heads={"head", "earlier head"})
    found = [draft for draft in wider(here, single, random.Random(3), 400) if "base" in draft.change]
    assert {draft.change["base"] for draft in found} == {"ahead"}
    assert 60 < len(found) < 180
    assert all(len(draft.change["parts"]) == 1 for draft in found)
    assert all(draft.title.startswith("from round 4's branch: ") for draft in found)
    assert other.signature != one.signature


def test_several_do_not_hold_several() -> None:
    one = next(draft for draft in drafts(ground(), random.Random(1), per_operator=1))
    with pytest.raises(CannotApply, match="cannot hold several"):
        apply_change("several", several([several([one])]).change, SEED)
    with pytest.raises(CannotApply, match="lacks or garbles"):
        apply_change("several", {"parts": [{"operator": "drop"}]}, SEED)


# Grafts


@pytest.mark.parametrize("operator", ["perturb", "compose", "write", "mutate"])
def test_what_the_head_holds_already_is_not_brought_back(operator: str) -> None:
    rng = random.Random(4)
    lost = next(draft for draft in drafts(ground(), rng, per_operator=1) if draft.operator == operator)
    [back] = graft(ground(SEED, branch(lost)))
    assert (back.operator, back.change, back.arms) == (operator, lost.change, (lost.arms[0], "graft"))
    assert graft(ground(made(back, SEED), branch(lost))) == []


def test_a_graft_is_one_change_that_raced_ahead_elsewhere() -> None:
    single = drafts(ground(), random.Random(4), per_operator=1)
    tree = grown(random.Random(3), 12)
    wide = several(single[:2])
    less = [draft for draft in ablations(ground(tree)) if draft.operator in ("drop", "erase")]
    assert graft(ground(tree, *(branch(draft) for draft in (*less, wide)))) == []
    ahead = single[0]
    assert graft(ground(SEED, branch(ahead, effect=0.0), branch(ahead, effect=-0.1))) == []
    assert graft(ground(SEED, branch(ahead, parent="head"))) == []


# Ablations


@pytest.mark.parametrize("seed", range(15))
def test_everything_by_which_a_harness_departs_from_its_seed_can_be_taken_back(seed: int) -> None:
    """One part at a time, each making it simpler; and one after the other, until the seed is left."""
    rng = random.Random(seed)
    tree = grown(rng, 1 + seed % 5)
    parts = ablations(ground(tree))
    assert parts
    for part in parts:
        assert departure(made(part, tree), SEED) < departure(tree, SEED)
    for _ in range(4 * len(parts)):
        parts = ablations(ground(tree))
        if not parts:
            break
        tree = made(rng.choice(parts), tree)
    assert tree == SEED
    assert departure(tree, SEED) == 0


def test_the_seed_itself_has_nothing_to_take_back() -> None:
    assert ablations(ground()) == []


@pytest.mark.parametrize("seed", range(4))
def test_many_mutations_of_the_same_files_are_taken_back_too(seed: int) -> None:
    rng = random.Random(seed)
    tree = dict(SEED)
    for _ in range(25):
        [draft] = sample(mutations(tree), 1, rng)
        tree = apply_change("mutate", draft.change, tree)
    parts = ablations(ground(tree))
    assert {part.arms[0] for part in parts} == {"undo"}
    for part in parts:
        assert departure(apply_change("mutate", part.change, tree), SEED) < departure(tree, SEED)
    while parts := ablations(ground(tree)):
        tree = apply_change("mutate", rng.choice(parts).change, tree)
    assert tree == SEED


@pytest.mark.parametrize(
    ("now", "parts"),
    [
        ("b\nc\nd\n", 1),  # the first line is gone
        ("x\na\nb\nc\nd\n", 1),
        ("a\nb\nc\n", 1),
        ("a\nb\nc\nd\nx\n", 1),
        ("a\nx\nb\nd\n", 2),
        ("", 1),
        ("x\ny\nz\n", 1),
    ],
)
@pytest.mark.parametrize("before", ["a\nb\nc\nd\n"])
def test_lines_at_the_ends_of_a_file_are_taken_back(before: str, now: str, parts: int) -> None:
    seed = {**SEED, "more.py": before.encode()}
    tree = {**SEED, "more.py": now.encode()}
    here = Ground(tree=tree, archive=(), name="c1_r1", seed=seed)
    found = ablations(here)
    assert len(found) == parts
    for part in sorted(found, key=lambda part: -part.change["line"]):
        tree = apply_change("mutate", part.change, tree)
    assert tree == seed


def test_an_empty_line_is_not_the_same_as_none() -> None:
    seed = {**SEED, "more.py": b"a\n\nb\n"}
    tree = {**SEED, "more.py": b"a\nx\nb\n"}
    [part] = ablations(Ground(tree=tree, archive=(), name="c1_r1", seed=seed))
    assert apply_change("mutate", part.change, tree) == seed
