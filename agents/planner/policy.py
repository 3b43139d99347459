"""The planner: opens and closes rounds, and plans the changes in between."""

import random
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from agents.planner.bandit import HINTS, choose, expected, promising
from agents.planner.draft import Draft, Ground, moved, signature
from agents.planner.operators import drafts, repeated
from agents.planner.text import expired
from agents.planner.think import think
from agents.planner.wide import ablations, wider
from agents.work import LineageWork as Work
from agents.work import Models, headline
from contracts import events as e
from contracts.events.change import FREE
from contracts.lineage import Campaign, Lineage, state_hash
from contracts.models import facts_of
from contracts.statistics import derive_seed
from eventstore.trees import diff_trees


class Planner:
    """Decides what to try next, from the critic's analysis and everything that was tried before."""

    role = "planner"

    def __init__(self, models: Models = Work.model) -> None:
        self.models = models

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
        ground = Ground(
            tree=await work.desk.tree(round_.tree),
            archive=state.archive,
            name=f"c{state.campaigns}_r{round_.number}",  # rounds are counted from 1 in every campaign
            seed=await work.desk.tree(state.seed_tree),
            fixes=state.fixes,
            head=round_.tree,
            heads={version.tree for version in state.versions},
            diffs=await self._diffs(work),
            tools=(campaign.settings.facts or facts_of(campaign.settings.models.harness)).tools,
        )
        failures, lessons = round_.failures or (), await work.lessons()
        model = None if ablating(campaign) else self.models(work, "planner")
        thought, dropped = await think(work, ground, lessons, model) if model else ([], [])
        count = campaign.settings.plans - len(thought)
        chosen = chosen_drafts(state, ground, failures, lessons, rng, count)
        tasks = [task.id for task in campaign.suite.practice]
        weak = [task for task, mean in zip(tasks, round_.incumbent_means, strict=False) if 0 < mean < 1]
        remembered = headline(lessons[-1]) if lessons else ""
        drawn = [
            _plan(draft, effect, failures, weak, number, remembered)
            for number, (draft, effect) in enumerate(chosen, len(thought))
        ]
        planned = [
            e.ChangePlanned(
                campaign=campaign.id, round=round_.number, candidate=number, parent=round_.tree, plan=plan
            )
            for number, plan in enumerate([*thought, *drawn])
        ]
        if not dropped:
            return planned
        return [e.PlansDropped(campaign=campaign.id, round=round_.number, plans=tuple(dropped)), *planned]

    async def _diffs(self, work: Work) -> dict[str, str]:
        """What models wrote before, as the diffs that it came to."""
        free = {
            branch.tree: branch.parent
            for branch in work.state.archive
            if branch.plan.operator in FREE and (branch.effect > 0 or branch.parent == work.round.tree)
        }
        return {tree: await diff_trees(work.desk.ledger, parent, tree) for tree, parent in free.items()}


def ablating(campaign: Campaign) -> bool:
    """Whether the round to be planned is one that doubts what was kept."""
    every = campaign.settings.ablate_every
    return every > 0 and (campaign.rounds_done + 1) % every == 0


def chosen_drafts(
    state: Lineage,
    ground: Ground,
    failures: Sequence[e.FailureCluster],
    lessons: Sequence[str],
    rng: random.Random,
    count: int | None = None,
) -> list[tuple[Draft, float]]:
    """The drafts of a round, with the effect expected of each: single steps, ablations, or wider steps.

    There are as many as the settings say, or `count`.
    """
    campaign = state.campaign
    if campaign is None:
        return []
    settings = campaign.settings
    count = settings.plans if count is None else count
    # A harness that lost against this very head is not raced against it again, unless it looked good.
    tried = {
        signature(branch.plan.operator, branch.plan.change)
        for branch in state.archive
        if branch.parent == ground.head
    }
    if ablating(campaign):
        parts = [draft for draft in ablations(ground) if draft.signature not in tried]
        rng.shuffle(parts)
        if parts:  # what has had its time, then what has been worth least so far, is doubted first
            parts.sort(key=lambda draft: (not expired(draft, ground), expected(draft, state.arms)))
            return [(draft, 0.0) for draft in parts[:count]]

    def open_(found: Iterable[Draft]) -> list[Draft]:
        """Drafts that move nothing with which the model does nothing."""
        return [d for d in found if moved(d.operator, d.change).isdisjoint(settings.fixed)]

    single = open_(drafts(ground, rng))
    fresh = [draft for draft in single if draft.signature not in tried] or single
    history = [summary for summary in state.history if summary.campaign == campaign.id]
    best = [
        (draft, effect)
        for branch, effect in promising(ground.head, state.archive, history)
        if (draft := repeated(branch, ground)) and open_([draft])
    ]
    again = best[: count // 4]
    wide: list[tuple[Draft, float]] = []
    if settings.stagnation and rounds_without_gain(state) >= settings.stagnation:
        likely = [draft for draft, _ in choose(fresh, state.arms, failures, 40, rng, lessons)]
        steps = [d for d in open_(wider(ground, likely, rng, 60)) if d.signature not in tried]
        wide = choose(steps, state.arms, failures, (count - len(again)) // 2, rng, lessons)
    first = again + wide
    return first + choose(fresh, state.arms, failures, count - len(first), rng, lessons)


def rounds_without_gain(state: Lineage) -> int:
    """Rounds since the last one of this campaign that kept a change."""
    if state.campaign is None:
        return 0
    count = 0
    for summary in reversed(state.history):
        if summary.campaign != state.campaign.id or summary.decision == "kept":
            break
        count += 1
    return count


def _plan(
    draft: Draft,
    effect: float,
    failures: Sequence[e.FailureCluster],
    weak: Sequence[str],
    number: int,
    remembered: str = "",
) -> e.Plan:
    pointed = [cluster for cluster in failures if not {*HINTS.get(cluster.kind, ())}.isdisjoint(draft.arms)]
    cause = max(pointed or failures, key=lambda cluster: cluster.share, default=None)
    seen = f"{cause.count} episodes failed so: {cause.note}" if cause else "no failures seen"
    likely = [task for task in weak if any(task in cluster.tasks for cluster in pointed)]
    return e.Plan(
        surface=draft.surface,  # type: ignore[arg-type]  # operators name surfaces of the contract only
        operator=draft.operator,
        arm=draft.arms[0],
        ingredients=draft.arms[1:],
        change=_numbered(draft.operator, draft.change, number),
        title=draft.title,
        evidence="; ".join(part for part in (seen, remembered) if part),
        root_cause=cause.kind if cause else "unknown",
        risks=_RISKS.get(draft.operator, "none foreseen"),
        prediction=e.Prediction(effect=round(effect, 4), flips=tuple((likely or weak)[:6])),
    )


def _numbered(operator: str, change: Mapping[str, Any], number: int | str) -> dict[str, Any]:
    """The change with the candidate's number in the names of its new rules: so that no two are called the same."""
    if operator == "several":
        parts = [
            {**part, "change": _numbered(part["operator"], part["change"], f"{number}_{at}")}
            for at, part in enumerate(change["parts"])
        ]
        return {**change, "parts": parts}
    if operator == "compose" and not change["name"][-1:].isdigit():
        return {**change, "name": f"{change['name']}_{number}"}
    return dict(change)


_RISKS = {
    "perturb": "a parameter that suits these tasks may not suit others",
    "compose": "the rule may fire where it does harm, and costs tokens wherever it speaks",
    "drop": "the rule may have paid on tasks that are not measured here",
    "write": "the model may take it too seriously; every call reads it, and pays for it",
    "erase": "the text may have paid on tasks that are not measured here",
    "mutate": "the code may now do otherwise where these tasks do not lead",
    "diff": "a model wrote it for another state of things",
    "several": "if it helps, one of its parts may still be ballast",
}
