"""Events of a task that a user published: its stream is `task/<id>`."""

from contracts.chat import Usage
from contracts.events.base import Event


class TaskSubmitted(Event):
    """A user wants this solved with the head of a lineage."""

    task: str
    """Id of this submission; the stream's own."""
    name: str
    """The task's own id."""
    blob: str
    """Blob of the `GradedTask`, which for a user's task has no hidden tests."""
    lineage: str = "main"
    attempts: int = 3
    """Seeds tried, one after another, until the visible tests pass."""


class TaskSolved(Event):
    """The visible tests pass."""

    task: str
    tree: str
    patch: str
    attempts: int
    usage: Usage


class TaskFailed(Event):
    """No attempt made the visible tests pass."""

    task: str
    tree: str
    reason: str
    attempts: int
    usage: Usage
    patch: str = ""
