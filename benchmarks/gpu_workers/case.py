"""A piece of work that is timed the same way on every library, beside its peers and what the machine allows.

The *floor* of a piece of work is the longer of two times: that of the bytes that it must at least read and write, at
the speed of a copy, and that of its operations, at the speed of one large product of matrices. Both speeds are measured
on the same device shortly before. Bytes and operations are lower bounds by the shapes, so the floor is one, too.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

import msgspec
import numpy as np
from numpy.typing import NDArray

from contracts.record import Record
from gpu_workers.arrays import Arrays
from gpu_workers.resampler import go_on
from gpu_workers.threads import cores, spread

_COPY = {"numpy": 8 * 1024 * 1024, "cupy": 64 * 1024 * 1024}
"""Doubles that are copied: more than a processor's caches hold."""
_SIDE = {"numpy": 512, "cupy": 8192}
_TRIES = 8
_LONG = 5.0
"""Seconds of what is timed once only."""


class Ceiling(Record):
    """What a device reaches at its best, as measured."""

    bandwidth: float
    """Bytes read and written a second by a copy."""
    double: float
    """Operations a second by a product of matrices in double precision."""
    single: float

    def better(self, other: Self) -> Self:
        """The larger of each speed: what disturbed one measurement may not have disturbed the other."""
        return type(self)(
            bandwidth=max(self.bandwidth, other.bandwidth),
            double=max(self.double, other.double),
            single=max(self.single, other.single),
        )


class Load(Record):
    """What a piece of work does at least, on any machine."""

    bytes: int = 0
    operations: int = 0
    single: bool = False
    """Whether products are in single precision."""

    def floor(self, ceiling: Ceiling) -> float:
        """Seconds that it takes at least."""
        rate = ceiling.single if self.single else ceiling.double
        return max(self.bytes / ceiling.bandwidth, self.operations / rate)


class Ours(Record):
    """Our time on one library."""

    seconds: float
    floor: float = 0.0
    """Seconds; 0 where no load is known."""
    fraction: float = 0.0
    """The floor over the time."""


class Peer(Record):
    """Another's time for the same work."""

    name: str
    seconds: float | None = None
    """None: it was not run, for the reason beside."""
    reason: str = ""
    ratios: dict[str, float] = {}
    """Library → the peer's time over ours."""
    differs: float | None = None
    """Largest difference of its figures from ours, over the largest of them; None where they cannot be the same."""


class Row(Record):
    """What came of one piece of work."""

    part: str
    work: str
    load: Load
    ours: dict[str, Ours]
    peers: tuple[Peer, ...] = ()
    libraries_differ: float | None = None
    """Largest difference of figures between the two libraries, over the largest; None for one library."""

    def floored(self, ceilings: Mapping[str, Ceiling]) -> Self:
        """The same with floors by what each device was measured to reach."""
        ours = {}
        for name, each in self.ours.items():
            floor = self.load.floor(ceilings[name])
            ours[name] = Ours(seconds=each.seconds, floor=floor, fraction=floor / each.seconds)
        return msgspec.structs.replace(self, ours=ours)


@dataclass(kw_only=True)
class Case:
    """Something to be timed."""

    part: str
    work: str
    ours: Callable[[Arrays], Any]
    """Does the work and returns once the device is done."""
    load: Callable[[Any], Load]
    """What it takes at least, from what ours gave."""
    figures: Callable[[Any], NDArray[Any]] | None = None
    """What is compared with the peers' figures and between libraries, from what ours gave."""
    peers: Mapping[str, Callable[[], Any]] = field(default_factory=dict)
    """Each does the same work and returns figures, or None where they depend on its own luck."""
    missing: Mapping[str, str] = field(default_factory=dict)
    """Peers that cannot be run, and why."""
    amount: Callable[[Any], float] | None = None
    """How much work ours was; then peers return how much theirs was, and their time is scaled to ours."""


@dataclass
class Warmed:
    """A peer that is compiled, and called once, before it is timed."""

    make: Callable[[], Callable[[], Any]]
    made: Callable[[], Any] | None = None

    def warm(self) -> None:
        """Compile it."""
        self.made = self.make()
        self.made()

    def __call__(self) -> Any:
        """What it gives."""
        assert self.made is not None
        return self.made()


def ceiling(library: Arrays) -> Ceiling:
    """Measure what a device reaches: the best of several copies, and of products, on a host one for each core."""
    xp, host = library.xp, library.name == "numpy"
    source = xp.ones(_COPY[library.name])
    target = xp.zeros_like(source)

    def copy() -> None:
        target[:] = source
        library.synchronize()

    bandwidth = 2 * source.nbytes / min(timed(copy)[0] for _ in range(_TRIES))
    rates = []
    for dtype in (xp.float64, xp.float32):
        side = _SIDE[library.name]
        left = xp.ones((side, side), dtype=dtype)
        outs = [xp.empty_like(left) for _ in range(cores() if host else 1)]

        def multiply(left: Any = left, outs: Any = outs) -> None:
            if host:
                spread([lambda _, out=out: xp.matmul(left, left, out=out) for out in outs], go_on)  # type: ignore[misc]
            else:
                xp.matmul(left, left, out=outs[0])
                library.synchronize()

        rates.append(2 * side**3 * len(outs) / min(timed(multiply)[0] for _ in range(_TRIES)))
    library.release()
    return Ceiling(bandwidth=bandwidth, double=rates[0], single=rates[1])


def timed(call: Callable[[], Any]) -> tuple[float, Any]:
    """Seconds of a call, and what it gave."""
    begun = time.perf_counter()
    found = call()
    return time.perf_counter() - begun, found


def measure(case: Case, libraries: Sequence[Arrays], runs: int) -> Row:
    """Time a case: one call of ours to warm up, then the best of some turns in which all take part.

    What takes longer than some seconds is run once. One that fails is told of with its reason, and costs
    nothing else.
    """
    best: dict[str, float] = {}
    found: dict[str, Any] = {}
    answers: dict[str, Any] = {}
    failed = dict(case.missing)
    for library in libraries:
        case.ours(library)
    for turn in range(runs):
        for library in libraries:
            if turn and best[library.name] > _LONG:
                continue
            seconds, found[library.name] = timed(lambda library=library: case.ours(library))  # type: ignore[misc]
            best[library.name] = min(best.get(library.name, np.inf), seconds)
        for name, call in case.peers.items():
            if name in failed or (turn and best[name] > _LONG):
                continue
            try:
                if not turn and isinstance(call, Warmed):
                    call.warm()
                seconds, answers[name] = timed(call)
            except Exception as error:
                failed[name] = f"{type(error).__name__}: {error}".splitlines()[0][:120]
                continue
            if case.amount is not None:
                seconds *= case.amount(found[libraries[0].name]) / answers.pop(name)
            best[name] = min(best.get(name, np.inf), seconds)
    first = found[libraries[0].name]
    ours: dict[str, Ours] = {library.name: Ours(seconds=best[library.name]) for library in libraries}
    figures = {name: case.figures(value) for name, value in found.items()} if case.figures else {}
    peers = []
    for name in (*case.peers, *case.missing):
        if name in failed:
            peers.append(Peer(name=name, reason=failed[name]))
            continue
        ratios: dict[str, float] = {library: best[name] / each.seconds for library, each in ours.items()}
        peers.append(
            Peer(
                name=name, seconds=best[name], ratios=ratios,
                differs=_apart(figures.get("numpy"), answers.get(name)),
            )
        )  # fmt: skip
    return Row(
        part=case.part,
        work=case.work,
        load=case.load(first),
        ours=ours,
        peers=tuple(peers),
        libraries_differ=_apart(figures.get("numpy"), figures.get("cupy")),
    )


def _apart(ours: Any, theirs: Any) -> float | None:
    if ours is None or theirs is None:
        return None
    wanted = np.asarray(theirs, dtype=float)
    return float(np.abs(np.asarray(ours) - wanted).max() / max(float(np.abs(wanted).max()), 1e-300))
