"""The seed harness with a model that calls tools: in the sandbox, on a program with two mistakes."""

import itertools
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import pytest

from agents.cli.request import seed_files
from agents.critic.story import places, read_story
from agents.critic.taxonomy import classify
from agents.executor.episode import run_episode
from agents.executor.reports import Reports
from agents.models.endpoint import Endpoint, EndpointModel
from agents.models.errors import RequestRefusedError
from agents.models.scripted import ScriptedServer, raw
from agents.patcher.changes import apply_change
from agents.sandbox import Sandbox
from contracts.chat import ChatReply, ChatRequest, Message, ModelFacts, ToolCall, Usage
from contracts.jobs import EpisodeJob, EpisodeResult
from contracts.models import facts_of
from contracts.tasks import Budget, GradedTask, Task

LARGE = "openai:large@http://127.0.0.1:1/v1"
BAG = "def first(xs):\n    return xs[1]\n\n\ndef last(xs):\n    return xs[1]\n\n\ndef size(xs):\n    return len(xs)\n"
TESTS = (
    "from bag import first, last, size\n\n\n"
    "def test_first():\n    assert first([4, 5, 6]) == 4\n\n\n"
    "def test_last():\n    assert last([4, 5, 6]) == 6\n\n\n"
    "def test_size():\n    assert size([4]) == 1\n"
)
FILES = {"bag.py": BAG, "notes.txt": "Ends of a bag.\n" * 3, "tests/test_bag.py": TESTS}
BUDGET = Budget(cpu_seconds=10, model_calls=12, test_runs=8, tokens=1_000_000)
Call = tuple[str, dict[str, Any]]
Said = Sequence[Call] | str | ChatReply


def edit(line: int, old: str, new: str, path: str = "bag.py") -> Call:
    return "edit", {"path": path, "line": line, "old": old, "new": new}


FIRST = edit(2, "    return xs[1]", "    return xs[0]")
LAST = edit(6, "    return xs[1]", "    return xs[-1]")
LIST: Call = ("list_files", {})
RUN: Call = ("run_tests", {})
FINISH: Call = ("finish", {})


class Speaking:
    """A model that says one thing after another, and remembers what it heard."""

    fingerprint = "speaking"

    def __init__(self, *said: Said, tokens: int = 50) -> None:
        self.waiting = list(said)
        self.heard: list[ChatRequest] = []
        self.usage = Usage(input_tokens=tokens, output_tokens=10)
        self.room = 0
        """Characters that a conversation may have; 0: any number."""

    def complete(self, request: ChatRequest) -> ChatReply:
        self.heard.append(request)
        check(request.messages)
        if self.room and sum(len(message.content) for message in request.messages) > self.room:
            raise RequestRefusedError("the context is full")
        said = self.waiting.pop(0) if self.waiting else "I have nothing to say."
        if isinstance(said, ChatReply):
            return said
        if isinstance(said, str):
            return ChatReply(message=Message(role="assistant", content=said), usage=self.usage)
        calls = tuple(
            ToolCall(id=f"c{len(self.heard)}-{at}", name=name, arguments=given)
            for at, (name, given) in enumerate(said)
        )
        return ChatReply(message=Message(role="assistant", tool_calls=calls), usage=self.usage)

    @property
    def answers(self) -> list[str]:
        """What tools answered, in all."""
        return [message.content for message in self.heard[-1].messages if message.role == "tool"]

    @property
    def told(self) -> str:
        """The latest message that it heard."""
        return self.heard[-1].messages[-1].content


def check(messages: Sequence[Message]) -> None:
    """What every provider wants: each call answered once, right after it, and nothing else answered."""
    waiting: list[str] = []
    for message in messages:
        if message.role == "tool":
            waiting.remove(message.tool_call_id)
            continue
        assert not waiting
        waiting = [call.id for call in message.tool_calls]
    assert not waiting
    assert messages[-1].role != "assistant"


@pytest.fixture(scope="module")
def reports() -> Iterator[Reports]:
    with Sandbox() as sandbox:
        yield Reports(sandbox)


Episode = Callable[..., EpisodeResult]


@pytest.fixture(scope="module")
def episode(reports: Reports) -> Episode:
    def run(
        model: Any,
        *,
        tree: Mapping[str, bytes] | None = None,
        spec: str = LARGE,
        files: Mapping[str, str] = FILES,
        budget: Budget = BUDGET,
        facts: ModelFacts | None = None,
    ) -> EpisodeResult:
        task = Task(
            id="bag",
            package="bag",
            instruction="first and last take the wrong items.",
            files=dict(files),
            solution_files=("bag.py",),
            budget=budget,
        )
        job = EpisodeJob(
            task="b",
            task_id="bag",
            tree="h",
            seed="s",
            fingerprint="f",
            model=spec,
            transcript=True,
            facts=facts,
        )
        return run_episode(job, GradedTask(task=task, digest="d"), tree or seed_files(), model, reports)

    return run


def test_what_is_known_of_a_model_comes_before_what_its_name_says(episode: Episode) -> None:
    model = Speaking([FIRST])
    told = episode(model, facts=ModelFacts(tools=False, context=9000))
    assert [tool.name for tool in model.heard[0].tools] == ["edit"]
    by_name = episode(Speaking([FINISH]))
    assert told.job != by_name.job
    assert (
        by_name.job
        == EpisodeJob(task="b", task_id="bag", tree="h", seed="s", fingerprint="f", transcript=True).id
    )


def test_a_task_is_solved_by_looking_editing_testing_and_finishing(episode: Episode) -> None:
    model = Speaking(
        [LIST],
        [("search", {"text": "xs[1]"})],
        [("read", {"path": "bag.py", "first": 5, "last": 6})],
        [FIRST],
        [RUN],
        [LAST],
        [FINISH],
    )
    result = episode(model)
    assert (result.solved, result.error) == (True, "")
    assert result.files == {"bag.py": BAG.replace("xs[1]", "xs[0]", 1).replace("xs[1]", "xs[-1]")}
    assert (result.model_calls, result.test_runs) == (7, 3), (
        "what tests show is asked for without another run"
    )
    assert model.answers == [
        "3 files\nbag.py: 10 lines, may be edited\nnotes.txt: 3 lines\ntests/test_bag.py: 13 lines",
        "2 places in 1 of 3 files\nbag.py:2: return xs[1]\nbag.py:6: return xs[1]",
        "bag.py, 10 lines, from 5 on\n5\tdef last(xs):\n6\t    return xs[1]",
        (
            "edit applied: bag.py:2\n2 passed, 1 failed\nFAILED tests/test_bag.py::test_last\n"
            "fixed: tests/test_bag.py::test_first\nedit kept"
        ),
        (
            "2 passed, 1 failed\nFAILED tests/test_bag.py::test_last: AssertionError: assert last([4, 5, 6]) == 6\n"
            '  File "tests/test_bag.py", line 9, in test_last'
        ),
        (
            "edit applied: bag.py:6\n3 passed, 0 failed\nfixed: tests/test_bag.py::test_last\nedit kept\n"
            "All visible tests pass. If the request asks for no more, call `finish`."
        ),
    ]
    first = model.heard[0]
    assert [tool.name for tool in first.tools] == [
        *("list_files", "search", "read", "edit", "run_tests", "finish")
    ]
    assert "call `finish`" in first.messages[0].content
    assert f"```python bag.py\n{BAG}" in first.messages[1].content
    for earlier, later in itertools.pairwise(model.heard):
        assert later.tools == earlier.tools
        assert later.messages[: len(earlier.messages)] == earlier.messages, "a provider finds it in its cache"


def test_calls_of_one_reply_are_done_in_their_order_and_none_after_the_end(episode: Episode) -> None:
    model = Speaking([FIRST, LIST, LAST], [FINISH, edit(10, "    return len(xs)", "    return 0")])
    result = episode(model)
    assert (result.solved, result.model_calls, result.test_runs) == (True, 2, 3)
    assert [answer.split("\n")[0] for answer in model.answers] == [
        "edit applied: bag.py:2",
        "3 files",
        "edit applied: bag.py:6",
    ]


@pytest.mark.parametrize(
    ("asked", "answer"),
    [
        (("shell", {"command": "ls"}), "there is no tool 'shell'; there are list_files, search, read, edit,"),
        (("read", {}), "read: `path` is missing; nothing was done"),
        (("read", {"path": 7}), "read: `path` is to be a text, not 7; nothing was done"),
        (
            ("read", {"path": "bag.py", "first": "2", "last": 2.0}),
            "bag.py, 10 lines, from 2 on\n2\t    return",
        ),
        (("read", {"path": "bag.py", "first": "two"}), "read: `first` is to be a whole number, not 'two'"),
        (("read", {"path": "bag.py", "first": True}), "read: `first` is to be a whole number, not True"),
        (("read", {"path": "bag.py", "first": -5, "last": 1}), "bag.py, 10 lines, from 1 on\n1\tdef first"),
        (("read", {"path": "./bag.py", "first": 99}), "bag.py, 10 lines, from 99 on"),
        (("read", {"path": "../../etc/passwd"}), "there is no file '../../etc/passwd' here"),
        (("read", {"path": "/etc/passwd"}), "there is no file '/etc/passwd' here"),
        (("read", {"path": "tests"}), "there is no file 'tests' here"),
        (("read", {"path": "bag.py\0"}), "there is no file 'bag.py\\x00' here"),
        (("list_files", {"folder": "tests/"}), "1 files below tests\ntests/test_bag.py: 13 lines"),
        (("list_files", {"folder": "/"}), "0 files below .."),
        (("search", {"text": "ROOT", "path": "../../etc"}), "0 places in 0 of 0 files"),
        (
            ("search", {"text": "DEF LAST"}),
            "1 places in 1 of 3 files, small and capital letters taken alike\nbag",
        ),
        (("search", {"text": "(((a+)+)+$"}), "0 places in 0 of 3 files"),
        (("search", {"text": "  "}), "search: `text` is empty"),
        (edit(1, "root:", "x", "/etc/passwd"), "edit not applied: only these files may be edited: bag.py"),
        (edit(1, "x", "y", "tests/test_bag.py"), "edit not applied: only these files may be edited: bag.py"),
        (edit(1, "x", "y", "../other/bag.py"), "edit not applied: only these files may be edited: bag.py"),
        (("edit", {"path": "bag.py", "old": "a"}), "edit: `new` is missing; nothing was done"),
        (("skill", {"name": "x"}), "there is no skill 'x'; there are none"),
    ],
)
def test_whatever_a_call_holds_it_is_answered_and_stays_in_the_workspace(
    episode: Episode, asked: Call, answer: str
) -> None:
    model = Speaking([asked], [FINISH], [FINISH])
    result = episode(model)
    assert (result.outcome, result.error, result.files) == ("unchanged", "", {})
    assert model.answers[0].startswith(answer)


def test_an_answer_has_its_length_and_says_what_it_leaves_out(episode: Episode) -> None:
    files = {**FILES, "long.py": "".join(f"x{n} = {n}\n" for n in range(5000)), "wide.txt": "y" * 9000}
    files |= {f"many/{n}.txt": "bag" for n in range(300)}
    model = Speaking(
        [("read", {"path": "long.py"}), ("read", {"path": "wide.txt"}), ("search", {"text": "bag"}), LIST],
        [FINISH],
        [FINISH],
    )
    assert episode(model, files=files).error == ""
    long, wide, search, listed, _ = model.answers
    assert max(len(answer) for answer in model.answers) < 8200
    left = int(long.split("read them from first = ")[1].rstrip("]"))
    assert long.endswith(f"[lines {left}-5000 are left out: read them from first = {left}]")
    assert wide.endswith("[… 8500 more characters]")
    assert search.endswith("more are left out: say more of the text, or a path]")
    assert listed.endswith("[105 more are left out: ask for a folder]")


@pytest.mark.parametrize(
    ("asked", "line", "stands"),
    [
        (edit(9, "def last(xs):\n    return xs[1]", "def last(xs):\n    return xs[-1]"), 5, "return xs[-1]"),
        (edit(1, "return xs[1]\n", "return xs[0]\n"), 0, "stands at lines 2, 6: say which by `line`"),
        (edit(6, "return xs[1]", "return xs[-1]"), 6, "    return xs[-1]"),
        (edit(6, "return xs[1]", "if xs:\n    return 1\n"), 6, "    if xs:\n        return 1"),
        (edit(6, "xs[1]", "xs[-1]"), 6, "    return xs[-1]\n"),
        (edit(8, "xs[1]", "xs[-1]"), 0, "stands in lines 2, 6: say more of it, or which by `line`"),
        (
            ("edit", {"path": "bag.py", "old": "len(xs)", "new": "len(xs) * 1"}),
            10,
            "    return len(xs) * 1\n",
        ),
        (edit(10, "  return len(xs)", "    return 1"), 10, "size(xs):\n    return 1\n"),
        (edit(5, "def least(xs):", "def most(xs):"), 0, "does not stand there\n1\tdef first(xs):\n2\t"),
        (edit(3, "", "x"), 3, "x\n\ndef last"),
        (edit(2, " ", "x"), 0, "`old` says nothing: give a line beside the place"),
        (edit(2, "    return xs[1]", "    return xs[1]"), 0, "the old and the new text are the same"),
    ],
)
def test_an_edit_is_made_where_it_can_only_be_meant(
    episode: Episode, asked: Call, line: int, stands: str
) -> None:
    model = Speaking([asked], [FINISH], [FINISH])
    result = episode(model)
    assert result.error == ""
    if line:
        assert model.answers[0].startswith(f"edit applied: bag.py:{line}\n")
        assert stands in result.files["bag.py"]
    else:
        assert model.answers[0].startswith("edit not applied: ")
        assert stands in model.answers[0]
        assert result.files == {}


def ended(reason: str, content: str = "") -> ChatReply:
    return ChatReply(message=Message(role="assistant", content=content), finish_reason=reason)  # type: ignore[arg-type]


def test_who_calls_nothing_is_asked_once_and_may_go_on(episode: Episode) -> None:
    model = Speaking("I see the mistake.", [FIRST, LAST], "Done.")
    result = episode(model)
    assert (result.solved, result.model_calls) == (True, 3)
    assert "call one; `finish` ends" in model.heard[1].messages[-1].content.lower()
    silent = Speaking("", "Hm.")
    assert episode(silent).model_calls == 2
    assert silent.heard[1].messages[-2].content == "(nothing)"


def test_a_call_that_cannot_be_read_is_told_so_and_three_in_a_row_end_it(episode: Episode) -> None:
    garbled = ended(
        "malformed", "[the tool call could not be read: a call of 'edit' whose arguments are no object]"
    )
    model = Speaking(garbled, ended("length", "Well"), [FIRST, LAST], [FINISH])
    assert episode(model).solved
    assert "one JSON object" in model.heard[1].messages[-1].content
    assert "cut off" in model.heard[2].messages[-1].content
    assert episode(Speaking(*[garbled] * 9)).model_calls == 3
    assert episode(Speaking(*[ended("refusal", "I must not.")] * 9)).model_calls == 2


def test_finishing_early_is_allowed_after_a_word(episode: Episode) -> None:
    model = Speaking([FIRST], [FINISH], [FINISH])
    result = episode(model)
    assert (result.outcome, result.model_calls) == ("partly", 3)
    assert model.told == (
        "1 visible tests still fail (tests/test_bag.py::test_last). Call `finish` again to end all the same."
    )


def test_what_runs_low_is_told_and_nothing_is_asked_for_beyond_it(episode: Episode) -> None:
    worse = edit(10, "    return len(xs)", "    return len(xs) + 1")
    back = edit(10, "    return len(xs) + 1", "    return len(xs)")
    model = Speaking([worse], [back], [worse], [back], [RUN], [LIST], [LIST], tokens=90)
    result = episode(model, budget=Budget(cpu_seconds=10, model_calls=6, test_runs=4, tokens=1000))
    assert (result.model_calls, result.test_runs, result.signs["spent_all"]) == (6, 4, 1.0)
    told = [message.content for message in model.heard[-1].messages if message.role != "system"]
    assert [line for text in told for line in text.split("\n") if line.startswith(("left:", "This is"))] == [
        *("left: 3 test runs", "left: 5 replies", "left: 1 test runs", "left: 0 test runs"),
        *(
            "left: 2 replies",
            "left: 1 replies",
            "This is the last reply: make the edit that is surest, or finish.",
        ),
    ]
    assert "edit made, and not tested: bag.py:10" in told[-3]
    assert "[no test run is left: this was found before the latest edits]" in told[-1]
    poor = Speaking([LIST], [LIST], [LIST], tokens=450)
    assert episode(poor, budget=Budget(cpu_seconds=10, tokens=1000)).model_calls == 3
    assert poor.told.endswith("left: 8% of the tokens")


# Rules


def test_rules_have_their_say_on_edits_and_on_nothing_else(episode: Episode) -> None:
    tree = seed_files()
    for moment in ("start", "step", "proposed", "tested", "helped", "useless", "broke"):
        change = {"name": f"on_{moment}", "moment": moment, "predicate": ["always", {}]}
        tree = apply_change("compose", {**change, "action": ["tell", {"text": f"<{moment}>"}]}, tree)
    model = Speaking(
        [LIST, FIRST], [RUN], [edit(10, "    return len(xs)", "    return 0"), LAST], [FINISH], [FINISH]
    )
    assert episode(model, tree=tree).error == ""
    said = "\n".join(message.content for message in model.heard[-1].messages)
    assert [word for word in said.split("\n") if word[:1] == "<"] == [
        *("<start>", "<step>"),
        *("<proposed>", "<tested>", "<helped>", "<step>"),
        "<step>",
        *("<proposed>", "<tested>", "<broke>", "<proposed>", "<tested>", "<helped>", "<step>"),
        "<step>",
    ]


@pytest.mark.parametrize("n", [1, 2, 3])
@pytest.mark.parametrize("moment", ["step", "proposed", "tested"])
def test_whatever_a_rule_forgets_every_answer_has_its_question(episode: Episode, moment: str, n: int) -> None:
    change = {"name": "f", "moment": moment, "predicate": ["always", {}], "action": ["forget", {"n": n}]}
    tree = apply_change("compose", change, seed_files())
    model = Speaking([LIST, FIRST, LIST], [LIST, LAST, LIST], [RUN, LIST], [FINISH])
    result = episode(model, tree=tree)  # the model checks what it hears
    assert (result.solved, result.error) == (True, "")


def test_an_edit_that_a_rule_discards_is_not_made(episode: Episode) -> None:
    change = {
        "name": "d",
        "moment": "proposed",
        "predicate": ["repeated", {"n": 1}],
        "action": ["discard", {}],
    }
    back = edit(2, "return xs[0]", "return xs[1]")
    model = Speaking([FIRST], [back], [edit(2, "return xs[1]", "return xs[0]")], [FINISH], [FINISH])
    result = episode(model, tree=apply_change("compose", change, seed_files()))
    assert model.answers[2] == "edit not applied", "the same edit, though it was said without its indentation"
    assert (result.test_runs, result.files) == (3, {})


# Skills, prompts and tools as files


def test_skills_are_named_at_first_and_read_on_demand(episode: Episode) -> None:
    text = "# Before an edit\n\n- Look for a wrong name.\n"
    tree = seed_files() | {
        "skills/before_an_edit/SKILL.md": text.encode(),
        "memory/lessons.md": b"- Remember.\n",
    }
    model = Speaking(
        [("skill", {"name": "before_an_edit"}), ("skill", {"name": "../agent"})], [FINISH], [FINISH]
    )
    assert episode(model, tree=tree).error == ""
    system = model.heard[0].messages[0].content
    assert "- before_an_edit: Before an edit" in system
    assert "Look for a wrong name." not in system
    assert "Remember." in system
    assert model.answers[:2] == [text, "there is no skill '../agent'; there are before_an_edit"]
    small = Speaking([FIRST])
    episode(small, tree=tree, spec="")
    assert text in small.heard[0].messages[0].content
    assert [tool.name for tool in small.heard[0].tools] == ["edit"]


def test_tools_are_files_that_can_be_added_and_taken_out(episode: Episode) -> None:
    tree = seed_files()
    tree["harness.toml"] = tree["harness.toml"].replace(b'"search", ', b'"count", ')
    tree["tools/count.py"] = (
        b'description = "Count."\nparameters = {"type": "object", "properties": {}}\n\n\n'
        b'def call(run, arguments):\n    return f"{len(run.edits)} edits so far"\n'
    )
    model = Speaking([FIRST, ("count", {}), ("search", {"text": "a"})], [FINISH], [FINISH])
    assert episode(model, tree=tree).error == ""
    assert model.answers[1:3] == [
        "1 edits so far",
        "there is no tool 'search'; there are list_files, count, read, edit, run_tests, skill, finish",
    ]


def test_a_program_that_is_too_long_to_show_is_named(episode: Episode) -> None:
    model = Speaking([FINISH], [FINISH])
    episode(model, files={**FILES, "bag.py": BAG + "# more\n" * 4000})
    assert "bag.py has 4010 lines: `read` shows them." in model.heard[0].messages[1].content


# Long conversations


def test_older_answers_are_cut_at_once_and_seldom(episode: Episode) -> None:
    files = {**FILES, "long.py": "".join(f"x{n} = {n}\n" for n in range(160))}
    tree = seed_files()
    tree["harness.toml"] = (
        tree["harness.toml"].replace(b"full = 0.6", b"full = 0.06").replace(b"rest = 0.3", b"rest = 0.03")
    )
    look: Call = ("read", {"path": "long.py"})
    model = Speaking([FIRST], *[[look]] * 18, [LAST], [FINISH])
    result = episode(model, tree=tree, files=files, budget=Budget(cpu_seconds=10, tokens=10**9))
    assert (result.solved, result.error) == (True, "")
    kept = [
        later.messages[: len(earlier.messages)] == earlier.messages
        for earlier, later in itertools.pairwise(model.heard)
    ]
    assert 1 <= kept.count(False) <= 3, "a provider's cache is given up seldom"
    sizes = [sum(len(message.content) for message in request.messages) for request in model.heard]
    assert max(sizes) < 0.06 * 128_000 * 3 + 9000
    last = model.heard[-1].messages
    assert last[:2] == model.heard[0].messages[:2]
    assert last[3].content == (
        "edit applied: bag.py:2\n2 passed, 1 failed\nFAILED tests/test_bag.py::test_last\n"
        "fixed: tests/test_bag.py::test_first\nedit kept"
    )
    assert last[5].content == "long.py, 160 lines, from 1 on\n[… 160 lines left out]"
    assert "x159 = 159" in last[-3].content, "the latest stay whole"


def test_a_context_that_is_smaller_than_it_was_said_to_be_is_lived_with(episode: Episode) -> None:
    files = {**FILES, "long.py": "".join(f"x{n} = {n}\n" for n in range(400))}
    model = Speaking([FIRST], *[[("read", {"path": "long.py"})]] * 7, [LAST], [FINISH])
    model.room = 20_000
    result = episode(model, files=files, budget=Budget(cpu_seconds=10, model_calls=20))
    assert (result.solved, result.error) == (True, "")
    model = Speaking([LIST])
    model.room = 10
    assert "the context is full" in episode(model).error


# Over HTTP, and whom it is for


def test_ids_that_a_server_leaves_out_or_repeats_are_made_up_for(episode: Episode) -> None:
    def said(*calls: Call, ids: str) -> Any:
        asked = [
            {"id": ids, "type": "function", "function": {"name": name, "arguments": json.dumps(given)}}
            for name, given in calls
        ]
        message = {"role": "assistant", "content": None, "tool_calls": asked}
        return raw(json.dumps({"choices": [{"message": message, "finish_reason": "tool_calls"}]}).encode())

    cut = {"id": "x", "type": "function", "function": {"name": "edit", "arguments": '{"path": "bag.py", "li'}}
    garbled = json.dumps({"choices": [{"message": {"role": "assistant", "tool_calls": [cut]}}]}).encode()
    script = [said(LIST, FIRST, ids=""), raw(garbled), said(RUN, LAST, ids="same"), said(FINISH, ids="same")]
    with ScriptedServer(script) as server:
        model = EndpointModel(Endpoint(name="scripted", url=server.url))
        result = episode(model, spec=model.endpoint.spec)
    assert (result.solved, result.error, result.model_calls) == (True, "", 4)
    messages = server.asked[-1]["messages"]
    check(
        [
            Message(
                role=m["role"],
                tool_call_id=m.get("tool_call_id", ""),
                tool_calls=tuple(ToolCall(id=c["id"], name="x") for c in m.get("tool_calls", ())),
            )
            for m in messages
        ]
    )
    assert "could not be read" in messages[5]["content"]
    assert "Your call could not be read" in messages[6]["content"]


@pytest.mark.parametrize(
    ("spec", "tools"),
    [
        ("", False),
        ("embedded", False),
        ("openai:embedded@http://127.0.0.1:8321/v1", False),
        ("openai:org/model@v1@https://host/v1", True),
        ("anthropic:embedded-2@https://host", True),
        ("recorded:store", True),
    ],
)
def test_the_embedded_model_only_edits_wherever_it_is(spec: str, tools: bool) -> None:
    facts = facts_of(spec)
    assert (facts.tools, facts.context > 0) == (tools, tools)


# What the critic reads of it


def test_the_critic_tells_apart_what_each_edit_did(episode: Episode) -> None:
    worse = edit(10, "return len(xs)", "return len(xs) + 1")
    model = Speaking(
        [LIST, FIRST, edit(3, "no such text", "x")], [worse, edit(1, "xs[1]", "xs[-1]")], [FINISH], [FINISH]
    )
    result = episode(model)
    story = read_story(result)
    t = {name: f"tests/test_bag.py::test_{name}" for name in ("first", "last", "size")}
    assert [(a.line, a.tested, set(a.fixed), set(a.broken)) for a in story.attempts] == [
        (2, True, {t["first"]}, set()),
        (3, False, set(), set()),
        (10, True, set(), {t["size"]}),
        (6, True, {t["last"]}, set()),  # found where alone it stands
    ]
    assert story.last == {t["size"]}
    assert story.files == result.files
    assert places([story]) == ("bag.py:2", "bag.py:6")
    assert result.signs["attempts"] == len(story.attempts)
    assert [result.signs[name] for name in ("helped", "broke", "useless")] == [2, 1, 0]
    assert classify(result, story) == ("fixed_some", "broke_a_test", "gave_up")
