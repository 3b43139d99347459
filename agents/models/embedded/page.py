"""What one message's text says to the model. Reading depends on the text alone and is cached by it."""

import math
import re
from functools import lru_cache
from typing import NamedTuple

from agents.models.embedded.kinds import named_in

_FENCE = re.compile(r"(`{3,})[^\S\n]*\w+[^\S\n]+([^\s`]+)[^\S\n]*")
_FRAME = re.compile(r'^\s*File "([^"\n]+)", line (\d{1,9})(?!\d)')
_COVERED = re.compile(r"^\s*covered: (\S+):([\d,\- ]+)\s*$")
_POINTED = re.compile(r"\bsee (\S+?):(\d{1,9})(?:-(\d{1,9}))?(?![\d-])")
_FAILED = re.compile(r"^FAILED (\S+)")
_RESULT = re.compile(r"^(?:FAILED \S|\d+ passed\b|\d+ failed\b)")
_SPAN = re.compile(r"(?<![\d-])(\d{1,9})(?:-(\d{1,9}))?(?![\d-])")
_SCORE = re.compile(r"score: *(-?\d+(?:\.\d*)?(?:[eE][-+]?\d+)?)")
_QUOTED = re.compile(r"`([A-Za-z_][\w.]*)(?:\(\))?`")
_MOST_LINES = 20_000
"""Line numbers that one list, or all places that a text points at, may hold: a bound on work, not on sense."""

Frames = tuple[tuple[str, int], ...]


class Page(NamedTuple):
    """The parts of a text that have a meaning."""

    files: tuple[tuple[str, str], ...]
    """Fenced blocks whose info string names a path: path and text."""
    is_result: bool
    """Whether it reports a test run."""
    tracebacks: tuple[Frames, ...]
    """Runs of `File …, line …`, each outermost first."""
    covered: tuple[tuple[str, frozenset[int]], ...]
    pointed: tuple[tuple[str, int], ...]
    failed: frozenset[str]
    """Words of the names of failed tests."""
    quoted: frozenset[str]
    """Words of the identifiers in backticks."""
    kinds: frozenset[str]
    fixed: bool
    """Whether a line says that a test passes now."""
    score: float | None
    """The last number after `score:`."""


@lru_cache(maxsize=4096)
def read(text: str) -> Page:
    """Read a text. Fenced files are code; everything around them is searched for evidence."""
    files, prose = _parted(text)
    tracebacks: list[list[tuple[str, int]]] = []
    covered: list[tuple[str, frozenset[int]]] = []
    failed: set[str] = set()
    is_result = fixed = in_traceback = False
    for line in prose:
        frame = _FRAME.match(line)
        if frame:
            if not in_traceback:
                tracebacks.append([])
            tracebacks[-1].append((frame[1], int(frame[2])))
            in_traceback = True
            continue
        if in_traceback and line[:4].isspace():
            continue  # the source line that Python prints below a frame
        in_traceback = False
        row = _COVERED.match(line)
        if row:
            covered.append((row[1], _numbers(row[2])))
        if _RESULT.match(line):
            is_result = True
            test = _FAILED.match(line)
            if test:
                failed |= words(test[1].rpartition("::")[2].removeprefix("test_"))
        fixed = fixed or line.startswith("fixed:")
    said = "\n".join(prose)
    scores = [float(number) for number in _SCORE.findall(said)]
    return Page(
        files=files,
        is_result=is_result,
        tracebacks=tuple(tuple(frames) for frames in tracebacks),
        covered=tuple(covered),
        pointed=_pointed(said),
        failed=frozenset(failed),
        quoted=frozenset(word for match in _QUOTED.finditer(said) for word in words(match[1])),
        kinds=named_in(said),
        fixed=fixed,
        score=scores[-1] if scores and math.isfinite(scores[-1]) else None,
    )


def _parted(text: str) -> tuple[tuple[tuple[str, str], ...], list[str]]:
    """The files that a text shows, and all other lines. A block without an end is no file."""
    files: list[tuple[str, str]] = []
    prose: list[str] = []
    lines = text.split("\n")
    ends: dict[str, list[int]] = {}
    for number in range(len(lines) - 1, -1, -1):
        fence = lines[number].rstrip()
        if fence.startswith("```") and not fence.strip("`"):
            ends.setdefault(fence, []).append(number)  # the nearest end is the last one of the list
    at = 0
    while at < len(lines):
        opening = _FENCE.fullmatch(lines[at])
        after = ends.get(opening[1], []) if opening else []
        while after and after[-1] <= at:
            after.pop()
        if opening and after:
            files.append((opening[2], "".join(f"{line}\n" for line in lines[at + 1 : after[-1]])))
            at = after.pop()
        else:
            prose.append(lines[at])
        at += 1
    return tuple(files), prose


def words(name: str) -> frozenset[str]:
    """The words of an identifier, in lower case: `Stack.push_all` has three."""
    return frozenset(word.lower() for word in re.findall(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])|\d+", name))


def _pointed(text: str) -> tuple[tuple[str, int], ...]:
    found: list[tuple[str, int]] = []
    for match in _POINTED.finditer(text):
        first = int(match[2])
        room = _MOST_LINES - len(found)
        found += [(match[1], line) for line in range(first, min(int(match[3] or first) + 1, first + room))]
    return tuple(found)


def _numbers(rows: str) -> frozenset[int]:
    """Lines of a list such as `3-9,12`; parts that make no sense are passed over."""
    found: list[int] = []
    for match in _SPAN.finditer(rows):
        first = int(match[1])
        room = _MOST_LINES - len(found)
        found += range(first, min(int(match[2] or first) + 1, first + room))
    return frozenset(found)
