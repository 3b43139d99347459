"""The fixed parameters of the heads: how mistakes are distributed and how much evidence weighs.

They are part of the frozen weights: the fingerprint covers them, and no harness can change them.
"""

import math

from contracts.record import Record

REVISION = 1
"""Of the model's code: raised whenever the same counts and the same request would give another answer."""

KINDS = {
    "comparison": 0.220,
    "operator": 0.120,
    "constant": 0.150,
    "off-by-one": 0.070,
    "negation": 0.190,
    "name": 0.026,
    "attribute": 0.025,
    "arguments": 0.080,
    "builtin": 0.046,
    "return": 0.020,
    "guard": 0.014,
    "statement": 0.020,
    "missing": 0.014,
}
"""How likely one place that can hold a mistake of the kind does hold it, relative to the other kinds.

Set so that kinds with many places, such as names, do not crowd out the classic mistakes of a single operator."""


class Head(Record, frozen=True):
    """Weights in natural log-odds, unless said otherwise."""

    naturalness: float = 0.2
    """Per unit of log-probability that an edit gains under the counts."""
    token: float = 1.7
    """What one token costs on average: added per token that an edit adds, so that length is no argument."""
    limit: float = 1.5
    """Naturalness never counts for more than this, either way."""
    covered: float = 2.0
    """Gain of a line that failing tests ran; as much is lost by lines that they did not run."""
    traceback: float = 1.6
    """Gain of the line of the innermost frame; each frame further out counts half as much, down to a quarter."""
    traceback_function: float = 0.8
    """Gain of the other lines of the function of a frame, halved likewise."""
    pointed: float = 3.0
    """Gain of a line that `see path:line` points at."""
    named: float = 0.8
    """Gain of a function whose name the failing tests or the instruction mention."""
    kind: float = 0.9
    """Gain of a kind of mistake that a system or user message names."""
    same_change: float = 2.5
    """Gain of the replacement that an earlier edit made when it helped."""
    same_kind: float = 0.4
    """Gain of the kind of an earlier edit that helped."""
    penalty: float = 2.0
    """Multiplies both penalties of the decoding, so that their greatest value suppresses a repeat."""


HEAD = Head()


def prior(kind: str) -> float:
    """Log-odds of one place for a kind of mistake."""
    return math.log(KINDS[kind])
