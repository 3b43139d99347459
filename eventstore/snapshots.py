"""Snapshots of folded lineages, so that nobody has to fold a long history from its beginning to go on from its end.

A snapshot is a convenience and never evidence: it is taken at a version whose state hash an agent recorded in the
ledger (`RoundClosed`), whoever uses it compares it with that hash, and whatever does not fit is passed over. One file
for each lineage in `<store>/snapshots/`, free to be deleted.
"""

import asyncio
import hashlib
import os
import sys
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Protocol

import msgspec
import structlog

import contracts
from contracts import events as e
from contracts.envelope import Envelope
from contracts.ledger import Snapshot, StreamReader
from contracts.lineage import Lineage, fold, state_hash
from eventstore.errors import LedgerUnavailable
from eventstore.sqlite import SqliteStore

FOLDER = "snapshots"
EVERY = 1000
"""Events of a lineage after which its next snapshot is taken."""
LARGEST = 700 * 1000
"""Bytes of a snapshot that is offered: it has to fit in a message."""
PREFIX = "lineage/"

_log = structlog.get_logger("eventstore.snapshots")


class Source(StreamReader, Protocol):
    """Who has events, and perhaps a snapshot."""

    async def snapshot(self, stream: str) -> Snapshot | None:
        """The latest snapshot of a stream, if there is one."""
        ...


@cache
def code() -> str:
    """What a fold is made of: the hash of the contracts' source. Another version has other snapshots."""
    root = Path(contracts.__file__).parent
    digest = hashlib.sha256()
    for path in sorted(root.rglob("*.py")):
        digest.update(path.relative_to(root).as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()


def path_of(folder: Path, stream: str) -> Path:
    """Where a stream's snapshot lies."""
    return folder / FOLDER / f"{hashlib.sha256(stream.encode()).hexdigest()[:32]}.snapshot"


def load(folder: Path, stream: str) -> Snapshot | None:
    """The snapshot of a stream in a store's folder; None where there is none that can be read."""
    try:
        found = msgspec.msgpack.decode(path_of(folder, stream).read_bytes(), type=Snapshot)
    except (OSError, msgspec.MsgspecError):
        return None
    return found if found.stream == stream else None


def save(folder: Path, snapshot: Snapshot) -> None:
    """Put a snapshot in the place of the one before."""
    path = path_of(folder, snapshot.stream)
    draft = path.with_suffix(f".{os.getpid()}")
    with suppress(OSError):  # a snapshot that cannot be written costs time later, and nothing now
        path.parent.mkdir(exist_ok=True)
        draft.write_bytes(msgspec.msgpack.encode(snapshot))
        draft.replace(path)


def take(stream: str, state: Lineage) -> Snapshot:
    """The snapshot of a state."""
    return Snapshot(stream=stream, version=state.version, code=code(), state=msgspec.msgpack.encode(state))


async def restore(source: Source, stream: str) -> Lineage:
    """The state of a lineage as of its latest snapshot that holds; the empty one where none does."""
    found = await source.snapshot(stream)
    if found is None or found.code != code():
        return Lineage()
    try:
        state = msgspec.msgpack.decode(found.state, type=Lineage)
    except msgspec.MsgspecError:
        return Lineage()
    page = await source.read(stream, after=found.version, limit=1)
    return state if page.events and fits(state, page.events[0]) else Lineage()


def fits(state: Lineage, following: Envelope) -> bool:
    """Whether the event behind a state says that the state is the one that was lived through."""
    if following.version != state.version + 1:
        return False
    event = e.decode(following)
    if not isinstance(event, e.RoundClosed) or event.state_version != state.version:
        return False
    return event.state_hash == state_hash(state)


class Snapshotter:
    """Folds the lineages of a store as they grow, and takes their snapshots."""

    def __init__(self, store: SqliteStore, *, every: int = EVERY) -> None:
        self._store = store
        self._every = every
        self._states: dict[str, Lineage] = {}
        self._taken: dict[str, int] = {}

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            with suppress(LedgerUnavailable):  # a replica's log is away
                after = self._store.position
                for stream, _ in await self._store.streams(PREFIX):
                    await self._catch_up(stream)
                async for event in self._store.follow(after=after):
                    if event.stream.startswith(PREFIX):
                        self._hear(event)
            await asyncio.sleep(1.0)

    async def _catch_up(self, stream: str) -> None:
        if stream not in self._states:
            self._states[stream] = await restore(self._store, stream)
            self._taken[stream] = self._states[stream].version
        more = True
        while more:
            page = await self._store.read(stream, after=self._states[stream].version)
            for event in page.events:
                self._hear(event)
            more = page.more
            await asyncio.sleep(0)

    def _hear(self, event: Envelope) -> None:
        state = self._states.get(event.stream, Lineage())
        if event.version != state.version + 1:
            return  # it was read already
        taken = self._taken.get(event.stream, 0)
        if event.type == "RoundClosed" and state.version - taken >= self._every and fits(state, event):
            snapshot = take(event.stream, state)
            self._taken[event.stream] = state.version
            if len(snapshot.state) <= LARGEST:
                save(self._store.folder, snapshot)
                _log.debug("snapshot taken", stream=event.stream, version=state.version)
        try:
            self._states[event.stream] = fold(state, event)
        except ValueError as error:  # no snapshots of what does not fold; it is for others to say why
            _log.warning(
                "a lineage does not fold", stream=event.stream, version=event.version, error=str(error)
            )
            self._states[event.stream] = msgspec.structs.replace(state, version=event.version)
            self._taken[event.stream] = sys.maxsize
