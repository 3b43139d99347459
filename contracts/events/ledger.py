"""Events of the ledger about itself: its own stream is `ledger/checkpoints`."""

from contracts.events.base import Event


class CheckpointSigned(Event):
    """Whoever serves the ledger vouches, with a key that no agent has, for everything up to a position."""

    position: int
    """The last position that it covers."""
    checkpoint: str
    """SHA-256, in hex, over the heads of all streams at that position, as `verify` computes it."""
    key: str
    """The public key, Ed25519: 64 hexadecimal digits."""
    signature: str
    """Over the text that `eventstore.signing.message` makes of position and checkpoint: 128 hexadecimal digits."""
