"""The process around an agent: options, logs, the connection, signals; the same for every role."""

import signal
import sys
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import click

from agents.errors import Unconfigured

OK, FAILED, USAGE, UNAVAILABLE, BROKEN = 0, 1, 2, 3, 4
"""Exit codes: done; not solved or a fault; wrong usage or input; no bus or ledger; integrity broken."""


def bus_url(bus: str, store: str) -> str:
    """The bus to join: as given, or the one that serves the store. Raises Unconfigured."""
    if bus:
        return bus
    try:
        return (Path(store) / "bus" / "url").read_text().strip()
    except OSError:
        raise Unconfigured(store) from None


def agent_command(
    role: str,
    serve: Callable[..., Awaitable[None]],
    doc: str,
    *,
    options: Sequence[Callable[[Any], Any]] = (),
    foreseen: tuple[type[Exception], ...] = (),
) -> click.Command:
    """The command behind `python -m agents.ROLE`: joins the bus and runs `serve(url, store)` until a signal.

    Args:
        role: its name.
        serve: what it does; further options come as keyword arguments.
        doc: its help.
        options: decorators for further options.
        foreseen: further faults that their own words explain.
    """

    @click.command(name=role, help=doc)
    @click.option("--bus", "bus", envvar="RATCHET_BUS", default="", help="URL of the bus, nats://…")
    @click.option(
        "--store",
        envvar="RATCHET_STORE",
        default=".ratchet",
        show_default=True,
        help="Store whose bus to join when --bus is not given; nothing else in it is touched.",
    )
    def command(bus: str, store: str, **more: Any) -> None:
        from bus import logs, traces

        logs.configure(role)
        traces.configure(role)
        try:
            anyio.run(_until_signal, partial(serve, bus_url(bus, store), store, **more))
        except Exception as error:
            told = _foreseen(error, foreseen)
            if told is None:
                raise
            click.echo(f"Error: {told}", err=True)
            sys.exit(UNAVAILABLE)
        finally:
            traces.shutdown()

    for option in options:
        command = option(command)
    return command


def _foreseen(error: Exception, more: tuple[type[Exception], ...] = ()) -> Exception | None:
    """The fault that its own words explain, out of the groups that tasks put around it; None if it is another."""
    from agents.sandbox.errors import SandboxUnavailable
    from bus.errors import BusError
    from eventstore.errors import LedgerError

    if isinstance(error, ExceptionGroup):
        found = [_foreseen(inner, more) for inner in error.exceptions]
        return found[0] if all(found) else None
    known = (Unconfigured, BusError, LedgerError, SandboxUnavailable, *more)
    return error if isinstance(error, known) else None


async def _until_signal(serve: Callable[[], Awaitable[None]]) -> None:
    async with anyio.create_task_group() as tasks:
        with anyio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:

            async def work() -> None:
                await serve()
                tasks.cancel_scope.cancel()

            tasks.start_soon(work)
            async for _ in signals:
                tasks.cancel_scope.cancel()
                break
