"""Applying a unified diff to a tree of files, as `git apply` does: all of it or nothing.

Every line of a hunk's context has to stand in the file, to the letter; where in the file is searched for, going outward
from the line that the hunk names. A hunk that begins at line 1 stands at the beginning, one without a line of context
below its last change at the end. A line is matched by one hunk at the most.
"""

from collections.abc import Callable, Mapping, Sequence

from agents.patcher.parse import BadDiff, FileDiff, Hunk, read_diff
from eventstore.errors import Malformed
from eventstore.trees import check_paths

SHOWN = 60
"""Characters of a line that an error shows."""


def apply_diff(text: str, tree: Mapping[str, bytes]) -> dict[str, bytes]:
    """The tree after a diff, which may be as models write it (see `agents.patcher.parse`).

    Raises:
        BadDiff: it is no diff, does not fit, or would leave the tree; names file and hunk, and what stands there.
    """
    files = read_diff(text)
    leaving = {file.old for file in files if file.kind in ("delete", "rename")}
    written: dict[str, bytes] = {}
    removed: set[str] = set()

    def present(path: str) -> bytes | None:
        return written[path] if path in written else None if path in removed else tree.get(path)

    for file in files:
        for path in filter(None, (file.old, file.new)):
            _check_path(path)
        if file.kind == "create" or (
            file.kind == "change" and file.bare and _creates(file, present(file.old))
        ):
            _write_new(file, b"", present, leaving, written)
            continue
        # Where a file moves to or is copied to does not depend on the order: what counts is how it was.
        moved = file.kind in ("rename", "copy")
        before = tree.get(file.old) if moved else present(file.old)
        if before is None:
            raise BadDiff(f"{file.old}: there is no such file; the harness holds {_listed(tree)}")
        if moved:
            _write_new(file, before, present, leaving, written)
            if file.kind == "rename" and file.old not in written:
                removed.add(file.old)
            continue
        after = _patched(file, before)
        if file.kind == "delete":
            if after:
                raise BadDiff(
                    f"{file.old}: the diff deletes it, but leaves {len(after.splitlines())} of its lines"
                )
            written.pop(file.old, None)
            removed.add(file.old)
        else:
            written[file.new] = after
    result = {path: data for path, data in tree.items() if path not in removed} | written
    try:
        check_paths(result)
    except Malformed as error:
        raise BadDiff(error.reason) from error
    return result


def _check_path(path: str) -> None:
    try:
        check_paths({path: b""})
    except Malformed as error:
        raise BadDiff(f"{path!r} is not a plain relative path: a diff stays within the harness") from error
    if ".git" in path.lower().split("/"):
        raise BadDiff(f"{path!r}: a harness holds no repository's own files")


def _creates(file: FileDiff, present: bytes | None) -> bool:
    """Whether a diff without headers means a new file: there is none, and it says nothing of an old one."""
    return present is None and all(mark == "+" for hunk in file.hunks for mark, _ in hunk.lines)


def _write_new(
    file: FileDiff,
    before: bytes,
    present: Callable[[str], bytes | None],
    leaving: set[str],
    written: dict[str, bytes],
) -> None:
    exists = present(file.new) is not None
    if exists and (file.new not in leaving or file.new in written):
        raise BadDiff(f"{file.new}: it is there already; a diff that changes it names it beside --- as well")
    written[file.new] = _patched(file, before)


def _listed(tree: Mapping[str, bytes]) -> str:
    names = sorted(tree)
    return ", ".join(names[:12]) + (f" and {len(names) - 12} more" if len(names) > 12 else "")


def _patched(file: FileDiff, data: bytes) -> bytes:
    """A file after its hunks."""
    image = _lines(data)
    taken = [False] * len(image)
    for hunk in file.hunks:
        for blank in range(hunk.blank + 1):
            lines = hunk.lines[: len(hunk.lines) - blank]
            before = [content for mark, content in lines if mark != "+"]
            after = [content for mark, content in lines if mark != "-"]
            at = _place(hunk, lines, before, image, taken)
            if at is not None:
                image[at : at + len(before)] = after
                taken[at : at + len(before)] = [True] * len(after)
                break
        else:
            raise BadDiff(f"{file.path}, hunk {hunk.number} ({hunk.header}): {_why(hunk, image, taken)}")
    return b"".join(image)


def _place(
    hunk: Hunk,
    lines: Sequence[tuple[str, bytes]],
    before: Sequence[bytes],
    image: Sequence[bytes],
    taken: Sequence[bool],
) -> int | None:
    """The 0-based line at which a hunk fits; None where it does nowhere."""
    if not before:
        return 0 if not image else None  # nothing says where new lines belong
    spots = [at for at in range(len(image) - len(before) + 1) if _fits(at, before, image, taken)]
    if hunk.start is None:
        return spots[0] if len(spots) == 1 else None
    if hunk.start <= 1:
        spots = [at for at in spots if at == 0]
    if lines[-1][0] != " ":
        spots = [at for at in spots if at + len(before) == len(image)]
    wanted = min(max(0, hunk.new_start - 1), len(image))
    # Outward from where it should be, and of two equally near places the later one.
    return min(spots, key=lambda at: (abs(at - wanted), at < wanted), default=None)


def _fits(at: int, before: Sequence[bytes], image: Sequence[bytes], taken: Sequence[bool]) -> bool:
    return all(image[at + i] == line and not taken[at + i] for i, line in enumerate(before))


def _why(hunk: Hunk, image: Sequence[bytes], taken: Sequence[bool]) -> str:
    """Why a hunk fits nowhere: what stands in the place where it fits best."""
    before = [content for mark, content in hunk.lines if mark != "+"]
    before = before[: len(before) - hunk.blank] or before
    if not before:
        return "it adds lines and shows none around them; show at least one line above and below as context"
    if not image:
        return f"the file is empty, and the diff expects {_shown(before[0])}"
    spots = [at for at in range(len(image) - len(before) + 1) if _fits(at, before, image, taken)]
    if hunk.start is None and len(spots) > 1:
        listed = ", ".join(str(at + 1) for at in spots[:6])
        return f"its lines stand at {listed}; show more context, or the line's number"
    if spots and hunk.start is not None and hunk.start <= 1 and spots[0] != 0:
        return f"it says line {hunk.start}, the file's beginning, but its lines stand at line {spots[0] + 1}"
    if spots:
        rest = len(image) - spots[0] - len(before)
        return (
            f"it shows no line below its last change, which means the file's end, but {rest} lines follow "
            f"line {spots[0] + len(before)}; show the next line as context"
        )
    wanted = max(0, (hunk.start or 1) - 1)

    def alike(at: int) -> tuple[int, int]:
        same = sum(
            at + i < len(image) and image[at + i] == line and not taken[at + i]
            for i, line in enumerate(before)
        )
        return same, -abs(at - wanted)

    best = max(range(len(image)), key=alike)
    if alike(best)[0] == 0:
        best = min(wanted, len(image) - 1)
    for i, line in enumerate(before):
        if best + i >= len(image):
            return f"the file ends at line {len(image)}, where the diff expects {_shown(line)}"
        if taken[best + i]:
            return f"line {best + i + 1} was matched by the hunk before; make one hunk of both"
        if image[best + i] != line:
            return f"line {best + i + 1} is {_shown(image[best + i])}, and the diff expects {_shown(line)}"
    return "it fits nowhere"


def _shown(line: bytes) -> str:
    text = line.decode(errors="replace")
    end = "" if text.endswith("\n") else " (without a line's end)"
    text = text.rstrip("\n")
    return repr(text if len(text) <= SHOWN else text[:SHOWN] + "…") + end


def _lines(data: bytes) -> list[bytes]:
    """Lines with their line feeds, split at those only."""
    *whole, rest = data.split(b"\n")
    return [line + b"\n" for line in whole] + ([rest] if rest else [])
