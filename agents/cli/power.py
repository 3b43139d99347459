"""`ratchet power`: what a comparison of two harnesses would see, and what it would cost, before any episode runs."""

import json
import logging
import sys
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import msgspec

from agents.cli.common import INTERRUPTED, UNAVAILABLE, USAGE, Numbers, fail, json_option, store_option
from contracts.gate import USUAL, GateSettings, release_alpha
from contracts.power import MOST_SEEDS, Design, PowerTable, check_packages, table
from contracts.record import Record
from contracts.simulation import Decisions, PowerJob
from contracts.statistics import Spread
from eventstore.audit.command import AuditCommand
from eventstore.audit.text import count

if TYPE_CHECKING:
    from eventstore.audit.spreads import Measured

USUALLY = "as measured on repair"
EFFECTS = (0.0, 0.01, 0.02, 0.03, 0.05, 0.1)
SEEDS = (1, 2, 3, 6, 12, 24)
PATIENCE = 30.0
"""Seconds to wait for a worker on the bus."""
DEADLINE = 10.0
"""Seconds to wait for the bus itself."""


class Asked(Record):
    """What the options come to."""

    name: str
    design: Design
    source: str
    """Where the spreads are from, in words."""
    confirmations: int = 0
    price: float | None = None


@click.command(cls=AuditCommand)
@click.argument("suite", required=False)
@click.option("--tasks", type=click.IntRange(1), help="Tasks, where no suite is named.")
@click.option(
    "--packages", type=click.IntRange(1), help="Packages that these are in  [default: each its own]"
)
@click.option("--effect", "effects", type=Numbers(), default=EFFECTS, metavar="E,E…", show_default="0 to .1",
              help="True mean differences of scores.")  # fmt: skip
@click.option(
    "--seeds", type=Numbers(whole=True), default=None, metavar="N,N…", help="Seeds a task  [default: 1 to 24]"
)
@click.option("--wanted", type=float, default=0.8, show_default=True, help="The power that counts as enough.")
@click.option("--preset", type=click.Choice(["default", "strict"]), default="default", show_default=True,
              help="The gate.")  # fmt: skip
@click.option("--alpha", type=float, help="Largest p-value that counts as seen  [default: the gate's]")
@click.option(
    "--minimum-effect", type=float, help="Smallest mean difference that counts  [default: the gate's]"
)
@click.option(
    "--check", type=click.IntRange(1), help="Of the n-th release check on the sealed tasks, not of a round."
)
@click.option(
    "--between", type=float, help=f"Spread of the true effect between packages  [default: {USUAL.between}]"
)
@click.option(
    "--within", type=float, help=f"Spread of a pair of scores within a package  [default: {USUAL.within}]"
)
@click.option(
    "--lineage", help="Take spreads, tasks and the price from this lineage's campaigns in the store."
)
@click.option("--price", type=float, help="US dollars of an episode.")
@click.option(
    "--simulate",
    type=click.IntRange(1, 100_000),
    metavar="N",
    help="Make N decisions for each figure as well.",
)
@click.option("--bus", envvar="RATCHET_BUS", default="", help="Have workers on this bus simulate, nats://…")
@store_option
@json_option
def power(
    *, suite: str | None, effects: tuple[float, ...], seeds: tuple[int, ...] | None, wanted: float,
    price: float | None, simulate: int | None, bus: str, as_json: bool, **options: Any,
) -> None:  # fmt: skip
    """Tell what a comparison on SUITE (or on so many --tasks and --packages) would see, and what it would cost.

    Power is the chance that the gate keeps a change with this true effect; the guardrails are left out. For an effect
    of 0 it is the chance to err.

    Exit codes: 0 done, 2 wrong usage or input, 3 no bus where one was named, 130 interrupted.
    """  # fmt: skip
    asked = _asked(suite, as_json=as_json, **options)
    price = asked.price if price is None else price
    usual = (5, 10, 20, 40) if options["check"] else SEEDS
    try:
        found = table(asked.design, effects=effects, seeds=seeds or usual, wanted=wanted, price=price)
        job = _job(found, simulate) if simulate else None
    except ValueError as error:
        fail(str(error), code=USAGE, as_json=as_json)
    decisions = None if job is None else _simulated(job, bus, as_json=as_json)
    if as_json:
        facts = {
            "name": asked.name,
            "source": asked.source,
            "confirmations": asked.confirmations,
            "price": price,
        }
        facts |= msgspec.to_builtins(found)
        facts["simulated"] = None if decisions is None else _shares(found, decisions)
        click.echo(json.dumps(facts))
        return
    _show(asked, found, options["preset"], check=bool(options["check"]))
    if decisions is not None:
        click.echo(f"\nThe same by {decisions.decisions:,} simulated decisions each:\n")
        _draw(found, [list(row) for row in zip(*_shares(found, decisions), strict=True)], least=False)


def _asked(
    suite: str | None, *, tasks: int | None, packages: int | None, preset: str, alpha: float | None,
    minimum_effect: float | None, check: int | None, between: float | None, within: float | None,
    lineage: str | None, store: Path, as_json: bool,
) -> Asked:  # fmt: skip
    """The comparison that the options name. Ends the command where they name none."""
    gate = GateSettings.preset(preset)
    level, least = (release_alpha(check), 0.0) if check else (gate.alpha, gate.minimum_effect)
    try:
        known = None if lineage is None else _measured(store, lineage)
        name, sizes = _sizes(suite, tasks, packages, known, sealed=bool(check))
        spread = known.spread if known else USUAL
        source = f"as {known.confirmations} confirmations of lineage {lineage} show" if known else USUALLY
        if between is not None or within is not None:
            between = spread.between if between is None else between
            within = spread.within if within is None else within
            spread, source = Spread(between=between, within=within), "as given"
        design = Design(
            sizes=sizes,
            spread=spread,
            alpha=level if alpha is None else alpha,
            minimum_effect=least if minimum_effect is None else minimum_effect,
        )
    except ValueError as error:
        fail(str(error), code=USAGE, as_json=as_json)
    return Asked(
        name=name,
        design=design,
        source=source,
        confirmations=known.confirmations if known else 0,
        price=known.price if known else None,
    )


def _measured(store: Path, lineage: str) -> "Measured":
    from eventstore.audit.archive import opened
    from eventstore.audit.spreads import measured

    with opened(store) as archive:
        return measured(archive, lineage)


def _sizes(
    suite: str | None, tasks: int | None, packages: int | None, known: "Measured | None", *, sealed: bool
) -> tuple[str, tuple[int, ...]]:
    """The name of the suite, if there is one, and the tasks of each package.

    Raises:
        ValueError: none are named, or two different things are; or they do not fit together.
    """
    if suite is not None and tasks is not None:
        raise ValueError("name a suite, or give --tasks; not both")
    if packages is not None and tasks is None:
        raise ValueError("--packages needs --tasks: how many tasks there are in them")
    if tasks is not None:
        return "", _even(tasks, packages or tasks)
    if suite is not None:
        name, found = _suite_packages(suite, sealed=sealed)
    elif known is not None:
        name = known.suite.name
        found = [task.package for task in (known.suite.sealed if sealed else known.suite.practice)]
    else:
        raise ValueError("name a suite (repair), or give --tasks, or --lineage for a campaign's")
    if not found:
        raise ValueError(f"the suite {name} has no {'sealed' if sealed else 'practice'} tasks")
    return name, tuple(size for _, size in sorted(Counter(found).items()))


def _suite_packages(suite: str, *, sealed: bool) -> tuple[str, list[str]]:
    """The suite's name, and the package of each task."""
    from agents.tasks.errors import TaskError
    from agents.tasks.suite import load_suite

    try:
        loaded = load_suite(suite)
    except TaskError as error:
        raise ValueError(str(error)) from error
    for task, reason in loaded.faulty:
        click.echo(f"Warning: task {task} is left out: {reason}", err=True)
    return loaded.name, [task.task.package for task in (loaded.sealed if sealed else loaded.practice)]


def _even(tasks: int, packages: int) -> tuple[int, ...]:
    """So many tasks in so many packages, as even as they can be."""
    if packages > tasks:
        raise ValueError(f"{count(tasks, 'task')} cannot fill {packages} packages: give more --tasks")
    check_packages(packages)
    return tuple(tasks // packages + (index < tasks % packages) for index in range(packages))


def _job(found: PowerTable, decisions: int) -> PowerJob:
    return PowerJob(
        design=found.design,
        effects=found.effects,
        seeds=tuple(row.seeds for row in found.rows),
        key="ratchet power",
        decisions=decisions,
    )


def _simulated(job: PowerJob, bus: str, *, as_json: bool) -> Decisions:
    """The decisions of a job: by workers where a bus is named and one of them answers, else here."""
    from bus import logs
    from gpu_workers.arrays import choose
    from gpu_workers.errors import WorkerError
    from gpu_workers.resampling import compute

    try:
        logs.configure("ratchet", file=sys.__stderr__)
    except ValueError as error:
        raise click.UsageError(str(error)) from error
    # which library decides is no matter here: both decide to the bit
    logging.getLogger("gpu_workers.arrays").setLevel(logging.WARNING)
    if bus:
        import anyio

        from bus.errors import BusError

        try:
            answer = anyio.run(_ask, job, bus)
        except BusError as error:
            fail(str(error), code=UNAVAILABLE, kind=type(error).__name__, as_json=as_json)
        if answer is not None:
            return answer
        click.echo("no worker answered; the decisions are made here", err=True)
    try:
        return compute(job, choose()).decisions
    except WorkerError as error:
        fail(str(error), code=UNAVAILABLE, kind=type(error).__name__, as_json=as_json)
    except KeyboardInterrupt:
        fail("interrupted; give a smaller --simulate", code=INTERRUPTED, as_json=as_json)


async def _ask(job: PowerJob, url: str) -> Decisions | None:
    import anyio

    from bus.connection import connect
    from bus.jobs import JobQueue
    from bus.results import Done
    from contracts.resample import PowerResult, decode_result, encode, job_id

    name = job_id(job)
    async with await connect(url, name="ratchet power", deadline=DEADLINE) as connection:
        with anyio.move_on_after(PATIENCE):
            answers = await JobQueue(connection).collect("resample", {name: encode(job)})
            answer = answers[name]
            return decode_result(answer.data, PowerResult).decisions if isinstance(answer, Done) else None
    return None


def _shares(found: PowerTable, decisions: Decisions) -> list[list[float]]:
    """For each effect, for each number of seeds, the share of decisions that kept the change."""
    return [
        [round(decisions.power(effect, place).estimate, 6) for place in range(len(found.rows))]
        for effect in range(len(found.effects))
    ]


def _show(asked: Asked, found: PowerTable, preset: str, *, check: bool) -> None:
    design, spread = found.design, found.design.spread
    name = f"{asked.name}, {'sealed' if check else 'practice'}: " if asked.name else ""
    least = f" and a mean difference of at least {design.minimum_effect:g}" if design.minimum_effect else ""
    click.echo(
        f"{name}{count(design.tasks, 'task')} in {count(len(design.sizes), 'package')}, "
        f"kept at p ≤ {design.alpha:.3g}{least}"
    )
    click.echo(
        f"differences spread by {spread.between:.3f} between packages and {spread.within:.3f} within, {asked.source}\n"
    )
    _draw(found, [list(row.power) for row in found.rows])
    click.echo("")
    share = f"{found.wanted:.0%}"
    for need in found.needs:
        if need.seeds is not None:
            cost = "" if need.dollars is None else f", ${need.dollars:,.2f}"
            many = f"{need.seeds} seed{'s' * (need.seeds > 1)}"
            click.echo(f"{need.effect:+g} is seen in {share} with {many}: {need.episodes:,} episodes{cost}")
        elif need.packages is not None:
            most = found.rows[-1].seeds
            click.echo(
                f"{need.effect:+g} is seen in {share} with no number of seeds (up to {MOST_SEEDS:,}); "
                f"{count(need.packages, 'package')} at {most} seed{'s' * (most > 1)} would do"
            )
        else:
            click.echo(
                f"{need.effect:+g} is seen in {share} with no number of seeds and no number of packages"
            )
    if not check:
        settings = GateSettings.preset(preset).sized(design.tasks, len(design.sizes))
        race = design.tasks * settings.race_seeds * (settings.candidates + 1)
        click.echo(f"a round's race of {settings.candidates} candidates before takes {race:,} episodes more")


def _draw(found: PowerTable, powers: list[list[float]], *, least: bool = True) -> None:
    from rich.console import Console
    from rich.table import Table

    columns = ["seeds", "episodes"] + ["cost"] * (found.rows[0].dollars is not None)
    columns += [f"{effect:+g}" for effect in found.effects] + [f"{found.wanted:.0%} from"] * least
    drawn = Table(box=None)
    for column in columns:
        drawn.add_column(column, justify="right")
    for row, shares in zip(found.rows, powers, strict=True):
        cells = [str(row.seeds), f"{row.episodes:,}"]
        cells += [] if row.dollars is None else [f"${row.dollars:,.2f}"]
        cells += [f"{share:.1%}" for share in shares]
        cells += ["never" if row.least is None else f"{row.least:+.4f}"] * least
        drawn.add_row(*cells)
    Console().print(drawn)
