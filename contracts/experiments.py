"""Experiments as jobs: what is to be fitted on which splits of which data.

An experiment fits families of models in many configurations, with every seed, on every fold of the data, and
scores what each predicts for the rows that its fold held out, and what stacks make of these predictions. Its id
is the hash of all that determines the result; how the data travelled and what the job needs of a worker are left
out of it.
"""

import hashlib
import itertools
import math
import re
from collections.abc import Iterator
from typing import Any, Literal

import msgspec

from contracts.datasets import INLINE_LIMIT, DataSet, Target, encode_data
from contracts.record import Record
from contracts.stacks import Stacking, check_stacks

KIND, GPU_KIND = "experiment", "experiment_gpu"
"""Kinds of jobs: those that any worker takes, and those that only a worker with a GPU takes."""
KERNEL = 1
"""Version of the arithmetic: results of another version are not the same job's."""
MOST_CELLS = 5_000_000
"""Fits in one experiment: configurations x seeds x folds."""
LIST_LIMIT = 100_000
"""Configurations, seeds and folds in one experiment, each."""


class Recipe(Record):
    """How features and targets are prepared; whatever is learnt from data is learnt on a fold's training rows."""

    impute: Literal["mean", "median", "zero", "none"] = "mean"
    """What fills gaps in numeric columns; with `none` a gap is an error."""
    indicators: bool = False
    """Whether every numeric column with gaps gets a companion that is 1 where the value is missing."""
    scale: Literal["standard", "minmax", "none"] = "standard"
    """What is done to numeric columns: mean 0 and standard deviation 1, or from 0 to 1. A constant one stays 0."""
    one_hot: bool = True
    """Whether a categorical column becomes a 0-1 column per level; without it such columns are left out. A level that
    no training row has, and a gap, are all zeros."""
    log1p_target: bool = False
    """Whether models are fitted to log(1 + target); predictions are turned back before they are scored."""


class Split(Record):
    """One fold by its rows."""

    test: tuple[int, ...]
    train: tuple[int, ...] = ()
    """Nothing: all rows that are not held out."""


class Folds(Record):
    """How rows are divided into those that a model is fitted to and those that it is scored on."""

    kind: Literal["k_fold", "stratified", "grouped", "given"] = "k_fold"
    count: int = 5
    repeats: int = 1
    """Divisions, each shuffled in its own way; an experiment has `count * repeats` folds."""
    shuffle: bool = True
    seed: str = "0"
    """What shuffling is keyed by."""
    given: tuple[Split, ...] = ()


class Needs(Record):
    """What a worker must have to take the job."""

    gpu: bool = False
    memory: int = 0
    """Bytes of its device (or of the machine, where it has none)."""


class Entry(Record):
    """One of several families of an experiment."""

    family: str
    configurations: tuple[dict[str, Any], ...] = ({},)
    grid: dict[str, tuple[Any, ...]] = {}


class _Single(Record, kw_only=True, tag="experiment"):
    """What an experiment was before there were several families and stacks; ids of such are hashes of this."""

    family: str = ""
    """Left out where there are `families`."""
    metrics: tuple[str, ...]
    target: Target
    data: DataSet | None = None
    """A small data set; a larger one is named by `blob`."""
    blob: str = ""
    """Hash of the data set's blob in the ledger."""
    recipe: Recipe = Recipe()
    configurations: tuple[dict[str, Any], ...] = ({},)
    """Parameters of the family; what is left out has its default."""
    grid: dict[str, tuple[Any, ...]] = {}
    """Values to be combined with each other and with every configuration."""
    folds: Folds = Folds()
    seeds: tuple[str, ...] = ("0",)
    predictions: bool = False
    """Whether the result carries what was predicted for the rows held out."""
    needs: Needs = Needs()
    kernel: int = KERNEL


class ExperimentSpec(_Single, kw_only=True, tag="experiment"):
    """What is to be computed."""

    families: tuple[Entry, ...] = ()
    """Several families, each with its own configurations, in place of `family`."""
    stacks: tuple[Stacking, ...] = ()
    """What is made of all configurations' predictions."""

    @property
    def entries(self) -> tuple[Entry, ...]:
        """Its families, be it one or several."""
        one = Entry(family=self.family, configurations=self.configurations, grid=self.grid)
        return self.families or (one,)

    @property
    def data_hash(self) -> str:
        """Hash of the data set, however it travels."""
        return self.blob if self.data is None else self.data.hash


_SPEC = msgspec.msgpack.Decoder(ExperimentSpec)
_ENCODER = msgspec.msgpack.Encoder(order="deterministic")


def encode_spec(spec: ExperimentSpec) -> bytes:
    """The canonical bytes of a specification."""
    return _ENCODER.encode(spec)


def experiment_id(spec: ExperimentSpec) -> str:
    """The job's identity: SHA-256 over everything that determines the result, in hex.

    Where there are neither `families` nor stacks it is what it was before there could be any.
    """
    entries = [
        msgspec.structs.replace(each, configurations=tuple(expand(each)), grid={}) for each in spec.families
    ]
    canonical = msgspec.structs.replace(
        spec,
        data=None,
        blob=spec.data_hash,
        configurations=tuple(expand(spec)),
        grid={},
        needs=Needs(),
        families=tuple(entries),
    )
    if not spec.families and not spec.stacks:
        values = {name: getattr(canonical, name) for name in _Single.__struct_fields__}
        return hashlib.sha256(_ENCODER.encode(_Single(**values))).hexdigest()
    return hashlib.sha256(_ENCODER.encode(canonical)).hexdigest()


def job_kind(spec: ExperimentSpec) -> str:
    """The queue that the job goes to."""
    return GPU_KIND if spec.needs.gpu else KIND


def expand(spec: ExperimentSpec | Entry) -> Iterator[dict[str, Any]]:
    """Every configuration: each that is listed with every combination of the grid, whose last key runs fastest."""
    names = sorted(spec.grid)
    for listed in spec.configurations:
        for values in itertools.product(*(spec.grid[name] for name in names)):
            yield {**listed, **dict(zip(names, values, strict=True))}


def count_configurations(spec: ExperimentSpec | Entry) -> int:
    """How many `expand` gives."""
    return len(spec.configurations) * math.prod(len(values) for values in spec.grid.values())


def answer_size(spec: ExperimentSpec, rows: int) -> int:
    """Bytes that the predictions in a result take at least, of stacks too; 0 where none are asked for."""
    parts = sum(map(count_configurations, spec.entries)) * spec.predictions + len(spec.stacks)
    return 8 * parts * len(spec.seeds) * spec.folds.repeats * rows


def count_fits(spec: ExperimentSpec) -> int:
    """Configurations of all families x seeds x folds."""
    folds = len(spec.folds.given) or spec.folds.count * spec.folds.repeats
    return sum(map(count_configurations, spec.entries)) * len(spec.seeds) * folds


def decode_spec(data: bytes) -> ExperimentSpec:
    """A specification from its bytes, checked; its data set is not looked into.

    Raises:
        ValueError: the bytes are no specification, or it asks for what cannot be computed.
    """
    spec = _SPEC.decode(data)
    check_spec(spec)
    return spec


def check_spec(spec: ExperimentSpec) -> None:
    """Look at everything but the data, the family's parameters and the metrics' names, which the worker knows.

    Raises:
        ValueError: what is wrong, and what would be right.
    """
    if spec.kernel != KERNEL:
        raise ValueError(
            f"the job asks for version {spec.kernel} of the arithmetic; this is version {KERNEL}"
        )
    if (spec.data is None) == (not spec.blob):
        raise ValueError("an experiment names its data once: inline as `data`, or by the hash of its `blob`")
    if spec.blob and not re.fullmatch(r"[0-9a-f]{64}", spec.blob):
        raise ValueError(f"blob {spec.blob!r} is no SHA-256 in hex")
    if spec.data is not None and len(encode_data(spec.data)) > INLINE_LIMIT:
        raise ValueError(
            f"the data set takes more than {INLINE_LIMIT} bytes; put it into the ledger and give its `blob`"
        )
    _check_list("metrics", spec.metrics)
    _check_list("seeds", spec.seeds)
    _check_families(spec)
    if spec.needs.memory < 0:
        raise ValueError("`needs.memory` is a number of bytes from 0")
    if spec.recipe.log1p_target and spec.target not in {"regression", "count"}:
        raise ValueError(f"`log1p_target` is for regression and count targets, not for {spec.target}")
    _check_folds(spec.folds, spec.target)
    _check_size(spec)
    if spec.stacks:
        _check_list("stacks", spec.stacks)
        check_stacks(spec.stacks, spec.target, sum(map(count_configurations, spec.entries)))
        _check_division(spec.folds)


def _check_families(spec: ExperimentSpec) -> None:
    if bool(spec.family) == bool(spec.families):
        raise ValueError("an experiment names its models once: one `family`, or several `families`")
    if spec.families and (spec.grid or spec.configurations != ({},)):
        raise ValueError(
            "with `families`, `grid` and `configurations` stand in each of them, not beside them"
        )
    names = [each.family for each in spec.families]
    if len(set(names)) < len(names):
        double = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"`families` has {double} twice; put its `configurations` together")
    for entry in spec.entries:
        where = f"{entry.family}: " if spec.families else ""
        if not entry.configurations:
            raise ValueError(f"{where}`configurations` is empty; leave it out to take the family's defaults")
        for name, values in entry.grid.items():
            _check_list(f"{where}grid.{name}", values)
        both = {name for listed in entry.configurations for name in listed if name in entry.grid}
        if both:
            raise ValueError(
                f"{where}{', '.join(sorted(both))} stands in `grid` and in `configurations`; give it once"
            )


def _check_list(name: str, values: tuple[Any, ...]) -> None:
    if not values:
        raise ValueError(f"`{name}` is empty; give at least one")
    if len(values) > LIST_LIMIT:
        raise ValueError(f"`{name}` has {len(values)} entries; {LIST_LIMIT} are allowed")
    seen = [msgspec.msgpack.encode(value) for value in values]
    if len(set(seen)) < len(seen):
        double = next(value for value, code in zip(values, seen, strict=True) if seen.count(code) > 1)
        raise ValueError(f"`{name}` has {double!r} twice")


def _check_folds(folds: Folds, target: Target) -> None:
    if folds.kind == "given":
        if not folds.given:
            raise ValueError("`folds.given` is empty; list at least one split")
        if (folds.count, folds.repeats) != (Folds().count, 1):
            raise ValueError("given folds are what they are: leave out `folds.count` and `folds.repeats`")
        return
    if folds.given:
        raise ValueError(f"`folds.given` goes with kind `given`, not with {folds.kind}")
    if folds.count < 2:
        raise ValueError(f"`folds.count` is {folds.count}; it takes at least 2 folds")
    if folds.repeats < 1:
        raise ValueError(f"`folds.repeats` is {folds.repeats}; it is 1 or more")
    if folds.repeats > 1 and not folds.shuffle:
        raise ValueError(
            "repeats differ only if rows are shuffled: set `folds.shuffle`, or leave `repeats` at 1"
        )
    if folds.kind == "stratified" and target not in {"binary", "multiclass"}:
        raise ValueError(
            f"stratified folds are for binary and multiclass targets, not for {target}; use k_fold"
        )


def _check_division(folds: Folds) -> None:
    rows = sorted(row for each in folds.given for row in each.test)
    if folds.kind == "given" and (len(folds.given) < 2 or rows != list(range(len(rows)))):
        raise ValueError(
            "stacks need at least two folds that together hold every row out once; change `folds.given`, or leave "
            "out `stacks`"
        )


def _check_size(spec: ExperimentSpec) -> None:
    count = sum(map(count_configurations, spec.entries))
    folds = len(spec.folds.given) or spec.folds.count * spec.folds.repeats
    if max(count, folds) > LIST_LIMIT or count_fits(spec) > MOST_CELLS:
        raise ValueError(
            f"{count} configurations x {len(spec.seeds)} seeds x {folds} folds are too many for one experiment "
            f"({MOST_CELLS} fits, {LIST_LIMIT} of each); make several of it"
        )
