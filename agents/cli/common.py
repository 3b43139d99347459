"""What the commands share: options, errors in words or JSON, the budget's notation."""

import getpass
import math
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import click

from agents.process import FAILED, OK, UNAVAILABLE, USAGE
from contracts.settings import Limits
from eventstore.options import fail, folder_option, json_option

INTERRUPTED = 130

__all__ = [
    "FAILED",
    "INTERRUPTED",
    "OK",
    "UNAVAILABLE",
    "USAGE",
    "BudgetType",
    "Numbers",
    "fail",
    "json_option",
    "no_sandbox_option",
    "processes_option",
    "running_episodes",
    "store_option",
    "user_name",
]


store_option = folder_option("Folder that holds the ledger and all else.")
"""--store, the same for every command."""
processes_option = click.option(
    "--processes", type=click.IntRange(1), default=None, help="Executors  [default: one a core]"
)
"""--processes, for commands that run episodes themselves."""
no_sandbox_option = click.option(
    "--no-sandbox", is_flag=True, help="Run hostile code unprotected. Only on a machine made for it."
)
"""--no-sandbox, for the same."""


@contextmanager
def running_episodes(*, interrupted: str, fault: str, as_json: bool) -> Iterator[None]:
    """A block that runs episodes: what ends it before its time ends the command, in these words."""
    from agents.config import ConfigUnreadable
    from agents.models.errors import BudgetSpentError, ModelError
    from agents.models.prices import PricesUnreadable
    from agents.sandbox import SandboxFault, SandboxUnavailable

    try:
        yield
    except KeyboardInterrupt:
        fail(f"interrupted; {interrupted}", code=INTERRUPTED, as_json=as_json)
    except SandboxUnavailable as error:
        fail(str(error), code=UNAVAILABLE, kind="SandboxUnavailable", as_json=as_json)
    except BudgetSpentError as error:
        fail(str(error), code=FAILED, kind="BudgetSpentError", as_json=as_json)
    except ModelError as error:
        kind = type(error).__name__
        fail(f"{fault}: {error}", code=UNAVAILABLE, kind=kind, as_json=as_json)
    except (ConfigUnreadable, PricesUnreadable) as error:
        fail(str(error), code=USAGE, kind=type(error).__name__, as_json=as_json)
    except SandboxFault as error:
        fail(f"{fault}: {error}", code=FAILED, as_json=as_json)


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
            if not 0 < amount < math.inf:
                self.fail(f"{part!r}: a budget is a number above zero", param, ctx)
            if dollar or unit == "usd":
                found["cost"] = amount
            elif unit in self._SECONDS:
                found["seconds"] = amount * self._SECONDS[unit]
            else:
                found[self._UNITS[unit]] = int(amount)
        return Limits(**found)


class Numbers(click.ParamType[tuple[float, ...]]):
    """Numbers joined by commas, `.02,.05`."""

    name = "numbers"

    def __init__(self, *, whole: bool = False) -> None:
        self.whole = whole

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[float, ...]:
        """Read them."""
        if isinstance(value, tuple):
            return value
        try:
            return tuple((int if self.whole else float)(part) for part in str(value).split(","))
        except ValueError:
            kind = "whole numbers" if self.whole else "numbers"
            self.fail(f"{value!r}: write {kind}, several joined by commas: {'1,3,6' if self.whole else '.02,.05'}",
                      param, ctx)  # fmt: skip
