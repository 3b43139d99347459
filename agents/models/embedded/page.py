"""What one message's text says to the model. Reading depends on the text alone and is cached by it."""

import re
from functools import lru_cache
from typing import NamedTuple

from agents.models.embedded.kinds import named_in

_FENCE = re.compile(
    r"^(?P<fence>`{3,})[^\S\n]*\w+[^\S\n]+(?P<path>[^\s`]+)[^\S\n]*\n(?P<text>.*?)^(?P=fence)[^\S\n]*$",
    re.MULTILINE | re.DOTALL,
)
_FRAME = re.compile(r'^\s*File "([^"\n]+)", line (\d+)')
_COVERED = re.compile(r"^\s*covered: (\S+):([\d,\- ]+)\s*$")
_POINTED = re.compile(r"\bsee (\S+?):(\d+)(?:-(\d+))?(?![\d-])")
_FAILED = re.compile(r"^FAILED (\S+)")
_RESULT = re.compile(r"^(?:FAILED \S|\d+ passed\b|\d+ failed\b)")
_SCORE = re.compile(r"score: *(-?\d+(?:\.\d*)?(?:[eE][-+]?\d+)?)")
_QUOTED = re.compile(r"`([A-Za-z_][\w.]*)(?:\(\))?`")
_MOST_LINES = 100_000

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
    files = tuple((match["path"], match["text"]) for match in _FENCE.finditer(text))
    prose = _FENCE.sub("", text)
    tracebacks: list[list[tuple[str, int]]] = []
    covered: list[tuple[str, frozenset[int]]] = []
    failed: set[str] = set()
    is_result = fixed = in_traceback = False
    for line in prose.split("\n"):
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
    scores = _SCORE.findall(prose)
    return Page(
        files=files,
        is_result=is_result,
        tracebacks=tuple(tuple(frames) for frames in tracebacks),
        covered=tuple(covered),
        pointed=tuple(
            (match[1], line)
            for match in _POINTED.finditer(prose)
            for line in range(int(match[2]), min(int(match[3] or match[2]), int(match[2]) + 1000) + 1)
        ),
        failed=frozenset(failed),
        quoted=frozenset(word for match in _QUOTED.finditer(prose) for word in words(match[1])),
        kinds=named_in(prose),
        fixed=fixed,
        score=float(scores[-1]) if scores else None,
    )


def words(name: str) -> frozenset[str]:
    """The words of an identifier, in lower case: `Stack.push_all` has three."""
    return frozenset(word.lower() for word in re.findall(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])|\d+", name))


def _numbers(rows: str) -> frozenset[int]:
    """Lines of a list such as `3-9,12`; parts that make no sense are passed over."""
    found: set[int] = set()
    for part in rows.replace(" ", "").split(","):
        first, _, last = part.partition("-")
        if first.isdecimal() and (last.isdecimal() or not last):
            found.update(range(int(first), min(int(last or first), int(first) + _MOST_LINES) + 1))
    return frozenset(found)
