"""`ratchet run`: a campaign on one machine, from nothing to a report; the same command resumes a killed one."""

import fcntl
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio
import anyio.abc
import click

from agents.cli.common import (
    INTERRUPTED,
    UNAVAILABLE,
    USAGE,
    BudgetType,
    fail,
    json_option,
    store_option,
)
from agents.cli.models import (
    ModelsUnknown,
    gateway_options,
    key_variables,
    look_at_models,
    model_options,
    read_models,
    with_budgets,
)
from agents.cli.progress import Progress
from contracts import gate
from contracts.settings import CampaignSettings, Limits
from eventstore.options import ledger_option

if TYPE_CHECKING:
    from agents.cli.job import Thinking
    from agents.tasks.suite import Suite

WAITING = 4
"""Executors a core where the model is behind an endpoint."""


@click.command()
@click.argument("suite")
@click.option(
    "--rounds", type=click.IntRange(1), default=6, show_default=True, help="Rounds of the campaign."
)
@click.option("--seed", type=int, default=1, show_default=True, help="What all randomness follows from.")
@click.option("--budget", type=BudgetType(), default=None, help=BudgetType.__doc__)
@click.option("--candidates", type=click.IntRange(1, 16), default=None, help="Changes that race in a round.")
@click.option(
    "--plans",
    type=click.IntRange(1, 64),
    default=CampaignSettings().plans,
    show_default=True,
    help="Changes planned in a round; those of which most can be hoped race.",
)
@click.option(
    "--race-seeds",
    type=click.IntRange(1),
    default=None,
    help="Seeds of the race  [default: by the suite's size]",
)
@click.option(
    "--confirm-seeds",
    type=click.IntRange(1),
    default=None,
    help="Seeds of the confirmation  [default: by the suite's size]",
)
@click.option(
    "--release-seeds", type=click.IntRange(1), default=20, show_default=True, help="Seeds of a release check."
)
@click.option(
    "--gate",
    "preset",
    type=click.Choice(sorted(gate.PRESETS)),
    default="default",
    show_default=True,
    help="How strict the gate is.",
)
@click.option(
    "--cheaper",
    type=click.FloatRange(0, 1, max_open=True),
    default=0.0,
    show_default=True,
    help="Keep what keeps the score and saves this share of an episode's cost; 0: never for that alone.",
)
@click.option(
    "--null-every",
    type=click.IntRange(0),
    default=10,
    show_default=True,
    help="Measure an A/A arm in every n-th round; 0: never.",
)
@click.option(
    "--approve",
    type=click.Choice(["never", "keeps"]),
    default="never",
    show_default=True,
    help="Ask a person before a change is kept.",
)
@click.option(
    "--approve-seconds",
    type=click.FloatRange(1),
    default=3600.0,
    show_default=True,
    help="Silence for this long denies.",
)
@click.option("--lineage", default="main", show_default=True, help="Name of the harness's lineage.")
@click.option(
    "--executors",
    type=click.IntRange(1),
    default=None,
    help=f"Executors  [default: one a core; {WAITING} where the harness's model is behind an endpoint]",
)
@click.option(
    "--bus",
    "bus",
    envvar="RATCHET_BUS",
    default="",
    help="A bus that runs already: nats://…; the servers of a cluster with commas between.",
)
@ledger_option
@click.option("--abandon", is_flag=True, help="End a campaign with other settings that is under way.")
@click.option(
    "--collected/--no-collected",
    default=True,
    show_default=True,
    help="Practise on the tasks of `ratchet collect`, too.",
)
@model_options
@store_option
@json_option
def run(
    suite: str,
    rounds: int,
    seed: int,
    budget: Limits | None,
    candidates: int | None,
    plans: int,
    race_seeds: int | None,
    confirm_seeds: int | None,
    release_seeds: int,
    preset: str,
    cheaper: float,
    null_every: int,
    approve: str,
    approve_seconds: float,
    lineage: str,
    executors: int | None,
    bus: str,
    ledger: str,
    abandon: bool,
    collected: bool,
    model_words: tuple[str, ...],
    config_file: Path | None,
    store: Path,
    as_json: bool,
) -> None:
    """Improve a harness on SUITE: a built-in suite by name (repair), or a directory of tasks.

    Starts the bus, the ledger and all agents, runs a campaign, and writes a report into the store. Interrupt it at
    any time: the same command resumes where it was.

    Exit codes: 0 finished, 1 a fault, 2 wrong usage or input, 3 something is not available, 130 interrupted.
    """  # fmt: skip
    import msgspec

    from agents.cli.job import Thinking
    from agents.config import ConfigUnreadable
    from agents.tasks.errors import TaskError
    from agents.tasks.suite import load_suite
    from eventstore.errors import LedgerError

    try:
        loaded = load_suite(suite)
    except TaskError as error:
        fail(str(error), code=USAGE, kind="suite", as_json=as_json)
    try:
        config, thinking = read_models(model_words, config_file)
    except (ConfigUnreadable, ModelsUnknown, LedgerError) as error:
        fail(str(error), code=USAGE, kind=type(error).__name__, as_json=as_json)
    if thinking.recorded is not None and thinking.recorded.resolve() == store.resolve():
        reason = (
            f"{store} is to be replayed and to be written to: a replay is a campaign of its own, so give it another "
            "--store"
        )
        fail(reason, code=USAGE, kind="store", as_json=as_json)
    limits = with_budgets(budget or Limits(), config)
    look_at_models(config, thinking, limits, as_json=as_json)
    chosen: dict[str, Any] = {
        "cheaper": cheaper,
        "candidates": candidates,
        "race_seeds": race_seeds,
        "confirm_seeds": confirm_seeds,
    }
    packages = {graded.task.package for graded in loaded.practice}
    sized = gate.GateSettings.preset(preset).sized(len(loaded.practice), len(packages))
    settings = CampaignSettings(
        rounds=rounds,
        seed=seed,
        plans=plans,
        gate=msgspec.structs.replace(sized, **{k: v for k, v in chosen.items() if v is not None}),
        release_seeds=release_seeds,
        null_every=null_every,
        approve="keeps" if approve == "keeps" else "never",
        approve_seconds=approve_seconds,
        limits=limits,
        facts=thinking.facts,
        models=thinking.models,
    )
    run_campaign(
        loaded,
        settings,
        store=store,
        lineage=lineage,
        executors=executors,
        bus=bus,
        ledger=ledger,
        abandon=abandon,
        collected=collected,
        thinking=Thinking(
            options=gateway_options(config_file, thinking),
            secrets=key_variables(config),
            recorded=thinking.recorded is not None,
            fixed=thinking.fixed,
        ),
        as_json=as_json,
    )


def run_campaign(
    suite: "Suite",
    settings: CampaignSettings,
    *,
    store: Path,
    lineage: str = "main",
    executors: int | None = None,
    bus: str = "",
    ledger: str = "file",
    abandon: bool = False,
    collected: bool = True,
    thinking: "Thinking | None" = None,
    as_json: bool = False,
) -> None:
    """Run a campaign to its end, or until it is interrupted; exits the process when it does not finish."""
    from agents.cli.job import Job
    from bus import logs, traces

    with _claimed(store, replicated=ledger == "jetstream", as_json=as_json):
        logs.configure("supervisor", file=(store / "supervisor.log").open("a"))
        traces.configure("supervisor")
        progress = Progress(as_json=as_json)
        for name, reason in suite.faulty:
            click.echo(f"Warning: task {name} is left out: {reason}", err=True)
        job = Job(
            suite, settings, store=store, lineage=lineage, bus=bus, abandon=abandon, progress=progress,
            collected=collected, ledger=ledger, thinking=thinking,
        )  # fmt: skip
        cores = max(1, len(os.sched_getaffinity(0)))
        # An executor whose model is elsewhere waits most of the time.
        count = executors or (WAITING * cores if settings.models.harness else cores)
        try:
            with progress:
                anyio.run(job.run, count)
        except KeyboardInterrupt:
            job.interrupted = True
        finally:
            traces.shutdown()
    if job.error:
        fail(job.error, code=job.code, kind="run", as_json=as_json)
    if job.interrupted:
        click.echo("\nInterrupted. Nothing is lost: the same command resumes the campaign.", err=True)
        sys.exit(INTERRUPTED)
    _report(store, lineage, as_json=as_json)


def _report(store: Path, lineage: str, *, as_json: bool) -> None:
    """Write the report into the store, and show it."""
    from eventstore.audit import facts, history, report, terminal
    from eventstore.audit.archive import opened

    with opened(store) as archive:
        written = report.write_report(archive, lineage, store / "report")
        found = facts.build(archive, history.read_lineage(archive, lineage))
    if as_json:
        return
    terminal.put(terminal.draw_report(found))
    click.echo(f"\nReport: {written[0]}   chart: {written[1]}")
    click.echo("Read on: ratchet log | ratchet show ROUND | ratchet diff seed head | ratchet replay --check")


@contextmanager
def _claimed(store: Path, *, replicated: bool, as_json: bool) -> Iterator[None]:
    """Hold the store for this run, making it where there is none; the lock ends with the process, in any case."""
    from eventstore.errors import IsReplica, LedgerError, StoreLocked, StoreMissing
    from eventstore.sqlite import SqliteStore

    try:
        store.mkdir(parents=True, exist_ok=True)
        lock = (store / "run.lock").open("a+")
    except OSError as error:
        reason = f"{store} cannot be used as a store ({error.strerror}); name another folder with --store"
        fail(reason, code=USAGE, kind="store", as_json=as_json)
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            SqliteStore.open(store).close()
        except BlockingIOError:
            lock.seek(0)
            fail(
                f"a campaign runs on {store} already (process {lock.read().strip() or 'unknown'}); "
                "`ratchet status` shows how far it is. Wait for it, interrupt it, or name another folder with "
                "--store",
                code=UNAVAILABLE, kind="store_in_use", as_json=as_json,
            )  # fmt: skip
        except (StoreMissing, StoreLocked):
            pass  # it is made; the service of a run that was killed is about to end
        except LedgerError as error:
            if not (replicated and isinstance(error, IsReplica)):
                fail(str(error), code=USAGE, kind=type(error).__name__, as_json=as_json)
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        yield
