"""The commands that hand a ledger on: `export` writes it for other eyes and tools, `import` reads it back."""

import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import click

from eventstore.audit.command import AuditCommand, only_store, options, read


@click.command(name="export", cls=AuditCommand)
@click.option(
    "--as",
    "kind",
    type=click.Choice(("jsonl", "md", "html")),
    default="jsonl",
    show_default=True,
    help="jsonl: the whole ledger, as `import` reads it. md, html: the report of a campaign, as one file.",
)
@click.option(
    "--out",
    type=click.Path(path_type=Path, dir_okay=False),
    default=None,
    help="Write into this file  [default: standard output]",
)
@click.option("--campaign", default="", help="Id of the campaign of a report  [default: the last one]")
@options
def export(*, kind: str, out: Path | None, campaign: str, store: Path, lineage: str, as_json: bool) -> None:
    """Write the ledger as lines of JSON, or a campaign's report as a page that stands alone.

    The lines hold every event with its hashes and every blob, byte for byte: `import` makes the same ledger of
    them, and any program can check them.
    """
    from eventstore.transfer import export as lines_of

    if kind == "jsonl":
        if campaign:
            raise click.UsageError("--campaign is for reports: jsonl is the whole ledger")
        lines = lines_of(store)
    else:
        with read(store, lineage) as (archive, history):
            from eventstore.audit.facts import build
            from eventstore.audit.page import html
            from eventstore.audit.report import markdown

            report = build(archive, history, campaign)
        lines = iter(((html if kind == "html" else markdown)(report).encode(),))
    if as_json and out is None:
        raise click.UsageError("--json tells what was written: name a file with --out")
    count = size = 0
    with _target(out) as file:
        for line in lines:
            file.write(line)
            count, size = count + 1, size + len(line)
    if as_json:
        click.echo(json.dumps({"file": str(out), "kind": kind, "lines": count, "bytes": size}))
    elif out is not None:
        click.echo(f"wrote {out} ({size:,} bytes)", err=True)


@contextmanager
def _target(out: Path | None) -> Iterator[BinaryIO]:
    """Where to write: a file is there whole, or not at all."""
    if out is None:
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    part = out.with_name(out.name + ".part")
    try:
        with part.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        part.replace(out)
    finally:
        part.unlink(missing_ok=True)


@click.command(name="import", cls=AuditCommand)
@click.argument("file", type=click.File("rb"))
@options
def load(*, file: BinaryIO, store: Path, lineage: str, as_json: bool) -> None:
    """Make a ledger in --store of the lines that `export` wrote: the same events, hashes and blobs.

    FILE may be - for standard input. Everything is checked while it is read, and a ledger appears only when all of it
    fits; one that is there already is left alone.
    """
    del lineage  # an export holds all of them
    from eventstore.transfer import load as take

    found = take(store, file)
    if as_json:
        facts = {"events": found.events, "blobs": found.blobs, "checkpoint": found.checkpoint}
        click.echo(json.dumps({"store": str(store), **facts}))
    else:
        click.echo(
            f"{found.events:,} events and {found.blobs:,} blobs in {store}; checkpoint "
            f"{found.events}:{found.checkpoint}"
        )


@click.command(cls=AuditCommand)
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False))
@only_store
def backup(*, folder: Path, store: Path, as_json: bool) -> None:
    """Copy the ledger into FOLDER while it is served, and check every byte of the copy.

    The copy is of one moment and appears only when it is sound. An older copy in FOLDER is replaced. To restore, give
    FOLDER, or a copy of it, as --store. Keys are left out: they lie in keys/ of the store.
    """
    from eventstore.database import FILE
    from eventstore.transfer import backup as copy

    found = copy(store, folder)
    size = (folder / FILE).stat().st_size
    if as_json:
        facts = {"events": found.events, "blobs": found.blobs, "bytes": size, "checkpoint": found.checkpoint}
        click.echo(json.dumps({"folder": str(folder), "position": found.position, **facts}))
        return
    click.echo(f"{found.events:,} events and {found.blobs:,} blobs ({size:,} bytes) copied to {folder}")
    click.echo(f"intact; checkpoint {found.position}:{found.checkpoint}")


COMMANDS: tuple[click.Command, ...] = (export, load, backup)
"""What is offered beside the commands that look."""
