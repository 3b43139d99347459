"""The arrows between the folders, and what else holds for every module of a folder."""

import ast
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("contracts", "bus", "eventstore", "gpu_workers", "agents")
DATA = ("harness", "suites")

ARROWS: dict[str, set[str]] = {
    "contracts": set(),
    "bus": {"contracts"},
    "eventstore": {"contracts"},
    "gpu_workers": {"bus", "contracts"},
    "agents": {"bus", "contracts", "eventstore"},
}
"""What a folder may import besides itself."""

ON_THE_BUS = {
    "eventstore/service.py",
    "eventstore/serving.py",
    "eventstore/client.py",
    "eventstore/relay.py",
    "eventstore/log.py",
    "eventstore/replicated.py",
}
"""The ledger's only modules that know the bus."""

ON_THE_ARRAYS = {
    "agents/cli/doctor.py": "looks at the machine that it runs on, GPU included",
    "agents/cli/power.py": "simulates in its own process where no worker is asked",
    "agents/cli/rollout.py": "computes in its own process where no worker runs",
    "agents/cli/workbench.py": "computes an experiment in its own process where no worker does",
}
"""The agents' only modules that know the workers, and why; all else of theirs meets them on the bus."""

GUESTS = {"harness.py": {"agent"}, "worker.py": {"pytest"}}
"""What the guest's modules start by name: a harness, and the test runner where a task asks for it."""

LINES = 330
LONG = {
    "contracts/statistics.py": "the one reference of every figure: tests, intervals and power share their helpers",
    "contracts/gate.py": "the whole rule of the verdicts on one page, for an auditor",
    "contracts/lineage/evolve.py": "one fold: a few lines for each of its thirty events",
    "eventstore/audit/history.py": "one fold: what each of the thirty events adds to the story of a harness",
    "eventstore/audit/terminal.py": "one short drawing for each thing that is shown",
    "eventstore/audit/testing.py": "a whole campaign as a script: one scene for each event",
    "agents/sandbox/guest/tests.py": "runs in the guest, where every further module costs a cold start",
}
"""Modules that may be longer, and why."""


def modules(*folders: str) -> list[Path]:
    found = [path for folder in folders for path in sorted((ROOT / folder).rglob("*.py"))]
    return [path for path in found if "__pycache__" not in path.parts]


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


@cache
def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text(), filename=name_of(path))


def imports(path: Path, nodes: Iterator[ast.AST] | None = None) -> set[str]:
    """Full names of the modules that a file imports anywhere, in functions too."""
    package = path.relative_to(ROOT).parent.parts
    found: set[str] = set()
    for node in nodes or ast.walk(parsed(path)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = ".".join(package[: len(package) + 1 - node.level]) if node.level else ""
            module = ".".join(part for part in (base, node.module or "") if part)
            found |= {module, *(f"{module}.{alias.name}" for alias in node.names)}
        elif (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Attribute | ast.Name)
            and ast.unparse(node.func).rpartition(".")[2] in {"import_module", "__import__"}
            and node.args
            and isinstance(node.args[0], ast.Constant)
        ):
            found.add(str(node.args[0].value))
    return found


def tops(names: set[str]) -> set[str]:
    return {name.partition(".")[0] for name in names}


def at_import(path: Path) -> set[str]:
    """What a file imports as soon as it is imported itself."""

    def visible(node: ast.AST) -> Iterator[ast.AST]:
        for child in ast.iter_child_nodes(node):
            if not isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
                yield child
                yield from visible(child)

    return imports(path, visible(parsed(path)))


# Arrows


@pytest.mark.parametrize("folder", PACKAGES)
def test_arrows_between_folders_run_one_way(folder: str) -> None:
    ours = {*PACKAGES, *DATA, "tests", "benchmarks"}
    for path in modules(folder):
        allowed = ARROWS[folder] | {folder}
        if name_of(path) in ON_THE_BUS:
            allowed = allowed | {"bus"}
        if name_of(path) in ON_THE_ARRAYS:
            allowed = allowed | {"gpu_workers"}
        beyond = tops(imports(path)) & ours - allowed
        assert not beyond, f"{name_of(path)} must not import {', '.join(sorted(beyond))}"


def test_the_exceptions_among_the_arrows_are_needed() -> None:
    for name in ON_THE_BUS:
        assert "bus" in tops(imports(ROOT / name)), f"{name} needs no exception any more"
    for name in ON_THE_ARRAYS:
        assert "gpu_workers.arrays" in imports(ROOT / name), f"{name} needs no exception any more"


def test_nothing_that_reads_a_ledger_file_needs_the_bus() -> None:
    """An auditor's commands start without a server's libraries: none of them is imported before `serve` is."""
    paths = {".".join(path.relative_to(ROOT).with_suffix("").parts): path for path in modules(*PACKAGES)}
    paths |= {name.removesuffix(".__init__"): path for name, path in paths.items()}
    seen: set[str] = set()
    waiting = ["eventstore.commands", "eventstore.verify", "eventstore.sqlite"]
    while waiting:
        name = waiting.pop()
        if name in paths and name not in seen:
            seen.add(name)
            found = at_import(paths[name])
            assert "nats" not in tops(found), f"{name} imports nats"
            waiting += found
    assert "eventstore.database" in seen
    assert not {name for name in seen if name.startswith("bus")}


def test_what_is_data_is_imported_by_nobody() -> None:
    for path in modules(*PACKAGES, "benchmarks"):
        assert not tops(imports(path)) & set(DATA), name_of(path)


def test_a_harness_imports_itself_its_runtime_and_the_standard_library() -> None:
    import sys

    own = {path.name.removesuffix(".py") for path in (ROOT / "harness").iterdir()} | {"ratchet_runtime"}
    for path in modules("harness"):
        assert tops(imports(path)) <= own | sys.stdlib_module_names, name_of(path)


def test_what_runs_in_the_sandbox_imports_the_standard_library_and_itself() -> None:
    import sys

    for path in modules("agents/sandbox/guest"):
        names = imports(path)
        ours = {name for name in names if name.startswith("agents.")}
        assert all(name.startswith("agents.sandbox.guest") for name in ours), name_of(path)
        beyond = tops(names - ours) - sys.stdlib_module_names - {"agents"}
        assert beyond <= GUESTS.get(path.name, set()), name_of(path)


def test_agents_start_clean() -> None:
    """`python -m agents.planner` loads the planner, not all agents."""
    assert not imports(ROOT / "agents" / "__init__.py")
    assert not imports(ROOT / "contracts" / "__init__.py")


def test_cupy_is_imported_in_one_place() -> None:
    found = {name_of(path) for path in modules(*PACKAGES) if tops(imports(path)) & {"cupy", "cupyx"}}
    assert found <= {"gpu_workers/arrays.py"}


def test_every_package_is_named_where_the_wheel_is_built() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    wheel = project["tool"]["hatch"]["build"]["targets"]["wheel"]["only-include"]
    assert set(wheel) == {*PACKAGES, *DATA}


# Contracts are pure


def test_contracts_read_no_clock_draw_no_luck_and_do_no_io() -> None:
    impure = {"time", "random", "os", "datetime", "secrets", "io", "pathlib", "socket", "subprocess", "sys"}
    calls = {"open", "print", "input", "exec", "eval"}
    attributes = {"uuid1", "uuid4", "default_rng", "RandomState", "urandom", "now", "seed"}
    for path in modules("contracts"):
        assert not tops(imports(path)) & impure, name_of(path)
        for node in ast.walk(parsed(path)):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                assert node.func.id not in calls, f"{name_of(path)}:{node.lineno}"
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                assert node.func.attr not in attributes, f"{name_of(path)}:{node.lineno}"


def test_everything_public_in_the_contracts_says_what_it_is() -> None:
    for path in modules("contracts"):
        module = parsed(path)
        assert ast.get_docstring(module), name_of(path)
        for missing in undocumented(module):
            pytest.fail(f"{name_of(path)}: {missing} has no docstring")


def undocumented(node: ast.Module | ast.ClassDef) -> Iterator[str]:
    for child in node.body:
        if isinstance(child, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) and child.name[0] != "_":
            if not ast.get_docstring(child) and "overload" not in map(ast.unparse, child.decorator_list):
                yield child.name
            if isinstance(child, ast.ClassDef):
                yield from (f"{child.name}.{name}" for name in undocumented(child))


# Sizes


@pytest.mark.parametrize("folder", [*PACKAGES, "harness"])
def test_modules_hold_one_idea_each(folder: str) -> None:
    for path in modules(folder):
        lines = len(path.read_text().splitlines())
        assert lines <= LINES or name_of(path) in LONG, f"{name_of(path)} has {lines} lines"


def test_the_long_modules_are_still_long() -> None:
    for name in LONG:
        assert len((ROOT / name).read_text().splitlines()) > LINES, f"{name} needs no exception any more"
