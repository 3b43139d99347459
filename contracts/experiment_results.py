"""What comes of an experiment: scores fold by fold, what they sum to, how they came about."""

from typing import Any

import msgspec

from contracts.record import Record
from contracts.stacks import Stacking


class Summary(Record):
    """A configuration's scores by one metric, over seeds and folds."""

    configuration: int
    metric: str
    mean: float | None
    """None when no score is defined."""
    deviation: float | None
    """Standard deviation over the defined scores; None for fewer than two."""
    defined: int
    """Scores that are defined."""


class Undefined(Record):
    """Why scores are missing."""

    metric: str
    reason: str
    cells: int
    """How many scores it concerns."""
    configuration: int
    fold: int
    """The first of them."""
    configurations: int = 1
    """How many configurations these belong to."""


class Predictions(Record):
    """What was predicted for the rows held out, fold after fold."""

    rows: tuple[tuple[int, ...], ...]
    """The rows that each fold held out."""
    outputs: int
    values: bytes
    """float64, configurations x seeds x all rows held out x outputs; NaN where a fit failed, as `undefined` tells."""


class StackResult(Record):
    """What came of a stack. Stacks are numbered on after the configurations, in `summaries` and `undefined`, too."""

    stage: Stacking
    scores: dict[str, tuple[tuple[float | None, ...], ...]]
    """Metric → seed → fold; None where a score is undefined."""
    summaries: tuple[Summary, ...] = ()
    undefined: tuple[Undefined, ...] = ()
    members: tuple[tuple[tuple[int, ...], ...], ...] = ()
    """Seed → division of the rows (a repeat) → configurations that it looks at, learning from all rows."""
    weights: tuple[tuple[tuple[float, ...], ...], ...] = ()
    """The weight of each of these; nothing for a logistic stack, which has coefficients and no weights."""
    left_out: tuple[int, ...] = ()
    """Configurations that it cannot look at, as a fit of theirs failed."""
    predictions: bytes = b""
    """As those of configurations: seeds x all rows held out x outputs; only if they were asked for."""


class Kernel(Record):
    """What one kind of computation took, over all batches."""

    name: str
    calls: int
    seconds: float
    """Summed over the threads that did it."""
    bytes: int = 0
    """At least so many were read and written."""
    operations: int = 0
    """Floating-point operations, where the family counts them."""
    fraction: float = 0.0
    """Share of the speed that the machine was measured to allow: the time at that speed over the time it took."""


class Provenance(Record):
    """How a result came to be; not part of what is compared."""

    library: str = ""
    device: str = ""
    solvers: tuple[str, ...] = ()
    """Libraries that fitted models in our place."""
    seconds: float = 0.0
    memory: int = 0
    """Bytes that the largest batch was planned to take."""
    batches: int = 0
    together: int = 1
    """Jobs that were computed in one go."""
    reused: int = 0
    """Cells that were known from earlier jobs."""
    splits: int = 0
    """Buckets that were cut because they did not fit into memory."""
    halvings: tuple[str, ...] = ()
    """Batches that ran out of memory and were halved."""
    kernels: tuple[Kernel, ...] = ()
    bandwidth: float = 0.0
    """Bytes a second that copying reaches here; 0 where nothing was measured."""
    rate: float = 0.0
    """Operations a second that matrix products reach here."""


class ExperimentResult(Record, tag="experimented"):
    """What came of an experiment."""

    configurations: tuple[dict[str, Any], ...]
    """In the order of the scores, with every default filled in."""
    seeds: tuple[str, ...]
    folds: int
    scores: dict[str, tuple[tuple[tuple[float | None, ...], ...], ...]]
    """Metric → configuration → seed → fold; None where a score is undefined."""
    summaries: tuple[Summary, ...] = ()
    undefined: tuple[Undefined, ...] = ()
    predictions: Predictions | None = None
    provenance: Provenance = Provenance()
    families: tuple[str, ...] = ()
    """The family of each configuration, where there are several."""
    stacks: tuple[StackResult, ...] = ()


class StoredResult(Record, tag="stored"):
    """A result that is too large for a message: the ledger has it as a blob."""

    blob: str


_RESULT: msgspec.msgpack.Decoder[ExperimentResult | StoredResult] = msgspec.msgpack.Decoder(
    ExperimentResult | StoredResult
)
_ENCODER = msgspec.msgpack.Encoder(order="deterministic")


def encode_result(record: ExperimentResult | StoredResult) -> bytes:
    """The canonical bytes of a result."""
    return _ENCODER.encode(record)


def decode_result(data: bytes) -> ExperimentResult | StoredResult:
    """A result from its bytes.

    Raises:
        ValueError: the bytes are no result.
    """
    return _RESULT.decode(data)
