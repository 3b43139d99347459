"""A diff comes to what `git apply` makes of it, or is refused with what stands in its way."""

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agents.patcher.changes import CannotApply, apply_change
from agents.patcher.diff import apply_diff
from agents.patcher.parse import BadDiff, read_diff
from eventstore.trees import collect, diff_file, materialize

GIT = shutil.which("git")
TREE = {
    "agent.py": b"one\ntwo\nthree\nfour\nfive\nsix\n",
    "prompts/system.md": b"You repair programs.\nAnswer with one edit.",
    "empty.md": b"",
}
CHANGE = """\
--- a/agent.py
+++ b/agent.py
@@ -1,4 +1,4 @@
 one
-two
+TWO
 three
 four
"""

# Against the real one

NAMES = ("f.py", "d/g.md", "h", "sp ace.txt", "ü.txt")
LINES = st.sampled_from(["a", "b", "c", "", "x = 1", "@@ odd", "-- q", "+p", " sp", "d\r"])
TEXTS = st.tuples(st.lists(LINES, max_size=12), st.booleans()).map(
    lambda found: ("\n".join(found[0]) + ("\n" if found[1] and found[0] else "")).encode()
)


@st.composite
def edited(draw: st.DrawFn, data: bytes) -> bytes:
    lines = data.split(b"\n")
    for _ in range(draw(st.integers(0, 3))):
        kind, at = draw(st.sampled_from("idc")), draw(st.integers(0, len(lines)))
        if kind == "i":
            lines.insert(at, draw(st.sampled_from([b"new", b"a", b"", b"b"])))
        elif at < len(lines):
            lines[at : at + 1] = [] if kind == "d" else [draw(st.sampled_from([b"z", b"a"]))]
    return b"\n".join(lines)


@st.composite
def cases(draw: st.DrawFn) -> tuple[dict[str, bytes], str]:
    """A tree, and a diff that was made between another state of it and a third."""
    old = {name: draw(TEXTS) for name in NAMES if draw(st.booleans())}
    new = {name: draw(edited(data)) for name, data in old.items() if draw(st.integers(0, 5))}
    new |= {name: draw(TEXTS) for name in NAMES if name not in new and not draw(st.integers(0, 3))}
    context = draw(st.integers(1, 3))
    diff = "".join(
        diff_file(path, old.get(path), new.get(path), context=context)
        for path in sorted({*old, *new})
        if old.get(path) != new.get(path)
    )
    tree = {name: draw(edited(data)) if draw(st.booleans()) else data for name, data in old.items()}
    return tree, diff


def by_git(diff: str, tree: Mapping[str, bytes], *options: str) -> dict[str, bytes] | None:
    with tempfile.TemporaryDirectory() as folder:
        materialize(tree, Path(folder))
        env = {
            "PATH": os.environ["PATH"],
            "GIT_DIR": "/nonexistent",
            "GIT_CONFIG_NOSYSTEM": "1",
            "HOME": folder,
        }
        command = [str(GIT), "apply", *options, "-"]
        done = subprocess.run(
            command, input=diff.encode(), cwd=folder, env=env, capture_output=True, check=False
        )
        return collect(Path(folder)) if done.returncode == 0 else None


def by_us(diff: str, tree: Mapping[str, bytes]) -> dict[str, bytes] | None:
    try:
        return apply_diff(diff, tree)
    except BadDiff:
        return None


def glued(diff: str) -> bool:
    """Whether an old line without an end stands before others: git matches its beginning then, we do not."""
    return "\\ No newline" in diff


@pytest.mark.skipif(GIT is None, reason="git is not installed")
@settings(max_examples=120, deadline=None, suppress_health_check=list(HealthCheck))
@given(cases())
def test_a_diff_comes_to_what_git_makes_of_it(case: tuple[dict[str, bytes], str]) -> None:
    tree, diff = case
    if diff:
        theirs, ours = by_git(diff, tree), by_us(diff, tree)
        assert ours == theirs or (glued(diff) and ours is None)


@pytest.mark.skipif(GIT is None, reason="git is not installed")
@settings(max_examples=80, deadline=None, suppress_health_check=list(HealthCheck))
@given(cases(), st.integers(1, 9), st.integers(1, 9))
def test_wrong_counts_are_taken_as_git_recounts_them(
    case: tuple[dict[str, bytes], str], old: int, new: int
) -> None:
    tree, diff = case
    diff = re.sub(r"(?m)^@@ -(\d+)(?:,\d+)? \+(\d+)(?:,\d+)? @@$", rf"@@ -\1,{old} +\2,{new} @@", diff)
    if diff:
        theirs, ours = by_git(diff, tree, "--recount"), by_us(diff, tree)
        assert ours == theirs or theirs is None or (glued(diff) and ours is None)


RENAMES = """\
diff --git a/one b/two
similarity index 50%
rename from one
rename to two
--- a/one
+++ b/two
@@ -1,2 +1,2 @@
 a
-b
+c
diff --git a/two b/one
rename from two
rename to one
diff --git a/three b/copy
copy from three
copy to copy
diff --git a/three b/three
old mode 100644
new mode 100755
"""


def test_renames_copies_and_modes_are_gits_too() -> None:
    tree = {"one": b"a\nb\n", "two": b"2\n", "three": b"3\n"}
    expected = {"two": b"a\nc\n", "one": b"2\n", "three": b"3\n", "copy": b"3\n"}
    assert apply_diff(RENAMES, tree) == expected
    assert GIT is None or by_git(RENAMES, tree) == expected


# Stored cases


def test_a_path_may_be_quoted_as_git_quotes_it() -> None:
    name = '"{}/\\303\\274 x\\"y\\".md"'
    head = (
        f"diff --git {name.format('a')} {name.format('b')}\n--- {name.format('a')}\n+++ {name.format('b')}\n"
    )
    diff = head + "@@ -1 +1 @@\n-a\n+b\n"
    tree = {'ü x"y".md': b"a\n"}
    assert apply_diff(diff, tree) == {'ü x"y".md': b"b\n"}
    assert GIT is None or by_git(diff, tree) == {'ü x"y".md': b"b\n"}


def test_one_line_changes_and_nothing_else() -> None:
    assert apply_diff(CHANGE, TREE) == {**TREE, "agent.py": b"one\nTWO\nthree\nfour\nfive\nsix\n"}


def test_files_come_and_go_together() -> None:
    diff = (
        "diff --git a/rules/new.py b/rules/new.py\nnew file mode 100644\n--- /dev/null\n+++ b/rules/new.py\n"
        '@@ -0,0 +1,2 @@\n+on = "step"\n+x = 1\n'
        "diff --git a/agent.py b/agent.py\ndeleted file mode 100644\n--- a/agent.py\n+++ /dev/null\n"
        "@@ -1,6 +0,0 @@\n-one\n-two\n-three\n-four\n-five\n-six\n"
        "diff --git a/empty2.md b/empty2.md\nnew file mode 100644\n"
    )
    found = apply_diff(diff, TREE)
    assert found == {
        "prompts/system.md": TREE["prompts/system.md"],
        "empty.md": b"",
        "rules/new.py": b'on = "step"\nx = 1\n',
        "empty2.md": b"",
    }


def test_a_last_line_without_an_end_is_told_from_one_with() -> None:
    diff = (
        "--- a/prompts/system.md\n+++ b/prompts/system.md\n@@ -1,2 +1,2 @@\n You repair programs.\n"
        "-Answer with one edit.\n\\ No newline at end of file\n+Answer with one edit.\n"
    )
    assert apply_diff(diff, TREE)["prompts/system.md"] == b"You repair programs.\nAnswer with one edit.\n"
    with pytest.raises(BadDiff, match=r"without a line's end"):
        apply_diff(diff.replace("\\ No newline at end of file\n", ""), TREE)


def test_lines_that_have_moved_are_found_the_nearest_first() -> None:
    tree = {"f": b"x\n" * 3 + b"a\nb\nc\n" + b"x\n" * 5 + b"a\nb\nc\nend\n"}
    diff = "--- a/f\n+++ b/f\n@@ -{0},3 +{0},3 @@\n a\n-b\n+B\n c\n"
    assert apply_diff(diff.format(6), tree)["f"].split(b"\n")[4] == b"B"
    assert apply_diff(diff.format(9), tree)["f"].split(b"\n")[12] == b"B"


def test_all_or_nothing() -> None:
    wrong = CHANGE.replace("agent.py", "empty.md").replace("-1,4 +1,4", "-3,4 +3,4")
    with pytest.raises(BadDiff, match=r"empty\.md, hunk 1 .*the file is empty"):
        apply_diff(CHANGE + wrong, TREE)
    assert TREE["agent.py"].startswith(b"one\ntwo\n")


# As models write them

FENCED = f"Here is the change:\n\n```diff\n{CHANGE}```\n\nIt should help, since\n- it is short\n+ and good.\n"


@pytest.mark.parametrize(
    "text",
    [
        FENCED,
        f"```\n{CHANGE}\n\n```",
        CHANGE.replace("\n", "\r\n"),
        CHANGE.replace("a/agent.py", "agent.py").replace("b/agent.py", "agent.py"),
        CHANGE.replace("--- a", "diff --git a/agent.py b/agent.py\nindex 12..34 100644\n--- a"),
        CHANGE.replace("@@ -1,4 +1,4 @@", "@@ -1,9 +1,2 @@ def solve():"),
        CHANGE.replace("@@ -1,4 +1,4 @@", "@@ -2,2 +2,2 @@"),
        CHANGE.replace("@@ -1,4 +1,4 @@", "@@ ... @@"),
        CHANGE.removesuffix("\n"),
        f"{CHANGE}-- \n2.39.5\n",
        f"{CHANGE}\n\nThat is all.\n",
        CHANGE.replace("-1,4 +1,4", "-1,9 +1,9") + "\n\nThat is all.\n",
        f"```diff\n{CHANGE}```\nand\n```diff\n--- /dev/null\n+++ b/empty2.md\n@@ -0,0 +1 @@\n+x\n```",
    ],
)
def test_what_was_plainly_meant_is_taken(text: str) -> None:
    found = apply_diff(text, TREE)
    assert found["agent.py"] == b"one\nTWO\nthree\nfour\nfive\nsix\n"
    assert found["prompts/system.md"] == TREE["prompts/system.md"]


def test_a_new_file_may_have_bare_empty_lines() -> None:
    diff = "```diff\n--- /dev/null\n+++ b/rules/n.py\n@@ -0,0 +1,2 @@\n+a = 1\n\n\n+b = 2\n\n```"
    assert apply_diff(diff, TREE)["rules/n.py"] == b"a = 1\n\n\nb = 2\n"


def test_a_fence_within_a_diff_is_a_line_of_it() -> None:
    diff = "```diff\n--- /dev/null\n+++ b/skills/x/SKILL.md\n@@ -0,0 +1,3 @@\n+```python\n+x\n+```\n```"
    assert apply_diff(diff, TREE)["skills/x/SKILL.md"] == b"```python\nx\n```\n"


def test_a_hunk_without_numbers_has_to_stand_in_one_place() -> None:
    diff = "--- a/f\n+++ b/f\n@@ @@\n a\n-b\n+B\n"
    assert apply_diff(diff, {"f": b"a\nc\na\nb\nc\n"})["f"] == b"a\nc\na\nB\nc\n"
    with pytest.raises(BadDiff, match="stand at 1, 4; show more context"):
        apply_diff(diff, {"f": b"a\nb\nc\na\nb\nc\n"})


# What is refused, and what is said then


@pytest.mark.parametrize(
    ("diff", "said"),
    [
        ("Change line 2 to TWO.", "there is no unified diff in it"),
        ("@@ -1 +1 @@\n-a\n+b\n", "a hunk stands under no file"),
        (CHANGE.replace("-two", "-too"), r"agent\.py, hunk 1 .*: line 2 is 'two', and the diff expects 'too'"),
        (CHANGE.replace(" four\n", "").replace(" three\n", ""), "shows no line below its last change.*4 lines follow"),
        (CHANGE.replace("agent.py", "agents.py"), r"agents\.py: there is no such file; the harness holds agent\.py"),
        (CHANGE.replace(" one\n", "").replace("-two", "-three").replace(" three\n", ""), "beginning"),
        (CHANGE.replace("agent.py", "../agent.py"), "not a plain relative path.*within the harness"),
        (CHANGE.replace("a/agent.py", "/etc/passwd").replace("b/agent.py", "/etc/passwd"), "not a plain relative path"),
        ("--- /dev/null\n+++ b/.git/config\n@@ -0,0 +1 @@\n+x\n", "no repository's own files"),
        ("--- /dev/null\n+++ b/agent.py\n@@ -0,0 +1 @@\n+x\n", "it is there already"),
        ("--- /dev/null\n+++ b/agent.py/x\n@@ -0,0 +1 @@\n+x\n", "is a file and a folder"),
        ("diff --git a/l b/l\nnew file mode 120000\n--- /dev/null\n+++ b/l\n@@ -0,0 +1 @@\n+x\n", "regular files only"),
        ("diff --git a/l b/l\nBinary files a/l and b/l differ\n", "binary patch"),
        ("--- a/agent.py\n+++ /dev/null\n@@ -1,6 +0,0 @@\n-one\n-two\n-three\n-four\n-five\n-six\n+x\n", "leaves 1"),
        ("--- a/agent.py\n+++ b/agent.py\n@@ -2,0 +3 @@\n+x\n", "shows none around them"),
        (CHANGE + CHANGE.replace("-two\n+TWO", " TWO\n+2"), None),
        (CHANGE + "@@ -4,3 +4,3 @@\n four\n-five\n+5\n six\n", "line 4 was matched by the hunk before"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused_with_what_stands_there(diff: str, said: str | None) -> None:
    if said is None:
        assert b"TWO\n2\n" in apply_diff(diff, TREE)["agent.py"]
        return
    with pytest.raises(BadDiff, match=said):
        apply_diff(diff, TREE)
    with pytest.raises(CannotApply, match=said):
        apply_change("diff", {"diff": diff}, TREE)


@settings(max_examples=300, deadline=None)
@given(st.text(st.sampled_from("-+ @\\abdif/gt0123,\n`"), max_size=200))
def test_no_text_does_worse_than_be_refused(text: str) -> None:
    for given_ in (text, f"--- a/agent.py\n+++ b/agent.py\n@@ -1 +1 @@\n{text}"):
        try:
            found = apply_diff(given_, TREE)
        except BadDiff:
            continue
        assert all(isinstance(data, bytes) for data in found.values())
    assert len(read_diff(CHANGE)) == 1
