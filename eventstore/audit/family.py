"""The lineages of a ledger as a family: which one was forked from which, and at what version."""

from collections.abc import Iterator, Sequence

from contracts import events as e
from contracts.record import Record
from eventstore.audit.archive import Archive
from eventstore.audit.history import PREFIX, gather
from eventstore.audit.rounds import VersionHistory


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
