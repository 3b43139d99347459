"""One campaign on one machine: everything is started, the campaign is followed to its end, everything is stopped."""

import signal
import time
from pathlib import Path

import anyio
import anyio.abc
import msgspec
from rich.markup import escape

from agents.cli.collection import read_collected
from agents.cli.progress import Progress
from agents.cli.request import CampaignUnderWay, request_campaign
from agents.cli.supervisor import Supervisor, children
from agents.errors import Unconfigured
from agents.models.errors import ModelError
from agents.models.probed import last_probe
from agents.process import FAILED, UNAVAILABLE, USAGE, bus_url
from agents.tasks.join import Joined, join
from agents.tasks.suite import Suite
from bus.connection import connect
from bus.errors import BusError
from bus.streams import ensure_streams
from contracts.events import decode
from contracts.ledger import stream_events
from contracts.lineage import Campaign, Lineage, fold
from contracts.models import facts_of
from contracts.record import Record
from contracts.settings import CampaignSettings, SuiteManifest
from eventstore.audit.text import count, line
from eventstore.client import LedgerClient
from eventstore.errors import LedgerError, LedgerUnavailable

SETTLING = 1.0
"""Seconds that jobs get to end, all in vain, when a campaign was paused; else the next run would wait for them."""


def halted(reason: str, *, replayed: bool) -> tuple[str, int]:
    """What to say of a campaign that was paused, and the exit code.

    A replay is halted by a request that is not on record, and always will be. Else an endpoint wants a person to mend
    something, and is not available before.
    """
    said = reason if reason.endswith((".", "?", "!")) else f"{reason}."
    if replayed:
        said += " Settings, suite or version of Ratchet differ from those of the recorded campaign, and to go on does "
        return f"{said}not help: give the options of that campaign, and another --store", FAILED
    return f"{said} The same command goes on from here", UNAVAILABLE


class Thinking(Record):
    """What the gateway of a campaign is started with."""

    options: tuple[str, ...] = ()
    secrets: tuple[str, ...] = ()
    """Variables with keys, which only the gateway may know."""
    recorded: bool = False
    """Whether a record answers."""
    fixed: tuple[str, ...] | None = None
    """Decoding parameters that are not searched; None: as was found out about the model."""


class Job:
    """One `ratchet run`."""

    def __init__(
        self, suite: Suite, settings: CampaignSettings, *, store: Path, lineage: str, bus: str, abandon: bool,
        progress: Progress, collected: bool = True, ledger: str = "file", thinking: Thinking | None = None,
    ) -> None:  # fmt: skip
        self.suite = suite
        self.settings = settings
        self.store = store
        self.lineage = lineage
        self.bus = bus
        self.abandon = abandon
        self.progress = progress
        self.collected = collected
        self.ledger = ledger
        self.thinking = thinking or Thinking()
        self.error = ""
        self.code = FAILED
        self.interrupted = False
        self.state = Lineage()

    async def run(self, executors: int) -> None:
        """Start everything, follow the campaign to its end, stop everything."""
        gateway = self.thinking.options if self.settings.models.named else None
        wanted = children(self.store, bus=self.bus, ledger=self.ledger, executors=executors, gateway=gateway)
        supervisor = Supervisor(self.store, wanted, secrets=self.thinking.secrets)
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
        if isinstance(error, CampaignUnderWay):
            self.error, self.code = str(error), USAGE
        elif isinstance(error, BusError | LedgerError | ModelError):
            self.error, self.code = str(error), UNAVAILABLE
            if "," in self.bus and isinstance(error, BusError | LedgerUnavailable):
                self.error += (
                    ". Are more than half of the bus's servers up? Without them nothing can be agreed on"
                )
        else:
            raise error

    async def _signals(self, tasks: anyio.abc.TaskGroup) -> None:
        with anyio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
            async for _ in signals:
                self.interrupted = True
                tasks.cancel_scope.cancel()
                return

    async def _watch(self, supervisor: Supervisor, tasks: anyio.abc.TaskGroup) -> None:
        """End with the reason when a child cannot live: a port in use, a foreign store, no sandbox."""
        while True:
            await anyio.sleep(0.25)
            self.progress.tick()
            if fault := supervisor.fault():
                self.error, self.code = fault, UNAVAILABLE
                tasks.cancel_scope.cancel()
                return

    async def _campaign(self) -> None:
        self.progress.doing(f"starting {'' if self.bus else 'the bus, '}the ledger and the agents")
        url = await self._url()
        async with await connect(url, name="ratchet-run", deadline=30.0) as bus:
            await ensure_streams(bus)
            ledger = LedgerClient(bus)
            self.progress.doing("reading the model from the ledger, or training it")
            joined = await self._joined(ledger) if self.collected else None
            campaign, resumed = await request_campaign(
                ledger, self.suite, self.settings, lineage=self.lineage, abandon=self.abandon, joined=joined,
                fixed=self.thinking.fixed,
            )  # fmt: skip
            if resumed:
                self.progress.say(f"resuming [bold]{campaign.id}[/] after round {campaign.rounds_done}")
            await self._tell_probed(ledger, campaign)
            self._tell_collected(campaign.suite, joined, resumed=resumed)
            await bus.listen("results.episode.>", self._counted)
            await self._follow(ledger, campaign.id)

    async def _tell_probed(self, ledger: LedgerClient, campaign: Campaign) -> None:
        """What is not searched, since the harness's model does nothing with it; or that nobody has looked yet."""
        spec, fixed = campaign.settings.models.harness, campaign.settings.fixed
        facts = campaign.settings.facts
        if facts is not None and facts_of(spec).tools and not facts.tools:
            self.progress.say(f"[dim]no tools are offered, as {escape(spec)} calls none[/]")
        if fixed:
            self.progress.say(
                f"[dim]not searched, as {escape(spec)} does not honour it: {', '.join(fixed)}[/]"
            )
        elif spec and not self.thinking.recorded and await last_probe(ledger, spec) is None:
            self.progress.say(
                f"[dim]nobody has looked yet what {escape(spec)} honours: `ratchet doctor --model` does[/]"
            )

    async def _joined(self, ledger: LedgerClient) -> Joined:
        """The suite with the tasks that were collected from failed submissions."""
        found = await read_collected(ledger)
        joined = join(self.suite, found.tasks)
        return msgspec.structs.replace(joined, left_out=(*found.faulty, *joined.left_out))

    def _tell_collected(self, suite: SuiteManifest, joined: Joined | None, *, resumed: bool) -> None:
        """Which collected tasks are practised on, and why others are not."""
        if suite.collected:
            self.progress.say(f"+{count(len(suite.collected), 'collected task')}")
        if joined is None:
            return
        if resumed:
            later = len(set(joined.added) - set(suite.collected))
            if later:
                self.progress.say(
                    f"[dim]{count(later, 'task')} collected since then: for the next campaign[/]"
                )
            return
        for name, reason in joined.left_out:
            self.progress.say(f"[dim]collected task {escape(line(f'{name} is left out: {reason}'))}[/]")

    async def _url(self) -> str:
        """The address of the bus: wait until the supervised server has written it and answers there."""
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

    async def _follow(self, ledger: LedgerClient, campaign: str) -> None:
        stream = f"lineage/{self.lineage}"
        async for envelope in stream_events(ledger, stream):
            if envelope.version != self.state.version + 1:
                continue
            self.state = fold(self.state, envelope)
            event = decode(envelope)
            if getattr(event, "campaign", campaign) == campaign and envelope.correlation == campaign:
                self.progress.event(envelope, event, self.state)
        if self._over(campaign) or await self._paused(campaign):
            return
        async for envelope in ledger.follow(after=self.state.position):
            if envelope.stream != stream or envelope.version != self.state.version + 1:
                continue
            self.state = fold(self.state, envelope)
            event = decode(envelope)
            self.progress.event(envelope, event, self.state)
            if self._over(campaign) or await self._paused(campaign):
                return

    async def _paused(self, campaign: str) -> bool:
        """Whether a person has to do something before the campaign goes on; then that is what the run ends with."""
        found = self.state.campaign
        if found is None or found.id != campaign or found.status != "paused":
            return False
        self.error, self.code = halted(found.paused_reason, replayed=self.thinking.recorded)
        await anyio.sleep(SETTLING)
        return True

    def _over(self, campaign: str) -> bool:
        found = self.state.campaign
        return found is None or found.id != campaign or found.status == "finished"
