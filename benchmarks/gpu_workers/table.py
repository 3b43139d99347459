"""What was measured, as one table in Markdown."""

from collections.abc import Iterator

from benchmarks.gpu_workers.case import Ceiling, Ours, Peer, Row
from benchmarks.gpu_workers.queues import Scaling
from contracts.record import Record


class Report(Record):
    """Everything that one run measured."""

    devices: dict[str, str]
    """Library → device."""
    cores: int
    load: float
    """Processes that wanted a core, a mean over the last five minutes of the run."""
    without_gpu: str
    """Why CuPy could not be used; empty where it was."""
    versions: dict[str, str]
    ceilings: dict[str, Ceiling]
    turns: int
    rows: tuple[Row, ...]
    scaling: tuple[Scaling, ...]
    seconds: float


def markdown(report: Report) -> str:
    """The report as text."""
    return "\n".join([*_facts(report), *_rows(report), *_scaling(report)]) + "\n"


def _facts(report: Report) -> Iterator[str]:
    names = [f"{name} {version}" for name, version in report.versions.items() if version != "not installed"]
    absent = [name for name, version in report.versions.items() if version == "not installed"]
    yield f"Devices: {', '.join(f'{device} ({name})' for name, device in report.devices.items())}."
    if report.without_gpu:
        yield f"**No GPU was used**: {report.without_gpu}"
    yield f"Versions: {', '.join(names)}." + (f" Not installed: {', '.join(absent)}." if absent else "")
    for name, each in report.ceilings.items():
        yield (
            f"Ceiling of {name}: copies {each.bandwidth / 1e9:.1f} GB/s, products {each.double / 1e9:,.0f} GFLOP/s "
            f"in double and {each.single / 1e9:,.0f} in single precision."
        )
    yield (
        f"Best of {report.turns}, {report.cores} cores, load {report.load:.1f}; {report.seconds:.0f} s in all. "
        "Ratios are the peer's time over ours."
    )
    yield ""


def _rows(report: Report) -> Iterator[str]:
    libraries = list(report.devices)
    heads = ["work"]
    for name in libraries:
        heads += [name, "floor", "fraction"]
    heads += ["peer", "peer's time", *(f"over {name}" for name in libraries), "differs"]
    if len(libraries) > 1:
        heads.append("numpy over cupy")
    if report.rows:
        yield _line(heads)
        yield "|" + "---|" * len(heads)
    for row in report.rows:
        for number, peer in enumerate(row.peers or (None,)):
            yield _line(_cells(row, peer, libraries, first=not number))
    if report.rows:
        yield ""


def _cells(row: Row, peer: Peer | None, libraries: list[str], *, first: bool) -> Iterator[str]:
    yield f"{row.part}: {row.work}" if first else ""
    for name in libraries:
        yield from (
            _ours(row.ours[name], known=row.load.bytes + row.load.operations > 0) if first else ("",) * 3
        )
    yield peer.name if peer else "–"
    yield "–" if peer is None else peer.reason if peer.seconds is None else duration(peer.seconds)
    for name in libraries:
        ratio = peer.ratios.get(name) if peer else None
        yield "–" if ratio is None else f"{ratio:.3g} x"
    yield "–" if peer is None or peer.differs is None else f"{peer.differs:.0e}"
    if len(libraries) > 1:
        yield f"{row.ours['numpy'].seconds / row.ours['cupy'].seconds:.3g} x" if first else ""


def _ours(ours: Ours, *, known: bool) -> Iterator[str]:
    yield duration(ours.seconds)
    yield duration(ours.floor) if known else "–"
    yield f"{ours.fraction:.2g}" if known else "–"


def _scaling(report: Report) -> Iterator[str]:
    if not report.scaling:
        return
    yield _line(
        ["jobs", "library", "workers", "jobs a second", "over one worker", "jobs in a batch (median)"]
    )
    yield "|" + "---|" * 6
    for each in report.scaling:
        yield _line(
            [
                each.work, each.library, f"{each.workers}", f"{each.jobs_per_s:,.0f}", f"{each.over_one:.2f} x",
                f"{each.jobs_in_a_batch:g}",
            ]
        )  # fmt: skip


def duration(seconds: float) -> str:
    """Three digits, in the unit that fits."""
    for unit, size in (("s", 1.0), ("ms", 1e-3)):
        if seconds >= size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds / 1e-6:.3g} µs"


def _line(cells: object) -> str:
    return "| " + " | ".join(map(str, cells)) + " |"  # type: ignore[call-overload]
