"""Tasks and suites from disk: what is taken, and how each kind of mistake in them is named."""

import re
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from agents.tasks import errors
from agents.tasks.files import MAX_FILE_BYTES, MAX_FILES, MAX_TOTAL_BYTES, is_test_path
from agents.tasks.load import DEFAULT_INSTRUCTION, load_bare, load_task, task_digest
from agents.tasks.suite import Suite, load_suite, split_packages, suite_names, thinned
from contracts.tasks import Budget, GradedTask, TestSpec

Files = dict[str, str | bytes]

PLAIN_TEST = "from cup import fill\n\n\ndef test_fill():\n    assert fill() == 1\n"


def write(root: Path, files: Files) -> Path:
    for path, content in files.items():
        target = root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content if isinstance(content, bytes) else content.encode())
    return root


def full(**changes: str | bytes) -> Files:
    """The files of a sound task; `task_toml="..."` replaces its description."""
    return {
        "task.toml": changes.get("task_toml", 'id = "cup-1"\n'),
        "instruction.md": changes.get("instruction", "It is empty.\n"),
        "workspace/cup.py": changes.get("cup", "def fill():\n    return 0\n"),
        "workspace/tests/test_cup.py": PLAIN_TEST,
        "tests/test_hidden_cup.py": PLAIN_TEST,
        "solution/cup.py": "def fill():\n    return 1\n",
    }


@pytest.fixture
def make(tmp_path: Path) -> Callable[..., Path]:
    return lambda files, name="cup-1": write(tmp_path / name, files)


def test_defaults(make: Callable[..., Path]) -> None:
    graded = load_task(make(full()))
    task = graded.task
    assert (task.id, task.package, task.instruction) == ("cup-1", "cup-1", "It is empty.")
    assert sorted(task.files) == ["cup.py", "tests/test_cup.py"]
    assert task.solution_files == ("cup.py",)
    assert task.tests == TestSpec()
    assert task.budget == Budget()
    assert graded.hidden == {"tests/test_hidden_cup.py": PLAIN_TEST}
    assert graded.hidden_tests == TestSpec(paths=("tests/test_hidden_cup.py",))
    assert graded.failing == ()
    assert "return 1" not in str(task)


def test_everything_said(make: Callable[..., Path]) -> None:
    toml = """
        id = "cup-1"
        package = "cup"
        instruction = "Fill it."
        solution_files = ["cup.py", "./cup.py"]
        [tests]
        runner = "pytest"
        paths = ["tests/test_cup.py"]
        [hidden_tests]
        seconds = 3
        [budget]
        model_calls = 5
    """
    graded = load_task(make(full(task_toml=toml)), budget=Budget(test_runs=7))
    assert (graded.task.package, graded.task.instruction) == ("cup", "Fill it.")
    assert graded.task.solution_files == ("cup.py",)
    assert graded.task.tests == TestSpec(runner="pytest", paths=("tests/test_cup.py",))
    assert graded.hidden_tests == TestSpec(runner="pytest", paths=("tests/test_hidden_cup.py",), seconds=3)
    assert graded.task.budget == Budget(model_calls=5, test_runs=7)


def test_a_command_may_grade(make: Callable[..., Path]) -> None:
    toml = 'id = "cup-1"\n[tests]\nrunner = "command"\ncommand = ["make", "check"]\n'
    graded = load_task(make(full(task_toml=toml)))
    assert graded.task.tests.command == ("make", "check")
    assert graded.hidden_tests == graded.task.tests


def test_without_hidden_tests_the_visible_ones_grade(make: Callable[..., Path]) -> None:
    files = full(instruction=" \n")
    del files["tests/test_hidden_cup.py"]
    graded = load_task(make(files))
    assert graded.hidden == {}
    assert graded.hidden_tests == graded.task.tests
    assert graded.task.instruction == DEFAULT_INSTRUCTION


def test_caches_and_hidden_files_are_passed_over(make: Callable[..., Path]) -> None:
    files = full()
    files["workspace/__pycache__/cup.cpython-311.pyc"] = b"\0\1"
    files["workspace/.coverage"] = b"\0\1"
    files["workspace/.git/HEAD"] = "ref"
    assert sorted(load_task(make(files)).task.files) == ["cup.py", "tests/test_cup.py"]


def test_the_digest_covers_what_grades(make: Callable[..., Path]) -> None:
    graded = load_task(make(full()))
    assert len(graded.digest) == 64
    assert load_task(make(full(), "elsewhere")).digest == graded.digest
    others = [
        full(cup="def fill():\n    return 2\n"),
        full(instruction="Other words."),
        full(task_toml='id = "cup-1"\n[budget]\nlines = 9\n'),
        full() | {"tests/test_more.py": PLAIN_TEST},
        full(task_toml='id = "cup-1"\n[hidden_tests]\nseconds = 9\n'),
    ]
    digests = {load_task(make(files, f"other-{index}")).digest for index, files in enumerate(others)}
    assert len({graded.digest} | digests) == 6
    assert load_task(make(full() | {"solution/cup.py": "x = 1\n"}, "again")).digest == graded.digest


def test_the_digest_ignores_what_a_run_found_out(make: Callable[..., Path]) -> None:
    graded = load_task(make(full()))
    known = msgspec.structs.replace(graded, failing=("tests/test_hidden_cup.py::test_fill",))
    assert task_digest(known) == graded.digest
    copied = msgspec.json.decode(msgspec.json.encode(graded), type=GradedTask)
    assert task_digest(copied) == graded.digest


@pytest.mark.parametrize(
    ("toml", "kind", "words"),
    [
        ('id = "cup-1"\nbudget = \n', errors.InvalidFileError, "line 2"),
        ("package = 'cup'\n", errors.InvalidFileError, "missing required field `id`"),
        ("id = 3\n", errors.InvalidFileError, "Expected `str`, got `int` - at `$.id`"),
        ('id = "a/b"\n', errors.InvalidFileError, "use letters"),
        ('id = "c"\nsolution_file = ["cup.py"]\n', errors.InvalidFileError, "did you mean `solution_files`?"),
        ('id = "c"\ncolor = "red"\n', errors.InvalidFileError, "unknown key `color`; known are id, package"),
        (
            'id = "c"\n[tests]\nrunners = "plain"\n',
            errors.InvalidFileError,
            "[tests]: unknown key `runners`; did",
        ),
        ('id = "c"\n[tests]\nrunner = "nose"\n', errors.InvalidFileError, "Invalid enum value 'nose'"),
        ('id = "c"\n[tests]\nseconds = 0\n', errors.InvalidFileError, "1 or more"),
        ('id = "c"\n[tests]\nrunner = "command"\n', errors.InvalidFileError, "needs a `command`"),
        (
            'id = "c"\n[budget]\nline = 5\n',
            errors.InvalidFileError,
            "[budget]: unknown key `line`; did you mean",
        ),
        ('id = "c"\n[budget]\nlines = "5"\n', errors.InvalidFileError, "[budget]: Expected `int`, got `str`"),
        ('id = "c"\n[budget]\nlines = -5\n', errors.InvalidFileError, "`lines` must be 1 or more"),
        ('id = "c"\nsolution_files = []\n', errors.InvalidFileError, "leave it out"),
        (
            'id = "c"\nsolution_files = ["mug.py"]\n',
            errors.MissingFileError,
            "'mug.py' is not in the workspace",
        ),
        ('id = "c"\nsolution_files = ["tests/test_cup.py"]\n', errors.InvalidFileError, "is a test"),
        ('id = "c"\nsolution_files = ["../cup.py"]\n', errors.UnsafePathError, "leads out"),
        ('id = "c"\nsolution_files = ["/etc/hosts"]\n', errors.UnsafePathError, "leads out"),
        ('id = "c"\n[tests]\npaths = ["tests/../.."]\n', errors.UnsafePathError, "leads out"),
        ('id = "c"\n[tests]\npaths = ["checks"]\n', errors.NoTestsError, "below checks"),
        ('id = "c"\n[hidden_tests]\npaths = ["checks"]\n', errors.NoTestsError, "below checks"),
        (b'id = "\xff"\n', errors.UnreadableFileError, "not UTF-8 (byte 6)"),
    ],
)
def test_faults_of_the_description(
    make: Callable[..., Path], toml: str | bytes, kind: type[errors.TaskError], words: str
) -> None:
    with pytest.raises(kind) as caught:
        load_task(make(full(task_toml=toml)))
    assert type(caught.value) is kind
    assert words in str(caught.value)
    assert caught.value.path == "task.toml"
    assert caught.value.task
    assert str(caught.value).startswith(f"task {caught.value.task!r}, task.toml: ")


@pytest.mark.parametrize(
    ("changes", "removed", "kind", "path"),
    [
        ({}, "task.toml", errors.MissingFileError, "task.toml"),
        ({}, "workspace/", errors.MissingFileError, "workspace"),
        ({}, "workspace/tests/", errors.NoTestsError, "task.toml"),
        ({}, "workspace/cup.py", errors.MissingFileError, ""),
        ({"tests/test_hidden_cup.py": ""}, "tests/test_hidden_cup.py", None, ""),
        ({"tests/help.py": "x = 1\n"}, "tests/test_hidden_cup.py", errors.NoTestsError, "task.toml"),
        ({"workspace/data.txt": b"caf\xe9"}, "", errors.UnreadableFileError, "workspace/data.txt"),
        ({"workspace/data.bin": b"a\0b"}, "", errors.UnreadableFileError, "workspace/data.bin"),
        ({"tests/test_x.py": b"\xff"}, "", errors.UnreadableFileError, "tests/test_x.py"),
        ({"workspace/a.txt": "x" * (MAX_FILE_BYTES + 1)}, "", errors.TooLargeError, "workspace/a.txt"),
        ({"workspace/a.txt": "x" * MAX_FILE_BYTES}, "", None, ""),
        ({"instruction.md": b"\xff"}, "", errors.UnreadableFileError, "instruction.md"),
    ],
)
def test_faults_of_files(
    make: Callable[..., Path], changes: Files, removed: str, kind: type[errors.TaskError] | None, path: str
) -> None:
    kept = {name: text for name, text in full().items() if not (removed and name.startswith(removed))}
    directory = make({**kept, **changes})
    if kind is None:
        load_task(directory)
        return
    with pytest.raises(kind) as caught:
        load_task(directory)
    assert caught.value.path == path
    assert caught.value.task == "cup-1"


@pytest.mark.parametrize("link", ["workspace/link.py", "workspace/folder", "tests/link.py", "instruction.md"])
def test_symbolic_links_are_refused(make: Callable[..., Path], tmp_path: Path, link: str) -> None:
    directory = make(full())
    (directory / link).unlink(missing_ok=True)
    target = tmp_path if link.endswith("folder") else write(tmp_path, {"secret": "x"}) / "secret"
    (directory / link).symlink_to(target)
    with pytest.raises(errors.UnsafePathError) as caught:
        load_task(directory)
    assert caught.value.path == link


@pytest.mark.parametrize("folder", ["workspace", "tests"])
def test_a_linked_folder_is_refused(make: Callable[..., Path], tmp_path: Path, folder: str) -> None:
    directory = make(full())
    (directory / folder).rename(tmp_path / "moved")
    (directory / folder).symlink_to(tmp_path / "moved")
    with pytest.raises(errors.UnsafePathError):
        load_task(directory)


def test_too_much(make: Callable[..., Path]) -> None:
    count = MAX_TOTAL_BYTES // MAX_FILE_BYTES + 1
    heavy = {f"workspace/{number}.txt": "x" * MAX_FILE_BYTES for number in range(count)}
    with pytest.raises(errors.TooLargeError, match="4 MiB"):
        load_task(make(full() | heavy))
    many: Files = {f"{number}.txt": "" for number in range(MAX_FILES + 1)}
    with pytest.raises(errors.TooLargeError, match="2000 files"):
        load_bare(make(many, "many"))


def test_no_directory(tmp_path: Path) -> None:
    for load in (load_task, load_bare):
        with pytest.raises(errors.MissingFileError, match="Check the path"):
            load(tmp_path / "nowhere")


BARE: Files = {
    "cup.py": "def fill():\n    return 0\n",
    "kitchen/__init__.py": "",
    "kitchen/sink.py": "OPEN = True\n",
    "tests/test_cup.py": PLAIN_TEST,
    "README.md": "A cup.\n",
}


def test_bare_directory(make: Callable[..., Path]) -> None:
    skipped: Files = {
        ".git/config": "x",
        ".venv/lib/a.py": "x = 1\n",
        "myenv/pyvenv.cfg": "",
        "myenv/lib/b.py": "x = 1\n",
        "__pycache__/cup.pyc": b"\0",
        "node_modules/c.py": "",
        "logo.png": b"\x89PNG\0",
        "latin.txt": b"caf\xe9",
        "big.py": "#" * (MAX_FILE_BYTES + 1),
        ".env": "TOKEN=1",
    }
    directory = make(BARE | skipped, "my cup!")
    (directory / "outside.py").symlink_to("/etc/hosts")
    graded = load_bare(directory)
    assert sorted(graded.task.files) == sorted(BARE)
    assert (graded.task.id, graded.task.package) == ("my-cup", "my-cup")
    assert graded.task.solution_files == ("cup.py", "kitchen/__init__.py", "kitchen/sink.py")
    assert graded.task.tests == graded.hidden_tests == TestSpec()
    assert graded.hidden == {}
    assert graded.digest == task_digest(graded)


def test_bare_directory_with_a_command(make: Callable[..., Path]) -> None:
    files = {path: text for path, text in BARE.items() if not path.startswith("tests/")}
    directory = make(files)
    with pytest.raises(errors.NoTestsError, match="give a test command"):
        load_bare(directory)
    with pytest.raises(errors.NoTestsError, match="empty"):
        load_bare(directory, [])
    graded = load_bare(directory, ["python", "check.py"])
    assert graded.task.tests == TestSpec(runner="command", paths=(), command=("python", "check.py"))


@pytest.mark.parametrize(
    ("text", "runner"),
    [
        (PLAIN_TEST, "plain"),
        ("import pytest\n" + PLAIN_TEST, "pytest"),
        ("from unittest import mock\n" + PLAIN_TEST, "pytest"),
        ("class TestCup:\n    def test_x(self):\n        pass\n", "pytest"),
        ("def test_x(tmp_path):\n    pass\n", "pytest"),
        ("async def test_x():\n    pass\n", "pytest"),
        ("@mark\ndef test_x():\n    pass\n", "pytest"),
    ],
)
def test_bare_directories_choose_their_runner(make: Callable[..., Path], text: str, runner: str) -> None:
    assert load_bare(make(BARE | {"tests/test_cup.py": text})).task.tests.runner == runner


def test_bare_tests_beside_the_code(make: Callable[..., Path]) -> None:
    graded = load_bare(make({"cup.py": "x = 1\n", "test_cup.py": PLAIN_TEST, "lib/test_a.py": PLAIN_TEST}))
    assert graded.task.tests.paths == ("lib/test_a.py", "test_cup.py")
    assert graded.task.solution_files == ("cup.py",)


def test_bare_python_files_must_be_text(make: Callable[..., Path]) -> None:
    with pytest.raises(errors.UnreadableFileError) as caught:
        load_bare(make(BARE | {"kitchen/old.py": b"# caf\xe9"}))
    assert caught.value.path == "kitchen/old.py"


def test_nothing_to_work_on(make: Callable[..., Path]) -> None:
    with pytest.raises(errors.MissingFileError, match="no Python file"):
        load_bare(make({"tests/test_cup.py": PLAIN_TEST}))


def test_paths_of_tests() -> None:
    yes = ["tests/a.py", "a/test/b.py", "test_a.py", "a/b_test.py", "conftest.py"]
    no = ["a.py", "testing/a.py", "contest.py", "attest_a.py"]
    assert [path for path in (*yes, *no) if is_test_path(path)] == yes


def suite_files(*names: str, toml: str | None = None, home: str = "tasks/") -> Files:
    files: Files = {} if toml is None else {"suite.toml": toml}
    for name in names:
        package = name.partition("-")[0]
        described = full(task_toml=f'id = "{name}"\npackage = "{package}"\n')
        files |= {f"{home}{name}/{path}": text for path, text in described.items()}
    return files


def ids(side: tuple[GradedTask, ...]) -> list[str]:
    return [graded.task.id for graded in side]


def test_built_in_suites() -> None:
    assert "repair" in suite_names()
    assert load_suite("repair").name == "repair"


def test_suite_of_ones_own(make: Callable[..., Path]) -> None:
    toml = 'name = "kitchen"\ndescription = "Cups."\n[split]\npractice = 0.5\n[budget]\nlines = 77\n'
    suite = load_suite(make(suite_files("cup-1", "cup-2", "mug-1", toml=toml)))
    assert (suite.name, suite.description) == ("kitchen", "Cups.")
    assert len(suite.digest) == 64
    sides = [{graded.task.package for graded in side} for side in (suite.practice, suite.sealed)]
    assert sorted(map(sorted, sides)) == [["cup"], ["mug"]]
    assert suite.practice[0].task.budget.lines == 77


@pytest.mark.parametrize("home", ["", "tasks/"])
def test_folder_of_tasks_without_a_description(make: Callable[..., Path], home: str) -> None:
    suite = load_suite(str(make(suite_files("cup-1", "mug-1", home=home), "own")))
    assert (suite.name, ids(suite.practice), suite.sealed) == ("own", ["cup-1", "mug-1"], ())


def test_single_directories(make: Callable[..., Path]) -> None:
    assert ids(load_suite(make(full())).practice) == ["cup-1"]
    bare = load_suite(make(BARE, "plain"))
    assert (bare.name, ids(bare.practice)) == ("plain", ["plain"])
    commanded = load_suite(make(BARE, "plain"), command=["true"])
    assert commanded.practice[0].task.tests.command == ("true",)


def test_a_faulty_task_does_not_stop_the_rest(make: Callable[..., Path]) -> None:
    files = suite_files("cup-1", "mug-1", "pan-1", "pot-1", toml="")
    files["tasks/mug-1/task.toml"] = 'id = "mug-1"\ncolor = 1\n'
    files["tasks/pan-1/task.toml"] = 'id = "cup-1"\n'
    files["tasks/odd/notes.txt"] = ""
    suite = load_suite(make(files))
    assert ids(suite.practice) == ["cup-1", "pot-1"]
    assert [name for name, _ in suite.faulty] == ["mug-1", "odd", "pan-1"]
    reasons = dict(suite.faulty)
    assert "unknown key `color`" in reasons["mug-1"]
    assert "task.toml: is missing" in reasons["odd"]
    assert "another directory has this id" in reasons["pan-1"]


def test_nothing_left(make: Callable[..., Path]) -> None:
    files = suite_files("cup-1", toml='name = "k"\n')
    files["tasks/cup-1/task.toml"] = "id ="
    with pytest.raises(errors.EmptySuiteError) as caught:
        load_suite(make(files))
    assert caught.value.name == "k"
    assert [name for name, _ in caught.value.faulty] == ["cup-1"]
    assert "not valid TOML" in str(caught.value)


def test_unknown_names(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(errors.UnknownSuiteError) as caught:
        load_suite("repare")
    assert caught.value.name == "repare"
    assert "repair" in caught.value.known
    assert "repair" in str(caught.value)


@pytest.mark.parametrize(
    ("toml", "words"),
    [
        ("[split]\npractice = 0.0\n", "above 0"),
        ("[split]\npractice = 1.5\n", "at most 1"),
        ("[split]\nshare = 0.5\n", "unknown key `share`"),
        ("[budget]\nlines = true\n", "Expected `int`, got `bool`"),
        ("title = 'x'\n", "unknown key `title`"),
        ("name = \n", "line 1"),
    ],
)
def test_faults_of_suite_toml(make: Callable[..., Path], toml: str, words: str) -> None:
    with pytest.raises(errors.InvalidFileError) as caught:
        load_suite(make(suite_files("cup-1", toml=toml)))
    assert words in str(caught.value)
    assert caught.value.path.endswith("suite.toml")


def test_the_split_keeps_packages_whole_and_ignores_order() -> None:
    packages = [f"package{number}" for number in range(16)]
    practice, sealed = split_packages(packages, 0.6)
    assert (len(practice), len(sealed)) == (10, 6)
    assert set(practice) | set(sealed) == set(packages)
    assert split_packages([*reversed(packages), *packages], 0.6) == (practice, sealed)
    assert split_packages(["one"], 0.1) == (("one",), ())
    assert split_packages(packages, 1.0)[1] == ()


def test_suite_digest(make: Callable[..., Path]) -> None:
    def digest(name: str, files: Files) -> str:
        suite: Suite = load_suite(make(files, name))
        return suite.digest

    named = 'name = "k"\n'
    first = digest("a", suite_files("cup-1", "mug-1", toml=named))
    assert digest("b", suite_files("mug-1", "cup-1", toml=named)) == first
    assert digest("c", suite_files("cup-1", "mug-1", toml=named + "[split]\npractice = 0.5\n")) != first
    assert digest("d", suite_files("cup-1", toml=named)) != first


def test_the_documented_examples_load(make: Callable[..., Path]) -> None:
    page = (Path(__file__).parents[2] / "docs" / "suites.md").read_text()
    task, package, suite = re.findall(r"```toml\n(.*?)```", page, re.DOTALL)
    variants = {
        "package.toml": package,
        "program/cup.py": "    if self.level >= self.size:\n        pass\n",
        "program/tests/test_cup.py": PLAIN_TEST,
        "tests/test_hidden_cup.py": PLAIN_TEST,
    }
    files = suite_files("cup-1", toml=suite) | {"tasks/cup-1/task.toml": task}
    files |= {f"tasks/mug/{path}": text for path, text in variants.items()}
    loaded = load_suite(make(files))
    assert not loaded.faulty
    tasks = {graded.task.id: graded.task for graded in (*loaded.practice, *loaded.sealed)}
    assert sorted(tasks) == ["cup-1", "mug-1"]
    assert tasks["mug-1"].files["cup.py"] == "    if self.level > self.size:\n        pass\n"
    assert tasks["cup-1"].budget == Budget(model_calls=12, lines=50_000)


def test_errors_are_one_tree() -> None:
    found = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, Exception)]
    assert all(issubclass(kind, errors.TaskError) for kind in found)
    assert all((kind.__doc__ or "").startswith("Raised when") for kind in found)


def test_a_thinned_suite_keeps_the_first_tasks_of_every_package() -> None:
    whole = load_suite("repair")
    thin = thinned(whole, practice=1, sealed=2)
    assert [g.task.id for g in thin.practice] == [
        g.task.id for g in whole.practice if g.task.id.endswith("-1")
    ]
    assert len(thin.sealed) == 32
    assert {g.task.package for g in thin.sealed} == {g.task.package for g in whole.sealed}
    assert thin.digest != whole.digest
    assert thinned(whole, practice=3, sealed=3).digest == whole.digest
