"""Penalized logistic and softmax losses of many members, minimized together by Newton's method.

Each step solves its linear system by conjugate gradients, in a basis in which every fold's features are
uncorrelated, so that the diagonal of the second derivative is a good preconditioner. Only products with the
features are formed, one for all members of a fold.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

_SLACK = 1e-4
"""Share of the decrease that a step promises which it has to bring."""
_HALVINGS = 40
_INNER = 200
"""Steps of conjugate gradients in one step of Newton's method."""
_FLAT = 1e-15
"""A step that promises so little, relative to the loss, is the last."""


@dataclass(frozen=True, kw_only=True)
class Losses:
    """What is minimized: Σ w · loss + ½ · penalty · |coefficients|², for folds x places members.

    Shapes: f folds, n rows, p columns of which the last may be the intercept's, k outputs, g places. Places come
    last, as sums over few outputs are quick only along rows of many places.
    """

    xp: Any
    z: Any
    """(f, n, p)."""
    weights: Any
    """(f, n)."""
    truth: Any
    """(1, n, k, 1) of 0 and 1."""
    allowed: Any
    """(f, 1, k, 1): 0 for classes that no training row of the fold has, else 1."""
    penalty: Any
    """(f, 1, 1, g)."""
    penalized: Any
    """(1, p, 1, 1): 0 for the intercept, else 1."""
    softmax: bool

    def places(self, some: Any) -> "Losses":
        """The same for some of the places."""
        return Losses(**{**self.__dict__, "penalty": self.penalty[:, :, :, some]})

    def forward(self, b: Any) -> Any:
        """Scores (f, n, k, g) of coefficients (f, p, k, g)."""
        return _times(self.z, b)

    def value(self, scores: Any, b: Any) -> Any:
        """The losses, (f, g)."""
        xp = self.xp
        if self.softmax:
            masked = xp.where(self.allowed > 0, scores, -xp.inf)
            top = masked.max(axis=2, keepdims=True)
            each = (top + xp.log(xp.exp(masked - top).sum(axis=2, keepdims=True)))[:, :, 0]
            each = each - (scores * self.truth).sum(axis=2)
        else:
            each = xp.maximum(scores, 0) - scores * self.truth + xp.log1p(xp.exp(-xp.abs(scores)))
            each = each.sum(axis=2)
        shrink = (self.penalty * self.penalized * b * b).sum(axis=(1, 2))
        return xp.einsum("fn,fng->fg", self.weights, each) + 0.5 * shrink

    def chances(self, scores: Any) -> Any:
        """Probabilities (f, n, k, g)."""
        return probabilities(scores, self.allowed, softmax=self.softmax, xp=self.xp)

    def gradient(self, chances: Any, b: Any) -> Any:
        """(f, p, k, g)."""
        off = (chances - self.truth) * self.weights[:, :, None, None]
        return _times(self.z.transpose(0, 2, 1), off) + self.penalty * self.penalized * b

    def bends(self, chances: Any) -> Any:
        """What `curvature` weighs rows by, (f, n, k, g)."""
        bent = chances if self.softmax else chances * (1 - chances)
        return bent * self.weights[:, :, None, None]

    def curvature(self, chances: Any, bends: Any, direction: Any) -> Any:
        """The second derivative times a direction, (f, p, k, g)."""
        turned = _times(self.z, direction)
        if self.softmax:
            turned -= (chances * turned).sum(axis=2, keepdims=True)
        turned *= bends
        return _times(self.z.transpose(0, 2, 1), turned) + self.penalty * self.penalized * direction

    def diagonal(self, chances: Any, squares: Any) -> Any:
        """The diagonal of the second derivative, (f, p, k, g), kept above 0; for classes their mean.

        What all classes share is flat but for the penalty, and gradients never point there. With one number for
        all classes a preconditioned direction does not either, which saves most steps.
        """
        bent = chances * (1 - chances) * self.weights[:, :, None, None]
        found = _times(squares, bent)
        if self.softmax:
            found = self.xp.broadcast_to(found.mean(axis=2, keepdims=True), found.shape)
        found = found + self.penalty * self.penalized
        return self.xp.where(found > 0, found, 1.0)


def probabilities(scores: Any, allowed: Any, *, softmax: bool, xp: Any) -> Any:
    """Probabilities of scores (f, n, k, g), without overflow; 0 for classes that are not allowed."""
    if softmax:
        masked = xp.where(allowed > 0, scores, -xp.inf)
        raised = xp.exp(masked - masked.max(axis=2, keepdims=True))
        return raised / raised.sum(axis=2, keepdims=True)
    shrunk = xp.exp(-xp.abs(scores))
    return xp.where(scores >= 0, 1.0, shrunk) / (1.0 + shrunk)


def minimize(
    losses: Losses, places: int, outputs: int, *, tol: float, steps: int, checkpoint: Callable[[], None]
) -> tuple[Any, Any]:
    """Coefficients (f, p, k, g), and which members came to the end, (f, g).

    A member is at its end when every entry of its gradient is at most `tol` times the largest that the rows
    could give that entry, or when a step promises less than rounding.
    """
    xp = losses.xp
    folds, _, p = losses.z.shape
    b = xp.zeros((folds, p, outputs, places))
    ended = xp.zeros((folds, places), dtype=bool)
    squares = (losses.z * losses.z).transpose(0, 2, 1)
    reach = xp.sqrt((squares @ losses.weights[:, :, None]) * losses.weights.sum(axis=1)[:, None, None])
    some = np.arange(places)
    for _ in range(steps):
        checkpoint()
        at = xp.asarray(some)
        part, mine = losses.places(at), b[:, :, :, at]
        scores = part.forward(mine)
        chances = part.chances(scores)
        gradient = part.gradient(chances, mine)
        still = (xp.abs(gradient) > tol * reach[..., None]).any(axis=(1, 2))
        size = xp.sqrt((gradient * gradient).sum(axis=(1, 2)))
        step = _newton_step(part, chances, gradient, squares, still, checkpoint)
        slope = (gradient * step).sum(axis=(1, 2))
        before = part.value(scores, mine)
        still &= (-slope > _FLAT * (xp.abs(before) + 1e-300)) & (size > 0)
        mine, scores = _search(part, mine, scores, step, slope, before, still)
        b[:, :, :, at] = mine
        ended[:, at] = ~still
        some = some[np.array(still.any(axis=0).tolist(), dtype=bool)]
        if not len(some):
            break
    return b, ended


def _newton_step(
    losses: Losses, chances: Any, gradient: Any, squares: Any, still: Any, checkpoint: Callable[[], None]
) -> Any:
    """An approximate solution of (second derivative) · step = -gradient, the closer the smaller the gradient."""
    xp = losses.xp
    active = still[:, None, None]
    inverse = 1.0 / losses.diagonal(chances, squares)
    bends = losses.bends(chances)
    step = xp.zeros_like(gradient)
    residual = xp.where(active, -gradient, 0.0)
    weighted = inverse * residual
    direction = weighted
    now = (residual * weighted).sum(axis=(1, 2), keepdims=True)
    scale = losses.weights.sum(axis=1)[:, None, None, None]
    goal = now * xp.minimum(0.25, xp.sqrt(now / scale)) ** 2
    for index in range(_INNER):
        if index % 8 == 7:
            checkpoint()
        going = now > goal
        if not bool(going.any()):
            break
        turned = losses.curvature(chances, bends, direction)
        bend = (direction * turned).sum(axis=(1, 2), keepdims=True)
        going &= bend > 0
        length = xp.where(going, now / xp.where(going, bend, 1.0), 0.0)
        step = step + length * direction
        residual = residual - length * turned
        weighted = inverse * residual
        after = xp.where(going, (residual * weighted).sum(axis=(1, 2), keepdims=True), now)
        direction = xp.where(going, weighted + after / xp.where(now > 0, now, 1.0) * direction, 0.0)
        goal = xp.where(going, goal, xp.inf)
        now = after
    return step


def _search(
    losses: Losses, b: Any, scores: Any, step: Any, slope: Any, before: Any, still: Any
) -> tuple[Any, Any]:
    """Go along the step as far as it brings what it promises: whole, or halved until it does."""
    xp = losses.xp
    moved = losses.forward(step)
    length = xp.where(still, 1.0, 0.0)
    noise = 4e-16 * xp.abs(before) * losses.z.shape[1] ** 0.5
    for _ in range(_HALVINGS):
        at = length[:, None, None]
        value = losses.value(scores + at * moved, b + at * step)
        bad = still & ~(value <= before + _SLACK * length * slope + noise)
        if not bool(bad.any()):
            break
        length = xp.where(bad, length / 2, length)
    at = length[:, None, None]
    return b + at * step, scores + at * moved


def _times(left: Any, right: Any) -> Any:
    """(f, a, b) times (f, b, k, g), as one product per fold."""
    folds, inner, outputs, places = right.shape
    flat = left @ right.reshape(folds, inner, outputs * places)
    return flat.reshape(folds, left.shape[1], outputs, places)
