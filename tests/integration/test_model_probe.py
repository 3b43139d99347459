"""What endpoints honour is found out by asking them: one that honours all, and some that do not."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import msgspec
import pytest

from agents.models.endpoint import EndpointModel, parse
from agents.models.errors import RequestRefusedError
from agents.models.probe import Probe
from agents.models.probe_forms import LONGEST, brief
from agents.models.serve import ModelServer
from agents.models.store import embedded_model, load_or_train
from agents.testing import History, write_suite
from contracts import events as e
from contracts.chat import ChatReply, ChatRequest, Decoding, Model, Usage
from contracts.models import Capabilities, Finding

RATCHET = str(Path(sys.executable).with_name("ratchet"))
Change = Callable[[ChatRequest], ChatRequest]


class Deaf:
    """A model that does not hear a part of what it is asked."""

    def __init__(self, model: Model, change: Change, *, silent: bool = False) -> None:
        self.model = model
        self.change = change
        self.silent = silent
        self.fingerprint = model.fingerprint

    def complete(self, request: ChatRequest) -> ChatReply:
        reply = self.model.complete(self.change(request))
        return msgspec.structs.replace(reply, usage=Usage()) if self.silent else reply


def plainly(*names: str) -> Change:
    """Requests with some decoding parameters as they are by default."""

    def change(request: ChatRequest) -> ChatRequest:
        plain = {name: getattr(Decoding(), name) for name in names}
        return msgspec.structs.replace(request, decoding=msgspec.structs.replace(request.decoding, **plain))

    return change


def refusing(request: ChatRequest) -> ChatRequest:
    if request.decoding.presence_penalty:
        raise RequestRefusedError("presence_penalty is no parameter of this model")
    return request


@pytest.fixture(scope="module")
def embedded() -> Model:
    return embedded_model(load_or_train())


@contextmanager
def served(model: Model) -> Iterator[str]:
    server = ModelServer(model, "embedded")
    server.start()
    yield f"openai:embedded@{server.url}"
    server.shutdown()
    server.server_close()


def probed(model: Model) -> tuple[Capabilities, Probe]:
    with served(model) as spec:
        probe = Probe(partial(EndpointModel, parse(spec)), spec)
        return probe.run(), probe


def states(found: Capabilities) -> dict[str, str]:
    return {finding.name: finding.state for finding in found.findings}


def test_the_embedded_model_honours_what_it_has(embedded: Model) -> None:
    found, probe = probed(embedded)
    seen = states(found)
    for name in ("tools", "usage", "temperature", "top_p", "seed", "frequency_penalty", "presence_penalty"):
        assert seen[name] == "honoured", found
    assert seen["temperature 0"] == "refused"
    [zero] = [finding.seen for finding in found.findings if finding.name == "temperature 0"]
    assert zero.endswith("set 0.05.)"), "the remedy is told to its end"
    assert {seen[name] for name in ("stop", "caching", "reasoning")} == {"unknown"}
    honoured = ("streams", "usage in streams", "errors", "temperature 2", "max_tokens")
    assert {seen[name] for name in honoured} == {"honoured"}
    assert seen["forced JSON"] == "ignored"
    assert found.unsupported == ()
    assert probe.calls < 64


def test_an_endpoints_words_are_kept_whole_or_cut_between_two() -> None:
    assert brief("so  it\nis") == "so it is"
    assert brief("word " * 100) == "word " * (LONGEST // 5 - 1) + "word …"
    assert brief("x" * 999) == "x" * LONGEST + " …"


def test_what_is_ignored_or_refused_is_found_out(embedded: Model) -> None:
    deaf = Deaf(embedded, lambda r: refusing(plainly("top_p", "frequency_penalty")(r)), silent=True)
    found, _ = probed(deaf)
    seen = states(found)
    assert seen["top_p"] == seen["frequency_penalty"] == seen["usage"] == "ignored"
    assert seen["presence_penalty"] == "refused"
    assert seen["temperature"] == "honoured"
    assert found.unsupported == ("top_p", "frequency_penalty", "presence_penalty")


def test_luck_that_no_seed_holds_is_found_out(embedded: Model) -> None:
    count = iter(range(10_000))
    found, _ = probed(Deaf(embedded, lambda r: msgspec.structs.replace(r, noise=str(next(count)))))
    assert states(found)["seed"] == "ignored"


def test_the_fingerprint_changes_with_what_is_honoured_and_with_nothing_else() -> None:
    def of(state: str, seen: str = "so", name: str = "m") -> str:
        finding = Finding(name="seed", state=state, seen=seen)  # type: ignore[arg-type]
        return Capabilities(model=name, findings=(finding,)).fingerprint

    assert of("honoured") == of("honoured", "otherwise")
    assert len({of("honoured"), of("ignored"), of("honoured", name="n")}) == 3


def test_doctor_tells_records_and_keeps_campaigns_from_searching_what_does_nothing(
    embedded: Model, tmp_path: Path
) -> None:
    write_suite(tmp_path / "suite")

    def ratchet(*words: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [RATCHET, *words, "--store", str(tmp_path / "store")], capture_output=True, text=True, timeout=120,
            check=False, cwd=tmp_path, env={**os.environ, "COLUMNS": "200"},
        )  # fmt: skip

    with served(Deaf(embedded, plainly("top_p", "presence_penalty"))) as spec:
        settings = (
            "--rounds", "1", "--plans", "20", "--candidates", "1", "--race-seeds", "1", "--confirm-seeds", "1",
            "--release-seeds", "1", "--null-every", "0", "--executors", "2", "--model", f"harness={spec}",
        )  # fmt: skip
        first = ratchet("run", str(tmp_path / "suite"), *settings)
        assert first.returncode == 0, first.stderr
        assert "nobody has looked yet" in " ".join(first.stdout.split())
        told = ratchet("doctor", "--model", spec)
        assert told.returncode == 0, told.stderr
        assert "not searched in campaigns with this model: top_p, presence_penalty" in told.stdout
        as_json = json.loads(ratchet("doctor", "--model", spec, "--json").stdout)
        assert as_json["unsupported"] == ["top_p", "presence_penalty"]
        assert as_json["recorded"] is True
        second = ratchet("run", str(tmp_path / "suite"), *settings)
        assert second.returncode == 0, second.stderr
        assert "does not honour it: top_p, presence_penalty" in " ".join(second.stdout.split())
    history = History(tmp_path / "store")
    history.look()
    campaign = history.state.campaign
    assert campaign is not None
    assert campaign.settings.fixed == ("top_p", "presence_penalty")
    plans: dict[str, list[e.Plan]] = {}
    for _, event in history.events:
        if isinstance(event, e.ChangePlanned):
            plans.setdefault(event.campaign, []).append(event.plan)
    before, after = ({name for plan in found for name in moved(plan.change)} for found in plans.values())
    assert {"top_p", "presence_penalty"} & before
    assert after
    assert not {"top_p", "presence_penalty"} & after


def moved(change: dict[str, object]) -> set[str]:
    """Decoding parameters that are named anywhere in a change."""
    text = json.dumps(change)
    return {name for name in Decoding.__struct_fields__ if f'"{name}"' in text}


@pytest.mark.parametrize("spec", ["gpt", ""])
def test_what_is_no_endpoint_is_told(tmp_path: Path, spec: str) -> None:
    command = [RATCHET, "doctor", "--model", spec, "--store", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2
    assert "want openai:NAME@BASE_URL" in done.stderr
