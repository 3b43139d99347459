"""What a family of models has to offer."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

from contracts.datasets import Target
from gpu_workers.experiments.block import Block
from gpu_workers.experiments.moments import Moments


class Family(Protocol):
    """A kind of model, fitted in batches.

    Some attributes may be left out: `seeded`, False where fits do not depend on the seed (they are then computed
    once for all seeds); `spreads`, True where `fit_predict` uses all cores itself (else folds are shared out to
    them); `solver`, the library that fits in our place; and `unfinished`, why there may be predictions that are no
    numbers.
    """

    name: str
    defaults: Mapping[str, Any]
    """Every parameter with its default."""

    def check(self, configuration: Mapping[str, Any], target: Target) -> None:
        """Look at a configuration.

        Raises:
            ValueError: a parameter is unknown or out of range, or the target does not fit; says what would.
        """
        ...

    def bucket(self, configuration: Mapping[str, Any]) -> tuple[Any, ...]:
        """Members of equal buckets are stacked."""
        ...

    def memory(self, n: int, d: int, k: int, m: int, members: int, configuration: Mapping[str, Any]) -> int:
        """Bytes that a block of so many members takes at its peak, its features left out."""
        ...

    def fit_predict(self, block: Block) -> Any:
        """Predictions for the held-out rows, (members, m, k).

        Means for regression and count, probabilities otherwise; binary: k = 1, the probability of 1.
        """
        ...


@runtime_checkable
class Counted(Protocol):
    """A family that knows how many floating-point operations a block takes."""

    def operations(
        self, n: int, d: int, k: int, m: int, members: int, configuration: Mapping[str, Any]
    ) -> int:
        """At least so many."""
        ...


@runtime_checkable
class ClosedForm(Protocol):
    """A family whose squared errors follow from moments, where they are all that is asked for."""

    def squared_errors(
        self, moments: Moments, configurations: Sequence[Mapping[str, Any]]
    ) -> tuple[Any, Any]:
        """Sums of squared errors over the rows held out, (folds, configurations), and which of them are sure.

        All configurations are of one bucket.
        """
        ...
