"""Attacks on the sandbox: each gains nothing, and the next honest run is served as if nothing had happened."""

import contextlib
import importlib.util
import marshal
import os
import signal
import socket
import sys
import textwrap
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from agents.sandbox import HarnessRun, Ok, Sandbox
from agents.sandbox.channel import Channel
from agents.sandbox.zygote import Limits
from contracts.tasks import Budget, Task, TestReport, TestSpec

HIDDEN = """
from calc import add

def test_small() -> None:
    assert add(1, 2) == 3

def test_large() -> None:
    assert add(10, 20) == 30
"""
SECRET = "the-hidden-answer-4711"


@pytest.fixture(scope="module")
def box() -> Iterator[Sandbox]:
    with Sandbox() as sandbox:
        yield sandbox


@pytest.fixture(autouse=True)
def honest_afterwards(box: Sandbox) -> Iterator[None]:
    yield
    report = grade(box, "def add(a, b):\n    return a + b\n")
    assert report.all_passed
    assert report.executed > 0
    run = attack(box, "workspace.write('calc.py', 'done')", model="hello")
    assert run.status == "finished"
    assert run.files == {"calc.py": "done"}


def grade(
    box: Sandbox, solution: str, spec: TestSpec | None = None, *, wall: float = 60.0, memory: int = 1 << 30
) -> TestReport:
    """The report of the hidden tests over a solution; the attack comes as the solution's text."""
    files = {"calc.py": textwrap.dedent(solution), "tests/test_hidden.py": HIDDEN}
    return box.run_tests(files, spec or TestSpec(seconds=2), wall=wall, memory=memory)


def attack(box: Sandbox, body: str, model: str = "", budget: Budget | None = None) -> HarnessRun:
    """An episode whose solve() has this body."""
    source = "def solve(task, model, workspace):\n" + textwrap.indent(textwrap.dedent(body), "    ") + "\n"
    task = Task(
        id="t",
        package="p",
        instruction="",
        files={"calc.py": "def add(a, b): return 0\n"},
        solution_files=("calc.py",),
        budget=budget or Budget(cpu_seconds=2, wall_seconds=20),
    )
    return box.run_harness(
        {"agent.py": source.encode()}, task, lambda _: Ok(ok={"role": "assistant", "content": model})
    )


WRONG = "def add(a, b): return 0\n"
STOP = (
    "import sys\n"
    "def stop():\n"
    "    sys.settrace(None)\n"
    "    if hasattr(sys, 'monitoring') and sys.monitoring.get_tool(1):\n"
    "        sys.monitoring.set_events(1, 0); sys.monitoring.free_tool_id(1)\n"
    "stop()\n"
)
GRADING = {
    "exit at import": "import os; os._exit(0)",
    "sys.exit at import": "import sys; sys.exit(0)",
    "sys.exit in a test": "import sys\ndef add(a, b): sys.exit(0)",
    "exit in a test": "import os\ndef add(a, b): os._exit(0)",
    "keyboard interrupt": "def add(a, b): raise KeyboardInterrupt",
    "exit hook": WRONG + "import atexit, os; atexit.register(os._exit, 0)",
    "builtins": WRONG
    + "import builtins\nbuiltins.AssertionError = builtins.Exception = builtins.BaseException = int\n"
    + "builtins.exec = builtins.callable = lambda *a: True",
    "settrace": STOP + "def add(a, b):\n    stop(); return a + b\n",
    "replaced tests": WRONG
    + "import sys\n"
    + "for m in list(sys.modules.values()):\n"
    + "    if getattr(m, '__name__', '').endswith('test_hidden'):\n"
    + "        class Always(dict): pass\n"
    + "        def add(a, b, m=m):\n"
    + "            m.test_small = m.test_large = lambda: None\n"
    + "            return 0\n",
    "changed code of tests": WRONG
    + "import sys\n"
    + "def add(a, b):\n"
    + "    m = sys.modules['tests.test_hidden']\n"
    + "    m.test_small.__code__ = m.test_large.__code__ = (lambda: None).__code__\n"
    + "    return 0\n",
    "the code of another test": "import sys\n"
    "def add(a, b):\n"
    "    m = sys.modules['tests.test_hidden']\n"
    "    m.test_large.__code__ = m.test_small.__code__\n"
    "    return 3 if sys.argv[1:] else 0\n",
    "every descriptor": WRONG
    + "import os\n"
    + "for fd in range(1024):\n"
    + '    try: os.write(fd, b\'{"test": "test_small", "passed": true}\\n\')\n'
    + "    except OSError: pass\n",
    "silent json": WRONG
    + "import json\n"
    + 'json.JSONEncoder.encode = lambda self, o: \'{"test": "test_small", "passed": true}\'\n'
    + "json.dumps = json.JSONEncoder.encode\n",
    "json, deeper": WRONG
    + "import json\n"
    + "whole = json.JSONEncoder.iterencode\n"
    + "def iterencode(self, o, _one_shot=False):\n"
    + "    if isinstance(o, dict) and o.get('test') != 'canary': o = {**o, 'passed': True, 'verdict': 'pass'}\n"
    + "    return whole(self, o, _one_shot)\n"
    + "json.JSONEncoder.iterencode = iterencode\n",
    "another os.write": WRONG
    + "import os\n"
    + "write = os.write\n"
    + "os.write = lambda fd, b: write(fd, bytes(b).replace(b'false', b'true'))\n",
    "the runner's own functions": WRONG
    + "import sys\n"
    + "for name, m in list(sys.modules.items()):\n"
    + "    if name.startswith('guest'):\n"
    + "        for k, v in list(vars(m).items()):\n"
    + "            if callable(v): setattr(m, k, lambda *a, **b: {'passed': True})\n",
    "patched in the closure": WRONG
    + "import sys, types\n"
    + "f = sys._getframe()\n"
    + "while f:\n"
    + "    g = f.f_locals.get('attempt')\n"
    + "    if isinstance(g, types.FunctionType):\n"
    + "        def always(function): return {'passed': True}\n"
    + "        try: g.__code__ = (lambda function: {'passed': True}).__code__\n"
    + "        except ValueError:\n"
    + "            c = g.__closure__[0]\n"
    + "            for cell in g.__closure__:\n"
    + "                if callable(cell.cell_contents): cell.cell_contents = lambda *a: {'passed': True}\n"
    + "    f = f.f_back\n",
    "the tests on disk": WRONG
    + "open('tests/test_hidden.py', 'w').write('def test_small(): pass\\ndef test_large(): pass')\n",
    "kill everyone": "import os, signal\n"
    "for pid in (1, -1, os.getppid()):\n"
    "    for s in (9, 2, 15, 19):\n"
    "        try: os.kill(pid, s)\n"
    "        except OSError: pass\n" + WRONG,
    "fork to report twice": "import os\nos.fork()\n" + WRONG,
    "thread that goes on": WRONG
    + "import threading, os\n"
    + "def spam():\n"
    + "    while True:\n"
    + "        for fd in range(3, 1024):\n"
    + "            try: os.write(fd, b'x\\n')\n"
    + "            except OSError: pass\n"
    + "threading.Thread(target=spam, daemon=True).start()\n",
    "recursion": "def add(a, b): return add(b, a)",
    "segmentation fault": "def add(a, b):\n    import ctypes; ctypes.string_at(0)\n",
}


@pytest.mark.parametrize("name", GRADING)
def test_a_solution_gains_nothing(box: Sandbox, name: str) -> None:
    report = grade(box, GRADING[name])
    assert report.passed == ()
    assert not report.all_passed
    assert len({outcome.id for outcome in report.outcomes}) == len(report.outcomes)


@pytest.mark.parametrize(
    ("solution", "status"),
    [
        ("while True:\n    x = 1", "lines"),
        (STOP + "def add(a, b):\n    stop()\n    while True: pass", "cpu"),
        ("def add(a, b):\n    try:\n        while True: a += 1\n    except BaseException: return a", "lines"),
        ("def add(a, b):\n    while True: print('x' * 10000)", "output"),
        ("x = bytearray(8 << 30)\ndef add(a, b): return a + b", "broken"),
        ("def add(a, b):\n    x = []\n    while True: x.append(bytearray(32 << 20))", "memory"),
    ],
)
def test_endless_things_end(box: Sandbox, solution: str, status: str) -> None:
    report = grade(box, solution, TestSpec(seconds=1), memory=256 << 20)
    assert report.status == status
    assert report.passed == ()


def test_sleeping_is_not_a_fault_of_the_infrastructure(box: Sandbox) -> None:
    report = grade(box, "import time\ndef add(a, b): time.sleep(3600)", wall=0.6)
    assert report.status == "cpu"
    run = attack(box, "import time; time.sleep(3600)", budget=Budget(wall_seconds=1))
    assert run.status == "cpu"


def test_one_file_does_not_spoil_the_next(box: Sandbox) -> None:
    first = "import os, sys\nsys.modules['helper'] = None\nopen('helper.py', 'w').write('ok = False')\n"
    first += "open('conftest.py', 'w').write('1/0'); open('sitecustomize.py', 'w').write('1/0')\n"
    first += "open('/tmp/left', 'w').write('x')\ndef test_a(): pass\n"
    second = "import os\nfrom helper import ok\ndef test_b(): assert ok\n"
    second += "def test_c(): assert sorted(os.listdir('/work')) == ['helper.py', 'tests']\n"
    files = {"helper.py": "ok = True", "tests/test_1.py": first, "tests/test_2.py": second}
    assert box.run_tests(files, TestSpec()).all_passed


def test_nothing_is_left_behind(box: Sandbox) -> None:
    places = "/work", "/harness", "/tmp", "/dev/shm", "/dev", "/", "/ratchet", "/ratchet/guest", "/usr/lib"
    body = f"""
        import os
        for place in {places!r}:
            for name in ('sitecustomize.py', 'usercustomize.py', 'x.pth', 'conftest.py', 'calc.py', 'json.py'):
                try: open(os.path.join(place, name), 'x').write('raise SystemExit')
                except OSError as error: print(place, 'refused')
        """
    run = attack(box, body)
    for place in ("/dev", "/", "/ratchet", "/ratchet/guest", "/usr/lib"):
        assert f"{place} refused\n" in run.log
    seen = [*places, "/harness/__pycache__"]
    look = attack(box, f"import os\nfor place in {seen!r}: print(place, sorted(os.listdir(place)))")
    for name in ("sitecustomize.py", "usercustomize.py", "x.pth", "conftest.py"):
        assert name not in look.log
    assert "/harness ['__pycache__', 'agent.py']" in look.log
    assert f"/harness/__pycache__ ['agent.{sys.implementation.cache_tag}.pyc']" in look.log
    assert "/work ['calc.py']" in look.log


MEDDLING = """
import os, resource, sys, threading
sys.modules['json'] = None
for place in ('/work', '/work/tests', '/tmp', '/dev/shm', '/harness'):
    for name in ('calc.py', 'json.py', 'sitecustomize.py', 'conftest.py'):
        try:
            open(os.path.join(place, name), 'w').write('raise SystemExit')
        except OSError:
            pass
os.makedirs('/tmp/a/b')
open('/tmp/a/b/c', 'w').write('x')
os.chmod('/tmp/a/b', 0)
os.symlink('/work', '/dev/shm/link')
os.chmod('/work', 0o500)
refused = []
for attempt in (
    lambda: resource.prlimit(1, resource.RLIMIT_NPROC, (0, 0)),
    lambda: resource.prlimit(1, resource.RLIMIT_AS, (1 << 20, 1 << 20)),
    lambda: os.setpriority(os.PRIO_PROCESS, 1, 19),
    lambda: os.sched_setaffinity(1, {0}),
    lambda: os.setxattr('/work', 'user.left', b'x'),
    lambda: os.setxattr('/work', 'system.posix_acl_default', b'\\2\\0\\0\\0'),
    lambda: os.fork(),
):
    try:
        attempt()
    except OSError as error:
        refused.append(error.errno)
resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
os.utime('/tmp', ns=(5, 5))
threading.Thread(target=lambda: threading.Event().wait(60), daemon=True).start()

def add(a, b):
    return a + b if refused == [1] * 7 else refused
"""
LOOKING = """
import os, resource, threading
left = {place: sorted(os.listdir(place)) for place in ('/work', '/tmp', '/dev/shm', '/harness')}
clean = left == {'/work': ['calc.py', 'tests'], '/tmp': [], '/dev/shm': [], '/harness': []}
clean = clean and os.stat('/work').st_mode & 0o777 == 0o700 and threading.active_count() == 1
clean = clean and os.stat('/tmp').st_mtime_ns == 0 and not any(map(os.listxattr, left))
clean = clean and resource.getrlimit(resource.RLIMIT_NOFILE)[1] == 1024 and os.getpriority(os.PRIO_PROCESS, 0) == 0

def add(a, b):
    return a + b if clean else left
"""


def test_a_session_keeps_nothing_from_one_run_to_the_next(box: Sandbox) -> None:
    def files(solution: str) -> dict[str, str]:
        return {"calc.py": solution, "tests/test_hidden.py": HIDDEN}

    with box.test_session() as session:
        spec = TestSpec(seconds=2)
        reports = [
            session.run_tests(files(text), spec, lines=10_000, wall=20.0)
            for text in (MEDDLING, LOOKING, MEDDLING, LOOKING)
        ]
    for report in reports:
        assert report.all_passed, report


@pytest.mark.parametrize("name", ["exit at import", "kill everyone", "every descriptor"])
def test_a_session_judges_an_attack_as_a_run_of_its_own_would(box: Sandbox, name: str) -> None:
    honest = {"calc.py": "def add(a, b):\n    return a + b\n", "tests/test_hidden.py": HIDDEN}
    attacked = {"calc.py": GRADING[name], "tests/test_hidden.py": HIDDEN}
    spec = TestSpec(seconds=2)
    with box.test_session() as session:
        before = session.run_tests(honest, spec, lines=10_000, wall=20.0)
        report = session.run_tests(attacked, spec, lines=10_000, wall=20.0)
        after = session.run_tests(honest, spec, lines=10_000, wall=20.0)
    assert report == box.run_tests(attacked, spec, lines=10_000, wall=20.0)
    assert not any(outcome.passed for outcome in report.outcomes)
    assert before == after
    assert before.all_passed


def bomb(functions: int) -> str:
    """A `finally` within a `finally` doubles what the compiler makes of it, level by level."""
    source = ""
    for number in range(functions):
        source += f"def f{number}():\n"
        for level in range(1, 17):
            source += " " * level + "try:\n" + " " * (level + 1) + "pass\n" + " " * level + "finally:\n"
        source += " " * 18 + "print(1)\n"
    return source


def test_a_test_file_that_keeps_the_compiler_busy_is_not_a_fault_of_the_infrastructure(box: Sandbox) -> None:
    honest = {"calc.py": "def add(a, b):\n    return a + b\n", "tests/test_hidden.py": HIDDEN}
    spec = TestSpec(seconds=1)
    with box.test_session() as session:
        first = session.run_tests(honest, spec, lines=10_000, wall=20.0)
        hostile = {**honest, "tests/test_hidden.py": bomb(40) + HIDDEN}
        report = session.run_tests(hostile, spec, lines=10_000, wall=20.0)
        assert session.run_tests(honest, spec, lines=10_000, wall=20.0) == first
    assert report.status in {"cpu", "memory"}
    assert not report.all_passed


def test_a_harness_that_keeps_the_compiler_busy_ends_by_its_own_limits(box: Sandbox) -> None:
    task = Task(
        id="t", package="p", instruction="", files={}, solution_files=(), budget=Budget(cpu_seconds=1)
    )
    source = bomb(60) + "def solve(task, model, workspace):\n    pass\n"
    begun = time.process_time()
    run = box.run_harness({"agent.py": source.encode()}, task, lambda _: Ok(ok=None))
    assert run.status in {"cpu", "memory"}
    assert time.process_time() - begun < 1.0, "the host compiled it itself"
    assert box.check_starts({"agent.py": source.encode()})


def test_bytecode_that_a_harness_brings_along_is_not_run(box: Sandbox) -> None:
    said = b"def solve(task, model, workspace):\n    print('the source')\n"
    forged = compile("def solve(task, model, workspace):\n    print('the cache')\n", "agent.py", "exec")
    flags = (1).to_bytes(4, "little")
    cached = importlib.util.MAGIC_NUMBER + flags + importlib.util.source_hash(said) + marshal.dumps(forged)
    tree = {"agent.py": said, f"__pycache__/agent.{sys.implementation.cache_tag}.pyc": cached}
    task = Task(id="t", package="p", instruction="", files={}, solution_files=())
    assert box.run_harness(tree, task, lambda _: Ok(ok=None)).log == "the source\n"


def test_a_session_may_be_asked_for_tests_of_another_kind(box: Sandbox) -> None:
    honest = {"calc.py": "def add(a, b):\n    return a + b\n", "tests/test_hidden.py": HIDDEN}
    plain, command = TestSpec(seconds=2), TestSpec(runner="command", command=("true",), seconds=2)
    with box.test_session() as session:
        for spec in (plain, command, plain):
            assert session.run_tests(honest, spec, lines=10_000, wall=20.0).all_passed


def test_a_host_that_is_interrupted_in_a_session_hears_the_next_run_right(box: Sandbox) -> None:
    def interrupted(_: Channel) -> None:
        raise KeyboardInterrupt

    session = box.test_session()
    zygote = session._zygote
    inner = zygote.session("tests", Limits(cpu=2))
    assert inner is not None
    with pytest.raises(KeyboardInterrupt):
        inner.ask({"files": {}, "spec": TestSpec(), "lines": 1}, interrupted)
    for _ in range(3):
        assert grade(box, "def add(a, b):\n    return a + b\n").all_passed


def test_a_session_that_is_killed_is_replaced(box: Sandbox) -> None:
    honest = {"calc.py": "def add(a, b):\n    return a + b\n", "tests/test_hidden.py": HIDDEN}
    spec = TestSpec(seconds=2)
    with box.test_session() as session:
        first = session.run_tests(honest, spec, lines=10_000, wall=20.0)
        outer = box.pids[1]
        assert outer is not None
        os.kill(outer, signal.SIGKILL)
        assert session.run_tests(honest, spec, lines=10_000, wall=20.0) == first
    assert box.pids[1] != outer


def test_hidden_tests_and_host_are_out_of_sight(box: Sandbox, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text(SECRET)
    os.environ["RATCHET_TEST_KEY"] = SECRET
    try:
        grade(box, f"'''{SECRET}'''\n" + WRONG)
        run = attack(
            box,
            f"""
            import os
            found = {{str(dict(os.environ))}}
            for top, _, names in os.walk('/'):
                if top.startswith(('/usr', '/lib', '/sys', '/bin')) or 'lib/python' in top: continue
                for name in names:
                    try: found.add(os.path.join(top, name) + open(os.path.join(top, name), errors='replace').read(9999))
                    except OSError: pass
            print(len(found), any({SECRET!r} in text and 'agent.py' not in text for text in found))
            for path in ({str(tmp_path)!r},
                         {str(Path.cwd())!r}, '/home', '/proc/1', '/proc/self/environ', '/etc/passwd',
                         '/proc/self/mem', '/proc/2', '/sys', '/run', '/var'):
                print(path, os.path.exists(path))
            """,
        )
    finally:
        del os.environ["RATCHET_TEST_KEY"]
    first, *rest = run.log.strip().splitlines()
    assert first.endswith("False")
    assert len(rest) == 11
    assert all(line.endswith("False") for line in rest)


def test_no_suite_is_readable(box: Sandbox) -> None:
    run = attack(
        box,
        """
        import glob, os, sys
        for prefix in ('/usr', '/usr/local', sys.base_prefix):
            for top in glob.glob(prefix + '/lib/python3*/*-packages'):
                if os.listdir(top): print('PACKAGES', top)
        for top, folders, names in os.walk('/'):
            if 'suites' in folders: print('SUITES', top)
        print('end')
        """,
    )
    assert run.log == "end\n"


def test_no_network(box: Sandbox) -> None:
    heard: list[object] = []
    server = socket.create_server(("127.0.0.1", 0))
    server.settimeout(0.1)

    def listen() -> None:
        with contextlib.suppress(TimeoutError):
            heard.append(server.accept())

    thread = threading.Thread(target=listen)
    body = f"""
        import socket
        for family, address in ((socket.AF_INET, ('127.0.0.1', {server.getsockname()[1]})),
                                (socket.AF_INET, ('1.1.1.1', 53)),
                                (socket.AF_UNIX, '/run/x'), (socket.AF_NETLINK, (0, 0)), (socket.AF_INET6, ('::1', 1))):
            try:
                socket.socket(family).connect(address); print('CONNECTED')
            except OSError as error: print(error.errno)
        import urllib.request
        try: urllib.request.urlopen('http://127.0.0.1:{server.getsockname()[1]}/', timeout=1); print('CONNECTED')
        except OSError: print('refused')
        """
    thread.start()
    run = attack(box, body)
    thread.join()
    server.close()
    assert run.log == "1\n1\n1\n1\n1\nrefused\n"
    assert heard == []


FORBIDDEN = """
    import ctypes, os
    libc = ctypes.CDLL(None, use_errno=True)
    numbers = dict(fork=57, vfork=58, clone=56, clone3=435, execve=59, execveat=322, ptrace=101, unshare=272, setns=308,
                   mount=165, umount=166, pivot=155, chroot=161, readv=310, writev=311, bpf=321, perf=298, uffd=323,
                   uring=425, keyctl=250, kexec=246, reboot=169, module=175, memfd=319, secret=447, open_tree=428,
                   fsopen=430, pidfd_getfd=438, personality=135, handle=304, landlock=444, setuid=105, future=700)
    if os.uname().machine == 'x86_64':
        for name, number in numbers.items():
            ctypes.set_errno(0)
            result = libc.syscall(number, 0x10000011 if name == 'clone' else 0, 0, 0, 0, 0)
            if result != -1 or ctypes.get_errno() not in (1, 38): print(name, result, ctypes.get_errno())
    print('end')
    """


def test_system_calls_are_refused(box: Sandbox) -> None:
    assert attack(box, FORBIDDEN).log == "end\n"
    test = "def test_it():\n" + textwrap.indent(
        textwrap.dedent(FORBIDDEN).replace("print(name", "assert not (name"), "    "
    )
    report = box.run_tests({"tests/test_it.py": test}, TestSpec())
    assert report.all_passed, report


def test_no_privileges(box: Sandbox) -> None:
    body = """
        import ctypes, os
        libc = ctypes.CDLL(None)
        print(libc.prctl(39, 0, 0, 0, 0), libc.prctl(3, 0, 0, 0, 0), sum(libc.prctl(23, c) for c in range(40)))
        print(os.getpid(), os.getuid(), os.getgroups(), os.listdir('/proc'))
        """
    lines = attack(box, body).log.splitlines()
    assert lines[0] == "1 0 0"  # no_new_privs, not dumpable, an empty bounding set
    assert lines[1].startswith("1 1000 ")
    assert lines[1].endswith("[]")


@pytest.mark.parametrize(
    "body",
    [
        "import os\nwhile True:\n    os.fork()",
        "import threading, time\nwhile True: threading.Thread(target=time.sleep, args=(99,)).start()",
        "import subprocess; subprocess.run(['/bin/sh', '-c', 'sleep 100 &'])",
        "import os\nos.kill(1, 9); os.kill(-1, 9); os.kill(os.getppid(), 9); raise OSError",
        "import ctypes; ctypes.string_at(0)",
        "x = []\nwhile True: x.append(bytearray(1 << 20))",
        "with open('/tmp/big', 'wb') as f:\n    while True: f.write(bytes(1 << 20))",
        "import os\nn = 0\nwhile True:\n    open(f'/work/{n}', 'w'); n += 1",
        "import os; os._exit(0)",
        "import sys; sys.exit(0)",
        "import os\nos.closerange(0, 4096)",
    ],
)
def test_a_harness_that_breaks_only_ends_itself(box: Sandbox, body: str) -> None:
    run = attack(box, body, budget=Budget(cpu_seconds=2, wall_seconds=30))
    assert run.status in {"error", "memory", "cpu", "protocol"}
    assert set(run.files) <= {str(n) for n in range(100_000)}


def test_an_endless_harness_runs_out_of_cpu(box: Sandbox) -> None:
    assert attack(box, "while True: pass", budget=Budget(cpu_seconds=1)).status == "cpu"


def test_a_thread_bomb_in_tests(box: Sandbox) -> None:
    bomb = """
        import threading, time
        threading.stack_size(32768)
        def add(a, b):
            while True: threading.Thread(target=time.sleep, args=(99,), daemon=True).start()
        """
    assert grade(box, bomb).passed == ()


def test_a_fork_bomb_and_a_daemon_in_a_command(box: Sandbox) -> None:
    files = {"run.sh": "bomb() { bomb | bomb & }; bomb; while true; do sleep 1; done"}
    report = box.run_tests(files, TestSpec(runner="command", command=("sh", "run.sh"), seconds=2), wall=1)
    assert not report.all_passed
    files = {"run.sh": "(trap '' 1 15; sleep 1000; echo late) >/dev/null 2>&1 & exit 0"}
    report = box.run_tests(files, TestSpec(runner="command", command=("sh", "run.sh")))
    assert report.all_passed
    files = {"run.py": "import socket; socket.socket()"}
    report = box.run_tests(files, TestSpec(runner="command", command=("python3", "run.py")))
    assert report.outcomes[0].error.startswith("PermissionError")


FIND_SOCKET = "import os, stat\nfd = next(n for n in range(3, 1024) if stat.S_ISSOCK(os.fstat(n).st_mode))\n"


@pytest.mark.parametrize(
    "said",
    [
        b"\xff\xff\xff\xff",
        (5 << 20).to_bytes(4, "big"),
        b"\x00\x00\x00\x02{}",
        b"\x00\x00\x00\x04nope",
        b"\x00\x00\x00\x00",
        b"\x00\x00\x00\x14" + b'{"type":"complete"} ',
        b"\x00\x00\x00\x12" + b'{"type":"checked"}',
        (200_000).to_bytes(4, "big") + b"[" * 200_000,
    ],
)
def test_malformed_frames(box: Sandbox, said: bytes) -> None:
    run = attack(box, FIND_SOCKET + f"os.write(fd, {said!r})\nos._exit(0)")
    assert run.status == "protocol"
    assert run.files == {}


@pytest.mark.parametrize(
    "path", ["/etc/passwd", "../x", "a/../../x", "a//b", "", ".", "a\\0b", "x" * 300, "a/./b"]
)
def test_paths_that_leave_the_workspace(box: Sandbox, path: str) -> None:
    body = FIND_SOCKET + "import json\n"
    body += f"b = json.dumps(dict(type='finish', files={{'{path}': 'x'}})).encode()\n"
    body += "os.write(fd, len(b).to_bytes(4, 'big') + b); os._exit(0)"
    assert attack(box, body).status == "protocol"


def test_two_last_words(box: Sandbox) -> None:
    body = FIND_SOCKET + "import json\n"
    body += "for text in ('first', 'second'):\n"
    body += "    b = json.dumps(dict(type='finish', files={'calc.py': text})).encode()\n"
    body += "    os.write(fd, len(b).to_bytes(4, 'big') + b)\n"
    body += "while True: pass"
    run = attack(box, body)
    assert run.status == "finished"
    assert run.files == {"calc.py": "first"}


def test_endless_logs(box: Sandbox) -> None:
    run = attack(
        box,
        FIND_SOCKET
        + 'b = b\'{"type":"log","text":"x"}\'\nwhile True: os.write(fd, bytes([0,0,0,len(b)]) + b)',
    )
    assert run.status == "output"
    assert attack(box, "while True: print('x' * 1000)", budget=Budget(cpu_seconds=1)).status == "cpu"


def test_links_are_not_followed(box: Sandbox) -> None:
    run = attack(
        box,
        """
        import os
        os.remove('/work/calc.py')
        os.symlink('/usr/lib/os-release', '/work/calc.py')
        os.symlink('/harness', '/work/linked')
        os.mkfifo('/work/pipe') if hasattr(os, 'nothing') else None
        workspace.write('real.py', 'x')
        """,
    )
    assert run.status == "finished"
    assert run.files == {"real.py": "x"}


def test_the_zygote_is_out_of_sight(box: Sandbox) -> None:
    body = """
        import os, ctypes
        print(os.getpid(), os.getppid(), [n for n in range(3, 1024) if os.path.exists(f'/proc/self/fd/{n}')])
        open_fds = []
        for n in range(3, 4096):
            try: os.fstat(n); open_fds.append(n)
            except OSError: pass
        print(len(open_fds))
        """
    lines = attack(box, body).log.splitlines()
    assert lines == ["1 0 []", "1"]
