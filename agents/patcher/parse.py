"""Reading a unified diff, also one that a model wrote: fences around it, prose, headers left out, wrong counts.

What is read is what `git apply --recount` would read of it, and where git would give up over the form alone, what was
plainly meant.
"""

import re
from collections.abc import Iterator, Sequence
from typing import Literal, NamedTuple

_HUNK = re.compile(r"@@ -(\d+)(?:,(\d+))? \+(\d+)(?:,(\d+))? @@")
_FENCE = re.compile(r"(`{3,}|~{3,})[^`]*$")
_LINKS = ("120000", "160000")
_ESCAPES = {"n": 10, "t": 9, "r": 13, "a": 7, "b": 8, "f": 12, "v": 11, '"': 34, "\\": 92}
_NULL = "/dev/null"
_SIGNATURE = "-- "

Kind = Literal["change", "create", "delete", "rename", "copy"]


class BadDiff(ValueError):
    """Raised when a text is no diff, or not one that fits the files: names file, hunk, and what stands there."""


class Hunk(NamedTuple):
    """A place of a file, as it is and as it shall be."""

    number: int
    """1-based, within its file."""
    header: str
    start: int | None
    """1-based line of the old file; None where the header says none."""
    new_start: int
    lines: tuple[tuple[str, bytes], ...]
    """Mark (` `, `-` or `+`) and content, its line feed included where there is one."""
    blank: int = 0
    """How many empty lines at its end may be the gap to the next thing rather than context."""


class FileDiff(NamedTuple):
    """What is to happen to a file."""

    kind: Kind
    old: str
    """Path before; empty where the file is new."""
    new: str
    """Path afterwards; empty where it is deleted."""
    hunks: tuple[Hunk, ...]
    bare: bool
    """Whether there is no line `diff --git`."""

    @property
    def path(self) -> str:
        """What errors call it."""
        return self.new or self.old


def read_diff(text: str) -> tuple[FileDiff, ...]:
    """The files of a diff, in its order. Raises BadDiff."""
    lines = _within_fences(text)
    found, at = [], 0
    while at < len(lines):
        if lines[at].startswith("diff --git "):
            file, at = _git_file(lines, at)
            found.append(file)
        elif _names_follow(lines, at):
            file, at = _bare_file(lines, at)
            found.append(file)
        elif lines[at].startswith("@@ -"):
            raise BadDiff(
                f"a hunk stands under no file: {lines[at][:80]}; begin with --- a/PATH and +++ b/PATH"
            )
        else:
            at += 1
    if not found:
        raise BadDiff(
            "there is no unified diff in it: want --- a/PATH, +++ b/PATH, and hunks that begin with @@"
        )
    return tuple(found)


def _within_fences(text: str) -> list[str]:
    """The lines of all fenced blocks that hold a part of a diff; all lines where no block does."""
    lines = text.split("\n")
    if lines and not lines[-1]:
        lines.pop()
    full = [line for line in lines if line]
    if full and all(line.endswith("\r") for line in full):
        lines = [line.removesuffix("\r") for line in lines]
    blocks: list[list[str]] = []
    fence = ""
    for line in lines:
        found = _FENCE.match(line)
        if fence:
            if line.rstrip() == fence:
                fence = ""
            else:
                blocks[-1].append(line)
        elif found:
            fence = found[1]
            blocks.append([])
    parts = [
        block for block in blocks if any(line.startswith(("diff --git ", "--- ", "@@ ")) for line in block)
    ]
    return [line for block in parts for line in block] if parts else lines


def _names_follow(lines: Sequence[str], at: int) -> bool:
    """Whether a file begins here by its two names."""
    return at + 1 < len(lines) and lines[at].startswith("--- ") and lines[at + 1].startswith("+++ ")


def _bare_file(lines: Sequence[str], at: int) -> tuple[FileDiff, int]:
    old, new = _name(lines[at][4:]), _name(lines[at + 1][4:])
    hunks, at = _hunks(lines, at + 2, old or new, created=old == "")
    if old == new == "":
        raise BadDiff("a file's two names are both /dev/null")
    kind: Kind = "change"
    if not old:
        kind = "create"
    elif not new:
        kind = "delete"
    elif old != new:  # as git takes `x.orig` and `x`
        new = old = old if new.startswith(old) else new
    return FileDiff(kind, old, new, hunks, bare=True), at


def _git_file(lines: Sequence[str], at: int) -> tuple[FileDiff, int]:
    head = lines[at]
    old, new = _header_names(head.removeprefix("diff --git "))
    kind: Kind = "change"
    at += 1
    while at < len(lines) and not lines[at].startswith(("@@ ", "diff --git ")):
        line = lines[at]
        word, _, rest = line.partition(" ")
        if line.startswith(("new file mode ", "deleted file mode ", "old mode ", "new mode ")):
            if line.split()[-1] in _LINKS:
                raise BadDiff(f"{new or old}: {line}: a harness holds regular files only")
            if " file " in line:
                kind = "create" if word == "new" else "delete"
        elif word in ("rename", "copy") and rest.startswith(("from ", "to ", "old ", "new ")):
            side, _, path = rest.partition(" ")
            kind = "rename" if word == "rename" else "copy"
            if side in ("from", "old"):
                old = _unquoted(path)
            else:
                new = _unquoted(path)
        elif line.startswith(("GIT binary patch", "Binary files ")):
            raise BadDiff(f"{new or old}: a binary patch cannot be applied; write the file as text")
        elif _names_follow(lines, at):
            old, new, kind = _agreed(old, new, kind, _name(line[4:]), _name(lines[at + 1][4:]))
            at += 2
            break
        elif not line.startswith(("index ", "similarity index ", "dissimilarity index ")):
            break
        at += 1
    if not (old or new):
        raise BadDiff(f"{head[:120]}: names no file")
    hunks, at = _hunks(lines, at, new or old, created=kind == "create")
    if kind == "create":
        old = ""
    elif kind == "delete":
        new = ""
    return FileDiff(kind, old, new, hunks, bare=False), at


def _agreed(old: str, new: str, kind: Kind, first: str, second: str) -> tuple[str, str, Kind]:
    """The names and the kind, once `---` and `+++` were read, too. Raises BadDiff where they contradict."""
    if kind in ("rename", "copy"):
        if (first, second) != (old, new):
            raise BadDiff(f"{new}: the names beside --- and +++ are others than those of the {kind}")
        return old, new, kind
    if not first and second:
        return "", second, "create"
    if not second and first:
        return first, "", "delete"
    if first != second:
        raise BadDiff(
            f"{second}: --- names {first!r}; a file that moves needs lines `rename from` and `rename to`"
        )
    return first, second, "change" if kind == "change" else kind


def _header_names(text: str) -> tuple[str, str]:
    """Both names behind `diff --git`; empty where they cannot be told apart."""
    if text.startswith('"'):
        end = re.match(r'"(?:[^"\\]|\\.)*"', text)
        if end is None:
            return "", ""
        return _name(end[0]), _name(text[end.end() :].strip())
    for at in (at for at, letter in enumerate(text) if letter == " "):
        one, other = _name(text[:at]), _name(text[at + 1 :])
        if one == other and one:
            return one, other
    first, _, second = text.partition(" ")
    return _name(first), _name(second)


def _name(text: str) -> str:
    """A path beside `---` or `+++`, without `a/` or `b/`; empty for /dev/null."""
    path = _unquoted(text.rstrip() if text.startswith('"') else text.partition("\t")[0].rstrip())
    if path == _NULL:
        return ""
    return path[2:] if path[:2] in ("a/", "b/") else path


def _unquoted(text: str) -> str:
    """A path as git quotes those with odd characters, and any other as it is."""
    if not (len(text) > 1 and text[0] == text[-1] == '"'):
        return text
    found = bytearray()
    for part in re.finditer(r"\\([0-7]{3})|\\(.)|([^\\]+)", text[1:-1], re.DOTALL):
        octal, letter, plain = part.groups()
        if octal:
            found.append(int(octal, 8) & 255)
        elif letter:
            found.append(_ESCAPES.get(letter, ord(letter) & 255))
        else:
            found += plain.encode()
    return found.decode(errors="replace")


def _hunks(lines: Sequence[str], at: int, path: str, *, created: bool) -> tuple[tuple[Hunk, ...], int]:
    found: list[Hunk] = []
    while at < len(lines) and lines[at].startswith("@@"):
        header = lines[at]
        said = _HUNK.match(header)
        body, blank, at = _body(lines, at + 1, said, created=created)
        marked = tuple(_marked(body, created=created))
        if not marked:
            raise BadDiff(f"{path}, hunk {len(found) + 1} ({header[:60]}): it holds no line")
        start, new_start = (int(said[1]), int(said[3])) if said else (None, 0)
        found.append(Hunk(len(found) + 1, header[:60].rstrip(), start, new_start, marked, blank))
        while at < len(lines) and not lines[at].strip():
            at += 1
    return tuple(found), at


def _body(
    lines: Sequence[str], at: int, said: re.Match[str] | None, *, created: bool
) -> tuple[list[str], int, int]:
    """The lines of a hunk: as many as its header says, or, if that does not come out even, all that look like it."""
    if said is not None:
        old, new = (int(said[group]) if said[group] else 1 for group in (2, 4))
        end = at
        while (old > 0 or new > 0) and end < len(lines) and _belongs(lines, end):
            mark = lines[end][:1] or " "
            if mark == "\r" or (created and not lines[end]):
                mark = "+" if created else " "
            old -= mark in " -"
            new -= mark in " +"
            end += 1
        while end < len(lines) and lines[end].startswith("\\ "):
            end += 1
        after = end
        while created and after < len(lines) and not lines[after].strip("\r"):
            after += 1
        more = after < len(lines) and lines[after] and lines[after] != _SIGNATURE and _belongs(lines, after)
        if old == new == 0 and not more:
            return list(lines[at:end]), 0, end
    end = at
    while end < len(lines) and _belongs(lines, end) and lines[end] != _SIGNATURE:
        end += 1
    last = end
    while last > at and not lines[last - 1].strip("\r"):
        last -= 1
    if created:
        return list(lines[at:last]), 0, end
    return list(lines[at:end]), end - last, end


def _belongs(lines: Sequence[str], at: int) -> bool:
    """Whether a line can be one of a hunk."""
    return (not lines[at] or lines[at][0] in " +-\\\r") and not _names_follow(lines, at)


def _marked(body: Sequence[str], *, created: bool) -> Iterator[tuple[str, bytes]]:
    """Each line with its mark; the line feed is left out where the diff says that there is none."""
    for at, line in enumerate(body):
        if line.startswith("\\"):
            continue
        mark, content = (line[0], line[1:]) if line[:1] in ("+", "-", " ") else (" ", line)
        if created and not line.strip("\r"):
            mark = "+"  # models leave the mark of an empty line out
        ends = at + 1 < len(body) and body[at + 1].startswith("\\")
        yield mark, content.encode() + (b"" if ends else b"\n")
