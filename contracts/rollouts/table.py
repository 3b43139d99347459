"""A spec as a person writes it: a table, as TOML has them, in which a list of values means one of each."""

import itertools
import math
import types
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal, TypeVar, get_args, get_origin, get_type_hints

import msgspec

from contracts.record import Record
from contracts.rollouts.environments import Bandit, Environment
from contracts.rollouts.policies import Policy
from contracts.rollouts.records import MEMBERS, RolloutSpec, check

_KEYS = ("environment", "policy", "seeds", "episodes")

R = TypeVar("R", bound=Record)


def spec_from(table: Mapping[str, Any]) -> RolloutSpec:
    """A checked spec from a table.

    `environment` and `policy` are lists of tables, each with its `kind`; a list for what is one value, as in
    `learning_rate = [0.01, 0.03]`, stands for one table with each of them, and several lists for every
    combination. `seeds` is a list of names or a number, which stands for the names "0", "1" …. A bandit with `means`
    and without `arms` has as many arms as means.

    Raises:
        ValueError: a key is unknown, a value is of the wrong kind or out of range, or a pair does not fit.
    """
    if strange := sorted(set(table) - set(_KEYS)):
        raise ValueError(f"{strange[0]!r} is no key of a rollout; it has {', '.join(_KEYS)}")
    spec = RolloutSpec(
        environments=tuple(_records(table, "environment", _kinds(Environment))),
        policies=tuple(_records(table, "policy", _kinds(Policy))),
        seeds=_seeds(table.get("seeds", 1)),
        episodes=_number(table.get("episodes", 100), "episodes"),
    )
    check(spec)
    return spec


def labels(records: Sequence[Environment | Policy]) -> list[str]:
    """A short name for each: its kind, and what is not as it is by default, or not as in others of its kind."""
    found = [" ".join((_kind(record), *_telling(record, records))) for record in records]
    return [
        f"{name} ({found[: number + 1].count(name)})" if found.count(name) > 1 else name
        for number, name in enumerate(found)
    ]


def _telling(record: Environment | Policy, records: Sequence[Environment | Policy]) -> Iterator[str]:
    for field in msgspec.structs.fields(record):
        value = getattr(record, field.name)
        alike = [getattr(other, field.name) for other in records if type(other) is type(record)]
        if value == field.default and all(each == value for each in alike):
            continue
        if not isinstance(value, tuple):
            yield f"{field.name}={value:g}" if isinstance(value, float) else f"{field.name}={value}"
        elif not value:
            yield f"{field.name}=drawn"
        elif any(isinstance(each, str | tuple) for each in value):
            yield f"{field.name}={len(value)} rows"
        else:
            yield f"{field.name}={'×'.join(f'{each:g}' for each in value[:3])}{'…' if len(value) > 3 else ''}"


def _kind(record: Environment | Policy) -> str:
    return str(type(record).__struct_config__.tag)


def _records(table: Mapping[str, Any], key: str, kinds: Mapping[str, type[Any]]) -> Iterator[Any]:
    entries = table.get(key, [])
    if isinstance(entries, Mapping):
        entries = [entries]
    if not isinstance(entries, list) or not entries or not all(isinstance(each, Mapping) for each in entries):
        raise ValueError(f"a rollout needs at least one table [[{key}]]")
    for number, entry in enumerate(entries, 1):
        where = f"[[{key}]] number {number}"
        kind = entry.get("kind")
        if kind is None:
            raise ValueError(f"{where} has no kind; it is one of {', '.join(kinds)}")
        if not isinstance(kind, str) or kind not in kinds:
            raise ValueError(f"{where}: kind = {kind!r} is none of {', '.join(kinds)}")
        yield from _expanded(entry, kinds[kind], where)


def _expanded(entry: Mapping[str, Any], record: type[R], where: str) -> Iterator[R]:
    """A record for every combination of what stands as a list in place of one value."""
    hints = get_type_hints(record)
    if record is Bandit and "arms" not in entry and isinstance(entry.get("means"), list) and entry["means"]:
        entry = {**entry, "arms": len(entry["means"])}
    choices: list[list[tuple[str, Any]]] = []
    for name, value in entry.items():
        if name == "kind":
            continue
        if name not in hints:
            known = ", ".join(record.__struct_fields__) or "none"
            raise ValueError(f"{where}: {name!r} is no setting of {entry['kind']}; it has {known}")
        several = isinstance(value, list) and not _is_tuple(hints[name])
        if several and not value:
            raise ValueError(f"{where}: {name} is an empty list; leave it out to take the default")
        choices.append([(name, each) for each in (value if several else [value])])
    for field in msgspec.structs.fields(record):
        if field.required and field.name not in entry:
            raise ValueError(f"{where}: {entry['kind']} needs {field.name}; see docs/rollouts.md")
    if math.prod(map(len, choices)) > MEMBERS:
        raise ValueError(f"{where}: its lists come to more than {MEMBERS:,} combinations; shorten them")
    for combination in itertools.product(*choices):
        try:
            yield msgspec.convert({"kind": entry["kind"], **dict(combination)}, record)
        except msgspec.ValidationError as error:
            raise ValueError(f"{where}: {_unfit(combination, hints, error)}") from error


def _unfit(given: Sequence[tuple[str, Any]], hints: Mapping[str, Any], error: msgspec.ValidationError) -> str:
    """Which setting is of the wrong kind, and what it takes."""
    words = {int: "a whole number", float: "a number", bool: "true or false", str: "a text"}
    for name, value in given:
        try:
            msgspec.convert(value, hints[name])
        except msgspec.ValidationError:
            if get_origin(hints[name]) is Literal:
                return f"{name} = {value!r} is none of {', '.join(map(str, get_args(hints[name])))}"
            if hints[name] in words:
                return f"{name} = {value!r} is not {words[hints[name]]}"
            return f"{name}: {error}"
    return str(error)


def _is_tuple(hint: Any) -> bool:
    return get_origin(hint) is tuple


def _seeds(value: Any) -> tuple[str, ...]:
    if isinstance(value, list) and all(isinstance(each, str | int) for each in value):
        return tuple(str(each) for each in value)
    count = _number(value, "seeds")
    if not 1 <= count <= 100_000:
        raise ValueError(
            f"seeds = {count} is out of range; it lies between 1 and 100,000, or is a list of names"
        )
    return tuple(str(number) for number in range(count))


def _number(value: Any, name: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise ValueError(f"{name} = {value!r} is no whole number")  # noqa: TRY004 (what a person wrote)
    return value


def _kinds(union: types.UnionType) -> dict[str, type[Any]]:
    return {str(record.__struct_config__.tag): record for record in get_args(union)}
