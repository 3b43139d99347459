# Without pathlib, which would double the start of a cold guest:
# ruff: noqa: PTH101, PTH106, PTH108, PTH112, PTH114, PTH118, PTH208
"""The trusted part of test runs: PID 1 of their namespace. It never executes a line of the workspace.

It knows the expected test ids from the text of the test files alone, forks one worker per test file, and owns
the other ends of the worker's pipes. A worker's result counts only if it carries the worker's nonce, comes in
order and exactly once, and if the worker came to its proper end; a canary test that must fail runs among the
others, so that code which makes everything pass gives itself away.

One init may serve several runs, one after the other (those of one episode). Between two of them nothing is left
but this process itself: whatever a worker started is killed, and every file that it could have written is removed.
"""

import ast
import contextlib
import json
import math
import os
import random
import select
import signal
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from . import isolate, wire, worker
from .harness import lay_out
from .seccomp import Profile

_RESULT_BYTES = 8 << 20
_OUTPUT_BYTES = 1 << 20
_CANARY = "canary"


@dataclass
class Ended:
    """How a worker ended, and all that it said."""

    cause: str = ""
    detail: str = ""
    cpu: float = 0.0
    exit: int = 0
    results: bytes = b""
    output: bytes = b""


@dataclass
class Report:
    """What goes to the host: `contracts.tasks.TestReport`."""

    status: str = "ok"
    detail: str = ""
    executed: int = 0
    outcomes: list[dict[str, Any]] = field(default_factory=list)


class Texts:
    """Test files as the run before parsed them: the runs of one init mostly have the same ones."""

    def __init__(self) -> None:
        self._known: dict[str, tuple[bytes, dict[str, str], str]] = {}

    def expected(self, path: str, source: bytes) -> tuple[dict[str, str], str]:
        """`_expected`, unless the file is what it was."""
        known = self._known.get(path)
        if known is None or known[0] != source:
            known = self._known[path] = (source, *_expected(path, source))
        return dict(known[1]), known[2]

    def forget_all_but(self, paths: Iterable[str]) -> None:
        """Keep no more than one run's files."""
        self._known = {path: self._known[path] for path in paths if path in self._known}


class Init:
    """One test run."""

    def __init__(self, request: dict[str, Any], job: dict[str, Any], work: str, texts: Texts) -> None:
        self.request = request
        self.texts = texts
        self.files: dict[str, bytes] = {path: text.encode() for path, text in job["files"].items()}
        self.paths: list[str] = [path.strip("/") for path in job["spec"]["paths"]]
        self.command: list[str] = list(job["spec"]["command"])
        self.lines_left: int = job["lines"]
        self.work = work
        self.cpu_left = float(request["cpu"])
        self.report = Report()

    def run(self, runner: str) -> Report:
        """Run all tests."""
        self.texts.forget_all_but(self.files)
        lay_out(self.work, self.files)
        {"plain": self._plain, "pytest": self._pytest, "command": self._command}[runner]()
        return self.report

    # plain ----------------------------------------------------------------------------------------------

    def _below(self, path: str) -> bool:
        return any(base in {"", "."} or path == base or path.startswith(base + "/") for base in self.paths)

    def _plain(self) -> None:
        plans = []
        for path in sorted(self.files):
            name = path.rpartition("/")[2]
            if name.startswith("test_") and name.endswith(".py") and self._below(path):
                tests, error = self.texts.expected(path, self.files[path])
                plans.append((path, tests, error))
        loaded = 0
        for position, (path, tests, error) in enumerate(plans):
            if error:
                self._fail(f"{path}::{name}" for name in tests or ["load"])
                self.report.outcomes[-1]["error"] = error
                continue
            if self.report.status != "ok":
                self._fail((f"{path}::{name}" for name in tests), "not run: the run was stopped before")
                continue
            if position:
                self._restore()
            loaded += self._plain_file(path, tests)
        if self.report.status == "ok" and not loaded:
            self.report.status = "broken"
            self.report.detail = "no test file could be loaded" if plans else "there are no tests"

    def _plain_file(self, path: str, tests: dict[str, str]) -> bool:
        """Run one file's tests in a worker; whether the file could be loaded."""
        nonce = os.urandom(16).hex().encode()
        entries = list(tests.items())
        spot = random.SystemRandom().randrange(len(entries) + 1)
        entries.insert(spot, (_CANARY, ""))
        plan = worker.Plan(
            path=path,
            source=self.files[path],
            entries=tuple(entries),
            canary=_CANARY,
            nonce=nonce,
            work=self.work,
            tests=tuple(self.paths),
            names=tuple(self.files),
            lines=self.lines_left,
        )
        ended = self._supervise(lambda fd: worker.plain(fd, plan), "tests")
        frames = _frames(ended, nonce)
        outcomes, executed, stop = _in_order(frames, [name for name, _ in entries])
        self._spend(executed, ended)
        canary = outcomes.pop(_CANARY, None)
        load_error = next((f for f in frames or () if "load" in f), None)
        done = bool(frames) and "done" in (frames or [{}])[-1]

        if load_error and not outcomes and not ended.cause:
            for name in tests:
                self.report.outcomes.append(_outcome(f"{path}::{name}", load_error))
            if not tests:
                self.report.outcomes.append(_outcome(f"{path}::load", load_error))
            return False
        if stop:
            self._stop(stop, "")
        elif ended.cause:
            self._stop(ended.cause, ended.detail)
        elif frames is None:
            self._stop("crashed", "something else than the test runner wrote to its result channel")
        elif not done or len(outcomes) != len(tests):
            self._stop("crashed", f"the tests ended themselves early, with exit status {ended.exit}")
        elif canary is None or canary["passed"]:
            self._stop("crashed", "a test that must fail has passed: the test runner was tampered with")
        if self.report.status == "crashed":
            self._fail((f"{path}::{name}" for name in tests), self.report.detail)
            return True
        for name in tests:
            found = outcomes.get(name)
            if found is None:
                self._fail([f"{path}::{name}"], "not run: the run was stopped before its end")
            else:
                outcome = _outcome(f"{path}::{name}", found)
                self.report.outcomes.append(outcome)
                if outcome["error"].startswith("MemoryError"):
                    self._stop("memory", f"{outcome['id']} needed more memory than it may have")
        return True

    def _restore(self) -> None:
        """Bring the workspace back to what was sent, whatever the last worker left there."""
        _empty(self.work)
        lay_out(self.work, self.files)

    # pytest ---------------------------------------------------------------------------------------------

    def _pytest(self) -> None:
        nonce = os.urandom(16).hex().encode()
        plan = worker.Plan(
            path="",
            source=b"",
            entries=(),
            canary="",
            nonce=nonce,
            work=self.work,
            tests=tuple(self.paths),
            names=tuple(self.files),
            lines=self.lines_left,
        )
        ended = self._supervise(lambda fd: worker.pytest(fd, plan), "tests")
        frames = _frames(ended, nonce) or []
        collected = next((f["collected"] for f in frames if isinstance(f.get("collected"), list)), None)
        ids = [str(name) for name in collected or ()]
        outcomes, executed, stop = _in_order(frames, ids)
        self._spend(executed, ended)
        load_error = next((f for f in frames if "load" in f), None)
        if stop:
            self._stop(stop, "")
        elif ended.cause:
            self._stop(ended.cause, ended.detail)
        elif load_error or not ids:
            self._stop("broken", str((load_error or {}).get("error", "there are no tests"))[:300])
        elif "done" not in frames[-1] or len(outcomes) != len(set(ids)) or len(ids) != len(set(ids)):
            self._stop("crashed", f"the tests ended themselves early, with exit status {ended.exit}")
        for name in dict.fromkeys(ids):
            if self.report.status == "crashed" or name not in outcomes:
                self._fail([name], self.report.detail or "not run")
            else:
                self.report.outcomes.append(_outcome(name, outcomes[name]))

    # command --------------------------------------------------------------------------------------------

    def _command(self) -> None:
        argv = self.command

        def execute(_: int) -> None:
            try:
                os.execvpe(argv[0], argv, dict(os.environ))  # noqa: S606
            except OSError as error:
                os.write(2, f"{argv[0]}: {error}\n".encode())
                os._exit(127)

        if not argv:
            self._stop("broken", "the task names no command")
            return
        ended = self._supervise(execute, "command")
        self._spend(0, ended)
        if ended.cause in {"cpu", "output", "memory"}:
            self._stop(ended.cause, ended.detail)
        passed = not ended.cause and ended.exit == 0
        text = ended.output.decode(errors="replace").strip()
        said = {"passed": passed, "error": "" if passed else (text.rpartition("\n")[2] or ended.detail)}
        said["error"] = said["error"] or ("" if passed else f"exit status {ended.exit}")
        self.report.outcomes.append(_outcome("command", said))
        self.report.detail = self.report.detail or text[-2000:]

    # common ---------------------------------------------------------------------------------------------

    def _stop(self, status: str, detail: str) -> None:
        if self.report.status == "ok":
            self.report.status, self.report.detail = status, detail

    def _spend(self, executed: int, ended: Ended) -> None:
        self.report.executed += executed
        self.lines_left = max(0, self.lines_left - executed)
        self.cpu_left -= ended.cpu
        if self.cpu_left <= 0:
            self._stop("cpu", "the tests used up their CPU time")

    def _fail(self, ids: Any, error: str = "") -> None:
        for name in ids:
            self.report.outcomes.append(_outcome(name, {"error": error}))

    def _supervise(self, body: Callable[[int], None], profile: Profile) -> Ended:
        """Fork a worker for `body(result descriptor)` and listen to it until it ends or has said too much."""
        result_end, result_start = os.pipe()
        output_end, output_start = os.pipe()
        limit = max(1, math.ceil(self.cpu_left))
        pid = os.fork()
        if pid == 0:
            try:
                os.dup2(output_start, 1)
                os.dup2(output_start, 2)
                high = 100 + int.from_bytes(os.urandom(2), "big") % 900
                os.dup2(result_start, high)
                if profile == "command":
                    isolate.keep_only()
                else:
                    isolate.keep_only(high)
                isolate.hide_memory()
                isolate.limit(
                    cpu=limit,
                    memory=self.request["memory"],
                    processes=self.request["processes"],
                )
                isolate.seal(profile)
                body(high)
            except MemoryError:
                os._exit(71)
            finally:
                os._exit(70)
        os.close(result_start)
        os.close(output_start)
        ended = _listen(pid, result_end, output_end)
        _, status, usage = os.wait4(pid, 0)
        if os.getpid() == 1:
            with contextlib.suppress(ProcessLookupError):
                os.kill(-1, signal.SIGKILL)
            with contextlib.suppress(ChildProcessError):
                while True:
                    os.waitpid(-1, 0)
        ended.cpu = usage.ru_utime + usage.ru_stime
        ended.exit = os.waitstatus_to_exitcode(status)
        if not ended.cause:
            if ended.exit in {-signal.SIGKILL, -signal.SIGXCPU} and ended.cpu > limit - 0.5:
                ended.cause, ended.detail = "cpu", f"more than {limit} s of CPU time"
            elif ended.exit == 71:
                ended.cause, ended.detail = "memory", "out of memory"
            elif ended.exit < 0:
                ended.cause, ended.detail = "crashed", f"ended by {signal.Signals(-ended.exit).name}"
        return ended


def _listen(pid: int, result_end: int, output_end: int) -> Ended:
    """Collect what a worker says until it has ended; kill it when it says too much."""
    ended = Ended()
    results, output, told = bytearray(), bytearray(), 0
    handle = os.pidfd_open(pid)
    poller = select.poll()
    for fd in (handle, result_end, output_end):
        os.set_blocking(fd, False)
        poller.register(fd, select.POLLIN)
    over = False
    while not over:
        ready = {fd for fd, _ in poller.poll()}
        over = handle in ready
        for fd, buffer in ((result_end, results), (output_end, output)):
            while fd in ready or over:
                try:
                    part = os.read(fd, 1 << 16)
                except BlockingIOError:
                    break
                if not part:
                    if fd in ready:
                        poller.unregister(fd)
                    break
                buffer.extend(part)
                told += len(part) if fd == output_end else 0
                if told > _OUTPUT_BYTES or len(results) > _RESULT_BYTES:
                    os.kill(pid, signal.SIGKILL)
                    ended.cause, ended.detail = "output", "the tests wrote too much"
                    over = True
                    break
                if fd == output_end:
                    del buffer[:-65536]
    for fd in (handle, result_end, output_end):
        os.close(fd)
    ended.results, ended.output = bytes(results), bytes(output)
    return ended


def _expected(path: str, source: bytes) -> tuple[dict[str, str], str]:
    """The tests of a file in the order of their definition, with what is wrong with each; or why it has none."""
    try:
        module = ast.parse(source, path)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        return {}, f"{type(error).__name__}: {error}"[:300]
    tests: dict[str, str] = {}
    for node in module.body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_"):
            needed = len(node.args.posonlyargs) + len(node.args.args) - len(node.args.defaults)
            needed += sum(default is None for default in node.args.kw_defaults)
            tests.pop(node.name, None)
            tests[node.name] = (
                f"TypeError: {node.name} takes arguments; the plain runner has no fixtures"
                if needed
                else "TypeError: asynchronous tests need the pytest runner"
                if isinstance(node, ast.AsyncFunctionDef)
                else ""
            )
    return tests, ""


def _frames(ended: Ended, nonce: bytes) -> list[dict[str, Any]] | None:
    """What the runner in the worker said, or None if anything else was written to its pipe."""
    frames = []
    for line in ended.results.split(b"\n"):
        if not line:
            continue
        mark, _, rest = line.partition(b" ")
        word, _, body = rest.partition(b" ")
        if mark != nonce or word not in {b"note", b"pass", b"fail"}:
            return None
        try:
            frame = json.loads(body)
        except (ValueError, RecursionError):
            return None
        if not isinstance(frame, dict):
            return None
        frames.append(frame | {"verdict": word.decode()})
    return frames


def _in_order(
    frames: list[dict[str, Any]] | None, names: list[str]
) -> tuple[dict[str, dict[str, Any]], int, str]:
    """Results by name as far as they came in the expected order, the lines executed, and why it was stopped."""
    outcomes: dict[str, dict[str, Any]] = {}
    executed, stop = 0, ""
    for frame in frames or ():
        lines = frame.get("executed")
        if isinstance(lines, int) and 0 <= lines < 1 << 53:
            executed = max(executed, lines)
        if "test" in frame:
            if len(outcomes) == len(names) or frame["test"] != names[len(outcomes)]:
                return {}, executed, "crashed"
            outcomes[frame["test"]] = frame | {"passed": frame["verdict"] == "pass"}
        elif frame.get("stop") == "lines":
            stop = "lines"
    return outcomes, executed, stop


def _outcome(name: str, said: dict[str, Any]) -> dict[str, Any]:
    """A clean outcome from what a worker said: nothing of a wrong type gets further."""
    trace = said.get("trace")
    lines = said.get("lines")
    return {
        "id": name,
        "passed": said.get("passed") is True,
        "error": " ".join(str(said.get("error", "")).split())[:300],
        "trace": [
            (str(path)[:255], int(line), str(function)[:255])
            for path, line, function in (trace if isinstance(trace, list) else ())[:60]
        ],
        "lines": {
            str(path)[:255]: sorted({int(line) for line in numbers})
            for path, numbers in (lines if isinstance(lines, dict) else {}).items()
        },
    }


def _empty(place: str) -> None:
    """Remove all that a folder holds, whatever its permissions; raises OSError or RecursionError if it cannot."""
    if os.listxattr(place):  # access lists among them; the filter refuses to set any
        raise OSError(f"{place} has attributes")
    os.chmod(place, 0o700)
    for name in os.listdir(place):
        full = os.path.join(place, name)
        if os.path.isdir(full) and not os.path.islink(full):
            _empty(full)
            os.rmdir(full)
        else:
            os.unlink(full)


def main(fd: int, request: dict[str, Any], places: list[str]) -> None:
    """Serve test runs until the host has no more, or until one of them leaves anything behind."""
    texts = Texts()
    while True:
        for place in places:
            # A first run is like any other. Without nested namespaces the places are not ours, and no run comes second.
            with contextlib.suppress(OSError):
                os.utime(place, ns=(0, 0))
        try:
            job = wire.receive(fd)
        except (EOFError, OSError):
            return
        try:
            report = Init(request, job, places[0], texts).run(job["spec"]["runner"])
        except (ValueError, TypeError, RecursionError, OSError) as error:
            report = Report(status="crashed", detail=f"the tests could not be run: {error}"[:300])
        wire.send(fd, {"type": "report", **vars(report)})
        if os.getpid() != 1:
            return  # what a worker started may still run
        try:
            for place in places:
                _empty(place)
        except (OSError, RecursionError):
            return
