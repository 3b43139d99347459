"""How a computation is stopped, and how it tells what it has done."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from bus import traces


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
    phases: dict[str, float] = field(default_factory=dict)
    """What kind of work took how many seconds."""

    @contextmanager
    def phase(self, name: str, members: int) -> Iterator[None]:
        """Time the body, which ends with its figures on the host, and make a span of it."""
        before, begun = self.steps, time.perf_counter()
        with traces.span(f"rollout {name}", **{"ratchet.rollout.members": members}) as span:
            yield
            span.set_attribute("ratchet.rollout.steps", self.steps - before)
        self.phases[name] = self.phases.get(name, 0.0) + time.perf_counter() - begun

    def passed(self, steps: int) -> None:
        """Tell of some steps, and see whether to go on."""
        self.told(steps)
        self.checkpoint()
