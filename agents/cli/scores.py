"""How an experiment is shown: its best configurations, its stacks, and all predictions as a table."""

import csv
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import click

from contracts.experiment_results import ExperimentResult, StackResult, Summary
from contracts.experiments import ExperimentSpec
from contracts.stacks import Stacking

_SHOWN = 5
"""Weights of a stack that are shown."""
_PARAMETERS = 24
"""Characters that a line of parameters may be cut to where metrics need the room; one word may be shorter."""


def show(spec: ExperimentSpec, result: ExperimentResult, top: int) -> None:
    """Print the `top` configurations by the first metric, then the stacks, and what came in the way of scores."""
    from eventstore.audit.terminal import put, width
    from eventstore.audit.text import count

    table, left_out = _configurations(spec, result, top, width())
    put(table)
    if left_out:
        click.echo(f"\nThere is no room for {left_out}; --json has all figures")
    for number, stack in enumerate(result.stacks):
        _stack(number, stack)
    for gap in (*result.undefined, *(gap for stack in result.stacks for gap in stack.undefined)):
        place = gap.configuration - len(result.configurations)
        family = f" ({result.families[gap.configuration]})" if result.families and place < 0 else ""
        where = f" of stack {place}" if place >= 0 else f" of configuration {gap.configuration}{family}"
        if gap.configurations > 1:
            where += f" and {gap.configurations - 1} more"
        click.echo(
            f"{gap.metric}{where} is undefined {_times(gap.cells)} in fold {gap.fold}: {gap.reason}",
            err=True,
        )
    made = result.provenance
    solvers = f", fitted by {', '.join(made.solvers)}" if made.solvers else ""
    click.echo(
        f"\n{count(len(result.configurations), 'configuration')} x {count(len(result.seeds), 'seed')} x "
        f"{count(result.folds, 'fold')} in {made.seconds:.2f} s on {made.library} ({made.device}){solvers}"
    )


def write_predictions(path: Path, result: ExperimentResult) -> None:
    """What was predicted for the rows held out, as CSV; stacks are numbered on after the configurations."""
    import numpy as np

    found = result.predictions
    if found is None:
        return
    sizes = [len(rows) for rows in found.rows]
    packed = found.values + b"".join(stack.predictions for stack in result.stacks)
    values = np.frombuffer(packed, dtype="<f8").reshape(-1, len(result.seeds), sum(sizes), found.outputs)
    places = [(fold, row) for fold, rows in enumerate(found.rows) for row in rows]
    names: Sequence[str] = ["prediction"] if found.outputs == 1 else [f"p{k}" for k in range(found.outputs)]
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["configuration", "seed", "fold", "row", *names])
        for configuration, own in enumerate(values):
            for seed, word in enumerate(result.seeds):
                for place, (fold, row) in enumerate(places):
                    writer.writerow([configuration, word, fold, row, *map(repr, own[seed, place].tolist())])


def _configurations(spec: ExperimentSpec, result: ExperimentResult, top: int, width: int) -> tuple[Any, str]:
    """The table of the best `top`, and what was left out of it so that it fits into so many columns.

    What tells configurations apart is kept: the spreads of metrics go first, then the last metrics.
    """
    from agents.cli.workbench import direction

    by_place = {(each.configuration, each.metric): each for each in result.summaries}
    first = spec.metrics[0]
    sign = -1.0 if direction(first) == "greater" else 1.0

    def rank(index: int) -> tuple[int, float]:
        """What has a score everywhere comes first: a mean over fewer folds is not compared with one over all."""
        own = by_place[index, first]
        return -own.defined, float("inf") if own.mean is None else sign * own.mean

    of = len(result.seeds) * result.folds
    order = sorted(range(len(result.configurations)), key=rank)[:top]
    varied = _varied(result)
    words = [" ".join(f"{name}={_word(result.configurations[i][name])}" for name in varied[i]) for i in order]
    families = [["family", *(result.families[index] for index in order)]] if result.families else []
    named = [["", *map(str, order)], *families, ["parameters", *words]]
    layouts = [named]
    if not families:
        layouts.insert(
            0, [[name, *(_word(result.configurations[i][name]) for i in order)] for name in varied[0]]
        )
    summaries = {metric: [by_place[index, metric] for index in order] for metric in spec.metrics}
    full = [[metric, *(_score(each, of) for each in found)] for metric, found in summaries.items()]
    bare = [
        [metric, *(_score(each, of, spread=False) for each in found)] for metric, found in summaries.items()
    ]
    for columns in layouts:
        for metrics in (full, bare):
            if _narrowest([*columns, *metrics]) <= width:
                return _table([*columns, *metrics]), "" if metrics == full else "spreads (±)"
    shown = len(bare)
    while shown > 1 and _narrowest([*named, *bare[:shown]]) > width:
        shown -= 1
    left_out = ["spreads (±)"] * (bare != full) + [", ".join(spec.metrics[shown:])] * (shown < len(bare))
    return _table([*named, *bare[:shown]]), " and ".join(left_out)


def _narrowest(columns: Sequence[Sequence[str]]) -> int:
    """Characters that a table of these columns, each with its heading first, takes at least."""
    return sum(_least(column) + 2 for column in columns)


def _least(column: Sequence[str]) -> int:
    if column[0] != "parameters":
        return max(map(len, column))
    return min(_PARAMETERS, max(len(word) for cell in column for word in cell.split()))


def _table(columns: Sequence[Sequence[str]]) -> Any:
    from rich.table import Table

    table = Table(box=None)
    for column in columns:
        whole = column[0] != "parameters"
        table.add_column(column[0], no_wrap=whole, overflow="fold", min_width=_least(column))
    for cells in zip(*(column[1:] for column in columns), strict=True):
        table.add_row(*cells)
    return table


def _varied(result: ExperimentResult) -> list[list[str]]:
    """For each configuration the parameters in which those of its family differ; all, where none does."""
    families = result.families or ("",) * len(result.configurations)
    found: dict[str, list[str]] = {}
    for family in dict.fromkeys(families):
        own = [each for each, name in zip(result.configurations, families, strict=True) if name == family]
        names = [name for name in own[0] if len({json.dumps(each[name]) for each in own}) > 1]
        found[family] = names or list(own[0])
    return [found[family] for family in families]


def _stack(number: int, stack: StackResult) -> None:
    scores = ", ".join(f"{each.metric} {_score(each)}" for each in stack.summaries)
    click.echo(f"\nstack {number}, {_name(stack.stage)}: {scores}")
    if stack.left_out:
        click.echo(f"  left out, as a fit failed: {', '.join(map(str, stack.left_out))}", err=True)
    weights = sorted(_mean_weights(stack), key=lambda pair: -pair[1])
    if weights:
        shown = ", ".join(f"{configuration}: {weight:.3g}" for configuration, weight in weights[:_SHOWN])
        rest = len(weights) - _SHOWN
        divisions = len(stack.weights) * len(stack.weights[0])
        over = "" if divisions == 1 else f", means over {divisions} seeds and repeats"
        click.echo(f"  weights by configuration{over}: {shown}{f', {rest} more' if rest > 0 else ''}")


def _mean_weights(stack: StackResult) -> Iterator[tuple[int, float]]:
    """Configurations with their mean weight, but for those that have none."""
    sums: dict[int, float] = {}
    count = 0
    for seeds in zip(stack.members, stack.weights, strict=False):
        for members, weights in zip(*seeds, strict=True):
            count += 1
            for member, weight in zip(members, weights, strict=False):
                sums[member] = sums.get(member, 0.0) + weight
    for member, total in sums.items():
        if total > 0:
            yield member, total / count


def _name(stage: Stacking) -> str:
    looked_at = f"the best {stage.best}" if stage.best else "all"
    return f"{stage.method} of {looked_at}"


def _word(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _score(summary: Summary, of: int = 0, *, spread: bool = True) -> str:
    """A mean and its spread; and over how many scores it is, where that is not all of them."""
    if summary.mean is None:
        return "undefined"
    deviation = f" ± {summary.deviation:.2g}" if spread and summary.deviation is not None else ""
    some = f" ({summary.defined} of {of})" if summary.defined < of else ""
    return f"{summary.mean:.5g}{deviation}{some}"


def _times(number: int) -> str:
    return "once," if number == 1 else f"{number:,} times, first"
