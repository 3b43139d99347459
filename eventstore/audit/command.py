"""What every command that reads a ledger from its file shares: options, errors as sentences, exit codes."""

import json
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

import click

if TYPE_CHECKING:
    from eventstore.audit.archive import Archive
    from eventstore.audit.rounds import History

F = TypeVar("F", bound=Callable[..., Any])

USAGE, UNAVAILABLE, BROKEN = 2, 3, 4


class AuditCommand(click.Command):
    """A command whose errors are a sentence and an exit code, or JSON on standard output where JSON was asked for."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Read the arguments."""
        as_json = "--json" in args
        try:
            return super().parse_args(ctx, args)
        except click.UsageError as error:
            if not as_json:
                raise
            fail(error.format_message(), USAGE, "UsageError", as_json=True)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command."""
        from eventstore.database import translate
        from eventstore.errors import LedgerError

        as_json = bool(ctx.params.get("as_json"))
        try:
            return super().invoke(ctx)
        except click.UsageError as error:
            if not as_json:
                raise
            fail(error.format_message(), USAGE, "UsageError", as_json=True)
        except LedgerError as error:
            fail(str(error), exit_code(error), type(error).__name__, as_json=as_json)
        except sqlite3.Error as error:
            fault = translate(error)
            fail(str(fault), exit_code(fault), type(fault).__name__, as_json=as_json)
        except BrokenPipeError:
            raise
        except OSError as error:
            fail(str(error), USAGE, type(error).__name__, as_json=as_json)


def exit_code(error: Exception) -> int:
    """The exit code of an error of the ledger."""
    from eventstore.errors import BadLine, LedgerFault, LedgerUnavailable, StoreFull, StoreLocked, Tampered

    if isinstance(error, Tampered | BadLine):
        return BROKEN
    away = isinstance(error, LedgerUnavailable | StoreLocked | StoreFull | LedgerFault)
    return UNAVAILABLE if away else USAGE


def fail(message: str, code: int, kind: str, *, as_json: bool) -> NoReturn:
    """End with a message and a code."""
    if as_json:
        click.echo(json.dumps({"error": {"kind": kind, "message": message}}))
    else:
        click.echo(f"Error: {message}", err=True)
    raise SystemExit(code)


def only_store(command: F) -> F:
    """--store and --json, the same for every command."""
    command = click.option("--json", "as_json", is_flag=True, help="JSON, for programs.")(command)
    return click.option(
        "--store",
        type=click.Path(path_type=Path, file_okay=False),
        default=Path(".ratchet"),
        envvar="RATCHET_STORE",
        show_default=True,
        show_envvar=True,
        help="Folder of the ledger.",
    )(command)


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
