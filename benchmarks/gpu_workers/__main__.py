"""Everything of the GPU workers that is worth measuring, in one table: on CuPy where a GPU is at hand, and on NumPy.

On a machine with a GPU both libraries do the same work, in turns, beside the same peers; without one it is NumPy
alone, and the table says so. Each time is the best of some turns. What a peer needs and is not installed is named.

    python -m benchmarks.gpu_workers [--short] [--large] [--part experiments] [--out .ratchet/bench-gpu]
"""

import importlib.metadata
import os
import platform
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import click
import msgspec
import structlog

from benchmarks.gpu_workers.case import Case, Ceiling, Row, ceiling, measure
from benchmarks.gpu_workers.queues import Scaling, scaling
from benchmarks.gpu_workers.table import Report, markdown
from bus.errors import ServerFailed
from gpu_workers import arrays
from gpu_workers.arrays import Arrays
from gpu_workers.errors import CupyUnfit

PARTS = ("resampling", "experiments", "metrics", "rollouts", "scaling")
RUNS = 3
_PACKAGES = ("numpy", "scipy", "scikit-learn", "jax", "torch")


def libraries() -> tuple[list[Arrays], str]:
    """NumPy, and CuPy where it can be used; and why not where it cannot."""
    host = arrays.choose("numpy")
    try:
        return [host, arrays.choose("cupy")], ""
    except CupyUnfit as error:
        return [host], str(error)


def cases(part: str, *, short: bool, large: bool) -> Iterator[Case]:
    """What is measured of a part."""
    from benchmarks.gpu_workers import fits, kernels

    if part == "resampling":
        yield from kernels.resamplings(short=short, large=large)
    elif part == "experiments":
        yield from fits.cases(short=short, large=large)
    elif part == "metrics":
        yield from kernels.scores(short=short)
    elif part == "rollouts":
        yield from kernels.rollings(short=short, large=large)


def versions() -> dict[str, str]:
    """Versions of Python and of what takes part, as far as it is installed."""
    found = {"python": platform.python_version()}
    for name in _PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            found[name] = "not installed"
    return found


@click.command()
@click.option("--short", is_flag=True, help="Smaller sizes and one turn each: at most two minutes.")
@click.option(
    "--large", is_flag=True, help="Sizes that fill a GPU as well, mostly without the peers of the host."
)
@click.option("--part", "parts", type=click.Choice(PARTS), multiple=True, help="Only this part; repeatable.")
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path(".ratchet/bench-gpu"),
    show_default=True,
    help="Folder for gpu-workers.md and gpu-workers.json.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of Markdown.")
def main(short: bool, large: bool, parts: tuple[str, ...], out: Path, as_json: bool) -> None:
    """Measure the GPU workers against their peers and the machine's floors."""
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    os.environ.setdefault("RATCHET_LOG_LEVEL", "error")
    os.environ["PYTHONWARNINGS"] = "ignore"  # processes of a peer say that they did not converge
    os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")  # JAX would take most of the GPU's memory
    begun = time.monotonic()
    used, reason = libraries()
    ceilings: dict[str, Ceiling] = {library.name: ceiling(library) for library in used}
    rows: list[Row] = []
    scaled: list[Scaling] = []
    try:
        for part in parts or PARTS:
            for case in cases(part, short=short, large=large):
                click.echo(f"{time.monotonic() - begun:5.0f} s  {part}: {case.work}", err=True)
                rows.append(measure(case, used, 1 if short else RUNS))
            for library in used:  # measured again and again, as neighbours come and go
                ceilings[library.name] = ceilings[library.name].better(ceiling(library))
            if part == "scaling":
                for library in used:
                    click.echo(
                        f"{time.monotonic() - begun:5.0f} s  scaling: 1, 2, 4 workers on {library.name}",
                        err=True,
                    )
                    scaled += scaling(library.name, (1, 2, 4), short=short)
    except KeyboardInterrupt:
        click.echo("interrupted; what follows was measured until then", err=True)
    except ServerFailed as error:
        click.echo(f"{error}; what follows was measured until then", err=True)
    report = Report(
        devices={library.name: library.device for library in used},
        cores=len(os.sched_getaffinity(0)),
        load=os.getloadavg()[1],
        without_gpu=reason,
        versions=versions() | ({"cupy": used[1].version} if len(used) > 1 else {}),
        ceilings=ceilings,
        turns=1 if short else RUNS,
        rows=tuple(row.floored(ceilings) for row in rows),
        scaling=tuple(scaled),
        seconds=time.monotonic() - begun,
    )
    as_text, as_data = markdown(report), msgspec.json.format(msgspec.json.encode(report), indent=2).decode()
    out.mkdir(parents=True, exist_ok=True)
    (out / "gpu-workers.md").write_text(as_text)
    (out / "gpu-workers.json").write_text(as_data + "\n")
    click.echo(as_data if as_json else as_text)
    click.echo(f"Written to {out}/gpu-workers.md and gpu-workers.json", err=True)


if __name__ == "__main__":
    main()
