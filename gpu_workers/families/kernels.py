"""Kernels: how alike rows are, as `sklearn.metrics.pairwise` has them."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from gpu_workers.families import parameters

DEFAULTS: Mapping[str, Any] = MappingProxyType({"kernel": "rbf", "gamma": None, "degree": 3, "coef0": 1.0})
"""Parameters of a kernel; without a gamma it is 1 / columns."""


def check(family: str, configuration: Mapping[str, Any]) -> None:
    """Raise ValueError for a parameter that is out of range."""
    parameters.choice(family, configuration, "kernel", ("rbf", "polynomial", "linear"))
    check_gamma(family, configuration)
    parameters.whole(family, configuration, "degree", 1, 20)
    parameters.number(family, configuration, "coef0", 0.0)


def check_gamma(family: str, configuration: Mapping[str, Any]) -> None:
    """Raise ValueError unless gamma is a number above 0, or None."""
    if configuration["gamma"] is not None:
        parameters.number(family, configuration, "gamma", 0.0, above=True)


def gamma_of(configuration: Mapping[str, Any], columns: int) -> float:
    """The gamma that is meant."""
    wanted = configuration["gamma"]
    return 1.0 / max(columns, 1) if wanted is None else float(wanted)


def kernel(xp: Any, configuration: Mapping[str, Any], first: Any, second: Any) -> Any:
    """(rows, other rows) from (rows, d) and (other rows, d)."""
    gamma = gamma_of(configuration, first.shape[1])
    match configuration["kernel"]:
        case "rbf":
            # Distances do not change with the origin, and a near one saves digits.
            center = second.mean(axis=0)
            first, second = first - center, second - center
            squares = (first * first).sum(axis=1)[:, None] + (second * second).sum(axis=1)
            distances = xp.maximum(squares - 2 * (first @ second.T), 0.0)
            return xp.exp(-gamma * distances)
        case "polynomial":
            return (gamma * (first @ second.T) + float(configuration["coef0"])) ** int(
                configuration["degree"]
            )
    return first @ second.T
