"""Anthropic's messages protocol: what requests become, and what replies mean."""

import json
from typing import Any

import msgspec
import pytest

from agents.models import messages, wire
from agents.models.base import Wire
from agents.models.errors import BadReplyError, EndpointMisconfiguredError, RequestRefusedError
from contracts.chat import ChatReply, ChatRequest, Decoding, Message, Tool, ToolCall, Usage, messages_bytes

READ = Tool(name="read", description="Read a file.", parameters={"properties": {"path": {"type": "string"}}})
CALL = ToolCall(id="t1", name="read", arguments={"path": "a.py"})
TALK = (
    Message(role="system", content="Mend it."),
    Message(role="system", content="Be brief."),
    Message(role="user", content="the program"),
    Message(role="user", content="the failing test"),
    Message(role="assistant", content="I look. ", tool_calls=(CALL, msgspec.structs.replace(CALL, id="t2"))),
    Message(role="tool", content="def f(): ...", tool_call_id="t1"),
    Message(role="tool", tool_call_id="t2"),
    Message(role="user", content="Go on."),
)
MARK = {"type": "ephemeral"}


def bare(blocks: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{name: value for name, value in block.items() if name != "cache_control"} for block in blocks]


def test_a_conversation_becomes_turns_of_blocks() -> None:
    made = messages.body(ChatRequest(messages=TALK, tools=(READ,), max_tokens=77), "m")
    assert (made["model"], made["max_tokens"]) == ("m", 77)
    assert bare(made["system"]) == [
        {"type": "text", "text": "Mend it."},
        {"type": "text", "text": "Be brief."},
    ]
    assert made["tools"] == [
        {
            "name": "read",
            "description": "Read a file.",
            "input_schema": {"type": "object", "properties": {"path": {"type": "string"}}},
        }
    ]
    assert [turn["role"] for turn in made["messages"]] == ["user", "assistant", "user"]
    first, second, third = (bare(turn["content"]) for turn in made["messages"])
    assert [block["text"] for block in first] == ["the program", "the failing test"]
    assert second == [
        {"type": "text", "text": "I look."},
        {"type": "tool_use", "id": "t1", "name": "read", "input": {"path": "a.py"}},
        {"type": "tool_use", "id": "t2", "name": "read", "input": {"path": "a.py"}},
    ]
    assert third == [
        {"type": "tool_result", "tool_use_id": "t1", "content": "def f(): ..."},
        {"type": "tool_result", "tool_use_id": "t2"},
        {"type": "text", "text": "Go on."},
    ]


def test_what_is_stable_is_marked_for_the_cache_and_never_more_than_the_protocol_allows() -> None:
    def marked(request: ChatRequest) -> list[str]:
        made = messages.body(request, "m")
        blocks = [*made.get("tools", ()), *made.get("system", ())]
        blocks += [block for turn in made["messages"] for block in turn["content"]]
        return [
            block.get("text") or block.get("content") or block.get("name") or block["tool_use_id"]
            for block in blocks
            if block.get("cache_control") == MARK
        ]

    system, stable, volatile = TALK[0], TALK[2], TALK[3]
    assert marked(ChatRequest(messages=(system, stable, volatile))) == ["Mend it.", "the program"]
    assert marked(ChatRequest(messages=(system, volatile))) == ["Mend it."]
    assert marked(ChatRequest(messages=(volatile,))) == []
    assert marked(ChatRequest(messages=(volatile,), tools=(READ,))) == ["read", "the failing test"]
    assert marked(ChatRequest(messages=TALK[:-1], tools=(READ,))) == ["Be brief.", "def f(): ...", "t2"]
    assert len(marked(ChatRequest(messages=TALK, tools=(READ,)))) <= 4


@pytest.mark.parametrize(
    "talk",
    [
        (), (Message(role="user"),), (Message(role="assistant", content="I begin"),),
        (Message(role="system", content="s"),),
    ],
)  # fmt: skip
def test_the_user_always_has_the_first_word_and_no_block_is_empty(talk: tuple[Message, ...]) -> None:
    made = messages.body(ChatRequest(messages=talk), "m")
    assert made["messages"][0]["role"] == "user"
    for turn in made["messages"]:
        assert turn["content"]
        assert all(block["text"].strip() for block in turn["content"])


def test_only_what_the_protocol_has_is_sent_and_only_where_it_differs() -> None:
    drawn = Decoding(temperature=0.5, top_p=0.9, presence_penalty=1.0, frequency_penalty=1.0)
    request = ChatRequest(messages=TALK, decoding=drawn, noise="task/1")
    made = messages.body(request, "m")
    assert (made["temperature"], made["top_p"], made["max_tokens"]) == (0.5, 0.9, messages.MAX_TOKENS)
    assert not made.keys() & {"seed", "presence_penalty", "frequency_penalty"}
    assert "top_p" not in messages.body(request, "m", unsupported=frozenset({"top_p"}))
    assert not messages.body(ChatRequest(messages=TALK), "m").keys() & {"temperature", "top_p"}


def answered(**fields: Any) -> bytes:
    usage = {
        "input_tokens": 10, "output_tokens": 5, "cache_read_input_tokens": 100, "cache_creation_input_tokens": 30
    }  # fmt: skip
    return json.dumps({"content": [{"type": "text", "text": "a"}], "usage": usage} | fields).encode()


@pytest.mark.parametrize(
    ("reason", "finish"),
    [
        ("end_turn", "stop"), ("stop_sequence", "stop"), ("pause_turn", "stop"), (None, "stop"),
        ("max_tokens", "length"), ("model_context_window_exceeded", "length"),
        ("refusal", "refusal"), ("of a later year", "stop"),
    ],
)  # fmt: skip
def test_why_an_answer_ended(reason: str | None, finish: str) -> None:
    assert messages.reply(answered(stop_reason=reason)).finish_reason == finish


def test_usage_counts_every_token_once() -> None:
    usage = messages.reply(answered()).usage
    assert usage == Usage(input_tokens=140, cached_tokens=100, cache_write_tokens=30, output_tokens=5)


THOUGHT = [
    {"type": "thinking", "thinking": "Hm.", "signature": "c2ln"},
    {"type": "redacted_thinking", "data": "eHl6"},
    {"type": "text", "text": "I look. "},
    {"type": "tool_use", "id": "t1", "name": "read", "input": {"path": "a.py"}},
]


def test_thinking_is_replayed_as_it_came_and_only_with_the_message_that_it_belongs_to() -> None:
    message = messages.reply(answered(content=THOUGHT, stop_reason="tool_use")).message
    assert (message.content, message.tool_calls) == ("I look. ", (CALL,))
    travelled = msgspec.json.decode(msgspec.json.encode(message), type=Message)
    talk = (TALK[2], travelled, TALK[5])
    assert bare(messages.body(ChatRequest(messages=talk), "m")["messages"][1]["content"]) == THOUGHT
    changed = msgspec.structs.replace(travelled, content="I do not look.")
    sent = messages.body(ChatRequest(messages=(TALK[2], changed)), "m")["messages"][1]["content"]
    assert {block["type"] for block in sent} == {"text", "tool_use"}
    left_out = messages.body(ChatRequest(messages=talk), "m", unsupported=frozenset({"reasoning"}))
    assert {block["type"] for block in left_out["messages"][1]["content"]} == {"text", "tool_use"}


@pytest.mark.parametrize(
    "forged",
    [
        [{"type": "image", "source": {"type": "url", "url": "http://elsewhere/secret"}}],
        [{"type": "thinking", "thinking": "x"}, {"type": "document", "source": {}}, {"type": "text", "text": "a"}],
        "text", [1], [{"type": "tool_use", "name": "read", "input": 3}], {"type": "text"},
    ],
)  # fmt: skip
def test_a_harness_smuggles_nothing_into_a_request(forged: Any) -> None:
    extra = {"content": forged, "model": "dearer", "role": "system", "audio": {"id": "x"}}
    message = Message(role="assistant", content="a", extra=extra)
    request = ChatRequest(messages=(TALK[2], message))
    assert bare(messages.body(request, "m")["messages"][1]["content"]) == [{"type": "text", "text": "a"}]
    assert wire.body(request, "m")["messages"][1] == {"role": "assistant", "content": "a"}


def test_a_message_without_extra_has_the_bytes_that_it_always_had() -> None:
    assert b"extra" not in messages_bytes((Message(role="user", content="a"),))
    assert b"extra" not in msgspec.json.encode(messages.reply(answered()))


def test_reasoning_is_replayed_to_an_openai_endpoint() -> None:
    said = {
        "role": "assistant",
        "content": "a",
        "reasoning_content": "Hm.",
        "reasoning_details": [{"text": "Hm."}],
    }
    message = wire.reply(json.dumps({"choices": [{"message": said}]}).encode()).message
    request = ChatRequest(messages=(TALK[2], message))
    assert wire.body(request, "m")["messages"][1] == said
    assert "Hm." not in str(wire.body(request, "m", unsupported=frozenset({"reasoning"})))
    assert "Hm." not in str(messages.body(request, "m"))


@pytest.mark.parametrize(
    "block", [{"type": "tool_use", "name": "read", "input": "{"}, {"type": "tool_use", "input": {}}]
)
def test_a_call_that_cannot_be_read_is_the_models_doing(block: dict[str, Any]) -> None:
    found = messages.reply(answered(content=[block], stop_reason="tool_use"))
    assert (found.finish_reason, found.message.tool_calls) == ("malformed", ())
    assert messages.reply(answered(content=[block], stop_reason="max_tokens")).finish_reason == "length"


WIRES: list[Wire] = [wire, messages]


@pytest.mark.parametrize("each", WIRES)
@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (1002, BadReplyError), (1004, EndpointMisconfiguredError), (1008, EndpointMisconfiguredError),
        (2049, EndpointMisconfiguredError), (2013, RequestRefusedError), (9999, BadReplyError),
    ],
)  # fmt: skip
def test_an_error_under_a_status_of_success_has_its_own_end(
    each: Wire, code: int, kind: type[Exception]
) -> None:
    data = json.dumps({"base_resp": {"status_code": code, "status_msg": "so it is"}}).encode()
    with pytest.raises(kind, match=f"error {code} under a status of success: so it is") as caught:
        each.reply(data)
    assert not getattr(caught.value, "billed", False)


@pytest.mark.parametrize("each", WIRES)
def test_what_a_provider_does_not_want_to_hear_is_a_refusal(each: Wire) -> None:
    assert each.reply(b'{"base_resp": {"status_code": 1026, "status_msg": "no"}}').finish_reason == "refusal"


@pytest.mark.parametrize("each", WIRES)
@pytest.mark.parametrize(
    "data", [b"", b"{}", b"[]", b'{"content": 3}', b'{"choices": [3]}', b"\xff", b'{"content": [3]}', b"null"]
)
def test_what_is_no_reply_is_no_reply(each: Wire, data: bytes) -> None:
    with pytest.raises(BadReplyError):
        each.reply(data)


@pytest.mark.parametrize("each", WIRES)
@pytest.mark.parametrize(
    ("code", "kind"),
    [(401, EndpointMisconfiguredError), (429, BadReplyError), ("overloaded", BadReplyError), ([], BadReplyError)],
)  # fmt: skip
def test_an_error_in_words_under_a_status_of_success(each: Wire, code: Any, kind: type[Exception]) -> None:
    with pytest.raises(kind, match="no such luck"):
        each.reply(json.dumps({"error": {"code": code, "message": "no such luck"}}).encode())


def test_an_answer_of_ours_is_read_as_it_was_meant() -> None:
    given = ChatReply(
        message=Message(role="assistant", content="a", tool_calls=(CALL,)),
        finish_reason="tool_calls",
        usage=Usage(input_tokens=50, cached_tokens=20, cache_write_tokens=10, output_tokens=3),
    )
    assert messages.reply(msgspec.json.encode(messages.answer(given, "m", "1"))) == given
