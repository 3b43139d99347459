"""How a computation is stopped, and how it tells what it has done."""

from collections.abc import Callable
from dataclasses import dataclass


def go_on() -> None:
    """A checkpoint that never interrupts."""


def untold(_steps: int) -> None:
    """A listener that does not care."""


@dataclass(kw_only=True)
class Watch:
    """Looked at between steps."""

    checkpoint: Callable[[], None] = go_on
    """Ends the computation by raising."""
    told: Callable[[int], None] = untold
    """Called with steps that are done or turned out not to be needed; over a spec they sum to its work."""
    steps: int = 0
    """Steps of environments that were really taken."""

    def passed(self, steps: int) -> None:
        """Tell of some steps, and see whether to go on."""
        self.told(steps)
        self.checkpoint()
