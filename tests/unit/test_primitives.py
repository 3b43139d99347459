"""The seed harness as a guest would run it: its files, our runtime API, a scripted model, and tests by hand."""

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from agents.sandbox.guest import runtime

HARNESS = Path(__file__).parents[2] / "harness"
NAMES = ("agent", "dialogue", "primitives", "rules", "tools", "transcript")

STACK = "def pop(items):\n    top = items[0]\n    return top\n"
QUEUE = "def first(items):\n    top = items[0]\n    return items[1]\n"


@pytest.fixture
def harness(monkeypatch: pytest.MonkeyPatch) -> Iterator[SimpleNamespace]:
    """The harness's modules, imported as in the sandbox, and forgotten afterwards."""
    known = set(sys.modules)
    monkeypatch.setitem(sys.modules, "ratchet_runtime", runtime)
    monkeypatch.syspath_prepend(str(HARNESS))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    assert not known & set(NAMES)
    yield SimpleNamespace(**{name: importlib.import_module(name) for name in NAMES})
    for name in set(sys.modules) - known:
        if name.partition(".")[0] in NAMES:
            del sys.modules[name]


@pytest.fixture
def ask(harness: SimpleNamespace) -> ModuleType:
    """Predicates and actions."""
    module: ModuleType = harness.primitives
    return module


class World:
    """The host's end of the pipe: a model that says what it is told to, and tests that look at the text."""

    def __init__(self, root: Path, files: dict[str, str], edits: list[tuple[str, int, str, str]]) -> None:
        self.files = files
        self.edits = list(edits)
        self.heard: list[dict[str, Any]] = []
        self.runs = 0
        self.left = 99
        for path, text in files.items():
            (root / path).write_text(text)
        self.task = runtime.Task(
            id="stack-1", instruction="pop takes the wrong end.", solution_files=sorted(files)
        )
        self.workspace = runtime.Workspace(str(root), files, self.serve)
        self.model = runtime.Model(self.serve)

    def serve(self, frame: dict[str, Any]) -> Any:
        self.left -= 1
        if self.left < 0:
            raise runtime.BudgetExceeded("spent")
        if frame["type"] == "test":
            self.runs += 1
            return self.report({**self.files, **frame["files"]})
        self.heard.append(frame)
        calls = []
        if self.edits:
            path, line, old, new = self.edits.pop(0)
            arguments = {"path": path, "line": line, "old": old, "new": new}
            calls = [{"id": f"call-{len(self.heard)}", "name": "edit", "arguments": arguments}]
        return {"role": "assistant", "content": "", "tool_calls": calls}

    def report(self, files: dict[str, str]) -> dict[str, Any]:
        """One test wants `items[-1]` in stack.py, one wants `return top` in every file."""
        if "SYNTAX" in files["stack.py"]:
            return {"status": "broken", "outcomes": [], "executed": 0, "detail": "SyntaxError"}
        trace = [("tests/test_stack.py", 4, "test_pop"), ("stack.py", 2, "pop")]
        lines = {"stack.py": [2, 3], "tests/test_stack.py": [4]}
        checks = {
            "test_pop": "items[-1]" in files["stack.py"],
            "test_top": all("return top" in text for text in files.values()),
        }
        outcomes = [
            {
                "id": name,
                "passed": passed,
                "error": "" if passed else "AssertionError: 1 != 2",
                "trace": [] if passed else trace,
                "lines": lines,
            }
            for name, passed in checks.items()
        ]
        return {"status": "ok", "outcomes": outcomes, "executed": 9, "detail": ""}


WRONG = ("stack.py", 2, "    top = items[0]", "    top = items[1]")
RIGHT = ("stack.py", 2, "    top = items[0]", "    top = items[-1]")
BREAKS = ("stack.py", 3, "    return top", "    return None")
STALE = ("stack.py", 1, "no such line", "x")


def begin(
    harness: SimpleNamespace,
    root: Path,
    *edits: tuple[str, int, str, str],
    files: dict[str, str] | None = None,
) -> Any:
    """A transcript whose edits have been asked for, tried and settled, one after another, without rules."""
    world = World(root, files or {"stack.py": STACK}, list(edits))
    run = harness.transcript.Transcript(world.task, world.model, world.workspace)
    run.world = world
    run.open()
    for _ in edits:
        asked = run.ask()
        assert asked
        for call in asked:
            run.tools.use(run, call)
    return run


def said(run: Any) -> str:
    run.flush()
    return str(run.messages[-1]["content"])


# The episode


def test_the_seed_mends_a_program_when_the_model_does(harness: SimpleNamespace, tmp_path: Path) -> None:
    world = World(tmp_path, {"stack.py": STACK}, [WRONG, STALE, BREAKS, RIGHT])
    harness.agent.solve(world.task, world.model, world.workspace)
    assert world.workspace.changed() == {"stack.py": STACK.replace("items[0]", "items[-1]")}
    assert (len(world.heard), world.runs) == (4, 1 + 3)
    assert world.heard[0]["decoding"] == {
        "temperature": 1.0,
        "top_p": 1.0,
        "frequency_penalty": 0.0,
        "presence_penalty": 0.0,
    }
    told = [message["content"] for message in world.heard[-1]["messages"]]
    assert told[0] == (HARNESS / "prompts" / "system.md").read_text()
    assert "```python stack.py\n" + STACK in told[1]
    assert told[1].endswith("1 passed, 1 failed\nFAILED test_pop")
    assert told[3] == "edit applied: stack.py:2\n1 passed, 1 failed\nFAILED test_pop\nedit undone"
    assert told[5] == "edit not applied: the old text does not stand there"


@pytest.mark.parametrize("left", range(8))
def test_whenever_the_budget_ends_no_failed_edit_stays_behind(
    harness: SimpleNamespace, tmp_path: Path, left: int
) -> None:
    world = World(tmp_path, {"stack.py": STACK}, [WRONG, BREAKS, WRONG, BREAKS])
    world.left = left
    harness.agent.solve(world.task, world.model, world.workspace)
    assert world.workspace.changed() == {}


def test_an_episode_ends_when_the_model_has_nothing_to_offer(
    harness: SimpleNamespace, tmp_path: Path
) -> None:
    world = World(tmp_path, {"stack.py": STACK}, [])
    harness.agent.solve(world.task, world.model, world.workspace)
    assert (len(world.heard), world.runs) == (1, 1)


@pytest.mark.parametrize(
    ("edit", "effect", "fixed", "broken"),
    [
        (WRONG, "useless", [], []),
        (RIGHT, "helped", ["test_pop"], []),
        (BREAKS, "broke", [], ["test_top"]),
        (("stack.py", 2, "    top = items[0]", "    SYNTAX"), "broke", [], ["(the tests did not run)"]),
        (STALE, "useless", [], []),
        (("elsewhere.py", 1, "", "x"), "useless", [], []),
        (("stack.py", 0, "def pop(items):", "x"), "useless", [], []),
    ],
)
def test_an_edit_is_judged_by_the_tests(
    harness: SimpleNamespace,
    tmp_path: Path,
    edit: tuple[str, int, str, str],
    effect: str,
    fixed: list[str],
    broken: list[str],
) -> None:
    run = begin(harness, tmp_path, edit)
    assert (run.edit.effect, run.edit.broken) == (effect, broken)
    if "SYNTAX" not in edit[3]:
        assert run.edit.fixed == fixed
    assert run.done == (edit == RIGHT)
    assert run.workspace.changed().keys() == ({"stack.py"} if edit == RIGHT else set())


def test_rules_fire_at_their_moment_in_their_order(harness: SimpleNamespace) -> None:
    fired: list[str] = []

    def rule(name: str, on: str, when: bool) -> SimpleNamespace:
        return SimpleNamespace(on=on, when=lambda _: when, act=lambda _: fired.append(name))

    rules = harness.rules.Rules({"rules": {"on": []}})
    rules.rules = [
        rule("a", "step", True),
        rule("b", "step", False),
        rule("c", "tested", True),
        rule("d", "step", True),
    ]
    rules.fire("step", None)
    assert fired == ["a", "d"]


# Predicates


def test_counting_predicates(harness: SimpleNamespace, ask: ModuleType, tmp_path: Path) -> None:
    run = begin(harness, tmp_path, WRONG, WRONG, BREAKS)
    assert ask.always(run)
    assert [ask.every(run, n) for n in (1, 2, 3)] == [True, False, True]
    assert [ask.after(run, n) for n in (1, 3, 4)] == [True, True, False]


def test_repetition(harness: SimpleNamespace, ask: ModuleType, tmp_path: Path) -> None:
    run = begin(harness, tmp_path, WRONG, BREAKS, WRONG)
    assert [ask.repeated(run, n) for n in (1, 2)] == [True, False]
    assert [ask.same_line(run, n) for n in (1, 2)] == [True, False]
    other = begin(harness, tmp_path, WRONG, ("stack.py", 2, "    top = items[0]", "    top = 0"))
    assert not ask.repeated(other, 1)
    assert ask.same_line(other, 1)
    indented = begin(harness, tmp_path, WRONG, ("stack.py", 2, "top = items[0]", "top = items[1]"))
    assert ask.repeated(indented, 1), "two edits that differ in indentation alone are the same one"


def test_uselessness(harness: SimpleNamespace, ask: ModuleType, tmp_path: Path) -> None:
    run = begin(harness, tmp_path, BREAKS, WRONG, WRONG)
    assert [ask.useless_in_a_row(run, n) for n in (1, 2, 3, 4)] == [True, True, False, False]


def test_what_an_edit_did(harness: SimpleNamespace, ask: ModuleType, tmp_path: Path) -> None:
    helped = begin(harness, tmp_path, RIGHT)
    broke = begin(harness, tmp_path, BREAKS)
    assert (ask.fixed_some(helped, 1), ask.fixed_some(helped, 2), ask.broke_some(helped, 1)) == (
        True,
        False,
        False,
    )
    assert (ask.fixed_some(broke, 1), ask.broke_some(broke, 1)) == (False, True)
    assert (ask.longer(helped), ask.longer(begin(harness, tmp_path, WRONG))) == (True, False)


def test_how_much_fails(harness: SimpleNamespace, ask: ModuleType, tmp_path: Path) -> None:
    assert ask.few_failing(begin(harness, tmp_path), 1)
    two = begin(harness, tmp_path, files={"queue.py": QUEUE, "stack.py": STACK})
    assert [ask.few_failing(two, n) for n in (1, 2)] == [False, True]
    assert ask.several_files(two)
    assert not ask.several_files(begin(harness, tmp_path))


def test_off_trace(harness: SimpleNamespace, ask: ModuleType, tmp_path: Path) -> None:
    assert not ask.off_trace(begin(harness, tmp_path, WRONG))
    assert ask.off_trace(begin(harness, tmp_path, ("stack.py", 1, "def pop(items):", "def pop(item):")))
    assert ask.off_trace(
        begin(harness, tmp_path, ("queue.py", 2, "", ""), files={"stack.py": STACK, "queue.py": QUEUE})
    )


def test_predicates_before_the_first_edit_are_false(
    harness: SimpleNamespace, ask: ModuleType, tmp_path: Path
) -> None:
    run = begin(harness, tmp_path)
    for name in ("repeated", "same_line", "fixed_some", "broke_some", "after", "useless_in_a_row"):
        assert not getattr(ask, name)(run, 1), name
    for name in ("off_trace", "stands_elsewhere", "longer"):
        assert not getattr(ask, name)(run), name


# Actions


def test_what_actions_say(harness: SimpleNamespace, ask: ModuleType, tmp_path: Path) -> None:
    files = {"queue.py": QUEUE, "stack.py": STACK}
    for action, arguments, expected in (
        ("tell", ("Look again.",), "Look again."),
        (
            "show_errors",
            (),
            "FAILED test_pop: AssertionError: 1 != 2\nFAILED test_top: AssertionError: 1 != 2",
        ),
        ("show_traces", (), '  File "stack.py", line 2, in pop\n  File "stack.py", line 2, in pop'),
        ("show_lines", (), "covered: stack.py:2-3"),
        ("show_places", (), "see queue.py:2"),
        ("show_files", (), f"```python queue.py\n{QUEUE}\n```\n```python stack.py\n{STACK}\n```"),
    ):
        run = begin(harness, tmp_path, WRONG, files=files)
        before = said(run)
        getattr(ask, action)(run, *arguments)
        assert said(run) == f"{before}\n{expected}"


def test_actions_that_show_nothing_when_nothing_fails_to_be_shown(
    harness: SimpleNamespace, ask: ModuleType, tmp_path: Path
) -> None:
    run = begin(harness, tmp_path, ("stack.py", 2, "    top = items[0]", "    SYNTAX"))
    for action in ("show_errors", "show_traces", "show_lines", "show_places"):
        getattr(ask, action)(run)
    assert run.notes == []
    assert ask.covered(run) == {}


def test_a_discarded_edit_costs_no_test_run(
    harness: SimpleNamespace, ask: ModuleType, tmp_path: Path
) -> None:
    world = World(tmp_path, {"stack.py": STACK}, [WRONG, RIGHT])
    rules = harness.transcript.Rules
    discard = SimpleNamespace(on="proposed", when=lambda run: run.edit.new.endswith("[1]"), act=ask.discard)

    class Discarding(rules):  # type: ignore[misc, valid-type]
        def __init__(self, found: dict[str, Any]) -> None:
            super().__init__(found)
            self.rules = [discard]

    harness.transcript.Rules = Discarding
    harness.agent.solve(world.task, world.model, world.workspace)
    assert (len(world.heard), world.runs) == (2, 2)
    assert world.heard[1]["messages"][-1]["content"] == "edit not applied"


def test_a_kept_edit_stays_and_is_shown(harness: SimpleNamespace, ask: ModuleType, tmp_path: Path) -> None:
    run = begin(harness, tmp_path)
    run.world.edits = [BREAKS]
    [call] = run.ask()
    run.propose(call["arguments"])
    run.try_edit()
    ask.keep(run)
    run.settle()
    kept = STACK.replace("return top", "return None")
    assert run.workspace.changed() == {"stack.py": kept}
    assert run.failing(run.report) == ["test_pop", "test_top"]
    assert said(run).endswith(f"edit kept\n```python stack.py\n{kept}\n```")


def test_decoding_is_moved_within_its_bounds(
    harness: SimpleNamespace, ask: ModuleType, tmp_path: Path
) -> None:
    run = begin(harness, tmp_path)
    ask.scale(run, "temperature", 0.5)
    ask.scale(run, "top_p", 1.5)
    ask.shift(run, "frequency_penalty", 0.5)
    ask.shift(run, "presence_penalty", -9)
    assert run.decoding == {
        "temperature": 0.5,
        "top_p": 1.0,
        "frequency_penalty": 0.5,
        "presence_penalty": -2.0,
    }
    ask.scale(run, "temperature", 100)
    ask.scale(run, "top_p", 0)
    assert (run.decoding["temperature"], run.decoding["top_p"]) == (2.0, 0.05)
    run.world.edits = [WRONG]
    run.ask()
    assert run.world.heard[-1]["decoding"] == run.decoding
    assert run.settings["decoding"]["temperature"] == 1.0


@pytest.mark.parametrize("n", [1, 2, 3, 4, 6])
def test_forgetting_leaves_no_answer_without_its_question(
    harness: SimpleNamespace, ask: ModuleType, tmp_path: Path, n: int
) -> None:
    run = begin(harness, tmp_path, WRONG, BREAKS, WRONG, BREAKS)
    before = list(run.messages)
    ask.forget(run, n)
    assert run.messages[:2] == before[:2]
    assert run.messages[2:] == before[len(before) - len(run.messages) + 2 :]
    assert len(run.messages) - 2 <= n
    asked = {call["id"] for m in run.messages for call in m.get("tool_calls", ())}
    assert {m["tool_call_id"] for m in run.messages if m["role"] == "tool"} <= asked


def test_actions_before_the_first_edit_do_no_harm(
    harness: SimpleNamespace, ask: ModuleType, tmp_path: Path
) -> None:
    run = begin(harness, tmp_path)
    for name in ("discard", "keep", "show_places"):
        getattr(ask, name)(run)
    ask.forget(run, 1)
    assert len(run.messages) == 2
    assert run.notes == []
    ask.stop(run)
    assert run.done


# Helpers


def test_lines_that_failing_tests_ran(harness: SimpleNamespace, ask: ModuleType, tmp_path: Path) -> None:
    assert ask.covered(begin(harness, tmp_path)) == {"stack.py": {2, 3}}, "tests' own lines are left out"
    run = begin(harness, tmp_path, RIGHT)
    assert ask.covered(run) == {}


def test_places_where_the_same_text_stands(harness: SimpleNamespace, ask: ModuleType, tmp_path: Path) -> None:
    files = {"queue.py": QUEUE, "stack.py": STACK + "\n    top = items[0]\n"}
    run = begin(harness, tmp_path, WRONG, files=files)
    assert ask.places(run) == [("queue.py", 2), ("stack.py", 5)]
    assert ask.stands_elsewhere(run)
    blank = begin(harness, tmp_path, ("stack.py", 4, "", "x"), files=files)
    assert ask.places(blank) == []
    many = {"stack.py": STACK + "    top = items[0]\n" * 20}
    assert len(ask.places(begin(harness, tmp_path, WRONG, files=many))) == 8


@pytest.mark.parametrize(
    ("numbers", "text"),
    [
        ([], ""),
        ([3], "3"),
        ([3, 4], "3-4"),
        ({5, 4, 3, 9}, "3-5,9"),
        ([1, 3, 5], "1,3,5"),
        (range(1, 101), "1-100"),
        ([0, 1, 7], "0-1,7"),
    ],
)
def test_spans(ask: ModuleType, numbers: Any, text: str) -> None:
    assert ask.spans(numbers) == text
