"""Living through a lineage again: its state at any point, and whether all of it fits together."""

from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Literal

import msgspec

from contracts import events as e
from contracts.envelope import Envelope
from contracts.harness import departure
from contracts.ledger import Snapshot
from contracts.lineage import Lineage, fold, state_hash
from contracts.record import Record
from eventstore.audit.archive import Archive, Source, files, opened
from eventstore.audit.history import PREFIX, fold_or_blame, lineage_events
from eventstore.audit.verdicts import VERDICTS, examine
from eventstore.errors import LedgerError
from eventstore.snapshots import FOLDER, code, load, take
from eventstore.sqlite import SqliteStore

MOST_MISFITS = 100
"""Misfits that a report lists; the rest is only counted."""


class Misfit(Record):
    """An event that does not follow from what was before it."""

    position: int
    stream: str
    version: int
    type: str
    reason: str
    about: Literal["chain", "state", "decision"] = "decision"
    """The hash of the event itself, that of a state, or a verdict and what was made of it."""


class CheckReport(Record):
    """What living through every lineage again has shown."""

    streams: int
    events: int
    hashes: int
    """State hashes that were compared."""
    verdicts: int
    """Verdicts that were computed again."""
    unknown: int = 0
    """Events that this version could not understand; they are kept, and have no effect."""
    misfits: tuple[Misfit, ...] = ()
    more_misfits: int = 0

    @property
    def ok(self) -> bool:
        """Whether everything fits."""
        return not self.misfits

    @property
    def decisions(self) -> tuple[Misfit, ...]:
        """Verdicts, and what was made of them, that do not follow."""
        return tuple(misfit for misfit in self.misfits if misfit.about == "decision")

    @property
    def states_only(self) -> bool:
        """Whether chains, verdicts and decisions fit, and only states come out otherwise than they were recorded.

        Either an agent's fold depended on more than the ledger, or another version of Ratchet, whose states have
        other fields or other rules, lived through the campaign.
        """
        return bool(self.misfits) and all(misfit.about == "state" for misfit in self.misfits)

    @property
    def first(self) -> Misfit | None:
        """The first event that does not fit."""
        return self.misfits[0] if self.misfits else None


def replay(store: Source, name: str = "main", to: int | None = None) -> Lineage:
    """The state of a lineage, folded from nothing up to a position of the ledger (inclusive; None: the end).

    Raises:
        NotInLedger: there is no such lineage.
        Tampered: an event does not follow from the one before it.
    """
    state = Lineage()
    with opened(store) as archive:
        for envelope in lineage_events(archive, name):
            if to is not None and envelope.position > to:
                break
            state = fold_or_blame(state, envelope)
    return state


def check(store: Source) -> CheckReport:
    """Fold every lineage from nothing; compare every state hash, and compute every verdict again."""
    folder = store if isinstance(store, Path) else store.folder if isinstance(store, SqliteStore) else None
    with opened(store) as archive:
        walks = [
            _Walk(stream, archive, load(folder, stream) if folder else None)
            for stream in archive.streams(PREFIX)
        ]
        for walk in walks:
            walk.through(partial(archive.events, walk.stream))
    misfits = sorted((misfit for walk in walks for misfit in walk.misfits), key=lambda m: m.position)
    return CheckReport(
        streams=len(walks),
        events=sum(walk.events for walk in walks),
        hashes=sum(walk.hashes for walk in walks),
        verdicts=sum(walk.verdicts for walk in walks),
        unknown=sum(walk.state.unknown for walk in walks),
        misfits=tuple(misfits[:MOST_MISFITS]),
        more_misfits=max(0, len(misfits) - MOST_MISFITS),
    )


class _Walk:
    """A walk through one lineage."""

    def __init__(self, stream: str, archive: Archive, snapshot: Snapshot | None) -> None:
        self.stream = stream
        self.snapshot = snapshot if snapshot is not None and snapshot.code == code() else None
        self.archive = archive
        self.state = Lineage()
        self.asked: e.SealedQueried | None = None
        """What the sealed tasks said last, until something was made of it."""
        self.events = self.hashes = self.verdicts = 0
        self.misfits: list[Misfit] = []

    def through(self, envelopes: Callable[[], Iterable[Envelope]]) -> None:
        """Walk; twice over the events, so that a long lineage needs no more memory than a short one."""
        closed = (_decoded(envelope) for envelope in envelopes() if envelope.type == "RoundClosed")
        wanted = {event.state_version for event in closed if isinstance(event, e.RoundClosed)}
        found: dict[int, str] = {}
        for envelope in envelopes():
            self.events += 1
            event = _decoded(envelope)
            self._examine(envelope, event, found)
            try:
                self.state = fold(self.state, envelope)
            except Exception as error:
                # The folds of a sound ledger raise nothing, so it is the event that does not fit.
                self._blame(envelope, f"it cannot be folded: {error!r}", "chain")
                return
            if self.state.version in wanted:
                found[self.state.version] = state_hash(self.state)
            if self.snapshot is not None and self.snapshot.version == self.state.version:
                self._compare(self.snapshot, envelope)

    def _compare(self, snapshot: Snapshot, envelope: Envelope) -> None:
        self.hashes += 1
        if take(self.stream, self.state).state != snapshot.state:
            self._blame(
                envelope,
                f"the snapshot of version {snapshot.version} holds another state; it is of no use: delete "
                f"{FOLDER}/ in the store",
                "state",
            )

    def _examine(self, envelope: Envelope, event: e.Event, found: dict[int, str]) -> None:
        if not _sound(envelope):
            self._blame(envelope, "its fields do not have the hash that it names", "chain")
        if isinstance(event, VERDICTS):
            self.verdicts += 1
        try:
            reason = examine(event, self.state)
        except Exception as error:
            # Scores of a wrong shape, candidates that nobody planned: whatever it is, nothing follows from it.
            reason = f"nothing follows from it: {error!r}"
        reason = reason or self._growing(event, envelope) or self._releasing(event)
        if reason:
            self._blame(envelope, reason, "decision")
        elif other := self._closing(event, found):
            self._blame(envelope, other, "state")

    def _closing(self, event: e.Event, found: dict[int, str]) -> str | None:
        if not isinstance(event, e.RoundClosed):
            return None
        self.hashes += 1
        here = found.get(event.state_version)
        if here is None:
            return f"it names a state at version {event.state_version}, which was not there yet"
        if here != event.state_hash:
            return (
                f"the state at version {event.state_version} has the hash {here[:16]}… when folded from "
                f"nothing, not {event.state_hash[:16]}… as was recorded while living through it"
            )
        return None

    def _growing(self, event: e.Event, envelope: Envelope) -> str | None:
        """By how much a candidate is larger decides about it, and follows from its files."""
        if not isinstance(event, e.ChangeProposed) or b'"growth"' not in envelope.payload:
            return None  # events did not tell at first
        try:
            seed, old, new = (
                files(self.archive, t) for t in (self.state.seed_tree, event.parent, event.tree)
            )
        except LedgerError:
            return (
                None  # an archive of events alone; that no blob is missing or changed is what `verify` tells
            )
        growth = departure(new, seed) - departure(old, seed)
        if growth == event.growth:
            return None
        return f"a candidate's growth is recorded as {event.growth}, its files give {growth}"

    def _releasing(self, event: e.Event) -> str | None:
        if isinstance(event, e.SealedQueried):
            self.asked = event
        if not isinstance(event, e.HarnessReleased | e.ReleaseRefused):
            return None
        asked, self.asked = self.asked, None
        if asked is None or (asked.check, asked.head.tree) != (event.check, event.tree):
            return "a release was decided without asking the sealed tasks about this harness"
        if asked.verdict.passed != isinstance(event, e.HarnessReleased):
            return "the release was decided against its verdict"
        if isinstance(event, e.HarnessReleased) and event.estimate != asked.verdict.estimate_rounded:
            return "the release claims another effect than its verdict"
        return None

    def _blame(self, envelope: Envelope, reason: str, about: Literal["chain", "state", "decision"]) -> None:
        self.misfits.append(
            Misfit(
                position=envelope.position,
                stream=self.stream,
                version=envelope.version,
                type=envelope.type,
                reason=reason,
                about=about,
            )
        )


def _decoded(envelope: Envelope) -> e.Event:
    try:
        return e.decode(envelope)
    except (TypeError, ValueError) as error:  # the damage changed a field's very type
        return e.Unknown(type=str(envelope.type), reason=str(error))


def _sound(envelope: Envelope) -> bool:
    try:
        return envelope.sound
    except (TypeError, ValueError, OverflowError):
        return False


def state_facts(state: Lineage) -> dict[str, object]:
    """A state for JSON, with its hash."""
    facts: dict[str, object] = msgspec.to_builtins(state)
    return {"state_hash": state_hash(state), **facts}
