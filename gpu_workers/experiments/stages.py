"""Stacks what the configurations of an experiment predicted, seed by seed and repeat by repeat, and scores it.

Which configurations a fold's prediction is made of, and with which weights, is found on the other folds. Stages that
differ only in how many configurations they look at, and the folds of each, are subsets of one call.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from contracts.experiment_results import ExperimentResult, StackResult, Undefined
from contracts.experiments import ExperimentSpec
from contracts.stacks import Stacking
from gpu_workers.experiments.meter import Meter
from gpu_workers.experiments.prepare import Experiment
from gpu_workers.experiments.results import nested, summaries
from gpu_workers.metrics import METRICS, score
from gpu_workers.metrics import Undefined as Missing
from gpu_workers.stacking import Candidates, Stacked, blend, stack_linear, stack_logistic


@dataclass(kw_only=True)
class _Found:
    """What comes of one stage, filled in unit by unit."""

    scores: dict[str, NDArray[np.float64]]
    """Metric → (seeds, folds)."""
    predictions: NDArray[np.float64]
    """(seeds, all rows held out, outputs)."""
    reasons: dict[tuple[str, str], tuple[int, int]] = field(default_factory=dict)
    """(Metric, why there is no score) → how often, and in which fold first."""
    members: list[list[tuple[int, ...]]] = field(default_factory=list)
    weights: list[list[tuple[float, ...]]] = field(default_factory=list)

    def miss(self, metric: str, reason: str, fold: int) -> None:
        """Note that there is no score."""
        cells, first = self.reasons.get((metric, reason), (0, fold))
        self.reasons[metric, reason] = (cells + 1, first)


class Stages:
    """All stacks of one experiment."""

    def __init__(
        self,
        spec: ExperimentSpec,
        parts: Sequence[Experiment],
        result: ExperimentResult,
        meter: Meter,
        checkpoint: Callable[[], None],
        told: Callable[[int], None],
    ) -> None:
        """`result` has the predictions of all configurations; `told` hears of scored seeds x folds."""
        assert result.predictions is not None  # noqa: S101 (asked for with every stack)
        self.memory = 0
        """Bytes that the largest call was expected to take."""
        self.splits = 0
        """Calls that were cut because they did not fit into memory."""
        self.halvings: list[str] = []
        """Calls that ran out of memory and were halved."""
        self._spec, self._result, self._meter, self._checkpoint, self._told = (
            spec, result, meter, checkpoint, told,
        )  # fmt: skip
        self._arrays = meter.arrays
        first = parts[0]
        self._outputs = first.outputs
        self._folds = [fold.test for fold in first.folds]
        self._starts = np.cumsum([0, *map(len, self._folds)])
        self._repeat = len(self._folds) if spec.folds.kind == "given" else spec.folds.count
        truth = first.data.targets()
        self._truth = truth if spec.target == "multilabel" else np.ascontiguousarray(truth[:, 0])
        lucky = any(part.seeds == spec.seeds for part in parts)
        self._seeds = len(spec.seeds) if lucky else 1
        shape = (len(result.configurations), len(spec.seeds), int(self._starts[-1]), self._outputs)
        self._predicted = np.frombuffer(result.predictions.values, dtype="<f8").reshape(shape)
        scores = np.array(result.scores[spec.metrics[0]], dtype=np.float64)
        sign = -1.0 if METRICS[spec.metrics[0]].direction == "greater" else 1.0
        self._ranked = sign * scores
        """(configurations, seeds, folds): the first metric, the lower the better; NaN where there is none."""
        self._sound = np.flatnonzero(np.isfinite(self._predicted).all(axis=(1, 2, 3)))

    def run(self) -> tuple[StackResult, ...]:
        """What comes of each stage, in their order.

        Raises:
            MemoryError: not even one subset of one stage finds room (CuPy raises its own kind of it).
        """
        shape = (self._seeds, len(self._folds))
        found = [
            _Found(
                scores={metric: np.full(shape, np.nan) for metric in self._spec.metrics},
                predictions=np.full((self._seeds, *self._predicted.shape[2:]), np.nan),
                members=[[] for _ in range(self._seeds)],
                weights=[[] for _ in range(self._seeds)],
            )
            for _ in self._spec.stacks
        ]
        groups: dict[tuple[object, ...], list[int]] = {}
        for number, stage in enumerate(self._spec.stacks):
            groups.setdefault((stage.method, stage.penalty, stage.rounds), []).append(number)
        done = 0
        for seed in range(self._seeds):
            for start in range(0, len(self._folds), self._repeat):
                for numbers in groups.values():
                    self._checkpoint()
                    self._unit(seed, start, numbers, found)
                    done += len(numbers) * self._repeat
                    self._told(done)
        return tuple(self._told_of(number, each) for number, each in enumerate(found))

    def _unit(self, seed: int, start: int, numbers: Sequence[int], found: Sequence[_Found]) -> None:
        """Stages of one method, for one seed and one division of the rows."""
        folds = range(start, start + self._repeat)
        chosen = np.stack([self._chosen(self._spec.stacks[number], seed, folds) for number in numbers])
        subsets, where = np.unique(chosen.reshape(-1, chosen.shape[-1]), axis=0, return_inverse=True)
        where = where.reshape(chosen.shape[:2])
        stage = self._spec.stacks[numbers[0]]
        looked_at = np.flatnonzero(subsets.any(axis=0))
        try:
            stacked = self._stacked(stage, seed, folds, looked_at, subsets[:, looked_at])
        except ValueError as error:
            if len(numbers) > 1:  # what is wrong with one costs the others nothing
                for number in numbers:
                    self._unit(seed, start, [number], found)
                return
            for number in numbers:
                found[number].members[seed].append(())
                found[number].weights[seed].append(())
                for metric in self._spec.metrics:
                    for fold in folds:
                        found[number].miss(metric, str(error), fold)
            return
        predictions = self._arrays.get(stacked.predictions)
        for row, number in enumerate(numbers):
            last = where[row, -1]
            members = looked_at[subsets[last, looked_at]]
            found[number].members[seed].append(tuple(members.tolist()))
            weights: tuple[float, ...] = ()
            if stacked.weights is not None:
                weights = tuple(stacked.weights[last][subsets[last, looked_at]].tolist())
            found[number].weights[seed].append(weights)
            for place, fold in enumerate(folds):
                own = predictions[where[row, place], self._folds[fold]]
                found[number].predictions[seed, self._starts[fold] : self._starts[fold + 1]] = own
        self._score(seed, folds, [found[number] for number in numbers])

    def _chosen(self, stage: Stacking, seed: int, folds: range) -> NDArray[np.bool_]:
        """(folds + 1, configurations): which are looked at for each fold, by the others' scores; at last by all."""
        found = np.zeros((len(folds) + 1, len(self._predicted)), dtype=bool)
        scores = self._ranked[:, seed, folds.start : folds.stop]
        for place in range(len(folds) + 1):
            if not stage.best:
                found[place, self._sound] = True
                continue
            others = np.delete(scores, place, axis=1) if place < len(folds) else scores
            there = ~np.isnan(others)
            sums = np.where(there, others, 0.0).sum(axis=1)
            means = np.where(there.any(axis=1), sums / np.maximum(there.sum(axis=1), 1), np.inf)
            missing = (~there).sum(axis=1)  # a mean over fewer folds is not compared with one over all
            order = self._sound[np.lexsort((means[self._sound], missing[self._sound]))]
            found[place, order[: stage.best]] = True
        return found

    def _stacked(
        self,
        stage: Stacking,
        seed: int,
        folds: range,
        looked_at: NDArray[np.intp],
        subsets: NDArray[np.bool_],
    ) -> Stacked:
        """The subsets' predictions in the order of rows, a few subsets at once as memory allows."""
        n = len(self._truth)
        predictions = np.empty((len(looked_at), n, self._outputs))
        for fold in folds:
            span = slice(self._starts[fold], self._starts[fold + 1])
            predictions[:, self._folds[fold]] = self._predicted[looked_at, seed, span]
        arrays = self._arrays
        if not len(looked_at):
            raise ValueError("no configuration has finite predictions for all rows")
        candidates = Candidates(
            arrays=arrays,
            target=self._spec.target,
            truth=arrays.put(self._truth),
            predictions=arrays.put(predictions),
            folds=tuple(self._folds[fold] for fold in folds),
            checkpoint=self._checkpoint,
        )
        parts, size = len(folds) + 1, predictions.size
        each = 8 * parts * (5 * len(looked_at) ** 2 if stage.method == "linear" else 2 * n * self._outputs)
        shared = (
            8 * size * (4 if stage.method == "linear" else 3 * parts if stage.method == "logistic" else 4)
        )
        fits = max(1, (arrays.held_bytes - shared) // each)
        waiting = [subsets[start : start + fits] for start in range(0, len(subsets), fits)][::-1]
        self.splits += len(waiting) - 1
        self.memory = max(self.memory, shared + each * min(fits, len(subsets)))
        found: list[Stacked] = []
        while waiting:
            some = waiting.pop()
            try:
                # What leaves the numbers is told of as an undefined score, with its reason.
                with (
                    self._meter.measure(f"stack {stage.method}", size=8 * size),
                    np.errstate(over="ignore", invalid="ignore", divide="ignore"),
                ):
                    found.append(self._call(stage, candidates, some))
            except arrays.exhausted:
                if len(some) == 1:
                    raise
                arrays.release()
                middle = (len(some) + 1) // 2
                waiting += [some[middle:], some[:middle]]
                self.halvings.append(
                    f"{len(some)} subsets of a {stage.method} stack became {middle} and the rest"
                )
        weights = [each.weights for each in found if each.weights is not None]
        return Stacked(
            predictions=arrays.xp.concatenate([each.predictions for each in found]),
            fresh=None,
            weights=np.concatenate(weights) if weights else None,
        )

    def _call(self, stage: Stacking, candidates: Candidates, subsets: NDArray[np.bool_]) -> Stacked:
        if stage.method == "logistic":
            return stack_logistic(candidates, subsets, penalty=stage.penalty)
        if stage.method == "blend":
            return blend(candidates, subsets, self._spec.metrics[0], rounds=stage.rounds)
        classes = self._spec.target not in {"regression", "count"}
        return stack_linear(candidates, subsets, sum_to_one=classes)

    def _score(self, seed: int, folds: range, found: Sequence[_Found]) -> None:
        """Score the folds of several stages at once."""
        put = self._arrays.put
        width = max(len(self._folds[fold]) for fold in folds)
        truth = np.zeros((len(found) * len(folds), width, *self._truth.shape[1:]))
        made = np.zeros((len(found) * len(folds), width, self._outputs))
        weights = np.zeros((len(found) * len(folds), width))
        cells = [(each, fold) for each in found for fold in folds]
        for row, (each, fold) in enumerate(cells):
            rows = self._folds[fold]
            truth[row, : len(rows)] = self._truth[rows]
            made[row, : len(rows)] = each.predictions[seed, self._starts[fold] : self._starts[fold + 1]]
            weights[row, : len(rows)] = 1.0
        there: tuple[Any, Any, Any] = (put(truth), put(made), put(weights))
        for metric in self._spec.metrics:
            values = score(metric, *there, self._arrays)
            for (each, fold), value in zip(cells, values, strict=True):
                if isinstance(value, Missing):
                    each.miss(metric, value.reason, fold)
                else:
                    each.scores[metric][seed, fold] = value

    def _told_of(self, number: int, found: _Found) -> StackResult:
        times = len(self._spec.seeds) // self._seeds
        place = len(self._result.configurations) + number
        scores = {name: np.repeat(values, times, axis=0)[None] for name, values in found.scores.items()}
        weighed = self._spec.stacks[number].method != "logistic"
        values = np.repeat(found.predictions, times, axis=0).astype("<f8")
        return StackResult(
            stage=self._spec.stacks[number],
            scores={metric: nested(each)[0] for metric, each in scores.items()},
            summaries=tuple(
                each for metric, all_of in scores.items() for each in summaries(metric, all_of, first=place)
            ),
            undefined=tuple(
                Undefined(metric=metric, reason=reason, cells=times * cells, configuration=place, fold=fold)
                for (metric, reason), (cells, fold) in found.reasons.items()
            ),
            members=tuple(tuple(each) for each in found.members) * times,
            weights=tuple(tuple(each) for each in found.weights) * times if weighed else (),
            left_out=tuple(np.setdiff1d(np.arange(len(self._predicted)), self._sound).tolist()),
            predictions=values.tobytes() if self._spec.predictions else b"",
        )
