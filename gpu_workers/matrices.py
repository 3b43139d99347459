"""Matrices of random signs and draws on the device, kept for those who ask for the same again.

Candidates of one round share a key, and so do all intervals of a report: what they are resampled with is made once.
"""

import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator
from typing import Any, TypeAlias

from gpu_workers.arrays import Arrays

Blocks: TypeAlias = Callable[[int], Iterator[Any]]
"""Makes a matrix on the device, in blocks of at most so many rows."""
Name: TypeAlias = tuple[str, str, int, int, int]
"""What a matrix follows from: stream, key, clusters, seeds of a cluster, resamples."""

SHARE = 4
"""A kept matrix, and all of them together, take at most this part of what a computation may hold."""
_CELLS = 1 << 18
"""Cells of a block that is made at once where there is no device: few enough for a processor's cache."""
_SCRATCH = 128
"""Bytes that a device takes for each cell while a block is made."""


class Matrices:
    """Kept matrices of small counts, one byte a cell; the ones that were not asked for longest go first."""

    def __init__(self) -> None:
        self._kept: OrderedDict[tuple[str, Name], Any] = OrderedDict()
        self._lock = threading.Lock()

    def blocks(
        self, arrays: Arrays, name: Name, make: Blocks, *, shape: tuple[int, int], rows: int
    ) -> Iterator[Any]:
        """The matrix on the device, in blocks of at most `rows` rows.

        Args:
            arrays: what it is for.
            name: what it follows from.
            make: makes it.
            shape: its rows and columns.
            rows: of a block.
        """
        limit = arrays.held_bytes // SHARE
        if shape[0] * shape[1] * (1 if shape[1] < 256 else 2) > limit:
            yield from make(rows)
            return
        whole = self._find((arrays.name, name))
        if whole is not None:
            for start in range(0, shape[0], rows):
                yield whole[start : start + rows]
            return
        cells = _CELLS if arrays.name == "numpy" else arrays.block_bytes // _SCRATCH
        done = 0
        for block in make(max(1, min(rows, cells // shape[1]))):
            if whole is None:
                whole = arrays.xp.empty(shape, dtype=block.dtype)
            whole[done : done + len(block)] = block
            done += len(block)
            yield block  # others may compute with it while the next is made
        self._keep((arrays.name, name), whole, limit)

    def forget(self) -> None:
        """Keep nothing any more."""
        with self._lock:
            self._kept.clear()

    def _find(self, name: tuple[str, Name]) -> Any:
        with self._lock:
            if name not in self._kept:
                return None
            self._kept.move_to_end(name)
            return self._kept[name]

    def _keep(self, name: tuple[str, Name], whole: Any, limit: int) -> None:
        with self._lock:
            self._kept[name] = whole
            while sum(int(kept.nbytes) for kept in self._kept.values()) > limit:
                self._kept.popitem(last=False)


MATRICES = Matrices()
"""Those of this process."""
