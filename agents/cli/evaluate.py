"""`ratchet eval`: the score of one harness on a suite, on this machine, without a campaign."""

import json
import time
from pathlib import Path

import click

from agents.cli.common import (
    UNAVAILABLE,
    USAGE,
    fail,
    json_option,
    no_sandbox_option,
    processes_option,
    running_episodes,
    store_option,
)
from agents.cli.models import harness_model_options
from contracts.jobs import EpisodeJob, EpisodeResult


@click.command(name="eval")
@click.argument("suite")
@click.option(
    "--harness", default="head", show_default=True, help="seed, head, or a hash (6 characters or more)."
)
@click.option("--seeds", type=click.IntRange(1), default=3, show_default=True, help="Seeds a task.")
@click.option("--salt", default="", help="Other words, other seeds.")
@click.option(
    "--part",
    type=click.Choice(["all", "practice", "sealed"]),
    default="all",
    show_default=True,
    help="Which part of the suite.",
)
@click.option("--lineage", default="main", show_default=True, help="Name of the harness's lineage.")
@click.option("--test", "command", default="", help="Test command of a bare directory, as one string.")
@processes_option
@harness_model_options
@no_sandbox_option
@store_option
@json_option
def evaluate(
    suite: str,
    harness: str,
    seeds: int,
    salt: str,
    part: str,
    lineage: str,
    command: str,
    processes: int | None,
    model_words: tuple[str, ...],
    config_file: Path | None,
    no_sandbox: bool,
    store: Path,
    as_json: bool,
) -> None:
    """Score a harness on SUITE (a built-in suite, or a directory of tasks): mean score, and how much is solved.

    Exit codes: 0 done, 1 a fault, 2 wrong usage or input, 3 no sandbox, 130 interrupted.
    """  # fmt: skip
    import shlex

    from rich.console import Console
    from rich.progress import track

    from agents.cli.harness import HarnessUnknown, choose
    from agents.cli.models import ModelsUnknown, harness_source
    from agents.config import ConfigUnreadable
    from agents.executor.local import LocalExecutors
    from agents.models.errors import ModelError
    from agents.tasks.errors import TaskError
    from agents.tasks.suite import load_suite
    from contracts.statistics import cluster_interval, derive_seed
    from eventstore.errors import LedgerError

    try:
        loaded = load_suite(suite, command=shlex.split(command) or None)
        chosen = choose(store, harness, lineage)
        source = harness_source(model_words, config_file, chosen.counts)
    except (TaskError, HarnessUnknown, LedgerError, ModelsUnknown, ConfigUnreadable) as error:
        fail(str(error), code=USAGE, kind=type(error).__name__, as_json=as_json)
    except ModelError as error:
        fail(str(error), code=UNAVAILABLE, kind=type(error).__name__, as_json=as_json)
    for name, reason in loaded.faulty:
        click.echo(f"Warning: task {name} is left out: {reason}", err=True)
    tasks = {
        "all": (*loaded.practice, *loaded.sealed), "practice": loaded.practice, "sealed": loaded.sealed
    }[part]  # fmt: skip
    if not tasks:
        fail(f"the suite {loaded.name} has no {part} tasks", code=USAGE, as_json=as_json)
    fingerprint = source.fingerprint
    keys = [derive_seed("eval", salt, index) for index in range(seeds)]
    jobs = [
        EpisodeJob(
            task=task.digest,
            task_id=task.task.id,
            tree=chosen.tree,
            seed=key,
            fingerprint=fingerprint,
            model=source.spec,
            facts=source.facts,
        )
        for task in tasks
        for key in keys
    ]
    known = {task.digest: task for task in tasks}
    started = time.monotonic()
    with (
        running_episodes(
            interrupted="an evaluation keeps nothing, run it again",
            fault="the infrastructure failed, so there is no score",
            as_json=as_json,
        ),
        LocalExecutors(source, known, processes=processes, unsafe=no_sandbox) as pool,
    ):
        done = track(
            pool.run(chosen.files, jobs),
            "episodes",
            len(jobs),
            console=Console(stderr=True),
            transient=True,
            disable=as_json,
        )
        results = {(result.task_id, result.seed): result for result in done}
    rows = [[results[task.task.id, key] for key in keys] for task in tasks]
    flat = [result for row in rows for result in row]
    summary = {
        "suite": loaded.name,
        "harness": chosen.tree,
        "model_fingerprint": fingerprint,
        "tasks": len(tasks),
        "seeds": seeds,
        "score": round(sum(r.score for r in flat) / len(flat), 6),
        "solved": round(sum(r.solved for r in flat) / len(flat), 6),
        "cost": round(sum(r.usage.cost for r in flat), 6),
        "episodes": len(flat),
    }
    if as_json:
        click.echo(json.dumps(summary))
        return
    _show(rows, summary, time.monotonic() - started)
    if len({task.task.package for task in tasks}) > 1:
        interval = cluster_interval(
            [[r.score for r in row] for row in rows], [t.task.package for t in tasks], key="eval"
        )
        click.echo(f"score {summary['score']:.3f}  [{interval.low:.3f}, {interval.high:.3f}] over packages")


def _show(rows: list[list[EpisodeResult]], summary: dict[str, object], seconds: float) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table("task", "score", "solved", "outcomes", box=None)
    for row in rows:
        mean = sum(r.score for r in row) / len(row)
        solved = sum(r.solved for r in row)
        words = ", ".join(sorted({r.outcome for r in row}))
        table.add_row(row[0].task_id, f"{mean:.2f}", f"{solved}/{len(row)}", words)
    Console().print(table)
    click.echo(
        f"\n{summary['suite']}: harness {str(summary['harness'])[:12]}, "
        f"{summary['episodes']} episodes in {seconds:.0f} s"
    )
    click.echo(f"solved {summary['solved']:.1%} of task-seeds, cost ${summary['cost']:.2f}")
