"""`python -m gpu_workers`: a worker for resampling, experiments and rollouts."""

import sys
from pathlib import Path

import anyio
import click

from bus import logs, traces
from bus.errors import BusError
from bus.server import read_url
from gpu_workers.errors import WorkerError

_UNAVAILABLE = 3


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--bus",
    "url",
    envvar="RATCHET_BUS",
    show_envvar=True,
    help="Address of the bus; left out, the one that runs on the store.",
)
@click.option(
    "--store",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path(".ratchet"),
    show_default=True,
    envvar="RATCHET_STORE",
    show_envvar=True,
    help="The folder in which the bus leaves its address.",
)
@click.option("--slots", type=click.IntRange(1), default=1, show_default=True, help="Resamplings at once.")
@click.option(
    "--silence",
    type=click.FloatRange(0.5),
    default=30.0,
    show_default=True,
    help="Seconds after which the jobs of a silent worker go to another; the same for all workers of a bus.",
)
def main(url: str | None, store: Path, slots: int, silence: float) -> None:
    """Take resamplings, experiments and rollouts until interrupted, on a GPU if there is one (see RATCHET_ARRAY).

    Exit codes: 0 ended, 2 wrong usage, 3 no bus, or no device to compute with.
    """
    try:
        logs.configure("gpu_workers")
    except ValueError as error:
        raise click.UsageError(str(error)) from error
    traces.configure("gpu_workers")
    address = url or read_url(store)
    if address is None:
        click.echo(
            f"error: no bus runs on {store}; start `python -m bus serve` or name one by --bus", err=True
        )
        sys.exit(_UNAVAILABLE)
    from gpu_workers.arrays import choose
    from gpu_workers.worker import serve

    try:
        arrays = choose()
        anyio.run(lambda: serve(address, arrays, slots=slots, ack_wait=silence))
    except (BusError, WorkerError) as error:
        click.echo(f"error: {error}", err=True)
        sys.exit(_UNAVAILABLE)
    finally:
        traces.shutdown()


if __name__ == "__main__":
    main()
