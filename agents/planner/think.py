"""Planning with a model: it is told how the harness fails, and answers with plans that can turn out wrong."""

from agents.models.errors import BudgetSpentError, RequestRefusedError
from agents.planner.briefing import Brief, Failed, briefing
from agents.planner.draft import Ground, concerns, signature
from agents.planner.thought import EPISODE, Known, Thoughts, check, make_plan, salvage, sort_out
from agents.thinking.ask import Prompt, Rejected, ask
from agents.thinking.prompts import render
from agents.work import LineageWork
from contracts import events as e
from contracts.chat import Model

MOST = 4
"""Plans of a round that come from a model; the others are drawn."""


async def think(
    work: LineageWork, ground: Ground, lessons: list[str], model: Model
) -> tuple[list[e.Plan], list[e.DroppedPlan]]:
    """A model's plans for a round, and those that are none, with the reason.

    A request that the endpoint refuses, or that no budget covers, gives no plan: the round goes on without.

    Raises:
        ModelError: there was no answer, and there may be one later.
    """
    state, round_ = work.state, work.round
    most = min(MOST, work.campaign.settings.plans)
    tasks = tuple(task.id for task in work.campaign.suite.practice)
    failed = await _failed(work)
    tried = tuple(branch for branch in state.archive if branch.parent == ground.head)
    known = Known(
        tasks=frozenset(tasks),
        episodes={each.episode: each.task for each in failed if each.episode},
        tried=frozenset(signature(branch.plan.operator, branch.plan.change) for branch in tried),
    )
    brief = Brief(
        harness={p: data for p, data in ground.tree.items() if concerns(p, tools=ground.tools)},
        tasks=tasks,
        means=round_.incumbent_means,
        failed=failed,
        lessons=tuple(lessons),
        verdicts=state.history,
        tried=tried,
        arms=state.arms,
    )
    prompt = Prompt(
        system=render("agents.planner", "system"),
        user=render("agents.planner", "plan", context=briefing(brief), most=str(most)),
    )
    try:
        answer = await ask(model, prompt, Thoughts, check=lambda thoughts: check(thoughts, known))
    except (RequestRefusedError, BudgetSpentError) as error:
        work.desk.log.warning("planned without the model", reason=str(error))
        reason = f"the model was not asked: {error}"[:1000]
        return [], [e.DroppedPlan(title="", reason=reason, what="nothing")]
    thoughts = salvage(answer.said) if isinstance(answer, Rejected) else answer.value.plans
    plans, dropped = sort_out(thoughts, known, most)
    if isinstance(answer, Rejected) and not thoughts:
        reason = f"the answer is no plan: {answer.reason}"[:1000]
        dropped = [e.DroppedPlan(title="", reason=reason, what="answer")]
    for each in dropped:
        work.desk.log.info("a plan was dropped", title=each.title, reason=each.reason)
    used = answer.usage.input_tokens + answer.usage.output_tokens
    work.desk.log.info("the model planned", plans=len(plans), dropped=len(dropped), tokens=used)
    return [make_plan(thought, known, state.arms) for thought in plans], dropped


async def _failed(work: LineageWork) -> tuple[Failed, ...]:
    """The critic's clusters, each with the transcript of its example, that with the largest share first."""
    found = []
    shown: set[str] = set()
    for cluster in sorted(work.round.failures or (), key=lambda cluster: (-cluster.share, cluster.kind)):
        episode = cluster.example[:EPISODE]
        if not episode or episode in shown:  # one episode can fail in several ways
            found.append(Failed(cluster=cluster))
            continue
        shown.add(episode)
        found.append(
            Failed(
                cluster=cluster,
                episode=episode,
                task=cluster.example_task or "unknown",
                transcript=await work.desk.ledger.get(cluster.example),
            )
        )
    return tuple(found)
