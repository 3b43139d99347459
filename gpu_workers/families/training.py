"""Trains some networks of a block: batches of rows, epochs, and who stops when."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gpu_workers.experiments.block import Block
from gpu_workers.families.luck import order
from gpu_workers.families.networks import Ensemble, Shape

_AHEAD = 64
"""Batches for which each member's steps are prepared, and brought to the device, at once."""
_TINY = 1e-7
"""Probabilities and means are kept above it in losses."""


@dataclass(frozen=True, kw_only=True)
class Prepared:
    """A block's rows as networks take them."""

    block: Block
    shape: Shape
    dtype: Any
    x: Any
    """(folds * n, d + 1) features; the last column is 1."""
    y: Any
    """(folds * n, k) targets, classes as 0 and 1."""
    level: Any
    """(folds,): what numbers are predicted from, and the unit that they are predicted in."""
    unit: Any
    start: Any
    """(folds,): bias of the outputs before training; of counts, the logarithm of their mean."""
    rows: tuple[NDArray[np.int64], ...]
    """Training rows of every fold, on the host."""

    @staticmethod
    def of(block: Block, shape: Shape) -> "Prepared":
        """Cast, and set the targets to where they are predicted."""
        xp = block.arrays.xp
        first = block.configurations[0]
        dtype = xp.float32 if first["precision"] == "single" else xp.float64
        folds, n, d = block.x.shape
        k = block.outputs
        x = xp.empty((folds * n, d + 1), dtype=dtype)
        with np.errstate(over="ignore"):  # a feature beyond single precision shows in the predictions
            x[:, :-1] = block.x.reshape(folds * n, d)
        x[:, -1] = 1
        y = block.y
        if block.target == "multiclass":
            y = y[:, None] == xp.arange(k)
        y = xp.broadcast_to(y.reshape(1, n, k).astype(xp.float64), (folds, n, k))
        level, unit, start = xp.zeros(folds), xp.ones(folds), xp.zeros(folds)
        weights = (block.train > 0).astype(xp.float64)
        count = xp.maximum(weights.sum(axis=1), 1)
        if block.target == "regression":
            level = (weights * y[:, :, 0]).sum(axis=1) / count
            off = weights * (y[:, :, 0] - level[:, None])
            widest = xp.abs(off).max(axis=1)
            widest = xp.where(widest > 0, widest, 1.0)
            unit = widest * xp.sqrt(xp.square(off / widest[:, None]).sum(axis=1) / count)
            unit = xp.where(unit > 0, unit, 1.0)
            y = (y - level[:, None, None]) / unit[:, None, None]
        elif block.target == "count":
            start = xp.log(xp.maximum((weights * y[:, :, 0]).sum(axis=1) / count, _TINY))
        train = block.arrays.get(block.train) > 0
        return Prepared(
            block=block,
            shape=shape,
            dtype=dtype,
            x=x,
            y=xp.ascontiguousarray(y).reshape(folds * n, k).astype(dtype),
            level=level,
            unit=unit,
            start=start,
            rows=tuple(np.flatnonzero(row) for row in train),
        )

    def taken(self, ensemble: Ensemble, index: Any) -> tuple[Any, Any]:
        """Features and targets of some rows of folds * n, in arrays that are used again."""
        found = []
        for name, source in (("x", self.x), ("y", self.y)):
            if self.block.arrays.name == "numpy":
                room = ensemble.room(name, (*index.shape, source.shape[1]))
                found.append(source.take(index, axis=0, out=room, mode="clip"))
            else:
                found.append(source.take(index, axis=0))
        return found[0], found[1]


def train(data: Prepared, predictions: Any, members: NDArray[np.int64], look: Callable[[], None]) -> None:
    """Train some members of a block together, and write what they predict.

    Args:
        data: the block.
        predictions: (all members, m, k), written to.
        members: which.
        look: called before every batch; ends the training by raising.
    """
    run = _Run(data=data, members=members, look=look)
    run.train()
    predictions[data.block.arrays.put(members)] = run.predicted()


@dataclass(kw_only=True)
class _Run:
    """Some members from their first weights to their last."""

    data: Prepared
    members: NDArray[np.int64]
    look: Callable[[], None]
    pairs: list[tuple[int, str]] = field(init=False)
    """Every fold and seed that occurs; members that share both share their batches."""
    pair: NDArray[np.int64] = field(init=False)
    """(members,): which of them."""
    final: Any = field(init=False)
    """(members, parameters) that predict."""

    def __post_init__(self) -> None:
        block = self.data.block
        own = [(int(block.fold[member]), block.seeds[member]) for member in self.members]
        self.pairs = list(dict.fromkeys(own))
        self.pair = np.array([self.pairs.index(each) for each in own])

    def parameter(self, name: str) -> NDArray[np.float64]:
        """A number of every member's configuration."""
        block = self.data.block
        return np.array([float(block.configurations[member][name]) for member in self.members])

    def train(self) -> None:
        """Go through the epochs until all have stopped."""
        block = self.data.block
        first = block.configurations[0]
        patience = int(first["patience"])
        rows, held = self._sides(float(first["held_back"]) if patience else 0.0)
        rates, penalties, tolerances = map(self.parameter, ("rate", "penalty", "tolerance"))
        ensemble = self._fresh()
        alive = np.arange(len(self.members))
        self.final = ensemble.flat * np.nan if patience else ensemble.flat
        best = np.full(len(alive), np.inf)
        waited = np.zeros(len(alive), dtype=np.int64)
        untold = np.array([not len(part) for part in held])[self.pair]
        for epoch in range(int(first["epochs"])):
            self._epoch(ensemble, rows, epoch, alive, rates[alive], penalties[alive])
            if not patience:
                continue
            loss = np.where(untold[alive], -np.inf, self._loss(ensemble, held, alive))
            before = best[alive]
            better = (loss < before) | untold[alive]
            waited[alive] = np.where(
                untold[alive] | (loss < before - tolerances[alive]), 0, waited[alive] + 1
            )
            best[alive[better]] = loss[better]
            self.final[block.arrays.put(alive[better])] = ensemble.flat[
                block.arrays.put(np.flatnonzero(better))
            ]
            going = waited[alive] < patience
            if not going.any():
                break
            if not going.all():
                ensemble = ensemble.keep(np.flatnonzero(going))
                alive = alive[going]

    def predicted(self) -> Any:
        """(members, m, k) in the units of the targets."""
        block = self.data.block
        xp, put = block.arrays.xp, block.arrays.put
        folds = np.array([fold for fold, _ in self.pairs])
        index = block.test[put(folds)] + put(folds * block.x.shape[1])[:, None]
        if len(self.pairs) > 1:
            index = index[put(self.pair)]
        ensemble = Ensemble(arrays=block.arrays, shape=self.data.shape, flat=self.final)
        found = ensemble.outputs(self.data.x.take(index, axis=0)).transpose(0, 2, 1).astype(xp.float64)
        own = put(folds[self.pair])
        return found * self.data.unit[own][:, None, None] + self.data.level[own][:, None, None]

    def _fresh(self) -> Ensemble:
        """All members with their first weights."""
        block, shape = self.data.block, self.data.shape
        seeds = list(dict.fromkeys(seed for _, seed in self.pairs))
        drawn = np.stack([shape.start(seed) for seed in seeds])
        own = [seeds.index(self.pairs[pair][1]) for pair in self.pair]
        flat = block.arrays.put(drawn[own]).astype(self.data.dtype)
        ensemble = Ensemble(arrays=block.arrays, shape=shape, flat=flat)
        folds = block.arrays.put(np.array([self.pairs[pair][0] for pair in self.pair]))
        ensemble.layers[-1][:, -1] += self.data.start[folds].astype(self.data.dtype)[:, None]
        return ensemble

    def _sides(self, share: float) -> tuple[list[NDArray[np.int64]], list[NDArray[np.int64]]]:
        """Rows to train on and rows held back, of every pair; of a single row none is held back."""
        n = self.data.block.x.shape[1]
        rows, held = [], []
        for fold, seed in self.pairs:
            shuffled = order(self.data.rows[fold], n, seed, "held back")
            count = min(max(round(share * len(shuffled)), 1), len(shuffled) - 1) if share else 0
            held.append(shuffled[:count])
            rows.append(np.sort(shuffled[count:]))
        return rows, held

    def _epoch(
        self,
        ensemble: Ensemble,
        rows: list[NDArray[np.int64]],
        epoch: int,
        alive: NDArray[np.int64],
        rates: NDArray[np.float64],
        penalties: NDArray[np.float64],
    ) -> None:
        """Every row once, in batches."""
        data, put = self.data, self.data.block.arrays.put
        n = data.block.x.shape[1]
        batch = min(int(data.block.configurations[0]["batch"]), max(map(len, rows)))
        shuffled = [
            order(own, n, seed, "epoch", epoch) for own, (_, seed) in zip(rows, self.pairs, strict=True)
        ]
        index, real = (each.reshape(len(rows), -1, batch) for each in self._stacked(shuffled, batch))
        counts = real.sum(axis=2)
        shares = put((real / np.maximum(counts, 1)[:, :, None]).astype(data.dtype))
        index = put(index)
        pair = self.pair[alive] if len(self.pairs) > 1 else np.zeros(1, dtype=np.int64)
        own = put(pair)
        for begun in range(0, counts.shape[1], _AHEAD):
            count = counts[pair, begun : begun + _AHEAD].T
            lengths = ensemble.lengths(rates * (count > 0))
            pull = penalties * (count > 0) / np.maximum(count, 1)
            pulls = put(pull[:, :, None, None].astype(data.dtype))
            for at in range(len(count)):
                self.look()
                chosen, weights = index[:, begun + at], shares[:, begun + at, None]
                if len(self.pairs) > 1:
                    chosen, weights = chosen.take(own, axis=0), weights.take(own, axis=0)
                x, y = data.taken(ensemble, chosen)
                ensemble.learn(x, y, weights, pulls[at], lengths[at])

    def _loss(
        self, ensemble: Ensemble, held: list[NDArray[np.int64]], alive: NDArray[np.int64]
    ) -> NDArray[Any]:
        """The mean loss over the rows held back, (alive,) on the host."""
        data, arrays = self.data, self.data.block.arrays
        index, real = self._stacked(held, 1)
        pair = self.pair[alive] if len(self.pairs) > 1 else np.zeros(1, dtype=np.int64)
        x, y = data.taken(ensemble, arrays.put(index[pair]))
        losses = self._losses(ensemble.outputs(x), y.transpose(0, 2, 1))
        real = real[pair]
        shares = real / np.maximum(real.sum(axis=1), 1)[:, None]
        total: NDArray[Any] = arrays.get((losses * arrays.put(shares)).sum(axis=1))
        return total

    def _losses(self, outputs: Any, y: Any) -> Any:
        """(members, rows) from (members, k, rows)."""
        xp = self.data.block.arrays.xp
        match self.data.shape.link:
            case "identity":
                return (xp.square(outputs - y) / 2).sum(axis=1)
            case "exp":
                return (outputs - y * xp.log(outputs)).sum(axis=1)
            case "softmax":
                return -(y * xp.log(xp.maximum(outputs, _TINY))).sum(axis=1)
        right = xp.where(y > 0, outputs, 1 - outputs)
        return -xp.log(xp.maximum(right, _TINY)).sum(axis=1)

    def _stacked(self, parts: list[NDArray[np.int64]], multiple: int) -> tuple[NDArray[Any], NDArray[Any]]:
        """Rows of every pair as indices into folds * n, padded to a multiple, and which of them are real."""
        n = self.data.block.x.shape[1]
        longest = max(1, *map(len, parts)) if parts else 1
        longest += -longest % multiple
        index = np.zeros((len(parts), longest), dtype=np.int64)
        real = np.zeros(index.shape, dtype=bool)
        for at, (part, (fold, _)) in enumerate(zip(parts, self.pairs, strict=True)):
            index[at] = fold * n
            index[at, : len(part)] += part
            real[at, : len(part)] = True
        return index, real
