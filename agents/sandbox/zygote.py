"""The host's end of a sandbox: starts `guest.zygote`, hands it runs, and replaces it.

Every run gets namespaces of its own inside the zygote's sandbox. Where the machine refuses nested namespaces, each run
gets an outer sandbox of its own instead: the same guest, slower.
"""

import contextlib
import json
import logging
import os
import socket
import subprocess
import tempfile
import threading
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import msgspec

from agents.sandbox.bubblewrap import ENVIRONMENT, compile_guest, launch, safe_command, unsafe_command
from agents.sandbox.channel import Channel, WallExceeded
from agents.sandbox.errors import SandboxFault, SandboxUnavailable
from agents.sandbox.session import Session
from contracts.record import Record

log = logging.getLogger(__name__)

T = TypeVar("T")

_READY_SECONDS = 20.0
_ENDED_SECONDS = 20.0


class Limits(Record, frozen=True):
    """What one run may take."""

    cpu: int
    """Seconds of CPU time."""
    memory: int = 1 << 30
    """Bytes of address space of each process."""
    processes: int = 64
    """Processes and threads at a time."""
    disk: int = 64
    """MiB of each of its folders: /work, /harness, /tmp and /dev/shm."""
    wall: float = 120.0
    """Seconds for which the run may keep the host waiting."""


class Ended(Record, frozen=True):
    """How a run ended, as the zygote saw it."""

    exit: int = 0
    cpu: float = 0.0
    reason: str | None = None
    asleep: bool = False


class _Lost(Exception):
    """The zygote has died; `midway` if the run had already been answered something."""

    def __init__(self, *, midway: bool) -> None:
        self.midway = midway
        super().__init__()


class Zygote:
    """One outer sandbox. Serves one run at a time; further callers wait."""

    def __init__(self, *, unsafe: bool = False, packages: Sequence[str] = ()) -> None:
        self._unsafe = unsafe
        self._packages = tuple(packages)
        self._nested = not unsafe
        # Where the host runs as root, hostile code must not: the kernel exempts that user from limits.
        self._stranger = os.geteuid() == 0 and not unsafe
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._control: socket.socket | None = None
        self._folder: tempfile.TemporaryDirectory[str] | None = None

    @property
    def nested(self) -> bool:
        """Whether runs are namespaces inside one sandbox, rather than a sandbox each."""
        return self._nested

    @property
    def pid(self) -> int | None:
        """The process id of the outer sandbox, while there is one."""
        return self._process.pid if self._process else None

    def start(self) -> None:
        """Start ahead of the first run.

        Raises:
            SandboxUnavailable: if this machine cannot make a sandbox.
        """
        with self._lock:
            self._ensure()

    def close(self) -> None:
        """End the sandbox and whatever runs in it."""
        with self._lock:
            self._discard()

    def run(
        self, kind: str, limits: Limits, job: Any, converse: Callable[[Channel], T]
    ) -> tuple[T | None, Ended]:
        """Start a run, send it its job and talk to it until `converse` returns; then end it.

        Returns:
            What `converse` returned, or None if the run slept until its wall clock ran out; and how it ended.

        Raises:
            SandboxUnavailable: if this machine cannot make a sandbox.
            SandboxFault: if the wall clock ran out on a run that was working, or the sandbox died twice.
        """
        with self._lock:
            try:
                return self._once(kind, limits, job, converse)
            except _Lost as lost:
                self._discard()
                if lost.midway:
                    raise SandboxFault("The sandbox died in the middle of a run.") from None
            try:
                return self._once(kind, limits, job, converse)
            except _Lost:
                self._discard()
                raise SandboxFault("The sandbox died, and so did the one that replaced it.") from None

    def _once(
        self, kind: str, limits: Limits, job: Any, converse: Callable[[Channel], T]
    ) -> tuple[T | None, Ended]:
        control, ours = self._started(kind, limits)
        with ours:
            channel = Channel(ours, limits.wall)
            result, late = None, False
            try:
                channel.send(job)
                result = converse(channel)
            except WallExceeded:
                late = True
                self._kill(control)
            except BaseException:
                try:
                    self._kill(control)
                    self._hear(control, midway=channel.exchanged)
                except BaseException:
                    self._discard()
                    raise
                raise
            else:
                # Whoever has said its last word may not go on.
                ours.shutdown(socket.SHUT_RDWR)
                if result is not None and not self._over(control):
                    self._kill(control)
            answer = self._hear(control, midway=channel.exchanged)
        if answer["op"] == "failed":
            if not self._nested:
                raise SandboxUnavailable(f"{answer['error']}.")
            log.warning(
                "nested namespaces are refused (%s); every run gets a sandbox of its own", answer["error"]
            )
            self._nested = False
            self._discard()
            return self._once(kind, limits, job, converse)
        if not self._nested:
            self._discard()
        ended = msgspec.convert(answer, Ended)
        if late and not ended.asleep:
            raise SandboxFault(f"A run worked for more than {limits.wall:g} s by the wall clock.")
        return result, ended

    def _started(self, kind: str, limits: Limits) -> tuple[socket.socket, socket.socket]:
        """Ask for a run: the zygote's socket, and the host's end of the run's own."""
        control = self._ensure()
        ours, theirs = socket.socketpair()
        request = {
            "op": "run",
            "kind": kind,
            "cpu": limits.cpu,
            "memory": limits.memory,
            "processes": limits.processes,
            "disk": limits.disk,
            "rss": limits.memory + (limits.memory >> 1),
        }
        with theirs:
            try:
                socket.send_fds(control, [json.dumps(request).encode()], [theirs.fileno()])
            except OSError:
                ours.close()
                raise _Lost(midway=False) from None
        return control, ours

    def session(self, kind: str, limits: Limits) -> Session | None:
        """A run that is given several jobs, one after the other; the zygote serves nothing else until it is closed.

        Returns:
            None where runs cannot share a sandbox.
        """
        self._lock.acquire()
        try:
            if self._nested:
                control, ours = self._started(kind, limits)
                return Session(ours, limits.wall, lambda kill: self._end_session(control, kill=kill))
        except _Lost:
            self._discard()
        except BaseException:
            self._discard()  # nobody knows how far it came
            self._lock.release()
            raise
        self._lock.release()
        return None

    def _end_session(self, control: socket.socket, *, kill: bool) -> None:
        """What a session does last: wait for its run's end, and let others use the zygote."""
        try:
            if kill or not self._over(control):
                self._kill(control)
            self._hear(control)
        except _Lost:
            self._discard()
        except BaseException:
            self._discard()  # what it has still to say must not be heard as the end of another run
            raise
        finally:
            self._lock.release()

    def _over(self, control: socket.socket) -> bool:
        """Whether the end of the run has been reported, given a moment."""
        control.settimeout(0.5)
        try:
            return bool(control.recv(1, socket.MSG_PEEK))
        except OSError:
            return False

    def _kill(self, control: socket.socket) -> None:
        with contextlib.suppress(OSError):
            control.send(b'{"op":"kill"}')

    def _hear(self, control: socket.socket, *, midway: bool = False) -> dict[str, Any]:
        control.settimeout(_ENDED_SECONDS)
        try:
            message = control.recv(65536)
        except OSError:
            message = b""
        if not message:
            raise _Lost(midway=midway)
        answer: dict[str, Any] = json.loads(message)
        return answer

    def _ensure(self) -> socket.socket:
        if self._process is not None and self._control is not None:
            if self._process.poll() is None:
                return self._control
            self._discard()
        compile_guest()
        try:
            return self._begin()
        except SandboxUnavailable as refused:
            if not self._stranger:
                raise
            log.warning("hostile code cannot be given a user of its own here: %s", refused.reason)
            self._stranger = False
            return self._begin()

    def _begin(self) -> socket.socket:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs, tempfile.TemporaryFile() as said:
            self._process = launch(
                *self._command(theirs.fileno()), theirs.fileno(), said, stranger=self._stranger
            )
            self._control = ours
            theirs.close()
            ours.settimeout(_READY_SECONDS)
            try:
                ready = ours.recv(4096)
            except OSError:
                ready = b""
            if not ready:
                self._discard()
                said.seek(0)
                text = " ".join(said.read(2000).decode(errors="replace").split())
                raise SandboxUnavailable(f"{text or 'bubblewrap did not answer'}.")
        return ours

    def _discard(self) -> None:
        if self._control is not None:
            self._control.close()
            self._control = None
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None
        if self._folder is not None:
            self._folder.cleanup()
            self._folder = None

    def _command(self, fd: int) -> tuple[list[str], dict[str, str]]:
        if self._unsafe:
            log.warning(
                "UNSAFE: hostile code runs without a sandbox, as this user, with all that this user may do"
            )
            self._folder = tempfile.TemporaryDirectory(prefix="ratchet-unsafe-")
            return unsafe_command(fd, self._folder.name), ENVIRONMENT
        return safe_command(fd, self._packages, nested=self._nested, stranger=self._stranger), {}
