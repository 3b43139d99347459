"""How much a harness can win with the frozen embedded model: the right edit's odds under several settings.

For every task of a suite the script runs the visible tests once, with a trace, and lets the model propose
edits as a plain scaffold would: an edit that is not right is undone. An edit is right when it turns the
program into the reference solution, or brings it one of several hunks nearer to it.

    python benchmarks/headroom.py [--suite suites/repair] [--seeds 12] [--draws 24] [--json]
"""

import argparse
import ast
import difflib
import itertools
import json
import subprocess
import sys
import tempfile
import time
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from agents.models import embedded_model, load_or_train
from agents.models.embedded.model import EmbeddedModel
from contracts.chat import ChatRequest, Decoding, Message, Tool

_TRACER = """
import importlib, json, os, sys, traceback
sys.path[:0] = [os.getcwd(), os.path.join(os.getcwd(), "tests")]
here, lines, found = os.getcwd() + os.sep, set(), []
def local(frame, event, argument):
    if event == "line":
        lines.add((os.path.relpath(frame.f_code.co_filename, here), frame.f_lineno))
    return local
def trace(frame, event, argument):
    name = frame.f_code.co_filename
    return local if name.startswith(here) and "tests" not in name else None
for file in sorted(os.listdir("tests")):
    if file.startswith("test_") and file.endswith(".py"):
        module = importlib.import_module(file[:-3])
        for name, test in list(vars(module).items()):
            if name.startswith("test_"):
                lines.clear()
                error, frames = None, []
                sys.settrace(trace)
                try:
                    test()
                except Exception as exception:
                    error = type(exception).__name__
                    frames = [(os.path.relpath(f.filename, here), f.lineno)
                              for f in traceback.extract_tb(exception.__traceback__)
                              if f.filename.startswith(here) and "tests" not in f.filename]
                sys.settrace(None)
                found.append((f"tests/{file}::{name}", error, frames, sorted(lines)))
print(json.dumps(found))
"""

SETTINGS = {
    "plain": (False, Decoding()),
    "cool": (False, Decoding(temperature=0.5)),
    "no repeats": (False, Decoding(frequency_penalty=1.0)),
    "localized": (True, Decoding()),
    "localized, cool": (True, Decoding(temperature=0.5)),
    "localized, no repeats": (True, Decoding(frequency_penalty=1.0)),
    "localized, cool, no repeats": (True, Decoding(temperature=0.5, frequency_penalty=1.0)),
}


class Case(NamedTuple):
    """A task: its program, what its tests said, and the programs that are a step in the right direction."""

    name: str
    instruction: str
    files: dict[str, str]
    summary: str
    evidence: str
    steps: dict[str, frozenset[str]]
    """For each file the normal forms that hold at least one more hunk of the solution than the file itself."""
    hunks: int


@cache
def normal(text: str) -> str:
    """A program without its layout; the text itself where it does not parse."""
    try:
        return ast.unparse(ast.parse(text))
    except SyntaxError:
        return text


def partial(before: str, after: str) -> tuple[frozenset[str], int]:
    """Every normal form between two programs, the first left out, and the number of hunks between them."""
    old, new = normal(before).split("\n"), normal(after).split("\n")
    codes = difflib.SequenceMatcher(None, old, new, autojunk=False).get_opcodes()
    hunks = [i for i, code in enumerate(codes) if code[0] != "equal"]
    forms = set()
    for size in range(1, len(hunks) + 1):
        for chosen in itertools.combinations(hunks, size):
            lines = []
            for i, (_, a, b, c, d) in enumerate(codes):
                lines += new[c:d] if i in chosen else old[a:b]
            forms.add(normal("\n".join(lines)))
    return frozenset(forms), len(hunks)


def load(folder: Path) -> Case:
    """Read a task and run its visible tests."""
    workspace, solution = folder / "workspace", folder / "solution"
    files, steps, hunks = {}, {}, 0
    for path in sorted(workspace.rglob("*.py")):
        name = path.relative_to(workspace).as_posix()
        if name.startswith("tests/") or not path.read_text():
            continue
        files[name] = path.read_text()
        if (solution / name).is_file():
            steps[name], count = partial(files[name], (solution / name).read_text())
            hunks += count
    with tempfile.TemporaryDirectory() as scratch:
        subprocess.run(["cp", "-r", f"{workspace}/.", scratch], check=True)
        run = subprocess.run(
            [sys.executable, "-c", _TRACER],
            cwd=scratch,
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        )
    outcomes = json.loads(run.stdout)
    failed = [outcome for outcome in outcomes if outcome[1]]
    summary = [f"{len(outcomes) - len(failed)} passed, {len(failed)} failed"]
    summary += [f"FAILED {name}: {error}" for name, error, _, _ in failed]
    evidence = [f'  File "{path}", line {line}' for _, _, frames, _ in failed for path, line in frames]
    covered: dict[str, set[int]] = {}
    for path, line in (place for outcome in failed for place in outcome[3]):
        covered.setdefault(path, set()).add(line)
    evidence += [f"covered: {p}:{','.join(map(str, sorted(n)))}" for p, n in sorted(covered.items())]
    instruction = (folder / "instruction.md").read_text()
    return Case(folder.name, instruction, files, "\n".join(summary), "\n".join(evidence), steps, hunks)


def opening(case: Case, *, localized: bool) -> tuple[Message, ...]:
    """The conversation before the first edit."""
    shown = [f"```python {path}\n{text}\n```" for path, text in case.files.items()]
    said = [case.instruction, *shown, case.summary, *([case.evidence] if localized else [])]
    system = "You repair small Python programs. Answer with one call of the tool `edit`."
    return Message(role="system", content=system), Message(role="user", content="\n\n".join(said))


def edited(text: str, line: int, old: str, new: str) -> str:
    """A file after an edit."""
    lines = text.split("\n")
    lines[line - 1 : line - 1 + old.count("\n") + 1] = new.split("\n")
    return "\n".join(lines)


def first_odds(model: EmbeddedModel, case: Case, *, localized: bool, decoding: Decoding) -> tuple[float, int]:
    """Probability of a right edit at the first draw, and the best rank of one (0: none is in reach)."""
    request = ChatRequest(
        messages=opening(case, localized=localized), tools=(Tool(name="edit"),), decoding=decoding
    )
    edits, odds = model.odds(request)
    right = [
        i
        for i, e in enumerate(edits)
        if normal(edited(case.files[e.path], e.line, e.before, e.after)) in case.steps.get(e.path, ())
    ]
    if not right:
        return 0.0, 0
    return float(odds[right].sum()), int((odds > odds[right].max()).sum()) + 1


def attempt(
    model: EmbeddedModel, case: Case, seed: int, draws: int, *, localized: bool, decoding: Decoding
) -> tuple[bool, int, int]:
    """One episode: whether it was solved, how many draws it took, and how many of them were repeats."""
    files, left = dict(case.files), case.hunks
    messages = list(opening(case, localized=localized))
    seen: set[tuple[Any, ...]] = set()
    for draw in range(draws):
        request = ChatRequest(
            messages=tuple(messages),
            tools=(Tool(name="edit"),),
            decoding=decoding,
            noise=f"{case.name}:{seed}:{draw}",
        )
        reply = model.complete(request)
        call = reply.message.tool_calls[0]
        path, line, old, new = (call.arguments[name] for name in ("path", "line", "old", "new"))
        after = edited(files[path], line, old, new)
        result = [f"edit applied: {path}:{line}", case.summary, *([case.evidence] if localized else [])]
        if normal(after) in case.steps.get(path, ()) and normal(after) != normal(files[path]):
            files[path] = after
            left -= 1
            if not left:
                return True, draw + 1, draw + 1 - len(seen) - 1
            result += ["fixed: one of them", f"```python {path}\n{after}\n```"]
        else:
            result.append("edit undone")
        seen.add((path, line, old, new))
        messages += [reply.message, Message(role="tool", tool_call_id=call.id, content="\n".join(result))]
    return False, draws, draws - len(seen)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--suite", type=Path, default=Path(__file__).parent.parent / "suites" / "repair")
    parser.add_argument("--seeds", type=int, default=12)
    parser.add_argument("--draws", type=int, default=24)
    parser.add_argument("--tasks", action="store_true", help="also print every task")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    model = embedded_model(load_or_train())
    cases = [load(folder) for folder in sorted((options.suite / "tasks").iterdir()) if folder.is_dir()]
    rows, single = [], {}
    for setting, (localized, decoding) in SETTINGS.items():
        per_task, calls, started = {}, 0, time.perf_counter()
        for case in cases:
            odds, rank = first_odds(model, case, localized=localized, decoding=decoding)
            runs = [
                attempt(model, case, seed, options.draws, localized=localized, decoding=decoding)
                for seed in range(options.seeds)
            ]
            calls += sum(used for _, used, _ in runs)
            solved = float(np.mean([done for done, _, _ in runs]))
            per_task[case.name] = {"odds": odds, "rank": rank, "solved": solved, "hunks": case.hunks}
            per_task[case.name]["repeats"] = sum(r for *_, r in runs) / sum(used for _, used, _ in runs)
        single[setting] = per_task
        one = [t for t in per_task.values() if t["hunks"] == 1]
        rows.append(
            {
                "setting": setting,
                "odds": float(np.median([t["odds"] for t in one])),
                "rank": float(np.median([t["rank"] for t in one if t["rank"]])),
                "out of reach": sum(not t["rank"] for t in one),
                "solved": float(np.mean([t["solved"] for t in one])),
                "solved, all tasks": float(np.mean([t["solved"] for t in per_task.values()])),
                "repeats": float(np.mean([t["repeats"] for t in per_task.values()])),
                "ms per call": 1000 * (time.perf_counter() - started) / calls,
            }
        )
    if options.json:
        print(json.dumps({"settings": rows, "tasks": single}))
        return
    print(f"{len(cases)} tasks, {options.seeds} seeds, {options.draws} draws; odds and ranks are medians")
    print(f"{'':28} {'odds':>7} {'rank':>5} {'solved':>7} {'all':>5} {'repeats':>8} {'ms/call':>8}")
    for r in rows:
        print(
            f"{r['setting']:28} {r['odds']:7.4f} {r['rank']:5.0f} {r['solved']:7.2f} {r['solved, all tasks']:5.2f}"
            f" {r['repeats']:8.2f} {r['ms per call']:8.2f}"
        )
    if options.tasks:
        for name in single["plain"]:
            told = [
                f"{s[name]['odds']:.4f} {s[name]['rank']:4d} {s[name]['solved']:.2f}" for s in single.values()
            ]
            print(f"{name:16} {single['plain'][name]['hunks']} | " + " | ".join(told))


if __name__ == "__main__":
    main()
