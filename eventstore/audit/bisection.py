"""In which version a task began to pass or to fail: what the ledger knows of it, and the search between two ends."""

from collections import defaultdict
from collections.abc import Callable, Sequence

from contracts.gate import ArmScores
from contracts.record import Record
from contracts.settings import TaskRef
from eventstore.audit.rounds import History, VersionHistory


class Standing(Record):
    """How a version stood with a task."""

    version: VersionHistory
    scores: tuple[float, ...]
    recorded: int = 0
    """How many of the scores were in the ledger; the others were measured for this question."""

    @property
    def mean(self) -> float:
        """Mean score."""
        return sum(self.scores) / len(self.scores)


class Turn(Record):
    """What a search came to."""

    looked: tuple[Standing, ...]
    """Every version that was looked at, in their order."""
    first: Standing | None = None
    """The first version that stands as the last one does; None where both ends stand alike."""


def find_task(history: History, name: str) -> TaskRef | None:
    """The task of that id in the latest campaign that has it."""
    for campaign in reversed(history.campaigns):
        for task in (*campaign.suite.practice, *campaign.suite.sealed):
            if task.id == name:
                return task
    return None


def task_names(history: History) -> list[str]:
    """The ids of all tasks of the last campaign."""
    campaign = history.campaign
    return [task.id for task in (*campaign.suite.practice, *campaign.suite.sealed)] if campaign else []


def recorded(history: History, task: TaskRef) -> dict[str, list[float]]:
    """Tree → scores of a task in the ledger.

    Scores of races are left out but for the incumbent's: the winners were chosen by them.
    """
    found: defaultdict[str, list[float]] = defaultdict(list)

    def add(arm: ArmScores | None, tasks: Sequence[TaskRef]) -> None:
        for known, row in zip(tasks, arm.scores if arm else (), strict=False):
            if known == task and arm is not None:
                found[arm.tree] += row

    for campaign in history.campaigns:
        for round_ in campaign.rounds:
            if round_.executed is not None and round_.executed.complete:
                add(round_.executed.incumbent, campaign.suite.practice)
            if round_.confirmed is not None and round_.confirmed.complete:
                add(round_.confirmed.incumbent, campaign.suite.practice)
                add(round_.confirmed.challenger, campaign.suite.practice)
        for release in campaign.releases:
            if release.queried is not None:
                add(release.queried.base, campaign.suite.sealed)
                add(release.queried.head, campaign.suite.sealed)
    return dict(found)


def search(
    versions: Sequence[VersionHistory], measure: Callable[[VersionHistory], Standing], passing: float
) -> Turn:
    """Halve the distance between a version that stands otherwise than the last one and one that stands like it.

    Where a task turned several times, it is one of the turns that is found.

    Args:
        versions: the first is the one to begin with, the last the one to explain.
        measure: how a version stands; asked once for each version that is looked at.
        passing: the mean score from which a version counts as passing.
    """
    looked: dict[int, Standing] = {}

    def passes(at: int) -> bool:
        if at not in looked:
            looked[at] = measure(versions[at])
        return looked[at].mean >= passing

    low, high = 0, len(versions) - 1
    turned = passes(low) != passes(high)
    while turned and high - low > 1:
        middle = (low + high) // 2
        if passes(middle) == passes(high):
            high = middle
        else:
            low = middle
    ordered = tuple(looked[at] for at in sorted(looked))
    return Turn(looked=ordered, first=looked[high] if turned else None)
