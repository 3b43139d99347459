"""How natural an edit leaves the code: the base score of a candidate, which depends on the text alone."""

from bisect import bisect_left

import numpy as np
from numpy.typing import NDArray

from agents.models.embedded.counts import ORDER, START, Counts
from agents.models.embedded.edits.derive import Derived, Edit, replaced
from agents.models.embedded.head import HEAD, prior
from agents.models.embedded.tokens import LogicalLine, logical_lines, normalize, step


def base_scores(counts: Counts, derived: Derived, text: str) -> NDArray[np.float64]:
    """Log-odds of each candidate before any evidence: its kind, its share of its place, its naturalness.

    Naturalness is the log-probability of the changed lines and of the first tokens behind them, after the
    edit less before it, with the average cost of the tokens that it adds or takes away given back.
    """
    return np.array([prior(edit.shares) for edit in derived.edits]) + HEAD.naturalness * _clipped(
        _gains(counts, derived, text)
    )


def _clipped(gains: NDArray[np.float64]) -> NDArray[np.float64]:
    bound = HEAD.limit / HEAD.naturalness
    return np.clip(gains, -bound, bound)


def _gains(counts: Counts, derived: Derived, text: str) -> NDArray[np.float64]:
    """What each edit does to the log-probability of its surroundings, per-token cost given back."""
    if not derived.edits:
        return np.zeros(0)
    lines, plain = _Lines(counts, derived.lines), text.replace("\r\n", "\n").split("\n")
    windows: list[list[int]] = []
    owners: list[int] = []
    signs: list[float] = []
    added: list[int] = []
    for number, edit in enumerate(derived.edits):
        first, last = lines.block(edit)
        left, right = lines.left(first), lines.right(last)
        old = [token for line in range(first, last) for token in lines.tokens[line]]
        changed = logical_lines(replaced(plain, edit))
        new, indent = [], lines.indent(first - 1)
        for line in changed:
            new += counts.ids([step(indent, line.indent), *normalize(line.words, counts.kept)])
            indent = line.indent
        if last < len(lines.lines):
            after = counts.ids([step(indent, lines.indent(last))])
            new_right, old_right = after + right[1:], right
        else:
            new_right, old_right = [], []
        for sign, sequence in ((1.0, left + new + new_right), (-1.0, left + old + old_right)):
            for end in range(ORDER, len(sequence) + 1):
                windows.append(sequence[end - ORDER : end])
                owners.append(number)
                signs.append(sign)
        added.append(len(new) - len(old))
    logs = counts.log_probability(np.array(windows, dtype=np.int64)) * np.array(signs)
    gains = np.bincount(owners, weights=logs, minlength=len(derived.edits))
    result: NDArray[np.float64] = gains + HEAD.token * np.array(added)
    return result


class _Lines:
    """The logical lines of a file as token numbers."""

    def __init__(self, counts: Counts, lines: tuple[LogicalLine, ...]) -> None:
        self.lines = lines
        self.tokens: list[list[int]] = []
        indent = 0
        for line in lines:
            tokens = [step(indent, line.indent), *normalize(line.words, counts.kept)]
            self.tokens.append(counts.ids(tokens))
            indent = line.indent
        self._firsts = [line.first for line in lines]

    def block(self, edit: Edit) -> tuple[int, int]:
        """Indices of the logical lines that an edit changes: from the first to before the last."""
        return bisect_left(self._firsts, edit.block[0]), bisect_left(self._firsts, edit.block[1] + 1)

    def indent(self, index: int) -> int:
        """Indent of a logical line; 0 before the first."""
        return self.lines[index].indent if index >= 0 else 0

    def left(self, index: int) -> list[int]:
        """The tokens before a logical line that a window sees."""
        found: list[int] = []
        while len(found) < ORDER - 1 and index > 0:
            index -= 1
            found = self.tokens[index] + found
        return ([START] * (ORDER - 1) + found)[-(ORDER - 1) :]

    def right(self, index: int) -> list[int]:
        """The first tokens behind a logical line."""
        found: list[int] = []
        while len(found) < ORDER - 1 and index < len(self.tokens):
            found = found + self.tokens[index]
            index += 1
        return found[: ORDER - 1]
