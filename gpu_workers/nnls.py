"""Least squares with coefficients that are not negative, many problems at once."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from gpu_workers.arrays import Arrays

_RIDGE = 1e-13
"""Added to the diagonal, relative to its mean, so that columns that are copies of each other do no harm."""
_FLAT = 1e-11
"""A slope this small against the largest product is no slope."""


def nonnegative(gram: Any, products: Any, allowed: NDArray[np.bool_], arrays: Arrays) -> Any:
    """Minimize |A w - y|^2 over w >= 0 for many problems, by the method of Lawson and Hanson.

    All problems take each step together: a coefficient that would lower the error joins the free ones, the free
    ones are solved for, and those that would go below 0 are set to 0 again.

    Args:
        gram: (problems, c, c): A'A.
        products: (problems, c): A'y.
        allowed: (problems, c) on the host: which coefficients may differ from 0.
        arrays: what holds the arrays, and computes.

    Returns:
        (problems, c), whose error is the smallest to 1e-8, relative.

    Raises:
        ValueError: it does not come to an end.
    """
    xp = arrays.xp
    problems, c = products.shape
    size = xp.sqrt(xp.maximum(xp.diagonal(gram, axis1=1, axis2=2), 0.0))
    size = xp.where(size > 0, size, 1.0)
    # Columns of length 1, so that scales do not matter.
    gram = gram / (size[:, :, None] * size[:, None, :]) + _RIDGE * xp.eye(c)
    products = products / size
    flat = _FLAT * xp.abs(products).max(axis=1)
    may = arrays.put(allowed)
    w, free = xp.zeros((problems, c)), xp.zeros((problems, c), dtype=bool)
    shut, last = xp.zeros((problems, c), dtype=bool), xp.full(problems, -1)
    columns = xp.arange(c)
    done = xp.zeros(problems, dtype=bool)
    for _ in range(10 * c + 10):
        # Problems that came to a solution of their free coefficients look for another one to free.
        slope = xp.where(may & ~free & ~shut, products - xp.einsum("pcd,pd->pc", gram, w), -xp.inf)
        best = slope.argmax(axis=1)
        steep = xp.take_along_axis(slope, best[:, None], axis=1)[:, 0] > flat
        settled = last < 0
        done |= settled & ~steep
        if bool(done.all()):
            break
        joins = settled & steep & ~done
        last = xp.where(joins, best, last)
        free |= joins[:, None] & (columns == best[:, None])
        z = _solved(xp, gram, products, free)
        below = free & (z <= 0)
        reach = xp.where(below, w / xp.where(below & (w > z), w - z, 1.0), 1.0).min(axis=1)
        moves = (~done)[:, None]
        fits = ~below.any(axis=1)
        w = xp.where(moves, xp.where(fits[:, None], z, w + reach[:, None] * (z - w)), w)
        stuck = ~fits & (reach <= 0) & ~done
        shut = xp.where(
            (fits & ~done)[:, None], xp.zeros_like(shut), shut | (stuck[:, None] & (columns == last[:, None]))
        )
        free = xp.where(moves & ~fits[:, None], free & (w > 1e-15) & ~(stuck[:, None] & shut), free)
        w = xp.where(free, w, 0.0)
        last = xp.where(fits | stuck, -1, last)
    else:
        raise ValueError("least squares do not settle, as columns are too much alike; leave some out")
    return w / size


def _solved(xp: Any, gram: Any, products: Any, free: Any) -> Any:
    """The solution of each problem's free coefficients, 0 elsewhere."""
    both = free[:, :, None] & free[:, None, :]
    system = xp.where(both, gram, 0.0) + (~free)[:, :, None] * xp.eye(gram.shape[1])
    return xp.linalg.solve(system, xp.where(free, products, 0.0)[:, :, None])[:, :, 0]
