"""`python -m bus serve`: the embedded server in the foreground."""

import json
import signal
import sys
import time
from pathlib import Path

import anyio
import click

from bus import logs
from bus.errors import ServerFailed
from bus.server import Server

_UNAVAILABLE = 3
_QUICK = 10.0
_TOO_OFTEN = 5


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def main() -> None:
    """The bus: an embedded nats-server on loopback, with a generated secret."""


@main.command()
@click.option(
    "--store",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path(".ratchet"),
    show_default=True,
    envvar="RATCHET_STORE",
    show_envvar=True,
    help="The folder that holds everything; the server's part of it is bus/.",
)
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=0,
    show_default=True,
    help="Port on 127.0.0.1; 0 takes the one of last time, or a free one.",
)
@click.option("--durable", is_flag=True, help="Sync every message to the disk before it is acknowledged.")
@click.option("--show-url", is_flag=True, help="Print the address with its secret.")
@click.option("--json", "as_json", is_flag=True, help="Print one line of JSON.")
def serve(store: Path, port: int, durable: bool, show_url: bool, as_json: bool) -> None:
    """Run until interrupted. Exit codes: 0 ended, 2 wrong usage, 3 the server cannot run."""
    try:
        logs.configure("bus")
    except ValueError as error:
        raise click.UsageError(str(error)) from error
    try:
        anyio.run(_serve, Server(store, port=port, durable=durable), show_url, as_json)
    except (ServerFailed, OSError) as error:
        if as_json:
            click.echo(json.dumps({"error": {"kind": type(error).__name__, "message": str(error)}}))
        else:
            click.echo(f"error: {error}", err=True)
        sys.exit(_UNAVAILABLE)


async def _serve(server: Server, show_url: bool, as_json: bool) -> None:
    with anyio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
        await server.start()
        try:
            _announce(server, show_url, as_json)
            async with anyio.create_task_group() as group:

                async def until_signal() -> None:
                    async for _ in signals:
                        group.cancel_scope.cancel()
                        return

                group.start_soon(until_signal)
                group.start_soon(_keep_running, server)
        except* ServerFailed as failed:
            raise failed.exceptions[0] from None
        finally:
            with anyio.CancelScope(shield=True):
                await server.stop()


async def _keep_running(server: Server) -> None:
    """Start nats-server again whenever it ends; give up when it ends again and again."""
    quick = 0
    while True:
        began = time.monotonic()
        status = await server.wait()
        quick = quick + 1 if time.monotonic() - began < _QUICK else 0
        if quick >= _TOO_OFTEN:
            raise ServerFailed(f"nats-server ended {quick} times in a row (status {status})", server.log_file)
        await anyio.sleep(0.1 * 2**quick)
        await server.start()


def _announce(server: Server, show_url: bool, as_json: bool) -> None:
    url = server.url if show_url else server.public_url
    if as_json:
        facts = {"url": url, "url_file": str(server.url_file), "port": server.port, "pid": server.pid}
        click.echo(json.dumps(facts))
    else:
        click.echo(f"bus on {url}; the address with its secret is in {server.url_file}")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
