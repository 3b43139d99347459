from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.critic.lesson import Scored, score_predictions, write_lesson
from agents.critic.story import Attempt, Story
from agents.critic.taxonomy import KINDS, classify, clusters
from contracts import events as e
from contracts.gate import Verdict
from contracts.jobs import EpisodeResult, Outcome
from contracts.lineage import Arm, Candidate, Lineage, Round

FAULTS: tuple[Outcome, ...] = ("error", "cpu", "memory", "protocol", "output")


def result(
    outcome: Outcome = "unsolved", *, visible: bool = False, job: str = "j", **signs: float
) -> EpisodeResult:
    return EpisodeResult(
        job=job,
        task_id=f"task-{job}",
        tree="t",
        seed="s",
        score=float(outcome == "solved"),
        solved=outcome == "solved",
        outcome=outcome,
        visible_passed=visible,
        signs=signs,
    )


def candidate(
    number: int = 0, *, effect: float | None = 0.03, flips: tuple[str, ...] = ("a", "b")
) -> Candidate:
    plan = e.Plan(
        surface="rule",
        operator="compose",
        arm="action:tell",
        change={},
        title=f"rule {number}",
        evidence="",
        root_cause="",
        risks="",
        prediction=e.Prediction(effect=0.02, flips=flips),
    )
    status = "rejected" if effect is None else "proposed"
    return Candidate(number=number, plan=plan, status=status, tree=f"t{number}", effect=effect)  # type: ignore[arg-type]


def verdict(decision: str = "keep", effect: float = 0.05) -> Verdict:
    return Verdict(decision=decision, reason="by the figures", effect=effect, low=0.01, high=0.09, p=0.02)  # type: ignore[arg-type]


KEPT = Round(
    number=3,
    tree="seed",
    candidates=(candidate(0), candidate(1, effect=-0.02), candidate(2, effect=None)),
    raced=True,
    best=0,
    verdict=verdict(),
    flips=("a", "c"),
    decision="kept",
    reason="Kept: by the figures.",
    failures=(e.FailureCluster(kind="gave_up", count=7, share=1.0, tasks=("a",), note="it ended early"),),
)


def changed(**fields: object) -> Round:
    return msgspec.structs.replace(KEPT, **fields)


def page(round_: Round, *, state: Lineage | None = None, before: tuple[str, ...] = ()) -> str:
    best = next((c for c in round_.candidates if c.number == round_.best), None)
    scored = score_predictions(best, round_) if best else Scored()
    return write_lesson(state or Lineage(), round_, best, scored, before)


# The taxonomy


EMPTY = Story((), frozenset(), {})


def attempt(line: int = 1, *, fixed: str = "", broken: str = "", **fields: Any) -> Attempt:
    told: dict[str, Any] = {
        "path": "a.py",
        "old": "x = 1",
        "new": f"x = {line + 1}",
        "tested": True,
        **fields,
    }
    return Attempt(line=line, fixed=frozenset(fixed.split()), broken=frozenset(broken.split()), **told)


def story(*attempts: Attempt, **files: str) -> Story:
    return Story(attempts, frozenset(), {f"{name}.py": text for name, text in files.items()})


TRIED: dict[str, Any] = {"attempts": 8.0, "useless": 8.0}
ELSEWHERE = attempt(9)


@pytest.mark.parametrize(
    ("kinds", "found", "told", "known"),
    [
        ("overfitted", result(visible=True, attempts=3), EMPTY, ()),
        ("overfitted", result(visible=True), EMPTY, ()),
        ("no_attempt", result(), EMPTY, ()),
        ("no_attempt", result("unchanged", attempts=0.0, spent_all=1.0), EMPTY, ("a.py:1",)),
        ("gave_up", result(**TRIED), EMPTY, ()),
        ("spent_all", result(**TRIED, spent_all=1.0), EMPTY, ()),
        # What became of an edit that mended something
        ("lost_a_fix gave_up", result(**TRIED), story(attempt(1, fixed="t")), ()),
        ("lost_a_fix gave_up", result(**TRIED), story(attempt(1, fixed="t"), a="x = 7\n"), ()),
        ("fixed_some gave_up", result(**TRIED), story(attempt(1, fixed="t"), a="x = 2\n"), ()),
        ("one_of_several gave_up", result(**TRIED), story(attempt(1, fixed="t"), a="x = 2\nx = 1\n"), ()),
        (
            "one_of_several gave_up",
            result(**TRIED),
            story(attempt(1, fixed="t"), a="x = 2\n", b="x = 1\n"),
            (),
        ),
        (
            "lost_a_fix fixed_some gave_up",
            result(**TRIED),
            story(attempt(1, fixed="t"), attempt(5, fixed="u"), a="x = 2\n"),
            (),
        ),
        (  # the same place twice is one mended place, and it stands
            "fixed_some gave_up",
            result(**TRIED),
            story(attempt(1, fixed="t"), attempt(1, fixed="t"), a="x = 2\n"),
            (),
        ),
        (  # however often one of two places was mended, the other is lost
            "lost_a_fix fixed_some gave_up",
            result(**TRIED),
            story(attempt(1, fixed="t"), attempt(1, fixed="t"), attempt(5, fixed="u"), a="x = 2\n"),
            (),
        ),
        ("gave_up", result(**TRIED), story(attempt(1, fixed="t", broken="u"), a="x = 2\n"), ()),
        # Where the edits were
        ("never_reached gave_up", result(**TRIED), story(ELSEWHERE), ("a.py:1", "a.py:2")),
        ("never_reached gave_up", result(**TRIED), story(attempt(1, path="b.py")), ("a.py:1",)),
        ("reached_in_vain gave_up", result(**TRIED), story(ELSEWHERE, attempt(2)), ("a.py:1", "a.py:2")),
        ("fixed_some gave_up", result(**TRIED), story(attempt(1, fixed="t"), a="x = 2"), ("a.py:9",)),
        ("never_reached gave_up", result(**TRIED, off_trace=8), story(ELSEWHERE), ("a.py:1",)),
        ("off_the_trace gave_up", result(**TRIED, off_trace=8), story(ELSEWHERE), ()),
        ("off_the_trace gave_up", result(**TRIED, off_trace=4), story(ELSEWHERE), ()),
        ("gave_up", result(**TRIED, off_trace=3), story(ELSEWHERE), ()),
        # Habits
        ("repeated_itself gave_up", result(**TRIED, repeats=2), EMPTY, ()),
        ("gave_up", result(**TRIED, repeats=1), EMPTY, ()),
        ("broke_a_test gave_up", result("broke", attempts=8, broke=2, useless=6), EMPTY, ()),
        ("gave_up", result("broke", attempts=8, broke=1, helped=1, useless=6), EMPTY, ()),
        (
            "lost_a_fix repeated_itself broke_a_test spent_all",
            result("broke", attempts=8, broke=4, repeats=6, off_trace=8, spent_all=1.0),
            story(attempt(1, fixed="t")),
            ("a.py:1",),
        ),
    ],
)
def test_the_transcript_and_what_the_host_saw_decide_the_kinds(
    kinds: str, found: EpisodeResult, told: Story, known: tuple[str, ...]
) -> None:
    assert classify(found, told, known) == tuple(kinds.split())


@pytest.mark.parametrize("outcome", FAULTS)
def test_a_fault_of_the_harness_comes_before_everything(outcome: Outcome) -> None:
    told = story(attempt(1, fixed="t"))
    assert classify(result(outcome, visible=True, attempts=8, repeats=8), told) == ("harness_fault",)


def test_an_edit_that_takes_lines_out_can_last_too() -> None:
    gone = attempt(2, old="b()", new="", fixed="t")
    assert classify(result(**TRIED), story(gone, a="a()\nc()\n")) == ("fixed_some", "gave_up")
    assert classify(result(**TRIED), story(gone, a="a()\nb()\nc()\n")) == ("lost_a_fix", "gave_up")
    assert classify(result(**TRIED), story(gone)) == ("lost_a_fix", "gave_up")


def test_an_edit_lasts_only_where_its_whole_lines_stand() -> None:
    short = attempt(1, old="return a - b", new="return a", fixed="t")
    assert classify(result(**TRIED), story(short, a="return a - b\n"))[0] == "lost_a_fix"
    assert classify(result(**TRIED), story(short, a="  return a\n"))[0] == "fixed_some"


counts = st.integers(0, 30).map(float)
attempts = st.builds(
    attempt,
    st.integers(1, 4),
    fixed=st.sampled_from(["", "t", "t u"]),
    broken=st.sampled_from(["", "v"]),
    tested=st.booleans(),
)


@given(
    st.sampled_from(["unsolved", "partly", "broke", *FAULTS]),
    st.booleans(),
    st.fixed_dictionaries(dict.fromkeys(("attempts", "repeats", "off_trace", "broke", "helped"), counts)),
    st.lists(attempts, max_size=5),
    st.sampled_from([{}, {"a": "x = 2\nx = 1\n"}]),
    st.sets(st.sampled_from(["a.py:1", "a.py:2"])),
)
def test_every_failure_has_words_that_are_explained_and_do_not_contradict_each_other(
    outcome: Outcome,
    visible: bool,
    signs: dict[str, Any],
    tried: list[Attempt],
    files: dict[str, str],
    known: set[str],
) -> None:
    kinds = classify(result(outcome, visible=visible, **signs), story(*tried, **files), known)
    assert kinds
    assert list(kinds) == [kind for kind in KINDS if kind in kinds]
    alone = {"harness_fault", "overfitted", "no_attempt"} & set(kinds)
    assert (len(kinds) == 1) if alone else (len({"spent_all", "gave_up"} & set(kinds)) == 1)
    assert len({"never_reached", "reached_in_vain", "off_the_trace"} & set(kinds)) <= 1
    assert len({"one_of_several", "fixed_some"} & set(kinds)) <= 1
    assert not ({"never_reached", "reached_in_vain"} & set(kinds) and not known)


def test_failures_are_gathered_by_kind_the_most_frequent_first() -> None:
    results = [result(job="a"), result("solved", job="b"), result("cpu", job="c"), result(job="d")]
    stories = {one.job: EMPTY for one in results}
    found = clusters(results, stories, {})
    assert [(kind, [r.job for r in group]) for kind, group in found.items()] == [
        ("no_attempt", ["a", "d"]),
        ("harness_fault", ["c"]),
    ]
    tied = [result(job="a"), result("cpu", job="b")]
    assert (
        list(clusters(tied, stories, {}))
        == list(clusters(tied[::-1], stories, {}))
        == ["harness_fault", "no_attempt"]
    )
    assert clusters([result("solved")], {}, {}) == clusters([], {}, {}) == {}


def test_an_episode_stands_with_every_way_in_which_it_failed_by_the_places_of_its_task() -> None:
    results = [result(job=job, attempts=8.0, repeats=4.0) for job in "ab"]
    stories = {"a": story(attempt(1)), "b": story(attempt(2))}
    known = {"task-a": {"a.py:1"}, "task-b": {"a.py:1"}}
    found = clusters(results, stories, known)
    assert {kind: [r.job for r in group] for kind, group in found.items()} == {
        "gave_up": ["a", "b"],
        "repeated_itself": ["a", "b"],
        "never_reached": ["b"],
        "reached_in_vain": ["a"],
    }


# Predictions


@pytest.mark.parametrize(
    ("predicted", "flipped", "effect", "hits", "misses", "credit"),
    [
        (("a", "b"), ("a", "b", "c"), 0.05, 2, 0, 1.0),
        (("a", "b"), (), -0.05, 0, 2, -1.0),
        (("a", "b"), ("a",), 0.05, 1, 1, 0.3333),
        (("a", "b"), ("a",), -0.05, 1, 1, -0.3333),
        ((), ("a",), 0.05, 0, 0, 1.0),
        ((), (), 0.0, 0, 0, -1.0),
    ],
)
def test_predictions_are_held_against_what_happened(
    predicted: tuple[str, ...], flipped: tuple[str, ...], effect: float, hits: int, misses: int, credit: float
) -> None:
    round_ = changed(verdict=verdict(effect=effect), flips=flipped)
    scored = score_predictions(candidate(flips=predicted), round_)
    assert (scored.hits, scored.misses, scored.credit) == (hits, misses, credit)
    assert scored.effect_error == pytest.approx(effect - 0.02)


def test_a_round_without_evidence_says_nothing_of_the_plan() -> None:
    assert score_predictions(candidate(), changed(verdict=None)) == Scored()
    lost = Verdict(decision="inconclusive", reason="an executor died")
    assert score_predictions(candidate(), changed(verdict=lost, flips=())) == Scored()


names = st.lists(st.sampled_from("abcdefgh"), max_size=6, unique=True).map(tuple)


@given(names, names, st.floats(-1, 1))
def test_credit_stays_between_minus_one_and_one(
    predicted: tuple[str, ...], flipped: tuple[str, ...], effect: float
) -> None:
    scored = score_predictions(
        candidate(flips=predicted), changed(verdict=verdict(effect=effect), flips=flipped)
    )
    assert -1 <= scored.credit <= 1
    assert scored.hits + scored.misses == len(predicted)


# The lesson


def test_a_lesson_says_what_was_tried_what_happened_and_what_follows() -> None:
    arms = {"action:tell": Arm(raced=2, effect=0.06), "action:stop": Arm(raced=1, effect=-0.1)}
    text = page(KEPT, state=Lineage(arms=arms), before=("Round 2: kept rule 9 (+0.0100)",))
    assert text == (
        "# Round 3: kept rule 0 (+0.0500)\n"
        "\n## What was tried\n\n"
        "- rule 0 (rule): proposed, +0.0300 in the race\n"
        "- rule 1 (rule): proposed, -0.0200 in the race\n"
        "- rule 2 (rule): rejected, not raced\n"
        "\n## What happened\n\n"
        "Kept: by the figures.\n"
        "The plan expected +0.0200; measured +0.0500 [+0.0100, +0.0900]. "
        "Predicted flips: 1 came true, 1 did not.\n"
        "\n## Criticism\n\n"
        "- It held on fresh seeds.\n"
        "\n## Directions\n\n"
        "- More of action:tell: +0.0300 on average so far.\n"
        "- Less of action:stop: -0.1000 on average so far.\n"
        "- 7 episodes failed as: it ended early.\n"
        "\n## Before this\n\n"
        "- Round 2: kept rule 9 (+0.0100)\n"
    )


NOTHING = {"best": -1, "verdict": None, "flips": ()}


@pytest.mark.parametrize(
    ("round_", "headline", "criticism"),
    [
        (
            changed(decision="reverted", verdict=verdict("revert", -0.01)),
            "reverted rule 0 (-0.0100)",
            "it had been luck",
        ),
        (
            changed(decision="reverted", verdict=verdict("revert", 0.01)),
            "reverted rule 0 (+0.0100)",
            "looked better",
        ),
        (changed(decision="reverted"), "reverted rule 0 (+0.0500)", "denied"),
        (changed(flips=()), "kept rule 0 (+0.0500)", "named the wrong tasks"),
        (
            changed(decision="reverted", **NOTHING),
            "nothing got ahead of the incumbent (reverted)",
            "All candidates lost the race",
        ),
        (
            changed(decision="reverted", raced=False, **NOTHING),
            "nothing got ahead of the incumbent (reverted)",
            "none could be made to work",
        ),
        (
            changed(decision="inconclusive", reason="an executor died", **NOTHING),
            "nothing got ahead of the incumbent (inconclusive)",
            "gave no evidence: an executor died",
        ),
        (
            changed(decision="inconclusive", verdict=None, reason="the head was reset"),
            "inconclusive rule 0 (no figure)",
            "gave no evidence: the head was reset",
        ),
    ],
)
def test_the_criticism_fits_the_decision(round_: Round, headline: str, criticism: str) -> None:
    text = page(round_)
    assert text.startswith(f"# Round 3: {headline}\n")
    section = text.partition("## Criticism")[2].partition("## Directions")[0]
    assert criticism in section


def test_an_empty_round_gives_a_whole_page_too() -> None:
    text = page(Round(number=1, tree="seed", decision="inconclusive"))
    for heading in ("What was tried", "What happened", "Criticism", "Directions"):
        assert f"\n## {heading}\n\n" in text
    assert "- nothing\n" in text
    assert "There was no verdict." in text
    assert "- Wider steps: nothing has told yet." in text
    assert "Before this" not in text
