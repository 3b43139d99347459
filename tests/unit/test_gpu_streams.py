"""What a device computes by itself is what NumPy's generator gives: tried with NumPy as the device's library."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from contracts.intervals import count_blocks
from contracts.statistics import flip_blocks, stream_key
from gpu_workers import arrays
from gpu_workers.streams import counts, device_counts, device_flips, flips, random_words


def whole(blocks: Iterator[Any]) -> NDArray[np.integer]:
    return np.concatenate(list(blocks))


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**128 - 1), st.integers(0, 2**40), st.integers(0, 40))
@example(0, 0, 1)
@example(2**128 - 1, 3, 9)
@example(2**64 - 1, 2**34, 4)
def test_words_are_those_of_numpys_generator(key: int, start: int, count: int) -> None:
    theirs = np.random.Philox(key=key)
    theirs.advance(start // 4)
    wanted = theirs.random_raw(start % 4 + count)[start % 4 :]
    assert np.array_equal(random_words(np, key, start, count), wanted)


@pytest.mark.parametrize("clusters", [1, 33, 64, 65, 130])
@pytest.mark.parametrize("rows", [1, 7, 100])
def test_flips_are_the_same_matrix(clusters: int, rows: int) -> None:
    found = whole(device_flips(np, "k", clusters, 50, rows))
    assert found.dtype == np.uint8
    assert np.array_equal(found, whole(flip_blocks("k", clusters, 50)))


@pytest.mark.parametrize(("clusters", "seeds"), [(1, 1), (7, 1), (20, 1), (300, 1), (7, 3), (90, 4)])
@pytest.mark.parametrize("rows", [1, 7, 100])
def test_counts_are_the_same_matrix(clusters: int, seeds: int, rows: int) -> None:
    found, wanted = device_counts(np, "k", clusters, seeds, 50, rows), count_blocks("k", clusters, seeds, 50)
    first, second = whole(found), whole(wanted)
    assert first.dtype == second.dtype
    assert np.array_equal(first, second)


def test_cupy_computes_the_same_words() -> None:
    device = arrays.choose("")
    if device.name != "cupy":
        pytest.skip(f"no GPU: {arrays.describe()['reason']}")
    key = stream_key("sign flip", "k")
    assert np.array_equal(device.get(random_words(device.xp, key, 5, 1000)), random_words(np, key, 5, 1000))
    for found, wanted in (
        (flips(device, "k", 70, 500, 90), flip_blocks("k", 70, 500)),
        (counts(device, "k", 70, 1, 500, 90), count_blocks("k", 70, 1, 500)),
        (counts(device, "k", 70, 3, 500, 90), count_blocks("k", 70, 3, 500)),
    ):
        assert np.array_equal(np.concatenate([device.get(block) for block in found]), whole(wanted))
