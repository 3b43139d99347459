"""What can go wrong with the ledger.

LedgerError
├── Conflict            the stream is at another version than the one expected
├── Malformed           the request itself is wrong; repeating it cannot help
│   ├── TooLarge        an event, append or blob beyond what the ledger takes
│   ├── BadLine         a line of an export that is damaged or missing
│   └── BadKey          a file or text that is no key
├── BlobMissing         no blob of that hash
├── Tampered            stored bytes do not fit their hash
├── Behind              others have appended to the log in the meantime
├── LedgerUnavailable   the service, or the log behind it, does not answer
│   └── NoBus           nothing says where the bus is
├── BusTaken            the service of another ledger answers on the bus
├── LedgerFault         the service or the file failed for a reason of its own
└── StoreError          the store's file cannot be used as asked
    ├── StoreMissing    there is none
    ├── StoreExists     there is one already
    ├── NotAStore       the file is something else
    ├── StoreTooNew     written by a later Ratchet
    ├── StoreReadOnly   it may not be written
    ├── StoreFull       no room left
    ├── StoreLocked     another service serves it
    ├── IsReplica       it belongs to a log on a bus
    ├── LogDiverged     it and the log contradict each other
    └── StoreClosed     this store was closed
"""

from pathlib import Path


class LedgerError(Exception):
    """Base of all errors of the ledger."""


class Conflict(LedgerError):
    """Raised when a stream is not at the version that an append expects."""

    def __init__(self, stream: str, expected: int, actual: int) -> None:
        super().__init__(
            f"stream {stream!r} is at version {actual}, not {expected}: "
            "read what is new, decide again, and append at the new version"
        )
        self.stream = stream
        self.expected = expected
        self.actual = actual


class Malformed(LedgerError):
    """Raised when a request is wrong in itself, so that repeating it cannot help."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"the ledger does not accept this: {reason}")
        self.reason = reason


class TooLarge(Malformed):
    """Raised when an event, an append or a blob is larger than the ledger takes."""


class BadLine(Malformed):
    """Raised when a line of an export cannot be read, is missing, or does not fit the lines before it."""

    def __init__(self, number: int, reason: str) -> None:
        super().__init__(f"line {number}: {reason}; nothing was imported")
        self.number = number


class BadKey(Malformed):
    """Raised when a key for checkpoints cannot be used."""

    def __init__(self, what: str, reason: str) -> None:
        super().__init__(f"{what} is no key for checkpoints: {reason}")
        self.what = what


class BlobMissing(LedgerError):
    """Raised when no blob of a hash is stored."""

    def __init__(self, hash: str) -> None:  # noqa: A002 (the field's own word)
        super().__init__(f"no blob {hash} in this ledger: was it put before the event that names it?")
        self.hash = hash


class Tampered(LedgerError):
    """Raised when stored bytes do not fit their hash; `position` is 0 where no single event is concerned."""

    def __init__(self, position: int, reason: str) -> None:
        where = f" at position {position}" if position else ""
        super().__init__(
            f"the ledger was changed or damaged{where}: {reason}; run `ratchet verify` to see what is sound"
        )
        self.position = position
        self.reason = reason


class LedgerUnavailable(LedgerError):
    """Raised when the ledger service did not answer in time."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"the ledger service does not answer ({reason}): is `ratchet run` running?")
        self.reason = reason


class NoBus(LedgerUnavailable):
    """Raised when nothing says where the bus of a ledger is."""

    def __init__(self, folder: Path) -> None:
        LedgerError.__init__(
            self,
            f"no bus runs on {folder}, and neither --bus nor RATCHET_BUS names one: `python -m bus serve --store "
            f"{folder}` starts one",
        )
        self.reason = "no bus"


class LedgerFault(LedgerError):
    """Raised when the service or its file failed for a reason of its own; the service's log says more."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"the ledger failed: {reason}; the service's log says more, and a retry is safe")
        self.reason = reason


class StoreError(LedgerError):
    """Base of the errors about a store's file."""


class StoreMissing(StoreError):
    """Raised when there is no store at a path."""

    def __init__(self, path: Path) -> None:
        super().__init__(f"no ledger at {path}: name its folder with --store, or make one with `ratchet run`")
        self.path = path


class StoreExists(StoreError):
    """Raised when a new store is to be made where there is one."""

    def __init__(self, path: Path) -> None:
        super().__init__(f"there is a ledger in {path} already, and it is left alone: name a new folder")
        self.path = path


class NotAStore(StoreError):
    """Raised when a file is not a ledger."""

    def __init__(self, path: Path) -> None:
        super().__init__(
            f"{path} is not a ledger of Ratchet and is left alone: name another folder with --store"
        )
        self.path = path


class StoreTooNew(StoreError):
    """Raised when a ledger was written by a later Ratchet."""

    def __init__(self, path: Path, found: int, known: int) -> None:
        super().__init__(
            f"{path} has format {found}, and this Ratchet knows up to {known}: use the version that wrote it"
        )
        self.path = path
        self.found = found
        self.known = known


class StoreReadOnly(StoreError):
    """Raised when a store may not be written."""

    def __init__(self, path: Path | None = None) -> None:
        super().__init__(
            f"{path or 'the ledger'} is read-only: make it and its folder writable, or work on a copy"
        )
        self.path = path


class StoreFull(StoreError):
    """Raised when there is no room for what is to be stored; nothing of it was."""

    def __init__(self, path: Path | None = None) -> None:
        super().__init__(
            f"no room left for {path or 'the ledger'}: nothing was written; free some space and try again"
        )
        self.path = path


class StoreLocked(StoreError):
    """Raised when another service serves a store."""

    def __init__(self, path: Path, pid: int) -> None:
        holder = f"process {pid}" if pid else "another process"
        super().__init__(f"{path} is served by {holder}: use that one, or stop it first")
        self.path = path
        self.pid = pid


class Behind(LedgerError):
    """Raised when a log does not end where a replica thinks it does; the replica reads on and decides again."""

    def __init__(self, sequence: int) -> None:
        super().__init__(f"the log has gone on since sequence {sequence}")
        self.sequence = sequence


class BusTaken(LedgerError):
    """Raised when another ledger has the bus: requests would go to either of them."""

    def __init__(self, reason: str = "") -> None:
        super().__init__(
            reason
            or "a ledger service answers on this bus already; one bus carries one ledger: stop that service, or "
            "start this one on a bus of its own"
        )


class IsReplica(StoreError):
    """Raised when a replica is to be written without its log."""

    def __init__(self, path: Path) -> None:
        super().__init__(
            f"{path} is a replica of a ledger on a bus, and is written through its log only: run or serve it with "
            "--ledger jetstream (`python -m eventstore serve --ledger jetstream --bus URL` suffices for revert, fork "
            "and checkpoint), or make a ledger of its own with `ratchet export` and `ratchet import`"
        )
        self.path = path


class LogDiverged(StoreError):
    """Raised when a replica and its log hold what cannot be the same ledger."""

    def __init__(self, reason: str) -> None:
        super().__init__(
            f"the file and the log on the bus are not the same ledger: {reason}. Keep this file (`ratchet "
            "export`), and start in an empty folder to get the log's, or on an empty bus to go on with this one"
        )
        self.reason = reason


class StoreClosed(StoreError):
    """Raised when a store is used after it was closed."""

    def __init__(self) -> None:
        super().__init__("this store was closed: open it again")
