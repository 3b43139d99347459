"""The monitor: starts and ends campaigns, asks a person when one has to be asked, and calls for releases."""

from collections.abc import Sequence

from agents.errors import ModelMismatch
from agents.models.shared import model_event
from agents.work import LineageWork as Work
from contracts import events as e
from contracts.duties import stop_reason


class Monitor:
    """Watches over campaigns, budgets, approvals and releases."""

    role = "monitor"

    async def perform(self, work: Work) -> Sequence[e.Event]:
        """Answer a duty of the monitor."""
        return await getattr(self, f"_{work.duty.kind}")(work)  # type: ignore[no-any-return]

    async def _start(self, work: Work) -> Sequence[e.Event]:
        campaign = work.campaign
        return [
            e.CampaignStarted(
                campaign=campaign.id, tree=work.state.head, fingerprint=await self._fingerprint(work)
            )
        ]

    async def _fingerprint(self, work: Work) -> str:
        """The model's fingerprint as the store has it now: the weights must not have changed."""
        campaign = work.campaign
        if campaign.model != "embedded":
            return campaign.fingerprint
        found = await model_event(work.desk.ledger)
        if found is None or found.fingerprint != campaign.fingerprint:
            raise ModelMismatch(campaign.fingerprint, found.fingerprint if found else "none")
        return found.fingerprint

    async def _ask(self, work: Work) -> Sequence[e.Event]:
        campaign, round_ = work.campaign, work.round
        best = next(c for c in round_.candidates if c.number == round_.best)
        reason = round_.verdict.reason if round_.verdict else ""
        return [
            e.ApprovalRequested(
                campaign=campaign.id,
                round=round_.number,
                approval=f"{campaign.id}-{round_.number}",
                summary=f"{best.plan.title}. {reason}",
                deadline=work.now + campaign.settings.approve_seconds,
            )
        ]

    async def _deny(self, work: Work) -> Sequence[e.Event]:
        approval = work.round.approval
        if approval is None:
            return []
        return [e.ApprovalDenied(approval=approval.id, by="deadline", note="nobody answered in time")]

    async def _release_due(self, work: Work) -> Sequence[e.Event]:
        return [
            e.ReleaseDue(
                campaign=work.campaign.id,
                check=work.state.releases + 1,
                base=work.state.released,
                tree=work.state.head,
            )
        ]

    async def _forgo(self, work: Work) -> Sequence[e.Event]:
        """The budget ended before the sealed tasks could be measured: nothing was looked at, nothing is claimed."""
        due = work.campaign.release
        if due is None:
            return []
        reason = f"not measured: {work.campaign.exhausted}"
        return [e.ReleaseRefused(campaign=work.campaign.id, check=due.check, tree=due.tree, reason=reason)]

    async def _finish(self, work: Work) -> Sequence[e.Event]:
        campaign = work.campaign
        return [
            e.CampaignFinished(
                campaign=campaign.id,
                reason=stop_reason(campaign, work.now) or "there is nothing left to do",
                tree=work.state.head,
                fingerprint=await self._fingerprint(work),
                spent=campaign.spent,
            )
        ]
