"""How `ratchet collect` shows failed submissions: to people as a table, to programs as facts."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from rich.text import Text

from agents.cli.collection import Reading
from contracts.collection import Entry
from eventstore.audit.terminal import draw_table, put
from eventstore.audit.text import count, line, when

_FILES = 3
"""Files, and tests, that are named in the table; `--json` has all."""


def facts(reading: Reading, versions: Mapping[str, str]) -> dict[str, Any]:
    """Everything that is known, in three lists by status, and what cannot be read."""
    found: dict[str, Any] = {"open": [], "collected": [], "dismissed": []}
    for entry in reading.entries:
        fields = msgspec.to_builtins(entry)
        fields["id"] = fields.pop("name")
        fields["harnesses"] = [
            {"tree": harness.tree, "version": versions.get(harness.tree, ""), "times": harness.times}
            for harness in entry.harnesses
        ]
        found[fields.pop("status")].append(fields)
    found["unreadable"] = [{"submission": name, "reason": reason} for name, reason in reading.unreadable]
    return found


def show(reading: Reading, versions: Mapping[str, str]) -> None:
    """Tables of what is open and what is collected, and a line about the rest."""
    by_status: dict[str, list[Entry]] = {"open": [], "collected": [], "dismissed": []}
    for entry in reading.entries:
        by_status[entry.status].append(entry)
    if by_status["open"]:
        put(_table(by_status["open"], versions))
        _say("\nTo practise on one: ratchet collect --accept ID (or --all); else: --dismiss ID --reason WHY")
    else:
        _say("nothing to collect: no submitted task has failed that is not collected or dismissed yet")
    if by_status["collected"]:
        _say(
            f"\n{count(len(by_status['collected']), 'task')} collected; the next `ratchet run` practises on them:"
        )
        put(_table(by_status["collected"], versions))
    if by_status["dismissed"]:
        names = ", ".join(f"{entry.name} ({entry.reason})" for entry in by_status["dismissed"])
        _say(f"\ndismissed: {names}")


def _table(entries: Sequence[Entry], versions: Mapping[str, str]) -> Any:
    rows = [
        (
            entry.name,
            entry.package,
            when(entry.at),
            _times(entry),
            ", ".join(f"{_version(h.tree, versions)} {h.times}×" for h in entry.harnesses),
            _some(entry.files),
            _some(entry.failing) or "not known",
        )
        for entry in entries
    ]
    names = ("id", "package", "failed last", "failed", "by harness", "files", "tests that fail")
    return draw_table(names, rows, folded=(5, 6), spared=(1, 2))


def _times(entry: Entry) -> str:
    return f"{entry.failed}×" + (f", solved {entry.solved}×" if entry.solved else "")


def _version(tree: str, versions: Mapping[str, str]) -> str:
    return versions.get(tree, "") or tree[:12]


def _some(names: Sequence[str]) -> str:
    more = len(names) - _FILES
    return ", ".join(names[:_FILES]) + (f" and {more} more" if more > 0 else "")


def _say(text: str) -> None:
    put(Text("\n".join(line(part) for part in text.split("\n"))))
