"""Every error of the workers.

```
WorkerError
├── UnknownLibrary
├── CupyUnfit        CuPy was asked for and cannot be used here
├── Interrupted      a computation was told to stop
├── ExperimentFault  an experiment cannot be computed
└── DeviceLost       the GPU failed; nothing more can be computed in this process
```
"""


class WorkerError(Exception):
    """The root of every error that the workers raise."""


class UnknownLibrary(WorkerError):
    """Raised when `RATCHET_ARRAY` names an array library that is neither of the two."""

    def __init__(self, name: str) -> None:
        self.name = name
        super().__init__(
            f"RATCHET_ARRAY={name} names no array library; set it to numpy or cupy, or leave it out"
        )


class CupyUnfit(WorkerError):
    """Raised when CuPy was asked for by name and a probe of it failed."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(
            f"CuPy was asked for and cannot be used: {reason}. Install it with "
            "`pip install 'ratchet-harness[gpu]'` on a machine with an NVIDIA GPU, or set RATCHET_ARRAY=numpy"
        )


class Interrupted(WorkerError):
    """Raised between two blocks of a computation that was told to stop; the job is done again elsewhere."""

    def __init__(self) -> None:
        super().__init__("the worker was told to stop; the job goes back to the queue")


class DeviceLost(WorkerError):
    """Raised when the GPU fails. The process ends, so that a fresh one can take the device up again."""

    def __init__(self, device: str, reason: str) -> None:
        self.device = device
        self.reason = reason
        super().__init__(
            f"{device} failed: {reason}. Start the worker again; if this repeats, look at `nvidia-smi`, "
            "or compute without the GPU by RATCHET_ARRAY=numpy"
        )


class ExperimentFault(WorkerError):
    """Raised (and handed back, where several experiments are computed together) when one cannot be computed."""

    def __init__(self, reason: str, *, kind: str) -> None:
        self.reason = reason
        self.kind = kind
        """`refused`: it asks for what cannot be had; `memory`: not even one of its fits finds room."""
        super().__init__(reason)
