"""Events about releases: claims made on tasks that the loop never saw."""

from contracts.events.base import Event
from contracts.gate import ArmScores, ReleaseVerdict
from contracts.settings import Spent


class ReleaseDue(Event):
    """The stack of kept changes is to be held against the last release."""

    campaign: str
    check: int
    """1-based number of this check in the lineage; its α follows from it."""
    base: str
    """Tree of the last release, or of the seed."""
    tree: str
    """Tree that wants to be released."""


class SealedQueried(Event):
    """The sealed tasks were asked. Every query is recorded, since every one costs trust."""

    campaign: str
    check: int
    seeds: tuple[str, ...]
    base: ArmScores
    head: ArmScores
    solved_base: float
    solved_head: float
    verdict: ReleaseVerdict
    interval_base: tuple[float, float] = (0.0, 0.0)
    interval_head: tuple[float, float] = (0.0, 0.0)
    spent: Spent = Spent()


class HarnessReleased(Event):
    """The claim holds: this harness is better than the last release."""

    campaign: str
    check: int
    tree: str
    estimate: float


class ReleaseRefused(Event):
    """The claim could not be made."""

    campaign: str
    check: int
    tree: str
    reason: str
