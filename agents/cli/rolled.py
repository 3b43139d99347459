"""How a rollout is shown: while it is under way, as a table, and for programs."""

from collections.abc import Iterator, Sequence
from typing import Any, Self

import click
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn
from rich.table import Table

from contracts.rollouts import MemberResult, RolloutResult, RolloutSpec, job_id, labels, members, work
from eventstore.audit.text import count

WIDE = 160
"""Columns of a table that goes into a file."""


class Meter:
    """A bar on standard error that fills with the steps that are done."""

    def __init__(self, spec: RolloutSpec, *, quiet: bool) -> None:
        console = Console(stderr=True)
        columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
        disable = quiet or not console.is_terminal
        self._progress = Progress(*columns, console=console, transient=True, disable=disable)
        self._task = self._progress.add_task("steps", total=work(spec))

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def advance(self, steps: int) -> None:
        """Some more steps are done."""
        self._progress.advance(self._task, steps)


def summary(spec: RolloutSpec, result: RolloutResult) -> dict[str, Any]:
    """Everything that was asked and found, for programs."""
    found = []
    environments, policies = labels(spec.environments), labels(spec.policies)
    for member, answer in zip(members(spec), result.members, strict=True):
        found.append(
            {
                "environment": environments[member.environment],
                "policy": policies[member.policy],
                "seed": spec.seeds[member.seed],
                "return": mean(answer.returns),
                "length": mean(answer.lengths),
                "terminated": answer.terminated,
                "returns": answer.returns,
                "lengths": answer.lengths,
                "curve": answer.curve,
                "regret": answer.regret,
            }
        )
    return {
        "spec": job_id(spec),
        "episodes": spec.episodes,
        "members": found,
        "steps": result.steps,
        "seconds": round(result.seconds, 3),
        "phases": {name: round(seconds, 3) for name, seconds in result.phases.items()},
        "halvings": result.halvings,
        "library": result.library,
    }


def as_table(spec: RolloutSpec, result: RolloutResult) -> None:
    """A line for each policy in each environment: means over its seeds, and the seeds' own range."""
    several = len(spec.environments) > 1
    regrets = any(answer.regret for answer in result.members)
    table = Table(box=None, pad_edge=False)
    for name in (*(("environment",) if several else ()), "policy"):
        table.add_column(name, overflow="fold")
    for name in ("return", "lowest", "highest", *(("regret",) if regrets else ()), "steps", "cut off"):
        table.add_column(name, justify="right")
    for environment, policy, answers in _rows(spec, result):
        returns = [mean(answer.returns) for answer in answers]
        figures = [f"{number:.4g}" for number in (mean(returns), min(returns), max(returns))]
        if regrets:
            ends = [answer.regret[-1] for answer in answers if answer.regret]
            figures.append(f"{mean(ends):.4g}" if ends else "–")
        cut = 1 - sum(answer.terminated for answer in answers) / (len(answers) * spec.episodes)
        figures += [f"{mean([mean(answer.lengths) for answer in answers]):.4g}", f"{cut:.0%}"]
        table.add_row(*((environment,) if several else ()), policy, *figures)
    console = Console()
    if not console.is_terminal:
        console.width = WIDE
    console.print(table)
    click.echo(
        f"\n{count(len(result.members), 'member')}, {count(len(spec.seeds), 'seed')}, "
        f"{count(spec.episodes, 'episode')} each; {count(result.steps, 'step')} "
        f"in {result.seconds:.1f} s on {result.library}"
    )


def warning(result: RolloutResult) -> str:
    """What to say of a result whose parts were computed by different libraries; empty where one computed all."""
    if ", " not in result.library:
        return ""
    return (
        f"Warning: parts were computed by {result.library.replace(', ', ' and ')}, which round differently, so "
        "policies are not compared on equal terms; use workers of one kind, or --here"
    )


def mean(numbers: Sequence[float]) -> float:
    """Their mean."""
    return sum(numbers) / len(numbers)


def _rows(spec: RolloutSpec, result: RolloutResult) -> Iterator[tuple[str, str, list[MemberResult]]]:
    size, start = len(spec.seeds), 0
    for environment in labels(spec.environments):
        for policy in labels(spec.policies):
            yield environment, policy, list(result.members[start : start + size])
            start += size
