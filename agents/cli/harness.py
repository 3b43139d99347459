"""Which harness and which model a command means: seed, head, or a hash, from the store or as shipped."""

import os
import platform
from pathlib import Path
from types import ModuleType

import anyio

from agents.cli.request import lineage_state, seed_files
from agents.models.embedded import corpus, counts, tokens
from agents.models.embedded.corpus import MODULES
from agents.models.embedded.head import REVISION
from agents.models.shared import model_event
from agents.models.store import load_or_train
from contracts.envelope import blob_hash, tree_bytes
from contracts.lineage import Lineage
from contracts.statistics import derive_seed
from eventstore import trees
from eventstore.errors import StoreMissing
from eventstore.sqlite import SqliteStore


class HarnessUnknown(Exception):
    """Raised when a command names a harness that the store does not know."""

    def __init__(self, name: str, known: list[str]) -> None:
        self.name = name
        listed = ", ".join(known) or "none: the store is empty"
        super().__init__(f"there is no harness {name!r}; say seed, head, or one of these hashes: {listed}")


class Chosen:
    """A harness and the model that goes with it."""

    def __init__(self, tree: str, files: dict[str, bytes], counts: bytes) -> None:
        self.tree = tree
        self.files = files
        self.counts = counts


def choose(store: Path, name: str, lineage: str = "main") -> Chosen:
    """The harness that `name` says, and the model's counts.

    Without a store the shipped seed is both `seed` and `head`. Raises HarnessUnknown, LedgerError.
    """
    return anyio.run(_choose, store, name, lineage)


async def _choose(store: Path, name: str, lineage: str) -> Chosen:
    try:
        opened = SqliteStore.read_only(store)
    except StoreMissing:
        return _shipped(name)
    async with opened:
        state = await lineage_state(opened, lineage)
        if not state.head:
            return _shipped(name)
        tree = _resolve(state, name)
        event = await model_event(opened)
        weights = await opened.get(event.blob) if event else load_or_train(cache_file())
        return Chosen(tree, await trees.get_tree(opened, tree), weights)


def _resolve(state: Lineage, name: str) -> str:
    if name in ("seed", "head"):
        return state.seed_tree if name == "seed" else state.head
    known = {version.tree for version in state.versions} | {branch.tree for branch in state.archive}
    matches = [tree for tree in known if len(name) >= 6 and tree.startswith(name)]
    if len(matches) != 1:
        raise HarnessUnknown(name, [version.tree[:12] for version in state.versions])
    return matches[0]


def _shipped(name: str) -> Chosen:
    if name not in ("seed", "head"):
        raise HarnessUnknown(name, [])
    files = seed_files()
    tree = blob_hash(tree_bytes({path: blob_hash(data) for path, data in files.items()}))
    return Chosen(tree, files, load_or_train(cache_file()))


def cache_file() -> Path:
    """Where the model's counts are kept for commands that run without a store: by all that they follow from."""
    base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    source = derive_seed(
        platform.python_version(), REVISION, *MODULES, *(_code(m) for m in (corpus, counts, tokens))
    )
    return base / "ratchet" / f"embedded-{source}.counts"


def _code(module: ModuleType) -> str:
    return blob_hash(Path(module.__file__ or "").read_bytes())
