"""An experiment as a TOML file: the specification, and where its data lies."""

import tomllib
from pathlib import Path
from typing import Any, Literal, get_args, get_origin, get_type_hints

import msgspec

from agents.cli.tables import Columns, read_table
from contracts.datasets import DataSet, Target, check_data
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
    except OSError as error:
        raise ValueError(f"{path} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is no text in UTF-8") from error
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
    _refuse_unfit(path, found)
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
        check_data(data, spec.target, names=columns.targets)
        spec = msgspec.structs.replace(spec, blob=data.hash)
    check_spec(spec)
    return spec, data


def _refuse_unfit(path: Path, found: dict[str, Any]) -> None:
    """Say in a person's words what decoding would say in its own."""
    choices: dict[str, Any] = {"target": Target}
    for name, record in _TABLES.items():
        hints = get_type_hints(record)
        choices |= {f"{name}.{key}": hint for key, hint in hints.items() if get_origin(hint) is Literal}
    for name, hint in choices.items():
        table, _, key = name.rpartition(".")
        inner = found.get(table, {}) if table else found
        if isinstance(inner, dict) and key in inner and inner[key] not in get_args(hint):
            raise ValueError(f"{path}: {name} = {inner[key]!r} is none of {', '.join(get_args(hint))}")
    for name, record in _LISTS.items():
        hints = {key: hint for key, hint in get_type_hints(record).items() if get_origin(hint) is Literal}
        entries = found.get(name)
        for number, each in enumerate(entries if isinstance(entries, list) else ()):
            for key, hint in hints.items():
                if isinstance(each, dict) and each.get(key, get_args(hint)[0]) not in get_args(hint):
                    raise ValueError(
                        f"{path}: {name}[{number}].{key} = {each[key]!r} is none of {', '.join(get_args(hint))}"
                    )
    if not isinstance(found.get("csv", ""), str):
        raise ValueError(f"{path}: csv = {found['csv']!r} is no file's name")  # noqa: TRY004 (what a person wrote)
    for name in ("metrics", "seeds"):
        if name in found and not _is_words(found[name]):
            raise ValueError(f'{path}: {name} = {found[name]!r} is no list of names, such as ["…"]')
    families = found.get("families", [])
    for entry in (found, *(families if isinstance(families, list) else ())):
        grid = entry.get("grid", {}) if isinstance(entry, dict) else {}
        for name, values in grid.items() if isinstance(grid, dict) else ():
            if not isinstance(values, list):
                raise ValueError(  # noqa: TRY004 (likewise)
                    f"{path}: grid.{name} = {values!r} is one value; a grid wants a list, [{values!r}]"
                )


def _is_words(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(each, str) for each in value)


def _refuse_unknown(path: Path, where: str, found: dict[str, Any], known: set[str]) -> None:
    for name in found:
        if name not in known:
            raise ValueError(
                f"{path} has an unknown key `{where}{name}`; known are {', '.join(sorted(known))}"
            )
