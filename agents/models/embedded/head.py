"""The fixed parameters of the heads: how mistakes are distributed and how much evidence weighs.

They are part of the frozen weights: the fingerprint covers them, and no harness can change them.
"""

import math
from collections.abc import Iterable

from contracts.record import Record

REVISION = 5
"""Of the model's code: raised whenever the same counts and the same request would give another answer."""

KINDS = {
    "comparison": 0.280,
    "operator": 0.150,
    "boolean operator": 0.200,
    "negation": 0.090,
    "constant": 0.100,
    "off-by-one": 0.055,
    "slice": 0.140,
    "name": 0.020,
    "attribute": 0.030,
    "arguments": 0.070,
    "wrong call": 0.022,
    "return": 0.028,
    "initial value": 0.050,
    "mutable default": 0.120,
    "missing guard": 0.022,
    "wrong guard": 0.028,
    "base case": 0.080,
    "swapped branches": 0.110,
    "exception": 0.200,
    "moved statement": 0.036,
    "doubled statement": 0.060,
    "extra statement": 0.018,
    "missing statement": 0.016,
}
"""How likely one place that can hold a mistake of the kind does hold it, relative to the other kinds.

Set so that kinds with many places, such as names, do not crowd out the classic mistakes of a single operator, and
then moved towards what made the right edits of the practice tasks of the suite `repair` likelier. Sealed tasks were not
used."""


class Head(Record, frozen=True):
    """Weights in natural log-odds, unless said otherwise."""

    naturalness: float = 0.12
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
    named: float = 1.8
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


def prior(shares: Iterable[tuple[str, float]]) -> float:
    """Log-odds of an edit, given the share that it has of a place's odds under each kind that it can be of."""
    return math.log(sum(KINDS[kind] * share for kind, share in shares))
