# Without pathlib, which would double the start of a cold guest:
# ruff: noqa: PTH103, PTH118, PTH120, PTH123
"""Runs one evolved harness, or checks that it starts.

The hostile code is this very process, alone in its namespace. It owns the socket to the host and may send what
it likes on it: every frame is something that a harness may legitimately say, and the host checks and counts each.
"""

import base64
import importlib
import io
import marshal
import os
import random
import sys
import traceback
import warnings
from importlib.util import MAGIC_NUMBER, source_hash
from types import SimpleNamespace
from typing import Any

from . import runtime, wire

_LOG_BYTES = 256 * 1024
_UNCHECKED = (0b01).to_bytes(4, "little")


class _Log(io.TextIOBase):
    """`print` of a harness: becomes log frames, line by line, up to a limit."""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._left = _LOG_BYTES
        self._line = ""

    def writable(self) -> bool:
        return True

    def write(self, text: str) -> int:
        self._line += text
        if "\n" in self._line or len(self._line) > 4096:
            self.flush()
        return len(text)

    def flush(self) -> None:
        text, self._line = self._line[: self._left], ""
        if text:
            self._left -= len(text)
            wire.send(self._fd, {"type": "log", "text": _clean(text)})


def _clean(text: str) -> str:
    """The text without what UTF-8 cannot carry."""
    return text.encode("utf-8", "replace").decode()


def lay_out(root: str, files: dict[str, bytes]) -> None:
    """Write a tree of files below a folder."""
    for path, content in files.items():
        full = os.path.join(root, path)
        os.makedirs(os.path.dirname(full), exist_ok=True)
        with open(full, "wb") as file:
            file.write(content)


def make_room(paths: list[str]) -> None:
    """Forget preloaded modules whose names a tree uses for files of its own."""
    tops = {path.partition("/")[0].removesuffix(".py") for path in paths}
    tops -= set(sys.builtin_module_names) | {"sys", "builtins", "os"}
    for name in [name for name in sys.modules if name.partition(".")[0] in tops]:
        del sys.modules[name]


def _check_starts(tree: dict[str, bytes]) -> str | None:
    """Why the harness does not start, if it does not."""
    names = ["agent"]
    names += sorted(
        path.removesuffix(".py").replace("/", ".")
        for path in tree
        if path.startswith(("rules/", "tools/")) and path.endswith(".py") and path.count("/") == 1
    )
    for name in names:
        try:
            module = importlib.import_module(name)
        except BaseException as error:
            return f"{name} cannot be imported: {_one_line(error)}"
        if name == "agent" and not callable(getattr(module, "solve", None)):
            return "agent.py defines no function solve"
    return None


def _one_line(error: BaseException) -> str:
    return _clean(" ".join(f"{type(error).__name__}: {error}".split())[:300])


def _compiled(path: str, root: str, content: bytes) -> bytes | None:
    """A source file as Python caches it, without a look at the source's time (PEP 552); None if it does not compile."""
    try:
        code = compile(content, os.path.join(root, path), "exec", dont_inherit=True)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None  # whoever imports it will say so
    return MAGIC_NUMBER + _UNCHECKED + source_hash(content) + marshal.dumps(code)


def compile_all(fd: int, root: str) -> None:
    """Compile the Python files of a harness; none of them is executed."""
    warnings.simplefilter("ignore")
    compiled = {}
    for path, content in wire.receive(fd)["tree"].items():
        code = _compiled(path, root, base64.b64decode(content))
        if code is not None:
            folder, _, name = path.rpartition("/")
            cached = os.path.join(folder, "__pycache__", f"{name[:-3]}.{sys.implementation.cache_tag}.pyc")
            compiled[cached] = base64.b64encode(code).decode()
    wire.send(fd, {"type": "compiled", "files": compiled})


def main(fd: int, kind: str, work: str, tree_root: str) -> None:
    """Serve one job and end."""
    if kind == "compile":
        compile_all(fd, tree_root)
        return
    job = wire.receive(fd)
    tree = {path: base64.b64decode(content) for path, content in job["tree"].items()}
    lay_out(tree_root, tree)
    make_room(list(tree))
    sys.modules["ratchet_runtime"] = runtime
    sys.path.insert(0, tree_root)
    importlib.invalidate_caches()
    random.seed(job["seed"])
    log = _Log(fd)
    sys.stdout = sys.stderr = log

    if kind == "imports":
        error = _check_starts(tree)
        wire.send(fd, {"type": "checked", "error": error or ""})
        return

    def ask(frame: dict[str, Any]) -> Any:
        log.flush()
        wire.send(fd, frame)
        reply = wire.receive(fd)
        if "error" in reply:
            kinds = {"budget": runtime.BudgetExceeded, "refused": runtime.ModelRefused}
            refused = kinds.get(reply["error"]["kind"], runtime.HarnessError)
            raise refused(reply["error"]["message"])
        return reply["ok"]

    facts = job["task"]
    lay_out(work, {path: text.encode() for path, text in facts["files"].items()})
    task = runtime.Task(
        id=facts["id"],
        instruction=facts["instruction"],
        solution_files=list(facts["solution_files"]),
        budget=SimpleNamespace(**facts["budget"]),
    )
    workspace = runtime.Workspace(work, facts["files"], ask)
    failure: dict[str, Any] = {"type": "finish"}
    try:
        importlib.import_module("agent").solve(task, runtime.Model(ask, **job["model"]), workspace)
    except runtime.BudgetExceeded:
        pass
    except BaseException as error:
        failure = {
            "type": "error",
            "error": _one_line(error),
            "traceback": _clean(traceback.format_exc(limit=-20))[-8000:],
        }
        del error
    log.flush()
    wire.send(fd, failure | {"files": workspace.changed()})
