"""Every error of the workers.

```
WorkerError
├── UnknownLibrary
└── CupyUnfit      CuPy was asked for and cannot be used here
```
"""

# ruff: noqa: N818 - the names say what happened; the root says that it is an error


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
