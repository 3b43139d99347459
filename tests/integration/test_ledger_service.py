import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import msgspec
import pytest
from nats.js.errors import Error as JetStreamError

from bus import jetstream
from bus.connection import Bus, connect
from bus.dead import REASON
from bus.errors import StreamFailed
from bus.server import Server
from bus.streams import ensure_streams
from bus.testing import running_bus, running_server
from contracts.envelope import Envelope, NewEvent, blob_hash
from contracts.ledger import ANY, CHUNK, BlobList, BlobPut, LedgerReply, Read, Refusal
from contracts.subjects import LEDGER_STREAM, event_subject
from eventstore.client import LedgerClient, sign_at
from eventstore.errors import (
    Conflict,
    LedgerUnavailable,
    Malformed,
    StoreFull,
    Tampered,
    TooLarge,
)
from eventstore.relay import OMITTED, POSITION, STREAM, VERSION, Relay
from eventstore.service import LedgerService
from eventstore.signing import Signer
from eventstore.sqlite import SqliteStore
from eventstore.verify import verify
from tests.integration.test_store_contract import Store, StoreContract, new, take

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@dataclass
class House:
    folder: Path
    server: Server
    bus: Bus
    store: SqliteStore
    relay: Relay
    client: LedgerClient


@asynccontextmanager
async def serving(folder: Path, bus: Bus, **relay_options: float) -> AsyncIterator[tuple[SqliteStore, Relay]]:
    async with SqliteStore.open(folder, create=True) as store:
        relay = Relay(store, bus, check=0.1, **relay_options)  # type: ignore[arg-type]
        service = LedgerService(store, bus, Signer(store), relay=relay)
        await service.start()
        leading = asyncio.create_task(service.lead())
        await service.leading.wait()
        try:
            yield store, relay
        finally:
            await service.stop()
            leading.cancel()
            await asyncio.wait({leading})


@pytest.fixture(scope="module")
async def server(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Server]:
    async with running_server(tmp_path_factory.mktemp("bus")) as server:
        yield server


@pytest.fixture
async def house(tmp_path: Path, server: Server) -> AsyncIterator[House]:
    async with (
        await connect(server.url, name="test") as bus,
        await connect(server.url, name="service") as other,
    ):
        await ensure_streams(bus)
        await jetstream.manage(bus, f"STREAM.DELETE.{LEDGER_STREAM}", {})
        async with serving(tmp_path, other) as (store, relay):
            yield House(tmp_path, server, bus, store, relay, LedgerClient(bus, poll=0.5))


class TestLedgerClient(StoreContract):
    @pytest.fixture
    def store(self, house: House) -> Store:
        return house.client

    async def test_an_append_larger_than_any_message_is_stored_whole(self, store: Store) -> None:
        """Over the bus an append is one message: what is larger is refused, and nothing of it is stored."""
        with pytest.raises(TooLarge, match="allowed"):
            await store.append("a", 0, [new(f"{number}", bytes(500_000)) for number in range(5)])
        assert (await store.read_all()).head == 0


async def until(check: Callable[[], Awaitable[bool]], *, within: float = 10.0) -> None:
    async with asyncio.timeout(within):
        while not await check():  # noqa: ASYNC110 (what is waited for is in other processes)
            await asyncio.sleep(0.02)


async def stream_messages(bus: Bus) -> list[tuple[int, str, dict[str, str], bytes]]:
    """Sequence, subject, headers and body of every message in LEDGER."""
    info = await jetstream.manage(bus, f"STREAM.INFO.{LEDGER_STREAM}", {})
    found = []
    for sequence in range(info["state"]["first_seq"], info["state"]["last_seq"] + 1):
        message = await bus.jetstream.get_msg(LEDGER_STREAM, sequence)
        found.append((sequence, message.subject or "", dict(message.headers or {}), message.data or b""))
    return found


async def relayed(bus: Bus, count: int) -> bool:
    try:
        info = await jetstream.manage(bus, f"STREAM.INFO.{LEDGER_STREAM}", {})
    except StreamFailed:
        return False
    return bool(info["state"]["last_seq"] >= count)


def positions(messages: list[tuple[int, str, dict[str, str], bytes]]) -> list[int]:
    return [int(headers[POSITION]) for _, _, headers, _ in messages]


async def test_what_is_malformed_is_refused_and_kept_as_a_dead_letter(house: House) -> None:
    reply = msgspec.msgpack.decode(
        await house.bus.request("ledger.append", b"\xc1nonsense"), type=LedgerReply
    )
    assert isinstance(reply, Refusal)
    assert reply.kind == "malformed"
    wrong_tag = msgspec.msgpack.encode(Read())
    reply = msgspec.msgpack.decode(await house.bus.request("ledger.append", wrong_tag), type=LedgerReply)
    assert isinstance(reply, Refusal)
    assert reply.kind == "malformed"

    async def buried() -> bool:
        letter = await jetstream.last(house.bus, "DEAD", "dead.ledger.append")
        return letter is not None and bool(letter.headers[REASON]) and letter.data == wrong_tag

    await until(buried)
    assert (await house.client.append("a", 0, [new("1")])).version == 1


async def test_a_conflict_tells_the_stream_and_both_versions(house: House) -> None:
    await house.client.append("a", 0, [new("1"), new("2")])
    with pytest.raises(Conflict) as caught:
        await house.client.append("a", 1, [new("3")])
    assert (caught.value.stream, caught.value.expected, caught.value.actual) == ("a", 1, 2)


async def test_an_append_larger_than_a_message_says_so(house: House) -> None:
    with pytest.raises(TooLarge, match="one request"):
        await house.client.append("a", 0, [new(f"{n}", bytes(600_000)) for n in range(2)])


async def test_pages_stay_below_a_message_and_lose_nothing(house: House) -> None:
    for number in range(12):
        await house.client.append("a", number, [new(f"{number}", os.urandom(200_000))])
    page = await house.client.read("a")
    assert len(page.events) == 3
    assert page.more
    assert page.head == 12
    assert [event.version for event in await take(house.client, 12)] == list(range(1, 13))


async def fill(store: Store) -> None:
    for number in range(50):
        await store.append("b", number, [new(f"b{number}", os.urandom(5000))])


async def test_a_full_disk_is_said_to_clients_and_over_when_there_is_room(house: House) -> None:
    await house.client.append("a", 0, [new("1")])
    connection = house.store._writer._connection  # type: ignore[union-attr]
    pages = connection.execute("PRAGMA page_count").fetchone()[0]
    connection.execute(f"PRAGMA max_page_count={pages}")
    with pytest.raises(StoreFull):
        await fill(house.client)
    with pytest.raises(StoreFull):
        await house.client.put(os.urandom(100_000))
    connection.execute("PRAGMA max_page_count=1073741823")
    await house.client.append("c", 0, [new("c")])
    await house.client.put(os.urandom(100_000))
    assert verify(house.folder).ok


async def test_more_streams_than_a_message_holds_are_listed(house: House) -> None:
    names = [f"task/{number:05}-{'x' * 180}" for number in range(5000)]
    await asyncio.gather(*(house.store.append(name, 0, [new(name)]) for name in names))
    assert [name for name, _ in await house.client.streams("task/")] == names


async def test_chunks_of_another_blob_are_refused_whole(house: House) -> None:
    data = os.urandom(2 * CHUNK)
    for index, piece in ((0, data[:CHUNK]), (1, bytes(CHUNK))):
        put = BlobPut(hash=blob_hash(data), index=index, total=2, data=piece)
        raw = await house.bus.request("ledger.blob_put", msgspec.msgpack.encode(put))
        reply = msgspec.msgpack.decode(raw, type=LedgerReply)
    assert isinstance(reply, Refusal)
    assert reply.kind == "malformed"
    assert await house.client.has([blob_hash(data)]) == frozenset()
    assert await house.client.put(data) == blob_hash(data)


async def test_two_senders_of_one_blob_help_each_other(house: House) -> None:
    data = os.urandom(3 * CHUNK)
    other = LedgerClient(house.bus)
    assert set(await asyncio.gather(house.client.put(data), other.put(data))) == {blob_hash(data)}
    assert await LedgerClient(house.bus).get(blob_hash(data)) == data


async def test_a_service_that_forgot_the_first_chunks_gets_them_again(tmp_path: Path) -> None:
    data = os.urandom(3 * CHUNK)
    async with running_bus(tmp_path) as (server, bus), await connect(server.url, name="service") as other:
        async with serving(tmp_path, other):
            put = BlobPut(hash=blob_hash(data), index=0, total=3, data=data[:CHUNK])
            raw = await bus.request("ledger.blob_put", msgspec.msgpack.encode(put))
            assert msgspec.msgpack.decode(raw, type=LedgerReply) == BlobList(hashes=())
        async with serving(tmp_path, other):
            assert await LedgerClient(bus).put(data) == blob_hash(data)


async def test_without_a_service_a_client_is_patient_and_then_says_so(tmp_path: Path) -> None:
    async with running_bus(tmp_path) as (server, bus), await connect(server.url, name="service") as other:
        with pytest.raises(LedgerUnavailable):
            await LedgerClient(bus, patience=0.2).read("a")
        waiting = asyncio.create_task(LedgerClient(bus).append("a", 0, [new("1")]))
        await asyncio.sleep(0.1)
        async with serving(tmp_path, other):
            assert (await asyncio.wait_for(waiting, 5)).version == 1


async def test_a_client_notices_an_event_that_was_changed(house: House) -> None:
    await house.client.append("a", 0, [new("1"), new("2"), new("3")])
    connection = house.store._writer._connection  # type: ignore[union-attr]
    connection.execute("UPDATE events SET payload = ? WHERE position = 2", (b"[]",))
    with pytest.raises(Tampered) as caught:
        await house.client.read("a")
    assert caught.value.position == 2


async def test_the_relay_publishes_every_event_once_and_in_order(house: House) -> None:
    for number in range(20):
        await house.client.append(f"lineage/{number % 3}", number // 3, [new(f"{number}")])
    await until(lambda: relayed(house.bus, 20))
    messages = await stream_messages(house.bus)
    assert positions(messages) == list(range(1, 21))
    for event, (_, subject, headers, body) in zip(
        (await house.store.read_all()).events, messages, strict=True
    ):
        assert msgspec.msgpack.decode(body, type=Envelope) == event
        assert subject == event_subject(event.stream)
        assert headers[STREAM] == event.stream
        assert headers[VERSION] == str(event.version)
        assert headers["Nats-Msg-Id"] == event.event_id


async def test_a_stream_that_was_deleted_is_built_again(house: House) -> None:
    await house.client.append("a", 0, [new(f"{number}") for number in range(50)])
    await until(lambda: relayed(house.bus, 50))
    await jetstream.manage(house.bus, f"STREAM.DELETE.{LEDGER_STREAM}", {})
    await until(lambda: relayed(house.bus, 50))  # nothing new was appended: the idle relay noticed
    following = asyncio.create_task(take(house.client, 60))
    await jetstream.manage(house.bus, f"STREAM.DELETE.{LEDGER_STREAM}", {})
    for number in range(10):  # and while it is at work
        await house.client.append("b", number, [new(f"b{number}")])
    await until(lambda: relayed(house.bus, 60))
    assert positions(await stream_messages(house.bus)) == list(range(1, 61))
    assert [event.position for event in await following] == list(range(1, 61))


async def test_a_stream_that_was_emptied_or_is_foreign_is_built_again(house: House) -> None:
    await house.client.append("a", 0, [new(f"{number}") for number in range(5)])
    await until(lambda: relayed(house.bus, 5))
    await jetstream.manage(house.bus, f"STREAM.PURGE.{LEDGER_STREAM}", {})

    async def whole() -> bool:
        return await relayed(house.bus, 5) and positions(await stream_messages(house.bus)) == [1, 2, 3, 4, 5]

    async def safely_whole() -> bool:
        try:
            return await whole()
        except (KeyError, StreamFailed, JetStreamError):  # it is being built
            return False

    await until(safely_whole)
    await jetstream.store(house.bus, "events.forged", b"what is this")
    await until(safely_whole)


async def test_a_relay_that_starts_again_publishes_nothing_twice(tmp_path: Path) -> None:
    async with running_bus(tmp_path) as (server, bus), await connect(server.url, name="service") as other:
        client = LedgerClient(bus)
        for life in range(3):
            async with serving(tmp_path, other) as (_, relay):
                await client.append("a", 30 * life, [new(f"{life}-{number}") for number in range(30)])
                if life != 1:  # the second life ends with its work undone
                    await until(lambda life=life: relayed(bus, 30 * (life + 1)))  # type: ignore[misc]
            assert relay.published <= 60
        assert positions(await stream_messages(bus)) == list(range(1, 91))


async def test_an_event_too_large_for_a_message_is_fetched_by_followers(tmp_path: Path) -> None:
    async with (
        running_bus(tmp_path) as (server, bus),
        await connect(server.url, name="service") as other,
        serving(tmp_path, other, max_message=1000),
    ):
        client = LedgerClient(bus)
        following = asyncio.create_task(take(client, 3))
        await asyncio.sleep(0.1)
        for number, size in enumerate((10, 5000, 10)):
            await client.append("a", number, [new(f"{number}", bytes(size))])
        assert [len(event.payload) for event in await following] == [10, 5000, 10]
        await until(lambda: relayed(bus, 3))
        assert [OMITTED in headers for _, _, headers, _ in await stream_messages(bus)] == [False, True, False]


async def test_followers_live_through_lost_and_forged_wake_ups(house: House) -> None:
    await house.client.append("a", 0, [new("1")])
    first = (await house.store.read_all()).events[0]
    following = asyncio.create_task(take(house.client, 3))
    await asyncio.sleep(0.1)
    for forged in (
        msgspec.msgpack.encode(msgspec.structs.replace(first, position=2, version=2)),
        msgspec.msgpack.encode(msgspec.structs.replace(first, position=9)),
        b"nonsense",
    ):
        await house.bus.publish("events.a", forged)
    await house.client.append("a", 1, [new("2"), new("3")])
    assert [event.event_id for event in await following] == ["1", "2", "3"]


async def test_a_restart_of_the_bus_costs_time_only(house: House) -> None:
    following = asyncio.create_task(take(house.client, 20))
    for number in range(10):
        await house.client.append("a", number, [new(f"{number}")])
    await house.server.stop()
    appending = asyncio.create_task(house.client.append("a", 10, [new(f"x{n}") for n in range(5)]))
    await asyncio.sleep(0.2)
    await house.server.start()
    assert (await appending).version == 15
    for number in range(15, 20):
        await house.client.append("a", number, [new(f"y{number}")])
    assert [event.position for event in await following] == list(range(1, 21))
    await until(lambda: relayed(house.bus, 20))
    assert positions(await stream_messages(house.bus)) == list(range(1, 21))


async def start_service(folder: Path, url: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-P", "-m", "eventstore", "serve", "--store", str(folder)),
        env=os.environ | {"RATCHET_BUS": url, "RATCHET_LOG_LEVEL": "error"},
    )


async def test_a_service_killed_under_load_loses_and_doubles_nothing(tmp_path: Path) -> None:
    async with running_bus(tmp_path) as (server, bus):
        client = LedgerClient(bus, timeout=2.0)
        acknowledged: dict[str, int] = {}
        done = asyncio.Event()

        async def appender(worker: int) -> None:
            number = 0
            while not done.is_set():
                name = f"{worker}-{number}"
                answer = await client.append(f"own/{worker}", number, [new(name), new(name + "b")][:1])
                acknowledged[name] = answer.position
                number += 1

        heard: list[int] = []

        async def hear() -> None:
            async for event in client.follow():
                heard.append(event.position)  # noqa: PERF401 (it is looked at meanwhile)

        service = await start_service(tmp_path, server.url)
        work = [asyncio.create_task(appender(worker)) for worker in range(16)]
        hearing = asyncio.create_task(hear())
        try:
            for _ in range(2):
                before = len(acknowledged)

                async def going(before: int = before) -> bool:
                    return len(acknowledged) >= before + 100

                await until(going, within=20)
                service.kill()
                await service.wait()
                service = await start_service(tmp_path, server.url)
            done.set()
            await asyncio.wait_for(asyncio.gather(*work), 20)
            position = max(acknowledged.values())

            async def all_heard() -> bool:
                return bool(heard) and heard[-1] >= position

            await until(all_heard)
            await until(lambda: relayed(bus, position))
        finally:
            hearing.cancel()
            await asyncio.gather(hearing, return_exceptions=True)
            service.send_signal(signal.SIGTERM)
            assert await service.wait() == 0
        async with SqliteStore.open(tmp_path) as store:
            stored = {event.event_id: event.position for event in (await store.read_all(limit=10**6)).events}
        assert acknowledged.items() <= stored.items()
        assert sorted(stored.values()) == list(range(1, len(stored) + 1))
        assert heard == list(range(1, len(heard) + 1))
        assert verify(tmp_path).ok
        messages = await stream_messages(bus)
        assert positions(messages) == list(range(1, len(stored) + 1))


async def test_a_second_service_of_a_store_says_who_holds_it(tmp_path: Path) -> None:
    async with running_bus(tmp_path) as (server, _), SqliteStore.open(tmp_path, create=True):
        second = await asyncio.create_subprocess_exec(
            *(sys.executable, "-P", "-m", "eventstore", "serve", "--store", str(tmp_path)),
            env=os.environ | {"RATCHET_BUS": server.url},
            stderr=asyncio.subprocess.PIPE,
        )
        _, said = await second.communicate()
        assert second.returncode == 3
        assert f"process {os.getpid()}".encode() in said


async def test_a_service_without_a_bus_says_so(tmp_path: Path) -> None:
    service = await asyncio.create_subprocess_exec(
        *(sys.executable, "-P", "-m", "eventstore", "serve", "--store", str(tmp_path)),
        env={key: value for key, value in os.environ.items() if key != "RATCHET_BUS"},
        stderr=asyncio.subprocess.PIPE,
    )
    _, said = await service.communicate()
    assert service.returncode == 3
    assert b"--bus" in said


async def test_a_client_refuses_what_no_store_would_take_without_asking(tmp_path: Path) -> None:
    async with running_bus(tmp_path) as (_, bus):
        with pytest.raises(Malformed):
            await LedgerClient(bus, patience=0.0).append("a b", 0, [new("1")])


async def test_a_checkpoint_is_signed_on_request_and_nobody_else_writes_there(house: House) -> None:
    await house.client.append("task/a", 0, [NewEvent(event_id="a", type="Odd", payload=b"{}")])
    signed = await sign_at(house.server.url)
    assert (signed.position, house.store.position) == (1, 2)
    assert verify(house.store, key=signed.key).signed == 1
    forged = NewEvent(event_id="x", type="CheckpointSigned", payload=b"{}")
    with pytest.raises(Malformed, match="written by the ledger itself"):
        await house.client.append("ledger/checkpoints", ANY, [forged])
    assert house.store.position == 2
