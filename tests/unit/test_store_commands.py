import asyncio
import json
import signal
import sqlite3
import sys
from contextlib import closing
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from contracts.envelope import NewEvent, blob_hash
from contracts.ledger import ANY
from eventstore.commands import cli
from eventstore.database import FILE
from eventstore.sqlite import SqliteStore

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
async def folder(tmp_path: Path) -> Path:
    async with SqliteStore.open(tmp_path / "store", create=True) as store:
        for number in range(6):
            payload = b'{"number": %d, "note": "the quick fox"}' % number if number < 5 else b"\xff\x00"
            event = NewEvent(event_id=f"{number}", type="Odd" if number % 2 else "Even", payload=payload)
            await store.append(f"task/{number % 2}", number // 2, [event])
        await store.put(b"a blob\n")
    return tmp_path / "store"


def call(folder: Path, *words: str) -> Result:
    return CliRunner().invoke(cli, [*words, "--store", str(folder)])


def rows(result: Result) -> list[dict[str, object]]:
    assert result.exit_code == 0, result.output
    return [json.loads(line) for line in result.stdout.splitlines()]


def test_every_command_has_help() -> None:
    for name in ("serve", "verify", "log", "blob", "streams"):
        result = CliRunner().invoke(cli, [name, "--help"])
        assert result.exit_code == 0
        assert "--store" in result.output


async def test_the_log_can_be_filtered(folder: Path) -> None:
    assert [row["position"] for row in rows(call(folder, "log", "--json"))] == [1, 2, 3, 4, 5, 6]
    assert [row["position"] for row in rows(call(folder, "log", "--json", "--stream", "task/1"))] == [2, 4, 6]
    assert [row["position"] for row in rows(call(folder, "log", "--json", "--stream", "task/"))] == [
        *range(1, 7)
    ]
    assert [
        row["position"] for row in rows(call(folder, "log", "--json", "--type", "Odd", "--after", "2"))
    ] == [
        4,
        6,
    ]
    limited = call(folder, "log", "--json", "--limit", "2")
    assert len(rows(limited)) == 2
    assert "--after 2" in limited.stderr
    first, *_, last = rows(call(folder, "log", "--json"))
    assert first["payload"] == {"number": 0, "note": "the quick fox"}
    assert last["payload"] == {"base64": "/wA="}
    plain = call(folder, "log").stdout.splitlines()
    assert len(plain) == 6
    assert plain[0].split("\t")[2] == "task/0@1"


async def test_streams_are_listed(folder: Path) -> None:
    assert call(folder, "streams").stdout == "3\ttask/0\n3\ttask/1\n"
    assert rows(call(folder, "streams", "task/1", "--json")) == [{"stream": "task/1", "version": 3}]


async def test_a_blob_is_written_as_it_is(folder: Path) -> None:
    name = blob_hash(b"a blob\n")
    assert call(folder, "blob", name).stdout_bytes == b"a blob\n"
    assert call(folder, "blob", name[:8]).stdout_bytes == b"a blob\n"
    missing = call(folder, "blob", "0" * 64)
    assert missing.exit_code == 2
    assert "no blob" in missing.stderr


async def test_verify_tells_by_its_exit_code(folder: Path) -> None:
    fine = call(folder, "verify")
    assert fine.exit_code == 0
    assert "intact; checkpoint 6:" in fine.stdout
    told = fine.stdout.split("checkpoint ")[1].strip()
    assert call(folder, "verify", "--checkpoint", told).exit_code == 0
    assert call(folder, "verify", "--checkpoint", "nonsense").exit_code == 2
    assert call(folder, "verify", "--checkpoint", "5:" + told[2:]).exit_code == 4
    path = folder / FILE
    path.write_bytes(path.read_bytes().replace(b'"number": 2', b'"number": 7'))
    broken = call(folder, "verify")
    assert broken.exit_code == 4
    assert "position 3: task/0@2" in broken.stdout
    assert "events before position 3 are sound; so are all streams but task/0" in broken.stdout
    facts = json.loads(call(folder, "verify", "--json").stdout)
    assert (facts["ok"], facts["first_bad"], facts["damaged"]) == (False, 3, ["task/0"])


def test_a_missing_or_foreign_store_is_a_matter_of_usage(tmp_path: Path) -> None:
    for command in (["verify"], ["log"], ["streams"], ["blob", "0" * 64]):
        missing = call(tmp_path, *command)
        assert missing.exit_code == 2
        assert "no ledger at" in missing.stderr
    (tmp_path / FILE).write_bytes(b"something else")
    for command in (["verify"], ["log"], ["streams"], ["blob", "0" * 64]):
        foreign = call(tmp_path, *command)
        assert foreign.exit_code == 2
        assert "is not a ledger" in foreign.stderr


def found(folder: Path, *words: str) -> list[object]:
    return [row["position"] for row in rows(call(folder, "log", "--json", *words))]


async def test_the_log_is_filtered_by_who_when_and_what_it_is_about(tmp_path: Path) -> None:
    folder = tmp_path / "store"
    events = (
        ("planner:a", b'{"campaign": "c1", "round": 1}'),
        ("evaluator:b", b'{"campaign": "c1", "round": 1, "verdict": {"decision": "keep"}}'),
        ("evaluator:b", b'{"campaign": "c2", "round": 1, "verdict": {"decision": "revert"}}'),
        ("planner:a", b"\xff no JSON"),
        ("operator:o", b'{"campaign": "c2", "round": 12}'),
    )
    async with SqliteStore.open(folder, create=True) as store:
        for number, (actor, payload) in enumerate(events):
            new = NewEvent(event_id=f"{number}", type="Odd", payload=payload, actor=actor)
            await store.append("a", number, [new])
    assert found(folder, "--actor", "planner") == [1, 4]
    assert found(folder, "--round", "1") == [1, 2, 3]
    assert found(folder, "--round", "1", "--campaign", "c1") == [1, 2]
    assert found(folder, "--verdict", "revert") == [3]
    assert found(folder, "--since", "1h") == [1, 2, 3, 4, 5]
    assert found(folder, "--since", "2000-01-01", "--until", "1d") == []
    with closing(sqlite3.connect(folder / FILE)) as connection:
        connection.execute("UPDATE events SET at = 1000000000 + position")
        connection.commit()
    assert found(folder, "--since", "2001-09-09T01:46:43", "--until", "2001-09-09T03:46:44+02:00") == [3, 4]
    wrong = call(folder, "log", "--since", "soon")
    assert (wrong.exit_code, "want 2026-11-27" in wrong.output) == (2, True)


async def test_the_log_is_followed_until_it_is_interrupted(folder: Path) -> None:
    command = ("-P", "-m", "eventstore", "log", "-f", "--json", "--type", "Odd", "--store", str(folder))
    process = await asyncio.create_subprocess_exec(sys.executable, *command, stdout=asyncio.subprocess.PIPE)
    assert process.stdout is not None

    async def position() -> object:
        return json.loads(await asyncio.wait_for(process.stdout.readline(), 30))["position"]  # type: ignore[union-attr]

    assert [await position() for _ in range(3)] == [2, 4, 6]
    async with SqliteStore.open(folder) as store:
        for name in ("Even", "Odd"):
            await store.append("new", ANY, [NewEvent(event_id=name, type=name, payload=b"{}")])
    assert await position() == 8
    process.send_signal(signal.SIGINT)
    assert await asyncio.wait_for(process.wait(), 30) == 130
