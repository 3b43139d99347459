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
    failing: tuple[str, ...] = ()
    """Ids of the tests that fail on the workspace as it was submitted (the first hundred); empty in older events,
    and where their run did not come to its end."""


class TaskCollected(Event):
    """A person made a practice task of a submission that failed."""

    task: str
    """Id of the submission; the stream's own."""
    name: str
    """Its id as a practice task."""
    package: str
    """Its cluster: the project that was submitted."""
    content: str
    """`contracts.collection.content_hash` of it: the same content is the same task, whoever submits it."""
    blob: str
    """Blob of the `GradedTask`; the tests that came with it grade it."""
    failing: tuple[str, ...] = ()
    """Ids of the tests that failed when it was tried in the sandbox, before it was collected."""
    tree: str = ""
    """The harness that failed at it last."""
    by: str = ""


class TaskDismissed(Event):
    """A person does not want a submission as a practice task, or not any more."""

    task: str
    content: str
    reason: str
    by: str = ""
