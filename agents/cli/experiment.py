"""`ratchet experiment`: models fitted and scored on the folds of a table, by the workers of a bus or here."""

import json
import os
import signal
from collections.abc import Callable
from pathlib import Path

import anyio
import click

from agents.cli.common import (
    FAILED,
    INTERRUPTED,
    UNAVAILABLE,
    USAGE,
    fail,
    json_option,
    store_option,
)
from contracts.datasets import DataSet
from contracts.experiment_results import ExperimentResult
from contracts.experiments import ExperimentSpec, experiment_id


class _Interrupted(Exception):
    """Raised when Ctrl-C ended the waiting."""


@click.command()
@click.argument("spec", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--top", type=click.IntRange(1), default=10, show_default=True, help="Configurations to show.")
@click.option(
    "--predictions",
    "predictions_file",
    type=click.Path(dir_okay=False, path_type=Path),
    default=None,
    help="Write what was predicted for the rows held out, as CSV.",
)
@click.option(
    "--patience",
    type=click.FloatRange(0.1),
    default=10.0,
    show_default=True,
    help="Seconds that a worker has to take it up; then it is computed here.",
)
@click.option("--bus", "bus", envvar="RATCHET_BUS", default="", help="URL of the bus, nats://…")
@store_option
@json_option
def experiment(
    spec: Path,
    top: int,
    predictions_file: Path | None,
    patience: float,
    bus: str,
    store: Path,
    as_json: bool,
) -> None:
    """Compute the experiment in SPEC, a TOML file as in docs/experiments.md, and show the best configurations.

    Workers of a running bus compute it; where no bus runs, this process does.

    Exit codes: 0 done, 1 it cannot be computed, 2 wrong input, 3 no bus or no worker, 130 interrupted.
    """
    import msgspec
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    from agents.cli.recipes import read_experiment
    from agents.cli.scores import show, write_predictions

    try:
        asked, data = read_experiment(spec)
    except ValueError as error:
        fail(str(error), code=USAGE, kind="spec", as_json=as_json)
    if predictions_file is not None:
        if wrong := _unwritable(predictions_file):  # before anything is computed
            reason = f"{predictions_file} cannot be written: {wrong}"
            fail(reason, code=USAGE, kind="predictions", as_json=as_json)
        asked = msgspec.structs.replace(asked, predictions=True)
    shown = Console(stderr=True)
    columns = (TextColumn("fits"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Bar(*columns, console=shown, transient=True, disable=as_json or not shown.is_terminal) as bar:
        task = bar.add_task("fits", total=None)
        result = _result(
            asked, data, store=store, bus=bus, patience=patience, as_json=as_json,
            listen=lambda done, total: bar.update(task, completed=done, total=total),
        )  # fmt: skip
    if predictions_file is not None:
        try:
            write_predictions(predictions_file, result)
        except OSError as error:
            reason = f"{predictions_file} could not be written: {error.strerror}"
            fail(reason, code=FAILED, kind="predictions", as_json=as_json)
    if as_json:
        stacks = tuple(msgspec.structs.replace(stack, predictions=b"") for stack in result.stacks)
        facts = msgspec.to_builtins(msgspec.structs.replace(result, predictions=None, stacks=stacks))
        click.echo(json.dumps({"id": experiment_id(asked), **facts}))
        return
    show(asked, result, top)


def _unwritable(path: Path) -> str:
    """Why a file cannot be written; "" where it most likely can."""
    folder = path.absolute().parent
    if not folder.is_dir():
        return f"there is no folder {path.parent}"
    writable = os.access(path if path.exists() else folder, os.W_OK)
    return "" if writable else "the permission is missing"


def _result(
    spec: ExperimentSpec,
    data: DataSet | None,
    *,
    store: Path,
    bus: str,
    patience: float,
    as_json: bool,
    listen: Callable[[int, int], None],
) -> ExperimentResult:
    """The result, from wherever it can be had; what goes wrong ends the command."""
    from agents.cli.remote import NoLedger, NoWorker
    from agents.cli.workbench import ExperimentRefused, compute_here
    from bus.errors import BusError
    from eventstore.errors import LedgerError

    try:
        try:
            found = anyio.run(_on_the_bus, spec, data, store, bus, patience, listen)
        except (NoWorker, NoLedger) as error:
            if spec.needs.gpu or data is None:
                remedy = " on a machine with a GPU, or leave out `needs.gpu`" if spec.needs.gpu else ""
                fail(f"{error}{remedy}", code=UNAVAILABLE, kind=type(error).__name__, as_json=as_json)
            if not as_json:
                click.echo(f"{error}. Meanwhile it is computed here.", err=True)
            found = None
        if found is not None:
            return found
        if data is None:
            fail(
                "no bus runs, and only a ledger on one has the blob; start `python -m bus serve`, "
                "`python -m eventstore serve` and `python -P -m gpu_workers`, or name a `csv`",
                code=UNAVAILABLE,
                as_json=as_json,
            )
        return compute_here(spec, data, listen)
    except ExperimentRefused as error:
        code = UNAVAILABLE if error.kind == "unavailable" else USAGE if error.kind == "refused" else FAILED
        fail(str(error), code=code, kind=error.kind, as_json=as_json)
    except (BusError, LedgerError) as error:
        fail(str(error), code=UNAVAILABLE, kind=type(error).__name__, as_json=as_json)
    except KeyboardInterrupt:
        fail("interrupted; nothing was kept", code=INTERRUPTED, as_json=as_json)
    except _Interrupted:
        fail("interrupted; the experiment was withdrawn", code=INTERRUPTED, as_json=as_json)


async def _on_the_bus(
    spec: ExperimentSpec,
    data: DataSet | None,
    store: Path,
    bus: str,
    patience: float,
    listen: Callable[[int, int], None],
) -> ExperimentResult | None:
    """The result by the workers of a bus; None where no bus runs."""
    from agents.cli.remote import compute_there
    from agents.cli.session import running_bus

    connection = await running_bus(store, bus, name="ratchet-experiment")
    if connection is None:
        return None
    found: list[ExperimentResult] = []
    errors: list[Exception] = []
    async with connection, anyio.create_task_group() as group:

        async def wait() -> None:
            try:
                found.append(await compute_there(connection, spec, data, listen, patience=patience))
            except Exception as error:
                errors.append(error)
            group.cancel_scope.cancel()

        group.start_soon(wait)
        with anyio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
            async for _ in signals:
                errors.append(_Interrupted())
                break
        group.cancel_scope.cancel()
    if errors:
        raise errors[0]
    return found[0]
