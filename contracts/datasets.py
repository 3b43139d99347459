"""A table as experiments take it: numbers, categories, targets and groups, as plain bytes, named by their hash."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import msgspec
import numpy as np
from numpy.typing import ArrayLike, NDArray

from contracts.envelope import blob_hash
from contracts.record import Record

Target = Literal["regression", "binary", "multiclass", "multilabel", "count"]
"""What is predicted: a number, yes or no, one of several classes, several yes or no at once, or how many."""

LARGEST = 1e100
"""Numbers of a larger size are refused: sums of their squares are beyond what a float holds."""
INLINE_LIMIT = 512 * 1024
"""Bytes of a data set that may travel inside a job; a larger one goes into the ledger as a blob."""


class DataSet(Record, tag="data_set"):
    """Rows with numeric and categorical features, targets and, where they have them, groups.

    Arrays are little-endian and row by row, so that equal tables are equal bytes on every machine.
    """

    rows: int
    numeric_names: tuple[str, ...] = ()
    numeric: bytes = b""
    """float64, rows x numeric columns; NaN where a value is missing."""
    categorical_names: tuple[str, ...] = ()
    levels: tuple[tuple[str, ...], ...] = ()
    """The values of each categorical column."""
    categorical: bytes = b""
    """int32, rows x categorical columns: which level; -1 where a value is missing."""
    target_names: tuple[str, ...] = ("target",)
    target: bytes = b""
    """float64, rows x target columns; for classes their index."""
    classes: tuple[str, ...] = ()
    """Names of the classes of a binary or multiclass target, by index."""
    groups: bytes = b""
    """int32, one per row, or nothing: rows of one group are never on both sides of a split."""

    @property
    def hash(self) -> str:
        """The name of its blob."""
        return blob_hash(encode_data(self))

    def numbers(self) -> NDArray[np.float64]:
        """Numeric features, rows x columns."""
        return _array(self.numeric, "<f8", self.rows, len(self.numeric_names))

    def codes(self) -> NDArray[np.int32]:
        """Categorical features, rows x columns."""
        return _array(self.categorical, "<i4", self.rows, len(self.categorical_names))

    def targets(self) -> NDArray[np.float64]:
        """Targets, rows x columns."""
        return _array(self.target, "<f8", self.rows, len(self.target_names))

    def group_codes(self) -> NDArray[np.int32] | None:
        """The group of each row, if rows have groups."""
        return _array(self.groups, "<i4", self.rows, 1)[:, 0] if self.groups else None


_DECODER = msgspec.msgpack.Decoder(DataSet)


def encode_data(data: DataSet) -> bytes:
    """The canonical bytes of a data set."""
    return msgspec.msgpack.encode(data)


def decode_data(data: bytes) -> DataSet:
    """A data set from its bytes, with arrays of the lengths that it states.

    Raises:
        ValueError: the bytes are no data set.
    """
    found = _DECODER.decode(data)
    _check_lengths(found)
    return found


def from_arrays(
    features: ArrayLike,
    target: ArrayLike,
    *,
    names: Sequence[str] = (),
    categorical: Mapping[str, Sequence[str | None]] | None = None,
    groups: ArrayLike | None = None,
    classes: Sequence[str] = (),
) -> DataSet:
    """A data set of arrays.

    Args:
        features: numbers, rows x columns; NaN where a value is missing.
        target: one number per row, or rows x columns for several labels; for classes their index.
        names: of the numeric columns; x0, x1, … if left out.
        categorical: further columns of words, None where a value is missing.
        groups: one integer per row.
        classes: names of the classes, by index.

    Raises:
        ValueError: the lengths do not fit.
    """
    numbers = np.asarray(features, dtype="<f8")
    wanted = np.asarray(target, dtype="<f8")
    if numbers.ndim != 2 or wanted.ndim not in {1, 2} or len(numbers) != len(wanted):
        raise ValueError(
            f"features are rows x columns and targets one row for each; these are {numbers.shape} and {wanted.shape}"
        )
    columns = dict(categorical or {})
    levels = tuple(tuple(sorted({v for v in values if v is not None})) for values in columns.values())
    codes = np.full((len(numbers), len(columns)), -1, dtype="<i4")
    for place, (name, values) in enumerate(columns.items()):
        if len(values) != len(numbers):
            raise ValueError(f"column {name} has {len(values)} values for {len(numbers)} rows")
        known = {level: code for code, level in enumerate(levels[place])}
        codes[:, place] = [-1 if value is None else known[value] for value in values]
    width = 1 if wanted.ndim == 1 else wanted.shape[1]
    data = DataSet(
        rows=len(numbers),
        numeric_names=tuple(names) or tuple(f"x{index}" for index in range(numbers.shape[1])),
        numeric=numbers.tobytes(),
        categorical_names=tuple(columns),
        levels=levels,
        categorical=codes.tobytes(),
        target_names=("target",) if width == 1 else tuple(f"target{index}" for index in range(width)),
        target=wanted.tobytes(),
        classes=tuple(classes),
        groups=b"" if groups is None else np.asarray(groups, dtype="<i4").tobytes(),
    )
    _check_lengths(data)
    return data


def outputs(data: DataSet, target: Target) -> int:
    """How many columns a prediction has: classes for a multiclass target, labels for a multilabel one, else 1."""
    if target == "multiclass":
        seen = int(data.targets().max(initial=0)) + 1
        return max(seen, len(data.classes), 2)
    return len(data.target_names) if target == "multilabel" else 1


def check_data(data: DataSet, target: Target, *, names: Sequence[str] = ()) -> None:
    """Look at every value.

    Args:
        data: the data set.
        target: what it is to be used for.
        names: what the target's columns are called where the data set is from, for the messages.

    Raises:
        ValueError: a value cannot be computed with; the message names column and row.
    """
    _check_lengths(data)
    if data.rows < 2:
        raise ValueError(f"the data set has {data.rows or 'no'} row; an experiment needs at least 2")
    if not data.numeric_names and not data.categorical_names:
        raise ValueError("the data set has no features; give it at least one numeric or categorical column")
    numbers = data.numbers()
    if np.isinf(numbers).any():
        row, column = np.argwhere(np.isinf(numbers))[0]
        raise ValueError(
            f"column {data.numeric_names[column]} is infinite in row {row}; leave the value out, or mend it"
        )
    large = np.abs(numbers) > LARGEST
    if large.any():
        row, column = np.argwhere(large)[0]
        raise ValueError(
            f"column {data.numeric_names[column]} is {numbers[row, column]:g} in row {row}; its square would be beyond "
            f"what a float holds, so give it in a unit in which it is below {LARGEST:g}"
        )
    codes = data.codes()
    for place, name in enumerate(data.categorical_names):
        if ((codes[:, place] < -1) | (codes[:, place] >= len(data.levels[place]))).any():
            raise ValueError(f"column {name} names a level that it does not have")
    _check_target(data, target, names or data.target_names)


def _check_target(data: DataSet, target: Target, names: Sequence[str]) -> None:
    values = data.targets()
    if target != "multilabel" and values.shape[1] != 1:
        raise ValueError(f"a {target} target is one column; the data set has {values.shape[1]}")

    def refuse(bad: NDArray[np.bool_], why: str) -> None:
        if bad.any():
            row, column = np.argwhere(bad)[0]
            raise ValueError(f"target {names[column]} is {values[row, column]:g} in row {row}; {why}")

    refuse(~np.isfinite(values), "leave out rows without a target")
    refuse(np.abs(values) > LARGEST, "give it in another unit")
    whole = values == np.floor(values)
    if target in {"binary", "multilabel"}:
        refuse((values != 0) & (values != 1), f"a {target} target is 0 or 1")
    elif target == "multiclass":
        refuse(~whole | (values < 0) | (values >= 10_000), "a multiclass target is an index from 0 to 9999")
        if data.classes and values.max() >= len(data.classes):
            raise ValueError(
                f"the target names class {values.max():g}, but there are {len(data.classes)} classes"
            )
    elif target == "count":
        refuse(~whole | (values < 0), "a count is a whole number from 0")


def _check_lengths(data: DataSet) -> None:
    wanted = {
        "numeric": 8 * data.rows * len(data.numeric_names),
        "categorical": 4 * data.rows * len(data.categorical_names),
        "target": 8 * data.rows * len(data.target_names),
        "groups": 4 * data.rows if data.groups else 0,
    }
    for name, length in wanted.items():
        found = len(getattr(data, name))
        if found != length:
            raise ValueError(f"the data set's {name} has {found} bytes; {data.rows} rows make {length}")
    if len(data.levels) != len(data.categorical_names):
        raise ValueError("every categorical column has its list of levels")
    if data.rows < 0 or not data.target_names:
        raise ValueError("a data set has rows and at least one target column")


def _array(data: bytes, kind: str, rows: int, columns: int) -> NDArray[Any]:
    return np.frombuffer(data, dtype=kind).reshape(rows, columns)
