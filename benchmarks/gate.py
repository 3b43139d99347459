"""How often the gate keeps what helps, and what does not: rules compared on two suites of chances.

Every decision is made by `contracts.gate` itself. A task is a chance of being solved; a change moves the
chances; an episode is one draw, independent in both arms (no shared luck, which would only help). One suite is
synthetic, the other are the practice tasks of `repair` as they were measured (`benchmarks/data/repair.json`, made by
`benchmarks/campaign.py … export`): the seed harness's chances, and changes as large as those that raced.

    python -m benchmarks.gate [--quick] [--json]
"""

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import msgspec
import numpy as np
from numpy.typing import NDArray

from contracts.gate import ArmScores, GateSettings, confirm, protected_tasks, race, release
from contracts.statistics import cluster_means, derive_seed, sign_flip_p, wilson_interval

Odds = NDArray[np.float64]

DATA = Path(__file__).parent / "data" / "repair.json"
ROUNDS = 30
SEALED = tuple(f"sealed-{i:02}" for i in range(48))


@dataclass(frozen=True)
class World:
    """A suite as the simulation sees it."""

    name: str
    odds: Odds
    """Chances of the seed harness, task by task."""
    clusters: tuple[str, ...]
    change: Callable[[np.random.Generator, Odds], Odds]
    """What a proposed change makes of the chances."""

    @property
    def tasks(self) -> int:
        """How many there are."""
        return len(self.odds)


@dataclass(frozen=True)
class Rule:
    """A way to decide; `looks` replaces race and confirmation by looks at so many seeds."""

    name: str
    settings: GateSettings
    looks: tuple[int, ...] = ()


def rule(candidates: int, race_seeds: int, confirm_seeds: int, alpha: float) -> Rule:
    return Rule(
        f"{candidates} x ({race_seeds} + {confirm_seeds}), alpha {alpha:.2f}",
        GateSettings(
            candidates=candidates,
            race_seeds=race_seeds,
            confirm_seeds=confirm_seeds,
            alpha=alpha,
            resamples=100,  # the p-value is counted exactly; only the reported interval is coarse
        ),
    )


RULES = (
    Rule("1, looks at 2 / 4 / 8, alpha 0.20", GateSettings(candidates=1, alpha=0.2), looks=(2, 4, 8)),
    rule(1, 4, 24, 0.20),
    rule(4, 3, 16, 0.20),
    rule(4, 3, 16, 0.10),
    rule(6, 4, 24, 0.20),
    rule(6, 4, 24, 0.10),
    rule(8, 3, 16, 0.20),
)
SMALL_RULES = (
    rule(1, 1, 6, 0.20),
    rule(4, 1, 6, 0.10),
    rule(4, 1, 6, 0.20),
    rule(4, 1, 3, 0.20),
    rule(8, 1, 3, 0.10),
    rule(8, 1, 3, 0.20),
    rule(8, 1, 4, 0.20),
    rule(8, 1, 3, 0.99),
)
"""With seeds as they are right where there are three tasks in a package, as in `repair`; the last keeps nearly anything
that is ahead twice."""


def shifted(odds: Odds, shift: Odds | float) -> Odds:
    """The chances after their log-odds were moved."""
    safe = odds.clip(1e-6, 1 - 1e-6)
    moved: Odds = 1 / (1 + (1 - safe) / safe * np.exp(-shift))
    return moved


def invented(rng: np.random.Generator, odds: Odds) -> Odds:
    """What a proposed change does: 30 % nothing, 20 % harm, 50 % some good, unlike from task to task."""
    kind = rng.random()
    if kind < 0.3:
        return odds
    size = rng.uniform(0.0, 0.3) * (-1 if kind < 0.5 else 1)
    return shifted(odds, rng.normal(size, 0.15, len(odds)))


def synthetic() -> World:
    """28 tasks, each a cluster of its own; the chances' mean is about a fifth."""
    odds = np.random.default_rng(2718).beta(0.4, 1.6, 28)
    return World("synthetic", odds, tuple(f"package-{i:02}" for i in range(28)), invented)


def measured() -> World | None:
    """The suite `repair` as it was measured; None where the data is missing."""
    if not DATA.exists():
        return None
    data = json.loads(DATA.read_bytes())
    clusters, effects = tuple(data["packages"]), data["effects"]
    names = sorted(set(clusters))
    places = np.array([names.index(cluster) for cluster in clusters])

    def change(rng: np.random.Generator, odds: Odds) -> Odds:
        size = rng.choice(effects)
        shift = rng.normal(0.0, data["spread"], len(names))[places]
        low, high = -6.0, 6.0
        while high - low > 1e-3:  # the common shift that moves the mean by as much as was measured
            middle = (low + high) / 2
            low, high = (
                (low, middle) if shifted(odds, shift + middle).mean() - odds.mean() > size else (middle, high)
            )
        return shifted(odds, shift + low)

    return World("repair", np.array(data["seed"]), clusters, change)


def episodes(rng: np.random.Generator, odds: Odds, seeds: int, tree: str = "") -> ArmScores:
    drawn = (rng.random((len(odds), seeds)) < odds[:, None]).astype(float)
    return ArmScores(tree=tree, scores=tuple(map(tuple, drawn.tolist())), cost=1.0, episodes=drawn.size)


def decide(
    rng: np.random.Generator, world: World, odds: Odds, field: list[Odds], rule: Rule
) -> tuple[Odds | None, int]:
    """The chances after a change was kept (None: all reverted), and the episodes that it took."""
    if rule.looks:
        return look(rng, world, odds, field[0], rule)
    settings = rule.settings
    incumbent = episodes(rng, odds, settings.race_seeds)
    arms = [episodes(rng, each, settings.race_seeds, f"{i}") for i, each in enumerate(field)]
    spent = world.tasks * settings.race_seeds * (1 + len(field))
    best = race(incumbent, arms, world.clusters, settings).best
    if best is None:
        return None, spent
    verdict = confirm(
        episodes(rng, odds, settings.confirm_seeds),
        episodes(rng, field[best], settings.confirm_seeds),
        world.clusters,
        settings,
        key="benchmark",
        protected=protected_tasks(incumbent, settings),
    )
    spent += 2 * world.tasks * settings.confirm_seeds
    return (field[best] if verdict.decision == "keep" else None), spent


def look(
    rng: np.random.Generator, world: World, odds: Odds, candidate: Odds, rule: Rule
) -> tuple[Odds | None, int]:
    """Look at the growing evidence, give up at the first look that is not above zero, test at the last."""
    old = rng.random((world.tasks, rule.looks[-1])) < odds[:, None]
    new = rng.random((world.tasks, rule.looks[-1])) < candidate[:, None]
    for seeds in rule.looks:
        d = cluster_means(new[:, :seeds], old[:, :seeds], world.clusters)
        if d.sum() <= 0:
            return None, 2 * world.tasks * seeds
    kept = sign_flip_p(d, key="benchmark").p <= rule.settings.alpha
    return (candidate if kept else None), 2 * world.tasks * rule.looks[-1]


def campaigns(world: World, rule: Rule, runs: int) -> dict[str, object]:
    """Relative gain of the true mean chance after a campaign, and what the campaign took."""
    gains, spent, kept, worse = [], 0, 0, 0
    for run in range(runs):
        rng = np.random.default_rng(int(derive_seed("gate", run), 16))  # the same campaigns for every rule
        odds = world.odds
        for _ in range(ROUNDS):
            field = [world.change(rng, odds) for _ in range(rule.settings.candidates)]
            result, used = decide(rng, world, odds, field, rule)
            spent += used
            if result is not None:
                kept += 1
                worse += bool(result.mean() <= odds.mean())
                odds = result
        gains.append(float(odds.mean() / world.odds.mean() - 1))
    low, middle, high = np.percentile(gains, (25, 50, 75))
    return {
        "rule": rule.name,
        "gain": [round(float(g), 3) for g in (low, middle, high)],
        "episodes": spent // runs,
        "kept": round(kept / runs, 1),
        "kept_in_error": round(worse / kept, 3) if kept else 0.0,
    }


def null_rounds(world: World, rule: Rule, rounds: int) -> dict[str, object]:
    """How often a round of changes that do nothing (salted copies of the incumbent) ends with one kept."""
    rng = np.random.default_rng(31)
    field = [world.odds] * rule.settings.candidates
    kept = sum(decide(rng, world, world.odds, field, rule)[0] is not None for _ in range(rounds))
    interval = wilson_interval(kept, rounds)
    return {
        "rule": rule.name,
        "kept": round(interval.estimate, 3),
        "interval": [round(interval.low, 3), round(interval.high, 3)],
        "rounds": rounds,
    }


def power_curve(world: World, counts: Sequence[int], runs: int) -> list[dict[str, object]]:
    """How often a change with a true mean effect, the same on all tasks, is confirmed at the default level."""
    rng = np.random.default_rng(47)
    odds = np.linspace(0.05, 0.75, world.tasks)
    rows: list[dict[str, object]] = []
    for effect in (0.0, 0.02, 0.05, 0.1, 0.2):
        row: dict[str, object] = {"effect": effect}
        for seeds in counts:
            settings = msgspec.structs.replace(GateSettings(), resamples=100, confirm_seeds=seeds)
            kept = 0
            for _ in range(runs):
                old, new = episodes(rng, odds, seeds), episodes(rng, odds + effect, seeds)
                kept += confirm(old, new, world.clusters, settings, key="benchmark").decision == "keep"
            row[f"{seeds} seeds"] = round(kept / runs, 3)
        rows.append(row)
    return rows


def releases(runs: int, gain: float) -> dict[str, object]:
    """First check on 48 sealed tasks with 20 seeds: how often it passes, and its interval holds the truth."""
    rng = np.random.default_rng(59)
    passed = covered = 0
    for run in range(runs):
        odds = rng.beta(0.4, 1.6, len(SEALED))
        better = np.minimum(1, odds * (1 + gain))
        truth = float(better.mean() - odds.mean())
        last, head = episodes(rng, odds, 20), episodes(rng, better, 20)
        verdict = release(last, head, SEALED, 1, key=f"{run}", resamples=2000)
        passed += verdict.passed
        covered += verdict.low <= truth <= verdict.high
    return {
        "true_gain": gain,
        "passed": round(passed / runs, 3),
        "interval_holds_truth": round(covered / runs, 3),
        "runs": runs,
    }


def accumulated_null(world: World, rule: Rule, campaigns_run: int) -> dict[str, object]:
    """A hundred rounds of changes that do nothing: what is reported from fresh seeds at the end, and kept."""
    rng = np.random.default_rng(61)
    kept = covered = claimed = 0
    reported = []
    for run in range(campaigns_run):
        for _ in range(100):
            field = [world.odds] * rule.settings.candidates
            kept += decide(rng, world, world.odds, field, rule)[0] is not None
        odds = rng.beta(0.4, 1.6, len(SEALED))
        last, head = episodes(rng, odds, 20), episodes(rng, odds, 20)
        verdict = release(last, head, SEALED, 1, key=f"{run}", resamples=2000)
        reported.append(verdict.effect)
        covered += verdict.low <= 0 <= verdict.high
        claimed += verdict.passed
    return {
        "campaigns": campaigns_run,
        "kept_per_hundred_rounds": round(kept / campaigns_run, 1),
        "mean_reported_gain": round(float(np.mean(reported)), 4),
        "interval_holds_zero": round(covered / campaigns_run, 3),
        "claimed": round(claimed / campaigns_run, 3),
    }


@click.command()
@click.option("--quick", is_flag=True, help="Fewer runs, below 20 seconds.")
@click.option("--json", "as_json", is_flag=True, help="Print the figures as JSON.")
def main(quick: bool, as_json: bool) -> None:
    """Compare rules, and measure the default rule's noise and power."""
    start = time.perf_counter()
    runs, rounds, decisions = (6, 150, 60) if quick else (100, 2000, 600)
    made = synthetic()
    figures: dict[str, Any] = {
        "suite": {
            "tasks": made.tasks,
            "rounds": ROUNDS,
            "mean": round(float(made.odds.mean()), 4),
            "runs": runs,
        },
        "campaigns": [campaigns(made, each, runs) for each in RULES],
        "null_rounds": [null_rounds(made, each, rounds) for each in RULES],
        "power": power_curve(made, (4, 8, 16, 24), decisions),
        "releases": [releases(decisions, gain) for gain in (0.0, 0.3, 0.6)],
        "hundred_null_rounds": accumulated_null(made, RULES[-1], 2 if quick else 400),
    }
    real = measured()
    if real is not None:
        mean = round(float(real.odds.mean()), 4)
        figures["repair"] = {
            "tasks": real.tasks,
            "packages": len(set(real.clusters)),
            "mean": mean,
            "runs": runs,
        }
        figures["repair_campaigns"] = [campaigns(real, each, runs) for each in SMALL_RULES]
        figures["repair_null_rounds"] = [null_rounds(real, each, rounds) for each in SMALL_RULES]
        figures["repair_power"] = power_curve(real, (2, 3, 4, 6, 8), decisions)
    figures["seconds"] = round(time.perf_counter() - start, 1)
    if as_json:
        print(json.dumps(figures, indent=2))
        return
    for name, rows in figures.items():
        print(f"\n{name}")
        for row in rows if isinstance(rows, list) else [rows]:
            print("  " + json.dumps(row))


if __name__ == "__main__":
    main()
