"""What the critic reads of real episodes: the seed harness in the sandbox, with a model that says what it is told."""

from collections.abc import Iterator, Mapping, Sequence

import pytest

from agents.cli.request import seed_files
from agents.critic.fixes import fixes
from agents.critic.story import places, read_story
from agents.critic.taxonomy import classify
from agents.executor.episode import run_episode
from agents.executor.reports import Reports
from agents.patcher.changes import apply_change
from agents.sandbox import Sandbox
from contracts.chat import ChatReply, ChatRequest, Message, ToolCall
from contracts.events import Fix
from contracts.jobs import EpisodeJob, EpisodeResult
from contracts.tasks import Budget, GradedTask, Task

FILES = {
    "bag.py": "def first(xs):\n    return xs[1]\n\n\ndef last(xs):\n    return xs[1]\n\n\n"
    "def size(xs):\n    return len(xs)\n",
    "tests/test_bag.py": "from bag import first, last, size\n\n\n"
    "def test_first():\n    assert first([4, 5, 6]) == 4\n\n\n"
    "def test_last():\n    assert last([4, 5, 6]) == 6\n\n\n"
    "def test_size():\n    assert size([4]) == 1\n",
}
TASK = Task(
    id="bag",
    package="bag",
    instruction="Mend it.",
    files=FILES,
    solution_files=("bag.py",),
    budget=Budget(cpu_seconds=5, model_calls=9, test_runs=9),
)
Edit = tuple[int, str, str]
FIRST: Edit = (2, "    return xs[1]", "    return xs[0]")
LAST: Edit = (6, "    return xs[1]", "    return xs[-1]")
WORSE: Edit = (10, "    return len(xs)", "    return len(xs) + 1")
ABSENT: Edit = (3, "    return xs[1]", "    return xs[0]")
SYNTAX: Edit = (10, "    return len(xs)", "    return len(xs")


class Told:
    """A model that asks for one edit after another, and then for none."""

    fingerprint = "told"

    def __init__(self, edits: Sequence[Edit]) -> None:
        self.waiting = list(edits)

    def complete(self, request: ChatRequest) -> ChatReply:
        if not self.waiting:
            return ChatReply(message=Message(role="assistant", content="That is all."))
        line, old, new = self.waiting.pop(0)
        arguments = {"path": "bag.py", "line": line, "old": old, "new": new}
        call = ToolCall(id=f"c{len(request.messages)}", name="edit", arguments=arguments)
        return ChatReply(message=Message(role="assistant", tool_calls=(call,)))


@pytest.fixture(scope="module")
def reports() -> Iterator[Reports]:
    with Sandbox() as sandbox:
        yield Reports(sandbox)


def keeping() -> dict[str, bytes]:
    """The seed, but what mended something is not undone."""
    change = {"name": "keeper", "moment": "helped", "predicate": ["always", {}], "action": ["keep", {}]}
    return apply_change("compose", change, seed_files())


def episode(reports: Reports, *edits: Edit, tree: Mapping[str, bytes] | None = None) -> EpisodeResult:
    job = EpisodeJob(task="b", task_id="bag", tree="h", seed="s", fingerprint="told", transcript=True)
    graded = GradedTask(task=TASK, digest="d")
    return run_episode(job, graded, tree or seed_files(), Told(edits), reports)


T = {name: f"tests/test_bag.py::test_{name}" for name in ("first", "last", "size")}


def test_a_seed_episode_tells_what_it_tried_and_undid(reports: Reports) -> None:
    result = episode(reports, WORSE, FIRST, ABSENT, WORSE)
    story = read_story(result)
    assert [(a.line, a.tested, set(a.fixed), set(a.broken)) for a in story.attempts] == [
        (10, True, set(), {T["size"]}),
        (2, True, {T["first"]}, set()),
        (3, False, set(), set()),  # it was not applied, so no tests ran
        (10, True, set(), {T["size"]}),
    ]
    assert story.last == set(T.values())
    assert story.files == result.files == {}
    assert places([story]) == ("bag.py:2",)
    assert fixes([story]) == (
        Fix(kind="constant", count=1, tried=1),
        Fix(kind="off-by-one", count=0, tried=2),
    )
    assert result.signs["attempts"] == len(story.attempts)
    assert classify(result, story, places([story])) == (
        "lost_a_fix",
        "repeated_itself",
        "broke_a_test",
        "gave_up",
    )


def test_an_episode_that_keeps_what_mends_is_told_apart(reports: Reports) -> None:
    result = episode(reports, FIRST, tree=keeping())
    story = read_story(result)
    assert story.files == {"bag.py": FILES["bag.py"].replace("xs[1]", "xs[0]", 1)}
    assert story.last == {T["last"]}
    assert classify(result, story) == ("one_of_several", "gave_up")
    solved = episode(reports, FIRST, LAST, tree=keeping())
    assert (solved.solved, read_story(solved).last) == (True, frozenset())
    assert places([read_story(solved)]) == ("bag.py:2", "bag.py:6")


def test_where_others_mended_it_decides_what_was_missed(reports: Reports) -> None:
    known = places([read_story(episode(reports, FIRST, LAST, tree=keeping()))])
    far, near = episode(reports, WORSE), episode(reports, (6, "    return xs[1]", "    return xs[2:]"))
    assert "never_reached" in classify(far, read_story(far), known)
    assert "reached_in_vain" in classify(near, read_story(near), known)
    assert not {"never_reached", "reached_in_vain"} & set(classify(far, read_story(far)))


def test_a_program_that_does_not_run_breaks_and_mends_nothing(reports: Reports) -> None:
    story = read_story(episode(reports, SYNTAX))
    [one] = story.attempts
    assert one.tested
    assert not one.fixed
    assert one.broken
    assert not story.mended


def test_an_episode_without_edits_is_no_attempt(reports: Reports) -> None:
    result = episode(reports)
    assert read_story(result).attempts == ()
    assert classify(result, read_story(result)) == ("no_attempt",)
