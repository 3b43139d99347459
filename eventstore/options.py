"""What commands share: options, exit codes, and how an error of the ledger is told."""

import json
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn, TypeVar

import click

F = TypeVar("F", bound=Callable[..., Any])

USAGE, UNAVAILABLE, BROKEN = 2, 3, 4


class LedgerCommand(click.Command):
    """A command that ends with a sentence and an exit code when the ledger refuses, whichever group lends it."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command."""
        from eventstore.database import translate
        from eventstore.errors import LedgerError

        try:
            return super().invoke(ctx)
        except LedgerError as error:
            _refuse(ctx, error)
        except sqlite3.Error as error:
            _refuse(ctx, translate(error))


def _refuse(ctx: click.Context, error: Exception) -> NoReturn:
    as_json = bool(ctx.params.get("as_json"))
    fail(str(error), code=exit_code(error), kind=type(error).__name__, as_json=as_json)


def exit_code(error: Exception) -> int:
    """The exit code of an error of the ledger."""
    from eventstore.errors import (
        BadLine,
        BusTaken,
        LedgerFault,
        LedgerUnavailable,
        StoreFull,
        StoreLocked,
        Tampered,
    )

    if isinstance(error, Tampered | BadLine):
        return BROKEN
    away = isinstance(error, BusTaken | LedgerUnavailable | StoreLocked | StoreFull | LedgerFault)
    return UNAVAILABLE if away else USAGE


def fail(message: str, *, code: int, kind: str = "error", as_json: bool = False) -> NoReturn:
    """End with a sentence that says what to do (or the same as JSON on standard output) and an exit code."""
    if as_json:
        click.echo(json.dumps({"error": {"kind": kind, "message": message}}))
    else:
        click.echo(f"Error: {message}", err=True)
    raise SystemExit(code)


def folder_option(text: str) -> Callable[[F], F]:
    """--store, with a help text of one's own."""
    return click.option(
        "--store",
        type=click.Path(path_type=Path, file_okay=False),
        default=Path(".ratchet"),
        envvar="RATCHET_STORE",
        show_default=True,
        show_envvar=True,
        help=text,
    )


store_option = folder_option("Folder of the ledger.")
"""--store, for commands that touch the ledger alone."""
json_option = click.option("--json", "as_json", is_flag=True, help="JSON, for programs.")
"""--json, the same for every command."""
ledger_option = click.option(
    "--ledger",
    type=click.Choice(["file", "jetstream"]),
    default="file",
    envvar="RATCHET_LEDGER",
    show_default=True,
    show_envvar=True,
    help="Where the ledger lives: in the store's file, or in a log on the bus, of which the file is a replica.",
)
"""--ledger, for whoever starts a service."""
