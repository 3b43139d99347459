"""A CSV file as a data set: which columns are numbers, which are words, what is predicted, who belongs together."""

import csv
import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from contracts.datasets import DataSet, Target, from_arrays
from contracts.record import Record

MISSING = frozenset({"", "na", "n/a", "nan", "null", "none", "?"})
"""What stands for a missing value, in any case."""
MOST_LEVELS = 1000
"""Different words in a categorical column."""


class Columns(Record, forbid_unknown_fields=True):
    """What the columns of a table are."""

    target: str | tuple[str, ...]
    """The column to predict; several for a multilabel target."""
    group: str = ""
    """Rows with the same value here stay on one side of a split."""
    categorical: tuple[str, ...] = ()
    """Columns of words, even if they look like numbers."""
    drop: tuple[str, ...] = ()
    """Columns that are left out."""

    @property
    def targets(self) -> tuple[str, ...]:
        """The columns to predict, be it one or several."""
        return (self.target,) if isinstance(self.target, str) else self.target


def read_table(path: Path, columns: Columns, target: Target) -> DataSet:
    """The data set in a CSV file with a line of names.

    A column whose values are all numbers is numeric, any other categorical.

    Raises:
        ValueError: the file cannot be read so; the message names line and column, and says what would do.
    """
    names, rows = _read(path)
    targets = columns.targets
    if target != "multilabel" and len(targets) != 1:
        raise ValueError(f"a {target} target is one column; `columns.target` names {len(targets)}")
    if len(set(targets)) < len(targets):
        double = next(name for name in targets if targets.count(name) > 1)
        raise ValueError(f"`columns.target` names {double} twice; leave one of them out")
    if columns.group in targets:
        raise ValueError(
            f"column {columns.group} is the group and a target as well; name another `columns.group`, or none"
        )
    wanted = (*targets, *columns.categorical, *columns.drop, *([columns.group] if columns.group else []))
    for name in wanted:
        if name not in names:
            raise ValueError(f"{path} has no column {name}; it has {', '.join(names)}")
    by_name = {name: [row[at].strip() for row in rows] for at, name in enumerate(names)}
    left = [name for name in names if name not in {*targets, *columns.drop, columns.group}]
    numeric: dict[str, list[float]] = {}
    words: dict[str, list[str | None]] = {}
    for name in left:
        numbers = None if name in columns.categorical else _numbers(by_name[name])
        if numbers is not None:
            numeric[name] = numbers
            continue
        words[name] = [None if value.lower() in MISSING else value for value in by_name[name]]
        if len(set(words[name])) > MOST_LEVELS:
            raise ValueError(
                f"column {name} has more than {MOST_LEVELS} different words; leave it out by `columns.drop`"
            )
    values, classes = _target(path, targets, by_name, target)
    groups = None
    if columns.group:
        for row, value in enumerate(by_name[columns.group]):
            if value.lower() in MISSING:
                raise ValueError(
                    f"{path} has no group {columns.group} in row {row}; name its group, or leave such rows out"
                )
        _, groups = np.unique(by_name[columns.group], return_inverse=True)
    features = np.array(list(numeric.values())).T if numeric else np.zeros((len(rows), 0))
    return from_arrays(
        features, values, names=tuple(numeric), categorical=words, groups=groups, classes=classes
    )


def _read(path: Path) -> tuple[list[str], list[list[str]]]:
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            lines = [(number, line) for number, line in enumerate(csv.reader(file), 1) if line]
    except OSError as error:
        raise ValueError(f"{path} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is no text in UTF-8; save it as such") from error
    except csv.Error as error:
        raise ValueError(f"{path} cannot be read as CSV: {error}") from error
    if len(lines) < 2:
        raise ValueError(f"{path} has no rows below its line of names")
    names = [name.strip() for name in lines[0][1]]
    if len(set(names)) < len(names):
        double = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"{path} has two columns named {double!r}; give each its own name")
    for number, line in lines[1:]:
        if len(line) != len(names):
            raise ValueError(
                f"line {number} of {path} has {len(line)} values; its first line names {len(names)}"
            )
    return names, [line for _, line in lines[1:]]


def _numbers(values: Sequence[str]) -> list[float] | None:
    """The values as numbers, NaN where one is missing; None if one is a word."""
    found: list[float] = []
    for value in values:
        if value.lower() in MISSING:
            found.append(math.nan)
            continue
        try:
            found.append(float(value))
        except ValueError:
            return None
    return found


def _target(
    path: Path, names: Sequence[str], by_name: dict[str, list[str]], target: Target
) -> tuple[np.ndarray, tuple[str, ...]]:
    for name in names:
        for row, value in enumerate(by_name[name]):
            if value.lower() in MISSING:
                raise ValueError(f"{path} has no target {name} in row {row}; leave such rows out")
    if target in {"binary", "multiclass"}:
        values = by_name[names[0]]
        numbers = _numbers(values)
        order = sorted(set(values), key=lambda v: (0.0, v) if numbers is None else (float(v), v))
        if len(order) < 2 or (target == "binary" and len(order) > 2):
            wanted = "two" if target == "binary" else "at least two"
            has = f"{len(order)} different values" if len(order) > 1 else f"the one value {order[0]!r}"
            raise ValueError(f"target {names[0]} has {has}; a {target} target has {wanted}")
        code = {value: index for index, value in enumerate(order)}
        return np.array([code[value] for value in values], dtype=float), tuple(order)
    found = []
    for name in names:
        numbers = _numbers(by_name[name])
        if numbers is None:
            raise ValueError(f"target {name} has words in it; a {target} target is numbers")
        found.append(numbers)
    return (np.array(found[0]) if target != "multilabel" else np.array(found).T), ()
