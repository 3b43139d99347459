"""What can be said of a harness by looking at its files: how complex it is."""

import difflib
from collections.abc import Mapping


def departure(tree: Mapping[str, bytes], seed: Mapping[str, bytes]) -> int:
    """How complex a harness has become: the words on all lines in which it departs from its seed.

    Words that were added and words that were taken away both count, so that undoing a change always makes a harness
    simpler, and thinning out the seed never does.
    """
    paths = [path for path in {*tree, *seed} if tree.get(path) != seed.get(path)]
    return sum(_differing(tree.get(path, b""), seed.get(path, b"")) for path in paths)


def _differing(one: bytes, other: bytes) -> int:
    ours, theirs = one.splitlines(), other.splitlines()
    codes = difflib.SequenceMatcher(None, ours, theirs, autojunk=False).get_opcodes()
    lines = [line for kind, a, b, c, d in codes if kind != "equal" for line in (*ours[a:b], *theirs[c:d])]
    return sum(len(line.split()) for line in lines)
