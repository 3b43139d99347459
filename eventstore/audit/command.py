"""What every command that reads a ledger from its file shares: options, errors as sentences, exit codes."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from eventstore.options import USAGE, LedgerCommand, fail, json_option, store_option

if TYPE_CHECKING:
    from eventstore.audit.archive import Archive
    from eventstore.audit.rounds import History

F = TypeVar("F", bound=Callable[..., Any])


class AuditCommand(LedgerCommand):
    """A ledger's command that tells wrong usage, and what the system refuses, as JSON too where that was asked for."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Read the arguments."""
        as_json = "--json" in args
        try:
            return super().parse_args(ctx, args)
        except click.UsageError as error:
            if not as_json:
                raise
            fail(error.format_message(), code=USAGE, kind="UsageError", as_json=True)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command."""
        as_json = bool(ctx.params.get("as_json"))
        try:
            return super().invoke(ctx)
        except click.UsageError as error:
            if not as_json:
                raise
            fail(error.format_message(), code=USAGE, kind="UsageError", as_json=True)
        except BrokenPipeError:
            raise
        except OSError as error:
            fail(str(error), code=USAGE, kind=type(error).__name__, as_json=as_json)


def only_store(command: F) -> F:
    """--store and --json, the same for every command."""
    return store_option(json_option(command))


def options(command: F) -> F:
    """--store, --lineage and --json, the same for every command."""
    lineage = click.option(
        "--lineage", default="main", show_default=True, metavar="NAME", help="Name of the harness's lineage."
    )
    return only_store(lineage(command))


@contextmanager
def read(store: Path, lineage: str) -> "Iterator[tuple[Archive, History]]":
    """The archive in a store's folder, and the history of a lineage in it."""
    from eventstore.audit.archive import opened
    from eventstore.audit.history import gather, lineage_events

    with opened(store) as archive:
        yield archive, gather(lineage_events(archive, lineage), lineage)
