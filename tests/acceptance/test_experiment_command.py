"""`ratchet experiment`: from a table and a TOML file to scores, and words for whatever is wrong with either."""

import csv
import json
import os
import pty
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import anyio
import pytest
from click.testing import CliRunner

from agents.cli import main
from agents.cli.tables import Columns, read_table
from agents.testing import Running, module
from bus import jetstream
from bus.connection import Bus
from bus.testing import running_bus
from contracts.subjects import JOBS_STREAM
from gpu_workers.families import FAMILIES
from gpu_workers.metrics import METRICS

RATCHET = str(Path(sys.executable).with_name("ratchet"))
SPEC = """\
csv = "houses.csv"
family = "ridge"
target = "regression"
metrics = ["rmse", "mae"]

[columns]
target = "price"
group = "street"

[grid]
alpha = [0.1, 1.0, 1000.0]

[folds]
kind = "grouped"
count = 3
"""


@pytest.fixture(autouse=True)
def clean(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("RATCHET_STORE", "RATCHET_BUS"):
        monkeypatch.delenv(variable, raising=False)


@pytest.fixture
def spec(tmp_path: Path) -> Path:
    rows = ["rooms,area,colour,street,price"]
    for index in range(60):
        rooms = 1 + index % 6
        area = "" if index % 7 == 0 else f"{20 * rooms + index % 5}"
        rows.append(
            f"{rooms},{area},{('red', 'blue', '')[index % 3]},s{index % 9},{1000 * rooms + 13 * (index % 11)}"
        )
    (tmp_path / "houses.csv").write_text("\n".join(rows) + "\n")
    (tmp_path / "houses.toml").write_text(SPEC)
    return tmp_path / "houses.toml"


def ratchet(*words: str | Path) -> tuple[int, str]:
    done = CliRunner().invoke(main, [str(word) for word in words])
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    return done.exit_code, done.output


def changed(spec: Path, old: str, new: str) -> Path:
    text = spec.read_text()
    assert old in text
    path = spec.with_name("changed.toml")
    path.write_text(text.replace(old, new))
    return path


def test_without_a_bus_it_is_computed_here(spec: Path, tmp_path: Path) -> None:
    code, words = ratchet(
        "experiment", spec, "--store", tmp_path / "store", "--predictions", tmp_path / "p.csv"
    )
    assert code == 0, words
    lines = [line.split() for line in words.splitlines()]
    assert lines[0] == ["alpha", "rmse", "mae"]
    assert lines[1][0] == "0.1"  # the best one first
    assert lines[3][0] == "1000"
    assert "3 configurations x 1 seed x 3 folds" in words
    with (tmp_path / "p.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 3 * 60
    assert {row["configuration"] for row in rows} == {"0", "1", "2"}
    assert float(rows[0]["prediction"]) > 0
    assert not (tmp_path / "store").exists()


def test_json_is_the_whole_result(spec: Path, tmp_path: Path) -> None:
    code, words = ratchet("experiment", spec, "--store", tmp_path / "store", "--json")
    found = json.loads(words)
    assert code == 0
    assert len(found["id"]) == 64
    assert len(found["scores"]["rmse"]) == 3
    assert found["provenance"]["library"] in {"numpy", "cupy"}


def test_the_pages_example_of_stacks_runs_as_written(spec: Path, tmp_path: Path) -> None:
    page = (Path(__file__).parents[2] / "docs" / "experiments.md").read_text()
    blocks: list[str] = re.findall(r"(?ms)^```toml\n(.*?)^```", page)
    (written,) = (block for block in blocks if "[[stacks]]" in block)
    path = spec.with_name("stacks.toml")
    path.write_text(written)
    store, out = ("--store", tmp_path / "store"), tmp_path / "p.csv"
    code, words = ratchet("experiment", path, *store, "--predictions", out)
    assert code == 0, words
    assert words.split()[:4] == ["family", "parameters", "rmse", "mae"]
    assert "alpha=0.1" in words
    assert "neighbours=3 weights=uniform" in words
    assert "stack 0, linear of all: rmse" in words
    assert re.search(r"stack 1, blend of the best 3: rmse .*\n  weights by configuration: \d: ", words)
    with out.open() as file:
        assert {row["configuration"] for row in csv.DictReader(file)} == set("01234567")
    code, words = ratchet("experiment", path, *store, "--json")
    found = json.loads(words)
    assert (len(found["families"]), len(found["stacks"])) == (6, 2)
    assert len(found["stacks"][0]["scores"]["rmse"][0]) == found["folds"] == 4
    wrong = path.with_name("wrong.toml")
    wrong.write_text(written.replace("rounds =", "turns ="))
    code, words = ratchet("experiment", wrong, *store)
    assert (code, "unknown key `stacks.turns`" in words) == (2, True)


MANY = """\
csv = "houses.csv"
target = "regression"
metrics = ["rmse", "mae", "rmsle"]

[columns]
target = "price"

[[families]]
family = "ridge"
grid = { alpha = [0.1, 10.0] }

[[families]]
family = "neighbours"
grid = { neighbours = [3, 8], weights = ["uniform", "distance"] }
"""


@pytest.mark.parametrize("columns", [80, 44])
def test_a_narrow_terminal_still_tells_configurations_apart(spec: Path, columns: int) -> None:
    path = spec.with_name("many.toml")
    path.write_text(MANY)
    terminal, inner = pty.openpty()
    command = [RATCHET, "experiment", str(path), "--store", str(path.parent / "store")]
    environment = os.environ | {"COLUMNS": str(columns), "TERM": "xterm"}
    subprocess.run(command, stdout=inner, env=environment, check=True, timeout=60)
    os.close(inner)
    with os.fdopen(terminal, "rb", buffering=0) as shown:
        words = re.sub(r"\x1b\[[0-9;]*m", "", shown.read(8000).decode())
    table, told, *_ = words.replace("\r", "").split("\n\n")
    rows = [line.split() for line in table.splitlines()[1:]]
    assert {(row[0], row[1]) for row in rows if row[0].isdecimal()} == {
        *((str(index), "ridge") for index in (0, 1)),
        *((str(index), "neighbours") for index in (2, 3, 4, 5)),
    }
    assert all(
        word in table for word in ("alpha=0.1", "alpha=10", "neighbours=3", "weights=distance", "rmse")
    )
    assert max(map(len, table.splitlines())) <= columns
    assert "±" not in table
    left_out = [name for name in ("mae", "rmsle") if name not in table.split()]
    missing = f" and {', '.join(left_out)}" if left_out else ""
    assert told.startswith(f"There is no room for spreads (±){missing}; --json has all figures")
    assert bool(left_out) == (columns == 44)


async def process(*words: str | Path) -> tuple[int, str]:
    done = await anyio.run_process([RATCHET, *map(str, words)], check=False, stderr=subprocess.STDOUT)
    said = done.stdout.decode()
    assert "Traceback" not in said
    return done.returncode, said


def test_workers_of_a_running_bus_compute_it(spec: Path, tmp_path: Path) -> None:
    async def scenario() -> None:
        store = ("--store", tmp_path / "store", "--patience", "20", "--json")
        async with running_bus(tmp_path / "store"):
            worker = Running(module("gpu_workers", "--store", str(tmp_path / "store")), log=tmp_path / "log")
            try:
                code, there = await process("experiment", spec, *store)
                assert code == 0, there
                assert json.loads(there)["id"] == json.loads(here)["id"]
                mine, theirs = (json.loads(each)["scores"]["rmse"] for each in (here, there))
                assert theirs == [[pytest.approx(seed, rel=1e-9) for seed in each] for each in mine]
                refused = changed(spec, "alpha = [0.1, 1.0, 1000.0]", "alpha = [-1.0]")
                code, words = await process("experiment", refused, *store)
                assert (code, "alpha is -1" in words) == (2, True)
            finally:
                worker.end()

    _, here = ratchet("experiment", spec, "--store", tmp_path / "none", "--json")
    anyio.run(scenario)


def test_a_bus_without_workers_costs_patience_only(spec: Path, tmp_path: Path) -> None:
    async def scenario() -> None:
        store = ("--store", tmp_path / "store", "--patience", "0.2")
        async with running_bus(tmp_path / "store") as (_, bus):
            code, words = await process("experiment", spec, *store)
            assert code == 0, words
            assert "no worker took the experiment up within 0.2 s" in words
            asked = changed(spec, "[folds]", "[needs]\ngpu = true\n\n[folds]")
            code, words = await process("experiment", asked, *store)
            assert (code, "python -P -m gpu_workers" in words) == (3, True)
            info = await jetstream.manage(bus, f"STREAM.INFO.{JOBS_STREAM}", {})
            assert info["state"]["messages"] == 0  # both were withdrawn

    anyio.run(scenario)


def test_what_is_too_large_for_messages_is_computed_here_where_no_ledger_answers(
    spec: Path, tmp_path: Path
) -> None:
    async def scenario() -> None:
        store = tmp_path / "store"
        async with running_bus(store):
            many = ", ".join(str(0.001 * index) for index in range(1, 1200))
            asked = changed(spec, "alpha = [0.1, 1.0, 1000.0]", f"alpha = [{many}]")
            code, words = await process(
                "experiment", asked, "--store", store, "--predictions", tmp_path / "p.csv"
            )
            assert code == 0, words
            assert "no ledger answers on the bus; start one by `python -P -m eventstore serve`" in words

    anyio.run(scenario)


def test_a_file_that_cannot_be_written_is_told(spec: Path, tmp_path: Path) -> None:
    code, words = ratchet("experiment", spec, "--store", tmp_path / "s", "--predictions", tmp_path)
    assert (code, "is a directory" in words) == (2, True)
    code, words = ratchet("experiment", spec, "--store", tmp_path / "s", "--predictions", "/proc/p.csv")
    assert code in {1, 2}
    assert "/proc/p.csv c" in words


def test_an_interrupted_command_withdraws_its_job(spec: Path, tmp_path: Path) -> None:
    async def jobs(bus: Bus) -> int:
        info = await jetstream.manage(bus, f"STREAM.INFO.{JOBS_STREAM}", {})
        return int(info["state"]["messages"])

    async def scenario() -> None:
        async with running_bus(tmp_path / "store") as (_, bus):
            command = [
                RATCHET,
                "experiment",
                str(spec),
                "--store",
                str(tmp_path / "store"),
                "--patience",
                "60",
            ]
            async with await anyio.open_process(command, stderr=subprocess.PIPE) as running:
                with anyio.fail_after(20):
                    while not await jobs(bus):  # noqa: ASYNC110 (a stream rings no bell)
                        await anyio.sleep(0.02)
                running.send_signal(signal.SIGINT)
                assert running.stderr is not None
                said = b"".join([chunk async for chunk in running.stderr]).decode()
                assert await running.wait() == 130, said
            assert "interrupted; the experiment was withdrawn" in said
            assert await jobs(bus) == 0

    anyio.run(scenario)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("[grid]", "[grid", "not valid TOML"),
        ('family = "ridge"', "", "has no `family`"),
        ('csv = "houses.csv"', "", "names its data once"),
        ('csv = "houses.csv"', 'csv = "none.csv"', "cannot be read: No such file"),
        ('csv = "houses.csv"', "csv = 3", "csv = 3 is no file's name"),
        ('target = "regression"', 'target = "number"', "target = 'number' is none of regression, binary"),
        ('metrics = ["rmse", "mae"]', 'metrics = "rmse"', "metrics = 'rmse' is no list of names"),
        (
            "alpha = [0.1, 1.0, 1000.0]",
            "alpha = 0.1",
            "grid.alpha = 0.1 is one value; a grid wants a list, [0.1]",
        ),
        ('kind = "grouped"', 'kind = "group"', "folds.kind = 'group' is none of k_fold"),
        ('family = "ridge"', 'family = "ridge"\nkernels = 1', "unknown key `kernels`"),
        ("count = 3", "counts = 3", "unknown key `folds.counts`"),
        ("count = 3", "count = 1", "at least 2 folds"),
        ("count = 3", "count = 'x'", "$.folds.count"),
        ('"price"', '"prize"', "has no column prize; it has rooms"),
        ('target = "regression"', 'target = "binary"', "different values; a binary target has two"),
        ('target = "price"', 'target = "colour"', "has no target colour in row 2"),
        ('"rmse"', '"auc"', "auc does not fit a regression target"),
        ('family = "ridge"', 'family = "forest"', "no family is called forest"),
        ('target = "price"', 'target = ["rooms", "rooms"]', "a regression target is one column"),
        ('target = "price"', 'target = "street"', "column street is the group and a target as well"),
        (
            'target = "regression"',
            'target = "count"\nstacks = [{ best = 2 }, { method = "lin" }]',
            "stacks[1].method = 'lin' is none of linear, logistic, blend",
        ),
        ("alpha =", "alfa =", "ridge has no parameter alfa"),
    ],
)
def test_bad_input_ends_with_2_and_says_what_to_do(
    spec: Path, tmp_path: Path, old: str, new: str, words: str
) -> None:
    path = changed(spec, old, new)
    code, said = ratchet("experiment", path, "--store", tmp_path / "store")
    assert code == 2, said
    assert words in said
    assert "Traceback" not in said


def table(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "t.csv"
    path.write_text(text)
    return path


def test_columns_are_what_their_values_say(tmp_path: Path) -> None:
    path = table(tmp_path, "a,b,c,y\n1,x,7,no\n,y,8,yes\n3,NA,7,no\n")
    data = read_table(path, Columns(target="y", categorical=("c",)), "binary")
    assert (data.numeric_names, data.categorical_names) == (("a",), ("b", "c"))
    assert data.levels == (("x", "y"), ("7", "8"))
    assert data.codes().tolist() == [[0, 0], [1, 1], [-1, 0]]
    assert (data.classes, data.targets()[:, 0].tolist()) == (("no", "yes"), [0, 1, 0])
    labels = read_table(table(tmp_path, "a,y,z\n1,0,1\n2,1,1\n"), Columns(target=("y", "z")), "multilabel")
    assert labels.targets().tolist() == [[0, 1], [1, 1]]
    ten = read_table(table(tmp_path, "a,y\n1,10\n2,9\n3,10\n"), Columns(target="y"), "multiclass")
    assert ten.classes == ("9", "10")


@pytest.mark.parametrize(
    ("text", "target", "words"),
    [
        ("", "regression", "no rows"),
        ("a,y\n", "regression", "no rows"),
        ("a,a\n1,2\n", "regression", "two columns named 'a'"),
        ("a,y\n1\n", "regression", "line 2 of .* has 1 values"),
        ("a,y\n1,x\n2,3\n", "regression", "has words in it"),
        ("a,y\n1,x\n2,\n", "multiclass", "no target y in row 1"),
        ("a,y\n1,x\n2,x\n", "multiclass", "has the one value 'x'; a multiclass target has at least two"),
    ],
)
def test_a_table_that_cannot_be_is_told(tmp_path: Path, text: str, target: Any, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        read_table(table(tmp_path, text), Columns(target="y"), target)


@pytest.mark.parametrize("gap", ["", "NA", "?"])
def test_a_gap_is_no_group(tmp_path: Path, gap: str) -> None:
    path = table(tmp_path, f"a,g,y\n1,u,1\n2,{gap},2\n3,v,3\n")
    with pytest.raises(ValueError, match="has no group g in row 1"):
        read_table(path, Columns(target="y", group="g"), "regression")


def test_a_target_is_named_once(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"`columns.target` names y twice"):
        read_table(table(tmp_path, "a,y\n1,0\n2,1\n"), Columns(target=("y", "y")), "multilabel")


def test_a_target_of_the_wrong_kind_is_told_by_its_columns_name(spec: Path) -> None:
    spec.with_name("houses.csv").write_text("rooms,street,price\n1,a,2\n2,b,0.5\n3,c,1\n")
    asked = changed(spec, 'target = "regression"', 'target = "count"')
    code, said = ratchet("experiment", asked, "--store", spec.parent / "none")
    assert (code, "target price is 0.5 in row 1; a count is a whole number" in said) == (2, True), said


def test_predictions_that_have_no_folder_are_refused_before_anything_is_computed(spec: Path) -> None:
    code, output = ratchet("experiment", spec, "--predictions", spec.parent / "none" / "p.csv")
    assert code == 2
    assert "p.csv cannot be written: there is no folder" in output
    assert "configurations x" not in output


def test_a_library_that_cannot_be_used_is_told(spec: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RATCHET_ARRAY", "torch")
    code, output = ratchet("experiment", spec, "--store", spec.parent / "none", "--json")
    assert code == 3
    assert json.loads(output)["error"]["message"].startswith("RATCHET_ARRAY=torch names no array library")


def test_more_memory_than_there_is_here_is_refused_in_words(spec: Path) -> None:
    asked = changed(spec, "[folds]", f"[needs]\nmemory = {10**15}\n\n[folds]")
    code, output = ratchet("experiment", asked, "--store", spec.parent / "none", "--json")
    told = json.loads(output)["error"]
    assert (code, told["kind"]) == (3, "unavailable")
    assert "needs 1,000,000,000,000,000 bytes of memory, and there are" in told["message"]


def test_the_page_names_every_family_with_its_parameters_and_every_metric() -> None:
    page = (Path(__file__).parents[2] / "docs" / "experiments.md").read_text()
    for name, family in FAMILIES.items():
        (first, *_) = re.findall(rf"(?m)^\| `{name}` \| .*$", page)
        for parameter in family.defaults:
            assert f"`{parameter}`" in first, f"docs/experiments.md does not tell of {name}'s {parameter}"
    for metric in METRICS:
        assert f"`{metric}`" in page, f"docs/experiments.md does not tell of {metric}"
