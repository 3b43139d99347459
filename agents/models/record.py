"""The calls of a store on record, and a model that is nothing but its record.

Every call of a campaign lies in its store's ledger, under the hash of what was asked of whom. Asked again, the record
gives the same reply, to the byte, with no network; asked what was never asked, it fails and says so, since a guess
would pass for the model.
"""

import json
from pathlib import Path
from typing import Self

import anyio

from agents.models.endpoint import fingerprint
from agents.models.errors import UnseenRequestError
from contracts import events as e
from contracts.calls import Call, Calls, call_key, fold, settled, unpack
from contracts.chat import ChatReply, ChatRequest
from contracts.ledger import stream_events
from eventstore.sqlite import SqliteStore


class CallRecord:
    """The answered calls of a store."""

    def __init__(self, store: Path, ledger: SqliteStore, blobs: dict[str, str]) -> None:
        self.store = store
        self._ledger = ledger
        self._blobs = blobs

    @classmethod
    async def open(cls, store: Path) -> Self:
        """Read where every answer lies. Raises LedgerError when there is no such store."""
        ledger = SqliteStore.read_only(store)
        blobs: dict[str, str] = {}
        for stream, _ in await ledger.streams("calls/"):
            state = Calls()
            async for envelope in stream_events(ledger, stream):
                made = settled(e.decode(envelope), state)
                blobs |= {reserved.call: each.blob for reserved, each in made if each.blob}
                state = fold(state, envelope)
        return cls(store, ledger, blobs)

    def __len__(self) -> int:
        return len(self._blobs)

    async def find(self, key: str, model: str, request: ChatRequest) -> Call:
        """The call of a key. Raises UnseenRequestError for what was never asked, or not answered."""
        if key not in self._blobs:
            last = request.messages[-1].content if request.messages else ""
            raise UnseenRequestError(
                f"{self.store} holds no call {key[:12]}: this was never asked of {model} while it was recorded "
                f"(the last message begins {json.dumps(last[:60])})"
            )
        return unpack(await self._ledger.get(self._blobs[key]))

    def close(self) -> None:
        """Let the store go."""
        self._ledger.close()


class RecordedModel:
    """A model that is nothing but its record."""

    def __init__(self, store: Path, spec: str) -> None:
        """Raises LedgerError when there is no such store.

        Args:
            store: whose calls.
            spec: which model, as `--model` named it then.
        """
        self._spec = spec
        self._record = anyio.run(CallRecord.open, store)

    @property
    def fingerprint(self) -> str:
        """That of the model whose calls these are."""
        return fingerprint(self._spec)

    def complete(self, request: ChatRequest) -> ChatReply:
        """The reply on record. Raises UnseenRequestError for what was never asked."""
        return anyio.run(self._record.find, call_key(self._spec, request), self._spec, request).reply
