"""Models: one protocol (`contracts.chat.Model`), several implementations.

`load_or_train` finds the embedded model's frozen counts or makes them, and `embedded_model` makes a model of
them. Both are imported when they are first asked for, so that importing `agents.models` costs nothing.
"""

from typing import TYPE_CHECKING, Any

from agents.models.errors import (
    ModelError,
    ModelUnavailableError,
    RequestRefusedError,
    WeightsUnreadableError,
)

if TYPE_CHECKING:
    from agents.models.embedded.model import EmbeddedModel
    from agents.models.store import embedded_model, load_or_train

__all__ = [
    "EmbeddedModel",
    "ModelError",
    "ModelUnavailableError",
    "RequestRefusedError",
    "WeightsUnreadableError",
    "embedded_model",
    "load_or_train",
]


def __getattr__(name: str) -> Any:
    """Import the embedded model only for those who use it."""
    if name == "EmbeddedModel":
        from agents.models.embedded.model import EmbeddedModel

        return EmbeddedModel
    if name in ("embedded_model", "load_or_train"):
        from agents.models import store

        return getattr(store, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
