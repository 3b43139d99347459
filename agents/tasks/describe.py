"""Decoding task.toml and suite.toml: strict, and helpful about what is wrong."""

import difflib
import re
from typing import Any, TypeVar

import msgspec

from agents.tasks.errors import InvalidFileError
from contracts.record import Record
from contracts.tasks import Budget, TestSpec

StructT = TypeVar("StructT", bound=msgspec.Struct)


class TaskFile(Record, frozen=True, forbid_unknown_fields=True):
    """The whole of task.toml; its tables are looked at one by one."""

    id: str
    package: str = ""
    instruction: str = ""
    solution_files: tuple[str, ...] | None = None
    tests: dict[str, Any] = msgspec.field(default_factory=dict)
    hidden_tests: dict[str, Any] | None = None
    budget: dict[str, Any] = msgspec.field(default_factory=dict)


class Mistake(Record, forbid_unknown_fields=True):
    """A text of a right program, which stands there once, and what takes its place."""

    path: str
    right: str
    wrong: str


class Variant(Record, forbid_unknown_fields=True):
    """A task made from a package: the mistakes in it, and what is said about them."""

    instruction: str = ""
    kinds: tuple[str, ...] = ()
    """Kinds of its mistakes, for people and for statistics; the loop does not read them."""
    mistake: tuple[Mistake, ...] = ()


class PackageFile(Record, forbid_unknown_fields=True):
    """The whole of package.toml; its tables are looked at one by one."""

    solution_files: tuple[str, ...] | None = None
    tests: dict[str, Any] = msgspec.field(default_factory=dict)
    budget: dict[str, Any] = msgspec.field(default_factory=dict)
    variant: tuple[Variant, ...] = ()


class SplitTable(Record, frozen=True):
    """The table `[split]` of suite.toml."""

    practice: float = 1.0


class SuiteFile(Record, frozen=True, forbid_unknown_fields=True):
    """The whole of suite.toml; its tables are looked at one by one."""

    name: str = ""
    description: str = ""
    split: dict[str, Any] = msgspec.field(default_factory=dict)
    budget: dict[str, Any] = msgspec.field(default_factory=dict)


def decode_toml(text: str, kind: type[StructT], *, task: str, shown: str) -> StructT:
    """Decode a description. Raises `InvalidFileError`, which names the line or the key."""
    try:
        return msgspec.toml.decode(text, type=kind)
    except msgspec.ValidationError as error:
        unknown = re.match(r"Object contains unknown field `([^`]*)`", str(error))
        message = _unknown_key(unknown[1], kind) if unknown else str(error)
        raise InvalidFileError(message, task=task, path=shown) from None
    except msgspec.DecodeError as error:
        raise InvalidFileError(f"is not valid TOML: {error}", task=task, path=shown) from None


def overlay(base: StructT, table: dict[str, Any], name: str, *, task: str, shown: str) -> StructT:
    """Return `base` with the entries of the table `[name]` put in. Raises `InvalidFileError`."""
    known = msgspec.structs.asdict(base)
    for key in table:
        if key not in known:
            raise InvalidFileError(f"[{name}]: {_unknown_key(key, type(base))}", task=task, path=shown)
    try:
        return msgspec.convert({**known, **table}, type(base))
    except msgspec.ValidationError as error:
        raise InvalidFileError(f"[{name}]: {error}", task=task, path=shown) from None


def merge_budget(base: Budget, table: dict[str, Any], *, task: str, shown: str) -> Budget:
    """Return `base` with what a `[budget]` table changes. Raises `InvalidFileError`."""
    budget = overlay(base, table, "budget", task=task, shown=shown)
    for key in table:
        if getattr(budget, key) < 1:
            raise InvalidFileError(f"[budget]: `{key}` must be 1 or more", task=task, path=shown)
    return budget


def read_spec(base: TestSpec, table: dict[str, Any], name: str, *, task: str, shown: str) -> TestSpec:
    """Return `base` with what `[tests]` or `[hidden_tests]` changes. Raises `InvalidFileError`."""
    spec = overlay(base, table, name, task=task, shown=shown)
    if spec.seconds < 1:
        raise InvalidFileError(f"[{name}]: `seconds` must be 1 or more", task=task, path=shown)
    if spec.runner == "command" and not spec.command:
        raise InvalidFileError(f"[{name}]: the runner `command` needs a `command`", task=task, path=shown)
    return spec


def _unknown_key(key: str, kind: type[msgspec.Struct]) -> str:
    known = [field.encode_name for field in msgspec.structs.fields(kind)]
    near = difflib.get_close_matches(key, known, n=1)
    hint = f"did you mean `{near[0]}`?" if near else f"known are {', '.join(known)}."
    return f"unknown key `{key}`; {hint}"
