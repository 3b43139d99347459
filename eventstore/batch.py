"""What a batch of appends does to the ledger, decided before anything is written.

The writer knows the heads of the streams and which ids are stored; from these every append of the batch is
decided in turn, each seeing those before it. So a conflict of one fails only that one, and what is left is
plain inserts.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from contracts.envelope import GENESIS, Envelope, NewEvent, seal
from contracts.ledger import ANY, Appended
from eventstore.errors import Conflict, Malformed


@dataclass
class Place:
    """Where an event is stored."""

    stream: str
    version: int
    position: int


@dataclass
class Ledger:
    """What appends are decided against: the ledger's end, and what is known of the ids and streams."""

    position: int
    at: float
    heads: dict[str, tuple[int, bytes]] = field(default_factory=dict)
    places: dict[str, Place] = field(default_factory=dict)

    def decide(
        self, stream: str, expected: int, events: Sequence[NewEvent], *, now: float
    ) -> tuple[Appended, list[Envelope]]:
        """The answer to an append and the rows that it adds; the ledger then counts them as there.

        Raises:
            Conflict: the stream is at another version than `expected`.
            Malformed: some of the events are stored already, but not all of them in this stream.
        """
        if any(event.event_id in self.places for event in events):
            return _repeated(stream, events, self.places), []
        version, prev = self.heads.get(stream, (0, GENESIS))
        if expected not in (ANY, version):
            raise Conflict(stream, expected, version)
        self.at = max(self.at, now)
        rows = []
        for event in events:
            version += 1
            self.position += 1
            row = seal(event, stream=stream, version=version, position=self.position, at=self.at, prev=prev)
            prev = row.hash
            self.places[event.event_id] = Place(stream, version, self.position)
            rows.append(row)
        self.heads[stream] = (version, prev)
        return Appended(stream=stream, version=version, position=self.position), rows


def _repeated(stream: str, events: Sequence[NewEvent], places: Mapping[str, Place]) -> Appended:
    for event in events:
        place = places.get(event.event_id)
        if place is None:
            raise Malformed(f"some of these events are stored, but {event.event_id} is not: never mix them")
        if place.stream != stream:
            raise Malformed(f"event {event.event_id} is stored already, in stream {place.stream!r}")
    last = places[events[-1].event_id]
    return Appended(stream=stream, version=last.version, position=last.position, repeated=True)
