import sys
from collections.abc import Iterator
from types import ModuleType

import numpy as np
import pytest
import structlog

from gpu_workers import arrays
from gpu_workers.errors import CupyUnfit, UnknownLibrary


@pytest.fixture(autouse=True)
def fresh(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.delenv("RATCHET_ARRAY", raising=False)
    arrays._chosen.cache_clear()
    arrays._say.cache_clear()
    yield
    arrays._chosen.cache_clear()
    arrays._say.cache_clear()


def without_cupy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cupy", None)


def test_numpy_on_request() -> None:
    chosen = arrays.choose("numpy")
    assert (chosen.name, chosen.xp, chosen.memory) == ("numpy", np, 0)
    assert chosen.get(chosen.put(np.arange(3))).tolist() == [0, 1, 2]


def test_the_environment_decides(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RATCHET_ARRAY", "numpy")
    assert arrays.choose().name == "numpy"


def test_without_cupy_numpy_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    without_cupy(monkeypatch)
    assert arrays.choose().name == "numpy"
    assert arrays.describe()["reason"].startswith("ModuleNotFoundError")


def test_asking_for_cupy_in_vain_is_an_error_with_a_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    without_cupy(monkeypatch)
    with pytest.raises(CupyUnfit, match=r"ratchet-harness\[gpu\].*RATCHET_ARRAY=numpy"):
        arrays.choose("cupy")
    monkeypatch.setenv("RATCHET_ARRAY", "cupy")
    assert arrays.describe()["library"] == "none"


def test_cupy_without_a_gpu_is_unfit(monkeypatch: pytest.MonkeyPatch) -> None:
    """Importing CuPy succeeds on a machine without a GPU."""
    module = ModuleType("cupy")
    module.__dict__["is_available"] = lambda: False
    monkeypatch.setitem(sys.modules, "cupy", module)
    assert arrays.choose().name == "numpy"
    with pytest.raises(CupyUnfit, match="no usable GPU"):
        arrays.choose("cupy")


def test_an_unknown_library_is_refused() -> None:
    with pytest.raises(UnknownLibrary, match="RATCHET_ARRAY=jax"):
        arrays.choose("jax")


def test_it_says_once_what_it_took() -> None:
    with structlog.testing.capture_logs() as said:
        arrays.choose("numpy")
        arrays.choose("numpy")
    assert [(line["event"], line["library"]) for line in said] == [("array library", "numpy")]


def test_description() -> None:
    facts = arrays.describe()
    assert {"library", "version", "device", "reason"} <= set(facts)


def test_cupy_where_there_is_a_gpu() -> None:
    chosen = arrays.choose()
    if chosen.name != "cupy":
        pytest.skip(f"no GPU: {arrays.describe()['reason']}")
    assert chosen.memory > 0
    assert arrays.describe()["memory"].endswith("GiB")
