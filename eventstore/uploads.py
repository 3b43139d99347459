"""Blobs that arrive in chunks: put together in memory, within a cap and a time, and checked when whole."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from contracts.envelope import blob_hash
from contracts.ledger import CHUNK, BlobPut
from eventstore.errors import Malformed
from eventstore.limits import MAX_BLOB, check_blob, is_hash

CAPACITY = 2 * MAX_BLOB
"""Bytes of unfinished blobs that are held at once."""
PATIENCE = 60.0
"""Seconds without a further chunk after which an unfinished blob is dropped."""


class Crowded(Exception):
    """Raised when too many blobs are arriving at once; the sender tries again a little later."""


@dataclass
class _Upload:
    total: int
    touched: float
    chunks: dict[int, bytes] = field(default_factory=dict)


class Uploads:
    """Unfinished blobs. Chunks may come in any order, repeatedly, and from several senders at once."""

    def __init__(self, *, capacity: int = CAPACITY, clock: Callable[[], float] = time.monotonic) -> None:
        self._capacity = capacity
        self._clock = clock
        self._open: dict[tuple[str, int], _Upload] = {}
        self._size = 0

    def take(self, put: BlobPut) -> bytes | None:
        """Take a chunk; the whole blob when it was the last one missing, else None.

        Raises:
            Malformed: the chunk cannot belong to such a blob, or the whole is not what its hash says.
            TooLarge: a blob of so many chunks.
            Crowded: no room for it just now.
        """
        _check(put)
        self._forget()
        if put.total == 1:
            return _whole(put.hash, put.data)
        key = (put.hash, put.total)
        upload = self._open.get(key)
        known = upload is not None and put.index in upload.chunks
        if not known and self._size + len(put.data) > self._capacity:
            raise Crowded
        if upload is None:
            upload = self._open[key] = _Upload(put.total, self._clock())
        upload.touched = self._clock()
        if not known:
            upload.chunks[put.index] = put.data
            self._size += len(put.data)
        if len(upload.chunks) < upload.total:
            return None
        self._drop(key)
        return _whole(put.hash, b"".join(upload.chunks[index] for index in range(upload.total)))

    def _forget(self) -> None:
        since = self._clock() - PATIENCE
        for key in [key for key, upload in self._open.items() if upload.touched < since]:
            self._drop(key)

    def _drop(self, key: tuple[str, int]) -> None:
        self._size -= sum(map(len, self._open.pop(key).chunks.values()))


def _check(put: BlobPut) -> None:
    if not is_hash(put.hash):
        raise Malformed(f"{put.hash[:80]!r} is not a blob's hash")
    if not 0 <= put.index < put.total:
        raise Malformed(f"chunk {put.index} of {put.total}")
    check_blob((put.total - 1) * CHUNK + 1)
    full = put.index < put.total - 1
    if (full and len(put.data) != CHUNK) or len(put.data) > CHUNK:
        raise Malformed(f"a chunk of {len(put.data)} bytes: want {CHUNK}, or fewer in the last one")


def _whole(name: str, data: bytes) -> bytes:
    if blob_hash(data) != name:
        raise Malformed(f"the bytes sent for blob {name} have another hash: send it again")
    return data
