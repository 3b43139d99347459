"""Which array library computes: CuPy where a GPU is at hand, NumPy elsewhere. CuPy is imported here only."""

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Literal

import numpy as np
import structlog
from numpy.typing import NDArray

from gpu_workers.errors import CupyUnfit, UnknownLibrary

VARIABLE = "RATCHET_ARRAY"
POOL_SHARE = 0.8
"""Share of the device's memory that CuPy's pool may take."""
HOST_BLOCK = 8 * 1024 * 1024
"""Bytes of one block of a computation where there is no device: near what a processor's caches hold."""
HOST_HELD = 512 * 1024 * 1024
"""Bytes that a computation may hold over all its blocks where there is no device."""

_log = structlog.get_logger("gpu_workers.arrays")


def _nothing() -> None:
    """What a host has to do."""


def _as_it_is(function: Callable[..., Any]) -> Callable[..., Any]:
    return function


@dataclass(frozen=True, kw_only=True)
class Arrays:
    """An array library, and what differs between the two."""

    name: Literal["numpy", "cupy"]
    xp: Any
    """The module itself: `numpy` or `cupy`."""
    device: str
    version: str
    memory: int
    """Bytes of the device's memory; 0 where there is none."""
    block_bytes: int
    """Bytes that one block of a computation may take."""
    held_bytes: int
    """Bytes that a computation may hold over all its blocks."""
    lost: tuple[type[BaseException], ...] = ()
    """What is raised when the device itself fails: nothing can be computed any more in this process."""
    exhausted: tuple[type[BaseException], ...] = field(default=(MemoryError,))
    """What is raised when memory does not suffice."""
    release: Callable[[], None] = _nothing
    """Gives memory back that is held but not used."""
    synchronize: Callable[[], None] = _nothing
    """Returns when the device has done all that was asked of it."""
    fuse: Callable[[Callable[..., Any]], Callable[..., Any]] = _as_it_is
    """Makes one kernel of a function of arrays and numbers that computes element by element. Keep what it gives:
    it compiles at the first call."""

    def put(self, array: NDArray[Any]) -> Any:
        """The array on the device."""
        return self.xp.asarray(array)

    def get(self, array: Any) -> NDArray[Any]:
        """The array on the host."""
        host: NDArray[Any] = array.get() if self.name == "cupy" else array
        return host


def choose(wish: str | None = None) -> Arrays:
    """The library to compute with: the one wished for, or else CuPy if a probe of it succeeds, or else NumPy.

    Args:
        wish: `numpy` or `cupy`; None takes the environment's `RATCHET_ARRAY`, and "" lets the probe decide.

    Raises:
        CupyUnfit: CuPy was wished for and cannot be used.
        UnknownLibrary: neither library is called that.
    """
    name = os.environ.get(VARIABLE, "") if wish is None else wish
    if name not in {"", "numpy", "cupy"}:
        raise UnknownLibrary(name)
    arrays, reason = _chosen(name)
    if name == "cupy" and arrays.name != "cupy":
        raise CupyUnfit(reason)
    _say(arrays.name, arrays.device, reason)
    return arrays


def describe() -> dict[str, str]:
    """What `ratchet doctor` shows: the library that is taken, its version, device, memory, and why."""
    try:
        arrays = choose()
    except (CupyUnfit, UnknownLibrary) as error:
        return {"library": "none", "reason": str(error)}
    facts = {"library": arrays.name, "version": arrays.version, "device": arrays.device}
    if arrays.memory:
        facts["memory"] = f"{arrays.memory / 2**30:.0f} GiB"
    facts["reason"] = _chosen(os.environ.get(VARIABLE, ""))[1]
    return facts


@cache
def _chosen(name: str) -> tuple[Arrays, str]:
    """The library and why it was taken."""
    if name == "numpy":
        arrays, reason = _numpy(), f"{VARIABLE}=numpy"
    else:
        try:
            arrays, reason = _cupy(), "a GPU is at hand"
        except Exception as error:  # a broken driver shows in many ways
            arrays, reason = _numpy(), f"{type(error).__name__}: {error}".splitlines()[0][:200]
    return arrays, reason


@cache
def _say(library: str, device: str, reason: str) -> None:
    """Once in a process."""
    _log.info("array library", library=library, device=device, reason=reason)


def _numpy() -> Arrays:
    cores = len(os.sched_getaffinity(0))
    return Arrays(
        name="numpy",
        xp=np,
        device=f"{cores} CPU cores",
        version=np.__version__,
        memory=0,
        block_bytes=HOST_BLOCK,
        held_bytes=HOST_HELD,
    )


def _cupy() -> Arrays:
    """CuPy, after a probe: importing it succeeds without a GPU, and only a call shows what is missing."""
    import cupy as cp

    if not cp.is_available():
        raise RuntimeError("CuPy finds no usable GPU")
    _probe(cp)
    device = cp.cuda.Device()
    properties = cp.cuda.runtime.getDeviceProperties(device.id)
    free, total = device.mem_info
    cp.get_default_memory_pool().set_limit(fraction=POOL_SHARE)
    return Arrays(
        name="cupy",
        xp=cp,
        device=properties["name"].decode(),
        version=cp.__version__,
        memory=int(total),
        block_bytes=max(HOST_BLOCK, int(free * POOL_SHARE) // 8),
        held_bytes=max(HOST_HELD, int(free * POOL_SHARE) // 2),
        lost=(cp.cuda.runtime.CUDARuntimeError,),
        exhausted=(MemoryError, cp.cuda.memory.OutOfMemoryError),
        release=cp.get_default_memory_pool().free_all_blocks,
        synchronize=device.synchronize,
        fuse=cp.fuse,
    )


def _probe(cp: Any) -> None:
    """Use what is used later: a compiled kernel, linear algebra, a product that must be exact to the bit."""
    whole = np.arange(64, dtype=np.int64).reshape(8, 8) * 2**34 + 1
    product = cp.asarray(whole % 2, dtype=cp.float64) @ cp.asarray(whole, dtype=cp.float64)
    if not np.array_equal(product.get().astype(np.int64), (whole % 2) @ whole):
        raise RuntimeError("products in float64 are not exact on this device")
    if not np.allclose(cp.linalg.cholesky(cp.eye(4) * 4).get(), np.eye(4) * 2):
        raise RuntimeError("a Cholesky factor is wrong on this device")
    if int(cp.sum(cp.sqrt(cp.full(16, 4.0)))) != 32:
        raise RuntimeError("an elementwise kernel is wrong on this device")
