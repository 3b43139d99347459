"""The check that needs no model: does a patch name tasks, packages or tests of the suite, or copy a task's text?

A harness is judged on programs that nobody here has seen. What names a task of the suite, or holds a piece of one, can
only help on that very task; so it is out, whatever it would score.
"""

import re
from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import NamedTuple

from contracts.events.change import ReviewCheck
from contracts.record import Record
from contracts.tasks import GradedTask

RUN = 12
"""Words and signs in a row that count as copied."""
TELLING = 6
"""How many different words of at least three letters such a run must have."""
_TOKEN = re.compile(r"\w+|[^\w\s]")
_TEST = re.compile(r"(?m)^\s*(?:async )?def (test_\w+)")
_OWN_TASK = re.compile(r"\btask\s*\.\s*id\b")


class Finding(NamedTuple):
    """What speaks against a patch."""

    check: ReviewCheck
    reason: str


class SuiteNames(Record, dict=True):
    """What a patch must not hold."""

    open_names: frozenset[str]
    """Ids and packages of practice tasks, and their visible tests."""
    closed_names: frozenset[str]
    """Sealed tasks and packages, and hidden tests: found, and never said."""
    texts: Mapping[str, str]
    """Practice task → everything that it consists of, for what is copied."""

    @cached_property
    def runs(self) -> dict[int, str]:
        """Hash of every telling run of words in a task's text → the task."""
        return {run: task for task, text in sorted(self.texts.items()) for run in _runs(text)}


def suite_names(tasks: Mapping[str, GradedTask], sealed: frozenset[str]) -> SuiteNames:
    """The names and texts of a suite.

    Args:
        tasks: practice tasks by id.
        sealed: ids and packages of the sealed ones; their texts are not looked at.
    """
    visible, hidden = set[str](), set[str]()
    texts = {}
    for name, graded in tasks.items():
        visible |= {
            name,
            graded.task.package,
            *(t for text in graded.task.files.values() for t in _TEST.findall(text)),
        }
        hidden |= {test for text in graded.hidden.values() for test in _TEST.findall(text)}
        parts = [graded.task.instruction, *graded.task.files.values(), *graded.hidden.values()]
        texts[name] = "\n\n".join(parts)
    return SuiteNames(
        open_names=frozenset(visible), closed_names=frozenset(hidden | sealed) - visible, texts=texts
    )


def findings(parent: Mapping[str, bytes], tree: Mapping[str, bytes], suite: SuiteNames) -> list[Finding]:
    """What a changed harness holds that the one before did not, and must not."""
    before = "\n".join(data.decode(errors="replace") for data in parent.values())
    added = {path: _added(parent.get(path, b""), data) for path, data in sorted(tree.items())}
    told: dict[str, Finding] = {}
    for path, text in added.items():
        new = text if path in parent else f"{path}\n{text}"
        for name in sorted(suite.open_names | suite.closed_names):
            if _names(new, name) and not _names(before, name):
                said = f"{path} names {name!r}, which is of the suite"
                if name in suite.closed_names:
                    said = f"{path} names a task or a test that it cannot know"
                told.setdefault(said, Finding("names", said))
        if _OWN_TASK.search(new) and not _OWN_TASK.search(before):
            said = f"{path} asks which task it is at (task.id)"
            told.setdefault(said, Finding("names", said))
    known = set(_runs(before))
    for path, text in added.items():
        copied = next(
            (suite.runs[run] for run in _runs(text) if run in suite.runs and run not in known), None
        )
        if copied is not None:
            said = f"{path} copies a piece of the task {copied}"
            told.setdefault(said, Finding("copies", said))
    return list(told.values())


def _added(old: bytes, new: bytes) -> str:
    """The lines of a file that it did not have before."""
    had = set(old.decode(errors="replace").split("\n"))
    return "\n".join(line for line in new.decode(errors="replace").split("\n") if line not in had)


def _names(text: str, name: str) -> bool:
    """Whether a text means a task, package or test by this name.

    Many packages are called by plain words, such as `stack`. Such a word is taken for the package only where it is a
    string of its own, or names a file.
    """
    if name not in text:
        return False
    exact = re.escape(name)
    if not name.isalpha() and len(name) > 3:
        return re.search(rf"(?<![\w-]){exact}(?![\w-])", text) is not None
    return re.search(rf"(['\"`]){exact}\1|(?<!\w){exact}\.py\b", text) is not None


def _runs(text: str) -> Iterator[int]:
    """Hashes of every run of so many words and signs that says something."""
    tokens = _TOKEN.findall(text)
    for at in range(len(tokens) - RUN + 1):
        run = tuple(tokens[at : at + RUN])
        if len({token for token in run if len(token) > 2 and token[0].isalpha()}) >= TELLING:
            yield hash(run)
