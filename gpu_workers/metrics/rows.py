"""What a metric's kernel is given, and what it answers."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from contracts.datasets import Target


@dataclass(frozen=True, kw_only=True)
class Undefined:
    """A score that does not exist, such as the AUC of rows of one class, and why."""

    reason: str


Fault: TypeAlias = tuple[Any, str]
"""A mask of shape (members,), and why these members have no score."""


@dataclass(frozen=True, kw_only=True)
class Rows:
    """The rows of several members, made safe: whatever has no weight is finite and counts for nothing."""

    xp: Any
    truth: Any
    """(members, rows), or (members, rows, k) for multilabel targets."""
    predictions: Any
    """(members, rows, k), in double precision."""
    weights: Any
    """(members, rows), 0 for padding."""
    total: Any
    """(members,): the sums of the weights; 1 where that is 0."""
    unit: bool = False
    """Whether all weights are 1."""

    @property
    def outputs(self) -> int:
        """Columns of the predictions."""
        return int(self.predictions.shape[2])

    @property
    def kind(self) -> Literal["single", "multiclass", "multilabel"]:
        """What the shapes say: one column, one column for each class, or one for each label."""
        if self.truth.ndim == 3:
            return "multilabel"
        return "multiclass" if self.outputs > 1 else "single"

    @property
    def single(self) -> Any:
        """The predictions of the only column, (members, rows)."""
        return self.predictions[:, :, 0]

    def mean(self, values: Any) -> Any:
        """The weighted mean of (members, rows) over the rows."""
        return self.xp.einsum("bm,bm->b", values, self.weights) / self.total

    def some(self, mask: Any) -> Any:
        """Which members have a row with weight for which a (members, rows) mask holds."""
        return (mask if self.unit else mask & (self.weights > 0)).any(axis=1)

    def columns(self) -> tuple[Any, Any, Any]:
        """Truth (0 or 1), predictions and weights of every column, each (members * k, rows)."""
        xp = self.xp
        members, rows, k = self.predictions.shape
        truth = self.truth
        if self.kind == "single":
            return truth, self.single, self.weights
        if self.kind == "multiclass":
            truth = truth[:, :, None] == xp.arange(k)
        flat = [
            xp.ascontiguousarray(array.transpose(0, 2, 1)).reshape(members * k, rows)
            for array in (truth, self.predictions)
        ]
        return flat[0].astype(xp.float64), flat[1], xp.repeat(self.weights, k, axis=0)


Found: TypeAlias = tuple[Any, tuple[Fault, ...]]
"""Scores of shape (members,), and the faults for which some of them do not count."""
Kernel: TypeAlias = Callable[[Rows], Found]


@dataclass(frozen=True, kw_only=True)
class Metric:
    """A score of predictions against the truth."""

    name: str
    direction: Literal["greater", "less"]
    """Which of two scores is the better."""
    targets: frozenset[Target]
    """The kinds of target that it fits."""
    kernel: Kernel
