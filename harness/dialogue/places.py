"""Where an edit belongs: a large model seldom counts lines, and often leaves the indentation out."""

AROUND = 5


def locate(edit, text):
    """Set an edit to the whole lines of a file that it means; says why where it means none, or several."""
    lines = text.split("\n")
    if edit.old == edit.new:
        return "the old and the new text are the same"
    if _exactly(edit, lines):
        return ""
    if edit.old.endswith("\n"):
        edit.old, edit.new = edit.old[:-1], edit.new.removesuffix("\n")
    if not edit.old.strip():
        return "`old` says nothing: give a line beside the place, and repeat it in `new`"
    old = edit.old.split("\n")
    bare = [line.strip() for line in lines]
    for found in (_starts(lines, old), _starts(bare, [line.strip() for line in old])):
        if edit.line - 1 in found or len(found) == 1:
            at = edit.line - 1 if edit.line - 1 in found else found[0]
            _set(edit, at, lines[at : at + len(old)], _indented(edit.new.split("\n"), old[0], lines[at]))
            return ""
        if found:
            return f"the old text stands at lines {_listed(found)}: say which by `line`"
    return _within(edit, text, lines)


def _exactly(edit, lines):
    old = edit.old.split("\n")
    return edit.line > 0 and lines[edit.line - 1 : edit.line - 1 + len(old)] == old


def _starts(lines, old):
    return [at for at in range(len(lines) - len(old) + 1) if lines[at : at + len(old)] == old]


def _set(edit, at, old, new):
    edit.line, edit.old, edit.new = at + 1, "\n".join(old), "\n".join(new)


def _indented(new, said, stands):
    """New lines moved in by as much as the old ones stand deeper than they were said to."""
    have, want = _indent(said), _indent(stands)
    if have == want or _indent(new[0]) == want:
        return new
    if want.startswith(have):
        return [want[len(have) :] + line if line.strip() else line for line in new]
    return [line.removeprefix(have[len(want) :]) for line in new]


def _indent(line):
    return line[: len(line) - len(line.lstrip())]


def _within(edit, text, lines):
    """An edit of a part of a line, or from within one line to within another."""
    starts = [at for at in range(len(text)) if text.startswith(edit.old, at)]
    numbers = [text.count("\n", 0, at) + 1 for at in starts]
    if numbers.count(edit.line) == 1:
        start = starts[numbers.index(edit.line)]
    elif len(starts) == 1:
        start = starts[0]
    elif starts:
        return f"the old text stands in lines {_listed([n - 1 for n in numbers])}: say more of it, or which by `line`"
    else:
        return "\n".join(["the old text does not stand there", *_around(edit.line, lines)])
    first = text.count("\n", 0, start)
    old = lines[first : first + edit.old.count("\n") + 1]
    column = start - (text.rfind("\n", 0, start) + 1)
    whole = "\n".join(old)
    _set(edit, first, old, [whole[:column] + edit.new + whole[column + len(edit.old) :]])
    return ""


def _around(line, lines):
    """What stands where the edit was to be."""
    if not 0 < line <= len(lines):
        return []
    first = max(1, line - AROUND)
    return [f"{n}\t{lines[n - 1]}" for n in range(first, min(len(lines), line + AROUND) + 1)]


def _listed(starts):
    told = ", ".join(str(at + 1) for at in starts[:8])
    return told if len(starts) <= 8 else f"{told} and {len(starts) - 8} more"
