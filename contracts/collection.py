"""Failed submissions as practice tasks: which there are, what they are called, and what a person said about them.

Submissions of the same content, by whomever and however often, are one entry. What holds for it is the decision that
stands last in the ledger, on whichever of its streams.
"""

import hashlib
import re
from collections.abc import Iterable, Mapping
from typing import Literal

import msgspec

from contracts import events as e
from contracts.record import Record
from contracts.submission import Submission
from contracts.tasks import Task

_SHORT = 8
"""Characters of the content's hash in a task's id; more only where they do not tell two tasks apart."""


class Sketch(Record):
    """What is known of a submitted task without its text."""

    content: str
    name: str
    """Its own id, as it was submitted."""
    package: str
    files: tuple[str, ...]
    """The files that an agent's work is taken from."""


class Failures(Record):
    """How often one harness failed at an entry."""

    tree: str
    times: int


class Entry(Record):
    """A content at which the harness failed."""

    name: str
    """Its id as a practice task."""
    package: str
    content: str
    files: tuple[str, ...]
    status: Literal["open", "collected", "dismissed"]
    submission: str
    """Id of the first submission that failed: what a practice task is made from."""
    blob: str
    lineage: str
    submissions: tuple[str, ...]
    """Ids of all submissions of this content, solved ones too."""
    failed: int
    solved: int
    harnesses: tuple[Failures, ...]
    """By harness, the latest last."""
    failing: tuple[str, ...]
    """Ids of the tests that failed, as they were recorded last, or when it was collected."""
    at: float
    """When it failed last."""
    reason: str = ""
    """Why it was dismissed."""


def content_hash(task: Task) -> str:
    """SHA-256, in hex, of what is to be mended and what tells whether it is: not of its names, nor its budget."""
    parts = (task.instruction, task.files, task.solution_files, task.tests)
    return hashlib.sha256(msgspec.json.encode(parts, order="deterministic")).hexdigest()


def sketch(task: Task) -> Sketch:
    """What an entry needs of a task; its names are made plain, whoever wrote them."""
    name = slug(task.id)
    package = slug(task.package, 100) if task.package else name
    return Sketch(content=content_hash(task), name=name, package=package, files=task.solution_files)


def slug(text: str, most: int = 60) -> str:
    """A text as a part of an id: letters, digits, '.', '_' and '-'."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", text)[:most].strip("-._") or "task"


def collected(submissions: Iterable[Submission]) -> tuple[e.TaskCollected, ...]:
    """The tasks that are collected now, by id."""
    decisions = _decisions(submissions).values()
    found = (s.decision for s in decisions if isinstance(s.decision, e.TaskCollected))
    return tuple(sorted(found, key=lambda event: event.name))


def gather(submissions: Iterable[Submission], sketches: Mapping[str, Sketch]) -> tuple[Entry, ...]:
    """Every content at which the harness failed, the one that failed last at the end.

    Args:
        submissions: in any order. What ended without a single attempt is no failure of a harness.
        sketches: blob of a submission → what is known of it; submissions without one are passed over.
    """
    submissions = sorted(submissions, key=lambda s: (s.ended_at, s.position))
    groups: dict[str, list[Submission]] = {}
    for submission in submissions:
        asked = submission.submitted
        if asked is not None and submission.ended is not None and asked.blob in sketches:
            groups.setdefault(sketches[asked.blob].content, []).append(submission)
    decisions = _decisions(submissions)
    taken = {event.name: event.content for event in collected(submissions)}
    entries = []
    for content, group in groups.items():
        entry = _entry(content, group, sketches, decisions.get(content), taken)
        if entry is not None:
            taken[entry.name] = content
            entries.append(entry)
    return tuple(sorted(entries, key=lambda entry: (entry.at, entry.name)))


def _entry(
    content: str,
    group: list[Submission],
    sketches: Mapping[str, Sketch],
    decided: Submission | None,
    taken: Mapping[str, str],
) -> Entry | None:
    failures = [s for s in group if isinstance(s.ended, e.TaskFailed) and s.ended.attempts]
    if not failures or failures[0].submitted is None:
        return None
    first = failures[0].submitted
    shown = sketches[first.blob]
    decision = decided.decision if decided else None
    name, package = _task_name(shown.name, content, taken), shown.package
    status: Literal["open", "collected", "dismissed"] = "open"
    if decision is not None:
        status = "collected" if isinstance(decision, e.TaskCollected) else "dismissed"
    trees: dict[str, int] = {}
    failing: tuple[str, ...] = ()
    for submission in failures:
        if isinstance(submission.ended, e.TaskFailed):
            times = trees.pop(submission.ended.tree, 0)
            trees[submission.ended.tree] = times + 1
            failing = submission.ended.failing or failing
    if isinstance(decision, e.TaskCollected):
        name, package, failing = decision.name, decision.package, decision.failing or failing
    return Entry(
        name=name,
        package=package,
        content=content,
        files=shown.files,
        status=status,
        reason=decision.reason if isinstance(decision, e.TaskDismissed) else "",
        submission=first.task,
        blob=first.blob,
        lineage=first.lineage,
        submissions=tuple(s.submitted.task for s in group if s.submitted),
        failed=len(failures),
        solved=sum(s.outcome == "solved" for s in group),
        harnesses=tuple(Failures(tree=tree, times=times) for tree, times in trees.items()),
        failing=failing,
        at=failures[-1].ended_at,
    )


def _task_name(name: str, content: str, taken: Mapping[str, str]) -> str:
    """A readable id that no other content has."""
    length = _SHORT
    while taken.get(f"{name}-{content[:length]}", content) != content:
        length += 1
    return f"{name}-{content[:length]}"


def _decisions(submissions: Iterable[Submission]) -> dict[str, Submission]:
    """Content → the submission on whose stream the last decision about it stands."""
    last: dict[str, Submission] = {}
    for submission in submissions:
        decision = submission.decision
        if decision is not None and submission.decided > getattr(last.get(decision.content), "decided", 0):
            last[decision.content] = submission
    return last
