"""The bus: NATS as the agents use it.

An embedded server (`Server`), a connection that comes back (`connect`, `Bus`), services (`respond`,
`subscribe`), a work queue (`JobQueue`, `work`), leases (`Leases`), traces (`bus.traces`) and logs
(`bus.logs`). The names are imported when they are first used, so that `import bus` costs nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bus.connection import Bus, connect
    from bus.dead import dead_letter
    from bus.errors import (
        BusError,
        BusUnavailable,
        JobFailed,
        JobWithdrawn,
        LeaseLost,
        MalformedMessage,
        NoResponder,
        PortInUse,
        RequestFailed,
        RequestTimeout,
        ServerFailed,
        StoreInUse,
        StreamFailed,
        TooLarge,
        WrongSequence,
    )
    from bus.jobs import JobQueue
    from bus.leases import Lease, Leases
    from bus.results import Done, Failed, JobResult
    from bus.server import Server, read_url
    from bus.service import respond, subscribe
    from bus.streams import ensure_streams
    from bus.worker import Job, Worker, work

_HOMES = {
    "bus.connection": ("Bus", "connect"),
    "bus.dead": ("dead_letter",),
    "bus.errors": (
        "BusError",
        "BusUnavailable",
        "JobFailed",
        "JobWithdrawn",
        "LeaseLost",
        "MalformedMessage",
        "NoResponder",
        "PortInUse",
        "RequestFailed",
        "RequestTimeout",
        "ServerFailed",
        "StoreInUse",
        "StreamFailed",
        "TooLarge",
        "WrongSequence",
    ),
    "bus.jobs": ("JobQueue",),
    "bus.leases": ("Lease", "Leases"),
    "bus.results": ("Done", "Failed", "JobResult"),
    "bus.server": ("Server", "read_url"),
    "bus.service": ("respond", "subscribe"),
    "bus.streams": ("ensure_streams",),
    "bus.worker": ("Job", "Worker", "work"),
}
_HOME = {name: module for module, names in _HOMES.items() for name in names}

__all__ = [
    "Bus",
    "BusError",
    "BusUnavailable",
    "Done",
    "Failed",
    "Job",
    "JobFailed",
    "JobQueue",
    "JobResult",
    "JobWithdrawn",
    "Lease",
    "LeaseLost",
    "Leases",
    "MalformedMessage",
    "NoResponder",
    "PortInUse",
    "RequestFailed",
    "RequestTimeout",
    "Server",
    "ServerFailed",
    "StoreInUse",
    "StreamFailed",
    "TooLarge",
    "Worker",
    "WrongSequence",
    "connect",
    "dead_letter",
    "ensure_streams",
    "read_url",
    "respond",
    "subscribe",
    "work",
]


def __getattr__(name: str) -> object:
    home = _HOME.get(name)
    if home is None:
        raise AttributeError(f"module 'bus' has no attribute {name!r}")
    return getattr(import_module(home), name)


def __dir__() -> list[str]:
    return sorted(__all__)
