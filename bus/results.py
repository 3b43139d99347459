"""What comes out of a job."""

import msgspec

from contracts.record import Record


class Done(Record, frozen=True, kw_only=True, tag="done"):
    """A job's result: the bytes that its handler returned."""

    data: bytes


class Failed(Record, frozen=True, kw_only=True, tag="failed"):
    """A job that cannot be done."""

    reason: str
    kind: str
    """`refused` (the handler said so), `malformed`, `too_large` (the result), `exhausted` (its attempts)."""


JobResult = Done | Failed

_decoder: msgspec.msgpack.Decoder[JobResult] = msgspec.msgpack.Decoder(Done | Failed)
_encoder = msgspec.msgpack.Encoder()


def encode_result(result: JobResult) -> bytes:
    """A result as it is stored."""
    return _encoder.encode(result)


def decode_result(data: bytes) -> JobResult:
    """A stored result; one that cannot be read (a later version wrote it) counts as failed."""
    try:
        return _decoder.decode(data)
    except msgspec.MsgspecError as error:
        return Failed(reason=f"the stored result cannot be read: {error}", kind="malformed")
