"""`python -m agents.models serve` and `gateway`: the embedded model as an endpoint, and the way to all endpoints."""

import os
import signal
import sys
import threading
from pathlib import Path

import click

USAGE, UNAVAILABLE = 2, 3
NAME = "embedded"


@click.group()
def main() -> None:
    """Models that others can ask."""


@main.command()
@click.option("--port", type=click.IntRange(0, 65535), default=8321, show_default=True, help="0: a free one.")
@click.option(
    "--store",
    type=click.Path(path_type=Path, file_okay=False),
    default=None,
    help="Store whose model to serve  [default: train one, which takes some seconds]",
)
@click.option(
    "--faults",
    "every",
    type=click.IntRange(1),
    default=None,
    metavar="N",
    help="Give a fault in place of every n-th answer, to test what depends on an endpoint.",
)
def serve(port: int, store: Path | None, every: int | None) -> None:
    """Serve the embedded model on loopback until SIGINT or SIGTERM.

    Any OpenAI client can ask it: base URL http://127.0.0.1:PORT/v1, model `embedded`, any key, or the one in
    RATCHET_SERVE_KEY if that is set. It answers with calls of a tool named `edit` and writes no prose.
    """
    import anyio

    from agents.models.errors import ModelError
    from agents.models.faulty import USUAL, FaultyServer
    from agents.models.serve import ModelServer
    from agents.models.shared import stored_counts
    from agents.models.store import embedded_model, load_or_train
    from bus import logs
    from eventstore.errors import LedgerError

    logs.configure("models")
    try:
        model = embedded_model(anyio.run(stored_counts, store) if store else load_or_train())
    except (LedgerError, ModelError) as error:
        click.echo(f"Error: {error}; without --store a model is trained", err=True)
        sys.exit(USAGE)
    key = os.environ.get("RATCHET_SERVE_KEY", "")
    try:
        server = (
            FaultyServer(model, NAME, USUAL, every=every, port=port, key=key)
            if every
            else ModelServer(model, NAME, port=port, key=key)
        )
    except OSError as error:
        click.echo(
            f"Error: port {port} cannot be used ({error.strerror}); choose another with --port", err=True
        )
        sys.exit(UNAVAILABLE)
    ended = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: ended.set())
    server.start()
    click.echo(f"serving model {NAME} ({server.model.fingerprint[:12]}) at {server.url}")
    sys.stdout.flush()
    ended.wait()
    server.shutdown()
    server.server_close()


async def keep_gateway(url: str, _store: str, *, config: Path | None, recorded: Path | None) -> None:
    """Be the gateway, or stand by for it, until cancelled."""
    from agents.config import read_config
    from agents.models.gateway.service import serve_gateway

    await serve_gateway(url, read_config(config), recorded)


def _gateway() -> click.Command:
    from agents.config import ConfigUnreadable
    from agents.models.errors import ModelError
    from agents.process import agent_command

    path = click.Path(path_type=Path, dir_okay=False)
    return agent_command(
        "gateway",
        keep_gateway,
        "Holds the keys, and makes every call of a model behind an endpoint: in its budget, and on record. "
        "Several may run: one works, the others stand by.",
        options=(
            click.option("--config", type=path, default=None, help="ratchet.toml  [default: the one here]"),
            click.option(
                "--recorded",
                type=click.Path(path_type=Path, file_okay=False, exists=True),
                default=None,
                help="Store whose calls answer, instead of any endpoint.",
            ),
        ),
        foreseen=(ConfigUnreadable, ModelError),
    )


main.add_command(_gateway())

if __name__ == "__main__":
    main()
