"""The argument head: the next call of a tool of numbers and choices, from earlier calls and their scores."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from agents.models.embedded.page import read
from agents.models.embedded.sample import identity
from contracts.chat import Message, Tool

_EXPLORE = 0.2
"""How often the next call is drawn afresh, whatever the history."""
_SPREAD = 0.15
"""Standard deviation of a change of a number, as a part of its range."""
_SWITCH = 0.15
"""How often a choice of an enumeration is drawn afresh."""


def offered(tool: Tool) -> bool:
    """Whether every parameter of a tool is a bounded number, a Boolean or an enumeration, and it has one."""
    properties = tool.parameters.get("properties", {})
    return bool(properties) and all(map(_is_known, properties.values()))


def _is_known(schema: Any) -> bool:
    if not isinstance(schema, Mapping):
        return False
    if schema.get("enum") or schema.get("type") == "boolean":
        return True
    bounds = (schema.get("minimum"), schema.get("maximum"))
    return schema.get("type") in ("number", "integer") and all(isinstance(b, (int, float)) for b in bounds)


def next_call(tool: Tool, messages: Sequence[Message], noise: str, temperature: float) -> dict[str, Any]:
    """Arguments of the next call of a tool.

    Without scored calls, or once in five times, a uniform draw within the bounds; else one of the earlier
    calls, drawn by the softmax of its standardized score over the temperature, with small random changes.
    """
    properties: dict[str, Mapping[str, Any]] = tool.parameters["properties"]
    tried = _history(tool.name, messages)
    if not tried or _uniform(noise, "explore") < _EXPLORE:
        return {name: _fresh(schema, noise, name) for name, schema in properties.items()}
    start = _chosen([score for _, score in tried], _uniform(noise, "from"), temperature)
    base = tried[start][0]
    return {name: _near(schema, base.get(name), noise, name) for name, schema in properties.items()}


def _uniform(noise: str, what: str) -> float:
    return (identity(f"{noise}\0{what}") + 0.5) / 2.0**64


def _history(name: str, messages: Sequence[Message]) -> list[tuple[dict[str, Any], float]]:
    calls: dict[str, dict[str, Any]] = {}
    tried = []
    for message in messages:
        if message.role == "assistant":
            calls |= {call.id: call.arguments for call in message.tool_calls if call.name == name}
        elif message.role == "tool" and message.tool_call_id in calls:
            score = read(message.content).score
            if score is not None:
                tried.append((calls[message.tool_call_id], score))
    return tried


def _chosen(scores: Sequence[float], uniform: float, temperature: float) -> int:
    mean = sum(scores) / len(scores)
    deviation = math.sqrt(sum((score - mean) ** 2 for score in scores) / len(scores)) or 1.0
    odds = [math.exp(2 * (score - max(scores)) / deviation / temperature) for score in scores]
    left = uniform * sum(odds)
    for index, part in enumerate(odds):
        left -= part
        if left <= 0:
            return index
    return len(odds) - 1


def _choices(schema: Mapping[str, Any]) -> list[Any]:
    return list(schema["enum"]) if schema.get("enum") else [False, True]


def _fresh(schema: Mapping[str, Any], noise: str, name: str) -> Any:
    uniform = _uniform(noise, f"fresh {name}")
    if schema.get("type") not in ("number", "integer") or schema.get("enum"):
        choices = _choices(schema)
        return choices[int(uniform * len(choices))]
    low, high = schema["minimum"], schema["maximum"]
    if schema["type"] == "integer":
        return math.ceil(low) + int(uniform * (math.floor(high) - math.ceil(low) + 1))
    return low + uniform * (high - low)


def _near(schema: Mapping[str, Any], value: Any, noise: str, name: str) -> Any:
    if schema.get("type") not in ("number", "integer") or schema.get("enum"):
        stays = value in _choices(schema) and _uniform(noise, f"switch {name}") >= _SWITCH
        return value if stays else _fresh(schema, noise, name)
    if not isinstance(value, (int, float)):
        return _fresh(schema, noise, name)
    low, high = schema["minimum"], schema["maximum"]
    radius = math.sqrt(-2 * math.log(_uniform(noise, f"radius {name}")))  # Box and Muller
    moved = value + _SPREAD * (high - low) * radius * math.cos(math.tau * _uniform(noise, f"angle {name}"))
    if schema["type"] == "integer":
        return min(math.floor(high), max(math.ceil(low), round(moved)))
    return min(high, max(low, moved))
