"""Endpoints of both protocols on real sockets: one way of asking again, one set of ends, reasoning carried through."""

import time
import zlib
from typing import Any

import pytest

from agents.executor.episode import run_episode
from agents.executor.reports import Reports
from agents.models.endpoint import TRIES, Endpoint, EndpointModel, fingerprint, lacking, parse
from agents.models.errors import (
    EndpointMisconfiguredError,
    ModelError,
    ModelUnavailableError,
    RequestRefusedError,
)
from agents.models.scripted import (
    Line,
    ScriptedServer,
    call,
    changed,
    garbled_call,
    half,
    hang,
    miscounted,
    raw,
    refuse,
    reported,
    respond,
    say,
    slow,
    status,
    trickle,
    uncounted,
)
from agents.sandbox import Sandbox
from contracts.chat import ChatRequest, Message, Usage
from contracts.jobs import EpisodeJob
from contracts.tasks import Budget, GradedTask, Task

KEY = "canary-key-4d20"
REQUEST = ChatRequest(messages=(Message(role="user", content="hello"),), max_tokens=50, noise="1")
PROTOCOLS = ("openai", "anthropic")


@pytest.fixture(params=PROTOCOLS)
def protocol(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def at(server: ScriptedServer, protocol: str, **options: Any) -> EndpointModel:
    url = server.anthropic_url if protocol == "anthropic" else server.url
    options.setdefault("sleep", lambda _: None)
    return EndpointModel(parse(f"{protocol}:m@{url}"), key=KEY, **options)


@pytest.fixture
def waits() -> list[float]:
    return []


def test_the_same_question_in_either_protocol(protocol: str) -> None:
    usage = Usage(input_tokens=20, cached_tokens=8, output_tokens=2)
    with ScriptedServer([say("hello", usage), call("edit", {"line": 3}), refuse("No.")]) as server:
        model = at(server, protocol, extra={"reasoning_split": True})
        answered = model.ask(REQUEST)
        assert (answered.reply.message.content, answered.reply.usage) == ("hello", usage)
        assert (answered.tries, answered.lost) == (1, 0)
        assert answered.seconds > 0
        assert model.complete(REQUEST).message.tool_calls[0].arguments == {"line": 3}
        assert model.complete(REQUEST).finish_reason == "refusal"
    assert server.keys[0].removeprefix("Bearer ") == KEY
    first = server.asked[0]
    assert (first["model"], first["max_tokens"], first["reasoning_split"]) == ("m", 50, True)


@pytest.mark.parametrize(
    ("faults", "lost", "waited"),
    [
        ([status(429, retry_after=7), status(529)], 0, [7.0]),
        ([status(503, retry_after=500)], 0, [60.0]),
        ([status(500), half(), raw(b"{oh")], 2, []),
        ([reported(1002), reported(1013)], 0, []),
        ([hang(), trickle(0.02)], 2, []),
    ],
)
def test_what_may_pass_is_asked_again_and_what_may_be_billed_is_counted(
    protocol: str, faults: list[Line], lost: int, waited: list[float], waits: list[float]
) -> None:
    with ScriptedServer([*faults, say("hello")]) as server:
        answered = at(server, protocol, timeout=0.3, on_wait=waits.append).ask(REQUEST)
        assert (answered.reply.message.content, answered.tries, answered.lost) == (
            "hello",
            len(faults) + 1,
            lost,
        )
        assert answered.seconds < 0.3
    assert waits == waited


def test_nobody_at_the_address_costs_nothing(protocol: str) -> None:
    with ScriptedServer([say("hello")]) as server:
        model = at(server, protocol)
    with pytest.raises(ModelUnavailableError, match=f"in {TRIES} tries; the last: no connection") as caught:
        model.ask(REQUEST)
    assert caught.value.lost == 0


def test_a_server_that_never_ends_its_answer_is_given_up_in_time(protocol: str, waits: list[float]) -> None:
    with ScriptedServer([trickle(0.01)]) as server:
        started = time.monotonic()
        with pytest.raises(ModelUnavailableError, match="it took too long") as caught:
            at(server, protocol, timeout=0.1, on_wait=waits.append).ask(REQUEST)
        assert time.monotonic() - started < 5
    assert caught.value.lost == TRIES
    assert waits == []


@pytest.mark.parametrize(
    ("line", "kind", "words"),
    [
        (status(400, f"bad {KEY}"), RequestRefusedError, "HTTP 400: bad"),
        (status(422), RequestRefusedError, "HTTP 422"),
        (status(401, KEY), EndpointMisconfiguredError, "set RATCHET_API_KEY"),
        (status(402), EndpointMisconfiguredError, "no credit left"),
        (status(403), EndpointMisconfiguredError, "set RATCHET_API_KEY"),
        (status(404), EndpointMisconfiguredError, "is the model's name right"),
        (
            raw(b"", code=301, headers=[("Location", "http://there/v1")]),
            EndpointMisconfiguredError,
            "http://there/v1",
        ),
        (reported(1004), EndpointMisconfiguredError, "look at the key"),
        (reported(2013), RequestRefusedError, "error 2013"),
        (raw(b"<html>no</html>", code=400), RequestRefusedError, "<html>no"),
        (raw(b'{"detail": "not so"}', code=422), RequestRefusedError, "not so"),
    ],
)
def test_what_will_not_pass_is_asked_once(
    protocol: str, line: Line, kind: type[ModelError], words: str
) -> None:
    with ScriptedServer([line]) as server:
        with pytest.raises(kind, match=words) as caught:
            at(server, protocol).ask(REQUEST)
        assert len(server.asked) == 1
    assert KEY not in str(caught.value)
    assert caught.value.__cause__ is None


def test_nonsense_beside_an_answer_is_not_taken_for_more_than_it_is(protocol: str) -> None:
    script = [uncounted("a"), miscounted("b"), garbled_call(), garbled_call(cut=True), slow(say("c"), 0.05)]
    with ScriptedServer(script) as server:
        model = at(server, protocol)
        assert model.complete(REQUEST).usage == Usage()
        assert model.complete(REQUEST).usage == Usage()
        garbled, cut = model.complete(REQUEST), model.complete(REQUEST)
        assert (garbled.finish_reason, cut.finish_reason) == ("malformed", "length")
        assert garbled.message.tool_calls == cut.message.tool_calls == ()
        assert 0.05 <= model.ask(REQUEST).seconds < 5


def test_an_answer_may_follow_from_the_question(protocol: str) -> None:
    with ScriptedServer([respond(lambda body: f"{len(body['messages'])} messages")]) as server:
        assert at(server, protocol).complete(REQUEST).message.content == "1 messages"


def test_an_address_says_which_protocol_is_spoken() -> None:
    found = parse("anthropic:large@https://host/anthropic/")
    assert found == Endpoint(name="large", url="https://host/anthropic", protocol="anthropic")
    assert parse(found.spec) == found
    assert lacking(found.spec) == ("frequency_penalty", "presence_penalty")
    assert lacking("openai:large@https://host/v1") == ()
    assert fingerprint(found.spec) != fingerprint("openai:large@https://host/anthropic")


def test_a_key_that_is_given_comes_before_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANTHROPIC_API_KEY", "from-the-environment")
    monkeypatch.delenv("RATCHET_API_KEY", raising=False)
    with ScriptedServer([say("a")]) as server:
        at(server, "anthropic").complete(REQUEST)
        EndpointModel(parse(f"anthropic:m@{server.anthropic_url}/v1")).complete(REQUEST)
    assert server.keys == [KEY, "from-the-environment"]


# In the sandbox -----------------------------------------------------------------------------------------------

AGENT = b"""
EDIT = {"name": "edit", "parameters": {"type": "object"}}


def solve(task, model, workspace):
    talk = [{"role": "user", "content": task.instruction}]
    for _ in range(2):
        reply = model.complete(talk, [EDIT])
        talk.append(reply)
        for call in reply["tool_calls"]:
            talk.append({"role": "tool", "content": "done", "tool_call_id": call["id"]})
"""
GRADED = GradedTask(
    task=Task(
        id="add", package="add", instruction="Mend it.", files={"add.py": "x = 1\n"}, solution_files=("add.py",),
        budget=Budget(cpu_seconds=5, model_calls=4, test_runs=9),
    )
)  # fmt: skip
THOUGHT = "a thought for its provider alone"


def with_thought(body: dict[str, Any]) -> None:
    arguments = {"line": 1}
    if "choices" in body:
        function = {"name": "edit", "arguments": '{"line": 1}'}
        body["choices"][0]["message"] |= {
            "content": "I look.", "reasoning_content": THOUGHT,
            "tool_calls": [{"id": "c1", "type": "function", "function": function}],
        }  # fmt: skip
    else:
        body["content"] = [
            {"type": "thinking", "thinking": THOUGHT, "signature": "c2ln"},
            {"type": "text", "text": "I look."},
            {"type": "tool_use", "id": "c1", "name": "edit", "input": arguments},
        ]


def test_reasoning_comes_back_through_the_sandbox_and_stays_out_of_the_transcript(protocol: str) -> None:
    job = EpisodeJob(task="t", task_id="add", tree="seed", seed="1", fingerprint="f", transcript=True)
    with Sandbox() as sandbox, ScriptedServer([changed(with_thought)]) as server:
        result = run_episode(job, GRADED, {"agent.py": AGENT}, at(server, protocol), Reports(sandbox))
    assert result.error == ""
    first, second = server.asked
    assert THOUGHT not in str(first)
    said = second["messages"][1]
    found = said["content"][0]["thinking"] if protocol == "anthropic" else said["reasoning_content"]
    assert found == THOUGHT
    transcript = zlib.decompress(result.transcript).decode()
    assert "I look." in transcript
    assert THOUGHT not in transcript
