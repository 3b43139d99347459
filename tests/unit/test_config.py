"""`ratchet.toml`: what is refused before anything begins, and which model each role gets."""

from pathlib import Path

import pytest

from agents.cli.models import ModelsUnknown, read_models
from agents.config import ConfigUnreadable, read_config
from contracts.chat import ModelFacts
from contracts.models import CONTEXT

URL = "http://127.0.0.1:8321/v1"


def file(folder: Path, text: str) -> Path:
    path = folder / "ratchet.toml"
    path.write_text(text)
    return path


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[budget]\nrun = inf", "budget.run is no amount of dollars"),
        ("[budget]\nplanner = nan", "budget.planner is no amount of dollars"),
        ("[budget]\nround = -1.0", "budget.round is no amount of dollars"),
        (f'[endpoints."{URL}"]\ntimeout = nan', "timeout are numbers above 0"),
        (f'[endpoints."{URL}"]\ntimeout = inf', "timeout are numbers above 0"),
        (f'[endpoints."{URL}"]\noutage = inf', "outage is 0 or more"),
        (f'[endpoints."{URL}"]\ncontext = 4096', "context holds an answer of max_tokens (4096)"),
        (f'[endpoints."{URL}"]\nconcurrency = 0', "concurrency 1 or more"),
        ('[[prices]]\nmodel = "x"\ninput = -1.0', "the price of 'x' is below 0"),
        ('[[prices]]\nmodel = "x"\noutput = inf', "the price of 'x' is no number"),
        ("[[prices]]\ninput = 1.0", "the price of '(no model)' cannot be used"),
    ],
)  # fmt: skip
def test_what_cannot_hold_is_refused_with_its_place(tmp_path: Path, text: str, words: str) -> None:
    path = file(tmp_path, text)
    with pytest.raises(ConfigUnreadable) as caught:
        read_config(path)
    assert words in str(caught.value)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize(
    "address", ["http://127.0.0.1:8321", "http://127.0.0.1:8321/", "http://127.0.0.1:8321/v2"]
)
def test_an_entry_for_another_path_of_the_same_server_is_refused(tmp_path: Path, address: str) -> None:
    path = file(tmp_path, f'[endpoints."{address}"]\nkey_env = "OTHER"\n')
    with pytest.raises(ModelsUnknown, match="give the same address in both"):
        read_models((f"openai:x@{URL}",), path)


@pytest.mark.parametrize("address", [URL, f"{URL}/", "http://127.0.0.1:9/v1"])
def test_an_entry_for_the_endpoint_or_for_another_server_is_not(tmp_path: Path, address: str) -> None:
    path = file(tmp_path, f'[endpoints."{address}"]\nkey_env = "OTHER"\n')
    _, chosen = read_models((f"openai:x@{URL}",), path)
    assert chosen.models.harness == f"openai:x@{URL}"


def test_patches_are_written_by_the_planners_model_where_the_patcher_has_none(tmp_path: Path) -> None:
    a, b, c = (f"openai:{name}@{URL}" for name in "abc")
    path = file(tmp_path, f'[models]\ndefault = "{a}"\nplanner = "{b}"\n')
    assert read_models((), path)[1].models.patcher == b
    assert read_models((f"patcher={c}",), path)[1].models.patcher == c
    assert read_models((f"planner={c}",), path)[1].models.patcher == c
    assert read_models((c,), path)[1].models.patcher == c
    assert read_models(("planner=embedded",), path)[1].models.patcher == ""
    assert read_models((), file(tmp_path, f'[models]\ndefault = "{a}"\n'))[1].models.patcher == a


def test_what_is_said_of_an_endpoint_is_what_the_harness_is_told(tmp_path: Path) -> None:
    def told(text: str) -> ModelFacts | None:
        path = file(tmp_path, f'[endpoints."{URL}"]\nconcurrency = 2\n{text}')
        return read_models((f"openai:x@{URL}",), path)[1].facts

    assert told("") is None
    assert told("context = 32768") == ModelFacts(tools=True, context=32_768)
    assert told("tools = false") == ModelFacts(tools=False, context=CONTEXT)
    assert told("tools = true\ncontext = 9000") == ModelFacts(tools=True, context=9000)
    assert read_models((), file(tmp_path, ""))[1].facts is None
