"""Time, bytes and operations of every kind of kernel, beside the speed that this machine was measured to reach."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache

from bus import traces
from contracts.experiment_results import Kernel
from gpu_workers.arrays import Arrays

_HOST_COPY, _DEVICE_COPY = 8 * 1024 * 1024, 64 * 1024 * 1024
"""Numbers that are copied to measure bandwidth: more than a processor's caches hold."""
_HOST_SIDE, _DEVICE_SIDE = 512, 4096
"""Side of the matrices whose product is timed."""
_TRIES = 2


@dataclass(frozen=True, kw_only=True)
class Ceiling:
    """What the hardware allows, as measured."""

    bandwidth: float
    """Bytes read and written a second by a copy."""
    rate: float
    """Floating-point operations a second by a product of matrices in double precision."""


@cache
def ceiling(arrays: Arrays) -> Ceiling:
    """Measured once in a process, in a tenth of a second or so: the better of two of each."""
    xp, host = arrays.xp, not arrays.memory
    source = xp.ones(_HOST_COPY if host else _DEVICE_COPY)
    target = xp.zeros_like(source)
    side = _HOST_SIDE if host else _DEVICE_SIDE
    left = xp.ones((side, side))
    product = xp.empty_like(left)

    def copy() -> None:
        target[:] = source

    def multiply() -> None:
        xp.matmul(left, left, out=product)

    def best(call: Callable[[], None]) -> float:
        taken = []
        for _ in range(_TRIES):
            arrays.synchronize()
            begun = time.perf_counter()
            call()
            arrays.synchronize()
            taken.append(time.perf_counter() - begun)
        return min(taken)

    found = Ceiling(bandwidth=2 * source.nbytes / best(copy), rate=2 * side**3 / best(multiply))
    arrays.release()
    return found


@dataclass(kw_only=True)
class Meter:
    """What the kernels of one computation took."""

    arrays: Arrays
    parent: str = ""
    """Trace that spans belong to, as the threads in which kernels run do not know it."""
    kernels: dict[str, Kernel] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @contextmanager
    def measure(self, name: str, *, size: int = 0, operations: int = 0) -> Iterator[None]:
        """Time the body as a kernel that moves at least `size` bytes and does so many operations.

        What the device does is waited for on both sides. The body is a span, too.
        """
        self.arrays.synchronize()
        with traces.span(f"kernel {name}", self.parent) as span:
            begun = time.perf_counter()
            yield
            self.arrays.synchronize()
            seconds = time.perf_counter() - begun
            limit = ceiling(self.arrays)
            least = max(size / limit.bandwidth, operations / limit.rate)
            span.set_attribute("ratchet.kernel.bytes", size)
            span.set_attribute("ratchet.kernel.operations", operations)
            span.set_attribute("ratchet.kernel.fraction", least / seconds if seconds else 0.0)
        with self._lock:
            self._add(name, seconds, least, size, operations)

    def _add(self, name: str, seconds: float, least: float, size: int, operations: int) -> None:
        before = self.kernels.get(name, Kernel(name=name, calls=0, seconds=0.0))
        total = before.seconds + seconds
        known = before.fraction * before.seconds + least
        self.kernels[name] = Kernel(
            name=name,
            calls=before.calls + 1,
            seconds=total,
            bytes=before.bytes + size,
            operations=before.operations + operations,
            fraction=known / total if total else 0.0,
        )
