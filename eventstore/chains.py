"""The chains of hashes of all streams, followed event by event, and what stands for all of them at once."""

import hashlib
from collections.abc import Mapping

import msgspec

from contracts.envelope import GENESIS, Envelope


class Chains:
    """The heads of all streams, while events go by in position order."""

    def __init__(self) -> None:
        self.last = 0
        """The last position."""
        self.at = 0.0
        self.heads: dict[str, tuple[int, bytes]] = {}
        """Stream → version and hash of its last event."""

    def follow(self, event: Envelope) -> str:
        """Go on to the next event; what does not fit about it, or nothing."""
        self.last = event.position
        version, prev = self.heads.get(event.stream, (0, GENESIS))
        # Going on from what stands there: one damaged event is one fault, not one for each that follows.
        self.heads[event.stream] = (event.version, event.hash)
        try:
            sound = event.sound
        except (TypeError, ValueError, OverflowError):  # the damage changed a field's very type
            sound = False
        if not sound:
            return "its fields do not have the hash that it names"
        before, self.at = self.at, max(self.at, event.at)
        if event.version != version + 1:
            return f"it is version {event.version} of its stream, but follows version {version}"
        if event.prev_hash != prev:
            return "it does not continue the chain of its stream"
        return "it is older than the event before it" if event.at < before else ""


def checkpoint(heads: Mapping[str, tuple[int, bytes]]) -> str:
    """SHA-256, in hex, over the names, versions and hashes of all streams' last events."""
    entries = [(stream, *heads[stream]) for stream in sorted(heads)]
    return hashlib.sha256(msgspec.msgpack.encode(entries)).hexdigest()
