"""From a plain child of the zygote to a process that owns nothing: namespaces, mounts, limits, privileges.

The order matters. Namespaces need the fork that follows them; mounts need the capabilities of the new user
namespace; dropping those needs `CAP_SETPCAP`; the system-call filter comes last, because it forbids all of
the above.
"""

import ctypes
import os
import resource
import signal

from . import seccomp

_CLONE_NEWNS, _CLONE_NEWUTS, _CLONE_NEWIPC = 0x00020000, 0x04000000, 0x08000000
_CLONE_NEWUSER, _CLONE_NEWPID, _CLONE_NEWNET = 0x10000000, 0x20000000, 0x40000000
_NAMESPACES = _CLONE_NEWUSER | _CLONE_NEWNS | _CLONE_NEWPID | _CLONE_NEWNET | _CLONE_NEWIPC | _CLONE_NEWUTS
_MS_RDONLY, _MS_NOSUID, _MS_NODEV, _MS_NOEXEC = 1, 2, 4, 8
_PR_SET_PDEATHSIG, _PR_SET_DUMPABLE, _PR_CAPBSET_DROP = 1, 4, 24
_PR_SET_CHILD_SUBREAPER, _PR_SET_NO_NEW_PRIVS, _PR_CAP_AMBIENT = 36, 38, 47
_CAP_VERSION_3 = 0x20080522
_MIB = 1 << 20

_libc = ctypes.CDLL(None, use_errno=True)


def _check(result: int, what: str) -> None:
    if result != 0:
        code = ctypes.get_errno()
        raise OSError(code, f"{what}: {os.strerror(code)}")


def enter_namespaces() -> None:
    """Leave for fresh user, mount, pid, network, ipc and uts namespaces; the next fork is PID 1 of its own."""
    uid, gid = os.getuid(), os.getgid()
    _check(_libc.unshare(_NAMESPACES), "unshare")
    for name, text in (
        ("setgroups", "deny"),
        ("uid_map", f"{uid} {uid} 1"),
        ("gid_map", f"{gid} {gid} 1"),
    ):
        fd = os.open(f"/proc/self/{name}", os.O_WRONLY)
        try:
            os.write(fd, text.encode())
        finally:
            os.close(fd)


def mount_fresh(places: list[str], mebibytes: int) -> None:
    """Lay an empty, size-limited tmpfs over each place, and hide /proc."""
    for place in places:
        options = f"size={mebibytes * _MIB},nr_inodes={mebibytes * 256},mode=700"
        _check(
            _libc.mount(b"tmpfs", place.encode(), b"tmpfs", _MS_NOSUID | _MS_NODEV, options.encode()),
            f"mount {place}",
        )
    hidden = _MS_RDONLY | _MS_NOSUID | _MS_NODEV | _MS_NOEXEC
    _check(_libc.mount(b"tmpfs", b"/proc", b"tmpfs", hidden, b"size=4k,mode=555"), "mount /proc")


def drop_privileges() -> None:
    """Give up every capability for good, and whatever exec could bring back."""
    for capability in range(64):
        _libc.prctl(_PR_CAPBSET_DROP, capability, 0, 0, 0)  # fails beyond the last one that the kernel knows
    _libc.prctl(_PR_CAP_AMBIENT, 4, 0, 0, 0)
    header = (ctypes.c_uint32 * 2)(_CAP_VERSION_3, 0)
    empty = (ctypes.c_uint32 * 6)()
    _check(_libc.capset(header, empty), "capset")
    _check(_libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "no_new_privs")
    hide_memory()


def hide_memory() -> None:
    """Let no other process of this user trace this one or read its memory."""
    _check(_libc.prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0), "not dumpable")


def limit(*, cpu: int, memory: int, processes: int, file_bytes: int = 64 * _MIB) -> None:
    """Set the limits of this process and of those that it starts; `cpu` in seconds, `memory` in bytes."""
    for what, value in (
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_CPU, cpu),
        (resource.RLIMIT_AS, memory),
        (resource.RLIMIT_FSIZE, file_bytes),
        (resource.RLIMIT_NOFILE, 1024),
        (resource.RLIMIT_NPROC, processes),
        (resource.RLIMIT_MSGQUEUE, 0),
        (resource.RLIMIT_MEMLOCK, 0),
        (resource.RLIMIT_STACK, 8 * _MIB),
    ):
        hard = resource.getrlimit(what)[1]
        allowed = value if hard == resource.RLIM_INFINITY else min(value, hard)
        resource.setrlimit(what, (allowed, allowed))


def calm_signals() -> None:
    """Give every signal its default: a handler is what would make PID 1 of a namespace killable from inside."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGPIPE, signal.SIGCHLD):
        signal.signal(number, signal.SIG_DFL)


def keep_only(*fds: int) -> None:
    """Close every other descriptor above 2."""
    low = 3
    for fd in sorted(fds):
        os.closerange(low, fd)
        low = fd + 1
    os.closerange(low, 4096)


def seal(profile: seccomp.Profile) -> None:
    """Install the system-call filter."""
    seccomp.install(profile)


def adopt_orphans() -> None:
    """Become the parent of grandchildren whose own parent ends."""
    _check(_libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0), "child subreaper")


def become(user: int) -> None:
    """Turn from the namespace's root, and its capabilities, into a user without any.

    Raises:
        OSError: if that user could not read the interpreter's own library.
    """
    os.setgroups([])
    os.setresgid(user, user, user)
    os.setresuid(user, user, user)
    # Both were lost with the change: dying with the parent, and owning the maps of one's children.
    _check(_libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0), "die with the parent")
    _check(_libc.prctl(_PR_SET_DUMPABLE, 1, 0, 0, 0), "dumpable")
    os.close(os.open(os.__file__, os.O_RDONLY))
    os.close(os.open(__file__, os.O_RDONLY))
