"""`ratchet submit`: a task published to the bus; a running agent solves it, and the result comes back."""

import json
import sys
import time
import uuid
from pathlib import Path

import anyio
import click
import msgspec

from agents.cli.common import FAILED, INTERRUPTED, UNAVAILABLE, USAGE, fail, json_option, store_option
from contracts import events as e
from contracts.tasks import GradedTask


@click.command()
@click.argument("directory", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--attempts", type=click.IntRange(1, 100), default=3, show_default=True, help="Seeds to try.")
@click.option("--wait/--no-wait", default=True, show_default=True, help="Wait for the result.")
@click.option(
    "--timeout", type=click.FloatRange(1), default=600.0, show_default=True, help="Seconds to wait."
)
@click.option("--test", "command", default="", help="Test command of a bare directory, as one string.")
@click.option("--lineage", default="main", show_default=True, help="Name of the harness's lineage.")
@click.option("--bus", "bus", envvar="RATCHET_BUS", default="", help="URL of the bus, nats://…")
@store_option
@json_option
def submit(
    directory: Path,
    attempts: int,
    wait: bool,
    timeout: float,
    command: str,
    lineage: str,
    bus: str,
    store: Path,
    as_json: bool,
) -> None:
    """Publish the task in DIRECTORY for running agents (a `ratchet run`, or executors started by hand).

    Exit codes: 0 solved (or published, with --no-wait), 1 not solved, 2 wrong input, 3 no bus or no answer.
    """  # fmt: skip
    import shlex

    from agents.errors import Unconfigured
    from agents.process import bus_url
    from agents.tasks.errors import TaskError
    from agents.tasks.load import load_visible
    from bus.errors import BusError
    from eventstore.errors import LedgerError

    try:
        visible = load_visible(directory, shlex.split(command) or None)
        url = bus_url(bus, str(store))
    except (TaskError, Unconfigured) as error:
        fail(str(error), code=USAGE, kind=type(error).__name__, as_json=as_json)
    name = f"{visible.task.id}-{uuid.uuid4().hex[:8]}"
    submitted = e.TaskSubmitted(task=name, name=visible.task.id, blob="", lineage=lineage, attempts=attempts)
    try:
        ended = anyio.run(_publish, url, visible, submitted, timeout if wait else 0.0)
    except KeyboardInterrupt:
        fail(
            f"interrupted; {name} goes on, see `ratchet log --stream task/{name}`",
            code=INTERRUPTED,
            as_json=as_json,
        )
    except (BusError, LedgerError) as error:
        fail(str(error), code=UNAVAILABLE, kind=type(error).__name__, as_json=as_json)
    _tell(name, ended, wait, timeout, as_json)


async def _publish(
    url: str, graded: GradedTask, submitted: e.TaskSubmitted, timeout: float
) -> e.Event | None:
    from bus import logs
    from bus.connection import connect
    from eventstore.client import LedgerClient

    logs.configure("ratchet", file=sys.__stderr__)
    async with await connect(url, name="ratchet-submit") as bus:
        ledger = LedgerClient(bus, patience=10.0)
        blob = await ledger.put(msgspec.json.encode(graded))
        stream = f"task/{submitted.task}"
        event = msgspec.structs.replace(submitted, blob=blob)
        new = e.encode(event, duty=f"{stream}/submit", index=0, actor="operator", correlation=submitted.task)
        await ledger.append(stream, 0, [new])
        end, pause = time.monotonic() + timeout, 0.05
        while time.monotonic() < end:
            page = await ledger.read(stream, after=1)
            if page.events:
                return e.decode(page.events[0])
            await anyio.sleep(pause)
            pause = min(1.0, pause * 1.5)
        return None


def _tell(name: str, ended: e.Event | None, wait: bool, timeout: float, as_json: bool) -> None:
    if not isinstance(ended, e.TaskSolved | e.TaskFailed):
        if not wait:
            click.echo(
                json.dumps({"task": name, "published": True}) if as_json else f"published as task/{name}"
            )
            return
        fail(
            f"no result for {name} within {timeout:g} s; is an executor running? It goes on: "
            f"`ratchet log --stream task/{name}` shows it",
            code=UNAVAILABLE,
            as_json=as_json,
        )
    solved = isinstance(ended, e.TaskSolved)
    facts = {
        "task": name, "solved": solved, "visible_passed": solved, "patch": ended.patch, "attempts": ended.attempts,
        "cost": ended.usage.cost,
    }  # fmt: skip
    if as_json:
        click.echo(json.dumps(facts))
    else:
        if ended.patch:
            click.echo(ended.patch)
        reason = "" if isinstance(ended, e.TaskSolved) else f": {ended.reason}"
        click.echo(
            f"{name}: {'solved' if solved else 'not solved'} after {ended.attempts} attempts{reason}",
            err=True,
        )
        if not solved and ended.attempts:
            click.echo("`ratchet collect` can make a practice task of it", err=True)
    raise SystemExit(0 if solved else FAILED)
