"""`ratchet solve`: the current harness on a task of the user's own."""

import json
from pathlib import Path

import click

from agents.cli.common import FAILED, INTERRUPTED, UNAVAILABLE, USAGE, fail, json_option, store_option


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
@click.option(
    "--no-sandbox", is_flag=True, help="Run hostile code unprotected. Only on a machine made for it."
)
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
    no_sandbox: bool,
    store: Path,
    as_json: bool,
) -> None:
    """Repair the program in DIRECTORY: a task directory, or any directory with Python files and tests.

    Hidden tests are never looked at, and nothing is changed unless --apply says so.

    Exit codes: 0 solved, 1 not solved, 2 wrong usage or input, 3 no sandbox, 130 interrupted.
    """  # fmt: skip
    import shlex

    import msgspec

    from agents.cli.harness import HarnessUnknown, choose
    from agents.executor.local import LocalExecutors
    from agents.executor.patch import patch_of
    from agents.models.store import embedded_model
    from agents.sandbox import SandboxFault, SandboxUnavailable
    from agents.tasks.errors import TaskError
    from agents.tasks.load import load_bare, load_task, task_digest
    from contracts.chat import Usage
    from contracts.jobs import EpisodeJob
    from contracts.statistics import derive_seed
    from eventstore.errors import LedgerError

    try:
        full = (directory / "task.toml").exists()
        graded = load_task(directory) if full else load_bare(directory, shlex.split(command) or None)
        chosen = choose(store, harness, lineage)
    except (TaskError, HarnessUnknown, LedgerError) as error:
        fail(str(error), code=USAGE, kind=type(error).__name__, as_json=as_json)
    # Whatever hidden tests there are stay on the disk: the visible ones grade.
    visible = msgspec.structs.replace(graded, hidden={}, hidden_tests=graded.task.tests, digest="")
    visible = msgspec.structs.replace(visible, digest=task_digest(visible))
    fingerprint = embedded_model(chosen.counts).fingerprint
    usage, solved, best, made = Usage(), False, None, 0
    try:
        with LocalExecutors(
            chosen.counts, chosen.files, {visible.digest: visible}, processes=1, unsafe=no_sandbox
        ) as pool:
            for attempt in range(1, attempts + 1):
                job = EpisodeJob(
                    task=visible.digest, task_id=visible.task.id, tree=chosen.tree,
                    seed=derive_seed("solve", seed, attempt), fingerprint=fingerprint, transcript=True,
                )  # fmt: skip
                result = next(iter(pool.run([job])))
                usage += result.usage
                made = attempt
                if best is None or result.score > best.score:
                    best = result
                if result.visible_passed:
                    solved = True
                    break
                if not as_json:
                    click.echo(f"attempt {attempt}: {result.outcome}, score {result.score:.2f}", err=True)
    except KeyboardInterrupt:
        fail("interrupted; nothing was changed", code=INTERRUPTED, as_json=as_json)
    except SandboxUnavailable as error:
        fail(str(error), code=UNAVAILABLE, kind="SandboxUnavailable", as_json=as_json)
    except SandboxFault as error:
        fail(f"the infrastructure failed: {error}", code=FAILED, as_json=as_json)
    files = best.files if best is not None and (solved or best.score > 0) else {}
    patch = patch_of(visible.task, files)
    if apply_ and solved:
        root = directory / "workspace" if full else directory
        for path, text in files.items():
            (root / path).write_text(text)
    facts = {
        "task": visible.task.id, "solved": solved, "visible_passed": solved, "patch": patch, "attempts": made,
        "cost": usage.cost,
    }  # fmt: skip
    if as_json:
        click.echo(json.dumps(facts))
    else:
        if patch:
            click.echo(patch)
        applied = "; applied" if apply_ and solved else ""
        click.echo(
            f"{visible.task.id}: {'solved' if solved else 'not solved'} after {made} attempts{applied}",
            err=True,
        )
    raise SystemExit(0 if solved else FAILED)
