"""The part of the test runner that shares a process with the workspace's code, which may be hostile.

Whatever it needs after the first foreign import it holds in locals and closures. That raises the price of an
attack; it does not exclude one: code in the same process can, in the end, walk to any object. What a forged
result would have to get past stands in `guest.tests`.
"""

import builtins
import importlib
import json
import os
import random
import sys
from collections.abc import Callable
from dataclasses import dataclass
from types import CodeType, FunctionType, ModuleType, TracebackType
from typing import Any

from .harness import make_room
from .lines import Counter, counter

_GENERATOR_FLAGS = 0x20 | 0x80 | 0x100 | 0x200


@dataclass(frozen=True)
class Plan:
    """What one worker is to do."""

    path: str
    source: bytes
    entries: tuple[tuple[str, str], ...]
    """Test name, and what is wrong with it already."""
    canary: str
    nonce: bytes
    work: str
    tests: tuple[str, ...]
    names: tuple[str, ...]
    lines: int


def _reporter(fd: int, nonce: bytes) -> Callable[..., None]:
    """How results get out. The verdict is a word of its own, never part of what a patched encoder could write."""
    write, dumps = os.write, json.JSONEncoder().encode

    def report(frame: dict[str, Any], word: bytes = b"note") -> None:
        view = memoryview(nonce + b" " + word + b" " + dumps(frame).encode() + b"\n")
        while view:
            view = view[write(fd, view) :]

    return report


def _counted(plan: Plan) -> Callable[[str], bool]:
    """Whether a file's lines count: it is in the workspace, and not a test."""
    prefix = plan.work + "/"
    bases = tuple(base + "/" for base in plan.tests if base not in {"", "."})

    def counts(filename: str) -> bool:
        if not filename.startswith(prefix):
            return False
        path = filename[len(prefix) :]
        name = path.rpartition("/")[2]
        return not (name.startswith("test_") or name == "conftest.py" or path.startswith(bases))

    return counts


class _Seen:
    """Turns what happened in a test into plain data."""

    def __init__(self, plan: Plan, lines: Counter) -> None:
        self._prefix = plan.work + "/"
        self._size = len(self._prefix)
        self._counter = lines

    def lines(self) -> dict[str, list[int]]:
        """Lines since the last call."""
        found: dict[str, list[int]] = {}
        for filename, line in sorted(self._counter.seen):
            if line > 0:
                found.setdefault(filename[self._size :], []).append(line)
        self._counter.seen.clear()
        return found

    def trace(self, traceback: TracebackType | None, error: BaseException) -> list[tuple[str, int, str]]:
        """Frames inside the workspace, outermost first."""
        frames = []
        while traceback is not None:
            code = traceback.tb_frame.f_code
            if code.co_filename.startswith(self._prefix):
                frames.append((code.co_filename[self._size :], traceback.tb_lineno, code.co_name))
            traceback = traceback.tb_next
        if isinstance(error, SyntaxError) and (error.filename or "").startswith(self._prefix):
            frames.append((str(error.filename)[self._size :], error.lineno or 0, "<module>"))
        return frames if len(frames) <= 50 else frames[:10] + frames[-40:]


def _text(error: BaseException) -> str:
    name = type(error).__name__
    try:
        said = str(error)
    except BaseException:
        said = ""
    text = " ".join((f"{name}: {said}" if said else name).split())[:300]
    return text.encode("utf-8", "replace").decode()


def _prepare(plan: Plan) -> None:
    make_room(list(plan.names))
    sys.path.insert(0, plan.work)
    importlib.invalidate_caches()
    random.seed(0)


def _codes(code: CodeType) -> dict[int, str]:
    """Identity and name of each function that a module defines at its top level."""
    return {id(constant): constant.co_name for constant in code.co_consts if isinstance(constant, CodeType)}


def plain(fd: int, plan: Plan) -> None:  # noqa: PLR0915 - its locals are what hostile code cannot name
    """Load one test file and call its tests, in order."""
    report, leave = _reporter(fd, plan.nonce), os._exit
    _prepare(plan)
    folder, _, name = plan.path.rpartition("/")
    if folder:
        sys.path.insert(1, f"{plan.work}/{folder}")
    package = folder.replace("/", ".")
    module = ModuleType(f"{package}.{name[:-3]}" if package else name[:-3])
    full = f"{plan.work}/{plan.path}"
    module.__dict__.update(__file__=full, __package__=package, __builtins__=dict(vars(builtins)))
    namespace = module.__dict__
    source_lines = plan.source.decode(errors="replace").splitlines()

    def spent() -> None:
        report({"stop": "lines", "executed": lines.executed})
        leave(0)

    lines = counter(_counted(plan), plan.lines, spent)
    seen = _Seen(plan, lines)

    def must_fail() -> None:
        raise AssertionError

    def attempt(function: Any) -> dict[str, Any]:
        try:
            function()
        except BaseException as error:
            trace = seen.trace(error.__traceback__, error)
            text = _text(error)
            if text == "AssertionError" and trace and trace[-1][0] == plan.path:
                line = trace[-1][1]
                text = f"AssertionError: {source_lines[line - 1].strip()}"[:300]
            return {"passed": False, "error": text, "trace": trace}
        if not lines.intact():
            return {"passed": False, "error": "the line counter was removed"}
        return {"passed": True}

    sys.modules[module.__name__] = module
    try:
        code = compile(plan.source, full, "exec", dont_inherit=True)
        known = _codes(code)
        lines.start()
        exec(code, namespace)  # noqa: S102
    except BaseException as error:
        trace = seen.trace(error.__traceback__, error)
        report({"load": True, "error": _text(error), "trace": trace, "executed": lines.executed})
        leave(0)
    seen.lines()
    for entry, wrong in plan.entries:
        if entry == plan.canary:
            said = attempt(must_fail)
        elif wrong:
            said = {"passed": False, "error": wrong}
        else:
            function: Any = namespace.get(entry)
            inner: Any = function
            while not isinstance(inner, FunctionType) and hasattr(inner, "__wrapped__"):
                inner = inner.__wrapped__
            if not isinstance(inner, FunctionType) or known.get(id(inner.__code__)) != entry:
                said = {"passed": False, "error": f"{entry} is not the function that the test file defines"}
            elif inner.__code__.co_flags & _GENERATOR_FLAGS:
                said = {"passed": False, "error": f"TypeError: {entry} is a generator, not a test"}
            else:
                said = attempt(function)
        word = b"pass" if said.pop("passed") is True else b"fail"
        report({"test": entry, "lines": seen.lines(), "executed": lines.executed, **said}, word)
    report({"done": True, "executed": lines.executed})
    leave(0)


def pytest(fd: int, plan: Plan) -> None:
    """Run pytest in this process, with a plugin that reports."""
    report, leave = _reporter(fd, plan.nonce), os._exit
    _prepare(plan)
    try:
        library = importlib.import_module("pytest")
    except ImportError as error:
        report({"load": True, "error": f"pytest cannot be imported in the sandbox: {error}"})
        leave(0)

    def spent() -> None:
        report({"stop": "lines", "executed": lines.executed})
        leave(0)

    lines = counter(_counted(plan), plan.lines, spent)
    seen = _Seen(plan, lines)

    class Plugin:
        """Reports what is collected, and each test's outcome once, after its teardown."""

        def __init__(self) -> None:
            self.said: dict[str, Any] = {}

        def pytest_collection_finish(self, session: Any) -> None:
            report({"collected": [item.nodeid for item in session.items]})

        def pytest_collectreport(self, report: Any) -> None:
            if report.failed:
                text = str(getattr(report.longrepr, "reprcrash", report.longrepr)).strip()
                fail(f"{report.nodeid}: {text.rpartition(chr(10))[2]}")

        def pytest_runtest_logstart(self) -> None:
            self.said = {}
            seen.lines()

        def pytest_runtest_makereport(self, item: Any, call: Any) -> None:
            del item
            if call.excinfo is not None and not self.said:
                error = call.excinfo.value
                trace = seen.trace(error.__traceback__, error)
                self.said = {"passed": False, "error": _text(error), "trace": trace}

        def pytest_runtest_logfinish(self, nodeid: str) -> None:
            said = self.said or {"passed": True}
            word = b"pass" if said.pop("passed") is True else b"fail"
            report({"test": nodeid, "lines": seen.lines(), "executed": lines.executed, **said}, word)

    def fail(text: str) -> None:
        report({"load": True, "error": text[:300]})

    options = [
        "-q",
        "--rootdir",
        plan.work,
        "-c",
        "/dev/null",
        "-p",
        "no:cacheprovider",
        "-p",
        "no:faulthandler",
    ]
    lines.start()
    library.main([*options, *plan.tests], plugins=[Plugin()])
    report({"done": True, "executed": lines.executed})
    leave(0)
