"""Signing on request, whoever holds the ledger at that moment."""

import asyncio
from pathlib import Path

from contracts.ledger import Signed
from eventstore.errors import StoreLocked
from eventstore.signing import Signer
from eventstore.sqlite import SqliteStore


def sign(folder: Path, url: str = "") -> Signed:
    """Sign a checkpoint in a store: here if nobody serves it, else by its service, on the bus at `url`.

    Raises:
        StoreMissing, NotAStore, StoreTooNew, StoreReadOnly, StoreFull: it cannot be signed.
        LedgerUnavailable: somebody holds the store, and does not answer.
    """
    return asyncio.run(_sign(folder, url))


async def _sign(folder: Path, url: str) -> Signed:
    try:
        store = await asyncio.to_thread(SqliteStore.open, folder)
    except StoreLocked:
        from eventstore.client import sign_at
        from eventstore.serving import bus_url

        return await sign_at(bus_url(folder, url))
    async with store:
        signed = await Signer(store).sign()
    return Signed(position=signed.position, checkpoint=signed.checkpoint, key=signed.key)
