"""The commands that ask a ledger why: whose a line is, and what another gate would have said."""

import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from eventstore.audit.command import AuditCommand, options, read

if TYPE_CHECKING:
    from eventstore.audit.counterfactual import Counterfactual
    from eventstore.audit.family import Branch
    from eventstore.audit.rounds import History, VersionHistory


@click.command(cls=AuditCommand)
@click.argument("path")
@click.option("--at", default="head", show_default=True, metavar="VERSION", help="As which version has it.")
@options
def blame(*, path: str, at: str, store: Path, lineage: str, as_json: bool) -> None:
    """Tell of each line of a harness's file the round that brought it, its verdict and its measured effect.

    PATH is a file of the harness, such as harness.toml. VERSION is named as for `diff`.
    """
    from eventstore.audit.blame import blame as ask
    from eventstore.audit.family import ancestry
    from eventstore.audit.refs import find_harness
    from eventstore.audit.terminal import draw_table, facts_of, put
    from eventstore.audit.text import chance, line, plain, signed

    with read(store, lineage) as (archive, history):
        line_of = ancestry(archive, history)
        lines = ask(
            archive, [version for _, version in line_of], find_harness(archive, history, at).tree, path
        )
    homes = {version.mark.position: name for name, version in line_of}
    if as_json:
        told = [facts_of(found) | {"lineage": homes[found.version.mark.position]} for found in lines]
        click.echo(json.dumps(told))
        return
    rows = [
        (
            _version_name(found.version, homes[found.version.mark.position], lineage),
            _origin(history, found.version),
            signed(found.version.effect),
            chance(found.version.p if found.version.effect is not None else None),
            str(found.number),
            plain(found.text),
        )
        for found in lines
    ]
    if not sys.stdout.isatty():
        for row in rows:
            click.echo("\t".join((*map(line, row[:-1]), row[-1])))
        return
    put(draw_table(("version", "by", "Δ", "p", "line", "text"), rows, (2, 3, 4), folded=(), spared=(3,)))


def _version_name(version: "VersionHistory", home: str, lineage: str) -> str:
    return version.name if home == lineage else f"{home}/{version.name}"


def _origin(history: "History", version: "VersionHistory") -> str:
    if version.origin != "round":
        return version.origin
    last = history.campaign.id if history.campaign else ""
    return f"r{version.round}" if version.campaign == last else f"{version.campaign}/{version.round}"


@click.command(cls=AuditCommand)
@click.argument("what", metavar="[ROUND]", default="")
@click.option("--preset", default="", metavar="NAME", help="The numbers of a preset: default, strict.")
@click.option(
    "--alpha", type=click.FloatRange(0, 1, min_open=True, max_open=True), help="Largest p-value that is kept."
)
@click.option("--minimum-effect", type=click.FloatRange(0, 1), help="Smallest mean difference that is kept.")
@click.option(
    "--cost-cap",
    type=click.FloatRange(0, min_open=True),
    help="Largest cost, as a multiple of the incumbent's.",
)
@options
def counterfactual(
    *,
    what: str,
    preset: str,
    alpha: float | None,
    minimum_effect: float | None,
    cost_cap: float | None,
    store: Path,
    lineage: str,
    as_json: bool,
) -> None:
    """Tell what the gate would have said with other numbers, from the scores on record.

    Without ROUND for every confirmation of every campaign. Each verdict stands for itself: another decision in one
    round would have led to another harness, so the list is not the campaign that there would have been.
    """
    import msgspec

    from contracts import gate
    from eventstore.audit.counterfactual import counterfactuals
    from eventstore.audit.refs import find_round
    from eventstore.audit.terminal import facts_of

    given = {"alpha": alpha, "minimum_effect": minimum_effect, "cost_cap": cost_cap}
    changes: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    if not preset and not changes:
        raise click.UsageError(
            "other numbers are wanted: name a --preset, or give --alpha, --minimum-effect or --cost-cap"
        )
    if preset:
        try:
            changes = {"alpha": gate.GateSettings.preset(preset).alpha, **changes}
        except ValueError as error:
            raise click.BadParameter(str(error), param_hint="--preset") from None
    with read(store, lineage) as (archive, history):
        found = counterfactuals(
            archive, lineage, lambda recorded: msgspec.structs.replace(recorded, **changes)
        )
        if what:
            wanted = find_round(history, what)
            found = [one for one in found if (one.campaign, one.round) == (wanted.campaign, wanted.number)]
    if as_json:
        click.echo(json.dumps([facts_of(one) | {"differs": one.differs} for one in found]))
        return
    _told(found)


def _told(found: "Sequence[Counterfactual]") -> None:
    from eventstore.audit.terminal import draw_table, put
    from eventstore.audit.text import chance, count, line, signed

    rows = [
        (
            f"{one.campaign}/{one.round}",
            signed(one.recorded.effect),
            chance(one.recorded.p),
            one.recorded.decision,
            one.other.decision,
            "other" if one.differs else "",
            one.title,
        )
        for one in found
    ]
    if sys.stdout.isatty():
        names = ("round", "Δ", "p", "recorded", "then", "", "change")
        put(draw_table(names, rows, (1, 2), folded=(6,), spared=(1,)))
    else:
        for row in rows:
            click.echo("\t".join(map(line, row)))
    kept = sum(one.recorded.decision == "keep" for one in found)
    then = sum(one.other.decision == "keep" for one in found)
    others = sum(one.differs for one in found)
    click.echo(
        f"{count(len(found), 'confirmation')}: {kept} to be kept on record, {then} then; {others} decided otherwise",
        err=True,
    )


@click.command(cls=AuditCommand)
@options
def tree(*, store: Path, lineage: str, as_json: bool) -> None:
    """Draw every lineage with its versions, and the lineages that were forked from them.

    --lineage is passed over: the tree holds all of them.
    """
    del lineage
    from eventstore.audit.archive import opened
    from eventstore.audit.family import branches
    from eventstore.audit.terminal import facts_of

    with opened(store) as archive:
        found = branches(archive)
    if as_json:
        click.echo(json.dumps([facts_of(branch) for branch in found]))
        return
    for text in _drawn(found):
        click.echo(text)


def _drawn(
    found: "Sequence[Branch]", parent: str = "", number: int | None = None, indent: str = ""
) -> Iterator[str]:
    from eventstore.audit.family import walk
    from eventstore.audit.text import line, signed

    for branch in walk(found, parent, number):
        yield f"{indent}{line(branch.name)}{': ' + line(branch.reason) if branch.reason else ''}"
        for version in branch.versions:
            last = version is branch.versions[-1]
            marks = [w for w, on in (("head", last), ("released", version.tree == branch.released)) if on]
            told = (
                f"r{version.round} {signed(version.effect)}" if version.origin == "round" else version.origin
            )
            yield (
                f"{indent}{'└' if last else '├'} {version.name} {version.tree[:10]} {told}  {line(version.title)}"
                + (f" ({', '.join(marks)})" if marks else "")
            )
            yield from _drawn(found, branch.name, version.number, indent + ("   " if last else "│  "))


COMMANDS: tuple[click.Command, ...] = (blame, counterfactual, tree)
"""What is offered beside the commands that only look."""
