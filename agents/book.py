"""What an agent knows of the ledger: every stream of a category, folded as far as it has heard."""

from typing import Generic

from agents.categories import Category, S
from contracts.envelope import Envelope
from contracts.ledger import stream_events
from eventstore.client import LedgerClient


class Book(Generic[S]):
    """The folded streams of one category."""

    def __init__(self, ledger: LedgerClient, category: Category[S]) -> None:
        self.ledger = ledger
        self.category = category
        self.states: dict[str, S] = {}
        self.forgotten: dict[str, int] = {}
        self.stale: set[str] = set()

    def hear(self, envelope: Envelope) -> None:
        """Fold an event that came over the bus if it is the next one; otherwise note that the ledger has more."""
        stream = envelope.stream
        state = self.states.get(stream, self.category.empty)
        if stream in self.forgotten or envelope.version <= state.version:
            return
        if not envelope.sound:
            self.stale.add(stream)
            return
        try:
            self.states[stream] = self.category.fold(state, envelope)
        except ValueError:
            self.stale.add(stream)
        self._forget(stream)

    async def catch_up(self, stream: str) -> S:
        """Fold what the ledger holds beyond what is known."""
        if stream not in self.states and self.category.restore is not None:
            restored = await self.category.restore(self.ledger, stream)
            self.states.setdefault(stream, restored)
        known = self.states.get(stream, self.category.empty).version
        async for envelope in stream_events(self.ledger, stream, after=known):
            current = self.states.get(stream, self.category.empty)
            if envelope.version == current.version + 1:  # an event may have been heard meanwhile
                self.states[stream] = self.category.fold(current, envelope)
        return self.states.get(stream, self.category.empty)

    async def refresh(self) -> None:
        """Read what is known to be missing."""
        for stream in tuple(self.stale):
            await self.catch_up(stream)
            self.stale.discard(stream)
            self._forget(stream)

    async def survey(self) -> None:
        """Ask the ledger how far every stream is: a wake-up may have been lost, or this is the beginning."""
        for stream, version in await self.ledger.streams(self.category.prefix):
            known = self.states.get(stream, self.category.empty).version
            if version > max(known, self.forgotten.get(stream, 0)):
                self.stale.add(stream)
        await self.refresh()

    def _forget(self, stream: str) -> None:
        state = self.states.get(stream)
        if state is not None and self.category.finished(state):
            self.forgotten[stream] = state.version
            del self.states[stream]
