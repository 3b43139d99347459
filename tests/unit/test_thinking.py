"""Answers in a form out of whatever a model says, and contexts that fit."""

from collections.abc import Callable, Iterator
from typing import Any

import anyio
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.models import scripted
from agents.models.endpoint import EndpointModel, parse
from agents.models.errors import ModelUnavailableError, RequestRefusedError
from agents.models.scripted import ScriptedServer, say
from agents.thinking.answers import Unfit, read_json
from agents.thinking.ask import Answer, Prompt, Rejected, ask
from agents.thinking.context import Section, build
from agents.thinking.prompts import render
from contracts.chat import ChatReply, Message, Usage, estimate_tokens
from contracts.record import Record


class Form(Record):
    name: str
    effect: float = 0.0
    tasks: tuple[str, ...] = ()


GOOD = '{"name": "x", "effect": 0.5, "tasks": ["a", "b"]}'
WANTED = Form(name="x", effect=0.5, tasks=("a", "b"))
PROMPT = Prompt(system="You plan.", user="Plan.")


@pytest.fixture(scope="module")
def running() -> Iterator[tuple[ScriptedServer, EndpointModel]]:
    with ScriptedServer([say("nothing")]) as made:
        yield made, EndpointModel(parse(f"openai:scripted@{made.url}"), key="k", sleep=lambda _: None)


@pytest.fixture
def server(running: tuple[ScriptedServer, EndpointModel]) -> ScriptedServer:
    running[0].asked.clear()
    return running[0]


@pytest.fixture
def asked(running: tuple[ScriptedServer, EndpointModel]) -> Callable[..., Any]:
    def asking(script: list[Any], **more: Any) -> Any:
        running[0].script = script
        return anyio.run(lambda: ask(running[1], PROMPT, Form, **more))

    return asking


# JSON among words


@pytest.mark.parametrize(
    "text",
    [
        GOOD,
        f"Sure! Here it is:\n\n```json\n{GOOD}\n```\nHope that helps {{:}}",
        f'<think>perhaps {{"name": "wrong"}} or so</think>{GOOD}',
        f"{{not json}} but {GOOD}",
        'It is {"name": "x", "effect": "0.5", "tasks": ["a", "b"], "more": {"is": "passed over"}}.',
        f'A short one, {{"name": "y"}}, and the answer: {GOOD}',
    ],
)
def test_the_record_is_found_in_what_was_said(text: str) -> None:
    assert read_json(text, Form) == WANTED


def test_a_line_break_within_a_string_is_one() -> None:
    assert read_json('{"name": "two\nlines"}', Form).name == "two\nlines"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("I would rather not.", "there is no JSON object in it$"),
        ('```json\n{"name": "x",}\n```', "cannot be read: .*line 1"),
        ('{"effect": 1}', "missing required field `name`"),
        ('{"name": "x", "effect": "much"}', r"Expected `float`.*`\$\.effect`"),
        ('{"name": "x", "effect": NaN}', "NaN is no number"),
        ('{"name": "\\ud800"}', "cannot be written down"),
        ("{" * 5000, "there is no JSON"),
        ('{"a":' * 5000, "there is no JSON"),
    ],
)
def test_what_is_wrong_with_an_answer_is_said(text: str, said: str) -> None:
    with pytest.raises(Unfit, match=said):
        read_json(text, Form)


@given(st.text(max_size=300))
def test_no_answer_does_worse_than_be_unfit(text: str) -> None:
    with pytest.raises(Unfit, match=r"."):  # what is not "name" is no form, whatever else it is
        read_json(text.replace("name", ""), Form)


# Asking


def test_a_good_answer_is_taken_at_once(server: ScriptedServer, asked: Callable[..., Any]) -> None:
    found = asked([say(GOOD, Usage(input_tokens=7, output_tokens=2))])
    assert found == Answer(value=WANTED, usage=Usage(input_tokens=7, output_tokens=2))
    assert [message["role"] for message in server.asked[0]["messages"]] == ["system", "user"]
    assert len(server.asked) == 1


def test_an_unfit_answer_is_repaired_once_with_the_reason_said_back(
    server: ScriptedServer, asked: Callable[..., Any]
) -> None:
    use = Usage(input_tokens=5, output_tokens=1)
    found = asked([say('{"effect": 1}', use), say(GOOD, use)])
    assert found == Answer(value=WANTED, usage=use + use, repaired=True)
    first, again = server.asked
    assert again["messages"][:2] == first["messages"], "the prefix stays, for the provider's cache"
    assert again["messages"][2]["content"] == '{"effect": 1}'
    assert "missing required field `name`" in again["messages"][3]["content"]


def test_two_unfit_answers_are_rejected_with_the_last_reason(
    server: ScriptedServer, asked: Callable[..., Any]
) -> None:
    found = asked([say("no"), say('{"name": 3, "effect": []}'), say(GOOD)])
    assert isinstance(found, Rejected)
    assert "does not fit" in found.reason
    assert found.said == '{"name": 3, "effect": []}'
    assert found.usage == Usage(input_tokens=20, output_tokens=6)
    assert len(server.asked) == 2


def test_an_answer_that_fits_the_form_may_still_be_wrong(
    server: ScriptedServer, asked: Callable[..., Any]
) -> None:
    def check(form: Form) -> None:
        if "b" in form.tasks:
            raise Unfit("there is no task b")

    found = asked([say(GOOD), say(GOOD.replace('"b"', '"a"'))], check=check)
    assert found.value.tasks == ("a", "a")
    assert "there is no task b" in server.asked[1]["messages"][3]["content"]


def cut_off() -> ChatReply:
    return ChatReply(message=Message(role="assistant", content='{"name": "x'), finish_reason="length")


def declined() -> ChatReply:
    return ChatReply(message=Message(role="assistant", content="I cannot."), finish_reason="refusal")


def test_a_cut_off_answer_is_asked_for_again_and_a_declined_one_is_not(
    server: ScriptedServer, asked: Callable[..., Any]
) -> None:
    assert asked([scripted.reply(cut_off()), say(GOOD)]).repaired
    assert "cut off after" in server.asked[1]["messages"][3]["content"]
    assert asked([say("  "), say(GOOD)]).repaired
    server.asked.clear()
    found = asked([scripted.reply(declined()), say(GOOD)])
    assert "declined" in found.reason
    assert len(server.asked) == 1


def test_where_so_long_an_answer_is_refused_it_is_as_long_as_the_endpoint_has_it(
    server: ScriptedServer, asked: Callable[..., Any]
) -> None:
    use = Usage(input_tokens=5, output_tokens=1)
    found = asked([scripted.status(400, "max_tokens is too large"), say("{}", use), say(GOOD, use)])
    assert found == Answer(value=WANTED, usage=use + use, repaired=True)
    assert ["max_tokens" in body for body in server.asked] == [True, False, False]


@pytest.mark.parametrize(("code", "error"), [(400, RequestRefusedError), (503, ModelUnavailableError)])
def test_faults_of_the_way_are_no_answers(
    asked: Callable[..., Any], code: int, error: type[Exception]
) -> None:
    with pytest.raises(error):
        asked([scripted.status(code)])


def test_the_same_question_is_the_same_request(server: ScriptedServer, asked: Callable[..., Any]) -> None:
    asked([say(GOOD)])
    asked([say(GOOD)])
    assert server.asked[0] == server.asked[1]


# Prompts


def test_a_prompt_wants_every_name_filled_in() -> None:
    assert "because so" in render("agents.thinking", "again", reason="because so")
    with pytest.raises(KeyError):
        render("agents.thinking", "again")


# Contexts


def sections() -> list[Section]:
    return [
        Section(title="News", text="n" * 400, priority=1),
        Section(title="Harness", text="\n".join(f"line {i}" for i in range(100)), priority=5, stable=True),
        Section(title="Rules", text="r" * 80, priority=9, stable=True, keep="whole"),
        Section(title="History", text="\n".join(f"round {i}" for i in range(100)), priority=3, keep="end"),
        Section(title="Nothing", text=""),
    ]


def test_what_is_stable_comes_first_and_all_of_it_where_there_is_room() -> None:
    found = build(sections(), 10_000)
    assert [line for line in found.split("\n") if line.startswith("## ")] == [
        "## Harness", "## Rules", "## News", "## History",
    ]  # fmt: skip
    assert "line 99" in found
    assert "round 0\n" in found
    assert "want of room" not in found


def test_the_budget_goes_by_priority_and_what_was_cut_is_said() -> None:
    found = build(sections(), 420)
    assert "rrr" in found
    assert "line 0\n" in found
    assert "round 99" in found, "of the history its end is kept"
    assert "round 0\n" not in found
    assert "nnn" not in found
    assert found.endswith("- News: nothing of it is shown\n- History: its end is shown")


@given(
    st.lists(
        st.builds(
            Section,
            title=st.sampled_from(["A", "B", "C"]),
            text=st.text(st.sampled_from("ab \n"), max_size=600),
            priority=st.integers(0, 3),
            stable=st.booleans(),
            keep=st.sampled_from(["beginning", "end", "whole"]),
        ),
        max_size=6,
    ),
    st.integers(200, 600),
)
def test_a_context_stays_within_its_budget(parts: list[Section], budget: int) -> None:
    found = build(parts, budget)
    assert estimate_tokens(found) <= budget
    whole = all(not p.text.strip("\n") or p.text.strip("\n") in found for p in parts)
    assert whole or "Left out for want of room" in found


def test_a_section_is_a_record() -> None:
    assert msgspec.json.decode(msgspec.json.encode(sections()[0]), type=Section) == sections()[0]
