"""How much a harness can win with the frozen embedded model: the right edit's odds under several settings.

For every task of a suite the script runs the visible tests once, with a trace, and lets the model propose edits as a
plain scaffold would: an edit that is not right is undone. An edit is right when it mends a mistake of the task's
package, be it the only one or one of several. What a setting solves is thus a ceiling that all harnesses of its sort
share, and `reach` says which kinds of mistakes the edit grammar can mend at all.

    python -m benchmarks.headroom [--suite repair] [--side practice] [--seeds 12] [--draws 24] [--tasks] [--json]

Weights are tuned on practice packages only, so that is the side that is looked at unless another is named; single
tasks are never told of another side.
"""

import argparse
import ast
import itertools
import json
import math
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import numpy as np

from agents.models import embedded_model, load_or_train
from agents.models.embedded.kinds import PHRASES
from agents.models.embedded.model import EmbeddedModel
from agents.tasks.describe import PackageFile, Variant, decode_toml
from agents.tasks.package import PACKAGE
from agents.tasks.suite import load_suite
from contracts.chat import ChatRequest, Decoding, Message, Tool
from contracts.tasks import GradedTask

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


class Setting(NamedTuple):
    """What a harness shows of the evidence, and how it lets the model decode."""

    covered: bool = False
    """Show which lines the failing tests ran, and their tracebacks."""
    pointed: bool = False
    """Point at the lines that failing tests run and passing ones do not."""
    kinds: bool = False
    """Name the kinds of the task's mistakes: what no harness knows, and the best that its words can be."""
    helped: bool = True
    """Say of an edit that it made a test pass."""
    decoding: Decoding = Decoding()


_COOL, _NEW = Decoding(temperature=0.5), Decoding(frequency_penalty=1.0)
_COOL_AND_NEW = Decoding(temperature=0.5, frequency_penalty=1.0)
SETTINGS = {
    "plain": Setting(),
    "cool": Setting(decoding=_COOL),
    "no repeats": Setting(decoding=_NEW),
    "kinds named": Setting(kinds=True),
    "covered": Setting(covered=True),
    "covered, cool": Setting(covered=True, decoding=_COOL),
    "covered, no repeats": Setting(covered=True, decoding=_NEW),
    "covered, cool, no repeats": Setting(covered=True, decoding=_COOL_AND_NEW),
    "... and nothing of what helped": Setting(covered=True, helped=False, decoding=_COOL_AND_NEW),
    "... and pointed": Setting(covered=True, pointed=True, decoding=_COOL_AND_NEW),
    "... and kinds named": Setting(covered=True, pointed=True, kinds=True, decoding=_COOL_AND_NEW),
}
_POINTS = 6
"""Lines that are pointed at."""


class Case(NamedTuple):
    """A task: its program, what its tests said, and the programs that are a step in the right direction."""

    name: str
    instruction: str
    kinds: tuple[str, ...]
    files: dict[str, str]
    summary: str
    evidence: str
    points: str
    forms: dict[str, dict[str, int]]
    """For each file the normal forms in which some of its mistakes are mended, and how many of them."""
    single: tuple[tuple[str, str, str], ...]
    """For each mistake its kind, its file, and the file's normal form when it alone is mended."""


@cache
def normal(text: str) -> str:
    """A program without its layout; the text itself where it does not parse."""
    try:
        return ast.unparse(ast.parse(text))
    except SyntaxError:
        return text


def load(graded: GradedTask, variant: Variant, program: Path) -> Case:
    """Run the visible tests of a task, and work out what is right in it."""
    task = graded.task
    files = {path: task.files[path] for path in task.solution_files if task.files[path].strip()}
    forms: dict[str, dict[str, int]] = {}
    for path in dict.fromkeys(mistake.path for mistake in variant.mistake):
        own = [mistake for mistake in variant.mistake if mistake.path == path]
        forms[path] = {}
        for size in range(len(own) + 1):
            for left in itertools.combinations(own, len(own) - size):
                text = (program / path).read_text()
                for mistake in left:
                    text = text.replace(mistake.right, mistake.wrong)
                forms[path].setdefault(normal(text), size)
    kinds = (
        variant.kinds
        if len(variant.kinds) == len(variant.mistake)
        else variant.kinds[:1] * len(variant.mistake)
    )
    single = []
    for kind, mistake in zip(kinds, variant.mistake, strict=True):
        text = (program / mistake.path).read_text()
        for other in variant.mistake:
            if other.path == mistake.path and other is not mistake:
                text = text.replace(other.right, other.wrong)
        single.append((kind, mistake.path, normal(text)))
    outcomes = run_tests(task.files)
    failed = [outcome for outcome in outcomes if outcome[1]]
    summary = [f"{len(outcomes) - len(failed)} passed, {len(failed)} failed"]
    summary += [f"FAILED {name}: {error}" for name, error, _, _ in failed]
    evidence = [f'  File "{path}", line {line}' for _, _, frames, _ in failed for path, line in frames]
    covered: defaultdict[str, set[int]] = defaultdict(set)
    for path, line in (place for outcome in failed for place in outcome[3]):
        covered[path].add(line)
    evidence += [f"covered: {p}:{','.join(map(str, sorted(n)))}" for p, n in sorted(covered.items())]
    return Case(
        task.id,
        task.instruction,
        variant.kinds,
        files,
        "\n".join(summary),
        "\n".join(evidence),
        " ".join(f"see {path}:{line}" for path, line in suspects(outcomes)),
        forms,
        tuple(single),
    )


def run_tests(files: dict[str, str]) -> list[Any]:
    """What each visible test says: its name, its error, the frames of the error, the lines that it ran."""
    with tempfile.TemporaryDirectory() as scratch:
        for path, text in files.items():
            target = Path(scratch) / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(text)
        ran = subprocess.run(
            [sys.executable, "-c", _TRACER],
            cwd=scratch,
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        )
    found: list[Any] = json.loads(ran.stdout)
    return found


def suspects(outcomes: list[Any]) -> list[tuple[str, int]]:
    """The lines that failing tests run more than passing ones do, by Ochiai's measure."""
    ran: defaultdict[tuple[str, int], list[int]] = defaultdict(lambda: [0, 0])
    for _, error, _, places in outcomes:
        for path, line in places:
            ran[path, line][0 if error else 1] += 1
    failing = sum(bool(error) for _, error, _, _ in outcomes)
    score = {place: f / math.sqrt(failing * (f + p)) for place, (f, p) in ran.items() if f}
    return sorted(score, key=lambda place: (-score[place], place))[:_POINTS]


def opening(case: Case, setting: Setting) -> tuple[Message, ...]:
    """The conversation before the first edit."""
    shown = [f"```python {path}\n{text}\n```" for path, text in case.files.items()]
    said = [case.instruction, *shown, case.summary, *said_of(case, setting)]
    system = "You repair small Python programs. Answer with one call of the tool `edit`."
    if setting.kinds:
        system += " Look for: " + ", ".join(PHRASES[kind][0] for kind in case.kinds if kind in PHRASES) + "."
    return Message(role="system", content=system), Message(role="user", content="\n\n".join(said))


def said_of(case: Case, setting: Setting) -> list[str]:
    """The evidence that a harness shows after each run of the tests."""
    return [case.evidence] * setting.covered + [case.points] * setting.pointed


def edited(text: str, line: int, old: str, new: str) -> str:
    """A file after an edit."""
    lines = text.split("\n")
    lines[line - 1 : line - 1 + old.count("\n") + 1] = new.split("\n")
    return "\n".join(lines)


def gains(case: Case, path: str, before: str, after: str) -> int:
    """How many mistakes of a file an edit mends; below 1 where it is not right."""
    forms = case.forms.get(path, {})
    return forms.get(normal(after), -1) - forms.get(normal(before), 0)


class First(NamedTuple):
    """The first draw: the odds of a right edit, its best rank (0: out of reach), and the ranks of each mistake's."""

    odds: float
    rank: int
    of_mistakes: tuple[tuple[str, int], ...]


def first_draw(model: EmbeddedModel, case: Case, setting: Setting) -> First:
    """Look at what is likely before anything was tried."""
    request = ChatRequest(
        messages=opening(case, setting), tools=(Tool(name="edit"),), decoding=setting.decoding
    )
    edits, odds = model.odds(request)
    results = [(e.path, normal(edited(case.files[e.path], e.line, e.before, e.after))) for e in edits]
    right = [i for i, (path, form) in enumerate(results) if case.forms.get(path, {}).get(form, 0) > 0]

    def rank(places: list[int]) -> int:
        return int((odds > odds[places].max()).sum()) + 1 if places else 0

    ranks = tuple(
        (kind, rank([i for i in right if results[i] == (path, form)])) for kind, path, form in case.single
    )
    return First(float(odds[right].sum()) if right else 0.0, rank(right), ranks)


def attempt(
    model: EmbeddedModel, case: Case, seed: int, draws: int, setting: Setting
) -> tuple[bool, int, int]:
    """One episode: whether it was solved, how many draws it took, and how many of them were repeats."""
    files, left = dict(case.files), len(case.single)
    messages = list(opening(case, setting))
    seen: set[tuple[Any, ...]] = set()
    for draw in range(draws):
        request = ChatRequest(
            messages=tuple(messages),
            tools=(Tool(name="edit"),),
            decoding=setting.decoding,
            noise=f"{case.name}:{seed}:{draw}",
        )
        reply = model.complete(request)
        call = reply.message.tool_calls[0]
        path, line, old, new = (call.arguments[name] for name in ("path", "line", "old", "new"))
        after = edited(files[path], line, old, new)
        result = [f"edit applied: {path}:{line}", case.summary, *said_of(case, setting)]
        gain = gains(case, path, files[path], after)
        if gain > 0:
            files[path] = after
            left -= gain
            if not left:
                return True, draw + 1, draw - len(seen)
            result += [*["fixed: one of them"] * setting.helped, f"```python {path}\n{after}\n```"]
        else:
            result.append("edit undone")
        seen.add((path, line, old, new))
        messages += [reply.message, Message(role="tool", tool_call_id=call.id, content="\n".join(result))]
    return False, draws, draws - len(seen)


def load_cases(suite: str, side: str) -> list[Case]:
    """The tasks of one side of a suite; those that cannot be used are left out."""
    loaded = load_suite(suite)
    home = Path(__file__).parent.parent / "suites" / suite if not Path(suite).is_dir() else Path(suite)
    chosen = {
        "practice": loaded.practice,
        "sealed": loaded.sealed,
        "all": (*loaded.practice, *loaded.sealed),
    }[side]
    cases = []
    for graded in chosen:
        folder = home / "tasks" / graded.task.package
        text = (folder / PACKAGE).read_text()
        described = decode_toml(text, PackageFile, task=graded.task.package, shown=PACKAGE)
        variant = described.variant[int(graded.task.id.rpartition("-")[2]) - 1]
        cases.append(load(graded, variant, folder / "program"))
    return cases


def measure(
    model: EmbeddedModel, cases: list[Case], setting: Setting, seeds: int, draws: int
) -> dict[str, Any]:
    """What a setting solves: for each task, and over all."""
    tasks: dict[str, dict[str, Any]] = {}
    calls, started = 0, time.perf_counter()
    for case in cases:
        first = first_draw(model, case, setting)
        runs = [attempt(model, case, seed, draws, setting) for seed in range(seeds)]
        used = sum(each for _, each, _ in runs)
        calls += used
        tasks[case.name] = {
            "odds": first.odds,
            "rank": first.rank,
            "mistakes": first.of_mistakes,
            "solved": float(np.mean([done for done, _, _ in runs])),
            "repeats": sum(repeats for *_, repeats in runs) / used,
        }
    one = [tasks[case.name] for case in cases if len(case.single) == 1]
    several = [tasks[case.name]["solved"] for case in cases if len(case.single) > 1]
    return {
        "odds": median(t["odds"] for t in one),
        "rank": middle(t["rank"] for t in one),
        "solved, single": float(np.mean([t["solved"] for t in one])),
        "solved, several": float(np.mean(several)) if several else math.nan,
        "solved": float(np.mean([t["solved"] for t in tasks.values()])),
        "repeats": float(np.mean([t["repeats"] for t in tasks.values()])),
        "ms per call": 1000 * (time.perf_counter() - started) / calls,
        "tasks": tasks,
    }


def middle(ranks: Iterable[int]) -> float:
    """The median of the ranks that there are; 0 where there is none."""
    return median([rank for rank in ranks if rank] or [0])


def reach(plain: dict[str, Any], covered: dict[str, Any]) -> dict[str, dict[str, float]]:
    """For each kind of mistake how many there are, how many are in reach, and the right edit's median rank."""
    ranks: defaultdict[str, list[tuple[int, int]]] = defaultdict(list)
    for name, task in plain["tasks"].items():
        for (kind, rank), (_, shown) in zip(
            task["mistakes"], covered["tasks"][name]["mistakes"], strict=True
        ):
            ranks[kind].append((rank, shown))
    return {
        kind: {
            "mistakes": len(found),
            "in reach": sum(rank > 0 for rank, _ in found),
            "rank, plain": middle(rank for rank, _ in found),
            "rank, covered": middle(rank for _, rank in found),
        }
        for kind, found in sorted(ranks.items())
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--suite", default="repair")
    parser.add_argument("--side", choices=("practice", "sealed", "all"), default="practice")
    parser.add_argument("--seeds", type=int, default=12)
    parser.add_argument("--draws", type=int, default=24)
    parser.add_argument(
        "--tasks", action="store_true", help="also print every task; of the practice side only"
    )
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    model = embedded_model(load_or_train())
    cases = load_cases(options.suite, options.side)
    rows = {
        name: measure(model, cases, setting, options.seeds, options.draws)
        for name, setting in SETTINGS.items()
    }
    kinds = reach(rows["plain"], rows["covered"])
    tasks = {name: row.pop("tasks") for name, row in rows.items()}
    if options.json:
        shown = {"tasks": tasks} if options.side == "practice" else {}
        print(json.dumps({"side": options.side, "settings": rows, "kinds": kinds, **shown}))
        return
    print(
        f"{len(cases)} tasks ({options.side}), {options.seeds} seeds, {options.draws} draws; odds and ranks are medians"
    )
    print(
        f"{'':32} {'odds':>7} {'rank':>5} {'single':>7} {'several':>8} {'solved':>7} {'repeats':>8} {'ms/call':>8}"
    )
    for name, r in rows.items():
        print(
            f"{name:32} {r['odds']:7.4f} {r['rank']:5.0f} {r['solved, single']:7.2f} {r['solved, several']:8.2f}"
            f" {r['solved']:7.2f} {r['repeats']:8.2f} {r['ms per call']:8.2f}"
        )
    print(f"\n{'kind':20} {'mistakes':>8} {'in reach':>8} {'rank, plain':>12} {'rank, covered':>14}")
    for kind, found in kinds.items():
        ranks = f"{found['rank, plain']:12.0f} {found['rank, covered']:14.0f}"
        print(f"{kind:20} {found['mistakes']:8} {found['in reach']:8} {ranks}")
    if options.tasks and options.side == "practice":
        print()
        for name in tasks["plain"]:
            print(
                f"{name:20} "
                + " | ".join(f"{t[name]['rank']:4d} {t[name]['solved']:.2f}" for t in tasks.values())
            )


if __name__ == "__main__":
    main()
