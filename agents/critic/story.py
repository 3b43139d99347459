"""What happened in an episode, read from its transcript: the edits that were tried, and what each did to the tests."""

import itertools
import re
import zlib
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import msgspec

from contracts.jobs import EpisodeResult

NOT_RUN = ("(the tests did not run)",)
"""What stands in the place of test ids where a run of the tests came to no end."""
NOT_APPLIED = "edit not applied"
"""How an answer begins after which no tests ran."""
_APPLIED = re.compile(r"edit applied: .*:(\d{1,9})$", re.MULTILINE)
KEPT = "edit kept"
"""The line of an answer that says that an edit stands though tests fail."""


class Attempt(NamedTuple):
    """An edit that the model asked for."""

    path: str
    line: int
    old: str
    new: str
    tested: bool
    """Whether the tests ran after it."""
    fixed: frozenset[str]
    """Tests that failed at first, and still did before it, and passed after it."""
    broken: frozenset[str]
    """Tests that passed before it, and failed after it."""

    @property
    def place(self) -> str:
        """Where it is, as `path:line`."""
        return f"{self.path}:{self.line}"

    @property
    def mends(self) -> bool:
        """Whether it made failing tests pass and broke none."""
        return bool(self.fixed) and not self.broken


class Story(NamedTuple):
    """An episode as its transcript tells it."""

    attempts: tuple[Attempt, ...]
    last: frozenset[str]
    """Tests that still failed when the tests ran for the last time."""
    files: dict[str, str]
    """The files that the harness left changed."""

    @property
    def mended(self) -> tuple[Attempt, ...]:
        """Attempts that made failing tests pass and broke none."""
        return tuple(attempt for attempt in self.attempts if attempt.mends)


def read_transcript(data: bytes) -> list[dict[str, Any]]:
    """The lines of a stored transcript."""
    return [msgspec.json.decode(line) for line in zlib.decompress(data).split(b"\n") if line]


def read_story(result: EpisodeResult) -> Story:
    """The story of an episode; an empty one if its transcript was not kept."""
    lines = read_transcript(result.transcript) if result.transcript else []
    runs = [line for line in lines if "test" in line]
    at_first = frozenset(runs[0]["failed"]) if runs else frozenset()
    standing = at_first
    attempts: list[Attempt] = []
    for turn in _turns(lines):
        for attempt, answer, run in turn.edits():
            if run is None:
                attempts.append(attempt)
                continue
            ran, failed = run["status"] == "ok", frozenset(run["failed"])
            fixed = (standing & at_first) - failed if ran else frozenset()
            broken = failed - standing if ran else frozenset(NOT_RUN)
            attempts.append(attempt._replace(tested=True, fixed=fixed, broken=broken))
            if KEPT in answer.split("\n"):
                standing = failed if ran else at_first
    files: dict[str, str] = next((line["files"] for line in reversed(lines) if "end" in line), {})
    return Story(tuple(attempts), _failed(runs[-1]) if runs else frozenset(), files)


class _Turn(NamedTuple):
    """A reply, and what came of it before the next one."""

    calls: list[dict[str, Any]]
    runs: list[dict[str, Any]]
    answers: list[str]

    def edits(self) -> Iterator[tuple[Attempt, str, dict[str, Any] | None]]:
        """The edits that it asks for, in order: each with its answer and the run of the tests that followed it."""
        runs = iter(self.runs)
        answers = self.answers if len(self.answers) == len(self.calls) else [""] * len(self.calls)
        for call, answer in zip(self.calls, answers, strict=True):
            if call["name"] == "edit":
                run = None if answer.startswith(NOT_APPLIED) else next(runs, None)
                yield _asked(call["arguments"], answer), answer, run


def _turns(lines: Sequence[dict[str, Any]]) -> Iterator[_Turn]:
    """The replies of a transcript. What was answered to one is said with the request for the next."""
    starts = [at for at, line in enumerate(lines) if "call" in line]
    for start, end in itertools.pairwise([*starts, len(lines)]):
        said = lines[end]["said"] if end < len(lines) else ()
        yield _Turn(
            calls=list(lines[start]["reply"].get("tool_calls") or ()),
            runs=[line for line in lines[start:end] if "test" in line],
            answers=[message["content"] for message in said if message["role"] == "tool"],
        )


def _failed(run: dict[str, Any]) -> frozenset[str]:
    return frozenset(run["failed"]) if run["status"] == "ok" else frozenset(NOT_RUN)


def _asked(said: dict[str, Any], answer: str) -> Attempt:
    """An edit as it was asked for, at the line at which it was made if its answer says so."""
    made = _APPLIED.match(answer)
    number = int(made[1]) if made else said.get("line", 0)
    return Attempt(
        path=str(said.get("path", "")),
        line=number if isinstance(number, int) else 0,
        old=str(said.get("old", "")),
        new=str(said.get("new", "")),
        tested=False,
        fixed=frozenset(),
        broken=frozenset(),
    )


def stands_elsewhere(attempt: Attempt, files: dict[str, str]) -> bool:
    """Whether the first line that an edit replaced stands in some other place of the files, too."""
    wanted = attempt.old.strip().split("\n")[0].strip()
    if not wanted:
        return False
    return any(
        text.strip() == wanted and (path, number) != (attempt.path, attempt.line)
        for path, content in files.items()
        for number, text in enumerate(content.split("\n"), 1)
    )


def still_stands(attempt: Attempt, files: dict[str, str]) -> bool:
    """Whether an edit is part of what the episode left behind."""
    if attempt.path not in files:
        return False
    lines, old, new = files[attempt.path].split("\n"), attempt.old.split("\n"), _stripped(attempt.new)
    if new == [""]:  # lines were taken out
        return lines[attempt.line - 1 : attempt.line - 1 + len(old)] != old
    found = [line.strip() for line in lines]
    if any(found[at : at + len(new)] == new for at in range(len(found))):
        return True
    here = "".join(found[attempt.line - 1 : attempt.line])  # the edit may have been one of a part of a line
    return len(new) == 1 and new[0] in here and attempt.old.strip() not in here


def _stripped(text: str) -> list[str]:
    return [line.strip() for line in text.strip().split("\n")]


def places(stories: Sequence[Story]) -> tuple[str, ...]:
    """Where edits made failing tests pass, over several episodes of one task."""
    return tuple(dict.fromkeys(attempt.place for story in stories for attempt in story.mended))
