"""What calls of models came to, from a ledger: by whatever they were charged to, at their own prices and at others."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

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
    found = [total(members, group) for group, members in groups.items()]
    return sorted(found, key=lambda cost: (-cost.cost, -cost.usage.output_tokens, cost.group))


def total(calls: Sequence[Made], group: str = "all") -> Cost:
    """What some calls came to together."""
    usage = sum((made.settlement.usage for made in calls), Usage())
    seconds = [made.settlement.seconds for made in calls if made.settlement.outcome == "answered"]
    tokens = usage.input_tokens + usage.output_tokens
    return Cost(
        group=group,
        calls=len(calls),
        unanswered=len(calls) - len(seconds),
        usage=usage,
        cost=usage.cost,
        cache_hits=usage.cached_tokens / usage.input_tokens if usage.input_tokens else 0.0,
        blended=1e6 * usage.cost / tokens if tokens else 0.0,
        tokens_per_second=usage.output_tokens / sum(seconds) if sum(seconds) else 0.0,
        median_seconds=float(np.median(seconds)) if seconds else 0.0,
        p99_seconds=float(np.quantile(seconds, 0.99)) if seconds else 0.0,
    )


def elsewhere(usage: Usage, book: "PriceBook", at: float) -> dict[str, float]:
    """What the same tokens would have cost with every model of a price book: name → US dollars."""
    return {name: book.price(name, at).cost(usage) for name in book.names}


def kept_changes(archive: "Archive", campaign: str = "") -> int:
    """Changes that were kept in a ledger, or in one campaign."""
    return sum(
        isinstance(event, e.ChangeKept) and (not campaign or event.campaign == campaign)
        for stream in archive.streams("lineage/")
        for event in map(e.decode, archive.events(stream))
    )
