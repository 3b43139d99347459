"""Stacked networks against scikit-learn's and a plain one, alone and in company."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn.neural_network import MLPClassifier, MLPRegressor

from contracts.datasets import Target
from gpu_workers import arrays
from gpu_workers.experiments.block import Block
from gpu_workers.families import networks
from gpu_workers.families.luck import order, uniforms
from gpu_workers.families.mlp import Mlp
from gpu_workers.families.networks import Ensemble, Shape
from gpu_workers.families.testing import block, one, problem

HOST = arrays.choose("numpy")
MLP = Mlp()
TARGETS: list[Target] = ["regression", "binary", "multiclass", "multilabel", "count"]
TESTS = [range(12), range(12, 23), range(30, 40)]
"""Folds of unequal size."""


def start(shape: Shape, seed: str) -> list[tuple[NDArray[Any], NDArray[Any]]]:
    """First weights and biases, as scikit-learn keeps them."""
    return [(layer[0, :-1], layer[0, -1]) for layer in shape.views(shape.start(seed)[None])]


def scikit_learn(made: Block, member: int) -> NDArray[Any]:
    """What scikit-learn's network predicts that starts from the same weights and takes all rows at once."""
    c, fold = made.configurations[member], int(made.fold[member])
    x, y, train = made.x[fold], made.y, made.train[fold] > 0
    shape = Shape(sizes=(x.shape[1], *c["hidden"], made.outputs), activation=c["activation"], link="identity")
    first = iter(start(shape, made.seeds[member]))
    kind = MLPRegressor if made.target == "regression" else MLPClassifier

    class Started(kind):  # type: ignore[misc, valid-type]
        def _init_coef(self, *sizes_and_dtype: Any) -> Any:
            return [part.astype(sizes_and_dtype[-1]) for part in next(first)]

    peer = Started(
        hidden_layer_sizes=c["hidden"],
        activation=c["activation"],
        alpha=c["penalty"],
        batch_size=int(train.sum()),
        learning_rate_init=c["rate"],
        max_iter=c["epochs"],
        shuffle=False,
        tol=0,
        n_iter_no_change=10_000,
    )
    rows = made.test[fold]
    targets = y[train]
    level, unit = (targets.mean(), targets.std()) if made.target == "regression" else (0, 1)
    with pytest.warns(UserWarning, match="converged"):
        peer.fit(x[train], (targets - level) / unit)
    if made.target == "regression":
        return np.asarray(peer.predict(x[rows]) * unit + level)[:, None]
    found = peer.predict_proba(x[rows])
    return np.asarray(found[:, 1:] if made.target == "binary" else found)


@pytest.mark.parametrize("target", ["regression", "binary", "multiclass", "multilabel"])
@pytest.mark.parametrize(("hidden", "activation"), [((5,), "relu"), ((6, 4), "tanh")])
def test_equals_scikit_learn(target: Target, hidden: tuple[int, ...], activation: str) -> None:
    x, y = problem(target, 60, 4)
    common = {
        "hidden": hidden, "activation": activation, "epochs": 40, "batch": 1000, "patience": 0,
        "precision": "double",
    }  # fmt: skip
    made = block(
        MLP, x, y, target, tests=TESTS, seeds=("0", "1"),
        configurations=[{**common, "rate": rate, "penalty": alpha} for rate, alpha in ((0.01, 0.0), (0.03, 0.5))],
    )  # fmt: skip
    found = MLP.fit_predict(made)
    for member in range(0, len(found), 5):
        real = made.tested[made.fold[member]] > 0
        wanted = scikit_learn(made, member)
        assert found[member][real] == pytest.approx(wanted[real], rel=1e-9, abs=1e-10)


def plain(made: Block, member: int) -> NDArray[Any]:
    """A network without any stacking: batches, early stopping, losses, one row of arithmetic after the other."""
    c, fold, seed = made.configurations[member], int(made.fold[member]), made.seeds[member]
    n, d = made.x[fold].shape
    k = made.outputs
    shape = Shape(sizes=(d, *c["hidden"], k), activation="relu", link="identity")
    parts = [[w.copy(), b.copy()] for w, b in start(shape, seed)]
    rows = order(np.flatnonzero(made.train[fold] > 0), n, seed, "held back")
    x, y = made.x[fold], made.y.astype(float)
    if made.target == "multiclass":
        y = np.eye(k)[made.y]
    y = y.reshape(n, k)
    level, unit = np.zeros(k), np.ones(k)
    if made.target == "regression":
        level, unit = y[rows].mean(axis=0), y[rows].std(axis=0)
    if made.target == "count":
        parts[-1][1] += np.log(y[rows].mean())
    y = (y - level) / unit
    held, rows = np.split(rows, [max(1, round(c["held_back"] * len(rows))) if c["patience"] else 0])
    rows = np.sort(rows)

    def forward(x: NDArray[Any]) -> list[NDArray[Any]]:
        values = [x]
        for at, (w, b) in enumerate(parts):
            z = values[-1] @ w + b
            values.append(np.maximum(z, 0) if at < len(parts) - 1 else linked(z))
        return values

    def linked(z: NDArray[Any]) -> NDArray[Any]:
        match made.target:
            case "regression":
                return np.asarray(z)
            case "count":
                return np.asarray(np.exp(z))
            case "multiclass":
                e = np.exp(z - z.max(axis=1, keepdims=True))
                return np.asarray(e / e.sum(axis=1, keepdims=True))
        return np.asarray(1 / (1 + np.exp(-z)))

    def loss(p: NDArray[Any], y: NDArray[Any]) -> float:
        match made.target:
            case "regression":
                return float(np.mean((p - y) ** 2 / 2))
            case "count":
                return float(np.mean(p - y * np.log(p)))
            case "multiclass":
                return float(-np.mean(np.log(p[y > 0])))
        return float(-np.mean(np.log(np.where(y > 0, p, 1 - p)).sum(axis=1)))

    m = [[np.zeros_like(part) for part in pair] for pair in parts]
    v = [[np.zeros_like(part) for part in pair] for pair in parts]
    step, best, waited, kept = 0, np.inf, 0, None
    for epoch in range(c["epochs"]):
        shuffled = order(rows, n, seed, "epoch", epoch)
        for begin in range(0, len(rows), c["batch"]):
            batch = shuffled[begin : begin + c["batch"]]
            values, step = forward(x[batch]), step + 1
            delta = (values[-1] - y[batch]) / len(batch)
            for at in reversed(range(len(parts))):
                slopes = [values[at].T @ delta + c["penalty"] / len(batch) * parts[at][0], delta.sum(axis=0)]
                delta = (delta @ parts[at][0].T) * (values[at] > 0)
                for i, g in enumerate(slopes):
                    m[at][i] = 0.9 * m[at][i] + 0.1 * g
                    v[at][i] = 0.999 * v[at][i] + 0.001 * g * g
                    length = c["rate"] * np.sqrt(1 - 0.999**step) / (1 - 0.9**step)
                    parts[at][i] -= length * m[at][i] / (np.sqrt(v[at][i]) + 1e-8)
        if c["patience"]:
            now = loss(forward(x[held])[-1], y[held])
            waited = 0 if now < best - c["tolerance"] else waited + 1
            if now < best:
                best, kept = now, [[part.copy() for part in pair] for pair in parts]
            if waited >= c["patience"]:
                break
    parts = kept or parts
    return np.asarray(forward(x[made.test[fold]])[-1] * unit + level)


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("patience", [0, 3])
@settings(max_examples=4, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), batch=st.integers(1, 30))
def test_batches_and_early_stopping_equal_a_plain_network(
    target: Target, patience: int, seed: int, batch: int
) -> None:
    x, y = problem(target, 45, 3, seed=seed)
    made = block(
        MLP, x, y, target, tests=TESTS, seeds=("a", "b"),
        configurations=[
            {
                "hidden": (4,), "epochs": 8, "batch": batch, "patience": patience, "tolerance": tolerance,
                "rate": rate, "penalty": 0.01, "held_back": 0.2, "precision": "double",
            }
            for rate, tolerance in ((0.02, 0.0), (0.3, 0.05))
        ],
    )  # fmt: skip
    found = MLP.fit_predict(made)
    for member in range(0, len(found), 5):
        assert found[member] == pytest.approx(plain(made, member), rel=1e-6, abs=1e-8)


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("patience", [0, 4])
@pytest.mark.parametrize(("precision", "close"), [("single", 1e-4), ("double", 1e-9)])
def test_a_member_predicts_the_same_alone_and_in_company(
    target: Target, patience: int, precision: str, close: float
) -> None:
    x, y = problem(target, 60, 5)
    made = block(
        MLP, x, y, target, tests=TESTS, seeds=("0", "1", "2"),
        configurations=[
            {"rate": rate, "epochs": 12, "batch": 16, "patience": patience, "precision": precision}
            for rate in (0.001, 0.05)
        ],
    )  # fmt: skip
    found = MLP.fit_predict(made)
    for member in (0, 4, len(found) - 1):
        alone = MLP.fit_predict(one(made, member))[0]
        assert found[member] == pytest.approx(alone, rel=close, abs=close / 10)
    assert len({row.tobytes() for row in found}) == len(found)


def test_the_gradient_is_that_of_the_loss(monkeypatch: pytest.MonkeyPatch) -> None:
    shape = Shape(sizes=(3, 4, 2), activation="tanh", link="exp")
    flat = np.stack([shape.start("0"), shape.start("1")])
    x = np.concatenate([uniforms(30, "x").reshape(2, 5, 3), np.ones((2, 5, 1))], axis=2)
    y = np.floor(4 * uniforms(20, "y")).reshape(2, 5, 2)

    def loss(flat: NDArray[Any]) -> NDArray[Any]:
        p = Ensemble(arrays=HOST, shape=shape, flat=flat).outputs(x).transpose(0, 2, 1)
        penalty = sum((layer[:, :-1] ** 2).sum(axis=(1, 2)) for layer in shape.views(flat))
        return np.asarray((p - y * np.log(p)).sum(axis=2).mean(axis=1) + 0.05 * penalty)

    monkeypatch.setattr(networks, "_stepper", lambda _: lambda *_: None)  # leaves the gradient as it is
    network = Ensemble(arrays=HOST, shape=shape, flat=flat.copy())
    network.learn(x, y, np.full((2, 1, 5), 0.2), np.full((2, 1, 1), 0.1), network.lengths(np.ones((1, 2)))[0])
    for at in range(shape.parameters):
        nudge = np.zeros(shape.parameters)
        nudge[at] = 1e-6
        assert network.gradient[:, at] == pytest.approx(
            (loss(flat + nudge) - loss(flat - nudge)) / 2e-6, abs=1e-7
        )


@pytest.mark.parametrize("target", TARGETS)
def test_small_and_constant_data_give_finite_predictions(target: Target) -> None:
    x, y = problem(target, 6, 1, k=2)
    x[:] = 3.0
    made = block(
        MLP,
        x,
        y,
        target,
        tests=[[0, 1, 2, 3, 4], [5]],
        configurations=[{"epochs": 3}],
        outputs=outputs(target),
    )
    found = MLP.fit_predict(made)
    assert np.isfinite(found).all()
    if target == "multiclass":
        assert found.sum(axis=2) == pytest.approx(1, abs=1e-6)


def outputs(target: Target) -> int:
    return 2 if target in {"multiclass", "multilabel"} else 1


@pytest.mark.parametrize("scale", [1e-200, 1e200])
def test_the_scale_of_a_target_does_not_matter(scale: float) -> None:
    x, y = problem("regression", 40, 2)
    fits = [
        MLP.fit_predict(
            block(MLP, x, y * unit, "regression", tests=[range(9)], configurations=[{"epochs": 5}])
        )
        for unit in (1.0, scale)
    ]
    assert fits[1] / scale == pytest.approx(fits[0], rel=1e-4)


def test_a_member_that_diverges_says_so_by_what_it_predicts() -> None:
    x, y = problem("regression", 40, 2)
    wild = block(MLP, x * 1e300, y, "regression", tests=[range(9)], configurations=[{"epochs": 2}])
    assert not np.isfinite(MLP.fit_predict(wild)).any()


def test_what_interrupts_a_computation_comes_through() -> None:
    class Stop(Exception):
        pass

    def stop() -> None:
        raise Stop

    x, y = problem("binary", 40, 2)
    made = block(MLP, x, y, "binary", tests=[range(9)], configurations=[{"epochs": 100_000, "patience": 0}])
    with pytest.raises(Stop):
        MLP.fit_predict(Block(**{**vars(made), "checkpoint": stop}))


@pytest.mark.parametrize(
    ("configuration", "why"),
    [
        ({"hidden": []}, "hidden is"),
        ({"hidden": [0]}, "a list of widths from 1"),
        ({"hidden": [True]}, "a list of widths from 1"),
        ({"rate": 0}, "a number above 0"),
        ({"rate": float("nan")}, "rate is nan"),
        ({"batch": 2.5}, "a whole number from 1"),
        ({"activation": "gelu"}, "one of relu, tanh"),
        ({"layers": 2}, "no parameter layers; it has hidden"),
        ({"held_back": 0.9}, "from|above 0 to 0.5"),
    ],
)
def test_bad_parameters_are_named(configuration: Mapping[str, Any], why: str) -> None:
    with pytest.raises(ValueError, match=why):
        MLP.check(configuration, "binary")


def test_the_planner_can_ask_what_a_block_takes() -> None:
    c = MLP.defaults
    assert MLP.memory(1000, 20, 3, 100, 10, c) == 10 * MLP.memory(1000, 20, 3, 100, 1, c)
    assert MLP.operations(1000, 20, 3, 100, 1, c) > 6 * 1000 * 0.9 * (21 * 64)
    assert (
        MLP.bucket({**c, "hidden": [64]}) == MLP.bucket({**c, "rate": 1.0}) != MLP.bucket({**c, "hidden": 32})
    )
