import json
import logging
import os
import signal
import struct
import subprocess
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from agents.sandbox import (
    Complete,
    Frame,
    Ok,
    Problem,
    Refused,
    Reply,
    Sandbox,
    SandboxFault,
    SandboxUnavailable,
    Test,
    bubblewrap,
    out_of_budget,
    probe,
)
from agents.sandbox import zygote as zygotes
from agents.sandbox.guest import seccomp
from agents.sandbox.orphans import sweep
from contracts.tasks import Budget, Task, TestReport, TestSpec

STACK = {
    "pkg/__init__.py": "",
    "pkg/stack.py": "class Stack:\n    def __init__(self):\n        self.items = []\n\n"
    "    def pop(self):\n        if not self.items:\n            return None\n        return self.items[0]\n",
    "tests/test_stack.py": "from pkg.stack import Stack\n\n\ndef test_empty():\n    assert Stack().pop() is None\n\n\n"
    "def test_last():\n    s = Stack()\n    s.items = [1, 2]\n    assert s.pop() == 2\n",
}
TASK = Task(
    id="stack-1",
    package="stack",
    instruction="Mend it.",
    files=STACK,
    solution_files=("pkg/stack.py",),
    budget=Budget(cpu_seconds=5, model_calls=2),
)
EVERYWHERE: list[dict[str, bool]] = [{}, {"nested": False}, {"unsafe": True}]


@pytest.fixture(scope="module")
def box() -> Iterator[Sandbox]:
    with Sandbox() as sandbox:
        yield sandbox


def agent(body: str) -> dict[str, bytes]:
    lines = "".join(f"    {line}\n" for line in body.strip("\n").split("\n"))
    return {
        "agent.py": f"from ratchet_runtime import *\ndef solve(task, model, workspace):\n{lines}".encode()
    }


def say(content: object = "", calls: Sequence[object] = ()) -> Reply:
    return Ok(ok={"role": "assistant", "content": str(content), "tool_calls": list(calls)})


def slay(zygote: zygotes.Zygote) -> None:
    assert zygote.pid is not None
    os.kill(zygote.pid, signal.SIGKILL)


def made(how: dict[str, bool]) -> Sandbox:
    sandbox = Sandbox(unsafe=how.get("unsafe", False))
    for zygote in (sandbox._harness, sandbox._tests):
        zygote._nested = how.get("nested", zygote._nested)
    return sandbox


@pytest.mark.parametrize("how", EVERYWHERE, ids=str)
def test_everywhere_alike(how: dict[str, bool], caplog: pytest.LogCaptureFixture) -> None:
    with made(how) as sandbox:
        for _ in range(2):
            report = sandbox.run_tests(STACK, TestSpec())
            assert report.status == "ok"
            assert report.passed == ("tests/test_stack.py::test_empty",)
            run = sandbox.run_harness(
                agent("workspace.write('pkg/stack.py', model.complete([])['content'])"),
                TASK,
                lambda _: say("x"),
            )
            assert run.status == "finished", run
            assert run.files == {"pkg/stack.py": "x"}
    assert ("UNSAFE" in caplog.text) is how.get("unsafe", False)


def test_a_report_says_where_it_failed(box: Sandbox) -> None:
    report = box.run_tests(STACK, TestSpec())
    good, bad = report.outcomes
    assert good.lines == {"pkg/stack.py": (3, 6, 7)}
    assert bad.error == "AssertionError: assert s.pop() == 2"
    assert bad.trace == (("tests/test_stack.py", 11, "test_last"),)
    assert bad.lines == {"pkg/stack.py": (3, 6, 8)}
    assert not report.all_passed


def test_reports_are_deterministic(box: Sandbox) -> None:
    files = {"m.py": "def f(): return list({str(n) for n in range(50)}), hash('x')"}
    files["tests/test_m.py"] = (
        "import random\nfrom m import f\ndef test_f(): assert (f(), random.random()) is None"
    )
    first = box.run_tests(files, TestSpec())
    with Sandbox() as other:
        assert other.run_tests(files, TestSpec()) == first
    body = "import random; print(list({'a', 'b', 'c'}), random.random(), hash('x'))"
    logs = {box.run_harness(agent(body), TASK, say, seed=3).log for _ in range(2)}
    assert len(logs) == 1
    assert box.run_harness(agent(body), TASK, say, seed=4).log not in logs


def test_files_run_in_order_and_alone(box: Sandbox) -> None:
    files = {
        "b/test_1.py": "import sys\nsys.marker = 1\ndef test_z(): pass\ndef test_a(): pass\ndef helper(): pass",
        "a/test_2.py": "import sys\ndef test_alone(): assert not hasattr(sys, 'marker')",
        "c/test_3.py": "def test_elsewhere(): pass",
    }
    report = box.run_tests(files, TestSpec(paths=("b", "a")))
    assert [o.id for o in report.outcomes] == [
        "a/test_2.py::test_alone",
        "b/test_1.py::test_z",
        "b/test_1.py::test_a",
    ]
    assert report.all_passed


def test_workspace_modules_win_over_the_preloaded_library(box: Sandbox) -> None:
    files = {"heapq.py": "here = True", "test_h.py": "import heapq\ndef test_h(): assert heapq.here"}
    assert box.run_tests(files, TestSpec(paths=(".",))).all_passed


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("def test_it(fixture): pass", "takes arguments"),
        ("async def test_it(): pass", "asynchronous"),
        ("def test_it(): yield", "generator"),
        ("def test_it(): 1 / 0", "ZeroDivisionError: division by zero"),
        ("def test_it(): raise ValueError('a\\n' * 999)", "ValueError: a a a"),
        ("test_it = 1\ndef test_it(): pass\ntest_it = lambda: None", "not the function"),
        ("class E(Exception):\n    def __str__(self): 1 / 0\ndef test_it(): raise E", "E"),
    ],
)
def test_what_fails_says_why(box: Sandbox, text: str, error: str) -> None:
    report = box.run_tests({"tests/test_x.py": text}, TestSpec())
    assert report.status == "ok"
    assert error in report.outcomes[0].error
    assert len(report.outcomes[0].error) <= 300


@pytest.mark.parametrize(
    "text", ["import nowhere\ndef test_a(): pass", "def test_a(: pass", "", "def other(): pass"]
)
def test_broken(box: Sandbox, text: str) -> None:
    report = box.run_tests({"tests/test_x.py": text}, TestSpec())
    assert report.passed == ()
    assert report.status in {"broken", "ok"}
    assert not report.all_passed


def test_an_error_at_import_names_the_line(box: Sandbox) -> None:
    files = {"m.py": "x = 1\nx = (\n", "tests/test_m.py": "import m\ndef test_a(): pass"}
    report = box.run_tests(files, TestSpec())
    assert report.status == "broken"
    assert report.outcomes[0].id == "tests/test_m.py::test_a"
    assert report.outcomes[0].trace[-1][:2] == ("m.py", 2)


def test_the_budget_of_lines_is_exact(box: Sandbox) -> None:
    files = {"m.py": "def f():\n    for _ in range(100):\n        pass\n"}
    files["tests/test_m.py"] = "from m import f\ndef test_f(): f()"
    needed = box.run_tests(files, TestSpec()).executed
    assert box.run_tests(files, TestSpec(), lines=needed).all_passed
    short = box.run_tests(files, TestSpec(), lines=needed - 1)
    assert short.status == "lines"
    assert not short.passed


def test_pytest_runner(box: Sandbox) -> None:
    files = {
        "m.py": "def f(x):\n    return x\n",
        "tests/conftest.py": "import pytest\n@pytest.fixture\ndef two(): return 2\n",
        "tests/test_m.py": "import pytest\nfrom m import f\ndef test_f(two): assert f(two) == 2\n"
        "@pytest.mark.parametrize('x', [1, 2])\ndef test_p(x):\n    assert f(x) == 1\n",
    }
    report = box.run_tests(files, TestSpec(runner="pytest"))
    assert report.status == "ok", report
    assert [(o.id, o.passed) for o in report.outcomes] == [
        ("tests/test_m.py::test_f", True),
        ("tests/test_m.py::test_p[1]", True),
        ("tests/test_m.py::test_p[2]", False),
    ]
    assert report.outcomes[0].lines == {"m.py": (2,)}
    assert report.outcomes[2].trace == (("tests/test_m.py", 6, "test_p"),)
    files["m.py"] = "import os\nos._exit(0)"
    assert box.run_tests(files, TestSpec(runner="pytest")).passed == ()
    files["m.py"] = "def f(x): import os; os._exit(0)"
    assert box.run_tests(files, TestSpec(runner="pytest")).status == "crashed"


def test_command_runner(box: Sandbox) -> None:
    files = {"run.py": "import sys\nprint('one')\nprint('two')\nsys.exit(3)\n"}
    report = box.run_tests(files, TestSpec(runner="command", command=("python3", "run.py")))
    assert [(o.id, o.passed, o.error) for o in report.outcomes] == [("command", False, "two")]
    report = box.run_tests(files, TestSpec(runner="command", command=("true",)))
    assert report.all_passed
    report = box.run_tests(files, TestSpec(runner="command", command=("no-such-program",)))
    assert "no-such-program" in report.outcomes[0].error


def test_what_a_harness_is_given(box: Sandbox) -> None:
    body = """
print(task.id, task.instruction, task.solution_files, task.budget.model_calls)
print(workspace.files(), workspace.root, 'Stack' in workspace.read('pkg/stack.py'))
reply = model.complete([{'role': 'user', 'content': 'x'}], tools=[{'name': 't'}], temperature=0.5)
print(reply['tool_calls'][0]['arguments'])
workspace.write('new/file.py', 'x = 1')
print(workspace.test()['status'])
"""
    heard: list[Frame] = []

    def serve(frame: Frame) -> Reply:
        heard.append(frame)
        if isinstance(frame, Test):
            return Ok(ok=box.run_tests(STACK | frame.files, TestSpec()))
        return say(calls=[{"id": "1", "name": "t", "arguments": {"a": 1}}])

    run = box.run_harness(agent(body), TASK, serve)
    assert run.status == "finished"
    assert run.log.splitlines() == [
        "stack-1 Mend it. ['pkg/stack.py'] 2",
        "['pkg/__init__.py', 'pkg/stack.py', 'tests/test_stack.py'] /work True",
        "{'a': 1}",
        "ok",
    ]
    assert run.files == {"new/file.py": "x = 1"}
    asked, tested = heard
    assert isinstance(asked, Complete)
    assert asked.messages[0].content == "x"
    assert asked.tools[0].name == "t"
    assert asked.decoding.temperature == 0.5
    assert tested == Test(files={"new/file.py": "x = 1"})


def test_refusals_are_exceptions_that_a_harness_knows(box: Sandbox) -> None:
    body = """
for kind in (BudgetExceeded, ModelRefused):
    try: model.complete([])
    except kind as error: print(kind.__name__, error)
workspace.write('a', 'b')
model.complete([])
"""
    replies = [out_of_budget("model calls"), Refused(error=Problem(kind="refused", message="no"))]
    replies.append(out_of_budget("tokens"))
    run = box.run_harness(agent(body), TASK, lambda _: replies.pop(0))
    assert run.log == "BudgetExceeded The budget of model calls is spent.\nModelRefused no\n"
    assert run.status == "finished"
    assert run.files == {"a": "b"}


def test_a_harness_that_raises_leaves_its_work(box: Sandbox) -> None:
    run = box.run_harness(agent("workspace.write('a', 'b')\nraise ValueError('bad')"), TASK, say)
    assert run.status == "error"
    assert run.error == "ValueError: bad"
    assert 'agent.py", line 4' in run.traceback
    assert run.files == {"a": "b"}


def test_a_harness_may_have_modules_of_its_own(box: Sandbox) -> None:
    tree = {"agent.py": b"from rules.a import act\ndef solve(t, m, w): w.write('x', act())\n"}
    tree["rules/a.py"] = b"def act():\n    return open('/harness/prompts/p.md').read()\n"
    tree["prompts/p.md"] = "grüß".encode()
    assert box.run_harness(tree, TASK, say).files == {"x": "grüß"}


def test_check_starts(box: Sandbox) -> None:
    good = {
        "agent.py": b"def solve(t, m, w): pass",
        "rules/a.py": b"",
        "tools/b.py": b"import ratchet_runtime",
    }
    assert box.check_starts(good) is None
    assert "no function solve" in str(box.check_starts({"agent.py": b""}))
    assert "agent" in str(box.check_starts({}))
    assert "rules.a" in str(box.check_starts(good | {"rules/a.py": b"("}))
    assert "tools.b" in str(box.check_starts(good | {"tools/b.py": b"raise SystemExit"}))
    assert box.check_starts({"agent.py": b"import os; os._exit(0)"})
    assert box.check_starts({"agent.py": b"import os; os.write(3, b'x' * 9)"})


def test_what_the_host_raises_ends_the_run(box: Sandbox) -> None:
    def serve(_: Frame) -> Reply:
        raise LookupError("host")

    with pytest.raises(LookupError, match="host"):
        box.run_harness(agent("model.complete([])"), TASK, serve)
    assert box.run_harness(agent("pass"), TASK, say).status == "finished"


def test_time_that_the_host_takes_is_not_the_harness_s(box: Sandbox) -> None:
    task = Task(
        id="t",
        package="p",
        instruction="",
        files={},
        solution_files=(),
        budget=Budget(wall_seconds=1, cpu_seconds=2),
    )

    def serve(_: Frame) -> Reply:
        time.sleep(0.6)
        return say()

    assert box.run_harness(agent("model.complete([])\nmodel.complete([])"), task, serve).status == "finished"


def test_working_beyond_the_wall_clock_is_a_fault(box: Sandbox) -> None:
    with pytest.raises(SandboxFault):
        box.run_tests(
            {"tests/test_x.py": "def test_x():\n    while True: pass"}, TestSpec(seconds=9), wall=0.5
        )
    assert box.run_tests(STACK, TestSpec()).status == "ok"


def test_a_dead_zygote_is_replaced(box: Sandbox) -> None:
    box.start()
    slay(box._tests)
    assert box.run_tests(STACK, TestSpec()).status == "ok"
    slay(box._harness)
    time.sleep(0.1)
    assert box.run_harness(agent("pass"), TASK, say).status == "finished"


def test_dying_in_the_middle(box: Sandbox) -> None:
    def serve(_: Frame) -> Reply:
        slay(box._harness)
        time.sleep(0.05)
        return say()

    with pytest.raises(SandboxFault):
        box.run_harness(agent("model.complete([])"), TASK, serve)
    assert box.run_harness(agent("pass"), TASK, say).status == "finished"
    threading.Timer(0.2, lambda: slay(box._tests)).start()
    slow = {"tests/test_x.py": "import time\ndef test_x(): time.sleep(0.5)"}
    assert box.run_tests(slow, TestSpec()).all_passed  # nothing had been answered yet: run again


def test_threads_share_a_sandbox(box: Sandbox) -> None:
    found: list[TestReport] = []
    threads = [
        threading.Thread(target=lambda: found.append(box.run_tests(STACK, TestSpec()))) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(map(str, found))) == 1
    assert len(found) == 4
    thread = threading.Thread(target=box._pytest.start)
    thread.start()
    thread.join()
    pid = box._pytest.pid
    time.sleep(0.1)
    assert box._pytest._process is not None
    assert box._pytest._process.poll() is None, "a sandbox must outlive the thread that started it"
    assert box._pytest.pid == pid


@pytest.mark.skipif(not probe().works, reason="this machine itself makes no sandbox")
def test_what_an_early_death_leaves_behind_is_swept_away(box: Sandbox, tmp_path: Path) -> None:
    before = box.run_tests(STACK, TestSpec())
    guest = tmp_path / "guest"  # of no other sandbox
    guest.mkdir()
    info, info_write = os.pipe()
    block_read, block = os.pipe()
    command = [
        str(bubblewrap.bwrap_path()), "--info-fd", str(info_write), "--userns-block-fd", str(block_read),
        "--unshare-user", "--unshare-pid", "--ro-bind", "/", "/", "--ro-bind", str(guest), str(guest), "--", "true",
    ]  # fmt: skip
    process = subprocess.Popen(command, pass_fds=(info_write, block_read))
    os.close(info_write)
    with os.fdopen(info, "rb") as told:
        child = int(json.loads(told.read())["child-pid"])
    assert sweep(guest) == []  # its bubblewrap lives
    process.kill()
    process.wait()
    try:
        assert sweep(guest) == [child]
    finally:
        os.close(block)
        os.close(block_read)
    assert sweep(bubblewrap.GUEST) == []  # the sandbox that runs is none of them
    assert box.run_tests(STACK, TestSpec()) == before


def test_closing_ends_all_processes() -> None:
    sandbox = Sandbox()
    sandbox.start()
    pids = sandbox._tests.pid, sandbox._harness.pid
    sandbox.close()
    for pid in pids:
        assert pid is not None
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)
    assert sandbox.check_starts({"agent.py": b"def solve(): pass"}) is None
    sandbox.close()


def test_no_sandbox_without_bubblewrap(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    refusing = tmp_path / "bwrap"
    refusing.write_text("#!/bin/sh\necho 'No permissions to create new namespace' >&2\nexit 1\n")
    refusing.chmod(0o755)
    monkeypatch.setattr(bubblewrap, "bwrap_path", lambda: refusing)
    with caplog.at_level(logging.ERROR), Sandbox() as sandbox, pytest.raises(SandboxUnavailable) as caught:
        sandbox.run_tests(STACK, TestSpec())
    assert "No permissions" in str(caught.value)
    assert "kernel.apparmor_restrict_unprivileged_userns" in str(caught.value)


def verdict(program: bytes, arch: int, number: int, argument: int = 0) -> int:
    """What a filter answers, by a little interpreter: 0 allows, -1 kills, else the errno."""
    code: list[tuple[int, int, int, int]] = list(struct.iter_unpack("=HBBI", program))
    data = {0: number, 4: arch, 16: argument}
    at, value = 0, 0
    while True:
        op, yes, no, k = code[at]
        at += 1
        if op == 0x20:
            value = data[k]
        elif op == 0x06:
            return {0x7FFF0000: 0, 0x80000000: -1}.get(k, k & 0xFFFF)
        else:
            at += yes if {0x15: value == k, 0x35: value >= k, 0x45: bool(value & k)}[op] else no


@pytest.mark.parametrize(
    ("machine", "arch", "socket_", "socketpair", "clone", "execve", "read", "unshare"),
    [("x86_64", 0xC000003E, 41, 53, 56, 59, 0, 272), ("aarch64", 0xC00000B7, 198, 199, 220, 221, 63, 97)],
)
def test_the_filter_on_every_machine(
    machine: str, arch: int, socket_: int, socketpair: int, clone: int, execve: int, read: int, unshare: int
) -> None:
    thread, process, namespace = 0x3D0F00, 0x1200011, 0x10000011
    for profile in ("harness", "tests", "command"):
        program = seccomp.program(profile, machine)
        assert verdict(program, arch, read) == 0
        assert verdict(program, arch ^ 1, read) == -1
        assert verdict(program, arch, socket_) == 1
        assert verdict(program, arch, unshare) == 1
        assert verdict(program, arch, clone, namespace) == 1
        assert verdict(program, arch, 435) == 38
        assert verdict(program, arch, 425) == 38
        assert verdict(program, arch, 439) == 0
        assert verdict(program, arch, 9999) == 38
        assert verdict(program, arch, execve) == (0 if profile == "command" else 1)
        assert verdict(program, arch, clone, process) == (0 if profile == "command" else 1)
        assert verdict(program, arch, clone, thread) == (1 if profile == "harness" else 0)
        assert verdict(program, arch, socketpair, 1) == (1 if profile == "harness" else 0)
        assert verdict(program, arch, socketpair, 2) == 1
        prlimit, setpriority, setxattr = (302, 141, 188) if machine == "x86_64" else (261, 140, 5)
        assert verdict(program, arch, setxattr) == (0 if profile == "command" else 1)
        assert verdict(program, arch, prlimit, 0) == 0
        assert verdict(program, arch, prlimit, 1) == (1 if profile == "tests" else 0)
        assert verdict(program, arch, setpriority) == (0 if profile == "command" else 1)
    assert verdict(seccomp.program("tests", "x86_64"), 0xC000003E, 0x40000000) == -1
    with pytest.raises(OSError, match="mips"):
        seccomp.program("tests", "mips")


def test_probe() -> None:
    report = probe()
    assert report.works, report.problem
    assert report.seccomp
    assert "bubblewrap" in report.version
