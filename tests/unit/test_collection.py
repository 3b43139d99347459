"""Failed submissions as entries: what is one, what it is called, and which decision holds."""

import hashlib
from itertools import count

import msgspec
import pytest

from contracts import collection
from contracts import events as e
from contracts.chat import Usage
from contracts.collection import Entry, Sketch, content_hash, gather, sketch, slug
from contracts.envelope import GENESIS, seal
from contracts.submission import Submission, duties, fold
from contracts.tasks import Budget, Task, TestSpec

TASK = Task(
    id="cup-1",
    package="cup",
    instruction="It is empty.",
    files={"cup.py": "full = False\n", "tests/test_cup.py": "def test_cup(): ...\n"},
    solution_files=("cup.py",),
)


class Ledger:
    """Submissions, as a ledger would hold them."""

    def __init__(self) -> None:
        self.positions = count(1)
        self.streams: dict[str, Submission] = {}
        self.tasks: dict[str, Task] = {}

    def append(self, task: str, event: e.Event) -> None:
        state, position = self.streams.get(task, Submission()), next(self.positions)
        new = e.encode(event, duty=f"{task}/{position}", index=0, actor="test", correlation=task)
        prev = state.hash or GENESIS
        envelope = seal(
            new,
            stream=f"task/{task}",
            version=state.version + 1,
            position=position,
            at=float(position),
            prev=prev,
        )
        self.streams[task] = fold(state, envelope)

    def submit(self, name: str, task: Task = TASK, *, tree: str = "t1", attempts: int = 3) -> None:
        blob = hashlib.sha256(msgspec.json.encode(task)).hexdigest()
        self.tasks[blob] = task
        self.append(name, e.TaskSubmitted(task=name, name=task.id, blob=blob))
        usage = Usage()
        self.append(
            name,
            e.TaskFailed(
                task=name,
                tree=tree,
                reason="no",
                attempts=attempts,
                usage=usage,
                failing=(f"test of {name}",),
            )
            if tree
            else e.TaskSolved(task=name, tree="t9", patch="p", attempts=1, usage=usage),
        )

    def accept(self, task: str, *, name: str = "", content: str = "") -> None:
        content = content or content_hash(TASK)
        name = name or f"cup-1-{content[:8]}"
        event = e.TaskCollected(task=task, name=name, package="cup", content=content, blob="b")
        self.append(task, event)

    def dismiss(self, task: str) -> None:
        self.append(task, e.TaskDismissed(task=task, content=content_hash(TASK), reason="not ours"))

    def entries(self) -> tuple[Entry, ...]:
        found = {blob: sketch(task) for blob, task in self.tasks.items()}
        return gather(self.streams.values(), found)

    def entry(self) -> Entry:
        (found,) = self.entries()
        return found

    def collected(self) -> list[str]:
        return [event.name for event in collection.collected(self.streams.values())]


@pytest.fixture
def ledger() -> Ledger:
    return Ledger()


def test_submissions_of_the_same_content_are_one_entry(ledger: Ledger) -> None:
    ledger.submit("a", tree="t1")
    ledger.submit("b", msgspec.structs.replace(TASK, id="mug", package="mug"), tree="t2")
    ledger.submit("c", msgspec.structs.replace(TASK, budget=Budget(model_calls=1)), tree="t1")
    ledger.submit("d", tree="")  # solved at last
    entry = ledger.entry()
    assert (entry.status, entry.submission, entry.package) == ("open", "a", "cup")
    assert entry.name == f"cup-1-{content_hash(TASK)[:8]}"
    assert (entry.failed, entry.solved, entry.at) == (3, 1, 6.0)
    assert [(h.tree, h.times) for h in entry.harnesses] == [("t2", 1), ("t1", 2)]
    assert entry.failing == ("test of c",)
    assert set(entry.submissions) == set("abcd")


@pytest.mark.parametrize(
    "other",
    [
        {"instruction": "It leaks."},
        {"files": {**TASK.files, "cup.py": "full = None\n"}},
        {"files": {**TASK.files, "more.py": ""}},
        {"solution_files": ("cup.py", "tests/test_cup.py")},
        {"tests": TestSpec(runner="pytest")},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_another_content_is_another_entry(ledger: Ledger, other: dict[str, object]) -> None:
    ledger.submit("a")
    ledger.submit("b", msgspec.structs.replace(TASK, **other))
    first, second = ledger.entries()
    assert first.name != second.name
    assert first.package == second.package == "cup"  # one project, one cluster


def test_what_no_harness_failed_at_is_no_entry(ledger: Ledger) -> None:
    ledger.submit("solved", tree="")
    ledger.submit("untried", attempts=0)
    ledger.append("waiting", e.TaskSubmitted(task="waiting", name="cup-1", blob=next(iter(ledger.tasks))))
    assert ledger.entries() == ()


def test_a_submission_that_cannot_be_read_is_passed_over(ledger: Ledger) -> None:
    ledger.submit("a")
    assert gather(ledger.streams.values(), {}) == ()


def test_the_last_decision_holds_on_whichever_stream_it_stands(ledger: Ledger) -> None:
    ledger.submit("a")
    ledger.submit("b")
    ledger.accept("b")
    assert (ledger.entry().status, ledger.collected()) == ("collected", [ledger.entry().name])
    ledger.dismiss("a")
    assert (ledger.entry().status, ledger.entry().reason) == ("dismissed", "not ours")
    assert ledger.collected() == []
    ledger.submit("c")
    assert ledger.entry().status == "dismissed"  # failing once more does not bring it back
    ledger.accept("b")
    ledger.accept("a")
    assert (ledger.entry().status, len(ledger.collected())) == ("collected", 1)
    assert all(duties("executor", state, 0.0) == () for state in ledger.streams.values())


def test_a_collected_task_keeps_its_name_and_no_other_gets_it(ledger: Ledger) -> None:
    content = content_hash(TASK)
    ledger.submit("a")
    ledger.accept("a", name="kept")
    assert ledger.entry().name == "kept"

    twins = [Sketch(content=f"{content[:10]}{end}", name="cup", package="cup", files=()) for end in "xyz"]
    many = Ledger()
    for number, _ in enumerate(twins):
        many.submit(str(number), msgspec.structs.replace(TASK, instruction=str(number)))
    entries = gather(many.streams.values(), dict(zip(many.tasks, twins, strict=True)))
    assert [entry.name for entry in entries] == [
        f"cup-{content[:8]}", f"cup-{content[:9]}", f"cup-{content[:10]}"
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "made"),
    [
        ("cup-1", "cup-1"), ("../../etc", "etc"), ("a b\x1b[31mc", "a-b-31mc"), ("", "task"), ("…", "task"),
        ("x" * 99, "x" * 60),
    ],
)  # fmt: skip
def test_a_name_that_others_wrote_is_made_plain(text: str, made: str) -> None:
    assert slug(text) == made
