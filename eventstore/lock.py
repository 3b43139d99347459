"""The lock by which a store has one writer."""

import fcntl
import os
from pathlib import Path

from eventstore.errors import StoreLocked, StoreReadOnly

LOCK = "ledger.lock"


class WriterLock:
    """An exclusive lock on `<store>/ledger.lock`, held until `release` or the end of the process.

    Raises:
        StoreLocked: another process, or another store object of this one, holds it.
        StoreReadOnly: the file cannot be made.
    """

    def __init__(self, folder: Path) -> None:
        path = folder / LOCK
        try:
            self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise StoreReadOnly(path) from error
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            pid = _pid(os.pread(self._fd, 32, 0))
            os.close(self._fd)
            raise StoreLocked(folder, pid) from error
        # The name of the holder is for people only; on a full disk the lock holds without it.
        try:
            os.ftruncate(self._fd, 0)
            os.pwrite(self._fd, f"{os.getpid()}\n".encode(), 0)
        except OSError:
            pass

    def release(self) -> None:
        """Give the lock up."""
        os.close(self._fd)


def _pid(text: bytes) -> int:
    return int(text) if text.strip().isdigit() else 0
