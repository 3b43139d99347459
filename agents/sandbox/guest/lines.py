"""Counts the lines of workspace files that run: sys.monitoring where there is one (3.12), else sys.settrace."""

import sys
import threading
from collections.abc import Callable
from types import CodeType, FrameType
from typing import Any, Protocol


class Counter(Protocol):
    """What a runner needs of a line counter."""

    executed: int
    seen: set[tuple[str, int]]

    def start(self) -> None:
        """Begin to count, in this thread and in those that it starts."""

    def intact(self) -> bool:
        """Whether nobody has removed or replaced the counter since it was started."""


class _Traced:
    """By sys.settrace: Python 3.11."""

    def __init__(self, counts: Callable[[str], bool], budget: int, spent: Callable[[], None]) -> None:
        self.executed = 0
        self.seen: set[tuple[str, int]] = set()
        known: dict[str, bool] = {}
        self._gettrace, self._settrace = sys.gettrace, sys.settrace

        def line(frame: FrameType, event: str, _: Any) -> Any:
            if event == "line":
                self.executed += 1
                if self.executed > budget:
                    spent()
                self.seen.add((frame.f_code.co_filename, frame.f_lineno))
            return line

        def call(frame: FrameType, _event: str, _: Any) -> Any:
            name = frame.f_code.co_filename
            counted = known.get(name)
            if counted is None:
                counted = known[name] = counts(name)
            return line if counted else None

        self._call = call

    def start(self) -> None:
        threading.settrace(self._call)
        self._settrace(self._call)

    def intact(self) -> bool:
        return self._gettrace() is self._call


class _Monitored:
    """By sys.monitoring: Python 3.12 and later, several times faster."""

    def __init__(self, counts: Callable[[str], bool], budget: int, spent: Callable[[], None]) -> None:
        self.executed = 0
        self.seen: set[tuple[str, int]] = set()
        monitoring: Any = getattr(sys, "monitoring")  # noqa: B009 - mypy checks against 3.11
        self._tool = tool = monitoring.COVERAGE_ID
        self._events = monitoring.events
        self._register, self._get_events = monitoring.register_callback, monitoring.get_events
        self._use, self._set_events = monitoring.use_tool_id, monitoring.set_events
        set_local, disable = monitoring.set_local_events, monitoring.DISABLE
        wanted = monitoring.events.LINE | monitoring.events.JUMP
        numbers: dict[CodeType, dict[int, int | None]] = {}

        def start(code: CodeType, _offset: int) -> Any:
            if counts(code.co_filename):
                set_local(tool, code, wanted)
            return disable

        def line(code: CodeType, number: int) -> None:
            self.executed += 1
            if self.executed > budget:
                spent()
            self.seen.add((code.co_filename, number))

        def jump(code: CodeType, source: int, target: int) -> None:
            # A loop within one line makes no event of its own, unlike under sys.settrace.
            if target < source:
                lines = numbers.get(code)
                if lines is None:
                    spans = code.co_lines()
                    lines = {at: line for begin, end, line in spans for at in range(begin, end, 2)}
                    numbers[code] = lines
                number = lines.get(source)
                if number is not None and number == lines.get(target):
                    line(code, number)

        self._start, self._line, self._jump = start, line, jump

    def start(self) -> None:
        self._use(self._tool, "ratchet")
        self._register(self._tool, self._events.PY_START, self._start)
        self._register(self._tool, self._events.LINE, self._line)
        self._register(self._tool, self._events.JUMP, self._jump)
        self._set_events(self._tool, self._events.PY_START)

    def intact(self) -> bool:
        try:
            if self._get_events(self._tool) != self._events.PY_START:
                return False
        except ValueError:
            return False
        before = self._register(self._tool, self._events.LINE, self._line)
        return before is self._line


def counter(counts: Callable[[str], bool], budget: int, spent: Callable[[], None]) -> Counter:
    """A counter of the lines of those files for which `counts(filename)`; calls `spent` beyond the budget."""
    kind = _Monitored if hasattr(sys, "monitoring") else _Traced
    return kind(counts, budget, spent)
