"""Packs fits into batches: buckets of one shape, cut until each fits into memory.

A fit is a row of three numbers: which configuration, which seed, which fold.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from gpu_workers.families.family import Family

Members: TypeAlias = NDArray[np.int64]
"""(members, 3): configuration, seed, fold."""

_FEATURES = 3
"""Copies of a fold's features that preparing and centring hold at once."""
_WORTH = 0.8
"""A cut has to bring every part below so much of the whole: a kernel's matrix is as large for fewer penalties."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Batch:
    """Fits of one bucket, by fold."""

    members: Members
    memory: int
    """Bytes that it is expected to take."""


@dataclass(frozen=True, kw_only=True)
class Shape:
    """What the members of a problem share, and the memory that there is."""

    family: Family
    rows: int
    columns: int
    outputs: int
    held_out: int
    """Rows of the fold that holds most out."""
    budget: int
    """Bytes that a batch may take."""
    together: int = 1
    """Folds that a batch keeps if it can: on a processor as many as there are cores."""
    formed: bool = True
    """Whether each fold's features are formed; a closed form does without, as long as its sums are sure."""

    def memory(self, members: Members, configuration: Mapping[str, Any]) -> int:
        """Bytes that these members take, the largest of whom has this configuration."""
        n, d = self.rows, self.columns
        folds = len(np.unique(members[:, 2]))
        features = _FEATURES * n * d if self.formed else n
        shared = 8 * folds * (features + self.held_out * d + 3 * min(n, d) ** 2)
        return shared + self.family.memory(n, d, self.outputs, self.held_out, len(members), configuration)


def plan(
    members: Members, configurations: Sequence[Mapping[str, Any]], shape: Shape
) -> tuple[list[Batch], int]:
    """Batches for all members, and how many cuts were made because a bucket did not fit.

    A batch that no cut makes much smaller stays whole.
    """
    numbers: dict[tuple[Any, ...], int] = {}
    bucket = np.array(
        [numbers.setdefault(shape.family.bucket(each), len(numbers)) for each in configurations],
        dtype=np.int64,
    )
    batches: list[Batch] = []
    cuts = 0
    for number in range(len(numbers)):
        mine = members[bucket[members[:, 0]] == number]
        if not len(mine):
            continue
        mine = mine[np.lexsort((mine[:, 1], mine[:, 0], mine[:, 2]))]
        used = np.unique(mine[:, 0])
        largest = configurations[max(used, key=lambda index: shape.memory(mine[:1], configurations[index]))]
        waiting = [mine]
        while waiting:
            some = waiting.pop()
            memory = shape.memory(some, largest)
            parts = halve(some, shape.together) if memory > shape.budget and len(some) > 1 else ()
            if parts and max(shape.memory(part, largest) for part in parts) <= _WORTH * memory:
                waiting += parts[::-1]
                cuts += 1
            else:
                batches.append(Batch(members=some, memory=memory))
    return batches, cuts


def halve(members: Members, together: int = 1) -> tuple[Members, Members]:
    """Two parts of at least two members.

    They are cut between folds, so that each fold's features are made once, as long as every part keeps so many
    folds `together`; then between configurations, then between seeds.
    """
    for column, least in ((2, 2 * together), (0, 2), (1, 2), (2, 2)):
        values = np.unique(members[:, column])
        if len(values) >= max(2, least):
            first = members[:, column] < values[len(values) // 2]
            return members[first], members[~first]
    raise ValueError("a single fit cannot be halved")
