"""`ratchet collect` on a real store, a real bus and a real sandbox."""

import asyncio
import json
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import anyio
import msgspec
import pytest
from click.testing import CliRunner

from agents.cli import main
from agents.cli.collection import Reading, accept, dismiss, read_collected, read_collection
from agents.cli.request import CampaignUnderWay, lineage_state, request_campaign
from agents.executor.trial import try_task
from agents.tasks.foreign import readmit
from agents.tasks.join import join
from agents.tasks.load import load_visible, task_digest
from agents.tasks.suite import load_suite
from agents.testing import make_store, write_suite
from bus.connection import connect
from bus.testing import running_server
from contracts import events as e
from contracts.chat import Usage
from contracts.settings import CampaignSettings
from contracts.tasks import GradedTask, Task, TestSpec
from eventstore.service import LedgerService
from eventstore.signing import Signer
from eventstore.sqlite import SqliteStore

TEST = "from cup import full\n\n\ndef test_full():\n    assert full(3, 3)\n"
WRONG = "def full(cup, size):\n    return cup > size\n"


def task(name: str = "cup", **files: str) -> Task:
    """A task with one mistake, unless `cup` is another text."""
    texts = {"cup.py": files.get("cup", WRONG), "tests/test_cup.py": files.get("test", TEST)}
    return Task(id=name, package=name, instruction="?", files=texts, solution_files=("cup.py",))


async def fail_at(ledger: Any, submitted: Task, *, name: str = "", data: bytes = b"") -> str:
    """A submission that a harness failed."""
    graded = GradedTask(task=submitted, hidden_tests=submitted.tests)
    graded = msgspec.structs.replace(graded, digest=task_digest(graded))
    name = name or f"{submitted.id}-{uuid.uuid4().hex[:8]}"
    blob = await ledger.put(data or msgspec.json.encode(graded))
    events = [
        e.TaskSubmitted(task=name, name=submitted.id, blob=blob),
        e.TaskFailed(task=name, tree="t" * 64, reason="no", attempts=3, usage=Usage(), failing=("a test",)),
    ]
    for version, event in enumerate(events):
        new = e.encode(event, duty=name, index=version, actor="test", correlation=name)
        await ledger.append(f"task/{name}", version, [new])
    return name


def submit(store: Path, *tasks: Task) -> list[str]:
    async def run() -> list[str]:
        async with SqliteStore.open(store, create=True) as ledger:
            return [await fail_at(ledger, each) for each in tasks]

    return anyio.run(run)


def collect(store: Path, *words: str) -> tuple[int, Any]:
    done = CliRunner().invoke(main, ["collect", *words, "--store", str(store), "--json"])
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    return done.exit_code, json.loads(done.stdout)


def ids(entries: Sequence[dict[str, Any]]) -> list[str]:
    return [str(entry["id"]) for entry in entries]


def test_nothing_to_collect(tmp_path: Path) -> None:
    submit(tmp_path)
    assert collect(tmp_path) == (0, {"open": [], "collected": [], "dismissed": [], "unreadable": []})
    assert collect(tmp_path, "--all")[0] == 0
    done = CliRunner().invoke(main, ["collect", "--store", str(tmp_path)])
    assert (done.exit_code, done.stdout.split(":")[0]) == (0, "nothing to collect")


def test_accepting_dismissing_and_taking_back(tmp_path: Path) -> None:
    first, again, other = submit(tmp_path, task(), task(), task("mug", cup=WRONG.replace(">", "<")))
    _, listed = collect(tmp_path)
    cup, mug = ids(listed["open"])
    assert [entry["failed"] for entry in listed["open"]] == [2, 1]

    code, said = collect(tmp_path, "--accept", again, "--dismiss", other, "--reason", "a joke")
    assert code == 0
    assert (ids(said["accepted"]), ids(said["dismissed"])) == ([cup], [mug])
    assert said["accepted"][0]["failing"] == ["tests/test_cup.py::test_full"]
    _, listed = collect(tmp_path)
    assert (ids(listed["open"]), ids(listed["collected"]), ids(listed["dismissed"])) == ([], [cup], [mug])
    assert listed["dismissed"][0]["reason"] == "a joke"

    assert collect(tmp_path, "--accept", first)[1]["unchanged"] == [cup]
    assert collect(tmp_path, "--dismiss", mug, "--reason", "twice")[1]["unchanged"] == [mug]
    assert ids(collect(tmp_path, "--dismiss", cup, "--reason", "too easy")[1]["dismissed"]) == [cup]
    assert ids(collect(tmp_path, "--accept", mug)[1]["accepted"]) == [mug]  # a mind may be changed
    _, listed = collect(tmp_path)
    assert (ids(listed["collected"]), ids(listed["dismissed"])) == ([mug], [cup])
    assert collect(tmp_path, "--to", str(tmp_path / "out"))[1]["written"] == [str(tmp_path / "out" / mug)]
    assert [graded.task.id for graded in load_suite(tmp_path / "out").practice] == [mug]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--accept", "nosuch"), "'nosuch'"),
        (("--dismiss", "x"), "--reason"),
        (("--reason", "x"), "--dismiss"),
    ],
)
def test_wrong_usage(tmp_path: Path, words: tuple[str, ...], said: str) -> None:
    submit(tmp_path)
    code, found = collect(tmp_path, *words)
    assert code == 2
    assert said in found["error"]["message"]


def test_one_cannot_be_accepted_and_dismissed(tmp_path: Path) -> None:
    (name,) = submit(tmp_path, task())
    code, found = collect(tmp_path, "--accept", name, "--dismiss", name, "--reason", "r")
    assert (code, found["error"]["kind"]) == (2, "usage")


CLOCK = "import time\n\n\ndef test_it():\n    assert not time.perf_counter_ns()\n"
UNFIT = {
    "all of its tests (1) pass": task(cup=WRONG.replace(">", ">=")),
    "more lines than its budget": task(cup="def full(cup, size):\n    while True:\n        pass\n"),
    "cannot be loaded": task(cup="def full(:\n"),
    "not deterministic: tests/test_cup.py::test_it said": task(
        test=CLOCK.replace("not time.perf_counter_ns()", "False, time.perf_counter_ns()")
    ),
    "do not come to a proper end": task(test="import os\n\n\ndef test_it():\n    os._exit(0)\n"),
    "leads out of the workspace": task(test=TEST),
    "`lines`": task(test=TEST + "\n"),
}


def test_what_is_unfit_is_refused_with_the_reason(tmp_path: Path) -> None:
    tasks = []
    for reason, unfit in UNFIT.items():
        changed = msgspec.structs.replace(unfit, instruction=reason)
        if "workspace" in reason:
            changed = msgspec.structs.replace(changed, files={**unfit.files, "../out.py": "x = 1\n"})
        if "lines`" in reason:
            budget = msgspec.structs.replace(unfit.budget, lines=10**12)
            changed = msgspec.structs.replace(changed, budget=budget)
        tasks.append(changed)
    names = submit(tmp_path, *tasks)
    code, said = collect(tmp_path, "--all")
    assert code == 1
    assert said["accepted"] == []
    refused = {found["id"]: found["reason"] for found in said["refused"]}
    _, listed = collect(tmp_path)
    assert len(listed["open"]) == len(names) == len(refused)
    by_submission = {entry["submission"]: refused[entry["id"]] for entry in listed["open"]}
    for name, reason in zip(names, UNFIT, strict=True):
        assert reason in by_submission[name]


def test_what_passes_now_and_then_is_refused() -> None:
    """One bit of luck a test: that 24 of them fall alike twice is out of the question."""
    flaky = "import os\n\n\n" + "\n\n".join(
        f"def test_{n}():\n    assert os.urandom(1)[0] & 1\n" for n in range(24)
    )
    trial = try_task(readmit(task(test=flaky), name="cup", package="cup"))
    assert "not deterministic" in trial.refusal
    assert "passed in one run and failed in another" in trial.refusal


def test_what_cannot_be_read_is_named_and_the_rest_goes_on(tmp_path: Path) -> None:
    async def run() -> None:
        async with SqliteStore.open(tmp_path, create=True) as ledger:
            await fail_at(ledger, task(), name="broken-1", data=b"no task")
            await fail_at(ledger, task())

    anyio.run(run)
    _, listed = collect(tmp_path)
    assert [found["submission"] for found in listed["unreadable"]] == ["broken-1"]
    assert len(listed["open"]) == 1


def test_a_forged_event_brings_no_task_into_a_campaign(tmp_path: Path) -> None:
    async def run() -> None:
        async with SqliteStore.open(tmp_path, create=True) as ledger:
            name = await fail_at(ledger, task())
            evil = msgspec.structs.replace(task("evil"), files={**task().files, "../../x.py": "x = 1\n"})
            blob = await ledger.put(msgspec.json.encode(GradedTask(task=evil)))
            event = e.TaskCollected(task=name, name="evil", package="evil", content="c", blob=blob)
            new = e.encode(event, duty="forged", index=0, actor="nobody", correlation=name)
            await ledger.append(f"task/{name}", 2, [new])
            found = await read_collected(ledger)
            assert found.tasks == ()
            assert [name for name, _ in found.faulty] == ["evil"]

    anyio.run(run)


def test_over_the_bus_several_people_decide_at_once(tmp_path: Path) -> None:
    async def run() -> None:
        async with (
            running_server(tmp_path / "bus") as server,
            await connect(server.url, name="service") as other,
            SqliteStore.open(tmp_path, create=True) as store,
        ):
            service = LedgerService(store, other, Signer(store))
            await service.start()
            leading = asyncio.create_task(service.lead())
            await service.leading.wait()
            try:
                await decide(server.url)
            finally:
                await service.stop()
                leading.cancel()
                await asyncio.wait({leading})

    async def decide(url: str) -> None:
        from agents.cli.session import readable_ledger, writable_ledger

        async with writable_ledger(tmp_path, url) as ledger:
            await fail_at(ledger, task())
            await fail_at(ledger, task())
            async with readable_ledger(tmp_path, url) as reader:
                reading: Reading = await read_collection(reader)
            (entry,) = reading.entries
            graded = readmit(task(), name=entry.name, package=entry.package)
            positions: list[int] = []

            async def one(by: str) -> None:
                positions.append(await accept(ledger, entry, graded, ("a test",), by))

            async with anyio.create_task_group() as people:
                for by in "abcd":
                    people.start_soon(one, by)
            assert len({position for position in positions if position}) == 1
            streams = dict(await ledger.streams("task/"))
            assert sorted(streams.values()) == [2, 3]
            assert [t.task.id for t in (await read_collected(ledger)).tasks] == [entry.name]
            assert await dismiss(ledger, entry, "no", "a") > max(positions)
            assert await dismiss(ledger, entry, "no", "b") == 0
            assert (await read_collected(ledger)).tasks == ()

    anyio.run(run)


def test_a_campaign_that_is_resumed_keeps_the_tasks_that_it_began_with(tmp_path: Path) -> None:
    async def run() -> None:
        await make_store(tmp_path / "store")
        suite = load_suite(write_suite(tmp_path / "suite"))
        settings = CampaignSettings(rounds=2)
        first = readmit(task(), name="cup-1", package="cup")
        second = readmit(task("mug", cup=WRONG.replace(">", "<")), name="mug-1", package="mug")
        async with SqliteStore.open(tmp_path / "store") as ledger:
            client: Any = ledger
            begun, resumed = await request_campaign(client, suite, settings, joined=join(suite, [first]))
            assert not resumed
            assert begun.suite.collected == ("cup-1",)
            for tasks in ([first, second], []):
                same, resumed = await request_campaign(client, suite, settings, joined=join(suite, tasks))
                assert resumed
                assert same.suite == begun.suite
            with pytest.raises(CampaignUnderWay):  # --no-collected asks for something else
                await request_campaign(client, suite, settings)
            alone, resumed = await request_campaign(client, suite, settings, abandon=True)
            assert not resumed
            assert (alone.suite.digest, alone.suite.base, alone.suite.collected) == (suite.digest, "", ())
            assert (await lineage_state(client, "main")).campaigns == 2

    anyio.run(run)


def test_a_task_of_any_kind_of_test_is_tried(tmp_path: Path) -> None:
    (tmp_path / "cup.py").write_text(WRONG)
    (tmp_path / "test_cup.py").write_text(f"import pytest\n\n{TEST}")
    bare = load_visible(tmp_path)
    assert bare.task.tests.runner == "pytest"
    command = TestSpec(
        runner="command", paths=(), command=("python3", "-c", "import cup; assert cup.full(3, 3)")
    )
    for tests in (bare.task.tests, command):
        made = readmit(msgspec.structs.replace(bare.task, tests=tests), name="cup", package="cup")
        trial = try_task(made)
        assert (trial.refusal, len(trial.failing)) == ("", 1)
