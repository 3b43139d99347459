"""An experiment as a TOML file: the specification, and where its data lies."""

import tomllib
from pathlib import Path
from typing import Any

import msgspec

from agents.cli.tables import Columns, read_table
from contracts.datasets import DataSet, check_data
from contracts.experiments import Entry, ExperimentSpec, Folds, Needs, Recipe, check_spec
from contracts.stacks import Stacking

_TABLES: dict[str, Any] = {"recipe": Recipe, "folds": Folds, "needs": Needs}
_LISTS: dict[str, Any] = {"families": Entry, "stacks": Stacking}
_OWN = frozenset({"csv", "columns"})
"""Keys that a specification does not have: they say where the data lies."""


def read_experiment(path: Path) -> tuple[ExperimentSpec, DataSet | None]:
    """A specification that names its data by hash, and the data set if the file has one.

    Raises:
        ValueError: what is wrong with the file, or with the data that it names.
    """
    try:
        found = tomllib.loads(path.read_text())
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} cannot be read: {error}") from error
    except tomllib.TOMLDecodeError as error:
        raise ValueError(f"{path} is not valid TOML: {error}") from error
    known = {*ExperimentSpec.__struct_fields__, *_OWN} - {"data", "kernel"}
    _refuse_unknown(path, "", found, known)
    for name, record in _TABLES.items():
        if isinstance(found.get(name), dict):
            _refuse_unknown(path, f"{name}.", found[name], set(record.__struct_fields__))
    for name, record in _LISTS.items():
        for each in found.get(name) or ():
            if isinstance(each, dict):
                _refuse_unknown(path, f"{name}.", each, set(record.__struct_fields__))
    for name in ("family", "target", "metrics"):
        if name not in found and not (name == "family" and "families" in found):
            raise ValueError(f"{path} has no `{name}`; see docs/experiments.md")
    if ("csv" in found) == ("blob" in found):
        raise ValueError(f"{path} names its data once: by `csv`, a file, or by `blob`, a hash in the ledger")
    own = {name: found.pop(name) for name in list(found) if name in _OWN}
    try:
        spec = msgspec.convert({"blob": "0" * 64, **found}, ExperimentSpec)
        columns = msgspec.convert(own["columns"], Columns) if "columns" in own else None
    except msgspec.ValidationError as error:
        raise ValueError(f"{path}: {error}") from error
    data = None
    if "csv" in own:
        if columns is None:
            raise ValueError(f"{path} has no `[columns]`; say there which column is the `target`")
        data = read_table(path.parent / own["csv"], columns, spec.target)
        check_data(data, spec.target)
        spec = msgspec.structs.replace(spec, blob=data.hash)
    check_spec(spec)
    return spec, data


def _refuse_unknown(path: Path, where: str, found: dict[str, Any], known: set[str]) -> None:
    for name in found:
        if name not in known:
            raise ValueError(
                f"{path} has an unknown key `{where}{name}`; known are {', '.join(sorted(known))}"
            )
