"""Every error of the agents.

```
AgentError
├── ModelMismatch
├── SuiteMissing
└── Unconfigured
```
"""


class AgentError(Exception):
    """The root of every error that an agent raises."""


class ModelMismatch(AgentError):
    """Raised when a job wants a model other than the one that this executor has."""

    def __init__(self, wanted: str, found: str) -> None:
        self.wanted = wanted
        self.found = found
        super().__init__(
            f"the job wants the model {wanted[:12]} and this executor has {found[:12]}; "
            "start an executor on the store that the job came from"
        )


class Unconfigured(AgentError):
    """Raised when an agent does not know which bus to join."""

    def __init__(self, store: str) -> None:
        self.store = store
        super().__init__(
            f"no bus: give --bus nats://…, set RATCHET_BUS, or start one with `python -m bus serve --store {store}`"
        )
