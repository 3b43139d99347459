"""`ratchet solve`: the current harness on a task of the user's own."""

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from agents.cli.common import (
    FAILED,
    UNAVAILABLE,
    USAGE,
    fail,
    json_option,
    no_sandbox_option,
    running_episodes,
    store_option,
)
from agents.cli.models import harness_model_options
from contracts.jobs import EpisodeJob, EpisodeResult
from contracts.tasks import GradedTask

if TYPE_CHECKING:
    from agents.cli.harness import Chosen
    from agents.models.sources import ModelSource


@click.command()
@click.argument("directory", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option(
    "--harness", default="head", show_default=True, help="seed, head, or a hash (6 characters or more)."
)
@click.option("--attempts", type=click.IntRange(1, 100), default=3, show_default=True, help="Seeds to try.")
@click.option("--seed", type=int, default=1, show_default=True, help="What the attempts' seeds follow from.")
@click.option("--test", "command", default="", help="Test command of a bare directory, as one string.")
@click.option(
    "--apply", "apply_", is_flag=True, help="Write the patch to DIRECTORY when the visible tests pass."
)
@click.option("--lineage", default="main", show_default=True, help="Name of the harness's lineage.")
@harness_model_options
@no_sandbox_option
@store_option
@json_option
def solve(
    directory: Path,
    harness: str,
    attempts: int,
    seed: int,
    command: str,
    apply_: bool,
    lineage: str,
    model_words: tuple[str, ...],
    config_file: Path | None,
    no_sandbox: bool,
    store: Path,
    as_json: bool,
) -> None:
    """Repair the program in DIRECTORY: a task directory, or any directory with Python files and tests.

    Hidden tests are never looked at, and nothing is changed unless --apply says so.

    Exit codes: 0 solved, 1 not solved, 2 wrong usage or input, 3 no sandbox, 130 interrupted.
    """  # fmt: skip
    import shlex

    from agents.cli.harness import HarnessUnknown, choose
    from agents.cli.models import ModelsUnknown, harness_source
    from agents.config import ConfigUnreadable
    from agents.executor.patch import patch_of
    from agents.models.errors import ModelError
    from agents.tasks.errors import TaskError
    from agents.tasks.load import load_visible
    from eventstore.errors import LedgerError

    try:
        graded = load_visible(directory, shlex.split(command) or None)
        chosen = choose(store, harness, lineage)
        source = harness_source(model_words, config_file, chosen.counts)
    except (TaskError, HarnessUnknown, LedgerError, ModelsUnknown, ConfigUnreadable) as error:
        fail(str(error), code=USAGE, kind=type(error).__name__, as_json=as_json)
    except ModelError as error:
        fail(str(error), code=UNAVAILABLE, kind=type(error).__name__, as_json=as_json)
    with running_episodes(
        interrupted="nothing was changed", fault="the infrastructure failed", as_json=as_json
    ):
        results = _attempts(graded, chosen, source, attempts, seed, unsafe=no_sandbox, quiet=as_json)
    solved = results[-1].visible_passed
    best = results[-1] if solved else max(results, key=lambda result: result.score)
    files = best.files if solved or best.score > 0 else {}
    patch = patch_of(graded.task, files)
    if apply_ and solved:
        root = directory / "workspace" if (directory / "task.toml").exists() else directory
        for path, text in files.items():
            (root / path).write_text(text)
    if as_json:
        facts = {
            "task": graded.task.id, "solved": solved, "visible_passed": solved, "patch": patch,
            "attempts": len(results), "cost": sum(result.usage.cost for result in results),
        }  # fmt: skip
        click.echo(json.dumps(facts))
    else:
        if patch:
            click.echo(patch)
        outcome = "solved" if solved else "not solved"
        applied = "; applied" if apply_ and solved else ""
        click.echo(f"{graded.task.id}: {outcome} after {len(results)} attempts{applied}", err=True)
    raise SystemExit(0 if solved else FAILED)


def _attempts(
    graded: GradedTask,
    chosen: "Chosen",
    source: "ModelSource",
    attempts: int,
    seed: int,
    *,
    unsafe: bool,
    quiet: bool,
) -> list[EpisodeResult]:
    """Episodes until the visible tests pass, at least one."""
    from agents.executor.local import LocalExecutors
    from contracts.statistics import derive_seed

    fingerprint = source.fingerprint
    results: list[EpisodeResult] = []
    known = {graded.digest: graded}
    with LocalExecutors(source, known, processes=1, unsafe=unsafe) as pool:
        for attempt in range(1, attempts + 1):
            job = EpisodeJob(
                task=graded.digest,
                task_id=graded.task.id,
                tree=chosen.tree,
                seed=derive_seed("solve", seed, attempt),
                fingerprint=fingerprint,
                model=source.spec,
                facts=source.facts,
                transcript=True,
            )
            result = next(iter(pool.run(chosen.files, [job])))
            results.append(result)
            if result.visible_passed:
                break
            if not quiet:
                click.echo(f"attempt {attempt}: {result.outcome}, score {result.score:.2f}", err=True)
    return results
