import asyncio
import os
import signal
from collections.abc import Awaitable, Callable
from pathlib import Path

import anyio
import msgspec
import pytest
from nats.aio.msg import Msg

from bus import (
    Bus,
    BusUnavailable,
    MalformedMessage,
    NoResponder,
    RequestFailed,
    RequestTimeout,
    TooLarge,
    connect,
    respond,
    subscribe,
)
from bus.dead import REASON
from bus.testing import running_bus


class Ask(msgspec.Struct):
    number: int


async def double(data: bytes) -> bytes:
    ask = msgspec.json.decode(data, type=Ask)
    if ask.number == 13:
        raise RuntimeError("no luck")
    if ask.number == 14:
        raise MalformedMessage("fourteen means nothing")
    return str(ask.number * 2).encode()


async def never(_: bytes) -> bytes:
    await anyio.sleep_forever()
    raise AssertionError


async def echo(data: bytes) -> bytes:
    return data


def on_a_bus(tmp_path: Path, test: Callable[[Bus], Awaitable[None]]) -> None:
    async def main() -> None:
        async with running_bus(tmp_path) as (_, bus):
            with anyio.fail_after(15):
                await test(bus)

    asyncio.run(main())


def test_a_service_answers_and_outlives_what_it_cannot_serve(tmp_path: Path) -> None:
    async def test(bus: Bus) -> None:
        await respond(bus, "maths.double", double, queue="maths", where="maths")
        assert await bus.request("maths.double", b'{"number": 4}') == b"8"
        for data, kind in ((b"\xff not json", "malformed"), (b'{"number": 14}', "malformed")):
            with pytest.raises(RequestFailed) as caught:
                await bus.request("maths.double", data)
            assert caught.value.kind == kind
        with pytest.raises(RequestFailed, match="no luck") as internal:
            await bus.request("maths.double", b'{"number": 13}')
        assert internal.value.kind == "internal"
        assert await bus.request("maths.double", b'{"number": 5}') == b"10"
        with anyio.fail_after(2):
            while (await bus.jetstream.stream_info("DEAD")).state.messages < 3:  # noqa: ASYNC110 (of another process)
                await anyio.sleep(0.01)
        letter = await bus.jetstream.get_msg("DEAD", seq=1)
        assert letter.subject == "dead.maths"
        assert letter.data == b"\xff not json"
        assert letter.headers is not None
        assert "JSON" in letter.headers[REASON]

    on_a_bus(tmp_path, test)


def test_what_a_request_may_run_into(tmp_path: Path) -> None:
    async def test(bus: Bus) -> None:
        with pytest.raises(NoResponder):
            await bus.request("nobody.there")
        await respond(bus, "slow", never)
        with pytest.raises(RequestTimeout, match=r"0\.05 s"):
            await bus.request("slow", timeout=0.05)
        with pytest.raises(TooLarge, match="blob"):
            await bus.request("slow", b"x" * 2_000_000)
        with pytest.raises(NoResponder):
            await bus.request_until("nobody.there", deadline=0.3)

    on_a_bus(tmp_path, test)


def test_many_at_once_are_paired_with_their_answers(tmp_path: Path) -> None:
    async def answer(data: bytes) -> bytes:
        await anyio.sleep(0.0001 * (data[0] % 7))
        return data

    async def test(bus: Bus) -> None:
        await respond(bus, "echo", answer, concurrency=64)
        asked = [index.to_bytes(4, "little") for index in range(2000)]
        assert await asyncio.gather(*(bus.request("echo", data) for data in asked)) == asked

    on_a_bus(tmp_path, test)


def test_handlers_are_bounded_in_number_and_a_queue_shares(tmp_path: Path) -> None:
    running, most, seen = 0, 0, 0

    async def take(_: Msg) -> None:
        nonlocal running, most, seen
        running += 1
        most = max(most, running)
        await anyio.sleep(0.01)
        running -= 1
        seen += 1

    async def test(bus: Bus) -> None:
        for _ in range(2):
            await subscribe(bus, "news.*", take, queue="readers", concurrency=3)
        for index in range(60):
            await bus.publish(f"news.{index}")
        with anyio.fail_after(5):
            while seen < 60:  # noqa: ASYNC110 (shortest)
                await anyio.sleep(0.01)
        assert most <= 6

    on_a_bus(tmp_path, test)


def test_when_the_server_dies_requests_end_at_once_and_go_on_when_it_is_back(tmp_path: Path) -> None:
    calls = 0

    async def hangs_first(data: bytes) -> bytes:
        nonlocal calls
        calls += 1
        if calls == 1:
            await anyio.sleep_forever()
        return data

    async def main() -> None:
        async with running_bus(tmp_path) as (server, bus), await connect(server.url, name="svc") as other:
            back = anyio.Event()
            bus.reconnected.append(back.set)
            await respond(other, "hangs", hangs_first)
            await respond(other, "never", never)
            await other.flush()
            asking = asyncio.create_task(bus.request("never", timeout=60))
            patient = asyncio.create_task(bus.request_until("hangs", b"kept", timeout=60))
            await anyio.sleep(0.05)
            os.kill(server.pid, signal.SIGKILL)
            await server.wait()
            with anyio.fail_after(2), pytest.raises(BusUnavailable, match="outcome is unknown"):
                await asking
            with pytest.raises(BusUnavailable):
                await bus.request("hangs", b"x")
            assert not bus.connected
            await server.start()
            with anyio.fail_after(5):
                await back.wait()
                assert await patient == b"kept"
                assert await bus.request_until("hangs", b"again", deadline=5) == b"again"

    asyncio.run(main())


def test_a_connection_that_the_server_ends_for_an_error_is_replaced(tmp_path: Path) -> None:
    async def main() -> None:
        async with running_bus(tmp_path) as (server, bus), await connect(server.url, name="b") as other:
            back = anyio.Event()
            bus.reconnected.append(back.set)
            await respond(bus, "echo", echo)
            client = bus.client
            await client._send_command(b"NONSENSE\r\n")
            await client._flush_pending()
            with anyio.fail_after(5):
                await back.wait()
            assert client.is_closed
            assert await other.request_until("echo", b"alive", deadline=5) == b"alive"
            assert await bus.request("echo", b"me too") == b"me too"

    asyncio.run(main())


def test_reconnecting_that_comes_to_a_halt_is_begun_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bus.link.STUCK_AFTER", 0.3)

    async def main() -> None:
        async with running_bus(tmp_path) as (server, bus):
            os.kill(server.pid, signal.SIGKILL)
            await server.wait()
            await anyio.sleep(0.05)
            client = bus.client
            assert client._reconnection_task is not None
            client._reconnection_task.cancel()  # as an error that nats-py does not expect would
            await server.start()
            with anyio.fail_after(3):
                await bus.wait_connected()
            assert bus.client is not client
            await bus.flush()

    asyncio.run(main())


def test_closing_is_quick_whatever_waits(tmp_path: Path) -> None:
    async def main() -> None:
        async with running_bus(tmp_path) as (server, _):
            bus = await connect(server.url, name="b")
            await respond(bus, "never", never)
            await bus.client.subscribe("unread")
            await bus.publish("unread", b"x")
            asking = asyncio.create_task(bus.request("never", timeout=60))
            await anyio.sleep(0.05)
            os.kill(server.pid, signal.SIGSTOP)  # it neither answers nor ends
            try:
                with anyio.fail_after(3.5):
                    await bus.close()
            finally:
                os.kill(server.pid, signal.SIGCONT)
            with pytest.raises(BusUnavailable):
                await asking
            await bus.close()
            with pytest.raises(BusUnavailable):
                await bus.publish("x")
            with pytest.raises(BusUnavailable):
                await bus.wait_connected()

    asyncio.run(main())


def test_dropped_messages_are_counted(tmp_path: Path) -> None:
    async def slow(_: Msg) -> None:
        await anyio.sleep_forever()

    async def test(bus: Bus) -> None:
        interest = await subscribe(bus, "flood", slow, concurrency=1)
        assert interest._current is not None
        interest._current._pending_queue._maxsize = 10  # type: ignore[attr-defined]
        for _ in range(100):
            await bus.publish("flood", b"x")
        await bus.flush()
        assert bus.dropped > 50

    on_a_bus(tmp_path, test)
