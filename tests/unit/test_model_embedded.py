import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from agents.models import EmbeddedModel, ModelError, WeightsUnreadableError, embedded_model, load_or_train
from agents.models.embedded import counts as counting
from agents.models.embedded.edits import Edit
from contracts.chat import ChatRequest, Decoding, Message, Tool, ToolCall, estimate_tokens

CODE = """\
def find(items, wanted):
    low = 0
    high = len(items)
    while low <= high:
        middle = (low + high) // 2
        if items[middle] < wanted:
            low = middle + 1
        else:
            high = middle
    return low


def count_pairs(items, limit):
    pairs = 0
    for left in range(len(items)):
        for right in range(left, len(items)):
            if items[left] + items[right] <= limit:
                pairs += 1
    return pairs
"""
ARGUMENTS = ("path", "line", "old", "new")
EDIT = Tool(name="edit", parameters={"type": "object", "properties": {name: {} for name in ARGUMENTS}})
PLAIN = Decoding()


@pytest.fixture(scope="module")
def data() -> bytes:
    return load_or_train()


@pytest.fixture(scope="module")
def model(data: bytes) -> EmbeddedModel:
    return embedded_model(data)


def shown(*more: str, decoding: Decoding = PLAIN, noise: str = "k", tool: Tool = EDIT) -> ChatRequest:
    texts = [f"Mend it.\n```python search.py\n{CODE}```", *more]
    return ChatRequest(
        messages=tuple(Message(role="user", content=text) for text in texts),
        tools=(tool,),
        decoding=decoding,
        noise=noise,
    )


@dataclass
class Odds:
    """Probabilities by candidate, and sums of them."""

    model: EmbeddedModel
    request: ChatRequest

    def of(self, condition: Callable[[Edit], bool]) -> float:
        edits, odds = self.model.odds(self.request)
        return float(odds[[condition(e) for e in edits]].sum())


def test_the_counts_survive_their_encoding(data: bytes) -> None:
    trained = counting.decode(data)
    assert counting.encode(trained) == data
    assert len(trained.modules) > 30
    windows = np.array(
        [trained.ids(["if", "not", "self", ".", "NAME0"]), trained.ids(["if", "not", "self", ".", "+"])]
    )
    likely, unlikely = trained.log_probability(windows)
    assert unlikely < likely < 0


def test_probabilities_of_the_next_token_sum_to_one(data: bytes) -> None:
    trained = counting.decode(data)
    context = trained.ids(["\n=", "if", "NAME0", "<"])
    windows = np.array([[*context, token] for token in range(len(trained.vocabulary))])
    assert np.exp(trained.log_probability(windows)).sum() == pytest.approx(1.0)


def test_another_process_learns_the_same(data: bytes) -> None:
    script = "from agents.models import *; print(embedded_model(load_or_train()).fingerprint)"
    root = Path(__file__).parents[2]
    run = subprocess.run([sys.executable, "-c", script], cwd=root, capture_output=True, text=True, check=True)
    assert run.stdout.strip() == counting.fingerprint(data)


def test_the_fingerprint_covers_the_counts(data: bytes) -> None:
    trained = counting.decode(data)
    times = trained.times.copy()
    times[0] += 1
    other = counting.Counts(trained.modules, trained.vocabulary, trained.kept, trained.keys, times)
    assert counting.fingerprint(counting.encode(other)) != counting.fingerprint(data)


def test_a_cache_file_is_written_once_and_read_again(data: bytes, tmp_path: Path) -> None:
    cache = tmp_path / "deep" / "counts"
    cache.parent.mkdir()
    cache.write_bytes(data)
    assert load_or_train(cache) == data
    cache.write_bytes(data[:-9])
    with pytest.raises(WeightsUnreadableError):
        load_or_train(cache)


def test_it_answers_with_one_edit_that_stands_in_the_code(model: EmbeddedModel) -> None:
    reply = model.complete(shown())
    (call,) = reply.message.tool_calls
    assert reply.finish_reason == "tool_calls"
    assert set(call.arguments) == {"path", "line", "old", "new"}
    lines = CODE.split("\n")
    first = call.arguments["line"] - 1
    old = call.arguments["old"].split("\n")
    assert lines[first : first + len(old)] == old
    assert reply.usage.input_tokens == sum(estimate_tokens(m.content) for m in shown().messages)
    assert reply.usage.output_tokens > 0
    assert reply.usage.cost == 0


def test_a_tool_that_takes_a_kind_is_told_it(model: EmbeddedModel) -> None:
    assert "kind" in model.complete(shown(tool=Tool(name="edit"))).message.tool_calls[0].arguments


def test_the_same_request_has_the_same_answer_and_another_key_another(model: EmbeddedModel) -> None:
    answers = [model.complete(shown(noise=f"n{i}")).message.tool_calls[0].arguments["new"] for i in range(12)]
    again = [model.complete(shown(noise=f"n{i}")).message.tool_calls[0].arguments["new"] for i in range(12)]
    assert answers == again
    assert len(set(answers)) > 3


def test_coverage_a_traceback_and_pointing_draw_edits_to_their_lines(model: EmbeddedModel) -> None:
    def second(e: Edit) -> bool:
        return e.line > 11

    plain = Odds(model, shown()).of(second)
    assert Odds(model, shown("covered: search.py:14-19")).of(second) > plain + 0.2
    assert Odds(model, shown('  File "search.py", line 17, in count_pairs')).of(second) > plain
    assert Odds(model, shown("FAILED tests/test_search.py::test_count_pairs")).of(second) > plain
    exact = Odds(model, shown("see search.py:17")).of(lambda e: e.line == 17)
    assert exact > Odds(model, shown()).of(lambda e: e.line == 17) + 0.4


def test_a_named_kind_is_likelier_and_naming_all_changes_nothing(model: EmbeddedModel) -> None:
    def is_comparison(e: Edit) -> bool:
        return e.kind == "comparison"

    plain = Odds(model, shown()).of(is_comparison)
    assert Odds(model, shown("Check every boundary.")).of(is_comparison) > plain
    assert Odds(model, shown("Mind the coverage.")).of(is_comparison) == pytest.approx(plain)


def test_what_helped_is_tried_again_elsewhere(model: EmbeddedModel) -> None:
    edits, _ = model.odds(shown())
    first = next(e for e in edits if (e.line, e.old, e.new) == (4, "<=", "<"))
    call = ToolCall(
        id="c",
        name="edit",
        arguments={"path": "search.py", "line": 4, "old": first.before, "new": first.after},
    )
    made = Message(role="assistant", tool_calls=(call,))
    after = CODE.replace("low <= high", "low < high")

    def told(text: str) -> ChatRequest:
        result = Message(role="tool", tool_call_id="c", content=f"{text}\n```python search.py\n{after}```")
        return ChatRequest(messages=(*shown().messages, made, result), tools=(EDIT,))

    def same(e: Edit) -> bool:
        return (e.line, e.old, e.new) == (17, "<=", "<")

    assert Odds(model, told("fixed: tests/t.py::test_a")).of(same) > 3 * Odds(model, told("edit kept")).of(
        same
    )


def test_penalties_end_repetition(model: EmbeddedModel) -> None:
    def repeats(decoding: Decoding) -> int:
        messages = list(shown().messages)
        seen = []
        for i in range(30):
            reply = model.complete(
                ChatRequest(messages=tuple(messages), tools=(EDIT,), decoding=decoding, noise=str(i))
            )
            call = reply.message.tool_calls[0]
            seen.append((call.arguments["line"], call.arguments["new"]))
            messages += [reply.message, Message(role="tool", tool_call_id=call.id, content="edit undone")]
        return len(seen) - len(set(seen))

    cool = Decoding(temperature=0.4)
    assert repeats(cool) >= 5
    assert repeats(Decoding(temperature=0.4, frequency_penalty=2.0)) <= 1


def test_with_nothing_to_edit_it_says_so(model: EmbeddedModel) -> None:
    reply = model.complete(ChatRequest(messages=(Message(role="user", content="Hello"),), tools=(EDIT,)))
    assert (reply.finish_reason, reply.message.tool_calls) == ("stop", ())
    assert "fenced" in reply.message.content
    reply = model.complete(ChatRequest(messages=(Message(role="user", content="Hello"),)))
    assert reply.finish_reason == "stop"


def test_temperature_zero_is_refused(model: EmbeddedModel) -> None:
    with pytest.raises(ModelError, match="temperature"):
        model.complete(shown(decoding=Decoding(temperature=0.0)))


def test_an_experiment_is_steered_towards_what_scored_well(model: EmbeddedModel) -> None:
    tool = Tool(
        name="train",
        parameters={
            "type": "object",
            "properties": {
                "rate": {"type": "number", "minimum": 0.0, "maximum": 1.0},
                "layers": {"type": "integer", "minimum": 1, "maximum": 8},
                "shape": {"enum": ["flat", "deep"]},
            },
        },
    )

    def ask(messages: list[Message], i: int) -> ToolCall:
        request = ChatRequest(messages=tuple(messages), tools=(tool,), noise=f"x{i}")
        return model.complete(request).message.tool_calls[0]

    messages = [Message(role="user", content="Find good settings.")]
    fresh = [ask(messages, i).arguments for i in range(40)]
    assert {a["shape"] for a in fresh} == {"flat", "deep"}
    assert {a["layers"] for a in fresh} <= set(range(1, 9))
    assert 0.3 < np.mean([a["rate"] for a in fresh]) < 0.7
    for i, (rate, score) in enumerate([(0.9, 9.0), (0.1, 1.0), (0.2, 1.5), (0.85, 8.5)]):
        call = ToolCall(id=f"e{i}", name="train", arguments={"rate": rate, "layers": 4, "shape": "deep"})
        messages += [
            Message(role="assistant", tool_calls=(call,)),
            Message(role="tool", tool_call_id=f"e{i}", content=f"score: {score}"),
        ]
    steered = [ask(messages, i).arguments for i in range(40)]
    assert np.mean([a["rate"] for a in steered]) > 0.6
    assert all(0 <= a["rate"] <= 1 and 1 <= a["layers"] <= 8 for a in steered)
