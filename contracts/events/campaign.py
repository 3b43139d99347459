"""Events about campaigns as a whole, and what a person decides."""

from typing import ClassVar, Literal

from contracts.events.base import Event
from contracts.settings import CampaignSettings, Spent, SuiteManifest


class HarnessSeeded(Event):
    """A lineage began: its version 0."""

    tree: str
    origin: str = "seed"


class HarnessForked(Event):
    """A lineage began from a version of another one, whose past it shares.

    Schema 1 called the version `number`.
    """

    schema: ClassVar[int] = 2

    tree: str
    parent: str
    """The lineage that it comes from."""
    version: int
    """The version of that lineage."""
    seed: str
    """The seed of that lineage: by it complexity is counted in both."""
    checks: int = 0
    """Release checks that the parent had made: what they spent of the level is spent here as well."""
    reason: str = ""


class CampaignRequested(Event):
    """A person asked for a campaign."""

    campaign: str
    settings: CampaignSettings
    suite: SuiteManifest
    fingerprint: str
    """Of the model that every arm of the campaign uses."""
    model: str = "embedded"


class CampaignStarted(Event):
    """The monitor found all in place and began."""

    campaign: str
    tree: str
    fingerprint: str


class CampaignPaused(Event):
    """No new work until it is resumed."""

    campaign: str
    reason: str


class CampaignResumed(Event):
    """Work goes on."""

    campaign: str
    reason: str = ""


class CampaignFinished(Event):
    """The campaign is over."""

    campaign: str
    reason: str
    tree: str
    fingerprint: str
    """Read again from the model that served the campaign: equal to that of `CampaignStarted`."""
    spent: Spent


class AgentLost(Event):
    """An agent that held a duty has not been heard of for a while; its duty is free again."""

    role: str
    instance: str
    silent_seconds: float


class ApprovalRequested(Event):
    """A person has to agree before a change is kept."""

    campaign: str
    round: int
    approval: str
    """Id to approve or deny by."""
    summary: str
    deadline: float
    """Seconds since the epoch; silence until then denies."""


class ApprovalGranted(Event):
    """A person agreed."""

    approval: str
    by: str
    note: str = ""


class ApprovalDenied(Event):
    """A person, or the deadline, refused."""

    approval: str
    by: str
    note: str = ""


class HeadReset(Event):
    """A person set the head back (or to any version that the ledger holds)."""

    tree: str
    reason: str
    by: Literal["operator", "monitor"] = "operator"
