"""For tests: a device where there is none. NumPy in disguise, which refuses what CuPy refuses.

Arrays of the host do not mix with those of the device: neither in arithmetic, nor as an index, nor in an assignment.
Reductions give arrays without axes. It shows neither what a real device rounds otherwise, nor an array of the device
that is assigned into one of the host without `get`.
"""

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np

from gpu_workers.arrays import Arrays, choose


class HostArray(TypeError):
    """Raised when an array of the host gets in among those of the device."""

    def __init__(self, where: str) -> None:
        super().__init__(f"{where}: an array of the host among those of the device; put it there first")


class DeviceArray(np.ndarray):
    """An array that lies on the device."""

    def get(self) -> Any:
        """The same on the host."""
        return self.view(np.ndarray)

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **options: Any) -> Any:
        return _call(getattr(ufunc, method), ufunc.__name__, inputs, options)

    def __array_function__(self, function: Any, _types: Any, inputs: Any, options: Any) -> Any:
        return _call(function, function.__name__, inputs, options)

    def __getitem__(self, key: Any) -> Any:
        _refuse(key, "an index")
        return super().__getitem__(key)

    def __setitem__(self, key: Any, value: Any) -> None:
        _refuse((key, value), "an assignment")
        super().__setitem__(key, value)

    def __array__(self, *_: Any, **__: Any) -> Any:
        raise HostArray("a conversion")


class Device:
    """The module `cupy`, as far as NumPy can stand in for it."""

    def __getattr__(self, name: str) -> Any:
        found = getattr(np, name)
        if isinstance(found, type) or not callable(found):
            return found
        if name in {"array", "asarray"}:  # the way to the device
            return lambda data, **options: found(_there(data), **options).copy().view(DeviceArray)
        return lambda *inputs, **options: _call(found, name, inputs, options)

    def get_default_memory_pool(self) -> Any:
        """A pool that holds nothing."""
        return self

    def free_all_blocks(self) -> None:
        """Nothing to free."""


def device(host: Arrays, **changes: Any) -> Arrays:
    """A device for tests, made of `choose("numpy")`."""
    return dataclasses.replace(host, name="cupy", xp=Device(), device="a device for tests", **changes)


def devices(host: Arrays) -> list[Arrays]:
    """What a test of a device runs on: the stand-in, and CuPy as well where it can be used."""
    real = choose("")
    return [device(host), *([real] if real.name == "cupy" else [])]


def _call(function: Callable[..., Any], name: str, inputs: Any, options: dict[str, Any]) -> Any:
    _refuse((inputs, tuple(options.values())), name)
    given = {key: _there(value) for key, value in options.items()}
    return _back(function(*map(_there, inputs), **given))


def _refuse(value: Any, where: str) -> None:
    if isinstance(value, list | tuple):
        for each in value:
            _refuse(each, where)
    elif isinstance(value, np.ndarray) and not isinstance(value, DeviceArray):
        raise HostArray(where)


def _there(value: Any) -> Any:
    """What NumPy itself computes with."""
    if isinstance(value, DeviceArray):
        return value.get()
    return type(value)(map(_there, value)) if isinstance(value, list | tuple) else value


def _back(value: Any) -> Any:
    if isinstance(value, tuple):
        return tuple(map(_back, value))
    return np.asarray(value).view(DeviceArray) if isinstance(value, np.ndarray | np.generic) else value
