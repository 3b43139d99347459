"""What can go wrong with the sandbox itself. What hostile code does in it is an outcome, never an exception.

SandboxError
├── SandboxUnavailable   this machine cannot make one; says what to change
└── SandboxFault         it failed in the middle of a run: infrastructure, not a score
"""

REMEDY = (
    "Evolved code runs only inside a sandbox, which needs unprivileged user namespaces. On Debian and Ubuntu: "
    "`sysctl kernel.unprivileged_userns_clone=1`, `sysctl kernel.apparmor_restrict_unprivileged_userns=0`, "
    "`sysctl user.max_user_namespaces=15000`. In Docker or Podman: run with `--security-opt seccomp=unconfined "
    "--security-opt apparmor=unconfined --security-opt systempaths=unconfined`, or `--privileged`. "
    "`ratchet doctor` shows what this machine allows."
)


class SandboxError(Exception):
    """Base of all faults of the sandbox."""


class SandboxUnavailable(SandboxError):
    """Raised when this machine cannot make a sandbox; the message holds the remedy."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(f"No sandbox can be made here: {reason} {REMEDY}")

    def __reduce__(self) -> tuple[type["SandboxUnavailable"], tuple[str]]:
        """How it goes from one process to another: made again from its reason."""
        return type(self), (self.reason,)


class SandboxFault(SandboxError):
    """Raised when the infrastructure failed a run: the wall clock ran out, or the sandbox died twice. Try again."""
