"""What all commands of the ledger share: options, exit codes, and how an error is told."""

import json
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any, TypeVar

import click

from eventstore.database import translate
from eventstore.errors import (
    BusTaken,
    LedgerError,
    LedgerFault,
    LedgerUnavailable,
    StoreFull,
    StoreLocked,
    Tampered,
)

F = TypeVar("F", bound=Callable[..., Any])

USAGE, UNAVAILABLE, BROKEN = 2, 3, 4


class LedgerCommand(click.Command):
    """A command that ends with a sentence and an exit code when the ledger refuses, whichever group lends it."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command."""
        as_json = bool(ctx.params.get("as_json"))
        try:
            return super().invoke(ctx)
        except LedgerError as error:
            raise _Failure(error, as_json=as_json) from error
        except sqlite3.Error as error:
            raise _Failure(translate(error), as_json=as_json) from error


class _Failure(click.ClickException):
    def __init__(self, error: LedgerError, *, as_json: bool) -> None:
        super().__init__(str(error))
        self._error = error
        self._as_json = as_json

    def show(self, file: IO[Any] | None = None) -> None:
        """Say what is wrong, to programs as JSON."""
        if self._as_json:
            click.echo(json.dumps({"error": {"kind": type(self._error).__name__, "message": self.message}}))
        else:
            super().show(file)

    @property
    def exit_code(self) -> int:  # type: ignore[override]
        if isinstance(self._error, Tampered):
            return BROKEN
        away = isinstance(self._error, BusTaken | LedgerUnavailable | StoreLocked | StoreFull | LedgerFault)
        return UNAVAILABLE if away else USAGE


def store_option(command: F) -> F:
    """The option that names the store, the same for every command."""
    return click.option(
        "--store",
        type=click.Path(path_type=Path, file_okay=False),
        default=Path(".ratchet"),
        envvar="RATCHET_STORE",
        show_default=True,
        show_envvar=True,
        help="Folder of the ledger.",
    )(command)


def json_option(command: F) -> F:
    """The option that asks for JSON."""
    return click.option("--json", "as_json", is_flag=True, help="JSON, for programs.")(command)
