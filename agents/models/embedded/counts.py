"""The frozen weights: how often every sequence of a few normalized tokens occurs in the corpus."""

import hashlib
import zlib
from collections.abc import Sequence
from functools import cached_property

import msgspec
import numpy as np
from numpy.typing import NDArray

from agents.models.embedded import corpus
from agents.models.embedded.head import HEAD, KINDS, REVISION
from agents.models.errors import WeightsUnreadableError
from contracts.record import Record

ORDER = 5
"""Tokens of the longest sequence that is counted."""
START, UNKNOWN = 0, 1
"""The token before the first one of a file, and the one for whatever the corpus does not hold."""
_BITS = np.uint64(12)
_FORMAT = "ratchet-counts-1"

Ids = NDArray[np.int64]


class _Stored(Record, frozen=True):
    """The layout of the encoded counts."""

    format: str
    order: int
    modules: tuple[str, ...]
    vocabulary: tuple[str, ...]
    kept: tuple[str, ...]
    steps: bytes
    """Differences of the sorted keys, as little-endian 64-bit integers, all first bytes first."""
    times: bytes
    """How often each sequence occurs, as little-endian 32-bit integers, likewise."""


class _Level:
    """Sequences of one length: what follows each context, how often, and how many different tokens do."""

    def __init__(self, keys: NDArray[np.uint64], times: NDArray[np.int64]) -> None:
        self.keys = keys
        self.times = times
        contexts = keys >> _BITS
        first = np.flatnonzero(np.r_[True, contexts[1:] != contexts[:-1]])
        self.contexts = contexts[first]
        self.totals = np.add.reduceat(times, first)
        self.kinds = np.diff(np.r_[first, len(contexts)])


def _merged(
    keys: NDArray[np.uint64], times: NDArray[np.int64]
) -> tuple[NDArray[np.uint64], NDArray[np.int64]]:
    order = np.argsort(keys, kind="stable")
    keys, times = keys[order], times[order]
    first = np.flatnonzero(np.r_[True, keys[1:] != keys[:-1]])
    return keys[first], np.add.reduceat(times, first)


class Counts:
    """N-gram counts over normalized tokens, interpolated (Witten-Bell) down to the uniform distribution."""

    def __init__(
        self,
        modules: Sequence[str],
        vocabulary: Sequence[str],
        kept: frozenset[str],
        keys: NDArray[np.uint64],
        times: NDArray[np.int64],
    ) -> None:
        self.modules = tuple(modules)
        self.vocabulary = tuple(vocabulary)
        self.kept = kept
        self.keys = keys
        self.times = times
        self._ids = {token: i for i, token in enumerate(self.vocabulary)}

    def ids(self, tokens: Sequence[str]) -> list[int]:
        """Numbers of normalized tokens."""
        get = self._ids.get
        return [get(token, UNKNOWN) for token in tokens]

    @cached_property
    def _levels(self) -> tuple[_Level, ...]:
        levels = [_Level(self.keys, self.times)]
        for length in range(ORDER - 1, 0, -1):
            mask = np.uint64((1 << (int(_BITS) * length)) - 1)
            levels.append(_Level(*_merged(levels[-1].keys & mask, levels[-1].times)))
        return tuple(reversed(levels))

    def log_probability(self, windows: Ids) -> NDArray[np.float64]:
        """Natural log-probability of the last token of each window, given those before it.

        `windows` has the shape (n, ORDER); the result has the shape (n,).
        """
        probability = np.full(len(windows), 1.0 / len(self.vocabulary))
        parts = windows.astype(np.uint64)
        for length, level in enumerate(self._levels, start=1):
            key = np.zeros(len(windows), dtype=np.uint64)
            for column in range(ORDER - length, ORDER):
                key = (key << _BITS) | parts[:, column]
            at = np.minimum(np.searchsorted(level.keys, key), len(level.keys) - 1)
            times = np.where(level.keys[at] == key, level.times[at], 0)
            context = key >> _BITS
            at = np.minimum(np.searchsorted(level.contexts, context), len(level.contexts) - 1)
            known = level.contexts[at] == context
            totals, kinds = level.totals[at], level.kinds[at]
            probability = np.where(known, (times + kinds * probability) / (totals + kinds), probability)
        logs: NDArray[np.float64] = np.log(probability)
        return logs


def train(source: corpus.Corpus | None = None) -> Counts:
    """Count the corpus. Deterministic for one version of the interpreter; takes a second or two."""
    read = source or corpus.read()
    words = sorted({token for sequence in read.tokens for token in sequence})
    vocabulary = ["<start>", "<unknown>", *words][: 1 << int(_BITS)]
    numbers = {token: i for i, token in enumerate(vocabulary)}
    padding = [START] * (ORDER - 1)
    keys = []
    for sequence in read.tokens:
        ids = np.array(padding + [numbers.get(token, UNKNOWN) for token in sequence], dtype=np.uint64)
        key = np.zeros(len(sequence), dtype=np.uint64)
        for offset in range(ORDER):
            key = (key << _BITS) | ids[offset : offset + len(sequence)]
        keys.append(key)
    together = np.concatenate(keys)
    merged, times = _merged(together, np.ones(len(together), dtype=np.int64))
    return Counts(read.modules, vocabulary, read.kept, merged, times)


def encode(counts: Counts) -> bytes:
    """The counts as compressed bytes: the blob that every process of a store shares."""
    steps = np.diff(counts.keys, prepend=np.uint64(0)).astype("<u8")
    times = counts.times.astype("<u4")
    stored = _Stored(
        format=_FORMAT,
        order=ORDER,
        modules=counts.modules,
        vocabulary=counts.vocabulary,
        kept=tuple(sorted(counts.kept)),
        steps=steps.view(np.uint8).reshape(-1, 8).T.tobytes(),
        times=times.view(np.uint8).reshape(-1, 4).T.tobytes(),
    )
    return zlib.compress(msgspec.msgpack.encode(stored), 6)


def decode(data: bytes) -> Counts:
    """Read what `encode` wrote.

    Raises:
        WeightsUnreadableError: The bytes are damaged or of another format.
    """
    try:
        stored = msgspec.msgpack.decode(zlib.decompress(data), type=_Stored)
    except (zlib.error, msgspec.MsgspecError) as error:
        raise WeightsUnreadableError(f"These are not the counts of an embedded model: {error}.") from error
    if (stored.format, stored.order) != (_FORMAT, ORDER):
        raise WeightsUnreadableError(
            f"The counts have format {stored.format!r}, order {stored.order}; this version reads "
            f"{_FORMAT!r}, order {ORDER}. Use the version of Ratchet that made them, or start a new store."
        )
    steps = np.ascontiguousarray(np.frombuffer(stored.steps, np.uint8).reshape(8, -1).T).view("<u8")[:, 0]
    times = np.ascontiguousarray(np.frombuffer(stored.times, np.uint8).reshape(4, -1).T).view("<u4")[:, 0]
    keys = np.cumsum(steps, dtype=np.uint64)
    return Counts(stored.modules, stored.vocabulary, frozenset(stored.kept), keys, times.astype(np.int64))


def fingerprint(data: bytes) -> str:
    """The identity of the weights: SHA-256 over encoded counts, code revision and fixed head parameters.

    It is taken over what the bytes unpack to, so that another compressor gives the same identity.
    """
    try:
        content = zlib.decompress(data)
    except zlib.error as error:
        raise WeightsUnreadableError(f"These are not the counts of an embedded model: {error}.") from error
    fixed = msgspec.json.encode((REVISION, HEAD, KINDS), order="deterministic")
    return hashlib.sha256(content + b"\0" + fixed).hexdigest()
