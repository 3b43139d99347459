"""What a campaign came to, in sentences and tables: as Markdown here, and drawn by `terminal`."""

from pathlib import Path

from eventstore.audit import chart
from eventstore.audit.archive import Source, opened
from eventstore.audit.facts import Report, Sealed, build
from eventstore.audit.history import (
    gather,
    lineage_events,
)
from eventstore.audit.text import (
    cell,
    chance,
    count,
    fenced,
    lasting,
    likely,
    score,
    share,
    signed,
    span,
    when,
)

MOST_LINES = 400
"""Lines of the harness's diff that a report shows."""


def write_report(store: Source, name: str, directory: Path, campaign: str = "") -> tuple[Path, Path]:
    """Write `report.md` and `score.svg` of a lineage's campaign; returns their paths.

    Raises:
        NotInLedger: there is no such lineage or campaign.
        OSError: the directory cannot be written.
    """
    with opened(store) as archive:
        report = build(archive, gather(lineage_events(archive, name), name), campaign)
    directory.mkdir(parents=True, exist_ok=True)
    page, picture = directory / "report.md", directory / "score.svg"
    page.write_text(markdown(report, picture=picture.name), encoding="utf-8")
    picture.write_text(chart.draw(*chart_of(report)), encoding="utf-8")
    return page, picture


def chart_of(report: Report) -> tuple[tuple[chart.Point, ...], tuple[chart.Bar, ...], float]:
    """What the chart shows: rounds, sealed scores, and the level of their intervals."""
    points = tuple(
        chart.Point(
            name=round_.name,
            incumbent=round_.incumbent,
            challenger=round_.challenger,
            low=(round_.incumbent or 0.0) + round_.low,
            high=(round_.incumbent or 0.0) + round_.high,
            kept=round_.decision == "kept",
            title=f"{round_.name}: {round_.decision or 'under way'}"
            + (f", {round_.title}, {signed(round_.effect)}" if round_.effect is not None else ""),
        )
        for round_ in report.rounds
    )
    bars: tuple[chart.Bar, ...] = ()
    if report.releases:
        last = report.releases[-1]
        bars = (
            chart.Bar(
                name="before", mean=last.score_base, low=last.interval_base[0], high=last.interval_base[1]
            ),
            chart.Bar(
                name="after", mean=last.score_head, low=last.interval_head[0], high=last.interval_head[1]
            ),
        )
    return points, bars, report.level


def summary(report: Report) -> list[str]:
    """What it came to, in plain sentences."""
    decided = [round_ for round_ in report.rounds if round_.decision]
    told = []
    numbers = ", ".join(
        f"{sum(round_.decision == word for round_ in decided)} {word}"
        for word in ("kept", "reverted", "inconclusive")
        if any(round_.decision == word for round_ in decided)
    )
    state = {"finished": "is finished", "paused": "is paused", "running": "is running"}
    told.append(
        f"Campaign {report.campaign} {state.get(report.status, 'has not begun')}"
        + (f": {report.reason}." if report.reason else ".")
    )
    told.append(f"{count(len(decided), 'round')} came to an end" + (f": {numbers}." if numbers else "."))
    told += [_sealed_sentence(sealed) for sealed in report.releases]
    if not report.releases:
        told.append(
            "The sealed tasks were not asked, so nothing is claimed beyond the practice tasks."
            if report.sealed
            else "The suite has no sealed tasks, so nothing is claimed beyond the practice tasks."
        )
    return told


def kept_sentences(report: Report) -> list[str]:
    """What was kept and why, a sentence a change."""
    told = [
        f"{round_.name} kept “{round_.title}” ({round_.surface}): on fresh seeds the score went from "
        f"{score(round_.incumbent)} to {score(round_.challenger)}, a difference of {signed(round_.effect)} "
        f"{span(round_.low, round_.high)}, {likely(round_.p)}; the plan had expected "
        f"{signed(round_.predicted)}."
        for round_ in report.kept
    ]
    told += [f"A person set the head: {reset}" for reset in report.resets]
    return told or ["Nothing was kept: the harness is what it was."]


def null_sentence(report: Report) -> str:
    """What the comparisons of the harness with itself say."""
    if not report.nulls:
        return "No null arm was measured."
    return (
        f"{count(report.nulls, 'null arm')} (the incumbent against itself, one side's seeds salted): "
        f"{report.nulls_kept} would have been kept, where chance alone allows about "
        f"{report.alpha * report.nulls:.1f} at a level of {report.alpha:g}."
    )


def review_sentences(report: Report) -> list[str]:
    """What models planned and what the critic said of it; nothing where no model planned."""
    found, told = report.reviews, list[str]()
    reviewed = found.approved + found.named + found.rejected
    if reviewed:
        told.append(
            f"Of {count(reviewed, 'change')} that models wrote, the critic approved {found.approved}; "
            f"{found.named} named or copied a task of the suite, and {found.rejected} were rejected by its model."
        )
    if found.rejected and found.precision is None:
        told.append("No rejection of the model's was measured, so nothing is known of how often it is right.")
    elif found.precision is not None:
        base = (
            "" if found.base is None else f"; of the approved ones {share(found.base)} did no better either"
        )
        told.append(
            f"{count(found.measured, 'rejected change')} ran on trial: {found.right} did no better than the "
            f"incumbent, so {share(found.precision)} of the rejections were right{base}."
        )
    if report.dropped:
        told.append(f"{count(report.dropped, 'plan')} of the planner's model could not be used.")
    if report.planless:
        told.append(f"In {count(report.planless, 'round')} the answer of the planner's model held no plan.")
    if report.unasked:
        told.append(
            f"In {count(report.unasked, 'round')} the planner's model was not asked; `ratchet show ROUND` says why."
        )
    return told


def cost_rows(report: Report) -> list[tuple[str, str]]:
    """Time and cost, as names and figures."""
    spent, sealed = report.spent, report.spent_sealed
    return [
        ("time from start to last event", lasting(report.seconds)),
        ("episodes", f"{spent.episodes:,} ({sealed.episodes:,} of them on sealed tasks)"),
        ("model calls", f"{spent.model_calls:,}"),
        ("test runs", f"{spent.test_runs:,}"),
        ("tokens", f"{spent.tokens:,}"),
        ("sandbox and model time, added up", lasting(spent.seconds)),
        ("cost", _cost(report)),
    ]


def _cost(report: Report) -> str:
    """What was paid. Episodes that said the same to the model shared its answer, so it is no more than they came to."""
    if not report.calls.number:
        return f"${report.spent.cost:.2f}" + (" (the model is free)" if report.model == "embedded" else "")
    roles = ", ".join(f"{role} ${cost:.4f}" for role, cost in sorted(report.calls.role_cost.items()))
    return f"${report.calls.cost:.4f} for {count(report.calls.number, 'call')} of models ({roles})"


def markdown(report: Report, picture: str = "") -> str:
    """The report as a page of Markdown, with the chart's file in it if there is one."""
    lines = [f"# Ratchet: lineage {cell(report.lineage)}, campaign {cell(report.campaign)}", ""]
    lines += [" ".join(map(cell, summary(report))), ""]
    if picture:
        lines += [f"![Score over rounds]({picture})", ""]
    lines += ["## What was kept", "", *(f"- {cell(sentence)}" for sentence in kept_sentences(report)), ""]
    lines += ["## Rounds", "", *_round_table(report), ""]
    lines += [
        (
            f"Δ is the mean difference to the incumbent on fresh seeds of the practice tasks, every package weighing "
            f"alike, with a {share(report.level)} interval; p is one-sided. A round without a Δ had no candidate that "
            f"led in the race. Only the sealed tasks below were never seen by the loop."
        ),
        "",
        "## Sealed tasks",
        "",
    ]
    if report.releases:
        lines += _sealed_table(report)
    else:
        lines.append("They were not asked.")
    if reviews := review_sentences(report):
        lines += ["", "## Reviews", "", " ".join(reviews)]
    lines += ["", "## Null arms", "", null_sentence(report), "", "## Time and cost", ""]
    lines += [
        "| | |",
        "|---|---|",
        *(f"| {name} | {cell(figure)} |" for name, figure in cost_rows(report)),
        "",
    ]
    lines += ["## The harness, before and after", "", *_diff_block(report), ""]
    lines += ["## Where this comes from", "", *_origin(report)]
    return "\n".join(lines) + "\n"


def _sealed_sentence(sealed: Sealed) -> str:
    seeds = "1 seed" if sealed.seeds == 1 else f"{sealed.seeds} seeds"
    head = (
        f"On {sealed.tasks} sealed tasks that the loop never saw ({seeds} each) the score went from "
        f"{score(sealed.score_base)} to {score(sealed.score_head)}, a difference of {signed(sealed.effect)} "
        f"{span(sealed.low, sealed.high)}, and the solved share from {share(sealed.solved_base)} to "
        f"{share(sealed.solved_head)}"
    )
    chance = f"= {sealed.p:.4f}" if sealed.p >= 0.00005 else "< 0.0001"
    level = f"p {chance} against a level of {sealed.alpha:.4f} at check {sealed.check}"
    if sealed.outcome == "released":
        return f"{head}: the claim holds ({level}) and the harness was released."
    if sealed.outcome == "refused":
        return f"{head}: too little to claim an improvement ({level}), so nothing was released."
    return f"{head} ({level})."


def _round_table(report: Report) -> list[str]:
    if not report.rounds:
        return ["No round has begun."]
    lines = [
        "| round | surface | change | predicted | Δ | interval | p | verdict |",
        "|---|---|---|---:|---:|---|---:|---|",
    ]
    for round_ in report.rounds:
        verdict = f"**{round_.decision}**" if round_.decision == "kept" else round_.decision or "under way"
        interval = span(round_.low, round_.high) if round_.effect is not None else "–"
        lines.append(
            f"| {round_.name} | {round_.surface or '–'} | {cell(round_.title) or '–'} | {signed(round_.predicted)} "
            f"| {signed(round_.effect)} | {interval} | {chance(round_.p)} | {verdict} |"
        )
    told = [f"- {round_.name}: {cell(round_.reason)}" for round_ in report.rounds if round_.reason]
    return [*lines, "", *told]


def _sealed_table(report: Report) -> list[str]:
    lines = []
    for sealed in report.releases:
        lines += [
            cell(_sealed_sentence(sealed)),
            "",
            f"| check {sealed.check} | harness | score | interval | solved |",
            "|---|---|---:|---|---:|",
        ]
        for name, tree, mean, interval, solved in (
            ("base", sealed.base, sealed.score_base, sealed.interval_base, sealed.solved_base),
            ("head", sealed.head, sealed.score_head, sealed.interval_head, sealed.solved_head),
        ):
            low, high = map(score, interval)
            lines.append(f"| {name} | `{tree[:10]}` | {score(mean)} | [{low}, {high}] | {share(solved)} |")
        lines.append("")
    return lines[:-1]


def _diff_block(report: Report) -> list[str]:
    if not report.diff:
        return [f"Nothing changed: `{report.before[:10]}`."]
    shown = report.diff.rstrip("\n").split("\n")
    lines = [f"From `{report.before[:10]}` to `{report.after[:10]}`:", ""]
    lines += fenced("\n".join(shown[:MOST_LINES]), "diff")
    if len(shown) > MOST_LINES:
        more = f"ratchet diff {report.before[:10]} {report.after[:10]}"
        lines += ["", f"{len(shown) - MOST_LINES:,} lines more: `{more}`."]
    return lines


def _origin(report: Report) -> list[str]:
    collected = f" ({report.collected} of them collected)" if report.collected else ""
    lines = [
        (
            f"- Suite {cell(report.suite)}: {count(report.practice, 'practice task')}{collected}, "
            f"{count(report.sealed, 'sealed task')}. Model {cell(report.model)}, fingerprint "
            f"`{cell(report.fingerprint[:16])}`."
        )
    ]
    if report.started_at:
        lines.append(f"- Started {when(report.started_at)} UTC.")
    if report.unknown:
        lines.append(f"- {count(report.unknown, 'event')} could not be understood by this version.")
    lines.append(
        "- All of it follows from the ledger: `ratchet verify` checks that nothing in it was changed,"
    )
    lines.append(
        "  `ratchet replay --check` computes every verdict again, `ratchet show r1` shows a round whole."
    )
    return lines
