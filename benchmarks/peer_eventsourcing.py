"""The peer of the ledger's benchmarks: the same small event by the library eventsourcing, on its SQLite.

Import it where the library may be missing (`pip install eventsourcing`): it raises ImportError.
"""

import time
from pathlib import Path
from typing import Any
from uuid import UUID

from eventsourcing.application import Application  # type: ignore[import-not-found, unused-ignore]
from eventsourcing.domain import Aggregate, event  # type: ignore[import-not-found, unused-ignore]

TEXT = "x" * 280


class Measured(Aggregate):  # type: ignore[misc, unused-ignore]
    """Counts what it is given."""

    def __init__(self) -> None:
        self.count = 0

    @event("Measured")  # type: ignore[untyped-decorator, unused-ignore]
    def measure(self, text: str) -> None:
        """Take a text."""
        assert text
        self.count += 1


def application(folder: Path) -> Any:
    """An application that stores into a file of that folder."""
    path = str(folder / "peer.db")
    return Application(env={"PERSISTENCE_MODULE": "eventsourcing.sqlite", "SQLITE_DBNAME": path})


def saves_per_second(folder: Path, seconds: float) -> float:
    """Events a second, each saved in a transaction of its own."""
    app, aggregate, count = application(folder), Measured(), 0
    start = time.perf_counter()
    while time.perf_counter() - start < seconds:
        aggregate.measure(TEXT)
        app.save(aggregate)
        count += 1
    return count / (time.perf_counter() - start)


def fill(folder: Path, count: int) -> tuple[Any, UUID]:
    """An application with one aggregate of so many events, and its id."""
    app, aggregate = application(folder), Measured()
    for _ in range(count):
        aggregate.measure(TEXT)
    app.save(aggregate)
    return app, aggregate.id
