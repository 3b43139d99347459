"""`ratchet collect`: submitted tasks that the harness failed become practice tasks, by a person's word."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import anyio
import click

from agents.cli.collection import Reading
from agents.cli.common import (
    FAILED,
    INTERRUPTED,
    OK,
    UNAVAILABLE,
    USAGE,
    fail,
    json_option,
    store_option,
    user_name,
)
from contracts.collection import Entry
from contracts.record import Record
from contracts.tasks import GradedTask


class Asked(Record):
    """What a person asked for."""

    accept: tuple[str, ...] = ()
    everything: bool = False
    dismiss: tuple[str, ...] = ()
    reason: str = ""
    to: Path | None = None

    @property
    def decides(self) -> bool:
        """Whether anything is to be recorded."""
        return bool(self.accept or self.everything or self.dismiss)


@click.command()
@click.option("--accept", metavar="ID", multiple=True, help="Make a practice task of it; may be repeated.")
@click.option("--all", "everything", is_flag=True, help="Accept all that are listed as open.")
@click.option("--dismiss", metavar="ID", multiple=True, help="Do not want it, or not any more.")
@click.option("--reason", default="", help="Why it is dismissed; goes into the ledger.")
@click.option(
    "--to",
    type=click.Path(path_type=Path, file_okay=False),
    default=None,
    help="Write the collected tasks as task directories into this folder.",
)
@click.option("--bus", "bus", envvar="RATCHET_BUS", default="", help="URL of the bus, nats://…")
@store_option
@json_option
def collect(
    accept: tuple[str, ...],
    everything: bool,
    dismiss: tuple[str, ...],
    reason: str,
    to: Path | None,
    bus: str,
    store: Path,
    as_json: bool,
) -> None:
    """List submitted tasks that the harness failed, and make practice tasks of them.

    The next campaign practises on all collected tasks. Before a task is accepted its tests run twice in the sandbox:
    they have to come to an end, to fail, and to say the same both times.

    Exit codes: 0 done (or nothing to do), 1 a task was refused, 2 wrong usage or input, 3 no sandbox or no answer,
    130 interrupted.
    """  # fmt: skip
    from agents.sandbox import SandboxUnavailable
    from agents.tasks.errors import TaskError
    from bus.errors import BusError
    from eventstore.errors import LedgerError, LedgerUnavailable

    asked = Asked(accept=accept, everything=everything, dismiss=dismiss, reason=reason.strip(), to=to)
    if bool(dismiss) != bool(asked.reason):
        fail(
            "--dismiss and --reason go together: the ledger keeps why",
            code=USAGE,
            kind="usage",
            as_json=as_json,
        )
    try:
        code = _Collect(store, bus, asked, as_json=as_json).run()
    except KeyboardInterrupt:
        fail("interrupted; `ratchet collect` shows what was recorded", code=INTERRUPTED, as_json=as_json)
    except SandboxUnavailable as error:
        fail(str(error), code=UNAVAILABLE, kind="SandboxUnavailable", as_json=as_json)
    except (BusError, LedgerUnavailable) as error:
        fail(str(error), code=UNAVAILABLE, kind=type(error).__name__, as_json=as_json)
    except (LedgerError, TaskError, OSError) as error:
        fail(str(error), code=USAGE, kind=type(error).__name__, as_json=as_json)
    raise SystemExit(code)


class _Collect:
    """One call of the command."""

    def __init__(self, store: Path, bus: str, asked: Asked, *, as_json: bool) -> None:
        self.store = store
        self.bus = bus
        self.asked = asked
        self.as_json = as_json
        self.done: dict[str, list[Any]] = {
            key: [] for key in ("accepted", "refused", "dismissed", "unchanged", "written", "left")
        }

    def run(self) -> int:
        """Do what was asked; answers the exit code."""
        reading, known = anyio.run(self._read)
        for name, reason in reading.unreadable:
            self._warn(f"submission {name} cannot be read: {reason}")
        if not self.asked.decides and self.asked.to is None:
            self._list(reading, known)
            return OK
        wanted, unwanted = self._chosen(reading)
        anyio.run(self._record, self._tried(wanted), unwanted)
        if self.asked.to is not None:
            self._write(self.asked.to)
        if self.as_json:
            click.echo(json.dumps(self.done))
        return FAILED if self.done["refused"] else OK

    async def _read(self) -> tuple[Reading, dict[str, str]]:
        from agents.cli.collection import read_collection, versions
        from agents.cli.request import lineage_state
        from agents.cli.session import readable_ledger

        async with readable_ledger(self.store, self.bus) as ledger:
            reading = await read_collection(ledger)
            names = sorted({entry.lineage for entry in reading.entries})
            states = [await lineage_state(ledger, name) for name in names]
        return reading, versions(states)

    def _chosen(self, reading: Reading) -> tuple[list[Entry], list[Entry]]:
        """The entries to accept and to dismiss; ends the command for an id that there is not."""
        found: dict[str, list[Entry]] = {"accept": [], "dismiss": []}
        for word, names in (("accept", self.asked.accept), ("dismiss", self.asked.dismiss)):
            for name in names:
                entry = reading.find(name)
                if entry is None:
                    reason = f"no failed submission is called {name!r}; `ratchet collect` lists them"
                    fail(reason, code=USAGE, kind="unknown", as_json=self.as_json)
                if entry not in found[word]:
                    found[word].append(entry)
        if self.asked.everything:
            others = (*found["accept"], *found["dismiss"])
            found["accept"] += [e for e in reading.entries if e.status == "open" and e not in others]
        if both := [entry.name for entry in found["accept"] if entry in found["dismiss"]]:
            fail(
                f"{both[0]} cannot be both accepted and dismissed",
                code=USAGE,
                kind="usage",
                as_json=self.as_json,
            )
        if self.asked.everything and not found["accept"]:
            self._say("nothing to collect: no open task is left")
        return found["accept"], found["dismiss"]

    async def _tasks(self, entries: Sequence[Entry]) -> dict[str, GradedTask]:
        """The tasks that entries become, by id; what cannot be one is refused."""
        from agents.cli.collection import read_task
        from agents.cli.session import readable_ledger
        from agents.tasks.errors import TaskError
        from agents.tasks.foreign import readmit

        found: dict[str, GradedTask] = {}
        async with readable_ledger(self.store, self.bus) as ledger:
            for entry in entries:
                try:
                    submitted = await read_task(ledger, entry)
                    found[entry.name] = readmit(submitted.task, name=entry.name, package=entry.package)
                except TaskError as error:
                    self._refuse(entry, str(error))
        return found

    def _tried(self, entries: Sequence[Entry]) -> list[tuple[Entry, GradedTask, tuple[str, ...]]]:
        """Those entries that are fit and not collected yet, with the tests that fail."""
        from agents.executor.trial import try_task

        fit = []
        new = [entry for entry in entries if entry.status != "collected"]
        tasks = anyio.run(self._tasks, new) if new else {}
        for entry in entries:
            if entry.status == "collected":
                self._unchanged(entry, "collected")
            elif entry.name in tasks:
                trial = try_task(tasks[entry.name])
                if trial.refusal:
                    self._refuse(entry, trial.refusal)
                else:
                    fit.append((entry, tasks[entry.name], trial.failing))
        return fit

    async def _record(
        self, fit: Sequence[tuple[Entry, GradedTask, tuple[str, ...]]], unwanted: Sequence[Entry]
    ) -> None:
        from agents.cli.collection import accept, dismiss
        from agents.cli.session import writable_ledger

        if not fit and not unwanted:
            return
        async with writable_ledger(self.store, self.bus) as ledger:
            for entry, graded, failing in fit:
                position = await accept(ledger, entry, graded, failing, user_name())
                if not position:
                    self._unchanged(entry, "collected")
                    continue
                self.done["accepted"].append(
                    {"id": entry.name, "package": entry.package, "failing": failing, "position": position}
                )
                self._say(
                    f"{entry.name}: collected; failing: {_tests(len(failing))}, package {entry.package}"
                )
            for entry in unwanted:
                position = await dismiss(ledger, entry, self.asked.reason, user_name())
                if not position:
                    self._unchanged(entry, "dismissed")
                    continue
                self.done["dismissed"].append({"id": entry.name, "position": position})
                self._say(f"{entry.name}: dismissed")

    def _write(self, folder: Path) -> None:
        from agents.tasks.write import write_task

        tasks = anyio.run(self._collected)
        for graded in tasks:
            target = write_task(folder, graded)
            if target is None:
                self.done["left"].append(graded.task.id)
                self._say(f"{graded.task.id}: there already, left as it is")
            else:
                self.done["written"].append(str(target))
                self._say(f"{graded.task.id}: written to {target}")
        if not tasks:
            self._say("nothing to write: no task is collected")

    async def _collected(self) -> tuple[GradedTask, ...]:
        from agents.cli.collection import read_collected
        from agents.cli.session import readable_ledger

        async with readable_ledger(self.store, self.bus) as ledger:
            found = await read_collected(ledger)
        for name, reason in found.faulty:
            self._warn(f"{name} cannot be used: {reason}")
        return found.tasks

    # What is said; others wrote the names, so they are made plain -------------------------------------------

    def _list(self, reading: Reading, known: dict[str, str]) -> None:
        from agents.cli import listing

        if self.as_json:
            click.echo(json.dumps(listing.facts(reading, known)))
        else:
            listing.show(reading, known)

    def _refuse(self, entry: Entry, reason: str) -> None:
        self.done["refused"].append({"id": entry.name, "reason": reason})
        self._say(f"{entry.name}: refused: {reason}", err=True)

    def _unchanged(self, entry: Entry, status: str) -> None:
        self.done["unchanged"].append(entry.name)
        self._say(f"{entry.name}: is {status} already")

    def _say(self, text: str, *, err: bool = False) -> None:
        from eventstore.audit.text import line

        if not self.as_json:
            click.echo(line(text), err=err)

    def _warn(self, text: str) -> None:
        from eventstore.audit.text import line

        click.echo(f"Warning: {line(text)}", err=True)


def _tests(number: int) -> str:
    return f"{number} test{'' if number == 1 else 's'}"
