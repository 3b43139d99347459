"""Test reports by content: the same files give the same report, so they are run once.

Every report comes from a sandbox that held nothing but these files, and that no other episode has used, so nothing that
an earlier episode did can be in it. Episodes try the same few hundred edits of a task over and over: most reports of a
long campaign are found. A report that is not `PROPER` is kept by the process that saw it, and no longer.
"""

import hashlib
import sqlite3
import sys
import time
import zlib
from collections import OrderedDict
from collections.abc import Mapping
from functools import cache
from pathlib import Path

import msgspec

import agents.sandbox.guest
from agents.sandbox import Sandbox
from agents.sandbox.tests import PROPER, TestSession
from contracts.tasks import TestReport, TestSpec

DECODED = 4_000
"""Reports that a process keeps at hand."""
KEPT = 250_000
"""Reports that a file keeps, at some 700 bytes each; the oldest make room."""
_SWEEP = 5_000
_TRIES = 5


class Reports:
    """Runs tests in a sandbox, or remembers what they showed.

    With a file, executors of one machine share what they know, and it outlives them. The file is a cache: it may be
    deleted at any time, and one that cannot be used is done without.
    """

    def __init__(self, sandbox: Sandbox, file: Path | None = None) -> None:
        self.sandbox = sandbox
        self.decoded: OrderedDict[bytes, TestReport] = OrderedDict()
        self.asked = self.run = 0
        self._file = _opened(file)

    def get(
        self,
        files: Mapping[str, str],
        spec: TestSpec,
        lines: int,
        wall: float,
        session: TestSession | None = None,
    ) -> TestReport:
        """The report on these files, from memory or from a run: in a sandbox of its own, or in the session's."""
        self.asked += 1
        said = msgspec.msgpack.encode((runner_digest(), sorted(files.items()), spec, lines))
        key = hashlib.sha256(said).digest()
        found = self.decoded.get(key)
        if found is None:
            found = self._recall(key)
            if found is None:
                self.run += 1
                found = (session or self.sandbox).run_tests(files, spec, lines=lines, wall=wall)
                if found.status in PROPER:
                    self._keep(key, found)
            self.decoded[key] = found
            while len(self.decoded) > DECODED:
                self.decoded.popitem(last=False)
        else:
            self.decoded.move_to_end(key)
        return found

    def _recall(self, key: bytes) -> TestReport | None:
        try:
            row = self._file.execute("SELECT report FROM reports WHERE key = ?", (key,)).fetchone()
            return msgspec.msgpack.decode(zlib.decompress(row[0]), type=TestReport) if row else None
        except (sqlite3.Error, zlib.error, msgspec.MsgspecError, TypeError):
            return None  # a cache that fails costs time, nothing else

    def _keep(self, key: bytes, report: TestReport) -> None:
        packed = zlib.compress(msgspec.msgpack.encode(report), 1)
        try:
            # What stands there already could not be read.
            self._file.execute("INSERT OR REPLACE INTO reports (key, report) VALUES (?, ?)", (key, packed))
            if self.run % _SWEEP == 0:
                _sweep(self._file)
        except sqlite3.Error:
            return


@cache
def runner_digest() -> bytes:
    """What decides a report beside the files: this interpreter, and the code that runs the tests."""
    folder = Path(agents.sandbox.guest.__file__).parent
    sources = b"\0".join(path.read_bytes() for path in sorted(folder.glob("*.py")))
    return hashlib.sha256(sys.version.encode() + b"\0" + sources).digest()


def _opened(file: Path | None) -> sqlite3.Connection:
    for _ in range(_TRIES if file else 0):
        try:
            return _connected(str(file))
        except sqlite3.OperationalError:  # executors that start together get in each other's way
            time.sleep(0.05)
        except sqlite3.Error:
            break
    return _connected(":memory:")


def _sweep(connection: sqlite3.Connection) -> None:
    connection.execute("DELETE FROM reports WHERE number <= (SELECT max(number) - ? FROM reports)", (KEPT,))


def _connected(name: str) -> sqlite3.Connection:
    # Episodes run in threads, one after the other; a report that a crash loses is found out again.
    connection = sqlite3.connect(name, timeout=5.0, isolation_level=None, check_same_thread=False)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = OFF")
    connection.execute(
        "CREATE TABLE IF NOT EXISTS reports (number INTEGER PRIMARY KEY, key BLOB UNIQUE, report BLOB)"
    )
    _sweep(connection)  # no process need live long enough to sweep later
    return connection
