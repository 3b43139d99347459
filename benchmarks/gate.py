"""How often the gate keeps what helps, and what does not: rules compared on a synthetic suite.

Every decision is made by `contracts.gate` itself. A task is a chance of being solved; a change moves the
chances; an episode is one draw, independent in both arms (no shared luck, which would only help).

    python benchmarks/gate.py [--quick] [--json]
"""

import json
import time
from dataclasses import dataclass
from typing import Any

import click
import msgspec
import numpy as np
from numpy.typing import NDArray

from contracts.gate import ArmScores, GateSettings, confirm, protected_tasks, race, release
from contracts.statistics import cluster_means, derive_seed, sign_flip_p, wilson_interval

Odds = NDArray[np.float64]

TASKS = 28
CLUSTERS = tuple(f"package-{i:02}" for i in range(TASKS))
ROUNDS = 30
SUITE = np.random.default_rng(2718).beta(0.4, 1.6, TASKS)
"""Chances of the seed harness; their mean is about a fifth."""
SEALED = tuple(f"sealed-{i:02}" for i in range(48))


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
)


def change(rng: np.random.Generator, odds: Odds) -> Odds:
    """What a proposed change does: 30 % nothing, 20 % harm, 50 % some good, unlike from task to task."""
    kind = rng.random()
    if kind < 0.3:
        return odds
    size = rng.uniform(0.0, 0.3) * (-1 if kind < 0.5 else 1)
    shift = rng.normal(size, 0.15, len(odds))
    safe = odds.clip(1e-6, 1 - 1e-6)
    moved: Odds = 1 / (1 + (1 - safe) / safe * np.exp(-shift))
    return moved


def episodes(rng: np.random.Generator, odds: Odds, seeds: int, tree: str = "") -> ArmScores:
    drawn = (rng.random((len(odds), seeds)) < odds[:, None]).astype(float)
    return ArmScores(tree=tree, scores=tuple(map(tuple, drawn.tolist())), cost=1.0, episodes=drawn.size)


def decide(rng: np.random.Generator, odds: Odds, field: list[Odds], rule: Rule) -> tuple[Odds | None, int]:
    """The chances after a change was kept (None: all reverted), and the episodes that it took."""
    if rule.looks:
        return look(rng, odds, field[0], rule)
    settings = rule.settings
    incumbent = episodes(rng, odds, settings.race_seeds)
    arms = [episodes(rng, each, settings.race_seeds, f"{i}") for i, each in enumerate(field)]
    spent = TASKS * settings.race_seeds * (1 + len(field))
    best = race(incumbent, arms, CLUSTERS, settings).best
    if best is None:
        return None, spent
    verdict = confirm(
        episodes(rng, odds, settings.confirm_seeds),
        episodes(rng, field[best], settings.confirm_seeds),
        CLUSTERS,
        settings,
        key="benchmark",
        protected=protected_tasks(incumbent, settings),
    )
    spent += 2 * TASKS * settings.confirm_seeds
    return (field[best] if verdict.decision == "keep" else None), spent


def look(rng: np.random.Generator, odds: Odds, candidate: Odds, rule: Rule) -> tuple[Odds | None, int]:
    """Look at the growing evidence, give up at the first look that is not above zero, test at the last."""
    old = rng.random((TASKS, rule.looks[-1])) < odds[:, None]
    new = rng.random((TASKS, rule.looks[-1])) < candidate[:, None]
    for seeds in rule.looks:
        d = cluster_means(new[:, :seeds], old[:, :seeds], CLUSTERS)
        if d.sum() <= 0:
            return None, 2 * TASKS * seeds
    kept = sign_flip_p(d, key="benchmark").p <= rule.settings.alpha
    return (candidate if kept else None), 2 * TASKS * rule.looks[-1]


def campaigns(rule: Rule, runs: int) -> dict[str, object]:
    """Relative gain of the true mean chance after a campaign, and what the campaign took."""
    gains, spent, kept, worse = [], 0, 0, 0
    for run in range(runs):
        rng = np.random.default_rng(int(derive_seed("gate", run), 16))  # the same campaigns for every rule
        odds = SUITE
        for _ in range(ROUNDS):
            field = [change(rng, odds) for _ in range(rule.settings.candidates)]
            result, used = decide(rng, odds, field, rule)
            spent += used
            if result is not None:
                kept += 1
                worse += bool(result.mean() <= odds.mean())
                odds = result
        gains.append(float(odds.mean() / SUITE.mean() - 1))
    low, middle, high = np.percentile(gains, (25, 50, 75))
    return {
        "rule": rule.name,
        "gain": [round(float(g), 3) for g in (low, middle, high)],
        "episodes": spent // runs,
        "kept": round(kept / runs, 1),
        "kept_in_error": round(worse / kept, 3) if kept else 0.0,
    }


def null_rounds(rule: Rule, rounds: int) -> dict[str, object]:
    """How often a round of changes that do nothing (salted copies of the incumbent) ends with one kept."""
    rng = np.random.default_rng(31)
    field = [SUITE] * rule.settings.candidates
    kept = sum(decide(rng, SUITE, field, rule)[0] is not None for _ in range(rounds))
    interval = wilson_interval(kept, rounds)
    return {
        "rule": rule.name,
        "kept": round(interval.estimate, 3),
        "interval": [round(interval.low, 3), round(interval.high, 3)],
        "rounds": rounds,
    }


def power_curve(runs: int) -> list[dict[str, object]]:
    """How often a change with a true mean effect is confirmed at the default level."""
    rng = np.random.default_rng(47)
    odds = np.linspace(0.05, 0.75, TASKS)
    rows: list[dict[str, object]] = []
    for effect in (0.0, 0.02, 0.05, 0.1, 0.2):
        row: dict[str, object] = {"effect": effect}
        for seeds in (4, 8, 16, 24):
            settings = msgspec.structs.replace(GateSettings(), resamples=100, confirm_seeds=seeds)
            kept = 0
            for _ in range(runs):
                old, new = episodes(rng, odds, seeds), episodes(rng, odds + effect, seeds)
                kept += confirm(old, new, CLUSTERS, settings, key="benchmark").decision == "keep"
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


def accumulated_null(campaigns_run: int) -> dict[str, object]:
    """A hundred rounds of changes that do nothing: what is reported from fresh seeds at the end, and kept."""
    rng = np.random.default_rng(61)
    rule = RULES[3]
    kept = covered = claimed = 0
    reported = []
    for run in range(campaigns_run):
        for _ in range(100):
            field = [SUITE] * rule.settings.candidates
            kept += decide(rng, SUITE, field, rule)[0] is not None
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
    figures: dict[str, Any] = {
        "suite": {"tasks": TASKS, "rounds": ROUNDS, "mean": round(float(SUITE.mean()), 4), "runs": runs},
        "campaigns": [campaigns(each, runs) for each in RULES],
        "null_rounds": [null_rounds(each, rounds) for each in RULES],
        "power": power_curve(decisions),
        "releases": [releases(decisions, gain) for gain in (0.0, 0.3, 0.6)],
        "hundred_null_rounds": accumulated_null(2 if quick else 40),
    }
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
