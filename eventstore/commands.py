"""The commands of the ledger. Those that only read open the file themselves and need no server.

Exit codes: 0 fine, 2 wrong usage or no such store, 3 something is not available, 4 the ledger is not intact.
"""

import json
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click
import msgspec

from contracts.envelope import Envelope
from eventstore import rows, select
from eventstore.checkpoints import sign
from eventstore.database import open_reader
from eventstore.limits import is_hash
from eventstore.moments import moment
from eventstore.options import BROKEN, LedgerCommand, json_option, ledger_option, store_option
from eventstore.printing import as_dict, listed, table
from eventstore.signing import read_key
from eventstore.verify import VerifyReport
from eventstore.verify import verify as verify_store

if TYPE_CHECKING:
    from eventstore.audit.replay import CheckReport

F = TypeVar("F", bound=Callable[..., Any])

INTERRUPTED = 130
POLL = 0.25
"""Seconds between looks at a ledger that is followed."""


class LedgerGroup(click.Group):
    """A group of such commands."""

    command_class = LedgerCommand


@click.group(cls=LedgerGroup, context_settings={"help_option_names": ["-h", "--help"]})
def cli() -> None:
    """The ledger: serve it, look into it, and check that nothing in it was changed."""


@cli.command()
@store_option
@click.option(
    "--bus", "url", default="", help="Address of the bus [default: RATCHET_BUS, or the store's own]."
)
@ledger_option
def serve(store: Path, url: str, ledger: str) -> None:
    """Serve the ledger over the bus until SIGINT or SIGTERM.

    A ledger in JetStream may be served from several machines: one of them writes, and when it goes another does.
    """
    from eventstore.serving import run

    run(store, url, replicated=ledger == "jetstream")


@cli.command()
@store_option
@json_option
@click.option(
    "--key",
    metavar="KEY",
    default="",
    help="Public key, its digits or a file: only checkpoints that it signed count, and none at all is a fault.",
)
@click.option(
    "--checkpoint",
    metavar="POSITION:HASH",
    default="",
    help="Compare with a checkpoint that was noted earlier: history up to there must be the same.",
)
@click.option(
    "--bytes", "only_bytes", is_flag=True, help="Do not compute verdicts again: quicker on large ledgers."
)
def verify(*, store: Path, key: str, checkpoint: str, only_bytes: bool, as_json: bool) -> None:
    """Check every hash, chain, blob and signed checkpoint, and that every verdict follows from its scores.

    Says what is sound when something is not. States are the matter of `replay --check`.
    """
    position, colon, expected = checkpoint.partition(":")
    if checkpoint and not (colon and position.isdigit() and int(position) > 0 and is_hash(expected)):
        raise click.BadParameter(
            "want POSITION:HASH with 64 hexadecimal digits, as `verify` printed it", param_hint="--checkpoint"
        )
    report = verify_store(
        store,
        expect=(int(position), expected) if checkpoint else None,
        key=read_key(key) if key else "",
    )
    decided = None
    if report.ok and not only_bytes:
        from eventstore.audit.replay import check

        decided = check(store)
    if as_json:
        facts = msgspec.to_builtins(report) | {"ok": report.ok, "first_bad": report.first_bad}
        if decided is not None:
            wrong = msgspec.to_builtins(decided.decisions)
            facts |= {"verdicts": decided.verdicts, "misfits": wrong, "ok": not wrong}
        click.echo(json.dumps(facts))
    else:
        _tell(report, decided)
        if checkpoint and report.ok:
            click.echo(f"the same history as noted, up to position {position}")
    if not report.ok or (decided is not None and decided.decisions):
        raise SystemExit(BROKEN)


def _tell_decisions(report: "CheckReport") -> None:
    if report.verdicts and not report.decisions:
        click.echo(f"{report.verdicts} verdicts computed again: all follow from their scores")
    for misfit in report.decisions:
        place = f"position {misfit.position}: {misfit.stream}@{misfit.version} {misfit.type}"
        click.echo(f"  {place}: {misfit.reason}")
    if report.decisions:
        click.echo("DECISIONS DO NOT FOLLOW: the bytes are intact, but the rule does not give what is stored")


@cli.command()
@store_option
@json_option
@click.option(
    "--bus",
    "url",
    default="",
    help="Bus of the service that serves it [default: RATCHET_BUS, or the store's own].",
)
def checkpoint(store: Path, url: str, as_json: bool) -> None:
    """Sign a checkpoint over everything in the ledger, beside the service or without one.

    While a campaign runs the service signs one after every round. Note position, hash and key elsewhere.
    """
    signed = sign(store, url)
    if as_json:
        facts = {"position": signed.position, "checkpoint": signed.checkpoint, "key": signed.key}
        click.echo(json.dumps(facts))
    else:
        click.echo(f"signed checkpoint {signed.position}:{signed.checkpoint}\nkey {signed.key}")


@cli.command()
@store_option
@json_option
@click.option("--stream", default="", help="Only this stream; ending with / all streams below it.")
@click.option("--type", "kind", default="", help="Only events of this type.")
@click.option(
    "--actor", default="", help="Only what WHO stored, by the beginning of the name: planner, operator:."
)
@click.option("--campaign", default="", help="Only events of this campaign.")
@click.option("--round", "round_", type=click.IntRange(1), default=None, help="Only events of this round.")
@click.option(
    "--verdict",
    type=click.Choice(("keep", "revert", "inconclusive")),
    default=None,
    help="Only events with this verdict.",
)
@click.option("--since", metavar="TIME", default="", help="Not before: 2026-11-27T13:05 (UTC), or 90m ago.")
@click.option("--until", metavar="TIME", default="", help="Not after.")
@click.option("--after", type=click.IntRange(0), default=0, help="Only positions after this one.")
@click.option("--limit", type=click.IntRange(1), default=100, show_default=True, help="Most events to show.")
@click.option("-f", "--follow", is_flag=True, help="Go on with what is stored from now on, until Ctrl-C.")
def log(
    *,
    store: Path,
    stream: str,
    kind: str,
    actor: str,
    campaign: str,
    round_: int | None,
    verdict: str | None,
    since: str,
    until: str,
    after: int,
    limit: int,
    follow: bool,
    as_json: bool,
) -> None:
    """List events in the order in which they were stored; with -f also those to come."""
    wanted = select.Wanted(
        stream=stream,
        kind=kind,
        actor=actor,
        campaign=campaign,
        round=round_ or 0,
        verdict=verdict or "",
        since=moment(since) if since else 0.0,
        until=moment(until) if until else 0.0,
    )
    with closing(open_reader(store)) as connection:
        found, more = select.events(connection, wanted, after=after, limit=limit)
        _list(found, as_json=as_json)
        while follow:
            try:
                after = found[-1].position if found else after
                found, more = select.events(connection, wanted, after=after, limit=limit)
                _list(found, as_json=as_json, named=False)
                if not more:
                    sys.stdout.flush()
                    time.sleep(POLL)
            except KeyboardInterrupt:
                raise SystemExit(INTERRUPTED) from None
    if more:
        click.echo(f"there are more: --after {found[-1].position}", err=True)


def _list(found: Sequence[Envelope], *, as_json: bool, named: bool = True) -> None:
    if as_json:
        for event in found:
            click.echo(json.dumps(as_dict(event)))
    elif found or named:
        names = ("position", "time", "stream", "type", "payload")
        table(names, map(listed, found), numbers=1, named=named)


@cli.command()
@store_option
@json_option
@click.argument("prefix", default="")
def streams(store: Path, prefix: str, as_json: bool) -> None:
    """List the streams, or those whose names begin with PREFIX."""
    with closing(open_reader(store)) as connection:
        found = rows.streams(connection, prefix)
    if as_json:
        for name, version in found:
            click.echo(json.dumps({"stream": name, "version": version}))
    else:
        table(("events", "stream"), ((str(version), name) for name, version in found), numbers=1)


@cli.command()
@store_option
@click.argument("hash")
def blob(store: Path, hash: str) -> None:  # noqa: A002 (the argument's name in the help)
    """Write the blob HASH, or the one whose hash begins so, to standard output."""
    with closing(open_reader(store)) as connection:
        data = rows.blob(connection, select.blob_name(connection, hash))
    sys.stdout.buffer.write(data)
    sys.stdout.buffer.flush()


def _tell(report: VerifyReport, decided: "CheckReport | None") -> None:
    click.echo(f"{report.events} events in {report.streams} streams, {report.blobs} blobs")
    if report.signatures:
        hold = "checkpoint holds," if report.signatures == 1 else "checkpoints hold, the last"
        click.echo(
            f"{report.signatures} signed {hold} up to position {report.signed}; key {', '.join(report.keys)}"
        )
    if decided is not None:
        _tell_decisions(decided)
    if report.ok:
        click.echo(f"intact; checkpoint {report.position}:{report.checkpoint}")
        return
    for fault in report.faults:
        where = f"position {fault.position}: " if fault.position else ""
        where += f"{fault.stream}@{fault.version}: " if fault.stream else ""
        where += f"blob {fault.blob}: " if fault.blob and fault.blob not in fault.reason else ""
        click.echo(f"  {where}{fault.reason}")
    if report.more_faults:
        click.echo(f"  and {report.more_faults} more")
    sound = (
        f"events before position {report.first_bad} are sound" if report.first_bad else "all events are sound"
    )
    others = "; so are all streams but " + ", ".join(report.damaged) if report.damaged else ""
    click.echo(f"NOT INTACT: {sound}{others}")
