"""What two sequences share at their ends."""

import pytest

from contracts.ends import common_ends, differing


@pytest.mark.parametrize(
    ("first", "second", "ends", "rest"),
    [
        ("abc", "abc", (3, 0), ("", "")),
        ("abc", "axc", (1, 1), ("b", "x")),
        ("aa", "aaa", (2, 0), ("", "a")),
        ("aba", "a", (1, 0), ("ba", "")),
        ("", "a", (0, 0), ("", "a")),
        ("ab", "cd", (0, 0), ("ab", "cd")),
    ],
)
def test_an_item_is_shared_once(
    first: str, second: str, ends: tuple[int, int], rest: tuple[str, str]
) -> None:
    assert common_ends(first, second) == ends
    assert differing(first, second) == rest
