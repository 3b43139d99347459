"""A campaign of five rounds in which every role speaks HTTP, its replay without a server, and once more with faults.

    python -m benchmarks.over_http --out FOLDER [--packages 12] [--rounds 5]

The harness asks the embedded model, served; planner, patcher and critic ask a script that plays them. Then the same is
replayed from the record with no server, run against an endpoint that fails every so often, and run with the embedded
model in the executors, for the time. Prints what each took, what it cost at list prices, and whether the outcomes are
the same. What is there already is not run again.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
import msgspec

import contracts
from agents.models.faulty import FaultyServer
from agents.models.scripted import half, hang, raw, status
from agents.models.serve import ModelServer
from agents.models.store import embedded_model, load_or_train
from agents.testing import outcome
from benchmarks.bench import kept
from contracts.chat import ChatReply, ChatRequest, Message, Usage, estimate_tokens

RATCHET = str(Path(sys.executable).with_name("ratchet"))
FAULTS = [
    status(429, retry_after=0),
    status(500),
    half(),
    raw(b"{'this is no JSON"),
    raw(b'{"base_resp": {"status_code": 1002, "status_msg": "rate limit"}}'),
    hang(),
]
SMALL = (
    "--null-every", "0", "--plans", "6", "--candidates", "2", "--race-seeds", "1", "--confirm-seeds", "2",
    "--release-seeds", "2",
)  # fmt: skip
"""So that a round has some 550 episodes."""
EVERY = 200
"""Every so many requests one fails."""
RULES = (
    ("Keep what helped", "keep_helped", "helped", "keep"),
    ("Show the lines before an edit is tried", "lines_proposed", "proposed", "show_lines"),
    ("Show the files again after harm", "files_broke", "broke", "show_files"),
    ("Show the lines at every step", "lines_step", "step", "show_lines"),
    ("Point at like places", "places_useless", "useless", "show_places"),
    ("Show what was raised", "errors_step", "step", "show_errors"),
)
"""What the script plans, in its order: title, name of the rule, moment and action."""


class Script:
    """A model that plays planner, patcher and critic, told apart by what it is asked."""

    fingerprint = "script"

    def complete(self, request: ChatRequest) -> ChatReply:
        """Answer one request."""
        system, user = request.messages[0].content, request.messages[1].content
        if system.startswith("You improve a harness"):
            said = json.dumps({"plans": _plans(user)})
        elif system.startswith("You write patches"):
            said = f"```diff\n{_patch(user)}```"
        elif system.startswith("You review changes"):
            judged = dict.fromkeys(("special_cases", "touches_others", "gives_answers"), False)
            good = "Show what was raised" not in user
            said = json.dumps(
                {**judged, "matches_plan": good, "reasons": [] if good else ["it tells nothing"]}
            )
        else:
            said = '{"remarks": ["What helped is worth keeping."]}'
        usage = Usage(input_tokens=estimate_tokens(system + user), output_tokens=estimate_tokens(said))
        return ChatReply(message=Message(role="assistant", content=said), usage=usage)


def _plans(user: str) -> list[dict[str, Any]]:
    """Rules that the harness does not have yet, three at most."""
    shown = re.findall(r"## Episode (\w+), task (\S+)", user)
    new = [rule for rule in RULES if f"rules/{rule[1]}.py" not in user][:3]
    return [
        {
            "surface": "rule", "title": title, "root_cause": "the model does not see what it needs", "risks": "tokens",
            "evidence": [{"episode": name, "shows": "it was missing"} for name, _ in shown[:1]],
            "flips": [], "effect": 0.03, "cost": 1.1, "words": f"A rule {name}: on {moment}, {action}.",
        }
        for title, name, moment, action in new
    ]  # fmt: skip


def _patch(user: str) -> str:
    """The diff for a plan, against the list of rules that is shown."""
    name, moment, action = next(rule[1:] for rule in RULES if f"A rule {rule[1]}:" in user)
    config = user[user.index("### harness.toml") :].split("```toml\n", 1)[1].split("\n")
    at = config.index("[rules]")
    listed = config[at + 1].removeprefix("on = [").removesuffix("]")
    more = f'{listed}, "{name}"' if listed else f'"{name}"'
    body = [
        f"from primitives import {action}", "", f'on = "{moment}"', "", "", "def when(run):", "    return True",
        "", "", "def act(run):", f"    {action}(run)",
    ]  # fmt: skip
    added = "".join(f"+{line}\n" for line in body)
    return (
        f"--- /dev/null\n+++ b/rules/{name}.py\n@@ -0,0 +1,{len(body)} @@\n{added}"
        f"--- a/harness.toml\n+++ b/harness.toml\n@@ -{at + 1},3 +{at + 1},3 @@\n [rules]\n"
        f"-on = [{listed}]\n+on = [{more}]\n {config[at + 2]}\n"
    )


def run(out: Path, name: str, suite: str, rounds: int, words: Sequence[str]) -> dict[str, Any]:
    """One campaign: seconds, and what its calls came to."""

    def campaign() -> dict[str, Any]:
        command = [RATCHET, "run", suite, "--rounds", str(rounds), "--store", str(out / name), *SMALL]
        began = time.monotonic()
        with (out / f"{name}.log").open("w") as log:
            done = subprocess.run(
                [*command, *words],
                stdout=log,
                stderr=log,
                check=False,
                env={**os.environ, "RATCHET_API_KEY": "none"},
            )
        found: dict[str, Any] = {"exit": done.returncode, "seconds": round(time.monotonic() - began, 1)}
        if "--model" in words and "recorded" not in "".join(words):
            for by in ("role", "outcome"):
                costs = [RATCHET, "cost", "--store", str(out / name), "--json", "--by", by]
                found[by] = json.loads(subprocess.run(costs, capture_output=True, check=True).stdout)
        return found

    return kept(out / f"{name}.json", campaign)  # type: ignore[no-any-return]


def _part(folder: Path, packages: int) -> str:
    """The first packages of the suite repair, as a suite of its own."""
    whole = Path(contracts.__file__).parent.parent / "suites" / "repair"
    shutil.copytree(whole, folder, dirs_exist_ok=True)
    for home in sorted((folder / "tasks").iterdir())[packages:]:
        shutil.rmtree(home)
    return str(folder)


@click.command()
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Folder of all results.")
@click.option(
    "--packages", default=12, show_default=True, help="How many packages of the suite repair are worked on."
)
@click.option("--rounds", default=5, show_default=True, help="Rounds of each campaign.")
def main(out: Path, packages: int, rounds: int) -> None:
    """Run the campaigns and say what they took."""
    suite = _part(out / "suite", packages)
    model = embedded_model(load_or_train())
    script = ModelServer(Script(), "script", port=8401)
    calm = ModelServer(model, "embedded", port=8402)
    faulty = FaultyServer(model, "embedded", FAULTS, every=EVERY)
    for server in (script, calm, faulty):
        server.start()
    prices = (
        '[[prices]]\nmodel = "*"\ninput = 0.30\noutput = 1.20\ncache_read = 0.06\n'
        f'[endpoints."{faulty.url}"]\ntimeout = 5.0\n'
    )
    (out / "ratchet.toml").write_text(prices)
    thinking = [
        word
        for role in ("planner", "patcher", "critic")
        for word in ("--model", f"{role}=openai:script@{script.url}")
    ]
    config = ["--config", str(out / "ratchet.toml")]

    def harness(server: ModelServer) -> list[str]:
        return ["--model", f"harness=openai:embedded@{server.url}", *thinking, *config]

    found = {"over HTTP": run(out, "http", suite, rounds, harness(calm))}
    found["with faults"] = run(out, "faults", suite, rounds, harness(faulty)) | {"faults": faulty.failed}
    for server in (script, calm, faulty):
        server.shutdown()
    found["replayed"] = run(out, "replay", suite, rounds, ["--model", f"recorded:{out / 'http'}"])
    found["in process"] = run(out, "inside", suite, rounds, [])
    first = msgspec.json.encode(outcome(out / "http"))
    found["replayed"]["same"] = msgspec.json.encode(outcome(out / "replay")) == first
    found["with faults"]["same"] = [row[:2] for row in outcome(out / "faults")] == [
        row[:2] for row in outcome(out / "http")
    ]
    for name, figures in found.items():
        print(f"{name:12} {figures['seconds']:8.1f} s, exit {figures['exit']}", end="")
        print(f", the same outcome: {figures['same']}" if "same" in figures else "", end="")
        if "role" in figures:
            whole = figures["role"]["total"]
            print(f", {whole['calls']} calls, {whole['unanswered']} unanswered, ${whole['cost']:.4f}", end="")
        print()
    for group in found["over HTTP"]["role"]["groups"]:
        usage = group["usage"]
        print(
            f"  {group['group']:8} {group['calls']:6} calls, {usage['input_tokens']:9,} in, "
            f"{usage['output_tokens']:8,} out, ${group['cost']:.4f}, median {1e3 * group['median_seconds']:.1f} ms"
        )


if __name__ == "__main__":
    main()
