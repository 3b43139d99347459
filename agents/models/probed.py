"""What was found out about endpoints, as a store's ledger has it."""

from agents.models.endpoint import fingerprint
from contracts import events as e
from contracts.ledger import EventStore, stream_events


def probe_stream(spec: str) -> str:
    """The stream in which it is written down what an endpoint honours."""
    return f"model/{fingerprint(spec)[:16]}"


async def last_probe(ledger: EventStore, spec: str) -> e.ModelProbed | None:
    """What was found out last about an endpoint; None where it was never asked."""
    found = None
    async for envelope in stream_events(ledger, probe_stream(spec)):
        event = e.decode(envelope)
        found = event if isinstance(event, e.ModelProbed) else found
    return found
