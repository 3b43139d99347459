"""What two sequences begin and end with alike."""

from collections.abc import Sequence


def common_ends(first: Sequence[str], second: Sequence[str]) -> tuple[int, int]:
    """How many items two sequences share at their beginnings, and how many of the others at their ends."""
    shorter = min(len(first), len(second))
    start = 0
    while start < shorter and first[start] == second[start]:
        start += 1
    end = 0
    while end < shorter - start and first[-1 - end] == second[-1 - end]:
        end += 1
    return start, end


def differing(first: Sequence[str], second: Sequence[str]) -> tuple[Sequence[str], Sequence[str]]:
    """What is left of either without what they begin and end with alike."""
    start, end = common_ends(first, second)
    return first[start : len(first) - end], second[start : len(second) - end]
