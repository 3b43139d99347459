"""What a round taught: the planner's prediction held against what happened, and a page of markdown."""

from collections.abc import Sequence

from contracts.lineage import Candidate, Lineage, Round
from contracts.record import Record

WHY = 300
"""Characters of a rejection's reason that a page holds."""


class Scored(Record):
    """A prediction held against what happened."""

    hits: int = 0
    misses: int = 0
    effect_error: float = 0.0
    """Measured effect less the predicted one."""
    credit: float = 0.0
    """In [-1, 1]: the share of predicted flips that came true, less the share that did not, with the effect's
    direction as one more vote."""


def score_predictions(best: Candidate, round_: Round) -> Scored:
    """Score the plan of the candidate that was confirmed."""
    if round_.verdict is None or round_.verdict.decision == "inconclusive":
        return Scored()  # a fault of the infrastructure says nothing of the plan
    predicted, flipped = best.plan.prediction, set(round_.flips)
    hits = sum(task in flipped for task in predicted.flips)
    misses = len(predicted.flips) - hits
    right_way = 1 if round_.verdict.effect > 0 else -1
    credit = (hits - misses + right_way) / (len(predicted.flips) + 1)
    return Scored(
        hits=hits,
        misses=misses,
        effect_error=round(round_.verdict.effect - predicted.effect, 6),
        credit=round(credit, 4),
    )


def write_lesson(
    state: Lineage,
    round_: Round,
    best: Candidate | None,
    scored: Scored,
    before: Sequence[str],
) -> str:
    """The round's page of the campaign's memory, as markdown; its first line says it all."""
    lines = [f"# Round {round_.number}: {_headline(round_, best)}", ""]
    lines += ["## What was tried", ""]
    for candidate in round_.candidates:
        effect = "not raced" if candidate.effect is None else f"{candidate.effect:+.4f} in the race"
        told = f"- {candidate.plan.title} ({candidate.plan.surface}): {candidate.status}, {effect}"
        lines.append(told + _why(candidate))
    if not round_.candidates:
        lines.append("- nothing")
    lines += ["", "## What happened", "", f"{round_.reason or 'There was no verdict.'}"]
    if best is not None and round_.verdict is not None:
        lines.append(
            f"The plan expected {best.plan.prediction.effect:+.4f}; measured {round_.verdict.effect:+.4f} "
            f"[{round_.verdict.low:+.4f}, {round_.verdict.high:+.4f}]. "
            f"Predicted flips: {scored.hits} came true, {scored.misses} did not."
        )
    lines += ["", "## Criticism", "", *_criticism(round_, best, scored)]
    lines += ["", "## Directions", "", *_directions(state, round_)]
    if before:
        lines += ["", "## Before this", "", *(f"- {headline}" for headline in before)]
    return "\n".join(lines) + "\n"


def _why(candidate: Candidate) -> str:
    """Why a change that a model wrote came no further, or was doubted."""
    review = candidate.review
    if review is not None and not review.approved:
        what = "let it through on trial" if review.sampled else "rejected it"
        return f"; the review {what}: {' '.join(review.reason.split())}"
    rejection = " ".join(candidate.rejection.split())
    return f"; {rejection[:WHY]}{'…' * (len(rejection) > WHY)}" if rejection else ""


def _headline(round_: Round, best: Candidate | None) -> str:
    if best is None:
        return f"nothing got ahead of the incumbent ({round_.decision})"
    effect = f"{round_.verdict.effect:+.4f}" if round_.verdict else "no figure"
    return f"{round_.decision} {best.plan.title} ({effect})"


def _criticism(round_: Round, best: Candidate | None, scored: Scored) -> list[str]:
    if round_.decision == "inconclusive":
        return [f"- The round gave no evidence: {round_.reason}"]
    if not round_.raced:
        return ["- No candidate came as far as the race: none could be made to work."]
    if best is None:
        return [
            "- All candidates lost the race: the ideas were wrong, or too small to be seen on so few seeds."
        ]
    said = []
    if round_.decision == "reverted" and round_.verdict and round_.verdict.decision == "keep":
        said.append("- It held on fresh seeds; that it was denied says nothing against the idea.")
    elif round_.decision == "reverted" and round_.verdict and round_.verdict.effect > 0:
        said.append("- It looked better, but not so clearly, or not so cheaply, that the gate would keep it.")
    elif round_.decision == "reverted":
        said.append("- The race's winner did not hold on fresh seeds: it had been luck.")
    if scored.misses > scored.hits:
        said.append("- The plan named the wrong tasks: its picture of the cause is not right yet.")
    if round_.decision == "kept":
        said.append("- It held on fresh seeds.")
    return said or ["- None."]


def _directions(state: Lineage, round_: Round) -> list[str]:
    ranked = sorted(
        ((arm.effect / arm.raced, name) for name, arm in state.arms.items() if arm.raced), reverse=True
    )
    lines = [f"- More of {name}: {mean:+.4f} on average so far." for mean, name in ranked[:3] if mean > 0]
    lines += [f"- Less of {name}: {mean:+.4f} on average so far." for mean, name in ranked[-2:] if mean < 0]
    for cluster in (round_.failures or ())[:2]:
        lines.append(f"- {cluster.count} episodes failed as: {cluster.note}.")
    return lines or ["- Wider steps: nothing has told yet."]
