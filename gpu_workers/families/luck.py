"""Random numbers of models: counter-based words under a key, so neither packing nor library changes them.

Only raw words are taken, which NumPy promises to keep; what becomes of them is written here.
"""

import numpy as np
from numpy.typing import NDArray

from contracts.statistics import derive_seed


def words(count: int, *key: object) -> NDArray[np.uint64]:
    """So many words of the stream of a key."""
    found: NDArray[np.uint64] = np.random.Philox(key=int(derive_seed(*key), 16)).random_raw(count)
    return found


def uniforms(count: int, *key: object) -> NDArray[np.float64]:
    """Numbers in (0, 1), at the middles of 2**53 steps."""
    return ((words(count, *key) >> np.uint64(11)).astype(np.float64) + 0.5) * 2.0**-53


def normals(count: int, *key: object) -> NDArray[np.float64]:
    """Standard normal numbers, in pairs by Box and Muller."""
    half = (count + 1) // 2
    first, second = uniforms(2 * half, *key).reshape(2, half)
    radius = np.sqrt(-2 * np.log(first))
    pairs = np.stack([radius * np.cos(2 * np.pi * second), radius * np.sin(2 * np.pi * second)], axis=1)
    return pairs.reshape(-1)[:count]


def order(rows: NDArray[np.int64], count: int, *key: object) -> NDArray[np.int64]:
    """Some of `count` rows in an order that is the same for a row whichever others are among them."""
    return rows[np.argsort(words(count, *key)[rows], kind="stable")]
