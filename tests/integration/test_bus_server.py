import asyncio
import json
import os
import signal
import socket
import stat
import subprocess
import sys
import time
from pathlib import Path

import anyio
import pytest

from bus import PortInUse, Server, ServerFailed, StoreInUse, connect, ensure_streams, read_url
from bus.errors import BusUnavailable
from bus.jetstream import store
from bus.testing import running_server


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


async def refused(port: int, deadline: float) -> bool:
    end = time.monotonic() + deadline
    while time.monotonic() < end:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) != 0:
                return True
        await anyio.sleep(0.02)
    return False


def test_secret_and_address_are_for_the_owner_only(tmp_path: Path) -> None:
    async def main() -> None:
        async with running_server(tmp_path) as server:
            for name in ("url", "secret", "server.conf", "server.log", "lock"):
                assert mode(tmp_path / "bus" / name) == 0o600, name
            assert mode(tmp_path / "bus") == 0o700
            assert read_url(tmp_path) == server.url
            secret = (tmp_path / "bus" / "secret").read_text()
            assert len(secret) >= 32
            assert secret in server.url
            assert secret not in server.public_url
            assert secret not in server.log_file.read_text()
            async with await connect(server.url, name="t") as bus:
                assert secret not in bus.url
        assert read_url(tmp_path) is None

    asyncio.run(main())


def test_wrong_secret_is_refused_without_being_shown(tmp_path: Path) -> None:
    async def main() -> None:
        async with running_server(tmp_path) as server:
            with pytest.raises(BusUnavailable, match="bus/url") as caught:
                await connect(f"nats://ratchet:wrong-word@127.0.0.1:{server.port}", name="t", deadline=5.0)
            assert "wrong-word" not in str(caught.value)

    began = time.monotonic()
    asyncio.run(main())
    assert time.monotonic() - began < 3


def test_nobody_there_is_said_with_the_remedy() -> None:
    async def main() -> None:
        with pytest.raises(BusUnavailable, match="bus serve"):
            await connect("nats://a:b@127.0.0.1:1", name="t", deadline=0.5)

    asyncio.run(main())


def test_port_in_use(tmp_path: Path) -> None:
    async def main() -> None:
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            port = taken.getsockname()[1]
            with pytest.raises(PortInUse, match="--port") as caught:
                await Server(tmp_path, port=port).start()
            assert caught.value.port == port

    asyncio.run(main())


def test_one_server_a_store(tmp_path: Path) -> None:
    async def main() -> None:
        async with running_server(tmp_path) as first:
            with pytest.raises(StoreInUse):
                await Server(tmp_path).start()
            async with await connect(first.url, name="t") as bus:
                await bus.flush()

    asyncio.run(main())


def test_a_server_that_cannot_start_says_why(tmp_path: Path) -> None:
    async def main() -> None:
        (tmp_path / "bus").mkdir()
        (tmp_path / "bus" / "jetstream").write_text("a file where a folder must be")
        with pytest.raises(ServerFailed, match=r"server\.log"):
            await Server(tmp_path).start()

    asyncio.run(main())


def test_killed_and_restarted_on_the_same_port_with_its_streams(tmp_path: Path) -> None:
    async def main() -> None:
        server = Server(tmp_path)
        await server.start()
        port = server.port
        async with await connect(server.url, name="t") as bus:
            await ensure_streams(bus)
            for index in range(100):
                await store(bus, "events.lineage.x", str(index).encode())
            os.kill(server.pid, signal.SIGKILL)
            assert await server.wait() == -signal.SIGKILL
            await server.start()
            assert read_url(tmp_path) == server.url
            assert server.port == port
            with anyio.fail_after(5):
                await bus.wait_connected()
            info = await bus.jetstream.stream_info("LEDGER")
            assert info.state.messages == 100
        await server.stop()

    asyncio.run(main())


def test_serve_ends_with_its_parent_and_leaves_no_secret_in_its_output(tmp_path: Path) -> None:
    parent = (
        "import subprocess, sys, time\n"
        f"p = subprocess.Popen([{sys.executable!r}, '-m', 'bus', 'serve', '--store', {str(tmp_path)!r}, '--json'],"
        "stdout=subprocess.PIPE, text=True)\n"
        "print(p.pid, p.stdout.readline(), flush=True)\n"
        "time.sleep(60)\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", parent], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        pid, _, line = process.stdout.readline().partition(" ")
        facts = json.loads(line)
        secret = (tmp_path / "bus" / "secret").read_text()
        assert secret not in line
        assert facts["url_file"] == str(tmp_path / "bus" / "url")
        os.kill(int(pid), signal.SIGKILL)  # `serve` cannot clean up; nats-server ends all the same
        assert asyncio.run(refused(facts["port"], 5))
        process.kill()


@pytest.mark.parametrize("sign", [signal.SIGINT, signal.SIGTERM])
def test_serve_ends_well_when_interrupted(tmp_path: Path, sign: signal.Signals) -> None:
    command = [sys.executable, "-m", "bus", "serve", "--store", str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert "nats://127.0.0.1:" in line
        assert str(tmp_path / "bus" / "url") in line
        second = subprocess.run(command, capture_output=True, text=True, check=False)
        assert second.returncode == 3
        assert "already" in second.stderr
        process.send_signal(sign)
        _, said = process.communicate(timeout=10)
        assert process.returncode == 0, said
        assert "Traceback" not in said
    assert read_url(tmp_path) is None


def test_serve_brings_a_killed_server_back(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "bus", "serve", "--store", str(tmp_path), "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        facts = json.loads(process.stdout.readline())

        async def main() -> None:
            url = read_url(tmp_path)
            assert url is not None
            async with await connect(url, name="t") as bus:
                os.kill(facts["pid"], signal.SIGKILL)
                await anyio.sleep(0.1)
                with anyio.fail_after(5):
                    await bus.wait_connected()
                    await bus.flush()

        asyncio.run(main())
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=10)
        assert process.returncode == 0


def test_usage_errors_exit_with_2() -> None:
    command = [sys.executable, "-m", "bus", "serve", "--port", "99999"]
    assert subprocess.run(command, capture_output=True, check=False).returncode == 2
