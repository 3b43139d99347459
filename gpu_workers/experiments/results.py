"""Puts an experiment's result together from the cells of its stack."""

from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from contracts.experiment_results import ExperimentResult, Predictions, Provenance, Summary, Undefined
from gpu_workers.experiments.stack import Stack


def assemble(stack: Stack, place: int, provenance: Provenance) -> ExperimentResult:
    """The result of one of a stack's experiments, all of whose cells are done."""
    experiment = stack.experiments[place]
    at = stack.places[place]
    times = len(experiment.spec.seeds) // len(experiment.seeds)  # a family without luck is fitted once
    scores = {
        metric: np.repeat(stack.scores[metric][at], times, axis=1) for metric in experiment.spec.metrics
    }
    reused = int(stack.reused[at].sum())
    return ExperimentResult(
        configurations=tuple(dict(each) for each in experiment.configurations),
        seeds=experiment.spec.seeds,
        folds=len(experiment.folds),
        scores={metric: nested(values) for metric, values in scores.items()},
        summaries=tuple(
            summary for metric, values in scores.items() for summary in summaries(metric, values)
        ),
        undefined=_undefined(stack, place, times),
        predictions=_predictions(stack, place, times) if experiment.spec.predictions else None,
        provenance=msgspec.structs.replace(provenance, reused=reused),
    )


def nested(values: NDArray[np.float64]) -> tuple[tuple[tuple[float | None, ...], ...], ...]:
    """Scores as they are handed on: (configurations, seeds, folds), None for NaN."""
    whole = not np.isnan(values).any()
    return tuple(
        tuple(
            tuple(row) if whole else tuple(None if score != score else score for score in row)  # noqa: PLR0124 (NaN)
            for row in seeds
        )
        for seeds in values.tolist()
    )


def summaries(metric: str, values: NDArray[np.float64], *, first: int = 0) -> list[Summary]:
    """Means and deviations of the scores of configurations (configurations, seeds, folds), numbered from `first`."""
    flat = values.reshape(len(values), -1)
    there = ~np.isnan(flat)
    counts = there.sum(axis=1)
    means = np.where(there, flat, 0.0).sum(axis=1) / np.maximum(counts, 1)
    squares = (np.where(there, flat - means[:, None], 0.0) ** 2).sum(axis=1)
    deviations = np.sqrt(squares / np.maximum(counts - 1, 1))
    return [
        Summary(
            configuration=first + index,
            metric=metric,
            mean=mean if count else None,
            deviation=deviation if count > 1 else None,
            defined=count,
        )
        for index, (mean, deviation, count) in enumerate(
            zip(means.tolist(), deviations.tolist(), counts.tolist(), strict=True)
        )
    ]


def _undefined(stack: Stack, place: int, times: int) -> tuple[Undefined, ...]:
    """Reasons with how often they were given, each with the first cell that it concerns."""
    if not stack.reasons:
        return ()
    experiment = stack.experiments[place]
    rows, columns, folds = (axis.ravel().tolist() for axis in stack.places[place])
    own = {name: index for index, name in enumerate(rows)}
    seeds, held = set(columns), {name: index for index, name in enumerate(folds)}
    found: dict[tuple[str, str], Undefined] = {}
    concerned: dict[tuple[str, str], set[int]] = {}
    for (metric, (c, s, f)), reason in sorted(stack.reasons.items()):
        if metric not in experiment.spec.metrics or c not in own or s not in seeds or f not in held:
            continue
        before = found.get((metric, reason))
        cells = times + (before.cells if before else 0)
        first = before or Undefined(metric=metric, reason=reason, cells=0, configuration=own[c], fold=held[f])
        concerned.setdefault((metric, reason), set()).add(own[c])
        many = len(concerned[metric, reason])
        found[metric, reason] = msgspec.structs.replace(first, cells=cells, configurations=many)
    return tuple(found.values())


def _predictions(stack: Stack, place: int, times: int) -> Predictions:
    experiment = stack.experiments[place]
    rows, columns, folds = (axis.ravel().tolist() for axis in stack.places[place])
    parts: list[NDArray[Any]] = []
    for c in rows:
        for s in columns:
            parts += [np.concatenate([stack.predictions[c, s, f] for f in folds])] * times
    return Predictions(
        rows=tuple(tuple(fold.test.tolist()) for fold in experiment.folds),
        outputs=experiment.outputs,
        values=np.stack(parts).astype("<f8").tobytes(),
    )
