"""How far a job has come, told while it is computed."""

import msgspec

from contracts.record import Record


class Progress(Record, tag="progress"):
    """Published on the job's progress subject."""

    job: str
    done: int = 0
    """Cells of an experiment that are ready, or steps of a rollout that are done or turned out not to be needed."""
    total: int = 0
    seconds: float = 0.0
    """Since it was taken up."""
    eta: float = 0.0
    """Seconds that are left, by the speed so far; 0 when nothing is known yet."""
    memory: int = 0
    """Bytes that the batch under way was planned to take; 0 where that is not planned."""
    worker: str = ""
    note: str = ""
    """Said when a worker passed the job on, and why."""


_PROGRESS = msgspec.msgpack.Decoder(Progress)


def encode_progress(record: Progress) -> bytes:
    """The canonical bytes of a progress message."""
    return msgspec.msgpack.encode(record)


def decode_progress(data: bytes) -> Progress:
    """A progress message from its bytes.

    Raises:
        ValueError: the bytes are no progress message.
    """
    return _PROGRESS.decode(data)
