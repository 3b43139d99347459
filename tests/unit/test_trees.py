# ruff: noqa: ASYNC221 (nothing else runs)

import subprocess
from pathlib import Path

import pytest

from contracts.envelope import blob_hash, tree_bytes
from eventstore.errors import BlobMissing, Malformed, Tampered
from eventstore.testing import MemoryStore
from eventstore.trees import check_tree, collect, diff_trees, get_tree, materialize, put_tree, read_tree

pytestmark = pytest.mark.anyio

FILES = {"agent.py": b"print('hello')\n", "prompts/system.md": b"Be brief.", "empty": b"", "raw": b"\xff\x00"}


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


async def test_a_tree_comes_back_byte_for_byte(tmp_path: Path) -> None:
    blobs = MemoryStore()
    tree = await put_tree(blobs, FILES)
    assert tree == blob_hash(tree_bytes({path: blob_hash(data) for path, data in FILES.items()}))
    assert tree == await put_tree(blobs, dict(reversed(FILES.items())))
    assert await get_tree(blobs, tree) == FILES
    assert (await read_tree(blobs, tree))["raw"] == blob_hash(FILES["raw"])
    materialize(await get_tree(blobs, tree), tmp_path / "out")
    assert collect(tmp_path / "out") == FILES
    check_tree(tree, FILES)
    with pytest.raises(Tampered):
        check_tree(tree, {**FILES, "empty": b"not"})


@pytest.mark.parametrize(
    "path", ["", "/abs", "../up", "a/../b", "a//b", "a/", "./a", "a\\b", "a\0b", "agent.py/x"]
)
async def test_paths_that_lead_astray_are_refused(tmp_path: Path, path: str) -> None:
    with pytest.raises(Malformed):
        await put_tree(MemoryStore(), {**FILES, path: b"x"})
    with pytest.raises(Malformed):
        materialize({**FILES, path: b"x"}, tmp_path / "out")
    assert not (tmp_path / "out").exists()


async def test_a_tree_with_such_a_path_is_refused_when_read() -> None:
    blobs = MemoryStore()
    tree = await blobs.put(tree_bytes({"../x": await blobs.put(b"x")}))
    with pytest.raises(Malformed):
        await get_tree(blobs, tree)


def test_links_on_the_way_are_refused(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "link").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(Malformed):
        materialize({"link/file": b"x"}, tmp_path / "out")
    assert not list((tmp_path / "elsewhere").iterdir())


async def test_what_is_no_tree_is_said() -> None:
    blobs = MemoryStore()
    with pytest.raises(Malformed):
        await read_tree(blobs, await blobs.put(b"[1, 2]"))
    with pytest.raises(BlobMissing):
        await read_tree(blobs, "0" * 64)
    with pytest.raises(BlobMissing):
        await get_tree(blobs, await blobs.put(tree_bytes({"a": "0" * 64})))


async def test_git_applies_the_diff_of_two_trees(tmp_path: Path) -> None:
    blobs = MemoryStore()
    old = {
        "changed.py": b"a\nb\nc\n",
        "gone.txt": b"old\n",
        "same": b"same\n",
        "end": b"no newline",
        "crlf": b"a\r\nb\r\n",
        "formfeed": b"a\n\x0cb\n",
    }
    new = {
        "changed.py": b"a\nB\nc\nd",
        "sub/new.txt": b"new\n",
        "same": b"same\n",
        "end": b"now with\n",
        "crlf": b"a\r\nc\r\n",
        "formfeed": b"a\n\x0cc\n",
    }
    before, after = await put_tree(blobs, old), await put_tree(blobs, new)
    diff = await diff_trees(blobs, before, after)
    assert "same" not in diff
    materialize(old, tmp_path)
    subprocess.run(["git", "apply", "-"], input=diff.encode(), cwd=tmp_path, check=True)
    assert collect(tmp_path) == new
    assert await diff_trees(blobs, before, before) == ""
    assert await diff_trees(blobs, "", before) != ""


async def test_binary_files_are_only_said_to_differ() -> None:
    blobs = MemoryStore()
    diff = await diff_trees(
        blobs, await put_tree(blobs, {"x": b"\xff"}), await put_tree(blobs, {"x": b"\xfe"})
    )
    assert "Binary files a/x and b/x differ" in diff
