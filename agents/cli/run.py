"""`ratchet run`: a campaign on one machine, from nothing to a report; the same command resumes a killed one."""

import fcntl
import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import IO

import anyio
import anyio.abc
import click

from agents.cli.common import (
    FAILED,
    INTERRUPTED,
    UNAVAILABLE,
    USAGE,
    BudgetType,
    fail,
    json_option,
    store_option,
)
from agents.cli.progress import Progress
from agents.process import bus_url
from contracts import gate
from contracts.events import decode
from contracts.lineage import Lineage, fold
from contracts.settings import CampaignSettings, Limits


@click.command()
@click.argument("suite")
@click.option(
    "--rounds", type=click.IntRange(1), default=6, show_default=True, help="Rounds of the campaign."
)
@click.option("--seed", type=int, default=1, show_default=True, help="What all randomness follows from.")
@click.option("--budget", type=BudgetType(), default=None, help=BudgetType.__doc__)
@click.option("--candidates", type=click.IntRange(1, 16), default=None, help="Changes that race in a round.")
@click.option("--race-seeds", type=click.IntRange(1), default=None, help="Seeds of the race.")
@click.option("--confirm-seeds", type=click.IntRange(1), default=None, help="Seeds of the confirmation.")
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
@click.option("--executors", type=click.IntRange(1), default=None, help="Executors  [default: one a core]")
@click.option("--bus", "bus", envvar="RATCHET_BUS", default="", help="A bus that runs already, nats://…")
@click.option("--abandon", is_flag=True, help="End a campaign with other settings that is under way.")
@store_option
@json_option
def run(
    suite: str,
    rounds: int,
    seed: int,
    budget: Limits | None,
    candidates: int | None,
    race_seeds: int | None,
    confirm_seeds: int | None,
    release_seeds: int,
    preset: str,
    null_every: int,
    approve: str,
    approve_seconds: float,
    lineage: str,
    executors: int | None,
    bus: str,
    abandon: bool,
    store: Path,
    as_json: bool,
) -> None:
    """Improve a harness on SUITE: a built-in suite by name (repair), or a directory of tasks.

    Starts the bus, the ledger and all agents, runs a campaign, and writes a report into the store. Interrupt it at
    any time: the same command resumes where it was.

    Exit codes: 0 finished, 1 a fault, 2 wrong usage or input, 3 something could not be started, 130 interrupted.
    """  # fmt: skip
    import msgspec

    from agents.tasks.errors import TaskError
    from agents.tasks.suite import load_suite

    try:
        loaded = load_suite(suite)
    except TaskError as error:
        fail(str(error), code=USAGE, kind="suite", as_json=as_json)
    chosen = {"candidates": candidates, "race_seeds": race_seeds, "confirm_seeds": confirm_seeds}
    settings = CampaignSettings(
        rounds=rounds,
        seed=seed,
        gate=msgspec.structs.replace(
            gate.GateSettings.preset(preset), **{k: v for k, v in chosen.items() if v is not None}
        ),
        release_seeds=release_seeds,
        null_every=null_every,
        approve="keeps" if approve == "keeps" else "never",
        approve_seconds=approve_seconds,
        limits=budget or Limits(),
    )
    run_campaign(
        loaded,
        settings,
        store=store,
        lineage=lineage,
        executors=executors,
        bus=bus,
        abandon=abandon,
        as_json=as_json,
    )


def run_campaign(
    suite: object,
    settings: CampaignSettings,
    *,
    store: Path,
    lineage: str = "main",
    executors: int | None = None,
    bus: str = "",
    abandon: bool = False,
    as_json: bool = False,
) -> None:
    """Run a campaign to its end, or until it is interrupted; exits the process when it does not finish."""
    from agents.tasks.suite import Suite
    from bus import logs, traces

    assert isinstance(suite, Suite)  # noqa: S101 - the import is lazy, so the annotation cannot say it
    lock = _claim(store, as_json=as_json)
    logs.configure("supervisor", file=(store / "supervisor.log").open("a"))
    traces.configure("supervisor")
    progress = Progress(as_json=as_json)
    for name, reason in suite.faulty:
        click.echo(f"Warning: task {name} is left out: {reason}", err=True)
    job = Job(suite, settings, store=store, lineage=lineage, bus=bus, abandon=abandon, progress=progress)
    count = executors or max(1, len(os.sched_getaffinity(0)))
    try:
        with progress:
            anyio.run(job.run, count)
    except KeyboardInterrupt:
        job.interrupted = True
    finally:
        traces.shutdown()
        lock.close()
    if job.error:
        fail(job.error, code=job.code, kind="run", as_json=as_json)
    if job.interrupted:
        click.echo("\nInterrupted. Nothing is lost: the same command resumes the campaign.", err=True)
        sys.exit(INTERRUPTED)
    job.report()


def _claim(store: Path, *, as_json: bool) -> IO[str]:
    """Take the store for this run, making it where there is none; the lock ends with the process, in any case."""
    from eventstore.errors import LedgerError, StoreMissing
    from eventstore.sqlite import SqliteStore

    try:
        store.mkdir(parents=True, exist_ok=True)
        lock = (store / "run.lock").open("a+")
    except OSError as error:
        reason = f"{store} cannot be used as a store ({error.strerror}); name another folder with --store"
        fail(reason, code=USAGE, kind="store", as_json=as_json)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        SqliteStore.read_only(store).close()
    except BlockingIOError:
        lock.seek(0)
        fail(
            f"a campaign runs on {store} already (process {lock.read().strip() or 'unknown'}); `ratchet status` "
            "shows how far it is. Wait for it, interrupt it, or name another folder with --store",
            code=UNAVAILABLE, kind="store_in_use", as_json=as_json,
        )  # fmt: skip
    except StoreMissing:
        pass
    except LedgerError as error:
        fail(str(error), code=USAGE, kind=type(error).__name__, as_json=as_json)
    lock.truncate(0)
    lock.write(str(os.getpid()))
    lock.flush()
    return lock


class Job:
    """One `ratchet run`."""

    def __init__(
        self, suite: object, settings: CampaignSettings, *, store: Path, lineage: str, bus: str, abandon: bool,
        progress: Progress,
    ) -> None:  # fmt: skip
        self.suite = suite
        self.settings = settings
        self.store = store
        self.lineage = lineage
        self.bus = bus
        self.abandon = abandon
        self.progress = progress
        self.error = ""
        self.code = FAILED
        self.interrupted = False
        self.state = Lineage()

    async def run(self, executors: int) -> None:
        """Start everything, follow the campaign to its end, stop everything."""
        from agents.cli.supervisor import Supervisor, children

        supervisor = Supervisor(self.store, children(self.store, bus=self.bus, executors=executors))
        async with anyio.create_task_group() as tasks:
            await tasks.start(supervisor.run)
            tasks.start_soon(self._signals, tasks)
            tasks.start_soon(self._watch, supervisor, tasks)
            try:
                await self._campaign()
            except Exception as error:
                self._explain(error)
            tasks.cancel_scope.cancel()

    def _explain(self, error: Exception) -> None:
        from agents.cli.request import CampaignUnderWay
        from agents.models.errors import ModelError
        from bus.errors import BusError
        from eventstore.errors import LedgerError

        if isinstance(error, CampaignUnderWay):
            self.error, self.code = str(error), USAGE
        elif isinstance(error, BusError | LedgerError | ModelError):
            self.error, self.code = str(error), UNAVAILABLE
        else:
            raise error

    async def _signals(self, tasks: anyio.abc.TaskGroup) -> None:
        with anyio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
            async for _ in signals:
                self.interrupted = True
                tasks.cancel_scope.cancel()
                return

    async def _watch(self, supervisor: object, tasks: anyio.abc.TaskGroup) -> None:
        """End with the reason when a child cannot live: a port in use, a foreign store, no sandbox."""
        from agents.cli.supervisor import Supervisor

        assert isinstance(supervisor, Supervisor)  # noqa: S101 - see run_campaign
        while True:
            await anyio.sleep(0.25)
            self.progress.tick()
            if fault := supervisor.fault():
                self.error, self.code = fault, UNAVAILABLE
                tasks.cancel_scope.cancel()
                return

    async def _campaign(self) -> None:
        from agents.cli.request import request_campaign
        from agents.tasks.suite import Suite
        from bus.connection import connect
        from bus.streams import ensure_streams
        from eventstore.client import LedgerClient

        assert isinstance(self.suite, Suite)  # noqa: S101 - see run_campaign
        self.progress.doing("starting the bus, the ledger and the agents")
        url = await self._url()
        async with await connect(url, name="ratchet-run", deadline=30.0) as bus:
            await ensure_streams(bus)
            ledger = LedgerClient(bus)
            self.progress.doing("reading the model from the ledger, or training it")
            campaign, resumed = await request_campaign(
                ledger, self.suite, self.settings, lineage=self.lineage, abandon=self.abandon
            )
            if resumed:
                self.progress.say(f"resuming [bold]{campaign.id}[/] after round {campaign.rounds_done}")
            await bus.listen("results.episode.>", self._counted)
            await self._follow(ledger, campaign.id)

    async def _url(self) -> str:
        """The address of the bus: wait until the supervised server has written it and answers there."""
        from agents.errors import Unconfigured

        end = time.monotonic() + 30.0
        while True:
            try:
                return bus_url(self.bus, str(self.store))
            except Unconfigured:
                if time.monotonic() > end:
                    raise
                await anyio.sleep(0.02)

    async def _counted(self, _message: object) -> None:
        self.progress.episode()

    async def _follow(self, ledger: object, campaign: str) -> None:
        from eventstore.client import LedgerClient

        assert isinstance(ledger, LedgerClient)  # noqa: S101 - see run_campaign
        stream = f"lineage/{self.lineage}"
        page = await ledger.read(stream)
        while True:
            for envelope in page.events:
                if envelope.stream != stream or envelope.version != self.state.version + 1:
                    continue
                self.state = fold(self.state, envelope)
                event = decode(envelope)
                if getattr(event, "campaign", campaign) == campaign and envelope.correlation == campaign:
                    self.progress.event(envelope, event, self.state)
            if not page.more:
                break
            page = await ledger.read(stream, after=self.state.version)
        if self._over(campaign):
            return
        async for envelope in ledger.follow(after=self.state.position):
            if envelope.stream != stream or envelope.version != self.state.version + 1:
                continue
            self.state = fold(self.state, envelope)
            self.progress.event(envelope, decode(envelope), self.state)
            if self._over(campaign):
                return

    def _over(self, campaign: str) -> bool:
        found = self.state.campaign
        return found is None or found.id != campaign or found.status == "finished"

    def report(self) -> None:
        """Write the report and say where it is."""
        write: Callable[..., object]
        from eventstore.audit.report import print_report, write_report

        write = write_report
        folder = self.store / "report"
        write(self.store, self.lineage, folder)
        if not self.progress.as_json:
            print_report(self.store, self.lineage)
            click.echo(f"\nReport: {folder / 'report.md'}   chart: {folder / 'score.svg'}")
            click.echo(
                "Read on: ratchet log | ratchet show ROUND | ratchet diff seed head | ratchet replay --check"
            )
