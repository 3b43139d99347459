"""Divides rows into folds. The luck is counter-based: raw Philox words under a key made of seed and repeat."""

import hashlib
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from contracts.datasets import DataSet
from contracts.experiments import Folds, Split
from contracts.statistics import derive_seed


@dataclass(frozen=True, kw_only=True, eq=False)
class Fold:
    """The rows that a model is fitted to, and those that it is scored on; both ascending."""

    train: NDArray[np.int64]
    test: NDArray[np.int64]

    @cached_property
    def key(self) -> str:
        """A name that follows from the rows alone."""
        digest = hashlib.sha256(len(self.train).to_bytes(8, "big"))
        digest.update(self.train.astype("<i8").tobytes())
        digest.update(self.test.astype("<i8").tobytes())
        return digest.hexdigest()[:32]


def shuffled(rows: int, *key: object) -> NDArray[np.int64]:
    """The numbers from 0 to rows - 1 in an order that follows from the key, on every machine and version."""
    source = np.random.Philox(key=int(derive_seed("shuffle", *key), 16))
    return np.argsort(source.random_raw(rows), kind="stable").astype(np.int64)


def split(data: DataSet, folds: Folds) -> tuple[Fold, ...]:
    """The folds of a data set, repeat after repeat.

    Without shuffling, `k_fold` gives the folds of scikit-learn's `KFold`: runs of rows, the first ones a row
    longer where the count does not divide the rows.

    Raises:
        ValueError: a fold would have no rows on one of its sides, or a given row does not exist.
    """
    if folds.kind == "given":
        return tuple(_given(data.rows, index, each) for index, each in enumerate(folds.given))
    groups = data.group_codes() if folds.kind == "grouped" else None
    if folds.kind == "grouped" and groups is None:
        raise ValueError("grouped folds need a data set whose rows have groups; name the column of groups")
    available = data.rows if groups is None else len(np.unique(groups))
    if available < folds.count:
        what = "rows" if groups is None else "groups"
        raise ValueError(f"{folds.count} folds of {available} {what}: a fold would be empty; ask for fewer")
    found: list[Fold] = []
    for repeat in range(folds.repeats):
        order = shuffled(data.rows, folds.seed, repeat) if folds.shuffle else np.arange(data.rows)
        if groups is not None:
            place = _grouped(groups, order, folds.count)
        elif folds.kind == "stratified":
            place = _dealt(data.targets()[:, 0].astype(np.int64), order, folds.count)
        else:
            place = np.empty(data.rows, dtype=np.int64)
            for index, part in enumerate(np.array_split(order, folds.count)):
                place[part] = index
        found += [_fold(place, index) for index in range(folds.count)]
    return tuple(found)


def _fold(place: NDArray[np.int64], index: int) -> Fold:
    held = place == index
    return Fold(train=np.flatnonzero(~held), test=np.flatnonzero(held))


def _given(rows: int, index: int, wanted: Split) -> Fold:
    test, train = (np.array(sorted(part), dtype=np.int64) for part in (wanted.test, wanted.train))
    if not len(test):
        raise ValueError(f"given fold {index} holds no row out; list the rows of `test`")
    for name, part in (("test", test), ("train", train)):
        if len(part) and (part[0] < 0 or part[-1] >= rows):
            wrong = int(part[0] if part[0] < 0 else part[-1])
            raise ValueError(
                f"given fold {index} names row {wrong} in `{name}`; the data has rows 0 to {rows - 1}"
            )
        if len(np.unique(part)) < len(part):
            raise ValueError(f"given fold {index} names a row twice in `{name}`")
    if not len(train):
        train = np.setdiff1d(np.arange(rows), test)
    if len(both := np.intersect1d(train, test)):
        raise ValueError(f"given fold {index} has row {both[0]} in `train` and in `test`")
    if not len(train):
        raise ValueError(f"given fold {index} leaves no row to fit to; hold fewer out")
    return Fold(train=train, test=test)


def _dealt(labels: NDArray[np.int64], order: NDArray[np.int64], count: int) -> NDArray[np.int64]:
    """Rows dealt out class by class, going round: each fold gets its share of every class to within one row."""
    by_class = order[np.argsort(labels[order], kind="stable")]
    place = np.empty(len(labels), dtype=np.int64)
    place[by_class] = np.arange(len(labels)) % count
    return place


def _grouped(groups: NDArray[np.int32], order: NDArray[np.int64], count: int) -> NDArray[np.int64]:
    """Whole groups to the fold that has fewest rows so far, large groups first; order decides between equals."""
    _, code, sizes = np.unique(groups, return_inverse=True, return_counts=True)
    first = np.full(len(sizes), len(groups))
    np.minimum.at(first, code[order], np.arange(len(groups)))
    load = np.zeros(count, dtype=np.int64)
    home = np.empty(len(sizes), dtype=np.int64)
    for group in np.lexsort((first, -sizes)):
        home[group] = np.argmin(load)
        load[home[group]] += sizes[group]
    return home[code]
