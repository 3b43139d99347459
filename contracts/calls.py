"""Calls of models as they are asked for over the bus, kept, and counted: the fold of a stream `calls/<campaign>`."""

import hashlib
import zlib
from collections.abc import Iterator
from functools import singledispatch

import msgspec

from contracts import events as e
from contracts.chat import ChatReply, ChatRequest
from contracts.envelope import Envelope
from contracts.events.calls import Reservation
from contracts.models import Charge
from contracts.record import Record


def calls_stream(campaign: str) -> str:
    """The stream of a campaign's calls; those that belong to none share one."""
    return f"calls/{campaign or 'none'}"


class ModelRequest(Record):
    """A call as it is asked for over the bus."""

    model: str
    """As `--model` names it."""
    charge: Charge
    request: ChatRequest | None = None
    blob: str = ""
    """The request, where it is too large for a message: its JSON as a blob."""


class ModelAnswer(Record):
    """What is answered: a reply, or why there is none."""

    reply: ChatReply | None = None
    blob: str = ""
    """The call with its reply, where that is too large for a message."""
    kind: str = ""
    """`refused`, `unavailable`, `misconfigured`, `unseen` or `spent`."""
    reason: str = ""


class Call(Record):
    """A call as it is kept."""

    model: str
    request: ChatRequest
    reply: ChatReply
    seconds: float = 0.0


def pack(call: Call) -> bytes:
    """A call as its blob."""
    return zlib.compress(msgspec.msgpack.encode(call), 6)


def unpack(blob: bytes) -> Call:
    """The call in a blob."""
    return msgspec.msgpack.decode(zlib.decompress(blob), type=Call)


def call_key(model: str, request: ChatRequest) -> str:
    """SHA-256 of what is asked of whom, to the last byte, and of nothing else."""
    return hashlib.sha256(msgspec.json.encode((model, request), order="deterministic")).hexdigest()


class Calls(Record):
    """What a campaign's calls come to so far."""

    version: int = 0
    number: int = 0
    """Of the latest reservation."""
    open: dict[int, Reservation] = {}
    """What is under way."""
    cost: float = 0.0
    """US dollars, of all that was settled."""
    tokens: int = 0
    round_cost: dict[int, float] = {}
    role_cost: dict[str, float] = {}

    @property
    def bound(self) -> float:
        """US dollars that what is under way can cost at most."""
        return sum(each.bound for each in self.open.values())


def fold(state: Calls, envelope: Envelope) -> Calls:
    """The state after one more event of the stream. Raises ValueError when the event is not the next one."""
    if envelope.version != state.version + 1:
        raise ValueError(f"event {envelope.version} does not follow version {state.version}")
    state = evolve(e.decode(envelope), state)
    return msgspec.structs.replace(state, version=envelope.version)


def settled(event: e.Event, before: Calls) -> Iterator[tuple[Reservation, e.Settlement]]:
    """What an event settles, in the state before it: each reservation with what came of it.

    What is not open any more was given up earlier, and counts at its bound already.
    """
    for each in event.calls if isinstance(event, e.CallsMade) else ():
        if (reserved := before.open.get(each.number)) is not None:
            yield reserved, each


@singledispatch
def evolve(_event: e.Event, state: Calls) -> Calls:
    """The state after an event; events without effect on calls leave it as it is."""
    return state


@evolve.register
def _(event: e.CallsReserved, state: Calls) -> Calls:
    found = {**state.open, **{each.number: each for each in event.calls}}
    number = max(state.number, *(each.number for each in event.calls)) if event.calls else state.number
    return msgspec.structs.replace(state, open=found, number=number)


@evolve.register
def _(event: e.CallsMade, state: Calls) -> Calls:
    left = dict(state.open)
    rounds, roles = dict(state.round_cost), dict(state.role_cost)
    cost, tokens = state.cost, state.tokens
    for reserved, each in settled(event, state):
        del left[each.number]
        cost += each.usage.cost
        tokens += each.usage.input_tokens + each.usage.output_tokens
        charge = reserved.charge
        rounds[charge.round] = rounds.get(charge.round, 0.0) + each.usage.cost
        roles[charge.role] = roles.get(charge.role, 0.0) + each.usage.cost
    return msgspec.structs.replace(
        state, open=left, cost=cost, tokens=tokens, round_cost=rounds, role_cost=roles
    )
