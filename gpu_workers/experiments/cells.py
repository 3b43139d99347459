"""What is known of single fits from earlier jobs: scores, and predictions where they were asked for."""

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from numpy.typing import NDArray

CACHE_BYTES = 256 * 1024 * 1024
_SCORE = 300
"""Bytes that a score takes with its name, about."""


@dataclass(kw_only=True, eq=False)
class Known:
    """All that is known of a problem, by the names of cells: configuration, seed and fold in one text.

    Texts and numbers only, no objects: an experiment has many thousands of cells, and Python's collector would
    look at each object again and again.
    """

    scores: dict[str, dict[str, float | str]] = field(default_factory=dict)
    """Metric → cell → its score, or the reason why there is none."""
    predictions: dict[str, NDArray[Any]] = field(default_factory=dict)
    """Cell → (rows held out, outputs), on the host."""
    size: int = 0
    """Bytes, about."""


class CellCache:
    """The fits of earlier jobs of this process, by problem; the one not asked for the longest goes first."""

    def __init__(self, limit: int = CACHE_BYTES) -> None:
        self._limit = limit
        self._problems: OrderedDict[str, Known] = OrderedDict()

    def problem(self, name: str) -> Known:
        """All that is known of a problem."""
        found = self._problems.setdefault(name, Known())
        self._problems.move_to_end(name)
        return found

    def keep(
        self, name: str, scores: Mapping[str, dict[str, float | str]], predictions: Mapping[str, NDArray[Any]]
    ) -> None:
        """Add what became known of a problem."""
        known = self.problem(name)
        for metric, cells in scores.items():
            known.scores.setdefault(metric, {}).update(cells)
            known.size += _SCORE * len(cells)
        known.predictions.update(predictions)
        known.size += sum(values.nbytes for values in predictions.values())
        while self.held > self._limit:
            self._problems.popitem(last=False)

    @property
    def held(self) -> int:
        """Bytes, about."""
        return sum(known.size for known in self._problems.values())
