"""What the critic reads out of transcripts: edits, what each did to the tests, their kinds, and their places."""

import json
import zlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.critic.fixes import MOST, fixes, kind_of
from agents.critic.policy import _places_of
from agents.critic.story import (
    NOT_RUN,
    Attempt,
    Story,
    places,
    read_story,
    read_transcript,
    stands_elsewhere,
    still_stands,
)
from contracts.events import Fix
from contracts.jobs import EpisodeResult

Line = dict[str, Any]


def call(*asked: Line, number: int = 1, **reply: Any) -> Line:
    """A line of a transcript in which the model asks for edits."""
    calls = [{"id": f"c{number}-{i}", "name": "edit", "arguments": a} for i, a in enumerate(asked)]
    told = {"role": "assistant", "content": "", "tool_calls": calls, "tool_call_id": "", **reply}
    return {"call": number, "said": [{"role": "user", "content": "covered: a.py:1-3"}], "reply": told}


def edit(line: int = 1, old: str = "x = 1", new: str = "x = 2", path: str = "a.py") -> Line:
    return {"path": path, "line": line, "old": old, "new": new}


def ran(*failed: str, status: str = "ok") -> Line:
    return {"test": 1, "status": status, "failed": list(failed), "passed": 3}


def end(**files: str) -> Line:
    return {"end": "ok", "error": "", "files": {f"{n}.py": text for n, text in files.items()}, "log": ""}


def episode(*lines: Line, job: str = "j", task: str = "t") -> EpisodeResult:
    body = b"\n".join(json.dumps(line).encode() for line in lines)
    return EpisodeResult(
        job=job,
        task_id=task,
        tree="h",
        seed="s",
        score=0.0,
        solved=False,
        outcome="unsolved",
        transcript=zlib.compress(body),
    )


def tell(*lines: Line) -> Story:
    return read_story(episode(*lines))


def test_a_story_says_what_each_edit_did_to_the_tests_that_there_were_at_first() -> None:
    found = tell(
        ran("t", "u"),
        call(edit(1)),
        ran("t"),
        call(edit(2)),
        ran("t", "u", "v"),
        call(edit(3)),
        ran("u", "v"),
        {"refused": "test runs"},
        end(a="x = 2\n"),
    )
    assert [(a.line, set(a.fixed), set(a.broken), a.tested) for a in found.attempts] == [
        (1, {"u"}, set(), True),
        (2, set(), {"v"}, True),
        (3, {"t"}, {"v"}, True),
    ]
    assert [a.place for a in found.mended] == ["a.py:1"]
    assert found.last == {"u", "v"}
    assert found.files == {"a.py": "x = 2\n"}


def test_an_edit_that_was_not_tried_has_no_part_in_the_next_ones_tests() -> None:
    found = tell(ran("t"), call(edit(1)), call(edit(2)), ran(), ran("t"), end())
    assert [(a.line, a.tested, set(a.fixed)) for a in found.attempts] == [(1, False, set()), (2, True, {"t"})]
    assert found.last == {"t"}


def test_a_run_without_an_end_breaks_and_mends_nothing() -> None:
    found = tell(ran("t"), call(edit(1)), ran(status="lines"), end())
    [one] = found.attempts
    assert (one.fixed, one.broken) == (frozenset(), frozenset(NOT_RUN))
    assert found.last == frozenset(NOT_RUN)
    assert not found.mended


def test_all_edits_of_a_reply_count_and_other_tools_do_not() -> None:
    other = {"id": "x", "name": "look", "arguments": {"path": "a.py"}}
    found = tell(
        ran("t"),
        call(edit(1), edit(2)),
        call(tool_calls=[other, {"id": "y", "name": "edit", "arguments": edit(3)}]),
        call(tool_calls=[other]),
        call(content="I give up."),
        {"call": 9, "said": [], "reply": {"role": "assistant", "content": ""}},
        end(),
    )
    assert [a.line for a in found.attempts] == [1, 2, 3]


def heard(*answers: str) -> Line:
    """The line of a last reply, with the answers to the calls of the one before."""
    said = [{"role": "tool", "content": answer} for answer in answers]
    return {"call": 9, "said": said, "reply": {"role": "assistant", "content": "That is all."}}


def test_each_edit_of_a_reply_has_its_own_tests_and_none_if_it_was_not_made() -> None:
    look = {"id": "x", "name": "read", "arguments": {"path": "a.py"}}
    edits = [{"id": f"e{n}", "name": "edit", "arguments": edit(n)} for n in (1, 2, 3)]
    applied = [f"edit applied: a.py:{n}\n…\nedit kept" for n in (1, 2, 37)]
    found = tell(
        ran("t", "u"),
        call(tool_calls=[edits[0], look, edits[1], edits[2]]),
        ran("u"),
        ran("u", "v"),
        heard(
            applied[0],
            "a.py, 9 lines, from 1 on",
            "edit not applied: the old text does not stand there",
            applied[2],
        ),
        end(),
    )
    assert [(a.line, a.tested, set(a.fixed), set(a.broken)) for a in found.attempts] == [
        (1, True, {"t"}, set()),
        (2, False, set(), set()),
        (37, True, set(), {"v"}),  # where it was made, not where it was asked for
    ]
    assert found.last == {"u", "v"}


def test_an_edit_that_stands_is_what_the_next_one_is_held_against() -> None:
    kept, undone = "edit applied: a.py:1\n1 passed\nedit kept", "edit applied: a.py:1\n1 passed\nedit undone"
    steps = [
        (kept, ran("t"), {"u"}, set()),
        (kept, ran("t"), set(), set()),  # it mended nothing: what passes had been mended before
        (undone, ran("t", "u"), set(), {"u"}),
        (kept, ran("t", "v"), set(), {"v"}),
        (kept, ran("t"), set(), set()),  # mending what an edit broke is no way forward
        (kept, ran(status="broken"), set(), set(NOT_RUN)),
        (kept, ran(), {"t", "u"}, set()),
    ]
    lines: list[Line] = [ran("t", "u"), call(edit(0))]
    for number, (answer, run, _, _) in enumerate(steps, 1):
        asked = call(edit(number), number=number)
        lines += [run, {**asked, "said": [{"role": "tool", "content": answer}]}]
    found = tell(*lines, end())
    assert [(set(a.fixed), set(a.broken)) for a in found.attempts[:-1]] == [step[2:] for step in steps]


def test_where_answers_are_missing_tests_go_to_the_edits_in_their_order() -> None:
    found = tell(ran("t"), call(edit(1), edit(2), edit(3)), ran("t"), ran(), heard("one for three"), end())
    assert [(a.tested, set(a.fixed)) for a in found.attempts] == [
        (True, set()),
        (True, {"t"}),
        (False, set()),
    ]


@pytest.mark.parametrize(
    ("arguments", "read"),
    [
        ({}, ("", 0, "", "")),
        ({"path": 3, "line": "7", "old": None, "new": ["x"]}, ("3", 0, "None", "['x']")),
        ({"path": "a.py", "line": 2.5}, ("a.py", 0, "", "")),
    ],
)
def test_a_garbled_edit_is_an_edit_still(arguments: Line, read: tuple[str, int, str, str]) -> None:
    [one] = tell(ran("t"), call(arguments), end()).attempts
    assert (one.path, one.line, one.old, one.new) == read


def test_without_a_transcript_there_is_no_story() -> None:
    bare = EpisodeResult(job="j", task_id="t", tree="h", seed="s", score=0.0, solved=False, outcome="error")
    assert read_story(bare) == Story((), frozenset(), {})
    assert tell(end(a="y")) == Story((), frozenset(), {"a.py": "y"})
    assert read_transcript(zlib.compress(b"")) == []


def attempt(**fields: Any) -> Attempt:
    told: Line = {"tested": True, "fixed": frozenset("t"), "broken": frozenset(), **edit(), **fields}
    return Attempt(**told)


def test_an_edit_mends_when_it_makes_a_test_pass_and_breaks_none() -> None:
    assert attempt().mends
    assert not attempt(broken=frozenset("u")).mends
    assert not attempt(fixed=frozenset()).mends


@pytest.mark.parametrize(
    ("files", "elsewhere"),
    [
        ({"a.py": "x = 2\n    x = 1\n"}, True),
        ({"a.py": "x = 2\n", "b.py": "x = 1\n"}, True),
        ({"a.py": "x = 1\n"}, False),  # its own place
        ({"a.py": "x = 2\nx = 11\n"}, False),
        ({}, False),
    ],
)
def test_the_same_text_may_stand_elsewhere(files: dict[str, str], elsewhere: bool) -> None:
    assert stands_elsewhere(attempt(), files) is elsewhere
    assert not stands_elsewhere(attempt(old=" \n"), {"a.py": "\n\n\n"})


def test_an_edit_stands_where_its_lines_do() -> None:
    two = attempt(old="x = 1", new="    if y:\n        x = 1")
    assert still_stands(two, {"a.py": "def f():\n    if y:\n        x = 1\n"})
    assert still_stands(two, {"a.py": "if y:\n  x = 1"})
    assert not still_stands(two, {"a.py": "if y:\n    pass\n    x = 1\n"})
    assert not still_stands(two, {"b.py": "if y:\n    x = 1\n"})
    part = attempt(line=2, old="y[1]", new="y[0]")
    assert still_stands(part, {"a.py": "def f(y):\n    return y[0]\n"})
    assert not still_stands(part, {"a.py": "def f(y):\n    return y[1]\n"})
    assert not still_stands(part, {"a.py": "return y[0]\n"})


def test_places_are_told_once_in_the_order_in_which_they_were_found() -> None:
    one = Story((attempt(line=3), attempt(line=1), attempt(line=2, fixed=frozenset())), frozenset(), {})
    other = Story((attempt(line=1), attempt(line=5), attempt(line=4, broken=frozenset("v"))), frozenset(), {})
    assert places([one, other]) == ("a.py:3", "a.py:1", "a.py:5")
    results = [episode(job="j1"), episode(job="j2", task="u"), episode(job="j3", task="v")]
    stories = {"j1": one, "j2": other, "j3": Story((), frozenset(), {})}
    assert _places_of(results, stories) == {"t": ("a.py:3", "a.py:1"), "u": ("a.py:1", "a.py:5")}


# Kinds of edits


@pytest.mark.parametrize(
    ("kind", "old", "new"),
    [
        ("comparison", "if a < b:", "if a <= b:"),
        ("comparison", "while i != n:", "while i < n:"),
        ("comparison", "if x == None:", "if x is None:"),
        ("negation", "if x in y:", "if x not in y:"),
        ("negation", "if x:", "if not x:"),
        ("negation", "return not ready", "return ready"),
        ("boolean operator", "if a and b:", "if a or b:"),
        ("off-by-one", "return n", "return n + 1"),
        ("off-by-one", "for i in range(n - 1):", "for i in range(n):"),
        ("operator", "x[i + 1]", "x[i - 1]"),
        ("operator", "a + b", "a - b"),
        ("operator", "a / b", "a // b"),
        ("operator", "total += x", "total -= x"),
        ("constant", "limit = 10", "limit = 12"),
        ("constant", "rate = 0.5", "rate = 0.25"),
        ("constant", "sep = ','", "sep = ';'"),
        ("constant", 'sep = "a b"', 'sep = "ab"'),
        ("constant", "found = True", "found = False"),
        ("constant", "best = None", "best = 0"),
        ("wrong name", "total = price", "total = cost"),
        ("wrong name", "f(a, b)", "f(a, c)"),
        ("attribute", "self.head = x", "self.tail = x"),
        ("argument order", "f(a, b)", "f(b, a)"),
        ("argument order", "a - b", "b - a"),
        ("slice", "x[i:]", "x[i:j]"),
        ("slice", "x[i:]", "x[:i]"),
        ("slice", "x[i]", "x[i:]"),
        ("off-by-one", "x[:n]", "x[: n - 1]"),
        ("off-by-one", "x[i:]", "x[i + 1 :]"),
        ("constant", "x[1:]", "x[2:]"),
        ("return value", "return a", "return a.copy()"),
        ("missing guard", "    x = y[0]", "    if not y:\n        return 0\n    x = y[0]"),
        ("missing statement", "a = 1", "a = 1\nb = 2"),
        ("statement order", "a = 1\nb = 2", "a = 1"),
        ("statement", "x = f(a)", "x = [g(b) for b in a]"),
        ("layout", "a=1", "a = 1"),
        ("layout", "a = 1", "    a = 1"),
        ("layout", "", ""),
    ],
)
def test_kinds_of_edits(kind: str, old: str, new: str) -> None:
    assert kind_of(old, new) == kind


KINDS_OF_EDITS = {
    *("argument order", "attribute", "boolean operator", "comparison", "constant", "layout", "missing guard"),
    *("missing statement", "negation", "off-by-one", "operator", "return value", "slice", "statement"),
    *("statement order", "wrong name"),
}
code = st.lists(
    st.sampled_from(
        [
            *("if", "x", "y", "not", "<", "==", "+", "-", "1", "2", "return", "[", ":", "]", "(", ")", ","),
            *("'a'", ".", "\n", "and", "or", "None", "//", "é", "in"),
        ]
    ),
    max_size=8,
).map(" ".join)


@given(code, code)
def test_every_edit_has_a_kind_of_a_short_list_and_the_state_stays_small(old: str, new: str) -> None:
    """So that what is remembered of them (`Lineage.fixes`) has an end."""
    assert kind_of(old, new) in KINDS_OF_EDITS
    assert kind_of(old, old) == "layout"


def test_what_mended_tests_is_counted_by_kind_the_most_helpful_first() -> None:
    def tried(old: str, new: str, fixed: str = "", broken: str = "", *, tested: bool = True) -> Attempt:
        return attempt(
            old=old, new=new, fixed=frozenset(fixed.split()), broken=frozenset(broken.split()), tested=tested
        )

    stories = [
        Story(
            (tried("a < b", "a <= b", "t"), tried("a + b", "a - b"), tried("f(x)", "f(y)")), frozenset(), {}
        ),
        Story((tried("c < d", "c > d"), tried("1", "2", "t", "u"), tried("f(x)", "f(z)")), frozenset(), {}),
        Story((tried("a", "b", "t", tested=False),), frozenset(), {}),
    ]
    assert fixes(stories) == (
        Fix(kind="comparison", count=1, tried=2),
        Fix(kind="wrong name", count=0, tried=2),
        Fix(kind="constant", count=0, tried=1),
        Fix(kind="operator", count=0, tried=1),
    )
    assert fixes([]) == ()
    table = [("a < b", "a > b"), ("a", "not a"), ("a and b", "a or b"), ("n", "n + 1"), ("a * b", "a / b")]
    table += [("3", "4"), ("f(a)", "f(b)"), ("a.b", "a.c"), ("f(a, b)", "f(b, a)"), ("x[i:]", "x[i:j]")]
    table += [("return a", "return a.b()"), ("a", "a\nb"), ("a\nb", "a"), ("a", "a ")]
    many = Story(tuple(tried(old, new) for old, new in table), frozenset(), {})
    assert len({kind_of(old, new) for old, new in table}) > MOST
    assert len(fixes([many])) == MOST
