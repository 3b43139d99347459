"""What people see of a ledger on a terminal, drawn with rich; plain text where the output is none."""

import json
import sys
from collections.abc import Iterable, Sequence
from typing import Any, Literal

import click
import msgspec
from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from contracts.envelope import Envelope
from eventstore.audit.archive import Archive
from eventstore.audit.facts import Report, round_line
from eventstore.audit.report import cost_rows, kept_sentences, null_sentence, review_sentences, summary
from eventstore.audit.rounds import CampaignHistory, CandidateHistory, RoundHistory, task_means
from eventstore.audit.text import (
    chance,
    count,
    lasting,
    likely,
    line,
    plain,
    score,
    share,
    signed,
    span,
    when,
)
from eventstore.errors import LedgerError

_PLAIN_WIDTH = 110
"""Columns where the output is no terminal."""
_NARROW = 110
"""Columns of a terminal from which on a table shows all that it has."""
_COLOURS = {
    "kept": "bold green",
    "reverted": "yellow",
    "inconclusive": "magenta",
    "rejected": "red",
    "inert": "dim",
}


def width() -> int:
    """Columns that `put` draws in."""
    return Console().width if sys.stdout.isatty() else _PLAIN_WIDTH


def put(drawn: RenderableType) -> None:
    """Draw on standard output; where it is no terminal, as plain lines."""
    if sys.stdout.isatty():
        Console(highlight=False).print(drawn)
        return
    console = Console(highlight=False, width=_PLAIN_WIDTH, color_system=None)
    with console.capture() as captured:
        console.print(drawn)
    for text in captured.get().splitlines():
        click.echo(text.rstrip())


def draw_report(report: Report) -> RenderableType:
    """A report."""
    parts: list[RenderableType] = [
        _title(f"Lineage {report.lineage}, campaign {report.campaign}"),
        *(Text(line(sentence)) for sentence in summary(report)),
        _heading("What was kept"),
        *(Text(f"• {line(sentence)}") for sentence in kept_sentences(report)),
        _heading("Rounds"),
        _rounds(report),
    ]
    if report.releases:
        parts += [_heading("Sealed tasks"), _sealed(report)]
    if reviews := review_sentences(report):
        parts += [_heading("Reviews"), *(Text(line(sentence)) for sentence in reviews)]
    parts += [_heading("Null arms"), Text(null_sentence(report))]
    parts += [_heading("Time and cost"), _pairs(cost_rows(report))]
    if report.diff:
        lines = report.diff.count("\n")
        parts += [_heading(f"The harness, from {report.before[:10]} to {report.after[:10]}")]
        parts.append(draw_diff(report.diff, most=40))
        if lines > 40:
            more = f"ratchet diff {report.before[:10]} {report.after[:10]}"
            parts.append(Text(f"… {lines - 40:,} lines more: {more}", style="dim"))
    return Group(*parts)


def draw_diff(diff: str, *, most: int = 0) -> Text:
    """A unified diff in colours."""
    drawn = Text(no_wrap=False)
    lines = diff.rstrip("\n").split("\n")
    for text in lines[:most] if most else lines:
        style = ""
        if text.startswith(("diff ", "+++", "---", "new file", "deleted file")):
            style = "bold"
        elif text.startswith("@@"):
            style = "cyan"
        elif text.startswith("+"):
            style = "green"
        elif text.startswith("-"):
            style = "red"
        drawn.append(plain(text) + "\n", style=style)
    drawn.right_crop(1)
    return drawn


def draw_round(archive: Archive, campaign: CampaignHistory, round_: RoundHistory) -> RenderableType:
    """A round whole: evidence, plans, patch, scores, verdict, lesson, cost."""
    parts: list[RenderableType] = [
        _title(f"Round {round_.number} of campaign {round_.campaign}"),
        _state(round_),
    ]
    parts += _evidence(round_)
    if round_.candidates:
        parts += [_heading("Candidates"), _candidates(round_)]
    if round_.dropped:
        parts.append(_heading("Plans that are none"))
        parts += [Text(f"• {line(each.told)}") for each in round_.dropped]
    best = round_.best
    if best is not None:
        flips = ", ".join(map(line, best.plan.prediction.flips)) or "none named"
        facts = [
            ("evidence", best.plan.evidence),
            ("root cause", best.plan.root_cause),
            ("prediction", f"{signed(best.plan.prediction.effect)}; better: {flips}"),
            ("risks", best.plan.risks),
            *([("cost", f"{best.plan.cost:g} times today's")] if best.plan.cost is not None else []),
            ("made by", f"{best.plan.operator} on {best.plan.surface}: {json.dumps(best.plan.change)}"),
        ]
        parts += [_heading(f"Plan {best.number}: {line(best.plan.title)}"), _pairs(facts)]
        parts += [_heading(f"Patch to {best.tree[:10]}"), draw_diff(best.patch)] if best.patch else []
    parts += _scores(campaign, round_)
    parts += _verdict(campaign, round_)
    parts += _lesson(archive, round_)
    spent = round_.spent
    shared = " (shared answers counted each time; `ratchet cost` tells what was paid)" if spent.cost else ""
    cost = (
        f"{count(spent.episodes, 'episode')}, {count(spent.model_calls, 'model call')}, "
        f"{count(spent.test_runs, 'test run')}, {count(spent.tokens, 'token')}, ${spent.cost:.2f}{shared}, "
        f"{lasting(round_.seconds)} from the round's first event to its last"
    )
    return Group(*parts, _heading("Cost"), Text(cost))


def draw_event(envelope: Envelope, within: str) -> RenderableType:
    """An event as it is stored."""
    facts = [
        ("place", f"{envelope.stream}@{envelope.version}"),
        ("time", f"{when(envelope.at)} UTC"),
        ("by", envelope.actor),
        ("because of", envelope.causation),
        ("part of", within or envelope.correlation),
        ("hash", envelope.hash.hex()),
        ("follows", envelope.prev_hash.hex()),
    ]
    return Group(
        _title(f"Position {envelope.position}: {line(envelope.type)}"),
        _pairs([(name, value) for name, value in facts if value]),
        _heading("Payload"),
        Text(plain(_payload(envelope.payload))),
    )


def _payload(payload: bytes) -> str:
    try:
        return json.dumps(msgspec.json.decode(payload), indent=2, ensure_ascii=False)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return payload.decode(errors="backslashreplace")


def draw_table(
    names: Sequence[str],
    rows: Iterable[Sequence[str | Text]],
    numbers: Iterable[int] = (),
    folded: Iterable[int] | None = None,
    spared: Iterable[int] = (),
) -> Table:
    """A table.

    Args:
        names: of its columns.
        rows: a text for each column.
        numbers: columns of figures, aligned to the right.
        folded: columns of prose, which may take several lines; None for all that are no figures.
        spared: columns that are left out on a narrow terminal.
    """
    drawn = Table(box=None, header_style="bold", pad_edge=False, padding=(0, 2, 0, 0))
    right = set(numbers)
    whole = set(range(len(names))) - set(folded) if folded is not None else right
    narrow = width() < _NARROW
    shown = [index for index in range(len(names)) if not (narrow and index in set(spared))]
    for index in shown:
        justify: Literal["left", "right"] = "right" if index in right else "left"
        drawn.add_column(names[index], justify=justify, overflow="fold", no_wrap=index in whole)
    for row in rows:
        values = (row[index] for index in shown)
        drawn.add_row(*(value if isinstance(value, Text) else Text(line(value)) for value in values))
    return drawn


def _title(text: str) -> RenderableType:
    return Text(line(text), style="bold underline")


def _heading(text: str) -> RenderableType:
    return Text(f"\n{line(text)}", style="bold cyan")


def _pairs(facts: Iterable[tuple[str, str]]) -> RenderableType:
    drawn = Table.grid(padding=(0, 2, 0, 0))
    for name, value in facts:
        drawn.add_row(Text(name, style="dim", no_wrap=True), Text(line(value)))
    return drawn


def _coloured(word: str) -> Text:
    return Text(word, style=_COLOURS.get(word, ""))


def _rounds(report: Report) -> RenderableType:
    if not report.rounds:
        return Text("No round has begun.")
    rows = [
        (
            round_.name,
            _coloured(round_.decision or "under way"),
            round_.surface or "–",
            round_.title or "–",
            signed(round_.predicted),
            signed(round_.effect),
            span(round_.low, round_.high) if round_.effect is not None else "–",
            chance(round_.p),
        )
        for round_ in report.rounds
    ]
    names = (
        "round",
        "verdict",
        "surface",
        "change",
        "predicted",
        "Δ",
        f"{share(report.level)} interval",
        "p",
    )
    return draw_table(names, rows, (4, 5, 7), folded=(3,), spared=(6,))


def _sealed(report: Report) -> RenderableType:
    rows = []
    for sealed in report.releases:
        for name, tree, mean, interval, solved in (
            ("base", sealed.base, sealed.score_base, sealed.interval_base, sealed.solved_base),
            ("head", sealed.head, sealed.score_head, sealed.interval_head, sealed.solved_head),
        ):
            bounds = f"[{score(interval[0])}, {score(interval[1])}]"
            rows.append((str(sealed.check), name, tree[:10], score(mean), bounds, share(solved)))
    return draw_table(("check", "", "harness", "score", "interval", "solved"), rows, (0, 3, 5))


def _state(round_: RoundHistory) -> RenderableType:
    if not round_.marks:
        return Text("")
    first, last = round_.marks[0], round_.marks[-1]
    word = _coloured(round_.decision or "under way")
    where = f", positions {first.position} to {last.position}, {when(first.at)} UTC"
    return Text.assemble(word, where, f", incumbent {round_.tree[:10]}")


def _evidence(round_: RoundHistory) -> list[RenderableType]:
    if round_.executed is not None and not round_.executed.complete:
        return [_heading("Evidence"), Text(line(f"There is none: {round_.executed.reason}"))]
    if round_.failures is None:
        return []
    parts: list[RenderableType] = [_heading("Evidence"), Text(line(round_.failures.summary))]
    rows = [
        (cluster.kind, str(cluster.count), share(cluster.share), cluster.note, ", ".join(cluster.tasks[:4]))
        for cluster in round_.failures.failures
    ]
    if rows:
        parts.append(draw_table(("kind", "episodes", "share", "what", "tasks"), rows, (1, 2)))
    return parts


def _candidates(round_: RoundHistory) -> RenderableType:
    rows = [
        (
            f"{candidate.number}{' ★' if round_.best is candidate else ''}",
            candidate.plan.surface,
            candidate.plan.title,
            signed(candidate.plan.prediction.effect),
            signed(candidate.effect),
            _coloured(candidate.status),
            _came_to(candidate),
        )
        for candidate in round_.candidates
    ]
    names = ("#", "surface", "change", "predicted", "race Δ", "status", "harness")
    return draw_table(names, rows, (3, 4), folded=(2, 6))


def _came_to(candidate: CandidateHistory) -> str:
    """The harness that a change is; why there is none, or what the critic has against it."""
    review = candidate.review
    if review is not None and not review.approved:
        trial = f"{candidate.tree[:10]}, on trial; " if review.sampled else ""
        return f"{trial}review ({', '.join(review.checks)}): {'; '.join(review.reasons)}"
    return f"{candidate.stage}: {candidate.rejection}" if candidate.rejection else candidate.tree[:10]


def _scores(campaign: CampaignHistory, round_: RoundHistory) -> list[RenderableType]:
    """Means of each task: of the confirmation, or else of the incumbent alone."""
    tasks = campaign.suite.practice
    confirmed = round_.confirmed
    if confirmed is not None and confirmed.complete and len(confirmed.incumbent.scores) == len(tasks):
        best = round_.best
        predicted = set(best.plan.prediction.flips) if best else set()
        rows: list[tuple[str | Text, ...]] = []
        for task, ours, theirs, guarded in zip(
            tasks,
            task_means(confirmed.incumbent),
            task_means(confirmed.challenger),
            confirmed.protected or (False,) * len(tasks),
            strict=True,
        ):
            marks = [word for word, on in (("predicted", task.id in predicted), ("protected", guarded)) if on]
            difference = Text(signed(theirs - ours), style=_trend(theirs - ours))
            rows.append((task.id, task.package, score(ours), score(theirs), difference, " ".join(marks)))
        names = ("task", "package", "incumbent", "change", "Δ", "")
        return [
            _heading(f"Scores on {count(len(confirmed.seeds), 'fresh seed')}"),
            draw_table(names, rows, (2, 3, 4)),
        ]
    executed = round_.executed
    if executed is None or len(executed.incumbent.scores) != len(tasks):
        return []
    rows = [
        (task.id, task.package, score(mean))
        for task, mean in zip(tasks, task_means(executed.incumbent), strict=True)
    ]
    heading = _heading(f"Scores of the incumbent on {count(len(executed.seeds), 'seed')}")
    return [heading, draw_table(("task", "package", "score"), rows, (2,))]


def _trend(difference: float) -> str:
    return "green" if difference > 0 else "red" if difference < 0 else "dim"


def _verdict(campaign: CampaignHistory, round_: RoundHistory) -> list[RenderableType]:
    facts: list[tuple[str, str]] = []
    told = round_line(campaign, round_)
    if round_.confirmed is not None and told.effect is not None:
        verdict = round_.confirmed.verdict
        level = share(campaign.settings.gate.level)
        packages = count(verdict.clusters, "package")
        facts += [
            ("Δ", f"{signed(told.effect)} {span(told.low, told.high)} ({level} interval)"),
            ("p", f"{chance(verdict.p)} over {packages}, level {campaign.settings.gate.alpha:g}"),
            ("cost", f"{verdict.cost_ratio:.2f} times the incumbent's"),
            ("protected tasks", f"{likely(verdict.protected_p)} for having become worse"),
        ]
    if round_.approval is not None:
        asked = round_.approval
        facts.append(("approval", f"{asked.status} {asked.by} {asked.note}"))
    if round_.decision:
        facts.append(("decision", round_.decision))
    if round_.reason:
        facts.append(("reason", round_.reason))
    if round_.null is not None:
        facts.append(("null arm", round_.null.verdict.reason))
    return [_heading("Verdict"), _pairs(facts)] if facts else []


def _lesson(archive: Archive, round_: RoundHistory) -> list[RenderableType]:
    if round_.lesson is None:
        return []
    lesson = round_.lesson
    scored = f"predicted flips: {lesson.hits} came true, {lesson.misses} did not; credit {lesson.credit:+.2f}"
    return [_heading("Lesson"), Text(scored, style="dim"), Text(plain(lesson_text(archive, round_).rstrip()))]


def lesson_text(archive: Archive, round_: RoundHistory) -> str:
    """The round's page of the campaign's memory; why it cannot be read where it cannot."""
    if round_.lesson is None:
        return ""
    try:
        return archive.blob(round_.lesson.lesson).decode(errors="replace")
    except LedgerError as error:
        return f"({round_.lesson.headline}; {error})"


def facts_of(record: msgspec.Struct) -> Any:
    """A record for JSON."""
    return msgspec.to_builtins(record)
