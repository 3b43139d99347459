"""Computes experiments of several families and with stacks: family by family as others are, then what joins them."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

import msgspec
import numpy as np

from bus import traces
from contracts.datasets import DataSet
from contracts.experiment_results import ExperimentResult, Kernel, Predictions, Provenance
from contracts.experiments import ExperimentSpec, check_spec
from gpu_workers.arrays import Arrays
from gpu_workers.errors import ExperimentFault
from gpu_workers.experiments.compute import Computation, Options, Outcome, Report
from gpu_workers.experiments.meter import Meter
from gpu_workers.experiments.prepare import Experiment, Memo, prepare
from gpu_workers.experiments.stages import Stages

MOST_PREDICTED = 2**30
"""Bytes of predictions that a stack may be made of."""


@dataclass(frozen=True, kw_only=True)
class Ensemble:
    """An experiment that can be computed, as one of each of its families."""

    spec: ExperimentSpec
    parts: tuple[Experiment, ...]

    @property
    def plain(self) -> bool:
        """Whether it is one family and no stack."""
        return not self.spec.families and not self.spec.stacks

    @property
    def steps(self) -> int:
        """What progress counts: fits, and scores of stacks on single folds."""
        return sum(part.cells for part in self.parts) + len(self.spec.stacks) * self.held_out

    @property
    def held_out(self) -> int:
        """Seeds x folds for which a stack is made."""
        return max(len(part.seeds) for part in self.parts) * len(self.parts[0].folds)


def prepare_all(spec: ExperimentSpec, data: DataSet, arrays: Arrays, memo: Memo | None = None) -> Ensemble:
    """Look at everything; arguments as those of `prepare`.

    Raises:
        ValueError: what cannot be computed, and what could.
    """
    check_spec(spec)
    memo = {} if memo is None else memo
    if not spec.families and not spec.stacks:
        return Ensemble(spec=spec, parts=(prepare(spec, data, arrays, memo),))
    parts = []
    for entry in spec.entries:
        own = msgspec.structs.replace(
            spec,
            family=entry.family,
            configurations=entry.configurations,
            grid=entry.grid,
            families=(),
            stacks=(),
            predictions=spec.predictions or bool(spec.stacks),
        )
        parts.append(prepare(own, data, arrays, memo))
    ensemble = Ensemble(spec=spec, parts=tuple(parts))
    rows = sum(len(fold.test) for fold in parts[0].folds)
    if spec.stacks and spec.folds.kind == "given" and rows != data.rows:
        raise ValueError(
            f"`folds.given` holds {rows} of {data.rows} rows out, and stacks need every row; add the others"
        )
    count = sum(len(part.configurations) for part in parts)
    size = 8 * count * len(spec.seeds) * rows * parts[0].outputs
    if spec.stacks and size > MOST_PREDICTED:
        raise ValueError(
            f"stacks of {count} configurations would be made of {size} bytes of predictions; {MOST_PREDICTED} are "
            "allowed: ask for fewer configurations, seeds or repeats"
        )
    return ensemble


@dataclass(kw_only=True)
class Ensembles(Options):
    """One run over several experiments, each of one family or of several."""

    ensembles: Sequence[Ensemble]

    def __post_init__(self) -> None:
        self._owners = [index for index, each in enumerate(self.ensembles) for _ in each.parts]
        """Which ensemble each part belongs to."""
        self._done = [0] * len(self._owners)
        self._begun = time.monotonic()

    def run(self) -> list[Outcome | None]:
        """A result or a fault for every experiment, in their order; None for one that nobody wants any more."""
        self._begun = time.monotonic()
        outcomes = Computation(
            experiments=[part for each in self.ensembles for part in each.parts],
            arrays=self.arrays,
            cache=self.cache,
            budget=self.budget,
            checkpoint=self.checkpoint,
            wanted=lambda part: self.wanted(self._owners[part]),
            listen=self._heard,
            parent=self.parent,
        ).run()
        found: list[Outcome | None] = []
        start = 0
        for index, ensemble in enumerate(self.ensembles):
            own = outcomes[start : start + len(ensemble.parts)]
            start += len(ensemble.parts)
            found.append(own[0] if ensemble.plain else self._whole(index, own))
        return found

    def _heard(self, report: Report) -> None:
        """Tell of a whole experiment what was told of a part."""
        owner = self._owners[report.index]
        self._done[report.index] = report.done
        if self.ensembles[owner].plain:
            self.listen(replace(report, index=owner))
            return
        self._tell(owner, 0, report.memory)

    def _tell(self, index: int, stacked: int, memory: int = 0) -> None:
        fits = sum(done for owner, done in zip(self._owners, self._done, strict=True) if owner == index)
        self.listen(
            Report(
                index=index,
                done=fits + stacked,
                total=self.ensembles[index].steps,
                seconds=time.monotonic() - self._begun,
                memory=memory,
            )
        )

    def _whole(self, index: int, outcomes: Sequence[Outcome | None]) -> Outcome | None:
        ensemble = self.ensembles[index]
        results: list[ExperimentResult] = []
        for part, outcome in zip(ensemble.parts, outcomes, strict=True):
            if isinstance(outcome, ExperimentFault):
                named = f"{part.family.name}: {outcome.reason}" if ensemble.spec.families else outcome.reason
                return ExperimentFault(named, kind=outcome.kind)
            if outcome is None or not self.wanted(index):
                return None
            results.append(outcome)
        merged = _merged(ensemble, results)
        if not ensemble.spec.stacks:
            return merged
        meter = Meter(arrays=self.arrays, parent=traces.current_traceparent() or self.parent)
        stages = Stages(
            ensemble.spec,
            ensemble.parts,
            merged,
            meter,
            self.checkpoint,
            lambda done: self._tell(index, done),
        )
        begun = time.monotonic()
        try:
            stacks = stages.run()
        except self.arrays.exhausted:
            self.arrays.release()
            reason = (
                f"memory does not suffice for a single stack of {len(merged.configurations)} configurations on "
                f"{self.arrays.device}; set `best` to look at fewer, or ask for more by `needs.memory`"
            )
            return ExperimentFault(reason, kind="memory")
        made = merged.provenance
        return msgspec.structs.replace(
            merged,
            stacks=stacks,
            predictions=merged.predictions if ensemble.spec.predictions else None,
            provenance=msgspec.structs.replace(
                made,
                seconds=made.seconds + time.monotonic() - begun,
                memory=max(made.memory, stages.memory),
                splits=made.splits + stages.splits,
                halvings=(*made.halvings, *stages.halvings),
                kernels=(*made.kernels, *meter.kernels.values()),
            ),
        )


def _merged(ensemble: Ensemble, results: Sequence[ExperimentResult]) -> ExperimentResult:
    """One result whose configurations are those of all families, in their order."""
    first = results[0]
    starts = np.cumsum([0, *(len(each.configurations) for each in results)]).tolist()
    shifted = list(zip(starts, results, strict=False))
    predictions = None
    if first.predictions is not None:
        values = b"".join(each.predictions.values for each in results if each.predictions is not None)
        predictions = Predictions(
            rows=first.predictions.rows, outputs=first.predictions.outputs, values=values
        )
    names = tuple(
        part.family.name
        for part, each in zip(ensemble.parts, results, strict=True)
        for _ in each.configurations
    )
    return ExperimentResult(
        configurations=tuple(own for each in results for own in each.configurations),
        seeds=first.seeds,
        folds=first.folds,
        scores={
            metric: tuple(own for each in results for own in each.scores[metric]) for metric in first.scores
        },
        summaries=tuple(
            msgspec.structs.replace(own, configuration=own.configuration + start)
            for metric in first.scores
            for start, each in shifted
            for own in each.summaries
            if own.metric == metric
        ),
        undefined=tuple(
            msgspec.structs.replace(own, configuration=own.configuration + start)
            for start, each in shifted
            for own in each.undefined
        ),
        predictions=predictions,
        provenance=_summed([each.provenance for each in results]),
        families=names if ensemble.spec.families else (),
    )


def _summed(parts: Sequence[Provenance]) -> Provenance:
    """How all parts came to be."""
    kernels: dict[str, Kernel] = {}
    for kernel in (each for part in parts for each in part.kernels):
        before = kernels.get(kernel.name, Kernel(name=kernel.name, calls=0, seconds=0.0))
        seconds = before.seconds + kernel.seconds
        least = before.fraction * before.seconds + kernel.fraction * kernel.seconds
        kernels[kernel.name] = Kernel(
            name=kernel.name,
            calls=before.calls + kernel.calls,
            seconds=seconds,
            bytes=before.bytes + kernel.bytes,
            operations=before.operations + kernel.operations,
            fraction=least / seconds if seconds else 0.0,
        )
    return msgspec.structs.replace(
        parts[0],
        solvers=tuple(dict.fromkeys(solver for part in parts for solver in part.solvers)),
        seconds=sum(part.seconds for part in parts),
        memory=max(part.memory for part in parts),
        batches=sum(part.batches for part in parts),
        together=max(part.together for part in parts),
        reused=sum(part.reused for part in parts),
        splits=sum(part.splits for part in parts),
        halvings=tuple(halving for part in parts for halving in part.halvings),
        kernels=tuple(kernels.values()),
    )
