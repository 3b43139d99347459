"""Small networks of many members at once, as stacked matrix products, with gradients by hand."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from contracts.rollouts.policies import Matrix


@dataclass(frozen=True, kw_only=True)
class Network:
    """Layers with tanh between them. Parameters of all members lie in one array, members x `count`."""

    sizes: tuple[int, ...]
    """Inputs, the units of the hidden layers, outputs."""
    bias: bool = True

    @property
    def count(self) -> int:
        """Parameters of one member."""
        return sum(outputs * (inputs + self.bias) for inputs, outputs in self._pairs())

    def forward(self, xp: Any, parameters: Any, inputs: Any) -> list[Any]:
        """Inputs (members x features x cases), what every layer makes of them, and last the outputs."""
        found = [inputs]
        layers = list(self._layers(parameters))
        for number, (weights, bias) in enumerate(layers):
            sums = weights @ found[-1]
            if bias is not None:
                sums += bias[:, :, None]
            found.append(xp.tanh(sums) if number + 1 < len(layers) else sums)
        return found

    def backward(self, xp: Any, parameters: Any, found: list[Any], slopes: Any) -> Any:
        """The gradient by every parameter (members x count) of a sum whose slopes by the outputs are given."""
        parts: list[Any] = []
        for number, (weights, bias) in reversed(list(enumerate(self._layers(parameters)))):
            inputs = found[number]
            if bias is not None:
                parts.append(slopes.sum(axis=2))
            parts.append((slopes @ inputs.transpose(0, 2, 1)).reshape(len(weights), -1))
            if number:
                slopes = (weights.transpose(0, 2, 1) @ slopes) * (1 - inputs * inputs)
        return xp.concatenate(parts[::-1], axis=1)

    def scaled(self, drawn: NDArray[np.float64], *, last: float = 1.0) -> NDArray[np.float64]:
        """First parameters from standard normal numbers: weights over the root of their inputs, biases 0.

        The last layer's are `last` times that: near 0, so that a policy begins undecided.
        """
        found = np.zeros_like(drawn)
        for number, (weights, _) in enumerate(self._slices()):
            factor = last if number + 2 == len(self.sizes) else 1.0
            found[:, weights] = drawn[:, weights] * (factor / math.sqrt(self.sizes[number]))
        return found

    def given(self, layers: tuple[Matrix, ...]) -> NDArray[np.float64]:
        """Parameters (count) from rows of weights that end with a bias each."""
        parts: list[NDArray[np.float64]] = []
        for layer in layers:
            rows = np.array(layer, dtype=np.float64)
            parts += [rows[:, :-1].ravel(), rows[:, -1]]
        return np.concatenate(parts)

    def _pairs(self) -> Iterator[tuple[int, int]]:
        return zip(self.sizes, self.sizes[1:], strict=False)

    def _slices(self) -> Iterator[tuple[slice, slice]]:
        """Where each layer's weights and biases lie; without biases the second is empty."""
        start = 0
        for inputs, outputs in self._pairs():
            middle = start + inputs * outputs
            end = middle + outputs * self.bias
            yield slice(start, middle), slice(middle, end)
            start = end

    def _layers(self, parameters: Any) -> Iterator[tuple[Any, Any]]:
        """Weights (members x outputs x inputs) and biases (members x outputs, or None) of every layer."""
        for (weights, bias), (inputs, outputs) in zip(self._slices(), self._pairs(), strict=True):
            stacked = parameters[:, weights].reshape(len(parameters), outputs, inputs)
            yield stacked, parameters[:, bias] if self.bias else None
