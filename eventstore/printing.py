"""Events as people and programs are shown them."""

import base64
import json
import sys
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

import click
import msgspec

from contracts.envelope import Envelope


def as_dict(event: Envelope) -> dict[str, Any]:
    """An event for JSON: hashes in hex; the payload as the JSON that it is, else in base64."""
    facts: dict[str, Any] = msgspec.structs.asdict(event)
    facts["prev_hash"], facts["hash"] = event.prev_hash.hex(), event.hash.hex()
    try:
        facts["payload"] = json.loads(event.payload)
    except ValueError:
        facts["payload"] = {"base64": base64.b64encode(event.payload).decode()}
    return facts


def table(
    names: Sequence[str], lines: Iterable[Sequence[str]], *, numbers: int = 0, named: bool = True
) -> None:
    """Print a table: drawn on a terminal, values between tabs elsewhere. The first columns may be numbers."""
    if not sys.stdout.isatty():
        for line in lines:
            click.echo("\t".join(" ".join(value.split()) for value in line))
        return
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    drawn = Table(box=None, header_style="bold", pad_edge=False, show_header=named)
    for index, name in enumerate(names):
        # Only the last column gives way: without its position an event cannot be asked for.
        drawn.add_column(name, justify="right" if index < numbers else "left", no_wrap=index < len(names) - 1)
    for line in lines:
        *first, last = (" ".join(value.split()) for value in line)
        drawn.add_row(*map(Text, first), Text(last, no_wrap=True, overflow="ellipsis"))
    Console().print(drawn)


def listed(event: Envelope) -> tuple[str, ...]:
    """An event as a line of a table."""
    place = f"{event.stream}@{event.version}"
    return str(event.position), _time(event.at), place, event.type, _short(event)


def _time(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M:%S")


def _short(event: Envelope, width: int = 100) -> str:
    text = " ".join(event.payload[: 4 * width].decode(errors="replace").split())
    return text if len(text) <= width else text[: width - 1] + "…"
