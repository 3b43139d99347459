"""Every error of the bus.

```
BusError
├── BusUnavailable      no connection, or it was lost while waiting
├── ServerFailed        nats-server did not start, or ended
│   ├── PortInUse
│   └── StoreInUse
├── RequestTimeout
├── NoResponder
├── RequestFailed       the responder answered with an error
├── MalformedMessage
├── TooLarge
├── StreamFailed        JetStream refused
│   └── WrongSequence   compare-and-set did not hold
├── JobFailed
├── JobWithdrawn
└── LeaseLost
```
"""

from pathlib import Path


class BusError(Exception):
    """The root of every error that the bus raises."""


class BusUnavailable(BusError):
    """Raised when there is no connection to the bus, or when it was lost before the answer came.

    In the second case the outcome is unknown: repeat what is idempotent.
    """

    def __init__(
        self, url: str, reason: str, remedy: str = "Is it running? Start it with `python -m bus serve`"
    ) -> None:
        self.url = url
        self.reason = reason
        super().__init__(f"no connection to the bus at {url}: {reason}. {remedy}")


class ServerFailed(BusError):
    """Raised when the embedded nats-server does not start or ends unexpectedly."""

    def __init__(self, reason: str, log: Path | None = None) -> None:
        self.reason = reason
        self.log = log
        super().__init__(reason if log is None else f"{reason}; its log is {log}")


class PortInUse(ServerFailed):
    """Raised when another process listens on the port that was asked for."""

    def __init__(self, port: int) -> None:
        self.port = port
        super().__init__(
            f"port {port} on 127.0.0.1 is in use by another process; "
            "stop that process or choose another port with --port (0 picks a free one)"
        )


class StoreInUse(ServerFailed):
    """Raised when a nats-server runs on the store already; two of them would destroy its streams."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        super().__init__(
            f"a bus runs on {folder} already; connect to the address in {folder / 'url'} or stop it first"
        )


class RequestTimeout(BusError):
    """Raised when a responder exists but did not answer in time; the outcome is unknown."""

    def __init__(self, subject: str, timeout: float) -> None:
        self.subject = subject
        self.timeout = timeout
        super().__init__(
            f"no answer on {subject} within {timeout:g} s; whether it was done is unknown: repeat it if it "
            "is idempotent, or allow more time"
        )


class NoResponder(BusError):
    """Raised when nobody listens on the subject of a request; nothing happened."""

    def __init__(self, subject: str) -> None:
        self.subject = subject
        super().__init__(f"nobody answers on {subject}; start the service that does, then repeat the request")


class RequestFailed(BusError):
    """Raised when the responder answered that it could not serve the request."""

    def __init__(self, subject: str, kind: str, reason: str) -> None:
        self.subject = subject
        self.kind = kind
        """`malformed` or `internal`."""
        self.reason = reason
        super().__init__(f"the service on {subject} could not serve the request ({kind}): {reason}")


class MalformedMessage(BusError):
    """Raised (by handlers, too) when a message cannot be understood; repeating it is of no use."""

    def __init__(self, reason: str, subject: str = "") -> None:
        self.subject = subject
        self.reason = reason
        super().__init__(f"a message{f' on {subject}' if subject else ''} cannot be understood: {reason}")


class TooLarge(BusError):
    """Raised when a message is larger than the server takes."""

    def __init__(self, subject: str, size: int, limit: int) -> None:
        self.subject = subject
        self.size = size
        self.limit = limit
        super().__init__(
            f"a message of {size} bytes on {subject} exceeds the limit of {limit}; store the data as a blob "
            "and send its hash"
        )


class StreamFailed(BusError):
    """Raised when JetStream refuses a request; `code` is its error code."""

    def __init__(self, subject: str, code: int, reason: str) -> None:
        self.subject = subject
        self.code = code
        self.reason = reason
        super().__init__(f"JetStream refused {subject} (error {code}): {reason}")


class WrongSequence(StreamFailed):
    """Raised when the last message of a subject is not the one that was expected."""


class JobFailed(BusError):
    """Raised by a job's handler when the job cannot be done; with `retry` it is delivered again later."""

    def __init__(self, reason: str, *, retry: bool = False) -> None:
        self.reason = reason
        self.retry = retry
        super().__init__(reason)


class JobWithdrawn(BusError):
    """Raised by a job's handler when nobody waits for the job any more; it leaves the queue without a result."""

    def __init__(self, job_id: str) -> None:
        self.job_id = job_id
        super().__init__(f"job {job_id} was withdrawn; submit it again to have it done")


class LeaseLost(BusError):
    """Raised when work goes on under a lease that is no longer held; another agent may have taken it up."""

    def __init__(self, key: str, owner: str) -> None:
        self.key = key
        self.owner = owner
        super().__init__(
            f"{owner} no longer holds the lease on {key}; fold the ledger again and see whether the duty is "
            "open"
        )
