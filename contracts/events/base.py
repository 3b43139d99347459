"""The base of all events."""

from typing import ClassVar

from contracts.record import Record


class Event(Record):
    """A fact that has happened. Its type in the ledger is the struct's name."""

    schema: ClassVar[int] = 1
