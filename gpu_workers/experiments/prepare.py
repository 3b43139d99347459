"""A specification with its data, looked at whole: whatever can be refused is refused before anything is fitted."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import msgspec

from contracts.datasets import DataSet, check_data, outputs
from contracts.experiments import ExperimentSpec, check_spec, expand
from gpu_workers.arrays import Arrays
from gpu_workers.experiments.recipe import Prepared
from gpu_workers.experiments.splits import Fold, split
from gpu_workers.families import FAMILIES
from gpu_workers.families.family import Family
from gpu_workers.metrics import METRICS

_ENCODER = msgspec.msgpack.Encoder(order="deterministic")


@dataclass(frozen=True, kw_only=True)
class Experiment:
    """An experiment that can be computed."""

    spec: ExperimentSpec
    family: Family
    prepared: Prepared
    configurations: tuple[Mapping[str, Any], ...]
    """With every default filled in."""
    names: tuple[str, ...]
    """A hash of each configuration."""
    folds: tuple[Fold, ...]
    seeds: tuple[str, ...]
    """Those that fits are keyed by: one empty one where the family has no luck."""
    problem: str
    """Hash of the data, the target, the recipe and the family: experiments that share it can be stacked."""

    @property
    def data(self) -> DataSet:
        """The data set."""
        return self.prepared.data

    @property
    def outputs(self) -> int:
        """Columns of a prediction."""
        return outputs(self.data, self.spec.target)

    @property
    def cells(self) -> int:
        """Fits that are asked for."""
        return len(self.configurations) * len(self.seeds) * len(self.folds)


Memo: TypeAlias = dict[tuple[Any, ...], Any]
"""Data sets that were looked at, and their folds, so that many jobs on the same data look once."""


def prepare(spec: ExperimentSpec, data: DataSet, arrays: Arrays, memo: Memo | None = None) -> Experiment:
    """Look at everything.

    Args:
        spec: what is asked.
        data: the data set that it names.
        arrays: what will compute it.
        memo: what was found for other experiments; it is added to.

    Raises:
        ValueError: what cannot be computed, and what could.
    """
    check_spec(spec)
    if spec.family not in FAMILIES:
        raise ValueError(f"no family is called {spec.family}; there are {', '.join(FAMILIES)}")
    family = FAMILIES[spec.family]
    for metric in spec.metrics:
        if metric not in METRICS:
            raise ValueError(f"no metric is called {metric}; there are {', '.join(METRICS)}")
        if spec.target not in METRICS[metric].targets:
            fit = ", ".join(each for each, other in METRICS.items() if spec.target in other.targets)
            raise ValueError(f"{metric} does not fit a {spec.target} target; these do: {fit}")
    memo = {} if memo is None else memo
    name = spec.data_hash
    prepared = memo.get((name, spec.target, spec.recipe))
    if prepared is None:
        check_data(data, spec.target)
        prepared = Prepared(data=data, recipe=spec.recipe, arrays=arrays)
        prepared.check()
        memo[name, spec.target, spec.recipe] = prepared
    if (name, spec.folds) not in memo:
        memo[name, spec.folds] = split(data, spec.folds)
    configurations = tuple(expand(spec))
    for configuration in configurations:
        family.check(configuration, spec.target)
    full = tuple({**family.defaults, **configuration} for configuration in configurations)
    names = tuple(hashlib.sha256(_ENCODER.encode(each)).hexdigest()[:32] for each in full)
    if len(set(names)) < len(names):
        double = next(each for each, name in zip(full, names, strict=True) if names.count(name) > 1)
        raise ValueError(f"the configuration {double} is asked for twice, defaults filled in; give it once")
    key = (name, spec.target, spec.recipe, spec.family, spec.kernel, arrays.name)
    return Experiment(
        spec=spec,
        family=family,
        prepared=prepared,
        configurations=full,
        names=names,
        folds=memo[name, spec.folds],
        seeds=spec.seeds if getattr(family, "seeded", True) else ("",),
        problem=hashlib.sha256(_ENCODER.encode(key)).hexdigest(),
    )
