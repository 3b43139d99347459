"""Where a model of this process comes from: counts, an endpoint, or a record; small enough to be sent to a process."""

from pathlib import Path

import msgspec

from agents.config import Config
from contracts.chat import ChatReply, ChatRequest, Model
from contracts.record import Record


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

    def model(self) -> Model:
        """The model.

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
        return _Priced(self.spec, self.config)


class _Priced:
    """A model behind an endpoint, asked from here, whose replies say what they cost."""

    def __init__(self, spec: str, config: Config) -> None:
        from agents.models.gateway.ways import Ways

        self._way = Ways(config).to(spec)
        self.fingerprint = self._way.model.fingerprint

    def complete(self, request: ChatRequest) -> ChatReply:
        """Answer one request. Raises as `EndpointModel.ask` does."""
        asking = msgspec.structs.replace(request, max_tokens=request.max_tokens or self._way.max_tokens)
        reply = self._way.model.complete(asking)
        usage = msgspec.structs.replace(reply.usage, cost=self._way.price.cost(reply.usage))
        return msgspec.structs.replace(reply, usage=usage)
