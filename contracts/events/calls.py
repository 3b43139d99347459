"""Events of a campaign's model calls: stream `calls/<campaign>`, and a word on the lineage when the money is spent."""

from typing import Literal

from contracts.chat import Usage
from contracts.events.base import Event
from contracts.models import Charge
from contracts.record import Record

CallOutcome = Literal["answered", "refused", "unavailable", "misconfigured", "lost"]
"""How a call ended. `lost`: the process that made it ended before it was told; it counts at its bound."""


class Reservation(Record):
    """A call that is about to be made, and the most that it can cost."""

    number: int
    """Counts the calls of the stream, from 1."""
    call: str
    """SHA-256 of what is asked and of whom, see `contracts.calls.call_key`."""
    model: str
    charge: Charge
    bound: float = 0.0
    """US dollars."""
    factor: float = 1.0
    """What the bound was multiplied by, since earlier calls of this model had cost more than theirs."""
    tokens: int = 0
    """Tokens in and out, at most."""


class CallsReserved(Event):
    """Calls that fit into the budget beside all that is under way. Written before any of them is sent."""

    campaign: str
    calls: tuple[Reservation, ...]


class Settlement(Record):
    """What came of a call that was reserved."""

    number: int
    outcome: CallOutcome
    blob: str = ""
    """The call itself, if it was answered, see `contracts.calls.Call`."""
    usage: Usage = Usage()
    """With what it cost; tries without an answer that may be billed are in the cost."""
    estimated: bool = False
    """Whether the endpoint told no usage, so that it was counted here."""
    seconds: float = 0.0
    """How long the answer took."""
    tries: int = 1
    """How often it was sent, as far as is known; 0 for an unavailable endpoint that was not asked at all."""
    reason: str = ""


class CallsMade(Event):
    """What came of calls. Written before any of the answers is given."""

    campaign: str
    calls: tuple[Settlement, ...]


class BudgetSpent(Event):
    """A call was asked for that the campaign's budget does not cover any more; said once, on its lineage."""

    campaign: str
    reason: str
    cost: float
    """US dollars that the campaign's calls have cost."""
