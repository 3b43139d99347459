"""How good the critic's rejections are: told by those that were measured all the same."""

from collections.abc import Iterable

from contracts.record import Record
from eventstore.audit.rounds import CandidateHistory, RoundHistory


class Reviews(Record):
    """What the reviews of a campaign came to."""

    approved: int = 0
    named: int = 0
    """Rejected without asking a model: they named or copied a task."""
    rejected: int = 0
    """Rejected by a model, those that were measured all the same among them."""
    sampled: int = 0
    """Of these, those that were measured all the same."""
    measured: int = 0
    """Of these, those of which there is a measurement."""
    right: int = 0
    """Of these, those that did no better than the incumbent: the rejection was right."""
    approved_measured: int = 0
    approved_no_better: int = 0
    """Of the measured approved ones, those that did no better: what `right` has to exceed to be worth anything."""

    @property
    def precision(self) -> float | None:
        """Share of a model's rejections that were right; None where none was measured."""
        return self.right / self.measured if self.measured else None

    @property
    def base(self) -> float | None:
        """Share of the approved changes that did no better; None where none was measured."""
        return self.approved_no_better / self.approved_measured if self.approved_measured else None


def count_reviews(rounds: Iterable[RoundHistory]) -> Reviews:
    """Count the reviews of some rounds, and hold them against what was measured."""
    counts = dict.fromkeys(Reviews.__struct_fields__, 0)
    for round_ in rounds:
        for candidate in round_.candidates:
            review = candidate.review
            if review is None:
                continue
            effect = measured_effect(candidate, round_)
            if review.approved:
                counts["approved"] += 1
                counts["approved_measured"] += effect is not None
                counts["approved_no_better"] += effect is not None and effect <= 0
            elif not review.model:
                counts["named"] += 1
            else:
                counts["rejected"] += 1
                counts["sampled"] += review.sampled
                counts["measured"] += review.sampled and effect is not None
                counts["right"] += review.sampled and effect is not None and effect <= 0
    return Reviews(**counts)


def measured_effect(candidate: CandidateHistory, round_: RoundHistory) -> float | None:
    """The effect that a change showed: on fresh seeds, or in the race, or by its probes; None where it was not run."""
    confirmed, raced = round_.confirmed, round_.raced
    if confirmed is not None and confirmed.complete and confirmed.candidate == candidate.number:
        return confirmed.verdict.effect
    if candidate.effect is not None:
        return candidate.effect
    if candidate.status == "inert":
        return 0.0
    return raced.shown.get(str(candidate.number)) if raced is not None and raced.complete else None
