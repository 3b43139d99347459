"""Commands that run episodes themselves, with a model that calls tools behind an endpoint."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from agents.cli import main
from agents.models.scripted import ScriptedServer, call

RIGHT = {"path": "cup.py", "old": "return cup > size", "new": "return cup >= size"}


def test_solve_offers_a_large_model_its_tools(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RATCHET_API_KEY", "canary")
    project = tmp_path / "cup"
    (project / "tests").mkdir(parents=True)
    (project / "cup.py").write_text("def full(cup, size):\n    return cup > size\n")
    (project / "tests" / "test_cup.py").write_text(
        "from cup import full\n\n\ndef test_full():\n    assert full(3, 3)\n"
    )
    script = [call("search", {"text": "cup"}), call("edit", RIGHT), call("finish", {})]
    with ScriptedServer(script) as server:
        spec = f"openai:large@{server.url}"
        done = CliRunner().invoke(
            main, ["solve", str(project), "--model", spec, "--store", str(tmp_path / "none"), "--json"]
        )
    assert done.exit_code == 0, done.output
    said = json.loads(done.stdout)
    assert said["solved"]
    assert "+    return cup >= size" in said["patch"]
    assert {tool["function"]["name"] for tool in server.asked[0]["tools"]} >= {"search", "edit", "finish"}
    assert len(server.asked) == 3
