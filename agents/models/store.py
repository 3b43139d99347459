"""Where the embedded model's frozen counts come from: a cache file, or training."""

import os
import tempfile
from pathlib import Path

from agents.models.embedded import counts
from agents.models.embedded.model import EmbeddedModel


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
        _write(cache, data)
    return data


def embedded_model(data: bytes) -> EmbeddedModel:
    """The model that encoded counts are the weights of.

    Raises:
        WeightsUnreadableError: The bytes are damaged or of another format.
    """
    return EmbeddedModel(counts.decode(data), counts.fingerprint(data))


def _write(path: Path, data: bytes) -> None:
    """Replace a file in one step, so that no reader ever sees half of it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=path.name)
    temporary = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
