"""Where a model of this process comes from: counts, an endpoint, or a record; small enough to be sent to a process."""

from contextlib import nullcontext
from multiprocessing.context import SpawnContext
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from agents.config import Config
from agents.models.errors import ModelUnavailableError
from contracts.chat import ChatReply, ChatRequest, Model, ModelFacts
from contracts.record import Record

if TYPE_CHECKING:
    from agents.models.meter import Meter


class ModelSource(Record):
    """One of three: the embedded model's counts, an endpoint, or a store whose calls are on record."""

    counts: bytes = b""
    spec: str = ""
    """A model behind an endpoint, as `--model` names it."""
    recorded: str = ""
    """The store whose calls answer for that endpoint."""
    config: Config = Config()

    @property
    def fingerprint(self) -> str:
        """Of the model, without asking it."""
        from agents.models.endpoint import fingerprint
        from agents.models.store import embedded_model

        return fingerprint(self.spec) if self.spec else embedded_model(self.counts).fingerprint

    @property
    def facts(self) -> ModelFacts | None:
        """What ratchet.toml says of the model, if anything."""
        return self.config.facts(self.spec) if self.spec else None

    def meter(self, context: SpawnContext) -> "Meter | None":
        """What the processes that ask the endpoint share; None where none is asked."""
        from agents.models.endpoint import parse
        from agents.models.meter import Meter

        if not self.spec or self.recorded:
            return None
        return Meter(self.config.endpoint(parse(self.spec).url), self.config.budget, context)

    def model(self, meter: "Meter | None" = None) -> Model:
        """The model; calls of an endpoint keep what the meter counts.

        Raises:
            ModelError: it cannot be made.
            LedgerError: there is no such store.
        """
        from agents.models.store import embedded_model

        if not self.spec:
            return embedded_model(self.counts)
        if self.recorded:
            from agents.models.record import RecordedModel

            return RecordedModel(Path(self.recorded), self.spec)
        return _Metered(self.spec, self.config, meter)


class _Metered:
    """A model behind an endpoint, asked from here, whose replies say what they cost."""

    def __init__(self, spec: str, config: Config, meter: "Meter | None") -> None:
        from agents.models.gateway.ways import Ways

        self._way = Ways(config, on_wait=meter.hold if meter else None).to(spec)
        self._meter = meter
        self.fingerprint = self._way.model.fingerprint

    def complete(self, request: ChatRequest) -> ChatReply:
        """Answer one request. Raises as `EndpointModel.ask` does, and BudgetSpentError where no budget covers it."""
        from agents.models.gateway.budget import most_input_tokens

        asking = msgspec.structs.replace(request, max_tokens=request.max_tokens or self._way.max_tokens)
        most = most_input_tokens(asking)
        bound = self._way.price.bound(most, asking.max_tokens)
        with self._meter.call(most + asking.max_tokens, bound) if self._meter else nullcontext() as call:
            try:
                answered = self._way.model.ask(asking)
            except ModelUnavailableError as error:
                if call is not None:
                    call.cost = error.lost * bound
                raise
            usage = answered.reply.usage
            paid = self._way.price.cost(usage)
            if call is not None:
                call.cost = paid + answered.lost * bound
        return msgspec.structs.replace(answered.reply, usage=msgspec.structs.replace(usage, cost=paid))
