"""`ratchet rollout`: policies in small environments, on the workers of a running bus or in this process."""

from __future__ import annotations

import asyncio
import json
import logging
import sys
import tomllib
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import anyio
import click

from agents.cli.common import FAILED, INTERRUPTED, UNAVAILABLE, USAGE, fail, json_option, store_option

if TYPE_CHECKING:
    from nats.aio.msg import Msg

    from bus.jobs import JobQueue
    from bus.results import JobResult
    from contracts.rollouts import RolloutResult, RolloutSpec

KIND = "rollout"
STEPS = 10_000_000
"""Steps of a job at most: some seconds of work, which is what the death of a worker costs."""
FIGURES = 30_000
"""Figures of a job's result at most, so that it fits into a message."""


ALONE = 10.0
"""Seconds between looks at whether a worker is still there."""
WITHDRAWING = 10.0
"""Seconds that withdrawing what nobody waits for any more may take."""
KEPT = "parts that workers have done are kept on the bus for the same command, the others are withdrawn"
TOO_MUCH = "memory does not suffice for one member; ask for fewer episodes, copies or steps"


class JobsFailed(Exception):
    """Raised when a part of a rollout cannot be done by a worker."""


class NoWorker(Exception):
    """Raised when the bus that was asked for has no worker for rollouts."""

    def __init__(self) -> None:
        super().__init__(
            "no worker on this bus serves rollouts; start one by `python -P -m gpu_workers`, or give --here "
            "to compute in this process"
        )


@click.command()
@click.argument("spec", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--bus", "bus", envvar="RATCHET_BUS", default="", help="URL of the bus, nats://…")
@click.option("--here", is_flag=True, help="Compute in this process, whether or not workers run.")
@store_option
@json_option
def rollout(spec: Path, bus: str, here: bool, store: Path, as_json: bool) -> None:
    """Roll out policies as the TOML file SPEC says: every policy in every environment with every seed.

    The workers of the running bus compute (`python -P -m gpu_workers`); where none runs, this process does.

    Exit codes: 0 done, 1 it could not be computed, 2 wrong usage or input, 3 no bus or no worker, 130 interrupted.
    """  # fmt: skip
    from agents.cli.rolled import Meter, as_table, summary, warning
    from bus import logs
    from bus.errors import BusError
    from gpu_workers.errors import WorkerError

    asked = _read(spec, as_json)
    submitted: set[str] = set()
    try:
        logs.configure("ratchet", file=sys.__stderr__)
    except ValueError as error:
        raise click.UsageError(str(error)) from error
    try:
        with Meter(asked, quiet=as_json) as meter:
            result = None if here else anyio.run(_on_workers, asked, store, bus, meter.advance, submitted)
            if result is None:
                result = _here(asked, meter.advance)
    except KeyboardInterrupt:
        kept = KEPT if submitted else "nothing was kept"
        fail(f"interrupted; {kept}", code=INTERRUPTED, as_json=as_json)
    except (BusError, WorkerError, NoWorker) as error:
        fail(str(error), code=UNAVAILABLE, kind=type(error).__name__, as_json=as_json)
    except (JobsFailed, ValueError) as error:
        fail(str(error), code=FAILED, as_json=as_json)
    except MemoryError:
        fail(TOO_MUCH, code=FAILED, kind="memory", as_json=as_json)
    if said := warning(result):
        click.echo(said, err=True)
    if as_json:
        click.echo(json.dumps(summary(asked, result)))
    else:
        as_table(asked, result)


def _read(path: Path, as_json: bool) -> RolloutSpec:
    from contracts.rollouts import spec_from

    try:
        return spec_from(tomllib.loads(path.read_text()))
    except UnicodeDecodeError:
        fail(f"{path}: this is no text in UTF-8", code=USAGE, kind="spec", as_json=as_json)
    except OSError as error:
        fail(f"{path} cannot be read: {error.strerror}", code=USAGE, kind="spec", as_json=as_json)
    except tomllib.TOMLDecodeError as error:
        fail(f"{path}: not valid TOML: {error}", code=USAGE, kind="spec", as_json=as_json)
    except ValueError as error:
        fail(f"{path}: {error}", code=USAGE, kind="spec", as_json=as_json)


def _here(spec: RolloutSpec, advance: Callable[[int], None]) -> RolloutResult:
    """Compute in this process, on a GPU where there is one."""
    from gpu_workers.arrays import choose
    from gpu_workers.rollouts.compute import compute

    logging.getLogger("gpu_workers.arrays").setLevel(logging.WARNING)  # the table says what computed it
    arrays = choose()
    try:
        return compute(spec, arrays, told=advance)
    except arrays.exhausted as error:
        raise MemoryError from error


async def _on_workers(
    spec: RolloutSpec, store: Path, url: str, advance: Callable[[int], None], submitted: set[str]
) -> RolloutResult | None:
    """Let workers compute; None where no bus runs, or none of its workers serves rollouts.

    Whoever cancels this withdraws the parts that are not done. The names of those that went to the bus are put into
    `submitted`.

    Raises:
        BusError: the bus that was named does not answer.
        NoWorker: the bus that was named has no worker for this.
        JobsFailed: a part cannot be computed.
    """
    from agents.cli.session import running_bus
    from bus.errors import BusError, TooLarge
    from bus.jobs import JobQueue
    from contracts.progress import decode_progress
    from contracts.rollouts import encode, job_id, split, work
    from contracts.subjects import progress_subject

    connection = await running_bus(store, url)
    if connection is None:
        return None
    async with connection:
        queue = JobQueue(connection)
        if not await queue.served(KIND):
            if url:
                raise NoWorker
            return None
        parts = {job_id(part): part for part in split(spec, steps=STEPS, figures=FIGURES)}
        told = dict.fromkeys(parts, 0)
        """Steps of each part that the meter knows of."""
        open_parts = set(parts)

        def reached(name: str, steps: int) -> None:
            if name in told and steps > told[name]:
                advance(steps - told[name])
                told[name] = steps

        def arrived(name: str, _result: JobResult) -> None:
            open_parts.discard(name)
            reached(name, work(parts[name]))

        async def heard(message: Msg) -> None:
            progress = decode_progress(message.data)
            reached(progress.job, progress.done)

        jobs = {name: encode(part) for name, part in parts.items()}
        interest = await connection.listen(progress_subject(KIND, "*"), heard)
        alone = asyncio.create_task(_tell_when_alone(queue))
        try:
            submitted.update(jobs)
            found = await queue.collect(KIND, jobs, arrived)
        except TooLarge as error:
            raise JobsFailed(
                "the spec is too large for a message; give --here to compute in this process"
            ) from error
        finally:
            alone.cancel()
            with anyio.move_on_after(WITHDRAWING, shield=True), suppress(BusError):
                await interest.stop()
                for name in open_parts:
                    await queue.withdraw(KIND, name)
        return await _joined(queue, spec, parts, found)


async def _joined(
    queue: JobQueue, spec: RolloutSpec, parts: Mapping[str, RolloutSpec], found: Mapping[str, JobResult]
) -> RolloutResult:
    """The whole result. The failure of a part is forgotten, so that the same command tries again.

    Raises:
        JobsFailed: a part failed.
    """
    from bus.results import Done
    from contracts.rollouts import decode_result, join

    answers, reasons = [], []
    for name, result in found.items():
        if isinstance(result, Done):
            answers.append((parts[name], decode_result(result.data)))
        else:
            reasons.append(result.reason)
            await queue.forget(KIND, name)
    if reasons:
        raise JobsFailed(f"a worker could not compute {len(reasons)} of {len(parts)} parts: {reasons[0]}")
    return join(spec, answers)


async def _tell_when_alone(queue: JobQueue) -> None:
    """Say so when no worker is there any more; the wait goes on, as one may come back."""
    from bus.errors import BusError

    while True:
        await asyncio.sleep(ALONE)
        with suppress(BusError):  # whoever collects deals with a bus that is away
            if not await queue.served(KIND):
                click.echo("Waiting: no worker is left; start one by `python -P -m gpu_workers`", err=True)
                return
