"""Fits batches of one problem and scores what they predict."""

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gpu_workers.experiments.block import Block
from gpu_workers.experiments.meter import Meter
from gpu_workers.experiments.moments import Moments
from gpu_workers.experiments.planner import Members, Shape
from gpu_workers.experiments.stack import Fitted, Stack
from gpu_workers.families.family import ClosedForm, Counted
from gpu_workers.metrics import NOT_FINITE, Undefined, score
from gpu_workers.threads import cores, single_blas, spread

_NARROW = 512
"""Columns up to which threads of BLAS mostly wait for each other."""
_WORTH_SPREADING = 500_000
"""Numbers that the members of a batch look at once, from which on threads pay."""


@dataclass(frozen=True, kw_only=True)
class _Rows:
    """Which rows some folds are fitted to and hold out, on the device."""

    train: Any
    test: Any
    tested: Any


@dataclass(kw_only=True)
class Evaluator:
    """Fits members of a stack."""

    stack: Stack
    meter: Meter
    checkpoint: Callable[[], None]
    _prepared: dict[tuple[int, ...], tuple[_Rows, Any]] = field(default_factory=dict)
    """Folds whose features are held: those of the last batch, if the next one has the same."""

    def __post_init__(self) -> None:
        first = self.stack.experiments[0]
        self._experiment = first
        self._family = first.family
        self._arrays = first.prepared.arrays
        put = self._arrays.put
        self._y = put(first.prepared.target)
        truth = first.data.targets()
        self._truth = put(truth if first.spec.target == "multilabel" else np.ascontiguousarray(truth[:, 0]))

    def shape(self, budget: int) -> Shape:
        """What the planner has to know."""
        first = self._experiment
        return Shape(
            family=self._family,
            rows=first.data.rows,
            columns=first.prepared.width,
            outputs=first.outputs,
            held_out=max(len(fold.test) for fold in self.stack.folds),
            budget=budget,
            together=1 if self._arrays.name == "cupy" else cores(),
            formed=not self._has_closed_form or bool(self.stack.kept.any()),
        )

    def forget(self) -> None:
        """Give back the features that are held."""
        self._prepared = {}

    def fit(self, members: Members) -> Fitted:
        """Fit and score; all members are of one bucket.

        Without a GPU the folds are shared out to the cores, unless the family uses all cores itself.

        Raises:
            ValueError: the family cannot be fitted to this.
        """
        parts = self._parts(members)
        wanted = {tuple(np.unique(part[:, 2]).tolist()) for part in parts}
        self._prepared = {folds: held for folds, held in self._prepared.items() if folds in wanted}
        if len(parts) == 1:
            narrow = self._arrays.name == "numpy" and self._experiment.prepared.width <= _NARROW
            with single_blas() if narrow else nullcontext():
                return self._fit(members, self.checkpoint)
        found: list[Fitted | None] = [None] * len(parts)

        def task(index: int) -> Callable[[Callable[[], None]], None]:
            def run(checkpoint: Callable[[], None]) -> None:
                found[index] = self._fit(parts[index], checkpoint)

            return run

        spread([task(index) for index in range(len(parts))], self.checkpoint)
        return _joined([each for each in found if each is not None], [len(part) for part in parts])

    def _is_small(self, members: Members) -> bool:
        """Whether threads, those of BLAS too, would cost more than they bring."""
        looked_at = len(members) * self._experiment.data.rows * self._experiment.prepared.width
        return self._arrays.name == "numpy" and looked_at < _WORTH_SPREADING

    def _parts(self, members: Members) -> list[Members]:
        """The members by folds, a part for each core; whole on a GPU, and where the family uses all cores itself."""
        if self._arrays.name != "numpy" or getattr(self._family, "spreads", False) or self._is_small(members):
            return [members]
        folds = np.unique(members[:, 2])
        groups = np.array_split(folds, min(cores(), len(folds)))
        return [members[np.isin(members[:, 2], group)] for group in groups]

    def _fit(self, members: Members, checkpoint: Callable[[], None]) -> Fitted:
        stack = self.stack
        fitted = Fitted(
            scores={m: np.full(len(members), np.nan) for m in stack.metrics}, reasons={}, predictions={}
        )
        rest = np.arange(len(members))
        if self._closed_form_will_do(members):
            values, sure = self._closed_form(members)
            fitted.scores["rmse"][sure] = values[sure]
            rest = rest[~sure]
        if len(rest):
            self._predict(members, rest, fitted, checkpoint)
        return fitted

    def _closed_form_will_do(self, members: Members) -> bool:
        return self._has_closed_form and not self.stack.kept[tuple(members.T)].any()

    @property
    def _has_closed_form(self) -> bool:
        plain = not self._experiment.spec.recipe.log1p_target and self._experiment.prepared.complete
        return self.stack.metrics == ("rmse",) and isinstance(self._family, ClosedForm) and plain

    def _closed_form(self, members: Members) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
        """RMSE of every member, and whether it is sure."""
        family, arrays = self._family, self._arrays
        assert isinstance(family, ClosedForm)  # noqa: S101 (asked before)
        folds, row = np.unique(members[:, 2], return_inverse=True)
        used, column = np.unique(members[:, 0], return_inverse=True)
        rows = self._rows(folds)
        with _quiet():
            affine = self._experiment.prepared.affine(rows.train)
        if affine is None:
            return np.zeros(len(members)), np.zeros(len(members), dtype=bool)
        chosen = [self.stack.folds[fold] for fold in folds]
        everything = self._experiment.data.rows
        train = None
        if any(len(fold.train) + len(fold.test) < everything for fold in chosen):
            train = _padded([fold.train for fold in chosen])
        moments = Moments(
            arrays=arrays,
            affine=affine,
            y=self._y,
            train=None if train is None else (arrays.put(train[0]), arrays.put(train[1])),
            test=(rows.test, rows.tested),
        )
        n, d = affine.base.shape
        size, operations = 8 * d * (2 * n + rows.tested.size), 2 * d * d * (n + rows.tested.size)
        with self.meter.measure(f"moments {family.name}", size=size, operations=operations), _quiet():
            errors, sure = family.squared_errors(moments, [self.stack.configurations[c] for c in used])
            scores = (errors / rows.tested.sum(axis=1)[:, None]) ** 0.5
            found, certain = arrays.get(scores), arrays.get(sure)
        return found[row, column], certain[row, column] & np.isfinite(found[row, column])

    def _predict(
        self, members: Members, rest: NDArray[np.intp], fitted: Fitted, checkpoint: Callable[[], None]
    ) -> None:
        """Fit the members at these places of the batch, and score what they predict."""
        arrays, xp, stack = self._arrays, self._arrays.xp, self.stack
        some = members[rest]
        folds, fold = np.unique(some[:, 2], return_inverse=True)
        rows, x = self._features(folds)
        block = Block(
            arrays=arrays,
            x=x,
            y=self._y,
            train=rows.train,
            test=rows.test,
            tested=rows.tested,
            target=self._experiment.spec.target,
            outputs=self._experiment.outputs,
            fold=fold,
            seeds=tuple(stack.seeds[index] for index in some[:, 1]),
            configurations=tuple(stack.configurations[index] for index in some[:, 0]),
            checkpoint=checkpoint,
        )
        n, d, m = x.shape[1], x.shape[2], rows.test.shape[1]
        operations = 0
        if isinstance(self._family, Counted):
            operations = self._family.operations(n, d, block.outputs, m, len(some), block.configurations[0])
        size = 8 * (x.size + len(some) * m * block.outputs)
        with self.meter.measure(f"fit {self._family.name}", size=size, operations=operations), _quiet():
            predictions = self._family.fit_predict(block)
            if self._experiment.spec.recipe.log1p_target:
                predictions = xp.expm1(predictions)
        checkpoint()
        at = arrays.put(fold)
        truth, weights = self._truth[rows.test][at], rows.tested[at]
        for metric in stack.metrics:
            with self.meter.measure(f"score {metric}", size=8 * predictions.size):
                found = score(metric, truth, predictions, weights, arrays)
            for index, value in zip(rest.tolist(), found, strict=True):
                if isinstance(value, Undefined):
                    told = getattr(self._family, "unfinished", "") if value.reason == NOT_FINITE else ""
                    fitted.reasons[metric, index] = told or value.reason
                else:
                    fitted.scores[metric][index] = value
        kept = np.flatnonzero(stack.kept[tuple(some.T)])
        if len(kept):
            host = arrays.get(predictions[arrays.put(kept)])
            for place, values in zip(kept.tolist(), host, strict=True):
                count = len(stack.folds[some[place, 2]].test)
                fitted.predictions[int(rest[place])] = np.array(values[:count])

    def _features(self, folds: NDArray[np.int64]) -> tuple[_Rows, Any]:
        wanted = tuple(folds.tolist())
        held = self._prepared.get(wanted)
        if held is None:
            rows = self._rows(folds)
            prepared = self._experiment.prepared
            with (
                self.meter.measure("recipe", size=8 * 2 * len(folds) * prepared.data.rows * prepared.width),
                _quiet(),
            ):
                held = rows, prepared.features(rows.train)
            self._prepared[wanted] = held
        return held

    def _rows(self, folds: NDArray[np.int64]) -> _Rows:
        put = self._arrays.put
        chosen = [self.stack.folds[fold] for fold in folds]
        train = np.zeros((len(chosen), self._experiment.data.rows))
        for row, fold in enumerate(chosen):
            train[row, fold.train] = 1.0
        test, tested = _padded([fold.test for fold in chosen])
        return _Rows(train=put(train), test=put(test), tested=put(tested))


def _joined(parts: list[Fitted], sizes: list[int]) -> Fitted:
    """The outcome of the whole from that of its parts, in order."""
    reasons: dict[tuple[str, int], str] = {}
    predictions: dict[int, NDArray[Any]] = {}
    start = 0
    for part, size in zip(parts, sizes, strict=True):
        reasons |= {(metric, start + index): reason for (metric, index), reason in part.reasons.items()}
        predictions |= {start + index: values for index, values in part.predictions.items()}
        start += size
    scores = {name: np.concatenate([part.scores[name] for part in parts]) for name in parts[0].scores}
    return Fitted(scores=scores, reasons=reasons, predictions=predictions)


def _padded(parts: list[NDArray[np.int64]]) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Indices of different number as one array, padded with 0, and 1.0 where they are indices."""
    width = max(len(part) for part in parts)
    indices, there = np.zeros((len(parts), width), dtype=np.int64), np.zeros((len(parts), width))
    for row, part in enumerate(parts):
        indices[row, : len(part)] = part
        there[row, : len(part)] = 1.0
    return indices, there


def _quiet() -> np.errstate:
    """A fit that leaves the numbers is told of as an undefined score, with its reason."""
    return np.errstate(over="ignore", invalid="ignore", divide="ignore")
