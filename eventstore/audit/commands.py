"""The commands that read a ledger from its file: no server, no network, nothing written but what they are told to.

Exit codes: 0 fine, 2 wrong usage or nothing of that name, 3 something is not available, 4 the ledger is not intact.
"""

import json
import sys
from pathlib import Path

import click

from eventstore.audit import questions, searching, sharing
from eventstore.audit.command import AuditCommand, options, read
from eventstore.options import BROKEN


@click.command(cls=AuditCommand)
@click.argument("what", metavar="ROUND|POSITION")
@options
def show(what: str, store: Path, lineage: str, as_json: bool) -> None:
    """Show a round whole, or the event at a position.

    A round is r3 (round 3 of the last campaign) or CAMPAIGN/3; a plain number is a position, as `log` prints it.
    """
    if what.isdecimal():
        _show_event(int(what), store, lineage, as_json=as_json)
        return
    from eventstore.audit.refs import find_round, is_round

    if not is_round(what):
        raise click.BadParameter(
            "want a round (r3, or CAMPAIGN/3) or a position (57)", param_hint="ROUND|POSITION"
        )
    with read(store, lineage) as (archive, history):
        round_ = find_round(history, what)
        campaign = history.campaign_named(round_.campaign)
        from eventstore.audit import terminal

        if as_json:
            facts = terminal.facts_of(round_) | {"lesson_text": terminal.lesson_text(archive, round_)}
            facts["tasks"] = [task.id for task in campaign.suite.practice]
            click.echo(json.dumps(facts))
        else:
            terminal.put(terminal.draw_round(archive, campaign, round_))


def _show_event(position: int, store: Path, lineage: str, *, as_json: bool) -> None:
    from eventstore.audit.archive import opened
    from eventstore.audit.errors import NotInLedger
    from eventstore.audit.history import PREFIX, gather
    from eventstore.printing import as_dict

    with opened(store) as archive:
        envelope = archive.event(position)
        if envelope is None:
            raise NotInLedger(f"position {position}", of="event there")
        if as_json:
            click.echo(json.dumps(as_dict(envelope)))
            return
        from eventstore.audit import terminal

        within = ""
        if envelope.stream.startswith(PREFIX):
            history = gather(archive.events(envelope.stream), envelope.stream.removeprefix(PREFIX))
            round_ = history.round_at(position)
            within = f"round {round_.number} of campaign {round_.campaign}" if round_ else ""
            if round_ and history.name == lineage:
                within += f": ratchet show {round_.campaign}/{round_.number}"
        terminal.put(terminal.draw_event(envelope, within))


@click.command(cls=AuditCommand)
@click.argument("a")
@click.argument("b")
@options
def diff(a: str, b: str, store: Path, lineage: str, as_json: bool) -> None:
    """Compare two harnesses, as a unified diff from A to B.

    A and B: seed, head, released, v2 (a version), r3 (the head when round 3 had ended), r3.1 (candidate 1 of
    that round), or at least six characters of a tree's hash.
    """
    from eventstore.audit.archive import tree_diff
    from eventstore.audit.refs import find_harness

    with read(store, lineage) as (archive, history):
        old, new = (find_harness(archive, history, text) for text in (a, b))
        text = tree_diff(archive, old.tree, new.tree)
    if as_json:
        click.echo(json.dumps({"from": old.tree, "to": new.tree, "diff": text}))
    elif not sys.stdout.isatty():
        click.echo(text, nl=False)
    else:
        from eventstore.audit import terminal

        same = f"{a} and {b} are the same harness, {old.tree[:10]}"
        terminal.put(terminal.draw_diff(text) if text else same)


@click.command(cls=AuditCommand)
@click.option(
    "--check", "checking", is_flag=True, help="Compare every state hash, compute every verdict again."
)
@click.option(
    "--to",
    metavar="POSITION|rN|TIME",
    default="",
    help="Stop after a position, when a round has ended, or at a time (2026-11-27T13:05, UTC, or 90m: ago).",
)
@options
def replay(*, checking: bool, to: str, store: Path, lineage: str, as_json: bool) -> None:
    """Fold the ledger from nothing: tell the state that it leads to, or check that all of it fits.

    The state hashes that agents recorded while living through a campaign must come out again, and so must every
    verdict from its scores. Ends with code 4, naming the first event that does not fit, when something does not.
    """
    if checking:
        if to:
            raise click.UsageError("--check goes through the whole ledger: leave --to away")
        _check(store, as_json=as_json)
        return
    from eventstore.audit.replay import replay as fold
    from eventstore.audit.replay import state_facts
    from eventstore.audit.text import count

    state = fold(store, lineage, _position(store, lineage, to))
    facts = state_facts(state)
    if as_json:
        click.echo(json.dumps(facts))
        return
    campaign = state.campaign
    click.echo(f"lineage {lineage} after version {state.version}, position {state.position}")
    click.echo(f"state   {facts['state_hash']}")
    click.echo(f"head    {state.head[:10] or 'none'} (v{len(state.versions) - 1})")
    rounds = count(len(state.history), "round")
    told = f"{campaign.id} {campaign.status}, " if campaign else "no campaign yet, "
    click.echo(f"so far  {told}{rounds} closed, {count(state.releases, 'release check')}")
    if campaign and campaign.round:
        click.echo(f"open    round {campaign.round.number}")


def _position(store: Path, lineage: str, to: str) -> int | None:
    if not to:
        return None
    if to.isdecimal():
        return int(to)
    from eventstore.audit.history import lineage_events
    from eventstore.audit.refs import find_round, is_round
    from eventstore.errors import Malformed
    from eventstore.moments import moment

    with read(store, lineage) as (archive, history):
        if is_round(to):
            return find_round(history, to).marks[-1].position
        try:
            at = moment(to)
        except Malformed:
            wanted = "want a position (57), a round (r3) or a time (2026-11-27T13:05, 90m)"
            raise click.BadParameter(wanted, param_hint="--to") from None
        before = [event.position for event in lineage_events(archive, lineage) if event.at <= at]
    return before[-1] if before else 0


def _check(store: Path, *, as_json: bool) -> None:
    from eventstore.audit.replay import check
    from eventstore.audit.terminal import facts_of
    from eventstore.audit.text import count, line

    report = check(store)
    if as_json:
        click.echo(json.dumps(facts_of(report) | {"ok": report.ok}))
    else:
        click.echo(
            f"{count(report.events, 'event')} in {count(report.streams, 'lineage')} folded from nothing"
        )
        if report.unknown:
            click.echo(f"{count(report.unknown, 'event')} could not be understood by this version")
        if report.ok:
            hashes = count(report.hashes, "state hash", "state hashes")
            verdicts = count(report.verdicts, "verdict")
            click.echo(f"all fits: {hashes} and {verdicts} came out as they were recorded")
        for misfit in report.misfits:
            place = f"position {misfit.position}: {line(misfit.stream)}@{misfit.version} {line(misfit.type)}"
            click.echo(f"  {place}: {line(misfit.reason)}")
        if report.more_misfits:
            click.echo(f"  and {report.more_misfits} more")
        if report.first:
            click.echo(f"DOES NOT FIT: the first event is at position {report.first.position}")
        if report.states_only:
            click.echo(
                "Chains and verdicts fit, and only states come out otherwise: an agent's state held more than "
                "the ledger, or another version of Ratchet, whose states are made otherwise, ran this campaign."
            )
    if not report.ok:
        raise SystemExit(BROKEN)


@click.command(cls=AuditCommand)
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    default=None,
    help="Write report.md and score.svg into this folder too.",
)
@click.option("--campaign", default="", help="Id of the campaign [default: the last one].")
@options
def report(*, out: Path | None, campaign: str, store: Path, lineage: str, as_json: bool) -> None:
    """Tell what a campaign came to: rounds, effects, the sealed result, cost, and the harness before and after.

    Drawn on a terminal, Markdown elsewhere.
    """
    from eventstore.audit import report as reports
    from eventstore.audit.facts import build

    with read(store, lineage) as (archive, history):
        found = build(archive, history, campaign)
        written = reports.write_report(archive, lineage, out, campaign) if out else ()
    from eventstore.audit import terminal

    if as_json:
        click.echo(json.dumps(terminal.facts_of(found) | {"written": [str(path) for path in written]}))
        return
    if sys.stdout.isatty():
        terminal.put(terminal.draw_report(found))
    else:
        click.echo(reports.markdown(found), nl=False)
    if written:
        click.echo(f"wrote {' and '.join(map(str, written))}", err=True)


@click.command(cls=AuditCommand)
@options
def versions(*, store: Path, lineage: str, as_json: bool) -> None:
    """List the harnesses that have been the head, with the rounds that brought them and their effects."""
    from eventstore.audit.text import chance, signed, span, when

    with read(store, lineage) as (_, history):
        state = history.state
    last = history.campaign.id if history.campaign else ""
    rows = []
    for version in history.versions:
        current = version.number == len(history.versions) - 1
        marks = [word for word, on in (("head", current), ("released", version.tree == state.released)) if on]
        if as_json:
            from eventstore.audit.terminal import facts_of

            click.echo(json.dumps(facts_of(version) | {"marks": marks}))
            continue
        name = f"r{version.round}" if version.campaign == last else f"{version.campaign}/{version.round}"
        rows.append(
            (
                version.name,
                version.tree[:10],
                when(version.mark.at),
                name if version.origin == "round" else version.origin,
                signed(version.effect),
                span(version.low, version.high) if version.effect is not None else "–",
                chance(version.p if version.effect is not None else None),
                version.title + (f" ({', '.join(marks)})" if marks else ""),
            )
        )
    if as_json:
        return
    if not sys.stdout.isatty():
        from eventstore.audit.text import line

        for row in rows:
            click.echo("\t".join(map(line, row)))
        return
    from eventstore.audit import terminal

    names = ("version", "harness", "since", "by", "Δ", "interval", "p", "change")
    terminal.put(terminal.draw_table(names, rows, (4, 6), folded=(7,), spared=(2, 5)))


@click.command(cls=AuditCommand)
@click.argument("version")
@click.argument("directory", metavar="DIR", type=click.Path(path_type=Path, file_okay=False))
@options
def checkout(version: str, directory: Path, store: Path, lineage: str, as_json: bool) -> None:
    """Write the files of a harness into DIR, byte for byte; DIR has to be new or empty.

    VERSION is named as for `diff`: head, seed, v2, r3, r3.1, or a tree's hash.
    """
    from eventstore.audit.archive import files
    from eventstore.audit.refs import find_harness
    from eventstore.trees import check_tree, collect, materialize

    if directory.is_dir() and any(directory.iterdir()):
        raise click.BadParameter(f"{directory} is not empty: name a new folder", param_hint="DIR")
    with read(store, lineage) as (archive, history):
        ref = find_harness(archive, history, version)
        found = files(archive, ref.tree)
    materialize(found, directory)
    check_tree(ref.tree, collect(directory))
    if as_json:
        click.echo(json.dumps({"tree": ref.tree, "directory": str(directory), "files": sorted(found)}))
    else:
        click.echo(f"{version} ({ref.tree[:10]}): {len(found)} files in {directory}")


COMMANDS: tuple[click.Command, ...] = (
    show,
    diff,
    replay,
    report,
    versions,
    checkout,
    *questions.COMMANDS,
    *searching.COMMANDS,
    *sharing.COMMANDS,
)
"""What `python -m eventstore` and `ratchet` offer beside the store's own commands."""
