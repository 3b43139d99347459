# Without pathlib, which would double the start of a cold guest:
# ruff: noqa: PTH112, PTH123, PTH208
"""The long-lived process of a sandbox: waits for runs, forks one at a time, kills and reaps it.

It never reads a byte that hostile code wrote: a run's files and frames travel over the run's own socket,
which comes in with the request and goes to the run. What the zygote hears are requests of the host, on one
inherited socket:

    {"op": "run", "kind", "cpu", "memory", "processes", "rss", "disk"}  with the run's socket
    {"op": "kill"}

and what it says is, for each run, one of

    {"op": "ended", "exit", "cpu", "reason", "asleep"}
    {"op": "failed", "error"}   the isolation was refused; nothing hostile ran
"""

import contextlib
import gc
import json
import os
import select
import signal
import socket
import sys
import time
from typing import Any

from . import isolate, seccomp

_SAMPLE_SECONDS = 0.05
_PATIENCE = 3
"""Runs in a row without a pause, after which importing ahead waits for none."""
_TICK = os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGESIZE")


class _Census:
    """What the processes of the run hold at this moment, from /proc of the outer sandbox."""

    def __init__(self) -> None:
        self.threads = 0
        self.resident = 0
        self.cpu = 0.0
        self.states = ""
        own = str(os.getpid())
        for name in os.listdir("/proc"):
            if not name.isdigit() or name == own:
                continue
            try:
                with open(f"/proc/{name}/stat", "rb") as file:
                    fields = file.read().rpartition(b")")[2].split()
            except OSError:
                continue
            self.states += fields[0].decode()
            self.threads += int(fields[17])
            self.resident += int(fields[21]) * _PAGE
            self.cpu += sum(int(field) for field in fields[11:15]) / _TICK


def _breach(request: dict[str, Any]) -> str | None:
    census = _Census()
    if census.threads > request["processes"] + 8:
        return "processes"
    if census.resident > request["rss"]:
        return "memory"
    if request["kind"] == "command" and census.cpu > request["cpu"]:
        return "cpu"
    return None


def _asleep() -> bool:
    """Whether the run waits of its own accord, rather than for a processor."""
    sleeping = 0
    for _ in range(10):
        sleeping += not set(_Census().states) & set("RD")
        time.sleep(0.004)
    return sleeping >= 9


def _start(request: dict[str, Any], fd: int, control: int, nested: bool, places: list[str]) -> int:
    """Fork the run; the pid of its first process, which ends with it and is a child of the zygote.

    Raises:
        OSError: if the isolation was refused.
    """
    reader, writer = os.pipe()
    keeper = os.fork()
    if keeper == 0:
        try:
            os.close(control)
            os.close(reader)
            if nested:
                isolate.enter_namespaces()
            child = os.fork()
            if child:
                os.write(writer, str(child).encode())
                os._exit(0)
            os.setsid()
            if nested:
                isolate.mount_fresh(places, request["disk"])
        except OSError as error:
            os.write(writer, f"!{error}".encode())
            os._exit(1)
        except BaseException:
            os._exit(1)
        try:
            os.close(writer)
            _become(request, fd, places)
            os._exit(0)
        finally:
            os._exit(70)
    os.close(writer)
    os.close(fd)
    # The pipe ends when the mounts stand: the child holds it until then.
    said = b""
    while part := os.read(reader, 4096):
        said += part
    os.close(reader)
    os.waitpid(keeper, 0)
    answer = said.decode(errors="replace")
    if not answer.isdigit():
        _reap_all()
        raise OSError(answer.partition("!")[2] or "the process of the run could not be started")
    return int(answer)


def _reap_all() -> None:
    try:
        while True:
            os.waitpid(-1, 0)
    except ChildProcessError:
        pass


def _become(request: dict[str, Any], fd: int, places: list[str]) -> None:
    """Turn into the run. Nothing below returns to the zygote's loop."""
    isolate.drop_privileges()
    isolate.keep_only(fd)
    null = os.open("/dev/null", os.O_RDWR)
    for standard in (0, 1, 2):
        os.dup2(null, standard)
    os.close(null)
    kind = request["kind"]
    work, tree, scratch = places[:3]
    os.environ.update(HOME=work, TMPDIR=scratch)
    os.chdir(work)
    if kind in {"harness", "imports", "compile"}:
        from . import harness

        isolate.limit(cpu=request["cpu"], memory=request["memory"], processes=request["processes"])
        isolate.seal("harness")
        harness.main(fd, kind, work, tree)
    else:
        from . import tests

        tests.main(fd, request, places)


def _run(control: socket.socket, request: dict[str, Any], fd: int, nested: bool, places: list[str]) -> bool:
    """Serve one run; whether the host is still there."""
    try:
        pid = _start(request, fd, control.fileno(), nested, places)
    except OSError as error:
        control.send(json.dumps({"op": "failed", "error": str(error)}).encode())
        return True
    handle = os.pidfd_open(pid)
    poller = select.poll()
    poller.register(handle, select.POLLIN)
    poller.register(control, select.POLLIN)
    reason, asleep, alive = None, False, True
    while True:
        ready = {number for number, _ in poller.poll(_SAMPLE_SECONDS * 1000)}
        if handle in ready:
            break
        if control.fileno() in ready:
            message = control.recv(65536)
            alive = bool(message)
            reason, asleep = "killed", _asleep()
        elif os.getpid() == 1:
            reason = _breach(request)
        if reason:
            break
    if not nested:
        _kill_session(pid)
    os.kill(pid, signal.SIGKILL)
    _, status, usage = os.wait4(pid, 0)
    os.close(handle)
    if alive:
        answer = {
            "op": "ended",
            "exit": os.waitstatus_to_exitcode(status),
            "cpu": usage.ru_utime + usage.ru_stime,
            "reason": reason,
            "asleep": asleep,
        }
        control.send(json.dumps(answer).encode())
    return alive


def _kill_session(pid: int) -> None:
    """End what a namespace of its own would end by itself."""
    try:
        if os.getpid() == 1:
            os.kill(-1, signal.SIGKILL)
        else:
            os.killpg(pid, signal.SIGKILL)
    except ProcessLookupError:
        pass


def main(fd: int, nested: bool, stranger: bool, places: list[str], preload: list[str]) -> None:
    """Serve runs until the host is gone."""
    control = socket.socket(fileno=fd)
    isolate.calm_signals()
    if stranger:
        isolate.become(1000)
    if not nested:
        isolate.hide_memory()
    if os.getpid() != 1:
        isolate.adopt_orphans()
    control.send(b'{"op":"ready"}')
    waiting = select.poll()
    waiting.register(control, select.POLLIN)
    if os.path.isdir("/site"):
        sys.path.append("/site")
    with contextlib.suppress(OSError):  # on a machine that is not known each run says so
        for profile in seccomp.PROFILES:
            seccomp.program(profile, os.uname().machine)  # once, for all runs to come
    busy = 0
    while True:
        # Whatever can be imported ahead is imported while nobody waits, or once it is clear that somebody always does:
        # a run that has to import it all by itself takes twice as long.
        busy += 1
        while preload and (busy > _PATIENCE or not waiting.poll(2)):
            name = preload.pop(0)
            try:
                __import__(name)
            except ImportError:
                sys.modules.pop(name, None)
            gc.freeze()  # a run that collects garbage need not touch, and so copy, what it shares with all others
        message, fds, _, _ = socket.recv_fds(control, 65536, 1)
        if not message:
            return
        request = json.loads(message)
        if request["op"] != "run":
            continue  # a kill that crossed with the end of its run
        if not _run(control, request, fds[0], nested, list(places)):
            return
