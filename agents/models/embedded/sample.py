"""The sampler: temperature, top-p and penalties over scores, and draws whose luck belongs to the choice.

A choice is the argmax of score / temperature + Gumbel noise, which is a draw from the softmax. The noise of a
choice follows from the request's noise key and the choice's own identity, so that the same choice in the same
situation has the same luck whatever else is on the table.
"""

import hashlib
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from agents.models.embedded.head import HEAD
from agents.models.errors import RequestRefusedError
from contracts.chat import Decoding

Scores = NDArray[np.float64]
Identities = NDArray[np.uint64]

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_MIX_1, _MIX_2 = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)


@lru_cache(maxsize=65536)
def identity(text: str) -> int:
    """64 bits that stand for a choice or for a noise key."""
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "little")


def check(decoding: Decoding) -> None:
    """Refuse decoding parameters outside their ranges.

    Raises:
        RequestRefusedError: One of them is out of range, or is not a number.
    """
    if not 0 < decoding.temperature <= 2:
        raise RequestRefusedError(
            f"temperature is {decoding.temperature}; the embedded model draws at temperatures in (0, 2]. "
            "For nearly the most probable choice every time set 0.05."
        )
    if not 0 < decoding.top_p <= 1:
        raise RequestRefusedError(f"top_p is {decoding.top_p}; set it to more than 0 and at most 1.")
    for name in ("frequency_penalty", "presence_penalty"):
        value = getattr(decoding, name)
        if not -2 <= value <= 2:
            raise RequestRefusedError(f"{name} is {value}; set it to something from -2 to 2.")


def logits(scores: Scores, proposed: NDArray[np.int64], decoding: Decoding) -> Scores:
    """Scores less penalties, divided by the temperature; choices outside top-p are at minus infinity.

    `proposed` says how often the context holds each choice. Shapes: (n,), (n,) to (n,).
    """
    penalty = decoding.frequency_penalty * proposed + decoding.presence_penalty * (proposed > 0)
    scaled = (scores - HEAD.penalty * penalty) / decoding.temperature
    if decoding.top_p >= 1 or not len(scores):
        return scaled
    odds = probabilities(scaled)
    order = np.argsort(-odds, kind="stable")
    mass_before = np.cumsum(odds[order]) - odds[order]
    kept = np.zeros(len(odds), dtype=bool)
    kept[order[mass_before < decoding.top_p]] = True
    kept[order[0]] = True
    result: Scores = np.where(kept, scaled, -np.inf)
    return result


def probabilities(values: Scores) -> Scores:
    """Softmax."""
    odds = np.exp(values - values.max())
    result: Scores = odds / odds.sum()
    return result


def gumbel(noise: str, identities: Identities) -> Scores:
    """Standard Gumbel noise of each choice under a noise key."""
    with np.errstate(over="ignore"):
        x = _mixed(identities ^ _mixed(np.full(1, identity(noise), dtype=np.uint64)))
    uniform = ((x >> np.uint64(11)).astype(np.float64) + 0.5) * 2.0**-53
    result: Scores = -np.log(-np.log(uniform))
    return result


def _mixed(x: Identities) -> Identities:
    """The output function of splitmix64 (Steele, Lea, Flood 2014)."""
    x = x + _GOLDEN
    x = (x ^ (x >> np.uint64(30))) * _MIX_1
    x = (x ^ (x >> np.uint64(27))) * _MIX_2
    return x ^ (x >> np.uint64(31))


def draw(values: Scores, identities: Identities, noise: str) -> int:
    """Index of the choice that the noise key draws from the softmax of `values`."""
    return int(np.argmax(values + gumbel(noise, identities)))
