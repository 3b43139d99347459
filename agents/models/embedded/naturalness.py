"""How natural an edit leaves the code: the base score of a candidate, which depends on the text alone."""

from bisect import bisect_left
from functools import lru_cache
from itertools import chain

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
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
    sequences: list[list[int]] = []
    blocks: dict[tuple[int, int], int] = {}
    """Logical lines → which sequence they are as they stand: many edits share them."""
    before: list[int] = []
    after: list[int] = []
    added: list[int] = []
    for edit in derived.edits:
        first, last = block = lines.block(edit)
        left, right = lines.left(first), lines.right(last)
        old = [token for line in range(first, last) for token in lines.tokens[line]]
        new, indent = [], lines.indent(first - 1)
        for own, tokens in _read(replaced(plain, edit), counts.kept):
            new += counts.ids([step(indent, own), *tokens])
            indent = own
        if last < len(lines.lines):
            behind = counts.ids([step(indent, lines.indent(last))]) + right[1:]
        else:
            behind, right = [], []
        if block not in blocks:
            blocks[block] = len(sequences)
            sequences.append(left + old + right)
        before.append(blocks[block])
        after.append(len(sequences))
        sequences.append(left + new + behind)
        added.append(len(new) - len(old))
    sums = _log_probabilities(counts, sequences)
    result: NDArray[np.float64] = sums[after] - sums[before] + HEAD.token * np.array(added)
    return result


def _log_probabilities(counts: Counts, sequences: list[list[int]]) -> NDArray[np.float64]:
    """The log-probability of each sequence behind its first tokens, which are context alone."""
    lengths = np.array([len(sequence) for sequence in sequences])
    flat = np.fromiter(chain.from_iterable(sequences), dtype=np.int64, count=int(lengths.sum()))
    owners = np.repeat(np.arange(len(sequences)), lengths)[ORDER - 1 :]
    windows = sliding_window_view(flat, ORDER)
    whole = owners == np.repeat(np.arange(len(sequences)), lengths)[: len(owners)]
    logs = counts.log_probability(windows[whole])
    sums = np.bincount(owners[whole], weights=logs, minlength=len(sequences))
    return sums.astype(np.float64, copy=False)


@lru_cache(maxsize=65536)
def _read(code: str, kept: frozenset[str]) -> tuple[tuple[int, tuple[str, ...]], ...]:
    """Indent and normalized tokens of each logical line of changed statements.

    Kept over files: once an edit is made, most candidates of the file are what they were.
    """
    return tuple((line.indent, tuple(normalize(line.words, kept))) for line in logical_lines(code))


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
