"""Most of what we do with JetStream: store a message or several as one, read the last of a subject, or on from one."""

import asyncio
import secrets
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from nats.aio.msg import Msg

from bus.connection import Bus
from bus.errors import (
    BusUnavailable,
    MalformedMessage,
    NoResponder,
    RequestTimeout,
    StreamFailed,
    WrongSequence,
)
from contracts.record import Record

_NOT_READY = 503
_WRONG_SEQUENCE = frozenset({10071, 10164})


class Stored(Record, frozen=True, kw_only=True):
    """Where a message was stored."""

    stream: str
    seq: int
    duplicate: bool = False
    """Whether a message with the same id was there already."""


class LastMessage(Record, frozen=True, kw_only=True):
    """The last message of a subject."""

    subject: str
    seq: int
    data: bytes
    headers: Mapping[str, str]


class _Problem(msgspec.Struct):
    code: int = 0
    err_code: int = 0
    description: str = ""


class _Answer(msgspec.Struct):
    stream: str = ""
    seq: int = 0
    duplicate: bool = False
    error: _Problem | None = None


async def store(
    bus: Bus,
    subject: str,
    data: bytes,
    *,
    headers: Mapping[str, str] | None = None,
    message_id: str = "",
    expected: int | None = None,
    timeout: float = 5.0,
) -> Stored:
    """Store a message in the stream that takes the subject.

    Args:
        bus: the connection.
        subject: where it goes.
        data: the message.
        headers: further headers.
        message_id: a second message with this id is ignored within the stream's window.
        expected: the sequence that the subject's last message must have; 0 when there must be none.
        timeout: seconds to wait for the answer.

    Raises:
        WrongSequence: the subject's last message is another.
        StreamFailed: JetStream refused it.
        NoResponder: no stream takes this subject.
        RequestTimeout, BusUnavailable: the outcome is unknown; find out with `last`.
        TooLarge: the server takes no message of this size.
    """
    facts = dict(headers) if headers else {}
    if message_id:
        facts["Nats-Msg-Id"] = message_id
    if expected is not None:
        facts["Nats-Expected-Last-Subject-Sequence"] = str(expected)
    return _stored(bus, subject, await bus.call(subject, data, headers=facts, timeout=timeout))


def _stored(bus: Bus, subject: str, reply: Msg) -> Stored:
    try:
        answer = msgspec.json.decode(reply.data, type=_Answer)
    except msgspec.MsgspecError:
        raise MalformedMessage("the reply is not one of JetStream's", subject) from None
    if answer.error is not None:
        kind = WrongSequence if answer.error.err_code in _WRONG_SEQUENCE else StreamFailed
        _raise_if_away(bus, answer.error)
        raise kind(subject, answer.error.err_code, answer.error.description)
    return Stored(stream=answer.stream, seq=answer.seq, duplicate=answer.duplicate)


async def store_whole(
    bus: Bus, subject: str, parts: Sequence[bytes], *, after: int, timeout: float = 10.0
) -> Stored:
    """Store messages one behind the other, all or none, if the stream ends at sequence `after`.

    Raises:
        WrongSequence: the stream ends elsewhere; nothing was stored.
        StreamFailed, NoResponder, TooLarge: nothing was stored.
        RequestTimeout, BusUnavailable: the outcome is unknown; look at the end of the stream.
    """
    headers = {"Nats-Expected-Last-Sequence": str(after)}
    if len(parts) == 1:
        return _stored(bus, subject, await bus.call(subject, parts[0], headers=headers, timeout=timeout))
    batch = {"Nats-Batch-Id": secrets.token_hex(16)}
    for number, part in enumerate(parts, 1):
        facts = {**batch, "Nats-Batch-Sequence": str(number)} | (headers if number == 1 else {})
        if number == len(parts):
            facts["Nats-Batch-Commit"] = "1"
            return _stored(bus, subject, await bus.call(subject, part, headers=facts, timeout=timeout))
        if number == 1:  # the answer is empty when the batch was begun
            begun = await bus.call(subject, part, headers=facts, timeout=timeout)
            if begun.data:
                _stored(bus, subject, begun)
        else:
            await bus.publish(subject, part, headers=facts)
    raise ValueError("no parts")


async def read_on(
    bus: Bus, stream: str, after: int, *, messages: int = 1000, max_bytes: int = 4 << 20, timeout: float = 5.0
) -> list[LastMessage]:
    """Messages behind a sequence, in order, as far as the server that answers has them; at least one if it has any.

    Raises:
        NoResponder: there is no such stream.
        RequestTimeout, BusUnavailable, StreamFailed.
    """
    found: list[LastMessage] = []
    end: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def take(message: Msg) -> None:
        headers = message.headers or {}
        status = headers.get("Status")
        if end.done():
            return
        if status in {"204", "404"}:
            end.set_result(None)
        elif status == "503":
            end.set_exception(NoResponder(stream))
        elif status is not None:
            end.set_exception(StreamFailed(stream, int(status), headers.get("Description", "")))
        else:
            found.append(_message(message, stream))

    inbox = f"_INBOX.{secrets.token_hex(11)}"
    interest = await bus.listen(inbox, take)
    try:
        request = {"seq": after + 1, "batch": messages, "max_bytes": max_bytes}
        await bus.publish(f"$JS.API.DIRECT.GET.{stream}", msgspec.json.encode(request), reply=inbox)
        async with asyncio.timeout(timeout):
            await end
    except TimeoutError:
        raise RequestTimeout(stream, timeout) from None
    finally:
        await interest.stop()
    return found


async def last(bus: Bus, stream: str, subject: str, *, timeout: float = 5.0) -> LastMessage | None:
    """The last message of a subject, read directly (the stream must allow it); None when there is none.

    Raises:
        NoResponder: there is no such stream.
        RequestTimeout, BusUnavailable, StreamFailed.
    """
    reply = await bus.call(f"$JS.API.DIRECT.GET.{stream}.{subject}", timeout=timeout)
    headers = reply.headers or {}
    status = headers.get("Status")
    if status == "404":
        return None
    if status is not None:
        raise StreamFailed(subject, int(status), headers.get("Description", ""))
    return _message(reply, subject)


def _message(reply: Msg, subject: str) -> LastMessage:
    headers = reply.headers or {}
    return LastMessage(
        subject=headers.get("Nats-Subject", subject),
        seq=int(headers.get("Nats-Sequence", "0")),
        data=bytes(reply.data),
        headers=headers,
    )


async def manage(bus: Bus, verb: str, request: Mapping[str, Any], *, timeout: float = 5.0) -> dict[str, Any]:
    """A request to JetStream's own API: `manage(bus, "STREAM.PURGE.RESULTS", {"filter": …})`.

    Raises:
        StreamFailed: JetStream refused.
        NoResponder, RequestTimeout, BusUnavailable.
    """
    reply = await bus.call(f"$JS.API.{verb}", msgspec.json.encode(request), timeout=timeout)
    answer: dict[str, Any] = msgspec.json.decode(reply.data)
    if "error" in answer:
        problem = msgspec.convert(answer["error"], _Problem)
        _raise_if_away(bus, problem)
        raise StreamFailed(verb, problem.err_code, problem.description)
    return answer


def _raise_if_away(bus: Bus, problem: _Problem) -> None:
    """A JetStream that is not ready yet is as good as none: what repeats requests shall repeat this one."""
    if problem.code == _NOT_READY:
        raise BusUnavailable(
            bus.url, problem.description, "JetStream is starting, or has no room on its disk"
        )
