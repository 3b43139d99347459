"""For tests: a suite of tiny tasks, a store to start from, a campaign as a real process, and what it left behind."""

import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import msgspec

from agents.cli.request import ensure_lineage, seed_files
from agents.models.shared import ensure_model
from contracts import events as e
from contracts.envelope import Envelope
from contracts.lineage import Lineage, fold, state_hash
from contracts.record import Record
from eventstore import select, trees
from eventstore.database import open_reader
from eventstore.errors import LedgerError, StoreMissing
from eventstore.sqlite import SqliteStore
from eventstore.verify import verify

STREAM = "lineage/main"
ONCE = ("RoundOpened", "TasksExecuted", "FailuresAnalyzed", "LessonRecorded", "RoundClosed")
AT_MOST_ONCE = ("CandidatesRaced", "ChangeConfirmed", "NullArmMeasured", "ApprovalRequested")
VERDICTS = ("ChangeKept", "ChangeReverted", "ChangeInconclusive")
TASKS = {
    "add": ("def add(a, b):\n    return a - b\n", "add(1, 2) == 3", "add(5, 2) == 7"),
    "big": ("def big(a, b):\n    if a < b:\n        return a\n    return b\n", "big(1, 2) == 2", "big(9, 3) == 9"),
    "last": ("def last(xs):\n    return xs[len(xs)]\n", "last([1, 2]) == 2", "last([4]) == 4"),
}  # fmt: skip
"""Name → a program with one mistake, what its visible test asserts, and what its hidden test asserts."""


def write_suite(
    folder: Path, tasks: Mapping[str, tuple[str, str, str]] = TASKS, *, practice: float = 0.6
) -> Path:
    """A suite whose episodes take milliseconds."""
    folder.mkdir(parents=True)
    (folder / "suite.toml").write_text(
        f'name = "tiny"\n[split]\npractice = {practice}\n[budget]\nmodel_calls = 4\ntest_runs = 4\nlines = 2000\n'
    )
    for name, (program, visible, hidden) in tasks.items():
        home = folder / "tasks" / name
        (home / "workspace" / "tests").mkdir(parents=True)
        (home / "tests").mkdir()
        (home / "task.toml").write_text(
            f'id = "{name}"\ninstruction = "{name} is wrong."\nsolution_files = ["{name}.py"]\n'
        )
        (home / "workspace" / f"{name}.py").write_text(program)
        test = "from {0} import {0}\n\n\ndef test_{0}():\n    assert {1}\n"
        (home / "workspace" / "tests" / f"test_{name}.py").write_text(test.format(name, visible))
        (home / "tests" / f"test_hidden_{name}.py").write_text(test.format(name, hidden))
    return folder


async def make_store(folder: Path) -> None:
    """A store that holds the model and a lineage whose head is not released yet, so that a release falls due."""
    async with SqliteStore.open(folder, create=True) as store:
        ledger: Any = store
        await ensure_model(ledger, actor="test")
        state = await ensure_lineage(ledger, "main", actor="test")
        files = {**seed_files(), "memory/note.md": b"Read the failing test first.\n"}
        reset = e.HeadReset(tree=await trees.put_tree(store, files), reason="a note was added")
        new = e.encode(reset, duty="test/reset", index=0, actor="test", correlation="test")
        await store.append(STREAM, state.version, [new])


class History:
    """The ledger of a campaign, followed by reading its file; needs neither bus nor service."""

    def __init__(self, store: Path, stream: str = STREAM) -> None:
        self.store = store
        self.stream = stream
        self.state = Lineage()
        self.events: list[tuple[Envelope, e.Event]] = []

    def look(self) -> bool:
        """Fold what is new; tells whether there was anything."""
        before = len(self.events)
        try:
            with closing(open_reader(self.store)) as connection:
                found, _ = select.events(
                    connection, select.Wanted(stream=self.stream), after=self.state.position, limit=1000
                )
        except (StoreMissing, LedgerError):
            return False
        for envelope in found:
            self.state = fold(self.state, envelope)
            self.events.append((envelope, e.decode(envelope)))
        return len(self.events) > before

    def count(self, kind: str) -> int:
        """How many events of a type there are."""
        return sum(envelope.type == kind for envelope, _ in self.events)

    @property
    def finished(self) -> bool:
        """Whether the last campaign has come to its end."""
        return self.state.campaign is not None and self.state.campaign.status == "finished"


class Process(Record):
    """A process as the kernel shows it."""

    pid: int
    parent: int
    started: int
    """Clock ticks after boot: tells two processes of one id apart."""
    state: str
    busy: int
    """Clock ticks of CPU time so far."""
    command: str


def processes() -> dict[int, Process]:
    """All processes that can be seen, zombies left out."""
    found = {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            with suppress(OSError, ValueError, IndexError):
                process = _process(folder)
                if process.state != "Z":
                    found[process.pid] = process
    return found


def _process(folder: Path) -> Process:
    fields = (folder / "stat").read_text().rpartition(") ")[2].split()
    return Process(
        pid=int(folder.name),
        state=fields[0],
        parent=int(fields[1]),
        busy=int(fields[11]) + int(fields[12]),
        started=int(fields[19]),
        command=(folder / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace"),
    )


def below(root: int, seen: Mapping[int, Process]) -> list[Process]:
    """A process's children, their children, and so on."""
    found, parents = [], {root}
    while parents:
        children = [process for process in seen.values() if process.parent in parents]
        found += children
        parents = {process.pid for process in children}
    return found


class Running:
    """A command and everything that it started; it remembers them all, so that none can stay behind unseen."""

    def __init__(self, command: Sequence[str], *, log: Path, env: Mapping[str, str] | None = None) -> None:
        self.log = log
        with log.open("ab") as file:
            self.process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=file, stderr=file, start_new_session=True,
                env={**os.environ, **(env or {})},
            )  # fmt: skip
        self.known: dict[tuple[int, int], Process] = {}

    @property
    def running(self) -> bool:
        """Whether the command itself is there."""
        return self.process.poll() is None

    def family(self) -> list[Process]:
        """The processes below it at this moment."""
        found = below(self.process.pid, processes())
        self.known |= {(process.pid, process.started): process for process in found}
        return found

    def find(self, words: str) -> list[Process]:
        """Those whose command line holds these words."""
        return [process for process in self.family() if words in process.command]

    def left(self, patience: float = 5.0) -> list[Process]:
        """What still runs of all that it ever started, after giving it some seconds to end."""
        end = time.monotonic() + patience
        while True:
            now = {(process.pid, process.started): process for process in processes().values()}
            still = [now[key] for key in self.known if key in now]
            still = [*still, *(p for s in still for p in below(s.pid, processes()))]
            if not still or time.monotonic() > end:
                return still
            time.sleep(0.05)

    def end(self) -> None:
        """Kill whatever is left: for the end of a test that failed."""
        if self.running:
            self.family()
            self.process.kill()
            self.process.wait()
        for process in self.left(0.0):
            send(process, signal.SIGCONT)
            send(process, signal.SIGKILL)


def send(process: Process, number: signal.Signals) -> bool:
    """Send a signal, if it is still that process."""
    with suppress(OSError, ValueError, IndexError):
        if _process(Path("/proc") / str(process.pid)).started == process.started:
            os.kill(process.pid, number)
            return True
    return False


def module(name: str, *arguments: str) -> list[str]:
    """The command line of one of our modules."""
    return [sys.executable, "-P", "-m", name, *arguments]


def faults(store: Path, stream: str = STREAM) -> list[str]:
    """Everything about a store that breaks the promise that nothing is lost and nothing happens twice."""
    report = verify(store)
    found = [f"verify: {fault.reason} at {fault.position}" for fault in report.faults]
    history = History(store, stream)
    state, hashes = Lineage(), {0: ""}
    history.look()
    for envelope, event in history.events:
        state = fold(state, envelope)
        hashes[envelope.version] = state_hash(state)
        if isinstance(event, e.RoundClosed) and hashes.get(event.state_version) != event.state_hash:
            found.append(f"round {event.round}: the replayed state's hash is not the one that was recorded")
    ids = Counter(envelope.event_id for envelope, _ in history.events)
    found += [f"event {name} is there {count} times" for name, count in ids.items() if count > 1]
    return found + _doubled(event for _, event in history.events)


def _doubled(events: Iterable[e.Event]) -> list[str]:
    counts: Counter[tuple[str, int, str, int]] = Counter()
    single: Counter[tuple[str, str]] = Counter()
    for event in events:
        kind, number = type(event).__name__, getattr(event, "round", 0)
        campaign = getattr(event, "campaign", "")
        if kind in {"ChangePlanned", "ChangeProposed", "ChangeRejected", "ChangeReviewed"}:
            kind = "made" if kind in {"ChangeProposed", "ChangeRejected"} else kind
            counts[campaign, number, kind, getattr(event, "candidate", -1)] += 1
        elif number:
            counts[campaign, number, "verdict" if kind in VERDICTS else kind, -1] += 1
        elif kind in {"CampaignStarted", "CampaignFinished", "ReleaseDue", "SealedQueried"}:
            single[campaign, kind] += 1
    found = [f"round {key[1]}: {key[2]} of {key[3]} {n} times" for key, n in counts.items() if n > 1]
    found += [f"{kind} of {campaign} {n} times" for (campaign, kind), n in single.items() if n > 1]
    for campaign, number, kind, _ in list(counts):
        if kind == "RoundClosed":
            missing = [k for k in (*ONCE, "verdict") if not counts[campaign, number, k, -1]]
            found += [f"round {number} was closed without {k}" for k in missing]
    return found


def outcome(store: Path) -> list[tuple[object, ...]]:
    """What a campaign came to, all that does not depend on clocks: the same settings always come to the same."""
    history = History(store)
    history.look()
    found: list[tuple[object, ...]] = []
    for _, event in history.events:
        if isinstance(event, e.TasksExecuted):
            found.append(("executed", event.round, event.seeds, event.incumbent))
        elif isinstance(event, e.CandidatesRaced):
            found.append(("raced", event.round, event.best, event.effects, event.candidates))
        elif isinstance(event, e.ChangeConfirmed):
            found.append(("confirmed", event.round, event.incumbent, event.challenger, event.verdict))
        elif isinstance(event, e.NullArmMeasured):
            found.append(("null", event.round, event.verdict))
        elif isinstance(event, e.SealedQueried):
            found.append(("sealed", event.base, event.head, event.verdict))
        elif type(event).__name__ in VERDICTS:
            found.append((type(event).__name__, event.round))  # type: ignore[attr-defined]
    return found


def without_clocks(event: e.Event) -> tuple[str, Any]:
    """An event as it is written, without what a clock decides."""
    return type(event).__name__, _bare(msgspec.to_builtins(event))


def _bare(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _bare(v) for k, v in value.items() if k not in ("seconds", "deadline", "state_hash")}
    return [_bare(item) for item in value] if isinstance(value, list) else value
