"""Peers that stack fits as we do, written with JAX (`vmap`) and PyTorch (batched products), where they can be imported.

Each is compiled and warmed up before it is timed, on the device that the library takes by itself: a GPU where it
finds one. Ridge has one eigendecomposition for each fold and then all penalties; networks train as ours do,
with Adam, the same rates, penalties, sizes of batches and epochs, in single precision.
"""

from collections.abc import Callable, Mapping, Sequence
from importlib.util import find_spec
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.gpu_workers.case import Warmed

Peers = dict[str, Callable[[], Any]]
Parts = Sequence[tuple[NDArray[Any], NDArray[Any]]]
"""Rows that train and rows that are held out, for each fold."""
UNITS, BATCH, CLASSES = 32, 200, 10
FIRST, SECOND, SMALL = 0.9, 0.999, 1e-8
"""Adam's."""


def ridge(
    x: NDArray[Any], y: NDArray[Any], folds: Parts, alphas: Sequence[float]
) -> tuple[Peers, Mapping[str, str]]:
    """RMSE, penalties x folds, by each library that can be imported; and why the others cannot."""  # fmt: skip
    return _at_hand(
        {"JAX": lambda: _ridge_jax(x, y, folds, alphas), "PyTorch": lambda: _ridge_torch(x, y, folds, alphas)}
    )


def networks(
    x: NDArray[Any], y: NDArray[Any], folds: Parts, configurations: Sequence[Mapping[str, float]], epochs: int
) -> tuple[Peers, Mapping[str, str]]:
    """One hidden layer of `UNITS`, every configuration on every fold; and why a library cannot."""
    ways: dict[str, Callable[[Any], Callable[[], Any]]] = {"JAX": _networks_jax, "PyTorch": _networks_torch}
    work = _Work(x, y, folds, configurations, epochs)
    return _at_hand({name: lambda way=way: way(work) for name, way in ways.items()})  # type: ignore[misc]


def _at_hand(ways: Mapping[str, Callable[[], Callable[[], Any]]]) -> tuple[Peers, Mapping[str, str]]:
    modules = {"JAX": "jax", "PyTorch": "torch"}
    there = {name: way for name, way in ways.items() if find_spec(modules[name])}
    missing = {name: "not installed" for name in ways if name not in there}
    return {name: Warmed(way) for name, way in there.items()}, missing


class _Work:
    """Networks to be trained: members are configurations x folds; folds have as many rows as the smallest."""

    def __init__(self, x: Any, y: Any, folds: Parts, configurations: Any, epochs: int) -> None:
        self.x, self.y, self.epochs = x.astype(np.float32), y.astype(np.int32), epochs
        rows = min(len(train) for train, _ in folds)
        self.rows = np.array([train[:rows] for train, _ in folds], dtype=np.int32)
        self.steps = -(-rows // BATCH)
        self.fold = np.tile(np.arange(len(folds), dtype=np.int32), len(configurations))
        repeat = len(folds)
        self.rate = np.repeat([each["rate"] for each in configurations], repeat).astype(np.float32)
        self.penalty = np.repeat([each["penalty"] for each in configurations], repeat).astype(np.float32)
        rng = np.random.default_rng(0)
        order = np.array([rng.permutation(rows) for _ in range(epochs)], dtype=np.int32)
        spare = self.steps * BATCH - rows
        self.order = np.pad(order, ((0, 0), (0, spare))).reshape(epochs * self.steps, BATCH)
        there = np.pad(np.ones((epochs, rows), dtype=np.float32), ((0, 0), (0, spare)))
        self.there = there.reshape(epochs * self.steps, BATCH)
        bound, top = (6 / (x.shape[1] + UNITS)) ** 0.5, (6 / (UNITS + CLASSES)) ** 0.5
        self.first = (
            rng.uniform(-bound, bound, (x.shape[1], UNITS)).astype(np.float32),
            np.zeros(UNITS, dtype=np.float32),
            rng.uniform(-top, top, (UNITS, CLASSES)).astype(np.float32),
            np.zeros(CLASSES, dtype=np.float32),
        )


def _networks_jax(work: _Work) -> Callable[[], Any]:
    import jax
    import jax.numpy as jnp

    x, y, order, there = map(jnp.asarray, (work.x, work.y, work.order, work.there))

    def loss(weights: Any, inputs: Any, targets: Any, live: Any, penalty: Any) -> Any:
        w1, b1, w2, b2 = weights
        found = jax.nn.log_softmax(jax.nn.relu(inputs @ w1 + b1) @ w2 + b2)
        right = jnp.take_along_axis(found, targets[:, None], axis=1)[:, 0]
        return (0.5 * penalty * ((w1**2).sum() + (w2**2).sum()) - (right * live).sum()) / live.sum()

    def train(rate: Any, penalty: Any, rows: Any) -> Any:
        def step(state: Any, taken: Any) -> Any:
            weights, first, second, count = state
            chosen, live = taken
            at = rows[chosen]
            slopes = jax.grad(loss)(weights, x[at], y[at], live, penalty)
            count = count + 1
            first = jax.tree.map(lambda m, g: FIRST * m + (1 - FIRST) * g, first, slopes)
            second = jax.tree.map(lambda v, g: SECOND * v + (1 - SECOND) * g * g, second, slopes)
            size = rate * jnp.sqrt(1 - SECOND**count) / (1 - FIRST**count)
            weights = jax.tree.map(
                lambda w, m, v: w - size * m / (jnp.sqrt(v) + SMALL), weights, first, second
            )
            return (weights, first, second, count), None

        start = tuple(map(jnp.asarray, work.first))
        zero = jax.tree.map(jnp.zeros_like, start)
        (weights, *_), _ = jax.lax.scan(step, (start, zero, zero, jnp.float32(0)), (order, there))
        w1, b1, w2, b2 = weights
        return (jax.nn.relu(x @ w1 + b1) @ w2 + b2).argmax(axis=1)

    fit = jax.jit(jax.vmap(train))
    rates, penalties, rows = map(jnp.asarray, (work.rate, work.penalty, work.rows[work.fold]))

    def call() -> None:
        jax.block_until_ready(fit(rates, penalties, rows))

    return call


def _networks_torch(work: _Work) -> Callable[[], Any]:
    import torch

    device = "cuda" if torch.cuda.is_available() else "cpu"
    x, y, order, there, rate, penalty, rows = (
        torch.as_tensor(each, device=device)
        for each in (
            work.x, work.y.astype(np.int64), work.order.astype(np.int64), work.there, work.rate, work.penalty,
            work.rows[work.fold].astype(np.int64),
        )
    )  # fmt: skip
    members = len(work.fold)

    def call() -> None:
        weights = [
            torch.as_tensor(each, device=device).expand(members, *each.shape).clone().requires_grad_()
            for each in (work.first[0], work.first[1][None], work.first[2], work.first[3][None])
        ]
        first = [torch.zeros_like(each) for each in weights]
        second = [torch.zeros_like(each) for each in weights]
        for count, (chosen, live) in enumerate(zip(order, there, strict=True), start=1):
            at = rows[:, chosen]
            w1, b1, w2, b2 = weights
            found = torch.log_softmax(torch.relu(x[at] @ w1 + b1) @ w2 + b2, dim=2)
            right = found.gather(2, y[at][:, :, None])[:, :, 0]
            squares = (w1**2).sum(dim=(1, 2)) + (w2**2).sum(dim=(1, 2))
            loss = (0.5 * penalty * squares - (right * live).sum(dim=1)) / live.sum()
            slopes = torch.autograd.grad(loss.sum(), weights)
            size = (rate * (1 - SECOND**count) ** 0.5 / (1 - FIRST**count))[:, None, None]
            with torch.no_grad():
                for weight, slope, m, v in zip(weights, slopes, first, second, strict=True):
                    m.mul_(FIRST).add_(slope, alpha=1 - FIRST)
                    v.mul_(SECOND).addcmul_(slope, slope, value=1 - SECOND)
                    weight.sub_(size * m / (v.sqrt() + SMALL))
        if device == "cuda":
            torch.cuda.synchronize()

    return call


def _parts(x: Any, y: Any, folds: Parts) -> tuple[NDArray[Any], ...]:
    """Weights of the training rows and of the rows held out, folds x rows."""
    train, held = np.zeros((2, len(folds), len(x)))
    for row, (fitted, scored) in enumerate(folds):
        train[row, fitted], held[row, scored] = 1, 1
    return x.astype(float), y.astype(float), train, held


def _ridge_jax(x: Any, y: Any, folds: Parts, alphas: Sequence[float]) -> Callable[[], Any]:
    import jax

    jax.config.update("jax_enable_x64", True)
    import jax.numpy as jnp

    def one(x: Any, y: Any, penalties: Any, train: Any, held: Any) -> Any:
        count = train.sum()
        mean, level = train @ x / count, train @ y / count
        spread = jnp.sqrt(train @ (x - mean) ** 2 / count)
        scaled = (x - mean) / jnp.where(spread == 0, 1.0, spread)
        values, vectors = jnp.linalg.eigh((scaled * train[:, None]).T @ scaled)
        turned = vectors.T @ (scaled.T @ (train * (y - level)))
        weights = vectors @ (turned[:, None] / (values[:, None] + penalties))
        off = scaled @ weights + level - y[:, None]
        return jnp.sqrt(held @ off**2 / held.sum())

    fit = jax.jit(jax.vmap(one, in_axes=(None, None, None, 0, 0), out_axes=1))
    given = [jnp.asarray(each) for each in _parts(x, y, folds)]
    penalties = jnp.asarray(alphas)
    return lambda: np.asarray(fit(given[0], given[1], penalties, given[2], given[3]))


def _ridge_torch(x: Any, y: Any, folds: Parts, alphas: Sequence[float]) -> Callable[[], Any]:
    import torch

    device = "cuda" if torch.cuda.is_available() else "cpu"
    rows, targets, train, held = (torch.as_tensor(each, device=device) for each in _parts(x, y, folds))
    penalties = torch.as_tensor(np.array(alphas), device=device)

    def call() -> Any:
        count = train.sum(dim=1, keepdim=True)
        mean, level = train @ rows / count, train @ targets[:, None] / count
        apart = rows - mean[:, None]
        spread = torch.sqrt((train[:, :, None] * apart**2).sum(dim=1) / count)
        scaled = apart / torch.where(spread == 0, 1.0, spread)[:, None]
        values, vectors = torch.linalg.eigh(scaled.mT @ (scaled * train[:, :, None]))
        turned = vectors.mT @ (scaled.mT @ (train * (targets - level))[:, :, None])
        weights = vectors @ (turned / (values[:, :, None] + penalties))
        off = scaled @ weights + level[:, :, None] - targets[:, None]
        errors = torch.sqrt((held[:, :, None] * off**2).sum(dim=1) / held.sum(dim=1, keepdim=True))
        return errors.mT.cpu().numpy()

    return call
