"""The commands that make a ledger searchable: full text, and tables for any tool that reads SQLite."""

import json
import sys
from contextlib import closing
from pathlib import Path

import click

from eventstore.audit.command import AuditCommand, only_store


@click.command(cls=AuditCommand)
@click.argument("words", nargs=-1, required=True)
@click.option(
    "--kind",
    type=click.Choice(["plan", "criticism", "lesson", "reason"]),
    default=None,
    help="Only texts of this kind.",
)
@click.option(
    "--limit", type=click.IntRange(1), default=20, show_default=True, help="Texts to show, at most."
)
@only_store
def search(*, words: tuple[str, ...], kind: str | None, limit: int, store: Path, as_json: bool) -> None:
    """Find plans, criticism, lessons and verdicts' reasons that have all WORDS, the best fitting first.

    Words are found in any of their forms ("keep", "keeps", "keeping").
    """
    if not any(character.isalnum() for word in words for character in word):
        raise click.BadParameter("want at least one word of letters or digits", param_hint="WORDS")
    from eventstore.audit.index import search as ask
    from eventstore.audit.terminal import draw_table, facts_of, put
    from eventstore.audit.text import line

    found = ask(store, " ".join(words), kind=kind or "", limit=limit)
    if as_json:
        click.echo(json.dumps([facts_of(hit) for hit in found]))
        return
    if not found:
        click.echo("nothing was found", err=True)
        return
    shown = [
        (f"{hit.position}", f"{hit.campaign} r{hit.round}", hit.kind, line(hit.title), line(hit.excerpt))
        for hit in found
    ]
    if sys.stdout.isatty():
        put(draw_table(("position", "round", "", "title", "where"), shown, (0,), folded=(3, 4)))
        return
    for row in shown:
        click.echo("\t".join(row))


@click.command(cls=AuditCommand)
@only_store
def index(*, store: Path, as_json: bool) -> None:
    """Write the ledger's tables for people into index.db: rounds, plans, verdicts, costs, single episodes' scores.

    Open it with any tool that reads SQLite. It is a copy, brought up to date by this command; nothing reads it but
    `search`, and it may be deleted.
    """
    from eventstore.audit.index import FILE, refresh
    from eventstore.audit.index_tables import TABLES, VIEWS

    with closing(refresh(store)) as database:
        rows = {name: database.table(name).count for name in TABLES}
    if as_json:
        click.echo(json.dumps({"path": str(store / FILE), "tables": rows, "views": list(VIEWS)}))
        return
    click.echo(f"{store / FILE}")
    for name, count in rows.items():
        click.echo(f"  {name:<10}{count:>9,}")
    click.echo(f"  views: {', '.join(VIEWS)}")


COMMANDS: tuple[click.Command, ...] = (search, index)
"""What is offered beside the commands that only look."""
