"""Events about models: the store's own in the stream `model/embedded`, endpoints in `model/<hash of the name>`."""

from contracts.events.base import Event
from contracts.models import Finding


class ModelTrained(Event):
    """The model's counts were made, once for this store; every process fetches them from here."""

    name: str
    fingerprint: str
    blob: str
    interpreter: str
    """Version of Python whose standard library was read."""
    modules: int
    """How many modules were read."""


class ModelProbed(Event):
    """An endpoint was asked what it honours."""

    model: str
    """As `--model` names it."""
    fingerprint: str
    """SHA-256 over what it honours."""
    findings: tuple[Finding, ...]
    unsupported: tuple[str, ...] = ()
    """Decoding parameters that it does not honour."""

    @property
    def calls_tools(self) -> bool:
        """Whether it calls tools, as far as could be told."""
        return not any(
            each.name == "tools" and each.state in ("ignored", "refused") for each in self.findings
        )
