"""Whose each line of a harness is: the version that brought it, across rounds, reverts and resets."""

import difflib
from collections.abc import Sequence

from contracts.record import Record
from eventstore.audit.archive import Archive, entries
from eventstore.audit.errors import NotInLedger
from eventstore.audit.rounds import VersionHistory

Owned = tuple[tuple[str, int], ...]
"""The lines of a file, each with the index of the version that brought it."""


class Line(Record):
    """A line of a file, and the version that brought it."""

    number: int
    """From 1."""
    text: str
    version: VersionHistory


def blame(archive: Archive, versions: Sequence[VersionHistory], tree: str, path: str) -> list[Line]:
    """The lines of a file as it stands in a version, each with the version in which it came.

    A harness that is the head once more, after a revert or a reset, keeps its lines' origins: what was brought back
    belongs to whoever wrote it first.

    Args:
        archive: the ledger.
        versions: the heads of a lineage, oldest first.
        tree: one of them.
        path: a file of it.

    Raises:
        NotInLedger: `tree` was never the head, or it has no file of that name.
    """
    last = next((index for index, version in enumerate(versions) if version.tree == tree), None)
    if last is None:
        raise NotInLedger(
            f"version {tree[:10]}, which would have to have been the head,",
            [version.name for version in versions],
            of="version yet",
        )
    known: dict[str, Owned] = {}
    current: Owned = ()
    for index, version in enumerate(versions[: last + 1]):
        if version.tree not in known:
            name = entries(archive, version.tree).get(path)
            text = archive.blob(name).decode(errors="replace") if name is not None else ""
            known[version.tree] = _carried(current, text.splitlines(), index)
        current = known[version.tree]
    files = entries(archive, tree)
    if path not in files:
        raise NotInLedger(f"file {path}", sorted(files), of="file in this harness")
    return [
        Line(number=number, text=text, version=versions[index])
        for number, (text, index) in enumerate(current, 1)
    ]


def _carried(old: Owned, lines: Sequence[str], index: int) -> Owned:
    """Lines that stood before keep their origin; the others came with version `index`."""
    matcher = difflib.SequenceMatcher(None, [text for text, _ in old], lines, autojunk=False)
    found: list[tuple[str, int]] = []
    for tag, first, last, start, end in matcher.get_opcodes():
        found += old[first:last] if tag == "equal" else [(text, index) for text in lines[start:end]]
    return tuple(found)
