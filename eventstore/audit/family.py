"""The lineages of a ledger as a family: which one was forked from which, and at what version."""

from collections.abc import Iterator, Sequence

from contracts import events as e
from contracts.record import Record
from eventstore.audit.archive import Archive
from eventstore.audit.history import PREFIX, gather, lineage_events
from eventstore.audit.rounds import History, VersionHistory


class Branch(Record):
    """A lineage among others."""

    name: str
    parent: str = ""
    """The lineage that it was forked from; empty for one that began with a seed."""
    number: int = 0
    """The version of the parent at which it began."""
    reason: str = ""
    released: str = ""
    versions: tuple[VersionHistory, ...] = ()


def ancestry(archive: Archive, history: History) -> tuple[tuple[str, VersionHistory], ...]:
    """The versions that led to a lineage's head, each with its lineage: before a fork those of its parents."""
    own = tuple((history.name, version) for version in history.versions)
    begun = archive.event(own[0][1].mark.position) if own and own[0][1].origin == "fork" else None
    forked = e.decode(begun) if begun is not None else None
    if not isinstance(forked, e.HarnessForked):
        return own
    parent = gather(lineage_events(archive, forked.parent), forked.parent)
    before = ancestry(archive, parent)
    kept = len(before) - len(parent.versions) + forked.version + 1
    return (*before[:kept], *own[1:])


def branches(archive: Archive) -> list[Branch]:
    """Every lineage of a ledger, by name. Raises Tampered."""
    found = []
    for stream in archive.streams(PREFIX):
        name = stream.removeprefix(PREFIX)
        events = tuple(archive.events(stream))
        history = gather(events, name)
        begun = e.decode(events[0])
        branch = Branch(name=name, released=history.state.released, versions=history.versions)
        if isinstance(begun, e.HarnessForked):
            branch = Branch(
                name=name,
                parent=begun.parent,
                number=begun.version,
                reason=begun.reason,
                released=history.state.released,
                versions=history.versions,
            )
        found.append(branch)
    return found


def walk(found: Sequence[Branch], parent: str = "", number: int | None = None) -> Iterator[Branch]:
    """Those that were forked from a version of a lineage; with no lineage, those that have no parent here."""
    names = {branch.name for branch in found}
    for branch in found:
        orphan = branch.parent not in names
        if (not parent and orphan) or (branch.parent == parent and branch.number == number):
            yield branch
