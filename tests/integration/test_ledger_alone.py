import os
import subprocess
import sys
import time
from pathlib import Path

import anyio

from bus.testing import running_server


def serve(store: Path, url: str, *arguments: str, **environment: str) -> "subprocess.Popen[str]":
    """A ledger service; further options and variables as given."""
    command = (sys.executable, "-P", "-m", "eventstore", "serve", "--store", str(store), "--bus", url)
    return subprocess.Popen(
        [*command, *arguments], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
        env={**os.environ, **environment},
    )  # fmt: skip


def stderr_until(process: "subprocess.Popen[str]", word: str, *, within: float = 15.0) -> str:
    assert process.stderr is not None
    end, said = time.monotonic() + within, ""
    while word not in said and time.monotonic() < end:
        said += process.stderr.readline()
    return said


def test_one_bus_carries_one_ledger_and_a_killed_service_leaves_no_claim(tmp_path: Path) -> None:
    async def run() -> None:
        async with running_server(tmp_path / "bus") as server:
            await anyio.to_thread.run_sync(attempt, server.url)

    def attempt(url: str) -> None:
        first = serve(tmp_path / "one", url)
        try:
            assert "ledger open" in stderr_until(first, "ledger open")
            other = serve(tmp_path / "two", url)
            _, words = other.communicate(timeout=15)
            assert other.returncode == 3
            assert "one bus carries one ledger" in words
            assert "Traceback" not in words
        finally:
            first.kill()
            first.communicate()
        again = serve(tmp_path / "one", url)
        try:
            assert "ledger open" in stderr_until(again, "ledger open")
        finally:
            again.terminate()
            again.communicate(timeout=15)

    anyio.run(run)
