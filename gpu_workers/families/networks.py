"""Multilayer perceptrons of one shape as one: every product is a stack of products, one for each member."""

import functools
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from gpu_workers.arrays import Arrays
from gpu_workers.families.luck import uniforms

Link: TypeAlias = Literal["identity", "logistic", "softmax", "exp"]

_DECAY, _DECAY_SQUARES, _EPSILON = 0.9, 0.999, 1e-8
"""Adam's constants, as Kingma and Ba give them."""
_LARGEST_LOG = 30.0
"""Logarithms of predicted counts are kept within this distance from 0."""


@dataclass(frozen=True, kw_only=True)
class Shape:
    """Sizes of a network's layers, from the features to the outputs, and its functions."""

    sizes: tuple[int, ...]
    activation: Literal["relu", "tanh"]
    link: Link

    @property
    def layers(self) -> tuple[tuple[int, int], ...]:
        """Rows and columns of each layer's weights; the last row is the bias."""
        return tuple((low + 1, high) for low, high in zip(self.sizes, self.sizes[1:], strict=False))

    @property
    def parameters(self) -> int:
        """Numbers of one member."""
        return sum(rows * columns for rows, columns in self.layers)

    def views(self, flat: Any) -> list[Any]:
        """The layers within (members, parameters), each (members, rows, columns)."""
        found, start = [], 0
        for rows, columns in self.layers:
            stop = start + rows * columns
            found.append(flat[:, start:stop].reshape(len(flat), rows, columns))
            start = stop
        return found

    def start(self, seed: str) -> NDArray[np.float64]:
        """The first parameters of a member: uniform, as Glorot and Bengio scale them; they follow from the seed."""
        parts = []
        for at, (rows, columns) in enumerate(self.layers):
            bound = np.sqrt(6 / (rows - 1 + columns))
            parts.append((2 * uniforms(rows * columns, seed, "weights", at) - 1) * bound)
        return np.concatenate(parts)


@dataclass(kw_only=True)
class Ensemble:
    """Members that are trained together."""

    arrays: Arrays
    shape: Shape
    flat: Any
    """(members, parameters); the layers are views of it."""

    def __post_init__(self) -> None:
        self.xp = self.arrays.xp
        self.layers = self.shape.views(self.flat)
        self.gradient = self.xp.zeros_like(self.flat)
        self.slopes = self.shape.views(self.gradient)
        self.first = self.xp.zeros_like(self.flat)
        self.second = self.xp.zeros_like(self.flat)
        self.steps = np.zeros(len(self.flat))
        self._rooms: dict[tuple[str, int], Any] = {}

    def room(self, name: str, shape: tuple[int, ...], at: int = 0, dtype: Any = None) -> Any:
        """An array that is used again in every step: fresh ones would cost as much as what is computed."""
        size = math.prod(shape)
        held = self._rooms.get((name, at))
        if held is None or held.size < size:
            held = self._rooms[name, at] = self.xp.empty(size, dtype=dtype or self.flat.dtype)
        return held[:size].reshape(shape)

    def keep(self, members: NDArray[np.int64]) -> "Ensemble":
        """An ensemble of some of the members, as far as they are trained."""
        chosen = self.arrays.put(members)
        kept = Ensemble(arrays=self.arrays, shape=self.shape, flat=self.flat[chosen])
        kept.first, kept.second = self.first[chosen], self.second[chosen]
        kept.steps = self.steps[members]
        return kept

    def outputs(self, x: Any) -> Any:
        """Predictions of (members or 1, rows, d + 1) features whose last column is 1: (members, k, rows).

        They are overwritten by the next call.
        """
        return self._linked(self._forward(x)[-1])

    def lengths(self, rates: NDArray[np.float64]) -> Any:
        """What the coming steps of Adam take: (steps, 3, members, 1), from (steps, members) rates on the host.

        A rate is 0 where a member rests.
        """
        moves = rates > 0
        at = np.maximum(self.steps + np.cumsum(moves, axis=0), 1)
        self.steps += moves.sum(axis=0)
        length = rates * np.sqrt(1 - _DECAY_SQUARES**at) / (1 - _DECAY**at)
        factors = np.stack(
            [
                np.where(moves, _DECAY, 1.0),
                np.where(moves, _DECAY_SQUARES, 1.0),
                length * (1 - _DECAY) / np.sqrt(1 - _DECAY_SQUARES),
            ],
            axis=1,
        )
        return self.arrays.put(factors[..., None].astype(self.flat.dtype))

    def learn(self, x: Any, y: Any, weights: Any, penalty: Any, lengths: Any) -> None:
        """One step of Adam on one batch of rows for each member.

        Args:
            x: (members or 1, rows, d + 1) features; the last column is 1.
            y: (members or 1, rows, k) targets, classes as 0 and 1.
            weights: (members or 1, 1, rows), which sum to 1, or are all 0 where a member rests.
            penalty: (members, 1, 1): factor of the weights in their own gradient, biases left out.
            lengths: (3, members, 1): one of those that `lengths` gave.
        """
        xp = self.xp
        inputs = self._forward(x)
        slope = self._linked(inputs.pop())
        slope -= y.transpose(0, 2, 1)
        slope *= weights
        delta = slope.transpose(0, 2, 1)
        for at in range(len(self.layers) - 1, -1, -1):
            layer, below, own = self.layers[at], inputs[at], self.slopes[at]
            self._product(below.transpose(0, 2, 1), delta, own)
            room = self.room("pull", (len(layer), layer.shape[1] - 1, layer.shape[2]))
            _puller(self.arrays)(own[:, :-1], penalty, layer[:, :-1], room)
            if at:
                active = below[:, :, :-1]
                back = layer[:, :-1].transpose(0, 2, 1)
                delta = self._product(delta, back, self.room("delta", active.shape, at))
                if self.shape.activation == "relu":
                    delta *= xp.greater(active, 0, out=self.room("active", active.shape, dtype=bool))
                else:
                    delta *= 1 - active * active
        _stepper(self.arrays)(self.flat, self.gradient, self.first, self.second, *lengths)

    def _forward(self, x: Any) -> list[Any]:
        """What each layer is given, and at last what the outputs are before their link, (members, k, rows)."""
        xp, members, rows = self.xp, len(self.flat), x.shape[1]
        given = [x]
        for at, layer in enumerate(self.layers[:-1]):
            wide = self.room("given", (members, rows, layer.shape[2] + 1), at)
            wide[:, :, -1] = 1
            inner = wide[:, :, :-1]
            self._product(given[-1], layer, inner)
            if self.shape.activation == "relu":
                xp.maximum(inner, 0, out=inner)
            else:
                xp.tanh(inner, out=inner)
            given.append(wide)
        last = self.layers[-1].transpose(0, 2, 1)
        z = self.room("outputs", (members, last.shape[1], rows))
        given.append(self._product(last, given[-1].transpose(0, 2, 1), z))
        return given

    def _product(self, first: Any, second: Any, out: Any) -> Any:
        """The product, in an array whose rows need not follow on each other, which CuPy fills by a copy only."""
        if self.arrays.name == "numpy":
            return np.matmul(first, second, out=out)
        out[...] = self.xp.matmul(first, second)
        return out

    def _linked(self, z: Any) -> Any:
        """Predictions, in place."""
        xp = self.xp
        match self.shape.link:
            case "softmax":
                z -= z.max(axis=1, keepdims=True)
                xp.exp(z, out=z)
                z /= z.sum(axis=1, keepdims=True)
            case "logistic":
                z *= 0.5
                xp.tanh(z, out=z)
                z *= 0.5
                z += 0.5
            case "exp":
                xp.clip(z, -_LARGEST_LOG, _LARGEST_LOG, out=z)
                xp.exp(z, out=z)
            case "identity":
                pass
        return z


@functools.cache
def _puller(arrays: Arrays) -> Callable[..., None]:
    """Adds what pulls weights towards 0 to their gradient."""
    xp = arrays.xp

    def pull(slope: Any, penalty: Any, layer: Any, room: Any) -> None:
        xp.multiply(penalty, layer, out=room)
        slope += room

    return arrays.fuse(pull)


@functools.cache
def _stepper(arrays: Arrays) -> Callable[..., None]:
    """Adam, with both of its means kept without their constant factors, which saves passes; spoils the gradient."""
    xp = arrays.xp
    epsilon = _EPSILON / math.sqrt(1 - _DECAY_SQUARES)

    def step(
        flat: Any, slope: Any, first: Any, second: Any, decay: Any, decay_squares: Any, length: Any
    ) -> None:
        first *= decay
        first += slope
        second *= decay_squares
        slope *= slope
        second += slope
        xp.sqrt(second, out=slope)
        slope += epsilon
        xp.divide(first, slope, out=slope)
        slope *= length
        flat -= slope

    return arrays.fuse(step)
