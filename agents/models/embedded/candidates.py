"""The candidate edits of one shown file as arrays: base scores, and what the evidence adds to them."""

from collections import Counter
from collections.abc import Collection
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from agents.models.embedded.context import Change, Context, Key, key_for, replacement
from agents.models.embedded.counts import Counts
from agents.models.embedded.edits.derive import derive
from agents.models.embedded.head import HEAD, KINDS
from agents.models.embedded.naturalness import base_scores
from agents.models.embedded.page import words
from agents.models.embedded.sample import identity

Array = NDArray[np.float64]


class Candidates:
    """The candidates of a path and its text. Everything that depends on these alone is worked out once."""

    def __init__(self, counts: Counts, path: str, text: str) -> None:
        derived = derive(path, text)
        self.path = path
        self.edits = derived.edits
        self.base = base_scores(counts, derived, text)
        self.keys: list[Key] = [key_for(path, e.before, e.after) for e in self.edits]
        times: Counter[Key] = Counter()
        identities = []
        for own in self.keys:
            times[own] += 1  # equal lines of a file are told apart by their order
            identities.append(identity("\0".join((*own, str(times[own])))))
        self.identities = np.array(identities, dtype=np.uint64)
        self._kinds = {kind: np.zeros(len(self.edits), dtype=np.bool_) for kind in KINDS}
        """Which candidates can be meant as a mend of a kind of mistake."""
        for number, edit in enumerate(self.edits):
            for kind, _ in edit.shares:
                self._kinds[kind][number] = True
        self._size = text.count("\n") + 2
        self._first = np.array([e.block[0] for e in self.edits], dtype=np.int64)
        self._last = np.array([e.block[1] for e in self.edits], dtype=np.int64)
        self._functions = sorted({(e.function_lines, e.function) for e in self.edits})
        numbers = {f: i for i, f in enumerate(self._functions)}
        self._function = np.array([numbers[e.function_lines, e.function] for e in self.edits], dtype=np.int64)

    def _of_kinds(self, kinds: Collection[str]) -> NDArray[np.bool_]:
        """Which candidates are of any of some kinds; a kind that there is not is nobody's."""
        found = np.zeros(len(self.edits), dtype=np.bool_)
        for kind in kinds:
            found |= self._kinds.get(kind, False)
        return found

    @cached_property
    def changes(self) -> list[Change]:
        """The words that each candidate replaces, comparable across places."""
        return [replacement(e.before, e.after) for e in self.edits]

    def kind_of(self, wanted: Key) -> str:
        """The kind of the candidate that an earlier edit was; empty if it was none of these."""
        return next((e.kind for e, own in zip(self.edits, self.keys, strict=True) if own == wanted), "")

    def scores(self, context: Context) -> Array:
        """Log-odds of every candidate, given a conversation."""
        if not self.edits:
            return self.base
        scores = self.base + self._covered(context) + self._traced(context) + self._named(context)
        lines = [line for path, line in context.pointed if same_path(path, self.path)]
        if lines:
            marks = self._marks(dict.fromkeys(lines, 1.0))
            scores = scores + HEAD.pointed * self._highest(marks)
        if context.kinds:
            scores = scores + HEAD.kind * self._of_kinds(context.kinds)
        if context.helped:
            scores = scores + self._copied(context)
        return scores

    def proposed(self, context: Context) -> NDArray[np.int64]:
        """How often the conversation holds each candidate."""
        times = np.zeros(len(self.edits), dtype=np.int64)
        for earlier, count in context.proposed.items():
            times[self._numbers.get(earlier, [])] = count
        return times

    @cached_property
    def _numbers(self) -> dict[Key, list[int]]:
        """Which candidates an earlier edit was."""
        found: dict[Key, list[int]] = {}
        for number, own in enumerate(self.keys):
            found.setdefault(own, []).append(number)
        return found

    def _marks(self, lines: dict[int, float]) -> Array:
        marks = np.zeros(self._size)
        for line, weight in lines.items():
            if 0 < line < self._size:
                marks[line] = max(marks[line], weight)
        return marks

    def _highest(self, marks: Array) -> Array:
        """The highest mark on the logical lines of each candidate."""
        highest = marks[self._first]
        for offset in range(1, int((self._last - self._first).max()) + 1):
            highest = np.maximum(highest, marks[np.minimum(self._first + offset, self._last)])
        return highest

    def _of_functions(self, marks: Array) -> Array:
        """The highest mark within each function; 0 outside of functions."""
        return np.array([marks[a : b + 1].max() if a else 0.0 for (a, b), _ in self._functions])

    def _covered(self, context: Context) -> Array:
        """Lines that failing tests ran gain, all others lose; a head counts as run if its function was."""
        if not context.covered:
            return np.zeros(len(self.edits))
        rows = [numbers for path, numbers in context.covered if same_path(path, self.path)]
        runs = max(Counter(path for path, _ in context.covered).values())
        times = Counter(line for numbers in rows for line in numbers)
        marks = self._marks({line: n / runs for line, n in times.items()})
        for (first, last), _ in self._functions:
            if first:
                marks[first] = max(marks[first], marks[first : last + 1].max())
        return HEAD.covered * (2 * self._highest(marks) - 1)

    def _traced(self, context: Context) -> Array:
        """Frames within this file, the innermost frame of each traceback that lies in shown code first."""
        weights: dict[int, float] = {}
        for frames in context.tracebacks:
            weight = 1.0
            for path, line in reversed(frames):
                if not any(same_path(path, shown) for shown in context.files):
                    continue
                if same_path(path, self.path):
                    weights[line] = max(weights.get(line, 0.0), weight)
                weight = max(weight / 2, 0.25)  # several tracebacks may stand in one run of frames
        if not weights:
            return np.zeros(len(self.edits))
        marks = self._marks(weights)
        near = HEAD.traceback_function * self._of_functions(marks)[self._function]
        exact = HEAD.traceback * self._highest(marks)
        return np.asarray(np.maximum(near, exact))

    def _named(self, context: Context) -> Array:
        """Functions whose name has words that the tests' names or the instruction mention."""
        shares = []
        for _, name in self._functions:
            own = words(name.rpartition(".")[2])
            shares.append(len(own & context.names) / len(own) if own else 0.0)
        return HEAD.named * np.array(shares)[self._function]

    def _copied(self, context: Context) -> Array:
        """Kinds and replacements of earlier edits that helped."""
        kinds = {helped.kind for helped in context.helped}
        changes = {helped.change for helped in context.helped}
        alike = np.array([change in changes for change in self.changes])
        return HEAD.same_change * alike + HEAD.same_kind * self._of_kinds(kinds)


def same_path(said: str, shown: str) -> bool:
    """Whether a path in a message means a shown file; an absolute path may end in it."""
    return said == shown or said.endswith("/" + shown)
