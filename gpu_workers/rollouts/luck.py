"""Random numbers of many lanes at once: each follows from its key and its counter, whatever is computed beside it.

Philox4x32-10 (Salmon and others, 2011) as whole-array arithmetic on integers, so NumPy and CuPy draw the same words.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from contracts.statistics import derive_seed
from gpu_workers.arrays import Arrays

Words: TypeAlias = tuple[Any, Any, Any, Any]

_ROUNDS = 10
_FACTORS = (0xD2511F53, 0xCD9E8D57)
_WEYL = (0x9E3779B9, 0xBB67AE85)
_MASK = 0xFFFFFFFF
_UNIT = 2.0**-32
_DRAWN = 4096
"""Numbers that are drawn ahead at least, where lanes are few: small arrays cost as much time as larger ones."""
_AHEAD = 64
"""Times four steps: how far ahead at most."""


class Purpose(IntEnum):
    """What a number is drawn for: the last word of the counter, so that no two uses share numbers."""

    BEGIN = 0
    """The first state of an episode."""
    WORLD = 1
    """What the environment does by chance at a step."""
    ACTION = 2
    WEIGHTS = 3
    """A policy's first weights."""
    BASELINE = 4
    CONTEXT = 5
    DRIFT = 6
    BELIEF = 7
    """What a bandit's policy draws from its beliefs."""


def philox(counter: Words, key: tuple[Any, Any]) -> Words:
    """Four words of 32 bits for every counter and key, which broadcast against each other.

    Counter and key are integers below 2**32: Python's, or arrays of uint64, which the words are too.
    """
    c0, c1, c2, c3 = counter
    k0, k1 = key
    for _ in range(_ROUNDS):
        first, second = c0 * _FACTORS[0], c2 * _FACTORS[1]
        c0, c1, c2, c3 = (
            (second >> 32) ^ c1 ^ k0,
            second & _MASK,
            (first >> 32) ^ c3 ^ k1,
            first & _MASK,
        )
        k0, k1 = (k0 + _WEYL[0]) & _MASK, (k1 + _WEYL[1]) & _MASK
    return c0, c1, c2, c3


def keys(seeds: Sequence[str], environment: bytes, stage: str) -> NDArray[np.uint64]:
    """The keys of members (members x 2) in one environment, which is named by its encoded record.

    Policies do not enter: with one seed all of them meet the same luck, so their comparison is paired. The stage
    keeps the luck of learning apart from that of the episodes which measure what was learnt.
    """
    digests = [int(derive_seed("rollout", stage, seed, environment.hex()), 16) for seed in seeds]
    return np.array([(digest >> 32, digest & _MASK) for digest in digests], dtype=np.uint64)


@dataclass(kw_only=True)
class Luck:
    """The random numbers of members x lanes; a lane is an episode, or a copy of an environment in training."""

    arrays: Arrays
    keys: NDArray[np.uint64]
    """Members x 2."""
    lanes: int
    first: int = 0
    """Number of the first lane, where these are part of more."""
    _key: tuple[Any, Any] = field(init=False)
    _lane: Any = field(init=False)
    _blocks: dict[Purpose, tuple[int, list[Any]]] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        put = self.arrays.put
        columns = np.ascontiguousarray(self.keys.T)
        self._key = (put(columns[0])[:, None], put(columns[1])[:, None])
        self._lane = put(np.arange(self.first, self.first + self.lanes, dtype=np.uint64))[None, :]

    def each(self, purpose: Purpose, time: int) -> Any:
        """One uniform number in (0, 1) for every lane at a time: members x lanes."""
        size = max(1, min(_AHEAD, _DRAWN // (len(self.keys) * self.lanes)))
        first = time // (4 * size) * size
        begun, words = self._blocks.get(purpose, (-1, None))
        if begun != first or words is None:
            times = self.arrays.xp.arange(first, first + size, dtype=np.uint64)[:, None, None]
            words = [unit(each) for each in philox((times, self._lane, 0, int(purpose)), self._key)]
            self._blocks[purpose] = (first, words)
        return words[time % 4][time // 4 - first]

    def several(self, purpose: Purpose, time: Any, count: int) -> list[Any]:
        """`count` uniform arrays of members x lanes; `time` is a number, or one for each lane."""
        found: list[Any] = []
        for number in range(-(-count // 4)):
            found += philox((time, self._lane, 1 + number, int(purpose)), self._key)
        return [unit(words) for words in found[:count]]

    def normals(self, purpose: Purpose, time: int, count: int) -> Any:
        """Standard normal numbers, members x count x lanes."""
        xp = self.arrays.xp
        pairs = -(-count // 2)
        drawn = self.several(purpose, time, 2 * pairs)
        found = xp.empty((len(self.keys), 2 * pairs, self.lanes))
        for number in range(pairs):
            pair = box_muller(xp, drawn[2 * number], drawn[2 * number + 1])
            found[:, 2 * number], found[:, 2 * number + 1] = pair
        return found[:, :count]

    def fours(self, purpose: Purpose, time: int, index: Any) -> list[Any]:
        """Four uniform arrays of members x indices x lanes; indices are whole numbers below 2**32."""
        key = (self._key[0][:, :, None], self._key[1][:, :, None])
        counter = (time, self._lane[:, None], index[None, :, None], int(purpose))
        return [unit(words) for words in philox(counter, key)]

    def at(self, member: Any, lane: Any) -> "Some":
        """The numbers of some lanes only, given by their members' and their own indices."""
        return Some(key=(self._key[0][member, 0], self._key[1][member, 0]), lane=self._lane[0, lane])

    def keep(self, members: NDArray[np.intp]) -> "Luck":
        """The same numbers for some of the members."""
        return Luck(arrays=self.arrays, keys=self.keys[members], lanes=self.lanes, first=self.first)


@dataclass(frozen=True, kw_only=True)
class Some:
    """The random numbers of some lanes: those that `Luck` has for them, in arrays with one number per lane."""

    key: tuple[Any, Any]
    lane: Any

    def several(self, purpose: Purpose, time: Any, count: int) -> list[Any]:
        """`count` uniform arrays."""
        found: list[Any] = []
        for number in range(-(-count // 4)):
            found += philox((time, self.lane, 1 + number, int(purpose)), self.key)
        return [unit(words) for words in found[:count]]

    def fours(self, purpose: Purpose, time: int, index: Any) -> list[Any]:
        """Four uniform arrays; every lane has an index of its own."""
        return [unit(words) for words in philox((time, self.lane, index, int(purpose)), self.key)]


def unit(words: Any) -> Any:
    """Words as numbers in (0, 1): neither end occurs."""
    return (words + 0.5) * _UNIT


def box_muller(xp: Any, first: Any, second: Any) -> tuple[Any, Any]:
    """Two standard normal numbers from two uniform ones. Source: Box and Muller (1958)."""
    radius = xp.sqrt(-2.0 * xp.log(first))
    angle = (2.0 * math.pi) * second
    return radius * xp.cos(angle), radius * xp.sin(angle)


def weights(seeds: Sequence[str], count: int, purpose: Purpose) -> NDArray[np.float64]:
    """Standard normal numbers on the host, members x count, that follow from the seeds alone."""
    found = []
    for seed in seeds:
        digest = int(derive_seed("rollout", "weights", int(purpose), seed), 16)
        key = (digest >> 32, digest & _MASK)
        counter = np.arange(-(-count // 4), dtype=np.uint64)
        u, v, w, z = (unit(words) for words in philox((counter, 0, 0, int(purpose)), key))
        rows = [*box_muller(np, u, v), *box_muller(np, w, z)]
        found.append(np.ascontiguousarray(np.stack(rows, axis=1).reshape(-1)[:count]))
    return np.stack(found)
