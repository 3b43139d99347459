"""What endpoints of either protocol honour beside decoding: ones that keep to the protocol, and ones that do not."""

import json
import random
from collections.abc import Callable
from typing import Any

import pytest

from agents.models.endpoint import EndpointModel, parse
from agents.models.errors import EndpointMisconfiguredError
from agents.models.probe import Probe
from agents.models.scripted import Line, ScriptedServer, changed, raw, respond, say, status
from contracts.chat import ChatReply, ChatRequest, Message, ToolCall, Usage
from contracts.models import Capabilities

PROTOCOLS = ("openai", "anthropic")
Answer = Callable[[dict[str, Any]], ChatReply | str | Line]


class Provider:
    """Answers as a large model behind a good server would; `deaf` names what it does not hear."""

    def __init__(self, *deaf: str, thinking: bool = False) -> None:
        self.deaf = {*deaf}
        self.thinking = thinking
        self.seen: set[str] = set()
        self.luck = random.Random(1)

    def __call__(self, body: dict[str, Any]) -> ChatReply | str | Line:
        if not body["messages"] and "errors" not in self.deaf:
            return status(400, "messages: at least one is required")
        if "reasoning" in self.deaf and "Hm." in str(body["messages"]):
            return status(400, "reasoning is not taken")
        given = {name: value for name, value in body.items() if name not in self.deaf}
        if given.get("temperature") == 0 and "zero" in self.deaf:
            return status(400, "temperature is above 0")
        text = json.dumps(body["messages"])
        if self.thinking:
            return changed(self._think) if given.get("max_tokens", 0) > 1000 else self._cut(given)
        usage = Usage(
            input_tokens=len(text) // 4 + 60, output_tokens=9, cached_tokens=1024 * (text in self.seen)
        )
        self.seen.add(text)
        if given.get("tools"):
            chance = random.Random(given["seed"]) if "seed" in given else self.luck
            cold = given.get("temperature", 1.0) < 0.5 or given.get("top_p", 1.0) < 0.5
            number = 7 if cold else chance.randint(1, 1000)
            fined = given.get("frequency_penalty") or given.get("presence_penalty")
            call = ToolCall(id="c1", name="edit", arguments={
                "path": "clip.py", "line": number, "old": "a", "new": "another" if fined else "b",
            })  # fmt: skip
            return ChatReply(
                message=Message(role="assistant", tool_calls=(call,)), finish_reason="tool_calls", usage=usage
            )
        return self._words(given, text)

    def _words(self, given: dict[str, Any], text: str) -> ChatReply | str:
        if "from 1 to 200" in text:
            few = given.get("max_tokens", 1000) < 100
            said = "one two three" if few else "one two three " * 60
            return ChatReply(
                message=Message(role="assistant", content=said), finish_reason="length" if few else "stop"
            )
        if "Count" in text:
            stops = given.get("stop") or given.get("stop_sequences")
            return "1 2 3 4 " if stops else "1 2 3 4 5 6 7 8 9"
        if "JSON" in text:
            return '{"words": "Hello, cat"}' if "response_format" in given else "Hello, cat"
        return "words"

    def _cut(self, given: dict[str, Any]) -> ChatReply:
        usage = Usage(input_tokens=90, output_tokens=given["max_tokens"])
        return ChatReply(message=Message(role="assistant"), finish_reason="length", usage=usage)

    def _think(self, body: dict[str, Any]) -> None:
        edit = {"path": "clip.py", "line": 1, "old": "a", "new": "b"}
        if "choices" in body:
            function = {"name": "edit", "arguments": json.dumps(edit)}
            body["choices"][0]["message"] |= {
                "reasoning_content": "Hm.", "tool_calls": [{"id": "c1", "type": "function", "function": function}]
            }  # fmt: skip
        else:
            body["content"] = [
                {"type": "thinking", "thinking": "Hm.", "signature": "c2ln"},
                {"type": "tool_use", "id": "c1", "name": "edit", "input": edit},
            ]


def probed(answer: Answer, protocol: str) -> tuple[Capabilities, ScriptedServer]:
    with ScriptedServer([respond(answer)]) as server:
        url = server.anthropic_url if protocol == "anthropic" else server.url
        spec = f"{protocol}:m@{url}"
        return Probe(lambda: EndpointModel(parse(spec), sleep=lambda _: None), spec).run(), server


def states(found: Capabilities) -> dict[str, str]:
    return {finding.name: finding.state for finding in found.findings}


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_good_server_is_found_to_be_one(protocol: str) -> None:
    found, server = probed(Provider(), protocol)
    seen = states(found)
    lacks = (
        {"seed", "frequency_penalty", "presence_penalty", "forced JSON"} if protocol == "anthropic" else set()
    )
    assert {name for name, state in seen.items() if state == "refused"} == lacks, found
    assert {name for name, state in seen.items() if state == "unknown"} == {"reasoning"}, found
    assert "ignored" not in seen.values(), found
    assert {*found.unsupported} == lacks & {"frequency_penalty", "presence_penalty"}
    assert len(server.asked) < 64
    assert not lacks or not any("presence_penalty" in body or "stop" in body for body in server.asked)


def test_what_a_server_does_not_hear_is_found_out() -> None:
    deaf = (
        "frequency_penalty", "presence_penalty", "stop", "response_format", "stream", "errors", "zero", "max_tokens",
    )  # fmt: skip
    seen = states(probed(Provider(*deaf), "openai")[0])
    assert seen["temperature 0"] == "refused"
    ignored = {name for name, state in seen.items() if state == "ignored"}
    assert ignored == {"frequency_penalty", "presence_penalty", "stop", "forced JSON", "errors", "max_tokens"}
    assert seen["top_p"] == seen["seed"] == seen["temperature"] == "honoured"


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_server_that_sends_no_stream_and_hides_its_errors(protocol: str) -> None:
    provider = Provider()

    def answer(body: dict[str, Any]) -> ChatReply | str | Line:
        if not body["messages"]:
            return raw(b'{"base_resp": {"status_code": 2013, "status_msg": "invalid params"}}')
        return raw(b"{}") if body.get("stream") else provider(body)

    found, _ = probed(answer, protocol)
    seen = states(found)
    assert (seen["streams"], seen["usage in streams"], seen["errors"]) == ("ignored", "unknown", "ignored")
    told = next(finding.seen for finding in found.findings if finding.name == "errors")
    assert "a status of success" in told
    assert "2013" in told


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("takes", [True, False])
def test_a_model_that_thinks_gets_the_tokens_for_it_and_its_thoughts_back(protocol: str, takes: bool) -> None:
    found, server = probed(Provider(*([] if takes else ["reasoning"]), thinking=True), protocol)
    seen = states(found)
    assert seen["tools"] == "honoured"
    assert seen["reasoning"] == ("honoured" if takes else "refused")
    assert ("reasoning" in found.left_out) is not takes
    assert sum("Hm." in str(body["messages"]) for body in server.asked) == 1
    assert seen["temperature"] == "unknown"  # it always says the same: that tells nothing of a parameter
    assert "temperature" not in found.unsupported


def test_the_length_of_an_answer_is_asked_for_by_its_newer_name_where_that_is_wanted() -> None:
    def answer(body: dict[str, Any]) -> ChatReply | str | Line:
        old = "max_tokens" in body
        return status(400, "use 'max_completion_tokens' instead of 'max_tokens'") if old else "hello"

    request = ChatRequest(messages=(Message(role="user", content="a"),), max_tokens=7)
    with ScriptedServer([respond(answer)]) as server:
        model = EndpointModel(parse(f"openai:m@{server.url}"))
        assert model.complete(request).message.content == "hello"
        assert model.complete(request).message.content == "hello"
    assert [body.get("max_completion_tokens") for body in server.asked] == [None, 7, 7]


def test_an_endpoint_that_knows_nobody_ends_the_probe() -> None:
    with ScriptedServer([status(401), say("a")]) as server:
        spec = f"openai:m@{server.url}"
        with pytest.raises(EndpointMisconfiguredError):
            Probe(lambda: EndpointModel(parse(spec)), spec).run()
        assert len(server.asked) == 1
