"""A checkpoint that was signed shows whether history was rewritten, however consistently."""

import asyncio
import shutil
import sqlite3
import stat
import subprocess
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner

from contracts.envelope import GENESIS, NewEvent, seal
from contracts.events import CheckpointSigned
from contracts.ledger import ANY
from eventstore.commands import cli
from eventstore.database import FILE
from eventstore.errors import BadKey
from eventstore.rows import COLUMNS, envelope
from eventstore.signing import FOLDER, PRIVATE, PUBLIC, STREAM, Signer, SigningKey, genuine, message, read_key
from eventstore.sqlite import SqliteStore
from eventstore.transfer import export, load
from eventstore.verify import verify

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqliteStore]:
    async with SqliteStore.open(tmp_path / "store", create=True) as opened:
        yield opened


async def add(store: SqliteStore, *ids: str, kind: str = "Odd") -> None:
    for name in ids:
        await store.append(f"task/{name}", ANY, [NewEvent(event_id=name, type=kind, payload=b"{}")])


def test_the_key_is_made_once_and_is_its_owners_alone(tmp_path: Path) -> None:
    first = SigningKey.of(tmp_path)
    assert SigningKey.of(tmp_path).public == first.public
    assert stat.S_IMODE((tmp_path / FOLDER / PRIVATE).stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / FOLDER).stat().st_mode) == 0o700
    assert sorted(path.name for path in (tmp_path / FOLDER).iterdir()) == sorted((PRIVATE, PUBLIC))
    assert read_key(first.public) == read_key(str(tmp_path / FOLDER / PUBLIC)) == first.public


def test_a_signature_holds_for_its_text_and_key_alone(tmp_path: Path) -> None:
    signed = SigningKey.of(tmp_path).sign(7, "ab" * 32)
    assert genuine(signed)
    for change in (
        {"position": 8},
        {"checkpoint": "ac" * 32},
        {"key": SigningKey.of(tmp_path / "other").public},
        {"signature": "00" * 64},
        {"signature": "xyz"},
        {"key": ""},
    ):
        assert not genuine(msgspec.structs.replace(signed, **change))


@pytest.mark.skipif(shutil.which("openssl") is None, reason="no openssl here")
def test_other_tools_can_check_a_signature(tmp_path: Path) -> None:
    signed = SigningKey.of(tmp_path).sign(7, "ab" * 32)
    (tmp_path / "text").write_bytes(message(7, "ab" * 32))
    (tmp_path / "signature").write_bytes(bytes.fromhex(signed.signature))
    command = f"openssl pkeyutl -verify -pubin -inkey {FOLDER}/{PUBLIC} -rawin -in text -sigfile signature"
    ran = subprocess.run(
        command.split(),
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr


@pytest.mark.parametrize(
    "content", ["", "nonsense", "-----BEGIN PRIVATE KEY-----\nAA==\n-----END PRIVATE KEY-----\n"]
)
def test_what_is_no_key_is_named(tmp_path: Path, content: str) -> None:
    (tmp_path / FOLDER).mkdir()
    (tmp_path / FOLDER / PRIVATE).write_text(content)
    with pytest.raises(BadKey, match=r"checkpoint\.key is no key"):
        SigningKey.of(tmp_path)
    with pytest.raises(BadKey, match="64 hexadecimal digits"):
        read_key(str(tmp_path / FOLDER / PRIVATE))
    with pytest.raises(BadKey, match="want 64"):
        read_key("zz" * 32)


async def test_a_signed_ledger_verifies_and_says_how_far(store: SqliteStore) -> None:
    await add(store, "a", "b")
    signed = await Signer(store).sign()
    await add(store, "c")
    assert signed.position == 2
    report = verify(store)
    assert report.ok
    assert (report.signatures, report.signed, report.keys) == (1, 2, (signed.key,))
    assert verify(store, key=signed.key).ok
    assert not verify(store, key="ab" * 32).ok
    assert (await Signer(store).sign()).position == 4
    assert verify(store, key=signed.key).signed == 4


async def test_after_a_round_it_signs_by_itself_and_catches_up_on_what_it_missed(store: SqliteStore) -> None:
    await add(store, "a", kind="RoundClosed")
    running = asyncio.create_task(Signer(store).run())
    try:
        assert await store.grown(1, at_most=10)
        await add(store, "b")
        await add(store, "c", kind="RoundClosed")
        assert await store.grown(4, at_most=10)
    finally:
        running.cancel()
        await asyncio.wait({running})
    page = await store.read(STREAM)
    told = [msgspec.json.decode(event.payload, type=CheckpointSigned) for event in page.events]
    assert [each.position for each in told] == [1, 4]
    again = asyncio.create_task(Signer(store).run())  # nothing new: nothing to sign
    await asyncio.sleep(0.1)
    again.cancel()
    await asyncio.wait({again})
    assert store.position == 5


async def test_history_that_was_rewritten_consistently_is_found_out(store: SqliteStore) -> None:
    await add(store, "a", "b")
    key = (await Signer(store).sign()).key
    folder = store.folder
    await store.aclose()
    rewrite(folder, keep_checkpoint=True)
    report = verify(folder)
    assert not report.ok
    assert report.first_bad == 3
    assert "vouches for another history up to position 2" in report.faults[0].reason
    rewrite(
        folder, keep_checkpoint=False
    )  # and without the checkpoint: sound in itself, but nobody vouches for it
    assert verify(folder).ok
    assert verify(folder).signatures == 0
    assert not verify(folder, key=key).ok


def rewrite(folder: Path, *, keep_checkpoint: bool) -> None:
    """What a forger with the file, but without the key, can do: other payloads, and all hashes made anew."""
    with closing(sqlite3.connect(folder / FILE, isolation_level=None)) as connection:
        if not keep_checkpoint:
            connection.execute("DELETE FROM events WHERE stream = ?", (STREAM,))
            connection.execute("DELETE FROM streams WHERE stream = ?", (STREAM,))
        for row in connection.execute(f"SELECT {COLUMNS} FROM events WHERE stream LIKE 'task/%'").fetchall():
            old = envelope(row)
            new = NewEvent(event_id=old.event_id, type=old.type, payload=b'{"better": true}')
            made = seal(new, stream=old.stream, version=1, position=old.position, at=old.at, prev=GENESIS)
            connection.execute(
                "UPDATE events SET payload = ?, hash = ? WHERE position = ?",
                (made.payload, made.hash, made.position),
            )
            connection.execute("UPDATE streams SET hash = ? WHERE stream = ?", (made.hash, made.stream))


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"position": 99}, "another history"),
        ({"position": 1}, "another history"),
        ({"signature": "00" * 64}, "its signature is not by the key"),
    ],
)
async def test_a_checkpoint_that_somebody_made_up_is_a_fault(
    store: SqliteStore, change: dict[str, object], says: str
) -> None:
    await add(store, "a", "b")
    key = SigningKey.of(store.folder)
    told = key.sign(int(str(change.get("position", 2))), (await Signer(store).sign()).checkpoint)
    payload = msgspec.json.encode(msgspec.structs.replace(told, **change))
    await store.append(STREAM, ANY, [NewEvent(event_id="x", type="CheckpointSigned", payload=payload)])
    await store.append(STREAM, ANY, [NewEvent(event_id="y", type="CheckpointSigned", payload=b"{}")])
    report = verify(store)
    assert [fault.position for fault in report.faults] == [4, 5]
    assert says in report.faults[0].reason
    assert "can be read" in report.faults[1].reason
    assert report.signatures == 1


async def test_signatures_travel_with_an_export(store: SqliteStore, tmp_path: Path) -> None:
    await add(store, "a")
    key = (await Signer(store).sign()).key
    load(tmp_path / "copy", export(store.folder))
    assert verify(tmp_path / "copy", key=key).ok


async def test_the_commands_sign_and_check(store: SqliteStore) -> None:
    await add(store, "a")
    folder = store.folder
    await store.aclose()

    def call(*words: str) -> tuple[int, str]:
        result = CliRunner().invoke(cli, [*words, "--store", str(folder)])
        return result.exit_code, result.output

    code, told = await asyncio.to_thread(call, "checkpoint")
    assert code == 0
    key = told.split()[-1]
    assert call("verify", "--key", key)[0] == 0
    assert (
        "1 signed checkpoint holds, up to position 1"
        in call("verify", "--key", str(folder / FOLDER / PUBLIC))[1]
    )
    assert call("verify", "--key", "00" * 32)[0] == 4
    assert call("verify", "--key", "nothing")[0] == 2
