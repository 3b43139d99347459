"""Events that open, feed and close a round."""

from contracts.events.base import Event
from contracts.events.change import CandidateScores
from contracts.gate import ArmScores, Verdict
from contracts.record import Record
from contracts.settings import Spent


class RoundOpened(Event):
    """A round began with this harness as the incumbent."""

    campaign: str
    round: int
    tree: str


class TasksExecuted(Event):
    """The incumbent worked on the practice tasks with fresh seeds (tasks in the manifest's order)."""

    campaign: str
    round: int
    seeds: tuple[str, ...]
    incumbent: ArmScores
    signs: dict[str, float] = {}
    """Means of the episodes' signs."""
    spent: Spent = Spent()
    complete: bool = True
    """False when the infrastructure failed to give some score: the round ends inconclusive."""
    reason: str = ""


class Fix(Record):
    """A kind of edit that made failing tests pass, in solved and unsolved episodes alike."""

    kind: str
    """What was changed, in plain words: `comparison`, `operator` …"""
    count: int
    """Edits of this kind that helped."""
    tried: int
    """Edits of this kind that were tried."""


class FailureCluster(Record):
    """Failed episodes that failed in the same way."""

    kind: str
    """A word of the taxonomy, see the glossary."""
    count: int
    share: float
    """Of all failed episodes. An episode can fail in several ways at once."""
    tasks: tuple[str, ...]
    example: str = ""
    """Blob of one transcript (zlib, JSON lines)."""
    example_task: str = ""
    """Whose transcript that is; empty in older events."""
    note: str = ""


class FailuresAnalyzed(Event):
    """The critic read the failed episodes."""

    campaign: str
    round: int
    failures: tuple[FailureCluster, ...]
    summary: str
    fixes: tuple[Fix, ...] = ()
    """What mended tests in these episodes, the most frequent first."""
    places: dict[str, tuple[str, ...]] = {}
    """Task → lines (`path:line`) at which an edit made failing tests pass."""


class LessonRecorded(Event):
    """The critic wrote down what the round taught."""

    campaign: str
    round: int
    lesson: str
    """Blob of the round's markdown file."""
    headline: str
    hits: int = 0
    """Predicted flips that came true."""
    misses: int = 0
    """Predicted flips that did not."""
    credit: float = 0.0
    """The planner's credit for the round, in [-1, 1]."""


class NullArmMeasured(Event):
    """The whole pipeline ran with the incumbent in every arm, the challengers' seeds salted."""

    campaign: str
    round: int
    race_seeds: tuple[str, ...]
    confirm_seeds: tuple[str, ...]
    raced: tuple[CandidateScores, ...]
    incumbent_race: ArmScores
    incumbent: ArmScores | None
    challenger: ArmScores | None
    verdict: Verdict
    spent: Spent = Spent()


class RoundClosed(Event):
    """The round is over."""

    campaign: str
    round: int
    state_version: int
    """The lineage's version at which the hash holds."""
    state_hash: str
    """SHA-256 of the state as the closing agent had folded it while living through the round."""
