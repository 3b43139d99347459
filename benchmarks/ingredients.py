"""What single rules and decoding steps are worth on the seed harness: the ground on which the planner searches.

    python -m benchmarks.ingredients --out FOLDER [--seeds 2]

Every moment meets every action, without a condition, on the practice tasks of `repair`; and every decoding parameter is
moved to a few values. A change whose first episodes are the seed's to the letter is inert and not measured further.
What is there already is not measured again. Writes `effects.json`: name → effect, or null where it is inert.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from agents.cli.request import seed_files
from agents.patcher.changes import apply_change
from agents.planner.grammar import MOMENTS, read_grammar
from benchmarks.bench import Bench, Tree, kept
from contracts.statistics import derive_seed

VALUES: dict[str, dict[str, Any]] = {
    "scale": {"parameter": "temperature", "factor": 0.7},
    "shift": {"parameter": "frequency_penalty", "amount": 0.5},
    "forget": {"n": 2},
    "tell": {"text": "Look for a constant that is off by one."},
}
"""What actions with parameters are tried with."""
STEPS = {
    "temperature": (0.5, 0.7, 0.85, 1.3),
    "top_p": (0.5, 0.7, 0.9),
    "frequency_penalty": (-0.5, 0.5, 1.0),
    "presence_penalty": (-0.5, 1.0, 1.8),
}
PROBES = 12


def changes(seed: Tree) -> Iterator[tuple[str, Tree]]:
    """Every single change, by name."""
    for moment in MOMENTS:
        for action in read_grammar(seed).actions:
            rule = {
                "name": "rule",
                "moment": moment,
                "predicate": ["always", {}],
                "action": [action.name, VALUES.get(action.name, {})],
            }
            yield f"{moment}/{action.name}", apply_change("compose", rule, seed)
    for parameter, values in STEPS.items():
        for value in values:
            change = {"parameter": parameter, "value": value}
            yield f"{parameter}={value:g}", apply_change("perturb", change, seed)


@click.command()
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Folder of all results.")
@click.option("--seeds", default=2, show_default=True, help="Seeds a task.")
def main(out: Path, seeds: int) -> None:
    """Measure every single change of the seed harness."""
    seed = seed_files()
    keys = [derive_seed("ingredients", i) for i in range(seeds)]
    found: dict[str, float | None] = {}
    with Bench(out) as bench:
        tasks = bench.suite.practice
        before = bench.episodes(seed, tasks, keys)
        mean = sum(result.score for result in before.values()) / len(before)
        print(f"the seed: {mean:.3f} on {len(tasks)} tasks, {seeds} seeds each", flush=True)
        few = tasks[:: max(1, len(tasks) // PROBES)]
        for name, tree in changes(seed):

            def effect(tree: Tree = tree) -> float | None:
                probes = bench.episodes(tree, few, keys[:1])
                if all(before[key].behaviour == result.behaviour for key, result in probes.items()):
                    return None
                after = bench.episodes(tree, tasks, keys)
                return round(sum(result.score for result in after.values()) / len(after) - mean, 4)

            found[name] = kept(out / "effects" / f"{name.replace('/', '.')}.json", effect)
            if found[name] is not None:
                print(f"{found[name]:+.4f}  {name}", flush=True)
    (out / "effects.json").write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
