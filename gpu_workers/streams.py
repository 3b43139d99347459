"""Random signs and draws where they are needed: from NumPy's generator on the host, computed in place on a device.

Philox is counter-based: word i of a stream follows from the key and from i. So a device computes the very bits that
NumPy's generator gives, in whole-number arithmetic, and nothing random has to be carried to it.

Source: J. Salmon and others, Parallel Random Numbers: As Easy as 1, 2, 3 (2011), Philox4x64-10.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np

from contracts.intervals import count_blocks
from contracts.statistics import flip_blocks, stream_key
from gpu_workers.arrays import Arrays

_WORD = (1 << 64) - 1
_HALF = np.uint64(0xFFFFFFFF)
_SHIFT = np.uint64(32)
_MULTIPLIERS = (0xD2E7470EE14C6C93, 0xCA5A826395121157)
_BUMPS = (0x9E3779B97F4A7C15, 0xBB67AE8584CAA73B)
_ROUNDS = 10


def flips(arrays: Arrays, key: str, clusters: int, resamples: int, rows: int) -> Iterator[Any]:
    """`flip_blocks` on the device."""
    if arrays.name == "numpy":
        return flip_blocks(key, clusters, resamples, rows)
    return device_flips(arrays.xp, key, clusters, resamples, rows)


def counts(arrays: Arrays, key: str, clusters: int, seeds: int, resamples: int, rows: int) -> Iterator[Any]:
    """`count_blocks` on the device."""
    if arrays.name == "numpy":
        return count_blocks(key, clusters, seeds, resamples, rows)
    return device_counts(arrays.xp, key, clusters, seeds, resamples, rows)


def device_flips(xp: Any, key: str, clusters: int, resamples: int, rows: int) -> Iterator[Any]:
    """The blocks of `flip_blocks`, by whatever library `xp` is."""
    stream, words = stream_key("sign flip", key), -(-clusters // 64)
    bits = xp.arange(64, dtype=np.uint64)
    for start, count in _spans(resamples, rows):
        raw = random_words(xp, stream, start * words, count * words).reshape(count, words, 1)
        yield ((raw >> bits) & np.uint64(1)).astype(np.uint8).reshape(count, 64 * words)[:, :clusters]


def device_counts(xp: Any, key: str, clusters: int, seeds: int, resamples: int, rows: int) -> Iterator[Any]:
    """The blocks of `count_blocks`, by whatever library `xp` is."""
    cells = clusters * seeds
    stream = stream_key("bootstrap" if seeds == 1 else "paired bootstrap", key)
    words = -(-(clusters if seeds == 1 else clusters + cells) // 2)
    kind = np.uint8 if cells < 256 else np.uint16
    for start, count in _spans(resamples, rows):
        raw = random_words(xp, stream, start * words, count * words).reshape(count, words, 1)
        halves = xp.concatenate((raw & _HALF, raw >> _SHIFT), axis=2).reshape(count, 2 * words)
        flat = (halves[:, :clusters] * np.uint64(clusters)) >> _SHIFT
        if seeds > 1:
            within = (halves[:, clusters : clusters + cells] * np.uint64(seeds)) >> _SHIFT
            flat = xp.repeat(flat * np.uint64(seeds), seeds, axis=1) + within
        flat = flat.astype(np.int64) + cells * xp.arange(count, dtype=np.int64)[:, None]
        yield xp.bincount(flat.ravel(), minlength=count * cells).reshape(count, cells).astype(kind)


def random_words(xp: Any, key: int, start: int, count: int) -> Any:
    """Words `start` to `start + count` of NumPy's Philox stream of a key, 64 bits each.

    Args:
        xp: the array library.
        key: 128 bits.
        start: the first word.
        count: how many.
    """
    first = start // 4
    blocks = -(-(start + count) // 4) - first
    zeros = xp.zeros(blocks, dtype=np.uint64)
    numbers = [
        xp.arange(first + 1, first + 1 + blocks, dtype=np.uint64),
        zeros,
        zeros,
        zeros,
    ]  # NumPy begins at 1
    keys = [key & _WORD, key >> 64]
    for _ in range(_ROUNDS):
        low_high = [_product(numbers[2 * side], _MULTIPLIERS[side]) for side in (0, 1)]
        (low0, high0), (low1, high1) = low_high
        numbers = [
            high1 ^ numbers[1] ^ np.uint64(keys[0]),
            low1,
            high0 ^ numbers[3] ^ np.uint64(keys[1]),
            low0,
        ]
        keys = [(each + bump) & _WORD for each, bump in zip(keys, _BUMPS, strict=True)]
    return xp.stack(numbers, axis=1).ravel()[start - 4 * first :][:count]


def _product(numbers: Any, factor: int) -> tuple[Any, Any]:
    """Low and high 64 bits of the 128-bit products of `numbers` with a factor."""
    small, large = np.uint64(factor & 0xFFFFFFFF), np.uint64(factor >> 32)
    low, high = numbers & _HALF, numbers >> _SHIFT
    carry = high * small + ((low * small) >> _SHIFT)
    other = low * large + (carry & _HALF)
    return numbers * np.uint64(factor), high * large + (carry >> _SHIFT) + (other >> _SHIFT)


def _spans(total: int, rows: int) -> Iterator[tuple[int, int]]:
    for start in range(0, total, rows):
        yield start, min(rows, total - start)
