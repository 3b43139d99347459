"""The planner: opens and closes rounds, and plans the changes in between."""

import random
from collections.abc import Sequence

from agents.planner.bandit import choose
from agents.planner.operators import Draft, Ground, drafts
from agents.work import LineageWork as Work
from contracts import events as e
from contracts.lineage import state_hash
from contracts.statistics import derive_seed


class Planner:
    """Decides what to try next, from the critic's analysis and everything that was tried before."""

    role = "planner"

    async def perform(self, work: Work) -> Sequence[e.Event]:
        """Answer a duty of the planner."""
        return await getattr(self, f"_{work.duty.kind}")(work)  # type: ignore[no-any-return]

    async def _open(self, work: Work) -> Sequence[e.Event]:
        number = work.campaign.rounds_done + 1
        return [e.RoundOpened(campaign=work.campaign.id, round=number, tree=work.state.head)]

    async def _close(self, work: Work) -> Sequence[e.Event]:
        campaign, round_ = work.campaign, work.round
        return [
            e.RoundClosed(
                campaign=campaign.id,
                round=round_.number,
                state_version=work.state.version,
                state_hash=state_hash(work.state),
            )
        ]

    async def _plan(self, work: Work) -> Sequence[e.Event]:
        campaign, round_, state = work.campaign, work.round, work.state
        rng = random.Random(derive_seed(campaign.settings.seed, work.duty.key))  # noqa: S311 - not a secret
        tree = await work.desk.tree(round_.tree)
        name = f"c{state.campaigns}_r{round_.number}"  # rounds are counted from 1 in every campaign
        ground = Ground(tree=tree, archive=state.archive, name=name)
        tried = {
            _signature(branch.plan) for branch in state.archive if branch.parent == round_.tree
        }  # a harness that lost against this very head is not raced against it again
        possible = drafts(ground, rng)
        fresh = [draft for draft in possible if draft.signature not in tried]
        failures = round_.failures or ()
        remembered = await self._remembered(work)
        chosen = choose(fresh or possible, state.arms, failures, campaign.settings.plans, rng)
        tasks = [task.id for task in campaign.suite.practice]
        weak = [task for task, mean in zip(tasks, round_.incumbent_means, strict=False) if 0 < mean < 1]
        return [
            e.ChangePlanned(
                campaign=campaign.id,
                round=round_.number,
                candidate=number,
                parent=round_.tree,
                plan=_plan(draft, effect, failures, weak, number, remembered),
            )
            for number, (draft, effect) in enumerate(chosen)
        ]

    async def _remembered(self, work: Work) -> str:
        """What the campaign's memory says last: the headline of the latest lesson."""
        if not work.state.lessons:
            return ""
        lesson = (await work.desk.ledger.get(work.state.lessons[-1])).decode(errors="replace")
        return lesson.split("\n", 1)[0].lstrip("# ")


def _signature(plan: e.Plan) -> str:
    return Draft(
        surface=plan.surface, operator=plan.operator, arms=(), change=plan.change, title=""
    ).signature


def _plan(
    draft: Draft,
    effect: float,
    failures: Sequence[e.FailureCluster],
    weak: Sequence[str],
    number: int,
    remembered: str = "",
) -> e.Plan:
    change = dict(draft.change)
    if draft.operator == "compose":
        change["name"] = f"{change['name']}_{number}" if not change["name"][-1:].isdigit() else change["name"]
    worst = max(failures, key=lambda cluster: cluster.share, default=None)
    seen = (
        f"{worst.count} failed episodes of kind {worst.kind}: {worst.note}" if worst else "no failures seen"
    )
    return e.Plan(
        surface=draft.surface,  # type: ignore[arg-type]  # operators name surfaces of the contract only
        operator=draft.operator,
        arm=draft.arms[0],
        ingredients=draft.arms[1:],
        change=change,
        title=draft.title,
        evidence="; ".join(part for part in (seen, remembered) if part),
        root_cause=worst.kind if worst else "unknown",
        risks=_RISKS.get(draft.operator, "none foreseen"),
        prediction=e.Prediction(effect=round(effect, 4), flips=tuple(weak[:6])),
    )


_RISKS = {
    "perturb": "a parameter that suits these tasks may not suit others",
    "compose": "the rule may fire where it does harm, and costs tokens wherever it speaks",
    "drop": "the rule may have paid on tasks that are not measured here",
}
