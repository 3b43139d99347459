"""What ledgers of finished campaigns say: what was found, how good predictions were, how often A/A arms were kept."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

import contracts
from agents.tasks.describe import PackageFile, decode_toml
from contracts.gate import USUAL
from contracts.statistics import wilson_interval

SPREAD = 0.5
"""Standard deviation, between packages, of what a change does to the log-odds."""


def discovered(ledger: Mapping[str, Any]) -> list[str]:
    """The kept changes of a campaign, as a table."""
    rows = ["| round | surface | change | predicted | measured | p |", "|---|---|---|---|---|---|"]
    rows += [
        f"| {line['name'].removeprefix('r')} | {line['surface']} | {line['title']} | {line['predicted']:+.3f} "
        f"| {line['effect']:+.3f} [{line['low']:+.3f}, {line['high']:+.3f}] | {line['p']:.4f} |"
        for line in ledger["report"]["rounds"]
        if line["decision"] == "kept"
    ]
    return rows


def calibration(ledgers: Sequence[Mapping[str, Any]]) -> list[str]:
    """Predicted effects of confirmed changes, in thirds, against what fresh seeds showed."""
    pairs = [
        (line["predicted"], line["effect"])
        for ledger in ledgers
        for line in ledger["report"]["rounds"]
        if line["effect"] is not None and line["predicted"] is not None
    ]
    if len(pairs) < 6:
        return []
    table = np.array(sorted(pairs))
    rows = ["| predicted | measured, mean | ahead | confirmations |", "|---|---|---|---|"]
    rows += [
        f"| {third[0, 0]:+.3f} to {third[-1, 0]:+.3f} (mean {third[:, 0].mean():+.3f}) "
        f"| {third[:, 1].mean():+.3f} | {(third[:, 1] > 0).mean():.0%} | {len(third)} |"
        for third in np.array_split(table, 3)
    ]
    return [*rows, "", f"correlation of predicted and measured: {np.corrcoef(table.T)[0, 1]:+.2f}"]


def nulls(ledgers: Sequence[Mapping[str, Any]]) -> str:
    """How often an A/A arm was kept, over all ledgers."""
    measured = sum(ledger["nulls"] for ledger in ledgers)
    if not measured:
        return "no A/A arm was measured"
    share = wilson_interval(sum(ledger["nulls_kept"] for ledger in ledgers), measured)
    return f"A/A arms kept: {share.estimate:.1%} [{share.low:.1%}, {share.high:.1%}] of {measured}"


def world(practice: Mapping[str, Any], ledgers: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """What the gate's simulation needs of the suite: chances, and changes as large as those that raced.

    What races show of an effect is the effect and the noise of a race. The effects are drawn in to what is left of
    their spread without the noise.
    """
    raced = np.array([effect for ledger in ledgers for effect in ledger["raced"]])
    packages = practice["packages"]
    noise = USUAL.within**2 / len(packages) + USUAL.between**2 / len(set(packages))
    true = max(0.0, float(raced.var()) - noise)
    effects = raced.mean() + (raced - raced.mean()) * np.sqrt(true / raced.var())
    solved = np.array(practice["scores"])
    chances = (solved.sum(axis=1) + 0.1) / (solved.shape[1] + 1)
    return {
        "packages": packages,
        "seed": [round(float(chance), 4) for chance in chances],
        "effects": sorted(round(float(effect), 4) for effect in effects),
        "spread": SPREAD,
    }


def difficulty(base: Mapping[str, Any], finals: Sequence[Mapping[str, Any]]) -> list[str]:
    """How hard the tasks are: for the seed harness, and for what campaigns made of it, by what is to be mended."""
    sorts = _sorts()
    before = {task: float(np.mean(row)) for task, row in zip(base["tasks"], base["scores"], strict=True)}
    after = {
        task: float(np.mean([np.mean(found["scores"][at]) for found in finals]))
        for at, task in enumerate(base["tasks"])
    }
    rows = ["| to be mended | tasks | seed | after campaigns |", "|---|---|---|---|"]
    for sort in (*dict.fromkeys(sorts.values()), "all"):
        tasks = [task for task in before if sort in (sorts[task], "all")]
        means = [np.mean([scores[task] for task in tasks]) for scores in (before, after)]
        rows.append(f"| {sort} | {len(tasks)} | {means[0]:.3f} | {means[1]:.3f} |")
    easy = sorted(task for task in before if before[task] > 0.9)
    hopeless = sorted(task for task in before if not before[task] and not after[task])
    return [
        *rows,
        "",
        f"solved nearly always by the seed: {', '.join(easy) or 'none'}",
        f"never a point for any: {len(hopeless)} ({', '.join(hopeless) or 'none'})",
    ]


def _sorts() -> dict[str, str]:
    """Task → whether one edit mends it, the same in several places, or different ones."""
    found = {}
    for path in sorted(
        (Path(contracts.__file__).parents[1] / "suites" / "repair" / "tasks").glob("*/package.toml")
    ):
        name = path.parent.name
        package = decode_toml(path.read_text(), PackageFile, task=name, shown=path.name)
        for number, variant in enumerate(package.variant, 1):
            alike = len(set(variant.kinds)) == 1
            sort = (
                "one edit"
                if len(variant.mistake) == 1
                else "one pattern, several places"
                if alike
                else "different edits"
            )
            found[f"{name}-{number}"] = sort
    return found


def spent(name: str, ledger: Mapping[str, Any]) -> str:
    """What a campaign took."""
    report = ledger["report"]
    used, seconds = report["spent"], report["seconds"]
    return (
        f"{name}: {len(report['rounds'])} rounds in {seconds / 60:.1f} min, {used['episodes']:,} episodes "
        f"({used['episodes'] / max(1.0, seconds):.0f} a second), {used['model_calls']:,} model calls, "
        f"{used['test_runs']:,} test runs; fingerprint {ledger['fingerprint'][:12]}"
    )
