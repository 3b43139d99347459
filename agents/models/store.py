"""Where the embedded model's frozen counts come from: a cache file, or training."""

from pathlib import Path

from agents.models.embedded import counts
from agents.models.embedded.model import EmbeddedModel
from agents.models.files import replace


def load_or_train(cache: Path | None = None) -> bytes:
    """The encoded counts: read from the cache file if there is one, else trained and written there.

    Raises:
        WeightsUnreadableError: The cache file is damaged or of another format.
    """
    if cache is not None and cache.is_file():
        data = cache.read_bytes()
        counts.decode(data)
        return data
    data = counts.encode(counts.train())
    if cache is not None:
        replace(cache, data)
    return data


def embedded_model(data: bytes) -> EmbeddedModel:
    """The model that encoded counts are the weights of.

    Raises:
        WeightsUnreadableError: The bytes are damaged or of another format.
    """
    return EmbeddedModel(counts.decode(data), counts.fingerprint(data))
