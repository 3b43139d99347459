"""Experiments on one problem laid on top of each other, so that what several ask for is fitted once."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from gpu_workers.experiments.cells import CellCache
from gpu_workers.experiments.planner import Members
from gpu_workers.experiments.prepare import Experiment
from gpu_workers.experiments.splits import Fold

Place: TypeAlias = tuple[int, int, int]
"""Configuration, seed, fold."""


@dataclass(kw_only=True)
class Fitted:
    """What came of a batch, member by member."""

    scores: dict[str, NDArray[np.float64]]
    """Metric → (members,); NaN where there is a reason instead."""
    reasons: dict[tuple[str, int], str]
    """(Metric, member) → why there is no score."""
    predictions: dict[int, NDArray[Any]]
    """Member → (rows held out, outputs), for those that are to be kept."""


class Stack:
    """The union of what experiments of one problem ask for, as arrays over configurations x seeds x folds."""

    def __init__(self, experiments: Sequence[Experiment], cache: CellCache) -> None:
        self.experiments = tuple(experiments)
        self.metrics = tuple(dict.fromkeys(m for each in experiments for m in each.spec.metrics))
        names = _index(name for each in experiments for name in each.names)
        seeds = _index(seed for each in experiments for seed in each.seeds)
        folds = _index(fold.key for each in experiments for fold in each.folds)
        self.names, self.seeds = tuple(names), tuple(seeds)
        known = {
            name: c for each in experiments for name, c in zip(each.names, each.configurations, strict=True)
        }
        self.configurations = tuple(known[name] for name in names)
        rows = {fold.key: fold for each in experiments for fold in each.folds}
        self.folds: tuple[Fold, ...] = tuple(rows[key] for key in folds)
        self._tails = [[f" {seed} {key}" for key in folds] for seed in seeds]
        """What follows a configuration's name in the name of a cell."""
        self.places = [
            np.ix_(
                [names[name] for name in each.names],
                [seeds[seed] for seed in each.seeds],
                [folds[fold.key] for fold in each.folds],
            )
            for each in experiments
        ]
        """Where each experiment's cells stand in the arrays."""
        shape = (len(names), len(seeds), len(folds))
        self.scores = {metric: np.full(shape, np.nan) for metric in self.metrics}
        self.reasons: dict[tuple[str, Place], str] = {}
        self.predictions: dict[Place, NDArray[Any]] = {}
        self.kept = self.asked(place for place, each in enumerate(experiments) if each.spec.predictions)
        """Whose predictions are wanted."""
        self.done = np.zeros(shape, dtype=bool)
        self.reused = np.zeros(shape, dtype=bool)
        """Known from earlier jobs."""
        self._cache = cache
        self._recall()

    def asked(self, places: Iterable[int]) -> NDArray[np.bool_]:
        """The cells that some of the experiments ask for."""
        found = np.zeros((len(self.names), len(self.seeds), len(self.folds)), dtype=bool)
        for place in places:
            found[self.places[place]] = True
        return found

    def missing(self, places: Iterable[int]) -> Members:
        """The fits that some of the experiments ask for and that are still to be made."""
        return np.argwhere(self.asked(places) & ~self.done)

    def take(self, members: Members, fitted: Fitted) -> None:
        """Write down what came of a batch, and remember it for later jobs."""
        at = tuple(members.T)
        for metric, values in fitted.scores.items():
            self.scores[metric][at] = values
        self.done[at] = True
        rows: list[list[int]] = members.tolist()
        names = [self.names[c] + self._tails[s][f] for c, s, f in rows]
        scores: dict[str, dict[str, float | str]] = {
            metric: dict(zip(names, values.tolist(), strict=True)) for metric, values in fitted.scores.items()
        }
        for (metric, index), reason in fitted.reasons.items():
            c, s, f = rows[index]
            self.reasons[metric, (c, s, f)] = scores[metric][names[index]] = reason
        for index, values in fitted.predictions.items():
            c, s, f = rows[index]
            self.predictions[c, s, f] = values
        kept = {names[index]: values for index, values in fitted.predictions.items()}
        self._cache.keep(self.experiments[0].problem, scores, kept)

    def _recall(self) -> None:
        known = self._cache.problem(self.experiments[0].problem)
        if not all(metric in known.scores for metric in self.metrics):
            return
        for c, s, f in np.argwhere(self.asked(range(len(self.experiments)))).tolist():
            name = self.names[c] + self._tails[s][f]
            if not all(name in known.scores[metric] for metric in self.metrics):
                continue
            if self.kept[c, s, f]:
                if name not in known.predictions:
                    continue
                self.predictions[c, s, f] = known.predictions[name]
            self.done[c, s, f] = self.reused[c, s, f] = True
            for metric in self.metrics:
                score = known.scores[metric][name]
                if isinstance(score, str):
                    self.reasons[metric, (c, s, f)] = score
                else:
                    self.scores[metric][c, s, f] = score


def _index(names: Iterable[str]) -> dict[str, int]:
    return {name: index for index, name in enumerate(dict.fromkeys(names))}
