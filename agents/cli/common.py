"""What the commands share: options, errors in words or JSON, the budget's notation."""

import getpass
import json
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn, TypeVar

import click

from agents.process import FAILED, OK, UNAVAILABLE, USAGE
from contracts.settings import Limits

F = TypeVar("F", bound=Callable[..., Any])

INTERRUPTED = 130

__all__ = [
    "FAILED",
    "INTERRUPTED",
    "OK",
    "UNAVAILABLE",
    "USAGE",
    "BudgetType",
    "fail",
    "json_option",
    "store_option",
    "user_name",
]


def store_option(command: F) -> F:
    """--store, the same for every command."""
    return click.option(
        "--store",
        type=click.Path(path_type=Path, file_okay=False),
        default=Path(".ratchet"),
        envvar="RATCHET_STORE",
        show_default=True,
        show_envvar=True,
        help="Folder that holds the ledger and all else.",
    )(command)


def json_option(command: F) -> F:
    """--json, the same for every command."""
    return click.option("--json", "as_json", is_flag=True, help="JSON, for programs.")(command)


def fail(message: str, *, code: int, kind: str = "error", as_json: bool = False) -> NoReturn:
    """End with a sentence that says what to do (or the same as JSON on standard output) and an exit code."""
    if as_json:
        click.echo(json.dumps({"error": {"kind": kind, "message": message}}))
    else:
        click.echo(f"Error: {message}", err=True)
    sys.exit(code)


def user_name() -> str:
    """Who gives a command, for the ledger."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "unknown"


class BudgetType(click.ParamType[Limits]):
    """`2000` or `2000episodes`, `5Mtokens`, `3.50usd` (or `$3.50`), `20m`, `1.5h`, several joined by commas."""

    name = "budget"
    _UNITS = {
        "": "episodes",
        "episodes": "episodes",
        "tokens": "tokens",
        "usd": "cost",
        "s": "s",
        "m": "m",
        "h": "h",
    }
    _SECONDS = {"s": 1.0, "m": 60.0, "h": 3600.0}
    _FACTORS = {"": 1, "k": 1_000, "M": 1_000_000}

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Limits:
        """Read a budget."""
        if isinstance(value, Limits):
            return value
        found: dict[str, Any] = {}
        for part in str(value).split(","):
            match = re.fullmatch(
                r"(\$?)([0-9]+(?:\.[0-9]+)?)(k|M|)(episodes|tokens|usd|s|m|h|)", part.strip()
            )
            if match is None:
                self.fail(
                    f"{part!r} is no budget; write 2000episodes, 5Mtokens, 3.50usd, 20m or 1.5h, "
                    "several joined by commas",
                    param,
                    ctx,
                )
            dollar, number, factor, unit = match.groups()
            amount = float(number) * self._FACTORS[factor]
            if amount <= 0:
                self.fail(f"{part!r}: a budget is above zero", param, ctx)
            if dollar or unit == "usd":
                found["cost"] = amount
            elif unit in self._SECONDS:
                found["seconds"] = amount * self._SECONDS[unit]
            else:
                found[self._UNITS[unit]] = int(amount)
        return Limits(**found)
