"""What a person sees while a campaign runs: one line under way, one line for every step that is done."""

import json
import sys
import time
from collections.abc import Sequence
from typing import Any, Self

import click
import msgspec
from rich.console import Console
from rich.live import Live
from rich.markup import escape
from rich.text import Text

from contracts import events as e
from contracts.duties import round_episodes
from contracts.envelope import Envelope
from contracts.lineage import Lineage
from eventstore.audit.text import line

_MARK = {
    "kept": "[green]✓ kept[/]",
    "reverted": "[yellow]↺ reverted[/]",
    "inconclusive": "[red]? inconclusive[/]",
}


class Progress:
    """Tells what happens, as it happens: for a terminal, for a log, or as JSON lines."""

    def __init__(self, *, as_json: bool = False, stream: Any = None) -> None:
        self.as_json = as_json
        self.console = Console(file=stream or (sys.stderr if as_json else sys.stdout), highlight=False)
        self.live: Live | None = None
        self.episodes = 0
        self.started = time.monotonic()
        self.stage = "starting"
        self.round = ""

    def __enter__(self) -> Self:
        if self.console.is_terminal and not self.as_json:
            self.live = Live(self._line(), console=self.console, refresh_per_second=8, transient=True)
            self.live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self.live is not None:
            self.live.stop()
            self.live = None

    def _line(self) -> Text:
        seconds = time.monotonic() - self.started
        rate = f"{self.episodes / seconds:.1f}/s" if seconds > 2 and self.episodes else ""
        text = f"  {self.round}{self.stage} … {self.episodes} episodes {rate}  {seconds:.0f} s"
        return Text(text, style="dim")

    def tick(self) -> None:
        """Redraw the line under way."""
        if self.live is not None:
            self.live.update(self._line())

    def episode(self) -> None:
        """One more episode is done."""
        self.episodes += 1

    def say(self, text: str) -> None:
        """A line for people."""
        if not self.as_json:
            self.console.print(text)

    def doing(self, what: str) -> None:
        """What is under way now."""
        self.stage = what
        self.tick()
        if self.live is None and not self.as_json:
            self.console.print(f"[dim]{what} …[/]")

    def event(self, envelope: Envelope, event: e.Event, state: Lineage) -> None:
        """Tell about an event."""
        if self.as_json:
            payload = msgspec.to_builtins(event)
            short = {key: value for key, value in payload.items() if _small(value)}
            line = {"position": envelope.position, "at": envelope.at, "type": envelope.type, **short}
            click.echo(json.dumps(line))
        else:
            for text in describe(event, state):
                self.say(text)
        self._stage(event, state)
        self.tick()

    def _stage(self, event: e.Event, state: Lineage) -> None:
        campaign = state.campaign
        if isinstance(event, e.RoundOpened) and campaign:
            self.round = f"round {event.round}/{campaign.settings.rounds}: "
        following = _NEXT.get(type(event).__name__)
        if following:
            self.stage = following
        if isinstance(event, e.RoundClosed):
            self.round = ""


_NEXT = {
    "RoundOpened": "the head works on the practice tasks",
    "TasksExecuted": "the critic reads the failures",
    "FailuresAnalyzed": "the planner plans",
    "ChangePlanned": "the patcher patches",
    "ChangeProposed": "the candidates race",
    "ChangeReviewed": "the candidates race",
    "CandidatesRaced": "the best is confirmed on fresh seeds",
    "ChangeConfirmed": "waiting for a verdict",
    "ChangeKept": "the critic writes the lesson",
    "ChangeReverted": "the critic writes the lesson",
    "ChangeInconclusive": "the critic writes the lesson",
    "LessonRecorded": "closing the round",
    "RoundClosed": "opening the next round",
    "ReleaseDue": "the sealed tasks are asked",
    "ApprovalRequested": "waiting for a person",
}


_USUAL = "if this model cannot plan: --model planner=embedded keeps the planner that works without one"


def describe(event: e.Event, state: Lineage) -> Sequence[str]:
    """Lines about an event, for a terminal; none for events that are steps on the way."""
    campaign = state.campaign
    lines: list[str] = []
    if isinstance(event, e.CampaignStarted) and campaign:
        suite, settings = campaign.suite, campaign.settings
        lines.append(
            f"[bold]{campaign.id}[/]: {settings.rounds} rounds on {len(suite.practice)} practice tasks of "
            f"{suite.name}, {len(suite.sealed)} sealed; up to {round_episodes(campaign)} episodes a round"
        )
        lines.append(f"[dim]model {event.fingerprint[:12]}, harness {event.tree[:12]}[/]")
    elif isinstance(event, e.TasksExecuted) and event.complete:
        flat = [score for row in event.incumbent.scores for score in row]
        lines.append(f"[bold]round {event.round}[/]  the head scores {sum(flat) / len(flat):.3f}")
    elif isinstance(event, e.FailuresAnalyzed):
        lines.append(f"  [dim]critic:[/] {event.summary}")
    elif isinstance(event, e.PlansDropped):
        lines += [f"  [dim]planner:[/] {_said(each.told)}" for each in event.plans]
        if campaign and not campaign.rounds_done and any(each.what == "answer" for each in event.plans):
            lines.append(f"  [dim]{_USUAL}[/]")
    elif isinstance(event, e.ChangeReviewed) and not event.approved:
        word = "lets through on trial" if event.sampled else "rejects"
        lines.append(f"  [dim]critic:[/] {word} change {event.candidate}: {_said('; '.join(event.reasons))}")
    elif isinstance(event, e.CandidatesRaced):
        lines += _race(event, state)
    elif isinstance(event, e.ChangeConfirmed):
        v = event.verdict
        found = f"Δ {v.effect:+.4f} [{v.low:+.3f}, {v.high:+.3f}], p = {v.p:.4f}"
        lines.append(
            f"  [dim]confirmed on fresh seeds:[/] {found}"
            if event.complete
            else "  [dim]not confirmed:[/] the fresh seeds gave no scores"
        )
    elif isinstance(event, e.ChangeKept | e.ChangeReverted | e.ChangeInconclusive):
        word = {"ChangeKept": "kept", "ChangeReverted": "reverted"}.get(type(event).__name__, "inconclusive")
        lines.append(f"  {_MARK[word]}  {event.reason}")
    elif isinstance(event, e.ApprovalRequested):
        lines.append(
            f"  [bold yellow]approval needed:[/] {_said(event.summary)}\n"
            f"  ratchet approve {event.approval}   or   ratchet deny {event.approval}"
        )
    elif isinstance(event, e.ApprovalGranted | e.ApprovalDenied):
        word = "granted" if isinstance(event, e.ApprovalGranted) else "denied"
        lines.append(f"  approval {word} by {event.by}")
    elif isinstance(event, e.NullArmMeasured):
        v = event.verdict
        why = v.reason if v.decision == "inconclusive" else f"p = {v.p:.3f}"
        lines.append(f"  [dim]A/A arm:[/] {v.decision} ({_said(why)})")
    elif isinstance(event, e.SealedQueried):
        lines.append(
            f"[bold]sealed tasks[/]  base {_mean(event.base.scores):.3f} → head {_mean(event.head.scores):.3f}; "
            f"solved {event.solved_base:.1%} → {event.solved_head:.1%}; {event.verdict.reason}"
        )
    elif isinstance(event, e.CampaignFinished):
        lines.append(f"[bold]{event.campaign} is finished:[/] {event.reason}")
    elif isinstance(event, e.HeadReset):
        lines.append(f"[bold]the head was reset[/] to {event.tree[:12]}: {event.reason}")
    return lines


def _race(event: e.CandidatesRaced, state: Lineage) -> list[str]:
    """What was raced with what effect, and what did not get that far."""
    round_ = state.campaign.round if state.campaign else None
    candidates = round_.candidates if round_ else ()
    titles = {candidate.number: candidate.plan.title for candidate in candidates}
    rejected = sum(candidate.status == "rejected" for candidate in candidates)
    lines = [
        f"  [dim]planner:[/] {len(candidates)} changes planned, {rejected} rejected, {len(event.inert)} inert"
    ]
    ranked = sorted(zip(event.effects, event.candidates, strict=True), key=lambda pair: -pair[0])
    for effect, scores in ranked:
        lines.append(f"  [dim]race:[/] {effect:+.3f}  {_said(titles.get(scores.candidate, ''))}")
    return lines


def _said(text: str) -> str:
    """What a model may have written, as one line that is neither markup nor a command to the terminal."""
    return escape(line(text))


def _mean(rows: Sequence[Sequence[float]]) -> float:
    flat = [score for row in rows for score in row]
    return sum(flat) / len(flat) if flat else 0.0


def _small(value: Any) -> bool:
    return isinstance(value, str | int | float | bool) and len(str(value)) <= 400
