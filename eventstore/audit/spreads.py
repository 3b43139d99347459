"""What a lineage's campaigns tell of the next comparison: how its differences spread, and what an episode costs."""

from contracts import events as e
from contracts.power import pooled_spread
from contracts.record import Record
from contracts.settings import SuiteManifest
from contracts.statistics import Spread
from eventstore.audit.archive import Archive
from eventstore.audit.errors import NotInLedger
from eventstore.audit.history import lineage_events
from eventstore.audit.verdicts import packages


class Measured(Record):
    """Figures of a lineage's confirmations on the practice tasks of its last campaign."""

    suite: SuiteManifest
    spread: Spread
    confirmations: int
    """How many the spread was pooled over."""
    price: float | None
    """US dollars of an episode; None where nothing was paid."""


def measured(archive: Archive, lineage: str) -> Measured:
    """Pool every complete confirmation that a lineage has on the practice tasks of its last campaign.

    Confirmations run on seeds that had no part in choosing the candidate, so their differences are not flattered.

    Args:
        archive: the ledger.
        lineage: the lineage's name.

    Raises:
        NotInLedger: there is no such lineage, or no campaign in it.
        ValueError: the campaigns confirmed too little to tell a spread.
    """
    suites: dict[str, SuiteManifest] = {}
    confirmed: list[e.ChangeConfirmed] = []
    last = ""
    for envelope in lineage_events(archive, lineage):
        event = e.decode(envelope)
        if isinstance(event, e.CampaignRequested):
            last = event.campaign
            suites[last] = event.suite
        elif isinstance(event, e.ChangeConfirmed) and event.complete:
            confirmed.append(event)
    if not last:
        raise NotInLedger(f"a campaign of lineage {lineage}")
    suite = suites[last]
    alike = {name for name, other in suites.items() if other.practice == suite.practice}
    ours = [event for event in confirmed if event.campaign in alike]
    clusters = packages(suite.practice)
    cost, episodes = (sum(getattr(event.spent, name) for event in ours) for name in ("cost", "episodes"))
    return Measured(
        suite=suite,
        spread=pooled_spread((event.challenger.scores, event.incumbent.scores, clusters) for event in ours),
        confirmations=len(ours),
        price=cost / episodes if cost > 0 and episodes else None,
    )
