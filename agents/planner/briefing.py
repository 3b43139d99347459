"""What a model is told before it plans: the harness, the failures with excerpts, the campaign's memory, the verdicts.

Only what the loop may learn from is in it: practice tasks by name and what their episodes showed. Sealed tasks, hidden
tests and seeds are in nothing that this module is given.
"""

from collections.abc import Mapping, Sequence

from agents.planner.bandit import posterior
from agents.planner.excerpt import excerpt
from agents.thinking.context import Section, build
from agents.thinking.show import fenced, show_files
from contracts import events as e
from contracts.lineage import Arm, Branch, RoundSummary
from contracts.record import Record

TOKENS = 28_000
"""The whole context's budget."""
EXCERPT = 1_200
"""Tokens of one episode's excerpt."""
VERDICTS, TRIED, YIELDS = 24, 40, 12
"""How many lines of each there are, at most."""


class Failed(Record):
    """A way in which episodes failed, and one of them."""

    cluster: e.FailureCluster
    episode: str = ""
    """Its name; empty where no transcript is at hand."""
    task: str = ""
    transcript: bytes = b""


class Brief(Record):
    """All that is told."""

    harness: Mapping[str, bytes]
    tasks: tuple[str, ...]
    """Practice tasks, in the manifest's order."""
    means: tuple[float, ...]
    """What the harness scored on each."""
    failed: tuple[Failed, ...]
    lessons: tuple[str, ...] = ()
    """Pages of the campaign's memory, the newest last."""
    verdicts: tuple[RoundSummary, ...] = ()
    tried: tuple[Branch, ...] = ()
    """What was measured against this very harness."""
    arms: Mapping[str, Arm] = {}


def briefing(brief: Brief, tokens: int = TOKENS) -> str:
    """The brief as a context within so many tokens."""
    scores = zip(brief.tasks, brief.means, strict=False)
    weak = [f"{task}: {mean:.2f}" for task, mean in scores if mean < 1]
    sections = [
        Section(title="The harness as it is", text=show_files(brief.harness), priority=9, stable=True),
        Section(title="Practice tasks", text=" ".join(brief.tasks), priority=5, stable=True, keep="whole"),
        Section(title="Verdicts so far", text=_verdicts(brief.verdicts), priority=6, keep="end"),
        Section(title="What kinds of change have yielded", text=_yields(brief.arms), priority=2),
        Section(title="Measured against this very harness", text=_tried(brief.tried), priority=6, keep="end"),
        Section(title="The campaign's memory", text="\n\n".join(brief.lessons), priority=3, keep="end"),
        Section(
            title="Tasks that it does not solve each time, with its mean score",
            text=", ".join(weak),
            priority=7,
        ),
        Section(title="How its episodes failed", text=_clusters(brief.failed), priority=8),
        *(
            Section(
                title=f"Episode {each.episode}, task {each.task}, failed as {each.cluster.kind}",
                text=fenced(excerpt(each.transcript, EXCERPT), "text"),
                priority=4,
                keep="whole",
            )
            for each in brief.failed
            if each.episode
        ),
    ]
    return build(sections, tokens)


def _clusters(failed: Sequence[Failed]) -> str:
    return "\n".join(
        f"- {each.cluster.kind}: {each.cluster.count} episodes ({each.cluster.share:.0%}), {each.cluster.note}"
        + (f"; for example episode {each.episode}" if each.episode else "")
        + f"; tasks: {' '.join(each.cluster.tasks[:12])}"
        for each in failed
    )


def _verdicts(verdicts: Sequence[RoundSummary]) -> str:
    return "\n".join(
        f"- round {each.number}, {each.decision}: {each.title or 'nothing led'}"
        + (f" ({each.surface}), {each.effect:+.4f} [{each.low:+.4f}, {each.high:+.4f}]" if each.title else "")
        + f". {each.reason}"
        for each in verdicts[-VERDICTS:]
    )


def _tried(branches: Sequence[Branch]) -> str:
    return "\n".join(
        f"- {each.effect:+.4f}: {each.plan.title} ({each.plan.surface})" for each in branches[-TRIED:]
    )


def _yields(arms: Mapping[str, Arm]) -> str:
    measured = {name: arm for name, arm in sorted(arms.items()) if arm.raced or arm.probed}
    ranked = sorted(measured, key=lambda name: -posterior(measured[name])[0])
    chosen = ranked if len(ranked) <= YIELDS else [*ranked[: YIELDS // 2], *ranked[-YIELDS // 2 :]]
    return "\n".join(
        f"- {name}: {posterior(arms[name])[0]:+.4f} expected, raced {arms[name].raced} times, kept {arms[name].kept}"
        for name in chosen
    )
