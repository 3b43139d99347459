"""What this machine allows, for `ratchet doctor`."""

import os
import platform
import subprocess
from pathlib import Path

import msgspec

from agents.sandbox.bubblewrap import bwrap_path
from agents.sandbox.errors import SandboxError, SandboxUnavailable
from agents.sandbox.guest import seccomp
from agents.sandbox.sandbox import Sandbox
from contracts.record import Record
from contracts.tasks import TestSpec

_SETTINGS = (
    "user.max_user_namespaces",
    "kernel.unprivileged_userns_clone",
    "kernel.apparmor_restrict_unprivileged_userns",
)


class SandboxReport(Record, frozen=True):
    """What was found, by trying."""

    works: bool
    """Whether hostile code can be run safely here."""
    nested: bool = False
    """Whether runs are namespaces inside one sandbox (fast), rather than a sandbox each."""
    seccomp: bool = False
    """Whether system calls can be filtered: known for this architecture, and accepted."""
    architecture: str = ""
    bwrap: str = ""
    version: str = ""
    settings: dict[str, str] = msgspec.field(default_factory=dict)
    """The kernel settings that matter, as far as this kernel has them."""
    problem: str = ""
    """Why it does not work, with the remedy."""


def probe() -> SandboxReport:
    """Try it: make a sandbox and run a test in it. Takes about a tenth of a second."""
    machine = platform.machine()
    settings = {}
    for name in _SETTINGS:
        path = Path("/proc/sys") / name.replace(".", "/")
        if path.is_file():
            settings[name] = path.read_text().strip()
    try:
        seccomp.program("tests", machine)
        path = bwrap_path()
        version = subprocess.run(
            [path, "--version"], capture_output=True, text=True, check=True
        ).stdout.strip()
    except (OSError, SandboxUnavailable, subprocess.CalledProcessError) as error:
        return SandboxReport(works=False, architecture=machine, settings=settings, problem=str(error))
    found = SandboxReport(
        works=False, architecture=machine, settings=settings, bwrap=os.fspath(path), version=version
    )
    try:
        with Sandbox() as box:
            report = box.run_tests({"tests/test_it.py": "def test_it(): pass"}, TestSpec(), wall=20)
            nested = box.nested
    except SandboxError as error:
        return msgspec.structs.replace(found, problem=str(error))
    if not report.all_passed:
        return msgspec.structs.replace(
            found, problem=f"a trivial test did not pass in the sandbox: {report.detail}"
        )
    return msgspec.structs.replace(found, works=True, nested=nested, seccomp=True)
