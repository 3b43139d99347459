"""What calls of models came to, from a ledger: by whatever they were charged to, at their own prices and at others."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

from agents.models.endpoint import parse
from contracts import events as e
from contracts.calls import Calls, fold, settled
from contracts.chat import Usage
from contracts.models import Charge
from contracts.record import Record

if TYPE_CHECKING:
    from agents.models.prices import PriceBook
    from eventstore.audit.archive import Archive


class Made(Record):
    """A call that was made: what it was charged to, and what came of it."""

    charge: Charge
    model: str
    settlement: e.Settlement
    at: float
    """Seconds since the epoch, of its settlement."""

    @property
    def unsent(self) -> bool:
        """Whether nothing was sent, since the endpoint was known to be down."""
        return self.settlement.outcome == "unavailable" and not self.settlement.tries


class Cost(Record):
    """What a group of calls came to."""

    group: str
    calls: int
    unanswered: int
    """Calls that ended in something else than a reply."""
    usage: Usage
    cost: float
    """US dollars."""
    cache_hits: float
    """Share of the input tokens that the provider took from its cache."""
    blended: float
    """US dollars for a million tokens of any kind."""
    tokens_per_second: float
    """Output tokens by the time of the calls that gave them."""
    median_seconds: float
    p99_seconds: float
    label: str = ""
    """What people call the group."""
    unsent: int = 0
    """Those of the unanswered calls that were never sent, since the endpoint was known to be down."""


GROUPS: dict[str, Callable[[Made], str]] = {
    "model": lambda made: made.model,
    "role": lambda made: made.charge.role,
    "campaign": lambda made: made.charge.campaign,
    "round": lambda made: f"{made.charge.campaign} round {made.charge.round}",
    "candidate": lambda made: _candidate(made.charge),
    "task": lambda made: made.charge.task or "-",
    "episode": lambda made: made.charge.episode[:12] or "-",
    "outcome": lambda made: made.settlement.outcome,
}
"""By what calls can be grouped: word → the name of a call's group."""


def _candidate(charge: Charge) -> str:
    which = "the incumbent" if charge.candidate < 0 else f"candidate {charge.candidate}"
    return f"{charge.campaign} round {charge.round} {which}"


def read_calls(archive: "Archive", campaign: str = "") -> Iterator[Made]:
    """Every settled call of a ledger, or of one campaign, in the order of settlement."""
    for stream in archive.streams("calls/"):
        if campaign and stream != f"calls/{campaign}":
            continue
        state = Calls()
        for envelope in archive.events(stream):
            for reserved, settlement in settled(e.decode(envelope), state):
                yield Made(
                    charge=reserved.charge, model=reserved.model, settlement=settlement, at=envelope.at
                )
            state = fold(state, envelope)


def grouped(calls: Iterable[Made], by: str) -> list[Cost]:
    """Costs by group, the dearest first. Raises KeyError when calls cannot be grouped so."""
    name = GROUPS[by]
    groups: dict[str, list[Made]] = {}
    for made in calls:
        groups.setdefault(name(made), []).append(made)
    found = [total(members, group, _label(by, group, members)) for group, members in groups.items()]
    return sorted(found, key=lambda cost: (-cost.cost, -cost.usage.output_tokens, cost.group))


def _label(by: str, group: str, members: Sequence[Made]) -> str:
    """What people call a group: calls outside of rounds are those of release checks, or of submissions."""
    charge = members[0].charge
    if by not in ("round", "candidate") or charge.round:
        return group
    kinds = {"release check" if made.charge.episode else "submissions" for made in members}
    return f"{charge.campaign} {' and '.join(sorted(kinds))}"


def total(calls: Sequence[Made], group: str = "all", label: str = "") -> Cost:
    """What some calls came to together."""
    usage = sum((made.settlement.usage for made in calls), Usage())
    seconds = [made.settlement.seconds for made in calls if made.settlement.outcome == "answered"]
    tokens = usage.input_tokens + usage.output_tokens
    return Cost(
        group=group,
        calls=len(calls),
        unanswered=len(calls) - len(seconds),
        unsent=sum(made.unsent for made in calls),
        usage=usage,
        cost=usage.cost,
        cache_hits=usage.cached_tokens / usage.input_tokens if usage.input_tokens else 0.0,
        blended=1e6 * usage.cost / tokens if tokens else 0.0,
        tokens_per_second=usage.output_tokens / sum(seconds) if sum(seconds) else 0.0,
        median_seconds=float(np.median(seconds)) if seconds else 0.0,
        p99_seconds=float(np.quantile(seconds, 0.99)) if seconds else 0.0,
        label=label or group,
    )


def elsewhere(calls: Sequence[Made], book: "PriceBook", at: float) -> dict[str, float]:
    """What the same tokens would cost at the other prices that a price book has at a time: name → US dollars.

    Where all calls were of one model, its own price is none of the others.
    """
    usage = sum((made.settlement.usage for made in calls), Usage())
    own = {book.price(parse(made.model).name, at).model for made in calls}
    return {price.model: price.cost(usage) for price in book.offers(at) if own != {price.model}}


def kept_changes(archive: "Archive", campaign: str = "") -> int:
    """Changes that were kept in a ledger, or in one campaign."""
    return sum(
        isinstance(event, e.ChangeKept) and (not campaign or event.campaign == campaign)
        for stream in archive.streams("lineage/")
        for event in map(e.decode, archive.events(stream))
    )
