"""A model behind the gateway, as agents ask it: over the bus, from a thread, and with whom the call is charged to."""

import time

import anyio.from_thread
import anyio.to_thread
import msgspec

from agents.models.endpoint import fingerprint
from agents.models.errors import (
    BudgetSpentError,
    EndpointMisconfiguredError,
    ModelError,
    ModelUnavailableError,
    RequestRefusedError,
    UnseenRequestError,
)
from bus.connection import Bus
from bus.errors import BusError, BusUnavailable, NoResponder, RequestTimeout
from contracts.calls import ModelAnswer, ModelRequest, unpack
from contracts.chat import ChatReply, ChatRequest
from contracts.models import Charge
from contracts.subjects import MODELS
from eventstore.client import LedgerClient

MESSAGE = 512 * 1024
"""Bytes of a request that goes into a message; a larger one goes by the ledger."""
LISTEN = 30.0
"""Seconds after which the same call is asked for again; the gateway joins it to the one under way."""
PATIENCE = 60.0
"""Seconds that nobody may be there to answer."""
PAUSE = 0.2


class RemoteModel:
    """The chat protocol over the bus. `complete` is called from a thread that anyio started."""

    def __init__(self, bus: Bus, spec: str, charge: Charge, *, patience: float = PATIENCE) -> None:
        self._bus = bus
        self._ledger = LedgerClient(bus)
        self._spec = spec
        self._charge = charge
        self._patience = patience

    @property
    def fingerprint(self) -> str:
        """The name under which the provider keeps the weights, and where."""
        return fingerprint(self._spec)

    def complete(self, request: ChatRequest) -> ChatReply:
        """Answer one request.

        Raises:
            RequestRefusedError: the endpoint does not take it, whenever it is asked.
            ModelUnavailableError: there was no answer, whatever was tried.
            EndpointMisconfiguredError: a person has to mend something; the campaign is paused.
            BudgetSpentError: no budget covers it; nothing was sent.
            UnseenRequestError: the campaign is replayed, and this was never asked.
        """
        return anyio.from_thread.run(self.ask, request)

    async def ask(self, request: ChatRequest) -> ChatReply:
        """The same for the event loop."""
        asked = ModelRequest(model=self._spec, charge=self._charge, request=request)
        data = msgspec.msgpack.encode(asked)
        if len(data) > MESSAGE:
            blob = await self._ledger.put(msgspec.json.encode(request))
            data = msgspec.msgpack.encode(msgspec.structs.replace(asked, request=None, blob=blob))
        answer = msgspec.msgpack.decode(await self._answer(data), type=ModelAnswer)
        if answer.kind:
            raise _error(answer)
        if answer.blob:
            return unpack(await self._ledger.get(answer.blob)).reply
        if answer.reply is None:
            raise ModelUnavailableError("the gateway's answer holds no reply")
        return answer.reply

    async def _answer(self, data: bytes) -> bytes:
        away_since: float | None = None
        while True:
            try:
                return await self._bus.request(MODELS, data, timeout=LISTEN)
            except RequestTimeout:
                away_since = None  # it is there, and the call takes its time
            except (NoResponder, BusUnavailable) as error:
                away_since = away_since or time.monotonic()
                if time.monotonic() - away_since > self._patience:
                    raise ModelUnavailableError(f"no gateway answers on the bus ({error})") from error
                await anyio.sleep(PAUSE)
            except BusError as error:
                raise ModelUnavailableError(f"the gateway failed: {error}") from error


def _error(answer: ModelAnswer) -> ModelError:
    kinds: dict[str, type[ModelError]] = {
        "refused": RequestRefusedError,
        "misconfigured": EndpointMisconfiguredError,
        "spent": BudgetSpentError,
        "unseen": UnseenRequestError,
    }
    return kinds.get(answer.kind, ModelUnavailableError)(answer.reason)
