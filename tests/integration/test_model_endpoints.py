"""Models over HTTP, on real sockets: the embedded one served to the openai library, and a server that misbehaves."""

import http.client
import json
import re
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import openai
import pytest

from agents.cli.request import seed_files
from agents.executor.episode import run_episode
from agents.executor.reports import Reports
from agents.models import wire
from agents.models.endpoint import BROKEN_AFTER, TRIES, Breaker, Endpoint, EndpointModel, parse
from agents.models.errors import EndpointMisconfiguredError, ModelUnavailableError, RequestRefusedError
from agents.models.probe import EDIT
from agents.models.scripted import Line, ScriptedServer, call, half, hang, raw, say, status
from agents.models.serve import LARGEST, ModelServer
from agents.models.store import embedded_model, load_or_train
from agents.sandbox import Sandbox
from contracts.chat import ChatRequest, Decoding, Message, Model
from contracts.jobs import EpisodeJob
from contracts.tasks import Budget, GradedTask, Task
from eventstore.sqlite import SqliteStore

KEY = "canary-key-77f1"
PROGRAM = "```python add.py\ndef add(a, b):\n    return a - b\n```"
REQUEST = ChatRequest(
    messages=(Message(role="system", content="Mend it."), Message(role="user", content=PROGRAM)),
    tools=(EDIT,),
    decoding=Decoding(temperature=0.7, presence_penalty=0.5),
    noise="task/1",
)


@pytest.fixture(scope="module")
def embedded() -> Model:
    return embedded_model(load_or_train())


@pytest.fixture
def served(embedded: Model) -> Iterator[ModelServer]:
    server = ModelServer(embedded, "embedded", key=KEY)
    server.start()
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RATCHET_API_KEY", KEY)


def at(server: ScriptedServer, **options: Any) -> EndpointModel:
    slept: list[float] = []
    model = EndpointModel(Endpoint(name="scripted", url=server.url), sleep=slept.append, **options)
    model.slept = slept  # type: ignore[attr-defined]
    return model


def test_the_embedded_model_over_http_says_what_it_says_in_the_process(
    served: ModelServer, embedded: Model
) -> None:
    there = EndpointModel(Endpoint(name="embedded", url=served.url))
    for number in range(6):
        request = ChatRequest(
            messages=REQUEST.messages, tools=(EDIT,), decoding=REQUEST.decoding, noise=f"task/{number}"
        )
        reply = there.complete(request)
        seed = wire.body(request, "embedded")["seed"]
        here = embedded.complete(
            ChatRequest(
                messages=request.messages, tools=(EDIT,), decoding=request.decoding, noise=f"seed {seed}"
            )
        )
        assert reply == here
        assert reply.message.tool_calls[0].name == "edit"
        assert reply.usage.output_tokens > 0


def test_a_stream_adds_up_to_the_reply(served: ModelServer) -> None:
    client = openai.OpenAI(base_url=served.url, api_key=KEY, max_retries=0)
    body: Any = wire.body(REQUEST, "embedded")
    whole = client.chat.completions.create(**body)
    name = arguments = finish = ""
    usage = None
    for chunk in client.chat.completions.create(**body, stream=True, stream_options={"include_usage": True}):
        usage = chunk.usage or usage
        for choice in chunk.choices:
            finish = choice.finish_reason or finish
            for part in choice.delta.tool_calls or ():
                name += part.function.name or "" if part.function else ""
                arguments += part.function.arguments or "" if part.function else ""
    expected = whole.choices[0].message.tool_calls
    assert expected is not None
    assert (name, arguments) == (expected[0].function.name, expected[0].function.arguments)
    assert finish == whole.choices[0].finish_reason == "tool_calls"
    assert usage == whole.usage
    assert [model.id for model in client.models.list()] == ["embedded"]


def test_a_served_model_refuses_in_words(served: ModelServer) -> None:
    there = EndpointModel(Endpoint(name="embedded", url=served.url))
    with pytest.raises(RequestRefusedError, match="temperature"):
        there.complete(
            ChatRequest(messages=REQUEST.messages, tools=(EDIT,), decoding=Decoding(temperature=7))
        )
    with pytest.raises(
        EndpointMisconfiguredError, match="there is no model 'other' here: ask for 'embedded'"
    ):
        EndpointModel(Endpoint(name="other", url=served.url)).complete(REQUEST)
    with pytest.raises(EndpointMisconfiguredError, match="does the base URL end"):
        EndpointModel(Endpoint(name="embedded", url=served.url + "/v2")).complete(REQUEST)
    request = urllib.request.Request(served.url + "/chat/completions", data=b"{}")
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(request)
    assert caught.value.code == 401
    caught.value.close()


def test_the_length_of_an_answer_and_the_choice_of_tools_are_heeded(served: ModelServer) -> None:
    client = openai.OpenAI(base_url=served.url, api_key=KEY, max_retries=0)
    body: Any = wire.body(REQUEST, "embedded")

    def first(**more: Any) -> Any:
        return client.chat.completions.create(**{**body, **more})

    whole = first()
    tokens = whole.usage.completion_tokens
    for longest in (tokens, 4096):
        kept = first(max_tokens=longest)
        assert (kept.choices, kept.usage) == (whole.choices, whole.usage)
    for name in ("max_tokens", "max_completion_tokens"):
        cut = first(**{name: tokens - 1})
        assert cut.choices[0].finish_reason == "length"
        assert cut.choices[0].message.tool_calls is None
        assert cut.usage.completion_tokens == tokens - 1
    said = first(tool_choice="none").choices[0]
    assert (said.finish_reason, said.message.tool_calls) == ("stop", None)
    brief = first(tool_choice="none", max_tokens=3).choices[0]
    assert brief.finish_reason == "length"
    assert brief.message.content == said.message.content[:12]
    chosen = {"type": "function", "function": {"name": "edit"}}
    for choice in ("auto", "required", chosen):
        assert first(tool_choice=choice, n=1).choices == whole.choices


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"n": 2}, "n: a request gets one answer here and not 2"),
        ({"tool_choice": "maybe"}, "tool_choice: 'maybe' is neither"),
        ({"tool_choice": {"function": "edit"}}, "tool_choice: "),
        ({"tool_choice": {"type": "function", "function": {"name": "other"}}}, "tool_choice: "),
        ({"tool_choice": "required", "tools": []}, "tool_choice: no tool can be called here"),
        ({"max_tokens": 0}, "max_tokens: 0 leaves room for no answer"),
    ],
)
def test_a_parameter_that_cannot_be_heeded_is_refused_by_name(
    served: ModelServer, more: dict[str, Any], words: str
) -> None:
    there = EndpointModel(Endpoint(name="embedded", url=served.url))
    with pytest.raises(RequestRefusedError, match=f"HTTP 400: {words}"):
        there.ask(REQUEST, more)


def test_every_method_is_answered_in_json(served: ModelServer) -> None:
    def ask(method: str, path: str, body: Any = None, **headers: str) -> tuple[int, Any, Any]:
        connection = http.client.HTTPConnection("127.0.0.1", served.server_address[1], timeout=10)
        connection.request(
            method, path, body, {"Authorization": f"Bearer {KEY}", **headers}, encode_chunked=body is not None
        )
        answer = connection.getresponse()
        data = answer.read()
        connection.close()
        assert answer.headers["Content-Type"] == "application/json"
        return answer.status, answer.headers.get("Allow"), json.loads(data) if data else None

    chat, models = "/v1/chat/completions", "/v1/models"
    assert ask("GET", f"{models}/embedded")[2]["id"] == "embedded"
    status, _, told = ask("GET", f"{models}/other")
    assert (status, told["error"]["code"]) == (404, "model_not_found")
    assert ask("GET", chat)[:2] == (405, "POST")
    assert ask("POST", models, **{"Content-Length": "0"})[:2] == (405, "GET")
    for method in ("PUT", "DELETE"):
        status, allow, told = ask(method, chat, **{"Content-Length": "0"})
        assert (status, allow) == (405, "GET, POST")
        assert f"{method} is not answered here" in told["error"]["message"]
    assert ask("HEAD", models) == (405, "GET, POST", None)
    status, _, told = ask("POST", chat, iter([b"{}"]), **{"Transfer-Encoding": "chunked"})
    assert status == 411
    assert "its length in Content-Length" in told["error"]["message"]
    assert ask("POST", chat, **{"Content-Length": str(LARGEST + 1)})[0] == 413
    with socket.create_connection(("127.0.0.1", served.server_address[1]), timeout=10) as line:
        line.sendall(b"nonsense\r\n\r\n")
        assert b'{"error":' in line.makefile("rb").read()
    client = openai.OpenAI(base_url=served.url, api_key=KEY, max_retries=0)
    assert client.models.retrieve("embedded").id == "embedded"


def test_without_the_right_key_nothing_is_answered_and_no_key_is_told(
    served: ModelServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RATCHET_API_KEY", "wrong-secret-key")
    with pytest.raises(
        EndpointMisconfiguredError, match="set RATCHET_API_KEY to a key that it knows"
    ) as caught:
        EndpointModel(Endpoint(name="embedded", url=served.url)).complete(REQUEST)
    assert "wrong-secret-key" not in str(caught.value)


@pytest.mark.parametrize(
    ("faults", "waited"),
    [
        ([status(429, retry_after=7)], [7.0]),
        ([status(500), status(503)], None),
        ([status(429, retry_after=9999)], [60.0]),
        ([half()], None),
        ([raw(b"{not json")], None),
        ([raw(b"\xff\xfe")], None),
        ([raw(b"{}")], None),
        ([raw(b'{"choices": [], "usage": {}}')], None),
        ([raw(b'{"choices": null, "base_resp": {"status_code": 1002, "status_msg": "slow"}}')], None),
        ([raw(b'{"error": {"message": "overloaded"}}')], None),
    ],
)
def test_what_may_pass_is_asked_again(faults: list[Line], waited: list[float] | None) -> None:
    with ScriptedServer([*faults, say("hello")]) as server:
        model = at(server)
        assert model.complete(REQUEST).message.content == "hello"
        assert len(server.asked) == len(faults) + 1
        assert server.asked[0] == server.asked[-1]
        slept: list[float] = model.slept  # type: ignore[attr-defined]
        assert len(slept) == len(faults)
        assert waited is None or slept == waited


def test_an_endpoint_that_hangs_is_given_up_and_then_left_alone() -> None:
    with ScriptedServer([hang()]) as server:
        model = at(server, timeout=0.05)
        for _ in range(BROKEN_AFTER):
            with pytest.raises(
                ModelUnavailableError, match=f"no answer from openai:scripted@.* in {TRIES} tries"
            ):
                model.complete(REQUEST)
        asked = len(server.asked)
        with pytest.raises(ModelUnavailableError, match="asked again in 30 s"):
            model.complete(REQUEST)
        assert len(server.asked) == asked


def test_a_breaker_closes_after_its_time() -> None:
    now = [0.0]
    breaker = Breaker(clock=lambda: now[0])
    for _ in range(BROKEN_AFTER):
        breaker.check()
        breaker.note(answered=False)
    with pytest.raises(ModelUnavailableError):
        breaker.check()
    now[0] = 31.0
    breaker.check()
    breaker.note(answered=True)


@pytest.mark.parametrize("code", [400, 401, 403, 404, 422])
def test_what_is_refused_is_not_asked_again(code: int) -> None:
    with ScriptedServer([status(code, f"no, {KEY}")]) as server:
        kind = RequestRefusedError if code in (400, 422) else EndpointMisconfiguredError
        with pytest.raises(kind, match=f"HTTP {code}") as caught:
            at(server).complete(REQUEST)
        assert len(server.asked) == 1
        assert KEY not in str(caught.value)
        assert server.keys == [f"Bearer {KEY}"]


def test_how_the_model_behaved_is_a_reply() -> None:
    broken = json.dumps(
        {
            "choices": [
                {
                    "message": {
                        "role": "assistant",
                        "tool_calls": [
                            {
                                "id": "1",
                                "type": "function",
                                "function": {"name": "edit", "arguments": '{"line": 3'},
                            }
                        ],
                    },
                    "finish_reason": "tool_calls",
                }
            ],
            "usage": {
                "prompt_tokens": 5,
                "completion_tokens": None,
                "prompt_tokens_details": {"cached_tokens": 4},
            },
        }
    ).encode()
    refused = b'{"choices": [{"message": {"refusal": "I would rather not"}, "finish_reason": "stop"}]}'
    cut = b'{"choices": [{"message": {"content": "and th"}, "finish_reason": "length"}]}'
    parts = b'{"choices": [{"message": {"content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]}}]}'
    with ScriptedServer(
        [raw(broken), raw(refused), raw(cut), raw(parts), call("edit", {"line": 3})]
    ) as server:
        model = at(server)
        malformed = model.complete(REQUEST)
        assert (malformed.finish_reason, malformed.message.tool_calls) == ("malformed", ())
        assert (malformed.usage.input_tokens, malformed.usage.cached_tokens) == (5, 4)
        assert model.complete(REQUEST).finish_reason == "refusal"
        assert model.complete(REQUEST).finish_reason == "length"
        assert model.complete(REQUEST).message.content == "ab"
        assert model.complete(REQUEST).message.tool_calls[0].arguments == {"line": 3}
        assert len(server.asked) == 5


def test_a_parameter_that_is_not_honoured_is_not_sent() -> None:
    with ScriptedServer([say("a")]) as server:
        at(server).complete(REQUEST)
        at(server, unsupported=frozenset({"presence_penalty", "seed"})).complete(REQUEST)
    first, second = server.asked
    assert first["presence_penalty"] == 0.5
    assert {*first} - {*second} == {"presence_penalty", "seed"}


@pytest.mark.parametrize(
    "spec", ["", "gpt", "openai:", "openai:x", "openai:@http://a", "openai:x@ftp://a", "openai:x@http://", "other:x@http://a",
     "openai:x@http://a:99999/v1", "openai:x@http://a:0/v1", "openai:x@http://a:b/v1"]
)  # fmt: skip
def test_a_name_of_no_model_is_refused_with_one_that_is(spec: str) -> None:
    with pytest.raises(
        RequestRefusedError, match=r"want openai:NAME@BASE_URL or anthropic:NAME@BASE_URL, for example"
    ):
        parse(spec)


def test_an_address_is_taken_apart_and_holds_no_key() -> None:
    found = parse("openai:org/model@v1@https://host:8000/v1/")
    assert (found.name, found.url) == ("org/model@v1", "https://host:8000/v1")
    assert parse(found.spec) == found
    with pytest.raises(RequestRefusedError, match="set RATCHET_API_KEY instead"):
        parse("openai:x@https://user:secret@host/v1")
    for address in ("https://host/v1?key=secret", "https://host/v1#secret"):
        with pytest.raises(RequestRefusedError, match="ends before") as caught:
            parse(f"openai:x@{address}")
        assert "secret" not in str(caught.value)


def test_the_command_serves_and_ends_in_order() -> None:
    command = [sys.executable, "-P", "-m", "agents.models", "serve", "--port", "0", "--faults", "2"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        said = process.stdout.readline()
        url = said.split()[-1]
        started = time.monotonic()
        assert EndpointModel(Endpoint(name="embedded", url=url)).complete(REQUEST).message.tool_calls
        assert time.monotonic() - started < 30
        with pytest.raises(
            urllib.error.HTTPError
        ) as caught:  # the second answer is a fault, as was asked for
            urllib.request.urlopen(urllib.request.Request(f"{url}/chat/completions", data=b"{}"))
        assert caught.value.code == 429
        caught.value.close()
    finally:
        process.terminate()
        assert process.wait(10) == 0
        process.stdout.close()  # type: ignore[union-attr]


def test_a_store_that_is_not_there_is_not_served(tmp_path: Path) -> None:
    command = [sys.executable, "-P", "-m", "agents.models", "serve", "--port", "0", "--store"]
    done = subprocess.run(
        [*command, tmp_path / "none"], capture_output=True, text=True, timeout=30, check=False
    )
    assert done.returncode == 2
    assert f"no ledger at {tmp_path / 'none'}" in done.stderr
    assert not done.stdout
    SqliteStore.open(tmp_path / "empty", create=True).close()
    done = subprocess.run(
        [*command, tmp_path / "empty"], capture_output=True, text=True, timeout=30, check=False
    )
    assert done.returncode == 2
    assert "holds no embedded model" in done.stderr


@pytest.mark.parametrize("name", ["scripted", "faulty"])
def test_a_server_for_tests_says_that_it_is_no_command(name: str) -> None:
    command = [sys.executable, "-P", "-m", f"agents.models.{name}"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 2
    assert "to be imported" in done.stderr
    assert done.stderr.count("\n") == 1


def test_the_pages_example_prints_what_it_says() -> None:
    page = (Path(__file__).parents[2] / "docs" / "models.md").read_text()
    [code] = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    said: list[str] = []
    exec(code, {"print": lambda *words: said.append(" ".join(map(str, words)))})
    assert said == re.findall(r"print\(.*  # (.*)", code)


GRADED = GradedTask(
    task=Task(
        id="add",
        package="add",
        instruction="Mend it.",
        files={
            "add.py": "def add(a, b):\n    return a - b\n",
            "tests/test_add.py": "from add import add\n\n\ndef test_add():\n    assert add(1, 2) == 3\n",
        },
        solution_files=("add.py",),
        budget=Budget(cpu_seconds=5, model_calls=4, test_runs=9),
    )
)
RIGHT = {"path": "add.py", "line": 2, "old": "    return a - b", "new": "    return a + b"}


def test_an_episode_works_over_http_and_a_fault_of_the_endpoint_is_no_score() -> None:
    job = EpisodeJob(task="t", task_id="add", tree="seed", seed="1", fingerprint="f")
    with Sandbox() as sandbox:
        reports = Reports(sandbox)
        with ScriptedServer([status(503), call("edit", RIGHT)]) as server:
            result = run_episode(job, GRADED, seed_files(), at(server), reports)
            assert result.solved
            assert (result.usage.input_tokens, result.usage.output_tokens) == (10, 9)
            assert KEY not in str(server.asked)
        with ScriptedServer([status(503)]) as server, pytest.raises(ModelUnavailableError, match="HTTP 503"):
            run_episode(job, GRADED, seed_files(), at(server), reports)
        with ScriptedServer([status(400, "no such parameter")]) as server:
            refused = run_episode(job, GRADED, seed_files(), at(server), reports)
            assert not refused.solved
        with ScriptedServer([say("I do not know")]) as server:
            assert run_episode(job, GRADED, seed_files(), at(server), reports).outcome == "unchanged"
