"""What people read of a ledger, by the commands as they type them, from the file alone."""

import asyncio
import io
import json
import shutil
import sqlite3
import subprocess
import sys
import xml.etree.ElementTree as ET
from contextlib import closing, redirect_stdout
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
import msgspec
import pytest
from click.testing import CliRunner, Result

from agents.cli import main as ratchet
from contracts.envelope import GENESIS, NewEvent, blob_hash, seal, tree_bytes
from contracts.ledger import ANY
from eventstore.audit.archive import opened
from eventstore.audit.commands import COMMANDS
from eventstore.audit.facts import build
from eventstore.audit.history import gather, lineage_events
from eventstore.audit.page import html
from eventstore.audit.testing import SEED_FILES, synthetic_campaign
from eventstore.printing import listed, table
from eventstore.rows import COLUMNS, envelope
from eventstore.sqlite import SqliteStore

ROUNDS = 7


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("audit") / "store"

    async def play() -> None:
        async with SqliteStore.open(folder, create=True) as opened:
            await synthetic_campaign(opened, rounds=1, seed=3)
            await synthetic_campaign(opened, rounds=ROUNDS, seed=6)
            await opened.append(
                "task/one", ANY, [NewEvent(event_id="t", type="Odd", payload=b'{"a": "\\u001b[31m"}')]
            )

    asyncio.run(play())
    return folder


def run(store: Path, *arguments: str) -> Result:
    group = click.Group(commands={command.name or "": command for command in COMMANDS})
    result = CliRunner().invoke(group, list(arguments), env={"RATCHET_STORE": str(store), "COLUMNS": "200"})
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def ok(store: Path, *arguments: str) -> str:
    result = run(store, *arguments)
    assert result.exit_code == 0, result.output
    return result.stdout


def facts(store: Path, *arguments: str) -> Any:
    return json.loads(ok(store, *arguments, "--json"))


@pytest.fixture(scope="module")
def versions(store: Path) -> list[Any]:
    return [json.loads(line) for line in ok(store, "versions", "--json").splitlines()]


@pytest.fixture(scope="module")
def kept(versions: list[Any]) -> int:
    """A round of the last campaign that changed the harness."""
    return next(int(v["round"]) for v in versions if v["origin"] == "round" and v["campaign"] == "c2")


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: str(command.name))
def test_every_command_says_what_it_does_and_what_its_options_are(command: click.Command) -> None:
    text = CliRunner().invoke(command, ["--help"]).output
    for option in ("--store", "RATCHET_STORE", "--json"):
        assert option in text
    assert ("--lineage" in text) == (
        command.name not in {"search", "index", "backup"}
    )  # these know all lineages
    for parameter in command.params:
        if isinstance(parameter, click.Option):
            assert parameter.help


def test_what_this_version_does_not_know_is_set_aside_and_listed(store: Path) -> None:
    command = [str(Path(sys.executable).with_name("ratchet")), "doctor", "--store", str(store), "--json"]
    told = json.loads(subprocess.run(command, capture_output=True, text=True, timeout=60, check=False).stdout)
    (found,) = [finding for finding in told["findings"] if finding["what"] == "ledger"]
    assert found["ok"]
    assert "set aside: 1 Odd (first at position" in found["found"]
    assert "this version knows no such type" in found["found"]


def test_texts_are_found_and_the_tables_are_named(store: Path, kept: int) -> None:
    hits = facts(store, "search", "kept", "--kind", "reason", "--limit", "50")
    assert kept in {hit["round"] for hit in hits if hit["campaign"] == "c2" and hit["title"] == "ChangeKept"}
    assert ok(store, "search", "kept", "--limit", "1").count("\n") == 1
    assert "nothing was found" in run(store, "search", "xylophone").stderr
    told = facts(store, "index")
    assert told["tables"]["campaigns"] == 2
    with closing(sqlite3.connect(told["path"])) as connection:
        assert connection.execute("SELECT count(*) FROM rounds").fetchone()[0] == ROUNDS + 1


def test_a_round_is_shown_whole(store: Path, kept: int) -> None:
    text = ok(store, "show", f"r{kept}")
    for part in (
        f"Round {kept} of campaign c2",
        "Evidence",
        "they try the same edit again",
        "Candidates",
        "prediction",
        "+++ b/",
        "fresh seeds",
        "task-07",
        "protected tasks",
        "Kept: effect",
        "Lesson",
        "Wider steps.",
        "episodes",
    ):
        assert part in text
    assert ok(store, "show", f"c2/{kept}") == text
    told = facts(store, "show", f"r{kept}")
    assert told["decision"] == "kept"
    assert told["confirmed"]["verdict"]["decision"] == "keep"
    assert len(told["tasks"]) == len(told["confirmed"]["incumbent"]["scores"])
    assert told["lesson_text"].startswith(f"# Round {kept}")


def test_every_round_can_be_shown(store: Path) -> None:
    for number in range(1, ROUNDS + 1):
        assert f"Round {number} of" in ok(store, "show", f"r{number}")


def test_an_event_is_shown_by_its_position_with_the_round_that_it_belongs_to(store: Path) -> None:
    text = ok(store, "show", "6")
    assert "Position 6: " in text
    assert "ratchet show c1/1" in text
    assert facts(store, "show", "1")["payload"]["tree"]


def test_what_others_wrote_cannot_command_the_terminal(store: Path) -> None:
    with sqlite3.connect(f"file:{store / 'ledger.db'}?mode=ro", uri=True) as connection:
        last = connection.execute("SELECT max(position) FROM events").fetchone()[0]
    connection.close()
    text = ok(store, "show", str(last))
    assert "\x1b" not in text
    assert "[31m" in text


def test_a_round_that_does_not_exist_names_those_that_do(store: Path) -> None:
    result = run(store, "show", "r99")
    assert result.exit_code == 2
    assert "round r99 is not in this ledger: there is r1, r2" in result.stderr
    assert "c1/1" in result.stderr
    result = run(store, "show", "r99", "--json")
    assert (result.exit_code, result.stderr) == (2, "")
    error = json.loads(result.stdout)["error"]
    assert error["kind"] == "NotInLedger"
    assert "there is r1" in error["message"]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("show", "nonsense"), "want a round"),
        (("show", "99999"), "position 99999 is not in this ledger"),
        (("show", "r1", "--lineage", "other"), "there is main"),
        (("diff", "v99", "head"), "there is v0, v1"),
        (("diff", "seed", "r1.77"), "candidate r1.77 is not in this ledger"),
        (("diff", "seed", "abcdef012345"), "harness abcdef012345 is not in this ledger"),
        (("diff", "seed", "xyz"), "there is seed, head, v0"),
        (("diff", "seed"), "Missing argument"),
        (("replay", "--to", "soon"), "want a position"),
        (("replay", "--to", "r99"), "there is r1"),
        (("replay", "--check", "--to", "3"), "leave --to away"),
        (("report", "--campaign", "c9"), "there is c1, c2"),
        (("checkout", "v99", "somewhere"), "there is v0"),
        (("blame", "nothing.py"), "file nothing.py is not in this ledger: there is agent.py"),
        (("blame", "agent.py", "--at", "v99"), "there is v0"),
        (("export", "--campaign", "c1"), "jsonl is the whole ledger"),
        (("export", "--as", "html", "--campaign", "c9"), "there is c1, c2"),
        (("counterfactual",), "other numbers are wanted"),
        (("counterfactual", "--preset", "lax"), "the presets are default, strict"),
        (("counterfactual", "r99", "--alpha", "0.5"), "there is r1"),
    ],
)
def test_what_is_not_there_is_refused_in_words_and_in_json(
    store: Path, arguments: tuple[str, ...], says: str
) -> None:
    result = run(store, *arguments)
    assert result.exit_code == 2
    assert says in result.stderr
    assert not result.stdout
    result = run(store, *arguments, "--json")
    assert result.exit_code == 2
    assert says in json.loads(result.stdout)["error"]["message"]


def test_a_folder_without_a_ledger_is_refused(tmp_path: Path) -> None:
    for arguments in (("show", "r1"), ("replay", "--check"), ("report",), ("versions",)):
        result = run(tmp_path, *arguments)
        assert result.exit_code == 2
        assert "no ledger at" in result.stderr
        assert json.loads(run(tmp_path, *arguments, "--json").stdout)["error"]["kind"] == "StoreMissing"


def test_versions_are_listed_with_rounds_and_effects(store: Path, versions: list[Any], kept: int) -> None:
    lines = ok(store, "versions").splitlines()
    assert len(lines) == len(versions)
    assert lines[0].startswith("v0\t")
    assert any(f"\tr{kept}\t+" in line for line in lines)
    assert "head" in lines[-1]
    assert [version["number"] for version in versions] == list(range(len(versions)))


def test_harnesses_are_compared_by_every_name_that_they_have(
    store: Path, versions: list[Any], kept: int
) -> None:
    number = next(v["number"] for v in versions if v["campaign"] == "c2" and v["round"] == kept)
    before, after = versions[number - 1]["tree"], versions[number]["tree"]
    text = ok(store, "diff", f"v{number - 1}", f"v{number}")
    assert text.startswith("diff --git a/")
    best = facts(store, "show", f"r{kept}")["confirmed"]["candidate"]
    for name in (f"v{number}", f"r{kept}", f"r{kept}.{best}", f"c2/{kept}", after[:6], after):
        assert ok(store, "diff", before[:8], name) == text
    assert ok(store, "diff", "v0", "seed") == ""
    assert ok(store, "diff", "head", f"v{len(versions) - 1}") == ""
    assert facts(store, "diff", before, after) == {"from": before, "to": after, "diff": text}


def test_any_version_is_checked_out_byte_for_byte(store: Path, versions: list[Any], tmp_path: Path) -> None:
    for version in versions:
        folder = tmp_path / f"v{version['number']}"
        ok(store, "checkout", f"v{version['number']}", str(folder))
        files = {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}
        tree = tree_bytes({path: blob_hash(data) for path, data in files.items()})
        assert blob_hash(tree) == version["tree"]
    assert (tmp_path / "v0" / "agent.py").read_bytes() == SEED_FILES["agent.py"]
    again = run(store, "checkout", "head", str(tmp_path / "v0"))
    assert again.exit_code == 2
    assert "is not empty" in again.stderr


def test_replay_tells_the_state_and_stops_where_it_is_told(store: Path) -> None:
    whole = facts(store, "replay")
    assert whole["state_hash"] in ok(store, "replay")
    then = facts(store, "replay", "--to", "r2")
    assert then["version"] < whole["version"]
    assert then["campaign"]["rounds_done"] == 2
    assert then == facts(store, "replay", "--to", str(then["position"]))


def test_the_check_passes_and_names_the_first_event_that_was_changed(store: Path, tmp_path: Path) -> None:
    assert "all fits: 8 state hashes and" in ok(store, "replay", "--check")
    told = facts(store, "replay", "--check")
    assert told["ok"]
    assert told["verdicts"] > 0
    broken = tmp_path / "broken"
    shutil.copytree(store, broken)
    with sqlite3.connect(broken / "ledger.db") as connection:
        position, payload = connection.execute(
            "SELECT position, payload FROM events WHERE type = 'ChangeConfirmed' ORDER BY position LIMIT 1"
        ).fetchone()
        event = json.loads(payload)
        scores = event["challenger"]["scores"]
        scores[0][0] = 1.0 - scores[0][0]
        changed = json.dumps(event).encode()
        connection.execute("UPDATE events SET payload = ? WHERE position = ?", (changed, position))
    connection.close()
    result = run(broken, "replay", "--check")
    assert result.exit_code == 4
    assert f"DOES NOT FIT: the first event is at position {position}" in result.stdout
    result = run(broken, "replay", "--check", "--json")
    assert result.exit_code == 4
    misfits = json.loads(result.stdout)["misfits"]
    assert misfits[0]["position"] == position
    assert any("verdict" in misfit["reason"] for misfit in misfits)


def test_an_event_out_of_its_chain_ends_every_reading_with_code_4(store: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken"
    shutil.copytree(store, broken)
    with sqlite3.connect(broken / "ledger.db") as connection:
        connection.execute("DELETE FROM events WHERE position = 9")
    connection.close()
    for arguments in (("replay",), ("replay", "--check"), ("report",), ("show", "r1"), ("versions",)):
        assert run(broken, *arguments).exit_code == 4
    assert json.loads(run(broken, "report", "--json").stdout)["error"]["kind"] == "Tampered"


def test_the_report_tells_what_was_measured_kept_claimed_and_spent(store: Path, kept: int) -> None:
    page = ok(store, "report")
    for part in (
        "# Ratchet: lineage main, campaign c2",
        "## What was kept",
        f"- r{kept} kept “",
        "| round | surface | change | predicted | Δ | interval | p | verdict |",
        "**kept**",
        "## Sealed tasks",
        "| base | `",
        "## Null arms",
        "## Time and cost",
        "| tokens |",
        "```diff",
        "ratchet replay --check",
    ):
        assert part in page
    told = facts(store, "report")
    assert told["campaign"] == "c2"
    assert len(told["rounds"]) == ROUNDS
    assert told["spent"]["episodes"] > told["spent_sealed"]["episodes"] > 0
    assert facts(store, "report", "--campaign", "c1")["campaign"] == "c1"


def test_the_report_is_written_with_a_chart_that_is_well_formed(store: Path, tmp_path: Path) -> None:
    told = facts(store, "report", "--out", str(tmp_path / "out"))
    page, picture = (Path(path) for path in told["written"])
    assert "![Score over rounds](score.svg)" in page.read_text()
    root = ET.fromstring(picture.read_text())
    ns = "{http://www.w3.org/2000/svg}"
    words = [text.text for text in root.iter(f"{ns}text")]
    assert {"round", "mean score", "sealed tasks", *map(str, range(1, ROUNDS + 1))} <= set(words)
    kept = [round_ for round_ in told["rounds"] if round_["decision"] == "kept"]
    marks = [path for path in root.iter(f"{ns}path") if path.get("class") == "kept mark"]
    assert len(marks) == len(kept) + 1  # and one in the legend
    width, height = (float(root.get(side) or 0) for side in ("width", "height"))
    for circle in root.iter(f"{ns}circle"):
        assert 0 < float(circle.get("cx") or -1) < width
        assert 0 < float(circle.get("cy") or -1) < height


def test_a_lineage_in_which_nothing_has_happened_yet_is_told_as_such(tmp_path: Path) -> None:
    from contracts.events import HarnessSeeded, encode
    from eventstore.trees import put_tree

    async def play() -> None:
        async with SqliteStore.open(tmp_path / "new", create=True) as opened:
            seeded = HarnessSeeded(tree=await put_tree(opened, SEED_FILES))
            event = encode(seeded, duty="seed", index=0, actor="operator", correlation="")
            await opened.append("lineage/main", 0, [event])

    asyncio.run(play())
    new = tmp_path / "new"
    assert "no campaign yet" in ok(new, "replay")
    assert "v0" in ok(new, "versions")
    assert "`ratchet run` starts one" in run(new, "report").stderr
    assert "there is no round yet" in run(new, "show", "r1").stderr


def test_a_campaign_under_way_can_be_read_while_it_is_written(tmp_path: Path) -> None:
    folder = tmp_path / "store"

    async def play() -> tuple[str, str]:
        async with SqliteStore.open(folder, create=True) as opened:
            await synthetic_campaign(opened, rounds=2, seed=1, finish=False, mishaps=False)
            return ok(folder, "report"), ok(folder, "show", "r2")

    page, round_ = asyncio.run(play())
    assert "is running" in page
    assert "under way" in page
    assert "under way" in round_


@pytest.mark.parametrize(
    "arguments",
    [
        ("log",), ("verify",), ("checkpoint",), ("streams",), ("show", "r1"), ("search", "word"), ("index",),
        ("backup", "elsewhere"), ("blame", "agent.py"),
    ],
)  # fmt: skip
def test_programs_are_told_of_errors_as_json(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    told = CliRunner().invoke(ratchet, [*arguments, "--store", str(tmp_path / "none"), "--json"])
    assert told.exit_code == 2
    assert json.loads(told.stdout)["error"]["kind"] == "StoreMissing"


def test_what_is_no_answer_to_a_question_is_refused(store: Path) -> None:
    for words in ((" ",), ('""',), ("-", "%")):
        assert run(store, "search", *words).exit_code == 2
    for note in ("5:abc", "5:" + "g" * 64, "0:" + "a" * 64):
        refused = CliRunner().invoke(ratchet, ["verify", "--checkpoint", note, "--store", str(store)])
        assert refused.exit_code == 2
    empty = CliRunner().invoke(ratchet, ["revert", "v0", "--reason", " ", "--store", str(store)])
    assert empty.exit_code == 2


def test_on_a_narrow_terminal_an_event_keeps_its_position_and_its_type(
    store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    drawn = io.StringIO()
    with redirect_stdout(drawn):
        drawn.isatty = lambda: True  # type: ignore[method-assign]
        with opened(store) as archive:
            events = list(archive.events("lineage/main"))[:9]
        table(("position", "time", "stream", "type", "payload"), map(listed, events), numbers=1)
    lines = drawn.getvalue().splitlines()[1:]
    for event, line in zip(events, lines, strict=True):
        assert line.split()[0] == str(event.position)
        assert event.type in line


def test_each_line_of_a_file_names_its_round(store: Path, versions: list[Any]) -> None:
    lines = facts(store, "blame", "harness.toml")
    assert [line["number"] for line in lines] == list(range(1, len(lines) + 1))
    by_name = {version["number"]: version for version in versions}
    assert {line["version"]["number"] for line in lines} > {0}
    for line in lines:
        assert line["version"]["title"] == by_name[line["version"]["number"]]["title"]
    rows = [row.split("\t") for row in ok(store, "blame", "harness.toml").splitlines()]
    assert [row[5] for row in rows] == [line["text"] for line in lines]
    first = ok(store, "blame", "harness.toml", "--at", "seed").splitlines()
    assert {row.split("\t")[1] for row in first} == {"seed"}


def test_the_same_numbers_decide_the_same_and_a_strict_gate_keeps_less(store: Path) -> None:
    same = facts(store, "counterfactual", "--alpha", "0.1")  # the campaigns' own level
    assert same
    assert not any(one["differs"] for one in same)
    assert [one["recorded"] for one in same] == [one["other"] for one in same]
    assert any(one["done"] == "kept" for one in same)
    strict = facts(store, "counterfactual", "--minimum-effect", "0.9")
    assert not any(one["other"]["decision"] == "keep" for one in strict)
    assert any(one["differs"] for one in strict)


def test_a_round_is_decided_again_by_itself(store: Path, kept: int) -> None:
    [one] = facts(store, "counterfactual", f"r{kept}", "--minimum-effect", "0.9")
    assert (one["campaign"], one["round"], one["recorded"]["decision"]) == ("c2", kept, "keep")
    assert "below the minimum" in one["other"]["reason"]
    result = run(store, "counterfactual", f"r{kept}", "--preset", "default")
    assert "1 confirmation: 1 to be kept on record" in result.stderr


def test_a_ledger_is_handed_on_as_lines_and_comes_back_the_same(store: Path, tmp_path: Path) -> None:
    file, copy = tmp_path / "ledger.jsonl", tmp_path / "copy"
    told = facts(store, "export", "--out", str(file))
    assert told["bytes"] == file.stat().st_size
    assert told["lines"] == len(file.read_text().splitlines())
    assert ok(store, "export") == file.read_text()
    assert ok(copy, "import", str(file)).startswith(f"{told['lines'] - 2 - len(set(_blobs(file))):,} events")
    assert ok(copy, "export") == file.read_text()
    assert facts(copy, "replay") == facts(store, "replay")
    again = run(copy, "import", str(file))
    assert (again.exit_code, "left alone" in again.stderr) == (2, True)
    file.write_text(file.read_text().replace("ChangeKept", "ChangeLost"))
    forged = run(tmp_path / "other", "import", str(file))
    assert (forged.exit_code, "nothing was imported" in forged.stderr) == (4, True)


def test_a_backup_is_made_beside_the_service_and_restores(store: Path, tmp_path: Path) -> None:
    live, copy = tmp_path / "live", tmp_path / "copies" / "last"
    shutil.copytree(store, live)

    async def play() -> tuple[Any, Any]:
        async with SqliteStore.open(
            live
        ) as opened:  # holds the lock, and has its newest commits in the log beside
            await opened.append("task/two", 0, [NewEvent(event_id="t2", type="Odd", payload=b"{}")])
            first = await asyncio.to_thread(facts, live, "backup", str(copy))
            await opened.append("task/two", 1, [NewEvent(event_id="t3", type="Odd", payload=b"{}")])
            return first, await asyncio.to_thread(facts, live, "backup", str(copy))

    first, second = asyncio.run(play())
    assert second["position"] == first["position"] + 1
    assert [path.name for path in copy.iterdir()] == ["ledger.db"]
    assert f"intact; checkpoint {second['position']}:{second['checkpoint']}" in ok(live, "backup", str(copy))
    assert json.loads(ok(copy, "replay", "--check", "--json"))["ok"]
    with closing(sqlite3.connect(live / "ledger.db", isolation_level=None)) as connection:
        connection.execute("UPDATE events SET payload = x'7b7d' WHERE position = 2")
    refused = run(live, "backup", str(copy))
    assert refused.exit_code == 4
    assert "was not kept" in refused.stderr
    assert ok(copy, "versions")
    asyncio.run(_append(live, "task/two", "t4"))
    before = (live / "ledger.db").read_bytes()
    for source in (live, copy):  # itself, and one that goes further than what would be its copy
        assert run(source, "backup", str(live)).exit_code == 2
    assert (live / "ledger.db").read_bytes() == before


async def _append(folder: Path, stream: str, name: str) -> None:
    async with SqliteStore.open(folder) as opened:
        await opened.append(stream, ANY, [NewEvent(event_id=name, type="Odd", payload=b"{}")])


def _blobs(file: Path) -> list[str]:
    lines = map(json.loads, file.read_text().splitlines())
    return [line["hash"] for line in lines if line["line"] == "blob"]


def test_a_report_stands_alone_in_a_browser(store: Path, tmp_path: Path) -> None:
    page = tmp_path / "report.html"
    ok(store, "export", "--as", "html", "--out", str(page))
    text = page.read_text()
    assert text.startswith("<!doctype html>")
    assert "<svg" in text
    assert "What was kept" in text
    for fetched in ("<script", "<link", "<img", "@import", "url("):
        assert fetched not in text
    assert not list(tmp_path.glob("*.part"))
    assert ok(store, "export", "--as", "md").startswith("# Ratchet: lineage main, campaign c2")
    assert "campaign c1" in ok(store, "export", "--as", "md", "--campaign", "c1")


def test_what_others_wrote_cannot_command_the_browser(store: Path) -> None:
    hostile = "<script>alert(1)</script> ![x](http://127.0.0.1/x) <img src=x onerror=alert(1)>"
    with opened(store) as archive:
        found = build(archive, gather(lineage_events(archive, "main")))
    rounds = tuple(msgspec.structs.replace(line, title=hostile) for line in found.rounds)
    text = html(
        msgspec.structs.replace(found, lineage=hostile, rounds=rounds, resets=(hostile,), diff=hostile)
    )
    for tag in ("<script", "<img", "<a "):
        assert tag not in text
    assert "&lt;script&gt;alert(1)" in text


def test_a_fork_shares_the_past_and_stands_in_the_tree(store: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    copy.mkdir()
    shutil.copy(store / "ledger.db", copy)
    blobs = _count(copy, "blobs")

    def fork(*arguments: str) -> Result:
        return CliRunner().invoke(ratchet, ["fork", *arguments, "--store", str(copy)])

    done = fork("v1", "--name", "wide", "--reason", "wider steps")
    assert done.exit_code == 0, done.output
    assert (
        fork("v1", "--name", "wide", "--reason", "wider steps").exit_code == 0
    )  # the same once more is the same
    for arguments, says in (
        (("v0", "--name", "wide"), "there is a lineage 'wide' already"),
        (("v99", "--name", "other"), "there are v0"),
        (("v0", "--name", "a/b"), "is no name for a lineage"),
        (("v0", "--name", ""), "is no name for a lineage"),
        (("v0", "--name", "other", "--lineage", "nothing"), "holds no harness yet"),
    ):
        result = fork(*arguments)
        assert (result.exit_code, says in result.output) == (2, True), result.output
    assert fork("head", "--name", "x").exit_code == 0
    never = fork("seed", "--name", "y", "--lineage", "wide")
    assert (never.exit_code, "never the head of wide" in never.output) == (2, True)
    assert fork("v0", "--name", "deep", "--lineage", "wide").exit_code == 0
    assert _count(copy, "blobs") == blobs
    tree = {branch["name"]: branch for branch in facts(copy, "tree")}
    assert (tree["wide"]["parent"], tree["wide"]["number"], tree["deep"]["parent"]) == ("main", 1, "wide")
    blamed = facts(copy, "blame", "harness.toml", "--lineage", "wide")
    before = facts(copy, "blame", "harness.toml", "--at", "v1")
    assert {line["lineage"] for line in blamed} == {"main"}
    assert [line["version"] for line in blamed] == [line["version"] for line in before]
    v1 = tree["main"]["versions"][1]["tree"]
    assert tree["wide"]["versions"][0]["tree"] == v1
    drawn = ok(copy, "tree").splitlines()
    places = [
        next(i for i, text in enumerate(drawn) if word in text) for word in ("v1", "wide:", "deep", "v2")
    ]
    assert places == sorted(places)
    assert ok(copy, "diff", "seed", "head", "--lineage", "wide") == ok(copy, "diff", "seed", "v1")
    state, parent = facts(copy, "replay", "--lineage", "wide"), facts(copy, "replay")
    assert (state["head"], state["released"], state["releases"]) == (v1, v1, parent["releases"])
    assert facts(copy, "replay", "--check")["ok"]


def _count(store: Path, table: str) -> int:
    with closing(sqlite3.connect(store / "ledger.db")) as connection:
        return int(connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0])


def test_a_state_is_replayed_as_it_was_at_a_time(store: Path) -> None:
    past = facts(store, "replay", "--to", "20")
    log = ["log", "--json", "--limit", "1000", "--stream", "lineage/main", "--store", str(store)]
    events = [json.loads(line) for line in CliRunner().invoke(ratchet, log).stdout.splitlines()]
    assert facts(store, "replay", "--to", "2000-01-01")["version"] == 0
    assert facts(store, "replay", "--to", "2199-01-01") == facts(store, "replay")
    at = next(event["at"] for event in events if event["position"] == past["position"])
    moment = datetime.fromtimestamp(at, UTC)  # to the microsecond
    told = facts(store, "replay", "--to", moment.isoformat())
    same = [event["position"] for event in events if event["at"] <= moment.timestamp()]
    assert told["position"] == same[-1]


def test_verify_computes_every_verdict_again(store: Path, tmp_path: Path) -> None:
    def verify(folder: Path, *more: str) -> Result:
        return CliRunner().invoke(ratchet, ["verify", "--store", str(folder), *more])

    fine = verify(store)
    assert fine.exit_code == 0
    assert "computed again: all follow from their scores" in fine.output
    assert json.loads(verify(store, "--json").stdout)["misfits"] == []
    shutil.copytree(store, tmp_path / "forged")
    with closing(sqlite3.connect(tmp_path / "forged" / "ledger.db", isolation_level=None)) as connection:
        position = _forge_a_verdict(connection)
    forged = verify(tmp_path / "forged")
    assert forged.exit_code == 4
    assert "intact; checkpoint" in forged.output  # whoever has the file can make all hashes anew
    assert f"position {position}: lineage/main@" in forged.output
    assert "the scores give" in forged.output
    assert json.loads(verify(tmp_path / "forged", "--json").stdout)["misfits"][0]["position"] == position
    assert verify(tmp_path / "forged", "--bytes").exit_code == 0


def _forge_a_verdict(connection: sqlite3.Connection) -> int:
    """A better effect for the first confirmation, and every hash of the chain made anew."""
    heads: dict[str, bytes] = {}
    forged = 0
    for row in connection.execute(f"SELECT {COLUMNS} FROM events ORDER BY position").fetchall():
        old = envelope(row)
        payload = old.payload
        if old.type == "ChangeConfirmed" and not forged:
            told = json.loads(payload)
            told["verdict"]["effect"] += 0.1
            payload, forged = json.dumps(told).encode(), old.position
        new = NewEvent(
            event_id=old.event_id, type=old.type, payload=payload, schema=old.schema, actor=old.actor,
            causation=old.causation, correlation=old.correlation, traceparent=old.traceparent,
        )  # fmt: skip
        made = seal(
            new, stream=old.stream, version=old.version, position=old.position, at=old.at,
            prev=heads.get(old.stream, GENESIS),
        )  # fmt: skip
        heads[old.stream] = made.hash
        values = (made.payload, made.prev_hash, made.hash, made.position)
        connection.execute(
            "UPDATE events SET payload = ?, prev_hash = ?, hash = ? WHERE position = ?", values
        )
    connection.executemany("UPDATE streams SET hash = ? WHERE stream = ?", [(h, s) for s, h in heads.items()])
    return forged
