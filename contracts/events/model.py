"""The event of a store's frozen model: stream `model/embedded`."""

from contracts.events.base import Event


class ModelTrained(Event):
    """The model's counts were made, once for this store; every process fetches them from here."""

    name: str
    fingerprint: str
    blob: str
    interpreter: str
    """Version of Python whose standard library was read."""
    modules: int
    """How many modules were read."""
