"""Kernel ridge and features of kernels against scikit-learn's."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn.kernel_approximation import Nystroem as PeerNystroem
from sklearn.kernel_approximation import RBFSampler
from sklearn.kernel_ridge import KernelRidge as Peer
from sklearn.linear_model import LogisticRegression
from sklearn.linear_model import Ridge as PeerRidge

from contracts.datasets import Target
from gpu_workers.experiments.block import Block
from gpu_workers.families.family import Family
from gpu_workers.families.features import Nystroem, RandomFeatures
from gpu_workers.families.kernel_ridge import KernelRidge
from gpu_workers.families.luck import normals, order, uniforms
from gpu_workers.families.testing import block, one, problem

RIDGE = KernelRidge()
TESTS = [range(9), range(9, 20), [30]]


def sides(made: Block, member: int) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
    """Training features, training targets and held-out features of a member."""
    fold = int(made.fold[member])
    train, held = made.train[fold] > 0, made.test[fold][made.tested[fold] > 0]
    return made.x[fold][train], made.y[train], made.x[fold][held]


def real(made: Block, found: NDArray[Any], member: int) -> NDArray[Any]:
    return np.asarray(found[member][made.tested[made.fold[member]] > 0])


kernels = st.fixed_dictionaries(
    {
        "kernel": st.sampled_from(["rbf", "polynomial", "linear"]),
        "gamma": st.sampled_from([None, 0.01, 2.0]),
        "degree": st.integers(1, 3),
        "coef0": st.sampled_from([0.0, 1.0]),
    }
)


def peer_kernel(c: Mapping[str, Any]) -> dict[str, Any]:
    name = {"polynomial": "poly"}.get(c["kernel"], c["kernel"])
    if name == "linear":
        return {"kernel": name}
    return {
        "kernel": name,
        "gamma": c["gamma"],
        **({"degree": c["degree"], "coef0": c["coef0"]} if name == "poly" else {}),
    }


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1), rows=st.integers(32, 50), columns=st.integers(1, 60),
    common=kernels, center=st.booleans(), shift=st.sampled_from([0.0, 1e3]),
)  # fmt: skip
def test_kernel_ridge_equals_scikit_learn(
    seed: int, rows: int, columns: int, common: dict[str, Any], center: bool, shift: float
) -> None:
    x, y = problem("regression", rows, columns, seed=seed)
    y = y + shift
    configurations = [{**common, "center": center, "alpha": alpha} for alpha in (0.1, 1.0, 100.0)]
    made = block(RIDGE, x, y, "regression", tests=TESTS, configurations=configurations)
    found = RIDGE.fit_predict(made)
    assert found.shape == (9, 11, 1)
    for member, c in enumerate(made.configurations):
        fit, wanted, held = sides(made, member)
        level = wanted.mean() if center else 0.0
        peer = Peer(alpha=c["alpha"], **peer_kernel(c)).fit(fit, wanted - level)
        assert real(made, found, member)[:, 0] == pytest.approx(
            peer.predict(held) + level, rel=1e-8, abs=1e-8 * np.abs(wanted).max()
        )


def test_kernel_ridge_without_a_penalty_goes_through_the_training_rows() -> None:
    x, y = problem("regression", 30, 3)
    x[10:] = x[:20]
    y[10:] = y[:20]
    made = block(RIDGE, x, y, "regression", tests=[range(5)], configurations=[{"alpha": 0.0}])
    assert RIDGE.fit_predict(made)[0, :, 0] == pytest.approx(y[:5], abs=1e-6)


@pytest.mark.parametrize("scale", [1e-150, 1e150])
def test_kernel_ridge_at_any_scale_of_the_target(scale: float) -> None:
    x, y = problem("regression", 30, 3)
    found = [
        RIDGE.fit_predict(block(RIDGE, x, y * unit, "regression", tests=[range(5)])) for unit in (1.0, scale)
    ]
    assert found[1] / scale == pytest.approx(found[0], rel=1e-12)


def peer_nystroem(made: Block, member: int, _: NDArray[Any]) -> Callable[[NDArray[Any]], NDArray[Any]]:
    c, fold = made.configurations[member], int(made.fold[member])
    rows = order(np.flatnonzero(made.train[fold] > 0), made.x.shape[1], made.seeds[member], "landmarks")
    chosen = made.x[fold][rows[: c["components"]]]
    # Fitted to the drawn rows alone, scikit-learn draws all of them, in another order.
    peer = PeerNystroem(n_components=len(chosen), random_state=0, **peer_kernel(c)).fit(chosen)
    return lambda x: np.asarray(peer.transform(x))


def peer_fourier(made: Block, member: int, fit: NDArray[Any]) -> Callable[[NDArray[Any]], NDArray[Any]]:
    c, seed, d = made.configurations[member], made.seeds[member], fit.shape[1]
    gamma = 1 / d if c["gamma"] is None else c["gamma"]
    peer = RBFSampler(gamma=gamma, n_components=c["components"], random_state=0).fit(fit)
    peer.random_weights_ = normals(d * c["components"], seed, "frequencies").reshape(d, -1) * np.sqrt(
        2 * gamma
    )
    peer.random_offset_ = 2 * np.pi * uniforms(c["components"], seed, "phases")
    return lambda x: np.asarray(peer.transform(x))


def peer_linear(
    made: Block, alpha: float, fit: NDArray[Any], y: NDArray[Any], held: NDArray[Any]
) -> NDArray[Any]:
    if made.target in {"regression", "count"}:
        return np.asarray(PeerRidge(alpha=alpha).fit(fit, y).predict(held))[:, None]
    if made.target == "multilabel":
        columns = [peer_classes(alpha, fit, column, held)[:, 1] for column in y.T]
        return np.stack(columns, axis=1)
    found = peer_classes(alpha, fit, y, held)
    return found[:, 1:] if made.target == "binary" else found


def peer_classes(alpha: float, fit: NDArray[Any], y: NDArray[Any], held: NDArray[Any]) -> NDArray[Any]:
    peer = LogisticRegression(C=1 / alpha, tol=1e-10, max_iter=10_000)
    return np.asarray(peer.fit(fit, y).predict_proba(held))


@pytest.mark.parametrize("family", [Nystroem(), RandomFeatures()], ids=lambda family: family.name)
@pytest.mark.parametrize("target", ["regression", "binary", "multiclass", "multilabel", "count"])
def test_features_equal_scikit_learn(family: Family, target: Target) -> None:
    x, y = problem(target, 60, 4)
    made = block(
        family, x, y, target, tests=TESTS, seeds=("0", "1"),
        configurations=[{"components": 12, "gamma": 0.1, "alpha": alpha} for alpha in (0.5, 10.0)],
    )  # fmt: skip
    found = family.fit_predict(made)
    features = peer_nystroem if family.name == "nystroem" else peer_fourier
    for member, c in enumerate(made.configurations):
        fit, wanted, held = sides(made, member)
        turn = features(made, member, fit)
        peer = peer_linear(made, c["alpha"], turn(fit), wanted, turn(held))
        assert real(made, found, member) == pytest.approx(peer, rel=1e-5, abs=1e-5)
        assert found[member] == pytest.approx(family.fit_predict(one(made, member))[0], rel=1e-7, abs=1e-8)


def test_more_components_than_rows_and_constant_columns() -> None:
    x, y = problem("regression", 20, 2)
    x[:, 1] = 7.0
    for family in (Nystroem(), RandomFeatures()):
        made = block(family, x, y, "regression", tests=[range(5)], configurations=[{"components": 50}])
        assert np.isfinite(family.fit_predict(made)).all()


def test_features_come_near_the_kernel() -> None:
    x, y = problem("regression", 200, 3)
    exact = RIDGE.fit_predict(
        block(RIDGE, x, y, "regression", tests=[range(50)], configurations=[{"gamma": 0.1}])
    )
    for family, components in ((Nystroem(), 60), (RandomFeatures(), 3000)):
        made = block(
            family, x, y, "regression", tests=[range(50)],
            configurations=[{"gamma": 0.1, "components": components}],
        )  # fmt: skip
        assert np.abs(family.fit_predict(made) - exact).max() < 0.1 * y.std()


@pytest.mark.parametrize(
    ("family", "configuration", "target", "why"),
    [
        (RIDGE, {}, "binary", "predicts regression and count targets, not binary"),
        (RIDGE, {"alpha": -1.0}, "count", "alpha is -1.0; it is a number from 0"),
        (RIDGE, {"kernel": "cosine"}, "count", "one of rbf, polynomial, linear"),
        (RIDGE, {"gamma": 0}, "count", "gamma is 0; it is a number above 0"),
        (Nystroem(), {"alpha": 0}, "binary", "a number above 0"),
        (Nystroem(), {"components": 0}, "binary", "a whole number from 1"),
        (RandomFeatures(), {"kernel": "rbf"}, "binary", "no parameter kernel"),
        (RandomFeatures(), {"fit_intercept": 1}, "binary", "one of True, False"),
    ],
)
def test_bad_parameters_are_named(
    family: Family, configuration: Mapping[str, Any], target: Target, why: str
) -> None:
    with pytest.raises(ValueError, match=why):
        family.check(configuration, target)


@pytest.mark.parametrize("family", [RIDGE, Nystroem(), RandomFeatures()], ids=lambda family: family.name)
def test_the_planner_can_ask_what_a_block_takes(family: Family) -> None:
    c = family.defaults
    assert family.memory(1000, 20, 1, 100, 10, c) > family.memory(1000, 20, 1, 100, 1, c) > 8 * 1000 * 100
    assert family.bucket({**c, "alpha": 3.0}) == family.bucket(c) != family.bucket({**c, "gamma": 2.0})
