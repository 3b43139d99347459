import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

from agents.models.embedded import sample
from agents.models.embedded.sample import Scores
from agents.models.errors import RequestRefusedError
from contracts.chat import Decoding

scores = hnp.arrays(np.float64, st.integers(1, 40), elements=st.floats(-8, 8, width=32))


def identities(n: int) -> sample.Identities:
    return np.array([sample.identity(f"choice {i}") for i in range(n)], dtype=np.uint64)


def untried(values: Scores) -> NDArray[np.int64]:
    return np.zeros(len(values), dtype=np.int64)


@given(scores, st.floats(0.05, 1.0))
def test_top_p_keeps_the_smallest_set_with_the_mass(values: Scores, top_p: float) -> None:
    odds = sample.probabilities(values)
    kept = np.isfinite(sample.logits(values, untried(values), Decoding(top_p=top_p)))
    assert odds[kept].sum() >= top_p - 1e-9
    assert odds[kept].min() >= odds[~kept].max(initial=0.0)
    if kept.sum() > 1:
        assert odds[kept].sum() - odds[kept].min() < top_p + 1e-9


@given(scores, st.data())
def test_penalties_lower_the_odds_of_what_was_proposed(values: Scores, data: st.DataObject) -> None:
    index = data.draw(st.integers(0, len(values) - 1))
    proposed = untried(values)
    proposed[index] = data.draw(st.integers(1, 5))
    penalized = Decoding(
        frequency_penalty=data.draw(st.floats(0, 2)), presence_penalty=data.draw(st.floats(0.1, 2))
    )
    before = sample.probabilities(sample.logits(values, proposed, Decoding()))
    after = sample.probabilities(sample.logits(values, proposed, penalized))
    assert after[index] <= before[index]
    if len(values) > 1 and 1e-6 < before[index] < 1 - 1e-6:
        assert after[index] < before[index]


@given(scores, st.floats(0.1, 0.9))
def test_a_lower_temperature_favours_the_best(values: Scores, temperature: float) -> None:
    plain = sample.probabilities(sample.logits(values, untried(values), Decoding()))
    cool = sample.probabilities(sample.logits(values, untried(values), Decoding(temperature=temperature)))
    best = int(np.argmax(values))
    assert cool[best] >= plain[best] - 1e-12


def test_draws_follow_the_softmax() -> None:
    values = np.array([2.0, 1.0, 0.0, -1.0, 0.5])
    n = 20_000
    own = identities(5)
    drawn = np.bincount([sample.draw(values, own, f"key {i}") for i in range(n)], minlength=5) / n
    expected = sample.probabilities(values)
    assert np.all(np.abs(drawn - expected) < 5 * np.sqrt(expected * (1 - expected) / n))


@settings(max_examples=50)
@given(st.text(max_size=20), st.sets(st.integers(0, 49), min_size=1))
def test_a_choice_has_its_own_luck_whatever_else_is_on_the_table(key: str, kept: set[int]) -> None:
    own = identities(50)
    chosen = np.array(sorted(kept))
    assert np.array_equal(sample.gumbel(key, own)[chosen], sample.gumbel(key, own[chosen]))


@given(scores, st.text(max_size=8))
def test_removing_what_was_not_drawn_does_not_change_the_draw(values: Scores, key: str) -> None:
    own = identities(len(values))
    drawn = sample.draw(values, own, key)
    kept = np.array([i for i in range(len(values)) if i == drawn or i % 2])
    assert kept[sample.draw(values[kept], own[kept], key)] == drawn


def test_known_noise_never_changes() -> None:
    noise = sample.gumbel("task:1:0", identities(3))
    assert noise == pytest.approx(KNOWN, abs=1e-9)


KNOWN = [3.0753776504240418, 0.9431979101858504, 0.9294717144455243]


@pytest.mark.parametrize(
    "decoding",
    [
        Decoding(temperature=0),
        Decoding(temperature=2.1),
        Decoding(temperature=float("nan")),
        Decoding(top_p=0),
        Decoding(top_p=1.2),
        Decoding(frequency_penalty=3),
        Decoding(presence_penalty=-2.5),
    ],
)
def test_decoding_out_of_range_is_refused_with_a_remedy(decoding: Decoding) -> None:
    with pytest.raises(RequestRefusedError, match="set"):
        sample.check(decoding)
