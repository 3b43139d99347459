"""A suite and the tasks that were collected: all on the practice side, and nothing that would show what is sealed."""

from collections.abc import Iterable, Mapping
from pathlib import PurePosixPath

import msgspec

from agents.tasks.suite import Suite, suite_digest
from contracts.collection import content_hash, slug
from contracts.record import Record
from contracts.tasks import GradedTask


class Joined(Record):
    """A suite with collected tasks among its practice tasks."""

    suite: Suite
    base: str
    """Digest of the suite without them."""
    added: tuple[str, ...] = ()
    """Ids of the collected tasks that are in it."""
    left_out: tuple[tuple[str, str], ...] = ()
    """(Id, why it is not in it)."""


def join(suite: Suite, collected: Iterable[GradedTask]) -> Joined:
    """Add collected tasks to the practice side of a suite; its own tasks stay on the sides that they are on.

    What the suite holds already, or what has a package or a file in common with a sealed task, is left out: the
    loop must not learn from what measures its claims.
    """
    sealed = {slug(graded.task.package, 100) for graded in suite.sealed}
    texts = _texts(suite.sealed)
    known = {content_hash(graded.task) for graded in (*suite.practice, *suite.sealed)}
    ids = {graded.task.id for graded in (*suite.practice, *suite.sealed)}
    added, left_out = [], []
    for graded in sorted(collected, key=lambda graded: graded.task.id):
        name, shared = graded.task.id, _shared(graded, texts)
        if name in ids:
            reason = f"the suite {suite.name} has a task of this id"
        elif slug(graded.task.package, 100) in sealed:
            reason = f"its package, {graded.task.package}, is sealed in the suite {suite.name}"
        elif shared:
            reason = f"its file {shared} stands in a sealed task of the suite {suite.name}, too"
        elif content_hash(graded.task) in known:
            reason = f"the suite {suite.name} holds the same task"
        else:
            added.append(graded)
            continue
        left_out.append((name, reason))
    practice = (*suite.practice, *added)
    digest = suite_digest(suite.name, practice, suite.sealed) if added else suite.digest
    return Joined(
        suite=msgspec.structs.replace(suite, practice=practice, digest=digest),
        base=suite.digest,
        added=tuple(graded.task.id for graded in added),
        left_out=tuple(left_out),
    )


def _texts(tasks: Iterable[GradedTask]) -> frozenset[str]:
    files = (_telling({**graded.task.files, **graded.hidden}) for graded in tasks)
    return frozenset(text for found in files for text in found.values())


def _shared(graded: GradedTask, texts: frozenset[str]) -> str:
    return next((path for path, text in _telling(graded.task.files).items() if text in texts), "")


def _telling(files: Mapping[str, str]) -> dict[str, str]:
    """Files that say something about their program: path → text without the blanks around it."""
    return {
        path: text.strip()
        for path, text in files.items()
        if text.strip() and PurePosixPath(path).name != "__init__.py"
    }
