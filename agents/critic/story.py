"""What happened in an episode, read from its transcript: the edits that were tried, and what each did to the tests."""

import zlib
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import msgspec

from contracts.jobs import EpisodeResult

NOT_RUN = ("(the tests did not run)",)
"""What stands in the place of test ids where a run of the tests came to no end."""


class Attempt(NamedTuple):
    """An edit that the model asked for."""

    path: str
    line: int
    old: str
    new: str
    tested: bool
    """Whether the tests ran after it."""
    fixed: frozenset[str]
    """Tests that failed at first and passed after it."""
    broken: frozenset[str]
    """Tests that passed at first and failed after it."""

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
    failed_at_first: frozenset[str] | None = None
    last: frozenset[str] = frozenset()
    attempts: list[Attempt] = []
    for line in lines:
        if "call" in line:
            attempts += _asked(line)
        elif "test" in line:
            ran = line["status"] == "ok"
            failed = frozenset(line["failed"])
            if failed_at_first is None:
                failed_at_first = failed
            elif attempts and not attempts[-1].tested:
                fixed = failed_at_first - failed if ran else frozenset()
                broken = failed - failed_at_first if ran else frozenset(NOT_RUN)
                attempts[-1] = attempts[-1]._replace(tested=True, fixed=fixed, broken=broken)
            last = failed if ran else frozenset(NOT_RUN)
    files: dict[str, str] = next((line["files"] for line in reversed(lines) if "end" in line), {})
    return Story(tuple(attempts), last, files)


def _asked(line: dict[str, Any]) -> Iterator[Attempt]:
    """The first edit of a reply; a harness looks at one."""
    for call in line["reply"].get("tool_calls") or ():
        if call["name"] == "edit":
            said = call["arguments"]
            number = said.get("line", 0)
            yield Attempt(
                path=str(said.get("path", "")),
                line=number if isinstance(number, int) else 0,
                old=str(said.get("old", "")),
                new=str(said.get("new", "")),
                tested=False,
                fixed=frozenset(),
                broken=frozenset(),
            )
            return


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
    return any(found[at : at + len(new)] == new for at in range(len(found)))


def _stripped(text: str) -> list[str]:
    return [line.strip() for line in text.strip().split("\n")]


def places(stories: Sequence[Story]) -> tuple[str, ...]:
    """Where edits made failing tests pass, over several episodes of one task."""
    return tuple(dict.fromkeys(attempt.place for story in stories for attempt in story.mended))
