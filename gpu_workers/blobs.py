"""Blobs of the ledger, over the bus: data sets to read, results to leave that are too large for a message."""

import asyncio

import msgspec

from bus.connection import Bus
from bus.errors import BusUnavailable, JobFailed, NoResponder, RequestFailed, RequestTimeout
from contracts.envelope import blob_hash
from contracts.ledger import CHUNK, BlobChunk, BlobGet, BlobList, BlobPut, LedgerReply, LedgerRequest, Refusal
from contracts.subjects import LEDGER_API

PATIENCE = 10.0
"""Seconds that a ledger service has to answer before the job goes back to the queue."""
_PARALLEL = 4

_decoder: msgspec.msgpack.Decoder[LedgerReply] = msgspec.msgpack.Decoder(LedgerReply)


class Blobs:
    """Reads and writes blobs by the ledger service of a bus."""

    def __init__(self, bus: Bus, *, patience: float = PATIENCE) -> None:
        self._bus = bus
        self._patience = patience

    async def get(self, name: str) -> bytes:
        """The bytes of a blob, checked against their hash.

        Raises:
            JobFailed: the ledger does not have it; or no ledger answers, then to be retried.
        """
        first = await self._chunk(name, 0)
        pieces = [first.data]
        for start in range(1, first.total, _PARALLEL):
            some = range(start, min(start + _PARALLEL, first.total))
            pieces += [
                chunk.data for chunk in await asyncio.gather(*(self._chunk(name, index) for index in some))
            ]
        data = b"".join(pieces)
        if blob_hash(data) != name:
            raise JobFailed(
                f"the ledger answered other bytes than those of blob {name}; see `ratchet verify`"
            )
        return data

    async def put(self, data: bytes) -> str:
        """Store bytes and return their name.

        Raises:
            JobFailed: the ledger refuses; or none answers, then to be retried.
        """
        name = blob_hash(data)
        total = max(1, -(-len(data) // CHUNK))
        for index in range(total):
            piece = data[index * CHUNK : (index + 1) * CHUNK]
            reply = await self._ask(BlobPut(hash=name, index=index, total=total, data=piece))
        if not isinstance(reply, BlobList) or not reply.hashes:
            raise JobFailed("the ledger service was restarted while a blob was stored", retry=True)
        return name

    async def _chunk(self, name: str, index: int) -> BlobChunk:
        reply = await self._ask(BlobGet(hash=name, index=index))
        if not isinstance(reply, BlobChunk):
            raise JobFailed(f"the ledger answered a {type(reply).__name__} for blob {name}")
        return reply

    async def _ask(self, request: LedgerRequest) -> LedgerReply:
        subject = f"{LEDGER_API}.{request.__struct_config__.tag}"
        try:
            data = await self._bus.request_until(
                subject, msgspec.msgpack.encode(request), deadline=self._patience
            )
            reply = _decoder.decode(data)
        except (NoResponder, RequestTimeout, BusUnavailable) as error:
            raise JobFailed(
                f"no ledger answers, and the job needs it for a blob: {error}", retry=True
            ) from error
        except (RequestFailed, msgspec.MsgspecError) as error:
            raise JobFailed(str(error)) from error
        if isinstance(reply, Refusal):
            raise JobFailed(
                f"the ledger refused: {reply.message}", retry=reply.kind in {"closed", "internal", "full"}
            )
        return reply
