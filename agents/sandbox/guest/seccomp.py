"""A system-call filter, assembled by hand as classic BPF, for x86_64 and aarch64.

Three profiles. `harness` is one process and one thread; `tests` may start threads, never processes; `command`
may start and execute programs. None of them may open a socket, mount, trace another process, make a
namespace, load code into the kernel or hold memory that no limit counts. Calls that are newer than this list
do not exist there.
"""

import ctypes
import os
import struct
from functools import cache
from typing import Literal

Profile = Literal["harness", "tests", "command"]
PROFILES: tuple[Profile, ...] = ("harness", "tests", "command")

_LD_ABS, _JEQ, _JGE, _JSET, _RET = 0x20, 0x15, 0x35, 0x45, 0x06
_ALLOW, _KILL, _ERRNO = 0x7FFF0000, 0x80000000, 0x00050000
_EPERM, _ENOSYS = 1, 38
_NR, _ARCH, _ARG0 = (
    0,
    4,
    16,
)  # offsets in struct seccomp_data; argument 0's low word (both machines: little endian)
_X32 = 0x40000000
_CLONE_THREAD = 0x00010000
_CLONE_NEW = 0x7E020080  # user, pid, net, ipc, uts, cgroup, mount and time namespaces
_AF_UNIX = 1

_AUDIT_ARCH = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}

# name: (number on x86_64, number on aarch64); None where the machine lacks it.
_ALWAYS_DENIED: dict[str, tuple[int | None, int | None]] = {
    "socket": (41, 198),
    "connect": (42, 203),
    "bind": (49, 200),
    "listen": (50, 201),
    "accept": (43, 202),
    "accept4": (288, 242),
    "ptrace": (101, 117),
    "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271),
    "kcmp": (312, 272),
    "mount": (165, 40),
    "umount2": (166, 39),
    "pivot_root": (155, 41),
    "chroot": (161, 51),
    "unshare": (272, 97),
    "setns": (308, 268),
    "keyctl": (250, 219),
    "add_key": (248, 217),
    "request_key": (249, 218),
    "bpf": (321, 280),
    "perf_event_open": (298, 241),
    "userfaultfd": (323, 282),
    "memfd_create": (319, 279),
    "kexec_load": (246, 104),
    "kexec_file_load": (320, 294),
    "reboot": (169, 142),
    "init_module": (175, 105),
    "finit_module": (313, 273),
    "delete_module": (176, 106),
    "create_module": (174, None),
    "query_module": (178, None),
    "get_kernel_syms": (177, None),
    "swapon": (167, 224),
    "swapoff": (168, 225),
    "acct": (163, 89),
    "syslog": (103, 116),
    "quotactl": (179, 60),
    "nfsservctl": (180, 42),
    "iopl": (172, None),
    "ioperm": (173, None),
    "modify_ldt": (154, None),
    "uselib": (134, None),
    "ustat": (136, None),
    "sysfs": (139, None),
    "_sysctl": (156, None),
    "vserver": (236, None),
    "lookup_dcookie": (212, 18),
    "name_to_handle_at": (303, 264),
    "open_by_handle_at": (304, 265),
    "fanotify_init": (300, 262),
    "fanotify_mark": (301, 263),
    "personality": (135, 92),
    "settimeofday": (164, 170),
    "clock_settime": (227, 112),
    "clock_adjtime": (305, 266),
    "adjtimex": (159, 171),
    "sethostname": (170, 161),
    "setdomainname": (171, 162),
    "vhangup": (153, 58),
    "mbind": (237, 235),
    "set_mempolicy": (238, 237),
    "get_mempolicy": (239, 236),
    "migrate_pages": (256, 238),
    "move_pages": (279, 239),
    "shmget": (29, 194),
    "shmat": (30, 196),
    "semget": (64, 190),
    "msgget": (68, 186),
    "mq_open": (240, 180),
    "io_setup": (206, 0),
    "io_submit": (209, 2),
    "vmsplice": (278, 75),
    "setuid": (105, 146),
    "setgid": (106, 144),
    "setreuid": (113, 145),
    "setregid": (114, 143),
    "setresuid": (117, 147),
    "setresgid": (119, 149),
    "setgroups": (116, 159),
    "setfsuid": (122, 151),
    "setfsgid": (123, 152),
    "capset": (126, 91),
    "mknod": (133, None),
    "mknodat": (259, 33),
}
_NO_PROCESSES: dict[str, tuple[int | None, int | None]] = {
    "fork": (57, None),
    "vfork": (58, None),
    "execve": (59, 221),
    "execveat": (322, 281),
}
_NO_MESSAGES: dict[str, tuple[int | None, int | None]] = {
    "socketpair": (53, 199),
    "sendmsg": (46, 211),
    "sendmmsg": (307, 269),
    "recvmsg": (47, 212),
    "recvmmsg": (299, 243),
}
_NO_MEDDLING: dict[str, tuple[int | None, int | None]] = {
    "setpriority": (141, 140),
    "ioprio_set": (251, 30),
    "sched_setparam": (142, 118),
    "sched_setscheduler": (144, 119),
    "sched_setaffinity": (203, 122),
    "sched_setattr": (314, 274),
    "setxattr": (188, 5),
    "lsetxattr": (189, 6),
    "fsetxattr": (190, 7),
}
"""What could slow or bind another process of the same user, or leave something at a folder that stays: the init of a
test run serves the next one, too."""
_PRLIMIT = (302, 261)
_CLONE = (56, 220)
_SOCKETPAIR = (53, 199)
# From 424 on both machines number alike. Allowed of those: close_range, openat2, faccessat2, epoll_pwait2,
# futex_waitv, fchmodat2, futex_wake, futex_wait, futex_requeue.
_FIRST_SHARED = 424
_NEWER_ALLOWED = (436, 437, 439, 441, 449, 452, 454, 455, 456)


@cache
def program(profile: Profile, machine: str) -> bytes:  # noqa: PLR0915 - one filter, read from top to bottom
    """The filter as an array of struct sock_filter.

    Raises:
        OSError: for a machine whose call numbers are not known here.
    """
    arch = _AUDIT_ARCH.get(machine)
    if arch is None:
        raise OSError(f"no system-call filter is known for {machine}: only {', '.join(_AUDIT_ARCH)}")
    column = 0 if machine == "x86_64" else 1

    code: list[tuple[int, int, int, int]] = []

    def emit(op: int, k: int, yes: int = 0, no: int = 0) -> None:
        code.append((op, yes, no, k))

    def answer(number: int, verdict: int) -> None:
        emit(_JEQ, number, 0, 1)
        emit(_RET, verdict)

    eperm, enosys = _ERRNO | _EPERM, _ERRNO | _ENOSYS
    emit(_LD_ABS, _ARCH)
    emit(_JEQ, arch, 1, 0)
    emit(_RET, _KILL)
    emit(_LD_ABS, _NR)
    if machine == "x86_64":
        emit(_JGE, _X32, 0, 1)
        emit(_RET, _KILL)

    denied = dict(_ALWAYS_DENIED)
    if profile != "command":
        denied |= _NO_PROCESSES | _NO_MEDDLING
    if profile == "harness":
        denied |= _NO_MESSAGES
    numbers = sorted({number for name in denied if (number := denied[name][column]) is not None})
    for number in numbers:
        answer(number, eperm)
    for number in _NEWER_ALLOWED:
        answer(number, _ALLOW)
    emit(_JGE, _FIRST_SHARED, 0, 1)
    emit(_RET, enosys)

    if profile == "harness":
        answer(_CLONE[column], eperm)
    else:
        # Loading an argument replaces the call number, so both blocks end in a verdict.
        if profile == "tests":
            emit(_JEQ, _PRLIMIT[column], 0, 4)
            emit(_LD_ABS, _ARG0)
            emit(_JEQ, 0, 0, 1)  # its own limits a process may lower, those of others not
            emit(_RET, _ALLOW)
            emit(_RET, eperm)
        emit(_JEQ, _SOCKETPAIR[column], 0, 4)
        emit(_LD_ABS, _ARG0)
        emit(_JEQ, _AF_UNIX, 0, 1)
        emit(_RET, _ALLOW)
        emit(_RET, eperm)
        emit(_JEQ, _CLONE[column], 0, 6 if profile == "tests" else 4)
        emit(_LD_ABS, _ARG0)
        emit(_JSET, _CLONE_NEW, 0, 1)
        emit(_RET, eperm)
        if profile == "tests":
            emit(_JSET, _CLONE_THREAD, 1, 0)
            emit(_RET, eperm)
        emit(_RET, _ALLOW)
    emit(_RET, _ALLOW)
    return b"".join(struct.pack("=HBBI", op, yes, no, k) for op, yes, no, k in code)


_libc = ctypes.CDLL(None, use_errno=True)


class _Program(ctypes.Structure):
    _fields_ = (("len", ctypes.c_ushort), ("filter", ctypes.c_void_p))


def install(profile: Profile) -> None:
    """Filter the calling thread and all that it starts, for good. Needs no_new_privs."""
    filters = program(profile, os.uname().machine)
    buffer = ctypes.create_string_buffer(filters, len(filters))
    fprog = _Program(len(filters) // 8, ctypes.cast(buffer, ctypes.c_void_p).value)
    if _libc.prctl(22, 2, ctypes.byref(fprog), 0, 0) != 0:
        code = ctypes.get_errno()
        raise OSError(code, f"the system-call filter was refused: {os.strerror(code)}")
