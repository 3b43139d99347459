"""How often a demo keeps something, and whether that is real: `ratchet demo` for several seeds, one after the other.

    python -m benchmarks.demo --out FOLDER [--seeds 1-10] [--check 10] [--json]

A demo counts if it kept at least one change, within its time. Afterwards its final harness is held against the seed
harness on fresh seeds, on the tasks that it practised on and on the sealed ones. A seed whose demo is in the folder
already is not run again.
"""

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import click

from agents.cli.request import seed_files
from agents.tasks.suite import thinned
from benchmarks.bench import Bench, encoded, kept, told
from contracts.statistics import bootstrap_interval, cluster_means, derive_seed, wilson_interval


def demo(out: Path, seed: int) -> dict[str, Any]:
    """Run a demo as a user would, and read its ledger."""
    store = out / f"seed-{seed}"
    ratchet = str(Path(sys.executable).with_name("ratchet"))
    started = time.monotonic()
    with (out / f"seed-{seed}.log").open("w") as said:
        subprocess.run(
            [ratchet, "demo", "--seed", str(seed), "--store", str(store)],
            check=True, stdout=said, stderr=subprocess.STDOUT,
        )  # fmt: skip
    seconds = time.monotonic() - started
    [folder] = (store / "demos").iterdir()
    found = told(folder.parent, folder.name)
    report = found["report"]
    return {
        "seed": seed,
        "seconds": round(seconds, 1),
        "rounds": len(report["rounds"]),
        "episodes": found["episodes"],
        "kept": [version["reason"] for version in found["versions"][1:]],
        "final": found["final"],
    }


def checked(bench: Bench, found: dict[str, Any], seeds: int) -> dict[str, Any]:
    """The gain of a demo's final harness on fresh seeds, on its practice tasks and on the sealed ones."""
    rows = {}
    small = thinned(bench.suite, practice=1, sealed=3)
    keys = [derive_seed("demo check", i) for i in range(seeds)]
    for side, tasks in (("practice", small.practice), ("sealed", small.sealed)):
        before, after = (bench.scores(tree, tasks, keys) for tree in (seed_files(), encoded(found["final"])))
        gap = bootstrap_interval(
            cluster_means(after["scores"], before["scores"], before["packages"]), key="demo check"
        )
        rows[side] = [round(value, 4) for value in (gap.estimate, gap.low, gap.high)]
    return rows


@click.command()
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Folder of all results.")
@click.option("--seeds", default="1-10", show_default=True, help="First and last seed.")
@click.option("--check", default=10, show_default=True, help="Fresh seeds a task afterwards; 0: no check.")
@click.option("--json", "as_json", is_flag=True, help="Print the figures as JSON.")
def main(out: Path, seeds: str, check: int, as_json: bool) -> None:
    """Run demos, one after the other."""
    out.mkdir(parents=True, exist_ok=True)
    first, _, last = seeds.partition("-")
    numbers = range(int(first), int(last or first) + 1)
    rows = []
    for seed in numbers:
        row = kept(out / f"seed-{seed}.json", lambda s=seed: demo(out, s))
        rows.append(row)
        if not as_json:
            print(
                f"seed {seed}: {row['seconds']:.0f} s, {row['rounds']} rounds, {row['episodes']} episodes, "
                f"kept {len(row['kept'])}: {'; '.join(row['kept'])[:200]}",
                flush=True,
            )
    if check:
        with Bench(out) as bench:
            for row in rows:
                path = out / f"seed-{row['seed']}.check.json"
                row["gain"] = kept(path, lambda r=row: checked(bench, r, check))
                if not as_json:
                    print(f"seed {row['seed']}: gain on fresh seeds {row['gain']}", flush=True)
    share = wilson_interval(sum(bool(row["kept"]) for row in rows), len(rows))
    figures = {
        "demos": [{key: value for key, value in row.items() if key != "final"} for row in rows],
        "kept_something": [round(value, 3) for value in (share.estimate, share.low, share.high)],
    }
    print(json.dumps(figures, indent=2) if as_json else f"kept something: {figures['kept_something']}")


if __name__ == "__main__":
    main()
