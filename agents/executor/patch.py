"""The patch that an episode's files amount to."""

from collections.abc import Mapping

from contracts.tasks import Task
from eventstore.trees import diff_file


def patch_of(task: Task, files: Mapping[str, str]) -> str:
    """A unified diff, as `git apply` takes it, from the task's files to these."""
    parts = []
    for path, text in sorted(files.items()):
        old = task.files.get(path)
        if old != text:
            parts.append(diff_file(path, None if old is None else old.encode(), text.encode()))
    return "".join(parts)
