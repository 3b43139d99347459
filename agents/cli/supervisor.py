"""The supervisor: starts the bus, the ledger, the agents and the workers as children, and restarts what dies."""

import os
import signal
import sys
import time
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import anyio
import anyio.abc
import structlog

from bus.deathsig import tied
from contracts.record import Record

BACKOFF = (0.2, 0.5, 1.0, 2.0, 5.0, 10.0)
"""Seconds before the n-th restart in a row; a child that lived for a minute starts counting anew."""
STEADY = 60.0
GRACE = 10.0
"""Seconds that children have to end before they are killed."""

_log = structlog.get_logger("supervisor")


class Child(Record):
    """A process to keep alive."""

    name: str
    command: tuple[str, ...]
    group: int = 1
    """Children of a higher group are stopped first: agents before the ledger, the ledger before the bus."""
    keys: bool = False
    """Whether it may know the keys of models; all others are started without them."""


def module(name: str, *arguments: str) -> tuple[str, ...]:
    """The command line of one of our modules; -P keeps a user's own `agents/` folder out of the path."""
    return (sys.executable, "-P", "-m", name, *arguments)


def children(
    store: Path,
    *,
    bus: str = "",
    ledger: str = "file",
    executors: int = 2,
    replicas: Mapping[str, int] | None = None,
    gateway: Sequence[str] | None = None,
) -> list[Child]:
    """Everything that a campaign needs on one machine. With a `bus` of one's own, that one is not started.

    A `ledger` of `jetstream` is a log on the bus, which then syncs every message. `gateway`: options of the gateway,
    where a model behind an endpoint is asked.
    """
    where = ("--bus", bus) if bus else ()
    at = ("--store", str(store))
    durable = ("--durable",) if ledger == "jetstream" else ()
    found = [] if bus else [Child(name="bus", command=module("bus", "serve", *at, *durable), group=0)]
    serve = module("eventstore", "serve", *at, *where, "--ledger", ledger)
    found.append(Child(name="ledger", command=serve, group=1))
    roles = {"monitor": 1, "planner": 1, "patcher": 1, "evaluator": 1, "critic": 1, "executor": executors}
    roles |= replicas or {}
    for role, count in roles.items():
        for number in range(count):
            name = role if count == 1 else f"{role}-{number + 1}"
            found.append(Child(name=name, command=module(f"agents.{role}", *at, *where), group=2))
    if gateway is not None:
        command = module("agents.models", "gateway", *at, *where, *gateway)
        found.append(Child(name="gateway", command=command, group=2, keys=True))
    found.append(Child(name="gpu_worker", command=module("gpu_workers", *at, *where), group=2))
    return found


class Supervisor:
    """Keeps children alive until it is told to stop; they end with it, however it ends."""

    def __init__(self, store: Path, wanted: Sequence[Child], *, secrets: Collection[str] = ()) -> None:
        """`secrets`: variables of the environment that only children with `keys` get to see."""
        self.store = store
        self.secrets = frozenset(secrets)
        self.wanted = tuple(wanted)
        self.processes: dict[str, anyio.abc.Process] = {}
        self.restarts: dict[str, int] = {}
        self.failures: dict[str, int] = {}
        self.stopping = False

    def pid(self, name: str) -> int | None:
        """The process id of a child, if it runs."""
        process = self.processes.get(name)
        return process.pid if process is not None and process.returncode is None else None

    def fault(self) -> str:
        """The child that keeps dying at once, with the end of its log; empty when all is well."""
        for name, count in self.failures.items():
            if count >= len(BACKOFF) - 2:
                tail = self._tail(name)
                last = tail.rpartition("\n")[2]
                if last.lower().startswith("error: "):  # it said itself what is wrong
                    return f"{name} cannot run: {last[7:]}"
                return f"{name} keeps dying; the end of its log {self.log_file(name)}:\n{tail}"
        return ""

    def ending(self) -> bool:
        """Whether children are being stopped on purpose."""
        return self.stopping

    def log_file(self, name: str) -> Path:
        """Where a child's output goes."""
        return self.store / "logs" / f"{name}.log"

    async def run(self, *, task_status: anyio.abc.TaskStatus[None] = anyio.TASK_STATUS_IGNORED) -> None:
        """Start all children and keep them until cancelled; then stop them, agents first."""
        (self.store / "logs").mkdir(parents=True, exist_ok=True)
        try:
            async with anyio.create_task_group() as tasks:
                for child in sorted(self.wanted, key=lambda child: child.group):
                    if child.group == 1:
                        await self._address()
                    tasks.start_soon(self._keep, child)
                task_status.started()
        finally:
            self.stopping = True
            with anyio.CancelScope(shield=True):
                await self._stop()

    async def _address(self) -> None:
        """Wait until a bus of ours has written its address, so that nothing starts in vain."""
        if any(child.name == "bus" for child in self.wanted):
            with anyio.move_on_after(10.0):
                address = self.store / "bus" / "url"
                while not address.exists() and not self.failures:  # noqa: ASYNC110 - a file rings no bell
                    await anyio.sleep(0.01)

    async def _keep(self, child: Child) -> None:
        while not self.stopping:
            started = time.monotonic()
            with self.log_file(child.name).open("ab") as log:
                process = await anyio.open_process(
                    tied(child.command, signal.SIGTERM),
                    stdin=None,
                    stdout=log,
                    stderr=log,
                    # A group of its own: Ctrl-C reaches the supervisor, which then stops its children in order.
                    start_new_session=True,
                    env=self._environment(child),
                )
            self.processes[child.name] = process
            code = await process.wait()
            if self.ending():
                return
            lived = time.monotonic() - started
            killed = code == -signal.SIGKILL  # from outside, or for want of memory: it is not broken itself
            failures = 0 if lived > STEADY or killed else self.failures.get(child.name, 0) + 1
            self.failures[child.name] = failures if lived < 5 else 0
            self.restarts[child.name] = self.restarts.get(child.name, 0) + 1
            pause = BACKOFF[min(failures, len(BACKOFF)) - 1] if failures else BACKOFF[0]
            _log.warning("a child ended", child=child.name, code=code, again_in=pause)
            await anyio.sleep(pause)

    def _environment(self, child: Child) -> dict[str, str]:
        hidden = frozenset() if child.keys else self.secrets
        return {k: v for k, v in os.environ.items() if k not in hidden} | {"PYTHONUNBUFFERED": "1"}

    async def _stop(self) -> None:
        groups = sorted({child.group for child in self.wanted}, reverse=True)
        for group in groups:
            names = [child.name for child in self.wanted if child.group == group]
            running = [self.processes[name] for name in names if self.pid(name) is not None]
            for process in running:
                with suppress(ProcessLookupError):
                    process.terminate()
            with anyio.move_on_after(GRACE):
                for process in running:
                    await process.wait()
            for process in running:
                if process.returncode is None:
                    with suppress(ProcessLookupError):
                        process.kill()
                    await process.wait()

    def _tail(self, name: str, lines: int = 8) -> str:
        try:
            text = self.log_file(name).read_text(errors="replace")
        except OSError:
            return "(no log)"
        return "\n".join(text.splitlines()[-lines:])
