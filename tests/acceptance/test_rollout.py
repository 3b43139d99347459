"""The example of docs/rollouts.md runs as written, and its page tells of every setting."""

import json
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import get_args

import pytest
from click.testing import CliRunner

from agents.cli import main
from contracts.rollouts import Environment, Policy

PAGE = (Path(__file__).parents[2] / "docs" / "rollouts.md").read_text()


def block(language: str) -> str:
    found = re.search(rf"(?ms)^```{language}\n(.*?)^```", PAGE)
    assert found is not None
    return found[1]


def test_the_pages_example_shows_what_it_says(tmp_path: Path) -> None:
    (tmp_path / "cart.toml").write_text(block("toml"))
    words = block("sh").split()
    environment = {
        name: value for name, value in os.environ.items() if name not in {"RATCHET_BUS", "RATCHET_STORE"}
    }
    done = subprocess.run(
        [str(Path(sys.executable).with_name(words[0])), *words[1:]],
        cwd=tmp_path, env=environment | {"RATCHET_ARRAY": "numpy"}, capture_output=True, check=False, text=True,
        timeout=60,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    shown, told = (text.splitlines() for text in (done.stdout, block("text")))
    assert [line.split()[:-5] for line in shown[:4]] == [line.split()[:-5] for line in told[:4]]
    learnt = [float(line.split()[-5]) for line in shown[1:4]]
    assert min(learnt[1:]) > 5 * learnt[0]
    assert shown[-1].split(" in ")[0].split(";")[0] == told[-1].split(" in ")[0].split(";")[0]


def test_the_page_names_every_kind_and_setting() -> None:
    for record in (*get_args(Environment), *get_args(Policy)):
        assert f"`{record.__struct_config__.tag}`" in PAGE
        for name in record.__struct_fields__:
            assert re.search(rf"`{name}\b", PAGE), f"docs/rollouts.md does not tell of {name}"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("seeds = [", "not valid TOML"),
        ("seeds = 2", "at least one table [[environment]]"),
        (
            '[[environment]]\nkind = "cart_pole"\n[[policy]]\nkind = "ucb"\n',
            "ucb on cart_pole: it pulls arms only",
        ),
        (
            '[[environment]]\nkind = "grid_world"\n[[policy]]\nkind = "uniform"\n',
            "grid_world needs map",
        ),
    ],
)
def test_a_mistake_in_a_spec_is_told_with_its_file(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "spec.toml"
    path.write_text(text)
    for options in ([], ["--json"]):
        done = CliRunner().invoke(main, ["rollout", str(path), "--store", str(tmp_path), *options])
        assert done.exit_code == 2
        assert str(path) in done.output
        assert words in (json.loads(done.output)["error"]["message"] if options else done.output)
    assert tomllib.loads(block("toml"))["seeds"] == 4


def test_a_file_that_is_no_text(tmp_path: Path) -> None:
    path = tmp_path / "spec.toml"
    path.write_bytes(b"\xff\xfe")
    done = CliRunner().invoke(main, ["rollout", str(path)])
    assert done.exit_code == 2
    assert "no text in UTF-8" in done.output
