"""What was found out about endpoints, as a store's ledger has it."""

from agents.models.endpoint import fingerprint
from contracts import events as e
from contracts.ledger import EventStore


def probe_stream(spec: str) -> str:
    """The stream in which it is written down what an endpoint honours."""
    return f"model/{fingerprint(spec)[:16]}"


async def last_probe(ledger: EventStore, spec: str) -> e.ModelProbed | None:
    """What was found out last about an endpoint; None where it was never asked."""
    found, after = None, 0
    while True:
        page = await ledger.read(probe_stream(spec), after=after)
        for envelope in page.events:
            event = e.decode(envelope)
            found = event if isinstance(event, e.ModelProbed) else found
            after = envelope.version
        if not page.more:
            return found
