"""What a model is told before it writes a patch: the harness as it is, the plan, and what came of an earlier try."""

from collections.abc import Mapping

from agents.thinking.ask import Prompt
from agents.thinking.context import Section, build
from agents.thinking.prompts import render
from agents.thinking.show import fenced, show_files
from contracts.events import Plan

TOKENS = 32_000
"""The whole context's budget."""


def patch_prompt(plan: Plan, tree: Mapping[str, bytes], failed: str = "") -> Prompt:
    """How a model is asked for a plan's diff.

    Args:
        plan: the plan, with words, a diff, or both.
        tree: the harness that is to be changed.
        failed: why the plan's own diff could not be used; empty where it has none.
    """
    diff = str(plan.change.get("diff", ""))
    sections = [
        Section(title="The harness as it is", text=show_files(tree), priority=9, stable=True),
        Section(title="The plan", text=_told(plan), priority=8),
        Section(title="A diff that was tried", text=fenced(diff, "diff") if diff else "", priority=6),
        Section(title="Why it could not be used", text=failed, priority=7),
    ]
    return Prompt(
        system=render("agents.patcher", "system"),
        user=render("agents.patcher", "patch", context=build(sections, TOKENS), title=plan.title),
    )


def _told(plan: Plan) -> str:
    return "\n".join(
        [
            f"{plan.title} ({plan.surface})",
            "",
            str(plan.change.get("words", "")),
            "",
            f"Why: {plan.root_cause}",
            f"Risks: {plan.risks}",
        ]
    )
