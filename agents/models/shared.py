"""The store's one model: its counts lie in the ledger, made once, and every process fetches them from there."""

import platform
from pathlib import Path

import anyio

from agents.models.embedded import corpus
from agents.models.embedded.model import EmbeddedModel
from agents.models.errors import ModelUnavailableError
from agents.models.store import embedded_model, load_or_train
from contracts import events as e
from contracts.ledger import EventStore
from eventstore.client import LedgerClient
from eventstore.errors import Conflict
from eventstore.sqlite import SqliteStore

STREAM = "model/embedded"


async def model_event(ledger: EventStore) -> e.ModelTrained | None:
    """The event that says which model this store has; None before the first use."""
    page = await ledger.read(STREAM, limit=1)
    event = e.decode(page.events[0]) if page.events else None
    return event if isinstance(event, e.ModelTrained) else None


async def ensure_model(ledger: LedgerClient, *, actor: str) -> e.ModelTrained:
    """Train the store's model unless it has one; of two that try, the first stands."""
    found = await model_event(ledger)
    if found is not None:
        return found
    data = await anyio.to_thread.run_sync(load_or_train)
    model = embedded_model(data)
    event = e.ModelTrained(
        name="embedded",
        fingerprint=model.fingerprint,
        blob=await ledger.put(data),
        interpreter=platform.python_version(),
        modules=len(corpus.MODULES),
    )
    new = e.encode(event, duty=f"{STREAM}/{event.fingerprint}", index=0, actor=actor, correlation=STREAM)
    try:
        await ledger.append(STREAM, 0, [new])
    except Conflict:
        stored = await model_event(ledger)
        if stored is not None:
            return stored
        raise
    return event


async def stored_counts(store: Path) -> bytes:
    """The counts of a store's model, read from its file without a service.

    Raises:
        LedgerError: there is no such store.
        ModelUnavailableError: it has no model.
    """
    async with SqliteStore.read_only(store) as ledger:
        event = await model_event(ledger)
        if event is None:
            raise ModelUnavailableError(f"{store} holds no embedded model: none of its campaigns used it")
        return await ledger.get(event.blob)


async def load_model(ledger: LedgerClient) -> EmbeddedModel:
    """The store's model, from its counts in the ledger, whatever machine this is.

    Raises:
        ModelUnavailableError: the store has none yet, or its counts are not the ones that the ledger names.
    """
    event = await model_event(ledger)
    if event is None:
        raise ModelUnavailableError("the ledger holds no model yet; `ratchet run` or `ratchet eval` make it")
    data = await ledger.get(event.blob)
    model = await anyio.to_thread.run_sync(embedded_model, data)
    if model.fingerprint != event.fingerprint:
        raise ModelUnavailableError(
            f"the model's fingerprint here is {model.fingerprint[:12]} and the ledger says "
            f"{event.fingerprint[:12]}: this Ratchet is of another version than the one that made the store; "
            "use that version, or a new store"
        )
    return model
