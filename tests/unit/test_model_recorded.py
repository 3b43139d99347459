"""Calls on record: the same again without the model, and nothing that was never said."""

from pathlib import Path

import pytest

from agents.models.errors import ModelUnavailableError, RequestRefusedError
from agents.models.recorded import RecordedModel, RecordingModel, key, path_of
from contracts.chat import ChatReply, ChatRequest, Decoding, Message, ToolCall, Usage


class Counting:
    """A model that says how often it was asked."""

    def __init__(self, fingerprint: str = "f1") -> None:
        self.fingerprint = fingerprint
        self.calls = 0

    def complete(self, request: ChatRequest) -> ChatReply:
        self.calls += 1
        if "fail" in request.messages[-1].content:
            raise ModelUnavailableError("away")
        call = ToolCall(id=f"c{self.calls}", name="edit", arguments={"line": self.calls, "old": "é"})
        return ChatReply(
            message=Message(role="assistant", tool_calls=(call,)),
            finish_reason="tool_calls",
            usage=Usage(input_tokens=7, output_tokens=self.calls),
        )


def ask(text: str, noise: str = "", **decoding: float) -> ChatRequest:
    messages = (Message(role="system", content="s"), Message(role="user", content=text))
    return ChatRequest(messages=messages, decoding=Decoding(**decoding), noise=noise)


REQUESTS = [ask("a"), ask("b"), ask("a", noise="1"), ask("a", temperature=0.5)]


def test_what_was_recorded_comes_again_without_the_model(tmp_path: Path) -> None:
    model = Counting()
    recording = RecordingModel(model, tmp_path / "calls")
    replies = [recording.complete(request) for request in REQUESTS]
    assert model.calls == len(REQUESTS) == len({key(request) for request in REQUESTS})
    recorded = RecordedModel(tmp_path / "calls")
    assert [recorded.complete(request) for request in reversed(REQUESTS)] == replies[::-1]
    assert recorded.fingerprint == model.fingerprint == recording.fingerprint
    again = RecordingModel(model, tmp_path / "calls")
    assert [again.complete(request) for request in REQUESTS] == replies
    assert model.calls == len(REQUESTS)


def test_what_was_never_asked_is_named_and_not_guessed(tmp_path: Path) -> None:
    RecordingModel(Counting(), tmp_path).complete(REQUESTS[0])
    for request in (ask("a "), ask("a", noise="2"), ask("A")):
        with pytest.raises(
            ModelUnavailableError, match=f"holds no call {key(request)[:12]}: this was never asked"
        ):
            RecordedModel(tmp_path).complete(request)


def test_an_error_is_not_kept(tmp_path: Path) -> None:
    model = Counting()
    recording = RecordingModel(model, tmp_path)
    for _ in range(2):
        with pytest.raises(ModelUnavailableError, match="away"):
            recording.complete(ask("fail"))
    assert model.calls == 2
    assert not path_of(tmp_path, ask("fail")).exists()


def test_a_record_is_of_one_model_and_a_folder_without_one_is_none(tmp_path: Path) -> None:
    RecordingModel(Counting(), tmp_path / "calls")
    with pytest.raises(RequestRefusedError, match="another model"):
        RecordingModel(Counting("f2"), tmp_path / "calls")
    with pytest.raises(RequestRefusedError, match="is no record"):
        RecordedModel(tmp_path)
    recording = RecordingModel(Counting(), tmp_path / "calls")
    recording.complete(REQUESTS[0])
    path_of(tmp_path / "calls", REQUESTS[0]).write_bytes(b"{half")
    with pytest.raises(ModelUnavailableError, match="cannot be read"):
        RecordedModel(tmp_path / "calls").complete(REQUESTS[0])
