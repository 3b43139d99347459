"""What a gate with other numbers would have said: verdicts computed again from the recorded scores."""

from collections.abc import Callable
from typing import Literal

import msgspec

from contracts import events as e
from contracts import gate
from contracts.gate import GateSettings, Verdict
from contracts.lineage import Lineage
from contracts.record import Record
from eventstore.audit.archive import Archive
from eventstore.audit.history import fold_or_blame, lineage_events
from eventstore.audit.verdicts import packages
from eventstore.errors import Malformed


class Counterfactual(Record):
    """A confirmation, with the verdict on record and the one that other settings give."""

    campaign: str
    round: int
    title: str
    recorded: Verdict
    other: Verdict
    done: Literal["kept", "not kept"] = "not kept"
    """What became of the change: a person or a fault may have stood against its verdict."""

    @property
    def differs(self) -> bool:
        """Whether the other settings decide otherwise."""
        return self.recorded.decision != self.other.decision


def counterfactuals(
    archive: Archive, lineage: str, settings: Callable[[GateSettings], GateSettings]
) -> list[Counterfactual]:
    """Every confirmation of a lineage under other settings, in order.

    Only what a confirmation decides is computed again, from the very scores on record: a gate that decides otherwise in
    one round would have led to another harness, and to other candidates, in all that follow. So each verdict stands for
    itself, and the list is not the campaign that there would have been. Nor are races run again: with other numbers
    of candidates or seeds there would be other scores.

    Args:
        archive: the ledger.
        lineage: the lineage's name.
        settings: from a campaign's settings to the other ones.

    Raises:
        NotInLedger: there is no such lineage.
        Tampered: an event does not follow from the one before it.
    """
    state, found = Lineage(), []
    for envelope in lineage_events(archive, lineage):
        event = e.decode(envelope)
        if isinstance(event, e.ChangeConfirmed) and event.complete:
            found.append(_again(event, state, settings))
        elif isinstance(event, e.ChangeKept) and found:
            found[-1] = msgspec.structs.replace(found[-1], done="kept")
        state = fold_or_blame(state, envelope)
    return found


def _again(
    event: e.ChangeConfirmed, state: Lineage, settings: Callable[[GateSettings], GateSettings]
) -> Counterfactual:
    campaign = state.campaign
    round_ = campaign.round if campaign else None
    best = next((c for c in round_.candidates if c.number == event.candidate), None) if round_ else None
    if campaign is None or round_ is None or best is None:
        raise Malformed("a change was confirmed that nobody had planned: `replay --check` tells where")
    other = settings(campaign.settings.gate)
    protected = tuple(mean >= other.protected_at for mean in round_.incumbent_means)
    verdict = gate.confirm(
        event.incumbent,
        event.challenger,
        packages(campaign.suite.practice),
        other,
        key=gate.verdict_key(campaign.id, round_.number, best.tree),
        protected=protected,
        growth=best.growth,
    )
    return Counterfactual(
        campaign=campaign.id,
        round=round_.number,
        title=best.plan.title,
        recorded=event.verdict,
        other=verdict,
    )
