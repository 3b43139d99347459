"""The review of a change that a model wrote, before it is measured: a check without a model, then one with."""

import random
from collections.abc import Mapping

from agents.critic.names import Finding
from agents.thinking.answers import Unfit
from agents.thinking.ask import Answer, Prompt, Rejected, ask
from agents.thinking.context import Section, build
from agents.thinking.prompts import render
from agents.thinking.show import fenced, show_files
from contracts.chat import Model
from contracts.events import Plan
from contracts.events.change import ReviewCheck
from contracts.record import Record
from contracts.statistics import derive_seed

TOKENS = 28_000
"""The whole context's budget."""
SAMPLED = 0.25
"""Share of a model's rejections that are measured all the same."""


class Judgement(Record):
    """A model's answer to the four questions."""

    matches_plan: bool
    special_cases: bool
    touches_others: bool
    gives_answers: bool
    reasons: tuple[str, ...] = ()

    @property
    def findings(self) -> list[Finding]:
        """What speaks against the patch."""
        rows: tuple[tuple[ReviewCheck, bool, str], ...] = (
            ("plan", not self.matches_plan, "it is not what the plan says"),
            ("special_cases", self.special_cases, "it treats certain tasks differently"),
            ("scope", self.touches_others, "it touches what the plan says nothing of"),
            ("answers", self.gives_answers, "it gives answers away"),
        )
        return [Finding(check, said) for check, wrong, said in rows if wrong]


def _check(judgement: Judgement) -> None:
    if judgement.findings and not any(reason.strip() for reason in judgement.reasons):
        raise Unfit("it speaks against the patch and gives no reason")


async def judge(
    model: Model, plan: Plan, patch: str, parent: Mapping[str, bytes]
) -> Answer[Judgement] | Rejected:
    """What a model says of a patch. Raises ModelError where it gives no answer."""
    flips = ", ".join(plan.prediction.flips) or "none named"
    told = [
        f"{plan.title} ({plan.surface})",
        "",
        str(plan.change.get("words", "")),
        "",
        f"Evidence: {plan.evidence}",
        f"Root cause: {plan.root_cause}",
        f"Expected: {plan.prediction.effect:+.4f}; tasks that do better: {flips}",
        f"Risks: {plan.risks}",
    ]
    sections = [
        Section(title="The harness before", text=show_files(parent), priority=4, stable=True),
        Section(title="The plan", text="\n".join(told), priority=8),
        Section(title="The patch", text=fenced(patch, "diff"), priority=9),
    ]
    prompt = Prompt(
        system=render("agents.critic", "review_system"),
        user=render("agents.critic", "review", context=build(sections, TOKENS), title=plan.title),
    )
    return await ask(model, prompt, Judgement, check=_check)


def sampled(seed: int, duty: str) -> bool:
    """Whether a rejection is let through, so that it shows how often such rejections are right."""
    return random.Random(derive_seed(seed, duty, "sampled")).random() < SAMPLED  # noqa: S311 (not a secret)


class Remarks(Record):
    """What a model adds to a round's page."""

    remarks: tuple[str, ...]


MOST_REMARKS = 4


async def remark(model: Model, page: str, patches: Mapping[str, str]) -> Answer[Remarks] | Rejected:
    """What a model makes of a round: its page, and the patches that were measured by their titles."""
    shown = "\n\n".join(f"### {title}\n\n{fenced(patch, 'diff')}" for title, patch in patches.items())
    sections = [
        Section(title="The round's page", text=page, priority=9),
        Section(title="What was measured", text=shown, priority=5),
    ]
    prompt = Prompt(
        system=render("agents.critic", "lesson_system"),
        user=render("agents.critic", "lesson", context=build(sections, TOKENS)),
    )
    return await ask(model, prompt, Remarks)


def with_remarks(page: str, remarks: Remarks) -> str:
    """A round's page with a model's remarks, as quotations: what reads the page's figures takes them for none."""
    said = [" ".join(each.split())[:600] for each in remarks.remarks if each.strip()][:MOST_REMARKS]
    if not said:
        return page
    quoted = "\n>\n".join(f"> {each}" for each in said)
    return f"{page}\n## In the critic's words\n\n{quoted}\n"
