"""`ratchet power`, as it is typed."""

import asyncio
import json
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import msgspec
import pytest
from click.testing import CliRunner, Result

from agents.cli import main
from agents.cli import power as command
from agents.testing import write_suite
from bus.testing import running_bus
from contracts import power
from contracts.events import ChangeConfirmed
from contracts.gate import USUAL, GateSettings, release_alpha
from contracts.power import Design, pooled_spread, seen
from contracts.statistics import Spread
from eventstore.audit.archive import opened
from eventstore.audit.history import lineage_events
from eventstore.audit.testing import synthetic_campaign
from eventstore.sqlite import SqliteStore
from gpu_workers import arrays
from gpu_workers.worker import serve

RATCHET = str(Path(sys.executable).with_name("ratchet"))


def ratchet(*words: str | Path) -> Result:
    env = {"RATCHET_STORE": None, "RATCHET_BUS": None, "COLUMNS": "200"}
    result = CliRunner().invoke(main, ["power", *(str(word) for word in words)], env=env)
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception  # what would have been a traceback
    return result


def facts(*words: str | Path) -> Any:
    result = ratchet(*words, "--json")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("power") / "store"

    async def play() -> None:
        async with SqliteStore.open(folder, create=True) as opened:
            await synthetic_campaign(opened, rounds=4, seed=3, tasks=4)
            await synthetic_campaign(opened, rounds=6, seed=6)

    asyncio.run(play())
    return folder


def test_numbers_give_a_readable_table() -> None:
    result = ratchet(
        "--tasks", "30", "--packages", "10", "--seeds", "2,1", "--effect", "0,.05", "--price", ".5"
    )
    assert result.exit_code == 0, result.output
    words = result.output
    assert "30 tasks in 10 packages, kept at p ≤ 0.2 and a mean difference of at least 0.005" in words
    assert "0.050 between packages and 0.200 within, as measured on repair" in words
    rows = [line.split() for line in words.splitlines() if line.strip()[:1] in {"1", "2"} and "$" in line]
    assert [row[:3] for row in rows] == [["1", "60", "$30.00"], ["2", "120", "$60.00"]]
    design = Design(sizes=(3,) * 10, spread=USUAL, minimum_effect=GateSettings().minimum_effect)
    assert rows[1][4] == f"{seen(design, 0.05, 2):.1%}"
    assert "+0.05 is seen in 80% with" in words


def test_one_of_a_kind_is_told_as_one() -> None:
    assert "1 task in 1 package, kept at" in ratchet("--tasks", "1").output


def test_json_has_the_same_figures_as_the_contracts() -> None:
    found = facts("--tasks", "7", "--packages", "3", "--alpha", ".25", "--minimum-effect", "0")
    design = Design(sizes=(3, 2, 2), spread=USUAL, alpha=0.25)
    wanted = power.table(design, effects=command.EFFECTS, seeds=command.SEEDS)
    assert {name: found[name] for name in wanted.__struct_fields__} == json.loads(msgspec.json.encode(wanted))
    assert (found["source"], found["simulated"], found["price"]) == ("as measured on repair", None, None)


def test_a_suite_by_name_and_by_folder(tmp_path: Path) -> None:
    built_in = facts("repair", "--effect", ".03", "--preset", "strict")
    assert built_in["design"]["sizes"] == [3] * 24
    assert built_in["design"]["alpha"] == 0.02
    folder = write_suite(tmp_path / "suite", practice=1.0)
    assert facts(folder)["design"]["sizes"] == [1, 1, 1]


def test_a_release_check_is_of_the_sealed_tasks_at_its_own_level() -> None:
    found = facts("repair", "--check", "2")
    assert found["design"] == {
        "sizes": [3] * 16,
        "spread": msgspec.to_builtins(USUAL),
        "alpha": release_alpha(2),
        "minimum_effect": 0.0,
    }


def test_spreads_come_from_a_lineages_confirmations(store: Path) -> None:
    found = facts("--lineage", "main", "--store", store)
    with opened(store) as archive:
        events = [
            msgspec.json.decode(each.payload, type=ChangeConfirmed)
            for each in lineage_events(archive, "main")
            if each.type == "ChangeConfirmed"
        ]
    names = [f"{i // 2}" for i in range(8)]
    last = [event for event in events if event.complete and len(event.incumbent.scores) == 8]
    assert len(last) < len(events)  # the campaign before had other tasks
    spread = pooled_spread((event.challenger.scores, event.incumbent.scores, names) for event in last)
    assert found["design"]["spread"] == msgspec.to_builtins(spread)
    assert found["design"]["sizes"] == [2] * 4
    assert found["confirmations"] == len(last)
    assert (
        f"as {len(last)} confirmations of lineage main show"
        in ratchet("--lineage", "main", "--store", store).output
    )
    elsewhere = facts("repair", "--lineage", "main", "--store", store, "--between", ".01")
    assert elsewhere["design"]["sizes"] == [3] * 24
    assert elsewhere["design"]["spread"] == msgspec.to_builtins(Spread(between=0.01, within=spread.within))
    assert elsewhere["source"] == "as given"
    assert facts("--lineage", "main", "--store", store, "--check", "1")["design"]["sizes"] == [2] * 6


def test_simulated_decisions_stand_beside_the_table() -> None:
    words = ("--tasks", "12", "--effect", ".05", "--seeds", "2", "--simulate", "400")
    found = facts(*words)
    assert found["simulated"][0][0] == pytest.approx(found["rows"][0]["power"][0], abs=0.08)
    told = ratchet(*words)
    assert "The same by 400 simulated decisions each" in told.stdout
    assert not told.stderr


def test_workers_on_a_bus_simulate_the_same(tmp_path: Path) -> None:
    words = ("--tasks", "12", "--effect", ".05", "--seeds", "2", "--simulate", "200")
    here = facts(*words)

    async def call(*words: str) -> tuple[Any, str]:
        done = await anyio.run_process([RATCHET, "power", *words, "--json"])
        return json.loads(done.stdout), done.stderr.decode()

    async def scenario() -> None:
        async with running_bus(tmp_path) as (server, bus):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(partial(serve, server.url, arrays.choose("numpy"), slots=1))
                assert await call(*words, "--bus", server.url) == (here, "")
                tasks.cancel_scope.cancel()
            info = await bus.jetstream.stream_info("RESULTS")
            assert info.state.messages == 1  # so a worker did it
            command = (
                "import sys; from agents.cli import main, power; power.PATIENCE = 0.3; main(sys.argv[1:])"
            )
            other = [*words[:-1], "201", "--bus", server.url]
            alone = await anyio.run_process([sys.executable, "-c", command, "power", *other])
            assert "no worker answered" in alone.stderr.decode()
            assert "The same by 201 simulated decisions each" in alone.stdout.decode()

    anyio.run(scenario)


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        ((), "name a suite (repair), or give --tasks, or --lineage"),
        (("nosuch",), "'nosuch'"),
        (("repair", "--tasks", "5"), "not both"),
        (("--packages", "5"), "--packages needs --tasks"),
        (("--tasks", "3", "--packages", "5"), "3 tasks cannot fill 5 packages"),
        (("--tasks", "9000"), "9,000 packages"),
        (("--tasks", "100000000"), "100,000,000 packages are more than the 8,000"),
        (("--tasks", "1", "--packages", "5"), "1 task cannot fill 5 packages"),
        (("repair", "--alpha", "1.5"), "alpha is 1.5"),
        (("repair", "--within", "-1"), "within packages is -1"),
        (("repair", "--between", "nan"), "between packages is nan"),
        (("repair", "--effect", "2"), "between -1 and 1"),
        (("repair", "--effect", "some"), "'some': write numbers"),
        (("repair", "--seeds", "1.5"), "'1.5': write whole numbers"),
        (("repair", "--seeds", "0"), "seeds are counts"),
        (("repair", "--wanted", "nan"), "wanted power is nan"),
        (("repair", "--price", "-1"), "price of an episode is -1"),
        (("repair", "--simulate", "0"), "--simulate"),
        (("repair", "--lineage", "main", "--store", "nowhere"), "no ledger at"),
    ],
)
def test_bad_input_is_told_in_words_and_in_json(words: tuple[str, ...], reason: str) -> None:
    result = ratchet(*words)
    assert result.exit_code == 2, result.output
    assert reason in result.output
    told = ratchet(*words, "--json")
    assert told.exit_code == 2
    assert reason in json.loads(told.stdout)["error"]["message"]


def test_a_lineage_that_is_not_there_and_a_suite_without_sealed_tasks(store: Path, tmp_path: Path) -> None:
    unknown = ratchet("--lineage", "wide", "--store", store)
    assert (unknown.exit_code, "lineage wide" in unknown.output, "main" in unknown.output) == (2, True, True)
    folder = write_suite(tmp_path / "suite", practice=1.0)
    unsealed = ratchet(folder, "--check", "1")
    assert unsealed.exit_code == 2
    assert "tiny has no sealed tasks" in unsealed.output


def test_a_bus_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command, "DEADLINE", 0.3)
    result = ratchet("--tasks", "5", "--simulate", "10", "--bus", "nats://127.0.0.1:9")
    assert result.exit_code == 3, result.output
    assert "127.0.0.1:9" in result.output


def test_an_array_library_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RATCHET_ARRAY", "tpu")
    result = ratchet("--tasks", "5", "--simulate", "10")
    assert result.exit_code == 3
    assert "set it to numpy or cupy" in result.stderr
    doctor = [str(Path(sys.executable).with_name("ratchet")), "doctor", "--json"]
    findings = json.loads(subprocess.run(doctor, capture_output=True, check=False).stdout)["findings"]
    (found,) = [each for each in findings if each["what"] == "arrays"]
    assert (found["ok"], "set it to numpy or cupy" in found["remedy"]) == (False, True)
