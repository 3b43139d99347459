"""Each line belongs to the version that brought it, whatever was reverted between."""

import pytest

from contracts.envelope import blob_hash, tree_bytes
from eventstore.audit.archive import Snapshot
from eventstore.audit.blame import blame
from eventstore.audit.errors import NotInLedger
from eventstore.audit.rounds import Mark, VersionHistory


def versions_of(*texts: str | None) -> tuple[Snapshot, list[VersionHistory]]:
    """One version for each text of the file `a.py`; None where it has none."""
    blobs: dict[str, bytes] = {}
    versions = []
    for number, text in enumerate(texts):
        data = {"b.py": b"pass\n"} | ({"a.py": text.encode()} if text is not None else {})
        blobs |= {blob_hash(each): each for each in data.values()}
        tree = tree_bytes({path: blob_hash(each) for path, each in data.items()})
        blobs[blob_hash(tree)] = tree
        mark = Mark(position=number + 1, version=number + 1, type="HeadReset", at=0.0, actor="test")
        versions.append(
            VersionHistory(number=number, tree=blob_hash(tree), origin="round", mark=mark, title="")
        )
    return Snapshot((), blobs), versions


def owners(*texts: str | None, at: int = -1) -> list[tuple[str, str]]:
    archive, versions = versions_of(*texts)
    return [(line.version.name, line.text) for line in blame(archive, versions, versions[at].tree, "a.py")]


def test_a_line_belongs_to_the_version_that_brought_it() -> None:
    assert owners("one\ntwo\n", "one\nnew\ntwo\n", "ONE\nnew\ntwo\n") == [
        ("v2", "ONE"),
        ("v1", "new"),
        ("v0", "two"),
    ]


def test_an_earlier_version_is_asked_as_it_was() -> None:
    assert owners("one\n", "one\ntwo\n", "two\n", at=1) == [("v0", "one"), ("v1", "two")]


def test_what_a_reset_brings_back_belongs_to_whom_it_belonged() -> None:
    assert owners("one\n", "one\ntwo\n", "one\n", "one\ntwo\n") == [("v0", "one"), ("v1", "two")]


def test_a_line_that_is_written_again_is_new() -> None:
    assert owners("one\ntwo\n", "two\n", "one\ntwo\nthree\n") == [
        ("v2", "one"),
        ("v0", "two"),
        ("v2", "three"),
    ]


def test_a_file_may_come_later() -> None:
    assert owners(None, "one\n") == [("v1", "one")]


def test_what_is_not_there_is_said_with_what_is() -> None:
    archive, versions = versions_of("one\n", None)
    with pytest.raises(NotInLedger, match=r"a\.py is not in this ledger: there is b\.py"):
        blame(archive, versions, versions[-1].tree, "a.py")
    with pytest.raises(NotInLedger, match="there is v0, v1"):
        blame(archive, versions, "0" * 64, "a.py")
