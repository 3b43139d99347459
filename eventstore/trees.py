"""Trees: folders of files as blobs. A tree maps paths to blob hashes, and is itself a blob."""

import difflib
import stat
from collections.abc import Mapping
from pathlib import Path, PurePosixPath

import anyio
import msgspec

from contracts.envelope import blob_hash, tree_bytes
from contracts.ledger import BlobStore
from eventstore.errors import Malformed, Tampered


async def put_tree(blobs: BlobStore, files: Mapping[str, bytes]) -> str:
    """Store files (path → bytes) and return the tree's hash; files that are stored already cost a look-up.

    Raises:
        Malformed: a path is absolute, leaves the tree, or is both a file and a folder.
    """
    check_paths(files)
    entries = {path: blob_hash(data) for path, data in files.items()}
    present = await blobs.has(sorted(set(entries.values())))
    missing = {entries[path]: data for path, data in files.items() if entries[path] not in present}
    async with anyio.create_task_group() as tasks:  # side by side they share a transaction
        for data in missing.values():
            tasks.start_soon(blobs.put, data)
    return await blobs.put(tree_bytes(entries))


async def read_tree(blobs: BlobStore, hash: str) -> dict[str, str]:  # noqa: A002 (the field's own word)
    """The entries of a tree: path → blob hash.

    Raises:
        BlobMissing: there is no such tree.
        Malformed: the blob is not a tree.
    """
    data = await blobs.get(hash)
    try:
        entries = msgspec.json.decode(data, type=dict[str, str])
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Malformed(f"blob {hash} is not a tree ({error})") from error
    check_paths(entries)
    return entries


async def get_tree(blobs: BlobStore, hash: str) -> dict[str, bytes]:  # noqa: A002 (the field's own word)
    """The files of a tree: path → bytes. Raises as `read_tree` does, also for a file that is missing."""
    return {path: await blobs.get(name) for path, name in (await read_tree(blobs, hash)).items()}


async def diff_trees(blobs: BlobStore, old: str, new: str, *, context: int = 3) -> str:
    """A unified diff between two trees; empty when they are the same. An empty hash stands for no files."""
    before = await read_tree(blobs, old) if old else {}
    after = await read_tree(blobs, new) if new else {}
    parts = []
    for path in sorted(before.keys() | after.keys()):
        if before.get(path) != after.get(path):
            left = await blobs.get(before[path]) if path in before else None
            right = await blobs.get(after[path]) if path in after else None
            parts.append(diff_file(path, left, right, context=context))
    return "".join(parts)


def diff_file(path: str, old: bytes | None, new: bytes | None, *, context: int = 3) -> str:
    """A unified diff of one file, as `git apply` takes it; None stands for a file that is not there."""
    source, target = (
        (f"a/{path}" if old is not None else "/dev/null"),
        (f"b/{path}" if new is not None else "/dev/null"),
    )
    head = f"diff --git a/{path} b/{path}\n"
    if old is None:
        head += "new file mode 100644\n"
    if new is None:
        head += "deleted file mode 100644\n"
    try:
        left, right = (data.decode() for data in (old or b"", new or b""))
    except UnicodeDecodeError:
        return f"{head}Binary files {source} and {target} differ\n"
    lines = difflib.unified_diff(_lines(left), _lines(right), source, target, n=context)
    return head + "".join(
        line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n" for line in lines
    )


def materialize(files: Mapping[str, bytes], directory: Path) -> None:
    """Write files below a directory, which is made if need be; what it holds beside them stays.

    Raises:
        Malformed: a path would lead out of the directory, by its text or through a link on the way.
    """
    check_paths(files)
    directory.mkdir(parents=True, exist_ok=True)
    for path, data in files.items():
        target = directory
        for part in PurePosixPath(path).parts:
            target /= part
            if target.is_symlink():
                raise Malformed(f"{path!r} leads through a link, {target}")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(data)


def collect(directory: Path) -> dict[str, bytes]:
    """The regular files below a directory, by path; caches of the interpreter are left out."""
    found = {}
    for path in sorted(directory.rglob("*")):
        relative = path.relative_to(directory)
        if "__pycache__" not in relative.parts and stat.S_ISREG(path.lstat().st_mode):
            found[relative.as_posix()] = path.read_bytes()
    return found


def check_paths(paths: Mapping[str, object]) -> None:
    """Raise `Malformed` unless all are plain relative paths that can stand beside each other."""
    for path in paths:
        parts = path.split("/")
        if any(part in {"", ".", ".."} for part in parts) or "\0" in path or "\\" in path or "\n" in path:
            raise Malformed(f"{path!r} is not a plain relative path")
        for depth in range(1, len(parts)):
            if "/".join(parts[:depth]) in paths:
                raise Malformed(f"{'/'.join(parts[:depth])!r} is a file and a folder")


def check_tree(hash: str, files: Mapping[str, bytes]) -> None:  # noqa: A002 (the field's own word)
    """Raise `Tampered` unless these files are the ones of that tree."""
    if blob_hash(tree_bytes({path: blob_hash(data) for path, data in files.items()})) != hash:
        raise Tampered(0, f"the files are not those of tree {hash}")


def _lines(text: str) -> list[str]:
    """Lines with their ends, split at line feeds only, as diff tools do."""
    *whole, rest = text.split("\n")
    return [line + "\n" for line in whole] + ([rest] if rest else [])
