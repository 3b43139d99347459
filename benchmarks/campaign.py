"""What a campaign is worth: sealed scores of seed and final harnesses beside controls of the same budget.

    python -m benchmarks.campaign --out FOLDER run          the campaigns (real processes; a killed one resumes)
    python -m benchmarks.campaign --out FOLDER controls     the controls, at the campaigns' budget of episodes
    python -m benchmarks.campaign --out FOLDER measure      everything on the sealed tasks, with fresh seeds
    python -m benchmarks.campaign --out FOLDER ablate       what each part of the final harnesses is worth
    python -m benchmarks.campaign --out FOLDER report       the table, and the figures as SVG
    python -m benchmarks.campaign --out FOLDER all

Every step keeps its results in the folder and passes over what is there already.
"""

import json
import random
import shutil
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from agents.cli.request import seed_files
from agents.patcher.changes import CannotApply, CannotCompile, apply_change, check_compiles
from agents.planner.bandit import choose
from agents.planner.draft import Draft, Ground
from agents.planner.operators import drafts
from agents.planner.wide import ablations
from benchmarks import findings
from benchmarks.bench import Bench, Tree, digest, encoded, kept, told
from contracts.jobs import EpisodeResult
from contracts.statistics import bootstrap_interval, cluster_interval, cluster_means, derive_seed

ATTEMPTS = 32
"""The most attempts of the seed harness whose best is taken."""


# The campaigns -----------------------------------------------------------------------------------------------


def campaigns(seeds: Sequence[int], rounds: int, long: int, nulls: int) -> dict[str, tuple[int, int]]:
    """Name → seed and rounds."""
    named = {f"seed-{seed}": (seed, rounds) for seed in seeds}
    further = {f"long-{long}": (seeds[0] + 100, long), f"nulls-{nulls}": (seeds[0] + 200, nulls)}
    return named | {name: given for name, given in further.items() if given[1]}


def run_campaigns(out: Path, wanted: Mapping[str, tuple[int, int]]) -> None:
    """Run every campaign to its end as a user would; the same command resumes a killed one."""
    for name, (seed, rounds) in wanted.items():
        store = out / name
        if (store / "report" / "report.md").exists():
            continue
        ratchet = str(Path(sys.executable).with_name("ratchet"))
        options = ["--seed", str(seed), "--rounds", str(rounds), "--store", str(store), "--no-collected"]
        options += ["--null-every", "1"] if name.startswith("nulls") else []
        command = [ratchet, "run", "repair", *options]
        print("$ ratchet", *command[1:], flush=True)
        started = time.monotonic()
        subprocess.run(command, check=True, stdout=(out / f"{name}.log").open("a"), stderr=subprocess.STDOUT)
        (store / "seconds").write_text(f"{time.monotonic() - started:.0f}")


# The controls ------------------------------------------------------------------------------------------------


def changed(tree: Tree, draft: Draft) -> Tree | None:
    """The harness after a draft; None where it cannot be made."""
    try:
        made = apply_change(draft.operator, draft.change, tree)
        check_compiles(made, tree)
    except (CannotApply, CannotCompile):
        return None
    return made


def ground(tree: Tree, name: str) -> Ground:
    """What drafts are drawn from where nothing is learned."""
    return Ground(tree=tree, archive=(), name=name, seed=seed_files(), head=digest(tree))


def random_control(seed: int, rounds: int, rate: float) -> dict[str, Any]:
    """Random changes, each kept by a coin with the campaigns' own keep rate; no episode is spent."""
    rng = random.Random(f"random {seed}")
    tree, steps = seed_files(), []
    for number in range(1, rounds + 1):
        draft = rng.choice(drafts(ground(tree, f"x{number}"), rng))
        made = changed(tree, draft)
        if made is not None and rng.random() < rate:
            tree = made
            steps.append(draft.title)
    return {"steps": steps, "final": {path: data.decode() for path, data in tree.items()}, "episodes": 0}


def greedy_control(bench: Bench, seed: int, budget: int, arms: int = 4, each: int = 3) -> dict[str, Any]:
    """The same drafts, four a round; the best is kept when its mean is above the incumbent's on the same episodes."""
    rng = random.Random(f"greedy {seed}")
    practice = bench.suite.practice
    tree, steps, spent, number = seed_files(), [], 0, 0
    cost = len(practice) * each * (arms + 1)
    while spent + cost <= budget:
        number += 1
        seeds = [derive_seed("greedy", seed, number, i) for i in range(each)]
        pool = choose(drafts(ground(tree, f"g{number}"), rng), {}, (), 3 * arms, rng)
        fields = [(draft, made) for draft, _ in pool if (made := changed(tree, draft)) is not None][:arms]
        before = mean(bench.episodes(tree, practice, seeds).values())
        after = [mean(bench.episodes(made, practice, seeds).values()) for _, made in fields]
        spent += cost
        best = max(range(len(fields)), key=lambda i: after[i])
        if after[best] > before:
            tree = fields[best][1]
            steps.append(f"{fields[best][0].title} ({after[best] - before:+.4f})")
        print(f"greedy {seed}, {spent} of {budget} episodes: {before:.3f} → {max(after):.3f}", flush=True)
    return {"steps": steps, "final": {path: data.decode() for path, data in tree.items()}, "episodes": spent}


def mean(results: Iterable[EpisodeResult]) -> float:
    """Mean score."""
    scores = [result.score for result in results]
    return sum(scores) / len(scores)


def best_of(bench: Bench) -> dict[str, Any]:
    """The seed harness with N attempts a task: the first whose visible tests pass counts, else the last."""
    tasks = bench.suite.sealed
    seeds = [derive_seed("best of", i) for i in range(ATTEMPTS)]
    found = bench.scores(seed_files(), tasks, seeds)
    rows = []
    for n in (1, 2, 4, 8, 16, ATTEMPTS):
        picked = []
        for scores, visible in zip(found["scores"], found["visible"], strict=True):
            groups = [range(start, start + n) for start in range(0, ATTEMPTS - n + 1, n)]
            chosen = [next((i for i in group if visible[i]), group[-1]) for group in groups]
            picked.append(sum(scores[i] for i in chosen) / len(chosen))
        rows.append({"attempts": n, "score": sum(picked) / len(picked)})
    return {"rows": rows}


# Measuring ---------------------------------------------------------------------------------------------------


def compared(base: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, float]:
    """Means of both, and the difference with its interval over packages."""
    packages = base["packages"]
    ours = cluster_interval(other["scores"], packages, key="evidence")
    theirs = cluster_interval(base["scores"], packages, key="evidence")
    gap = bootstrap_interval(cluster_means(other["scores"], base["scores"], packages), key="evidence")
    flat = [solved for row in other["solved"] for solved in row]
    return {
        "base": theirs.estimate, "score": ours.estimate, "low": ours.low, "high": ours.high,
        "gain": gap.estimate, "gain_low": gap.low, "gain_high": gap.high,
        "relative": gap.estimate / theirs.estimate if theirs.estimate else float("inf"),
        "solved": sum(flat) / len(flat),
    }  # fmt: skip


@click.group(chain=True)
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Folder of all results.")
@click.option("--seeds", default="1,2,3", show_default=True)
@click.option("--rounds", default=30, show_default=True)
@click.option("--long", default=100, show_default=True, help="Rounds of the long campaign; 0: none.")
@click.option("--nulls", default=40, show_default=True, help="Rounds with an A/A arm in each; 0: none.")
@click.pass_context
def main(context: click.Context, out: Path, seeds: str, rounds: int, long: int, nulls: int) -> None:
    """Evidence for what campaigns are worth."""
    out.mkdir(parents=True, exist_ok=True)
    context.obj = (out, campaigns([int(seed) for seed in seeds.split(",")], rounds, long, nulls))


@main.command("run")
@click.pass_obj
def _run(given: tuple[Path, dict[str, tuple[int, int]]]) -> None:
    run_campaigns(*given)


@main.command("all")
@click.pass_context
def _all(context: click.Context) -> None:
    """Everything, one step after the other."""
    for step in (_run, _controls, _measure, _ablate, _export, _report):
        context.invoke(step)


@main.command("controls")
@click.pass_obj
def _controls(given: tuple[Path, dict[str, tuple[int, int]]]) -> None:
    out, wanted = given
    short = [name for name in wanted if name.startswith("seed")]
    ledgers = [told(out, name) for name in short]
    rate = sum(len(t["versions"]) - 1 for t in ledgers) / sum(wanted[name][1] for name in short)
    with Bench(out) as bench:
        for name, ledger in zip(short, ledgers, strict=True):
            seed, rounds = wanted[name]
            kept(
                out / "controls" / f"random-{seed}.json", lambda s=seed, r=rounds: random_control(s, r, rate)
            )
            kept(
                out / "controls" / f"greedy-{seed}.json",
                lambda s=seed, b=ledger["episodes"]: greedy_control(bench, s, b),
            )
        kept(out / "controls" / "best-of.json", lambda: best_of(bench))


@main.command("measure")
@click.pass_obj
def _measure(given: tuple[Path, dict[str, tuple[int, int]]]) -> None:
    out, wanted = given
    harnesses: dict[str, Tree] = {"seed": seed_files()}
    for name in wanted:
        if (out / name / "report" / "report.md").exists():
            harnesses[name] = encoded(told(out, name)["final"])
    for file in sorted((out / "controls").glob("[rg]*.json")):
        harnesses[file.stem] = encoded(json.loads(file.read_bytes())["final"])
    with Bench(out) as bench:
        for name, tree in harnesses.items():
            for side, tasks in (("sealed", bench.suite.sealed), ("practice", bench.suite.practice)):
                path = out / "measured" / f"{name}.{side}.json"
                kept(path, lambda t=tree, k=tasks, s=side: bench.scores(t, k, bench.fresh(s)))
                print(name, side, flush=True)


@main.command("ablate")
@click.pass_obj
def _ablate(given: tuple[Path, dict[str, tuple[int, int]]]) -> None:
    """Every final harness without one of its departures from the seed, on the sealed tasks."""
    out, wanted = given
    with Bench(out) as bench:
        for name in (name for name in wanted if not name.startswith("nulls")):
            tree = encoded(told(out, name)["final"])
            for number, draft in enumerate(ablations(ground(tree, "a"))):
                without = changed(tree, draft)
                if without is None:
                    continue

                def made(without: Tree = without, draft: Draft = draft) -> dict[str, Any]:
                    found = bench.scores(without, bench.suite.sealed, bench.fresh("sealed"))
                    return {**found, "title": draft.title, "surface": draft.surface}

                kept(out / "ablated" / f"{name}.{number}.json", made)
                print(name, draft.title, flush=True)


@main.command("export")
@click.pass_obj
def _export(given: tuple[Path, dict[str, tuple[int, int]]]) -> None:
    """Write what the gate's simulation takes of the suite: `benchmarks/data/repair.json`."""
    out, wanted = given
    practice = json.loads((out / "measured" / "seed.practice.json").read_bytes())
    data = findings.world(practice, [told(out, name) for name in wanted])
    path = Path(__file__).parent / "data" / "repair.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(data) + "\n")
    print(
        f"{path}: {len(data['effects'])} changes, mean effect {sum(data['effects']) / len(data['effects']):+.4f}"
    )


@main.command("report")
@click.pass_obj
def _report(given: tuple[Path, dict[str, tuple[int, int]]]) -> None:
    out, wanted = given
    base = json.loads((out / "measured" / "seed.sealed.json").read_bytes())
    practice = json.loads((out / "measured" / "seed.practice.json").read_bytes())
    print("| harness | rounds kept | episodes | practice | sealed | 95 % | gain | relative | solved |")
    print("|---|---|---|---|---|---|---|---|---|")
    for file in sorted((out / "measured").glob("*.sealed.json")):
        name = file.name.removesuffix(".sealed.json")
        row = compared(base, json.loads(file.read_bytes()))
        other = json.loads((out / "measured" / f"{name}.practice.json").read_bytes())
        learned = compared(practice, other)
        steps, episodes = "", ""
        if name in wanted:
            ledger = told(out, name)
            steps, episodes = f"{len(ledger['versions']) - 1} of {wanted[name][1]}", f"{ledger['episodes']:,}"
        elif (out / "controls" / f"{name}.json").exists():
            control = json.loads((out / "controls" / f"{name}.json").read_bytes())
            steps, episodes = str(len(control["steps"])), f"{control['episodes']:,}"
        print(
            f"| {name} | {steps} | {episodes} | {learned['score']:.3f} | {row['score']:.3f} "
            f"| [{row['low']:.3f}, {row['high']:.3f}] | {row['gain']:+.3f} [{row['gain_low']:+.3f}, "
            f"{row['gain_high']:+.3f}] | {row['relative']:+.0%} | {row['solved']:.1%} |"
        )
    best = out / "controls" / "best-of.json"
    if best.exists():
        print("\n| attempts of the seed | sealed |\n|---|---|")
        for line in json.loads(best.read_bytes())["rows"]:
            print(f"| {line['attempts']} | {line['score']:.3f} |")
    for name in wanted:
        parts = sorted((out / "ablated").glob(f"{name}.*.json"))
        full = out / "measured" / f"{name}.sealed.json"
        if parts and full.exists():
            whole = json.loads(full.read_bytes())
            print(f"\n{name}: what is lost without\n\n| part | surface | lost |\n|---|---|---|")
            for part in parts:
                found = json.loads(part.read_bytes())
                loss = compared(found, whole)
                print(
                    f"| {found['title']} | {found['surface']} | {loss['gain']:+.3f} "
                    f"[{loss['gain_low']:+.3f}, {loss['gain_high']:+.3f}] |"
                )
    for side, first in (("sealed", base), ("practice", practice)):
        paths = [out / "measured" / f"{name}.{side}.json" for name in wanted]
        finals = [json.loads(path.read_bytes()) for path in paths if path.exists()]
        if finals:
            print(f"\n{side} tasks\n", *findings.difficulty(first, finals), sep="\n")
    (out / "figures").mkdir(exist_ok=True)
    for name in wanted:
        if (chart := out / name / "report" / "score.svg").exists():
            shutil.copy(chart, out / "figures" / f"{name}.svg")
    ledgers = {name: told(out, name) for name in wanted if (out / name / "report" / "report.md").exists()}
    for name, ledger in ledgers.items():
        print(f"\n{findings.spent(name, ledger)}\n", *findings.discovered(ledger), sep="\n")
    print(
        "",
        *findings.calibration(list(ledgers.values())),
        "",
        findings.nulls(list(ledgers.values())),
        sep="\n",
    )


if __name__ == "__main__":
    main()
