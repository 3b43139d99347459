"""What an agent works with: the ledger, the blobs, the job queue, and the duty at hand."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Protocol

import structlog

from agents.categories import S
from bus.connection import Bus
from bus.jobs import JobQueue
from contracts.chat import Model
from contracts.duties import Duty
from contracts.events import Event
from contracts.lineage import Campaign, Lineage, Round
from contracts.models import Charge, ModelRole
from eventstore import trees
from eventstore.client import LedgerClient

REMEMBERED = 8
"""The latest lessons of a lineage, which its planner and its critic read."""


@dataclass(frozen=True, kw_only=True)
class Desk:
    """What every agent has at hand, whatever its role. Everything goes over the bus."""

    bus: Bus
    ledger: LedgerClient
    jobs: JobQueue
    instance: str
    log: Any
    """A structlog logger with role and instance bound."""

    async def tree(self, digest: str) -> dict[str, bytes]:
        """The files of a harness."""
        return await trees.get_tree(self.ledger, digest)

    async def put_tree(self, files: dict[str, bytes]) -> str:
        """Store the files of a harness; answers the tree's hash."""
        return await trees.put_tree(self.ledger, files)


def desk_for(bus: Bus, role: str, instance: str) -> Desk:
    """The desk of an agent on a connected bus."""
    log = structlog.get_logger("agents").bind(role=role, instance=instance)
    return Desk(bus=bus, ledger=LedgerClient(bus), jobs=JobQueue(bus), instance=instance, log=log)


@dataclass(frozen=True, kw_only=True)
class Work(Generic[S]):
    """One duty, and the state in which it was found."""

    desk: Desk
    stream: str
    state: S
    duty: Duty
    now: float


@dataclass(frozen=True, kw_only=True)
class LineageWork(Work[Lineage]):
    """A duty of a campaign."""

    @property
    def campaign(self) -> Campaign:
        """The campaign that the duty belongs to."""
        if self.state.campaign is None:
            raise ValueError("a duty without a campaign")
        return self.state.campaign

    @property
    def round(self) -> Round:
        """The round that the duty belongs to."""
        if self.campaign.round is None:
            raise ValueError("a duty without a round")
        return self.campaign.round

    def model(self, role: ModelRole) -> Model | None:
        """The model that a role thinks with in this campaign; None where it thinks without one.

        Who writes patches uses the planner's model unless it has one of its own.
        """
        models = self.campaign.settings.models
        spec = models.of(role) or (models.planner if role == "patcher" else "")
        if not spec:
            return None
        from agents.models.remote import RemoteModel

        charge = Charge(
            campaign=self.campaign.id, round=self.round.number, candidate=self.duty.candidate, role=role
        )
        return RemoteModel(self.desk.bus, spec, charge)

    async def lessons(self) -> list[str]:
        """The latest pages of the lineage's memory, the newest last."""
        blobs = self.state.lessons[-REMEMBERED:]
        return [(await self.desk.ledger.get(blob)).decode(errors="replace") for blob in blobs]


Models = Callable[[LineageWork, ModelRole], Model | None]
"""How a policy comes by the model of a role; `LineageWork.model` by default."""


def headline(lesson: str) -> str:
    """The first line of a page of memory, as a sentence."""
    return lesson.split("\n", 1)[0].lstrip("# ")


class Policy(Protocol):
    """What makes an agent a planner or a critic: how it answers a duty of its role."""

    @property
    def role(self) -> str:
        """One of `contracts.duties.ROLES`."""
        ...

    async def perform(self, work: Any) -> Sequence[Event]:
        """Do the work; answer the events that say what came of it. May be called again for the same duty.

        `work` is the `Work` of the category that the policy is run with.
        """
        ...
