"""Taking a structured answer out of what a model said: JSON among prose, fences and thoughts."""

import json
import re
from collections.abc import Iterator
from typing import Any, TypeVar

import msgspec

T = TypeVar("T")

LONGEST = 400_000
"""Characters of an answer that are looked at."""
TRIES = 200
"""Places at which JSON may begin, at the most."""
_THOUGHTS = re.compile(r"<(think|thinking|reasoning)>.*?(</\1>|\Z)", re.DOTALL)
_FENCED = re.compile(r"(?ms)^[ \t]*```[\w-]*[ \t]*\n(.*?)^[ \t]*```")


class Unfit(ValueError):
    """Raised when an answer is not of the form that was asked for; the message is what the model is told."""


def without_thoughts(text: str) -> str:
    """An answer without the thoughts that some models write before it."""
    return _THOUGHTS.sub("", text)


def read_json(text: str, form: type[T]) -> T:
    """The record in an answer: of all JSON in it the longest. Raises Unfit, which names the field that is wrong."""
    found = max(_within(without_thoughts(text)[:LONGEST]), key=lambda each: each[0], default=None)
    if found is None:
        raise Unfit(f"there is no JSON object in it{_trouble(text)}")
    try:
        msgspec.json.encode(found[1])  # what cannot be stored is no answer: half a character, say
    except (ValueError, RecursionError) as error:
        raise Unfit(f"the JSON holds what cannot be written down: {error}") from error
    try:
        # `"0.02"` stands for 0.02 as plainly as it does without the quotes.
        return msgspec.convert(found[1], form, strict=False)
    except msgspec.ValidationError as error:
        raise Unfit(f"the JSON does not fit: {error}") from error


def _within(text: str) -> Iterator[tuple[int, Any]]:
    """Length and value of every JSON object in a text that is in none of the others."""
    decoder = json.JSONDecoder(strict=False, parse_constant=_refuse)
    at = tries = 0
    while tries < TRIES and (at := text.find("{", at)) >= 0:
        tries += 1
        try:
            value, end = decoder.raw_decode(text, at)
        except (ValueError, RecursionError):
            at += 1
            continue
        yield end - at, value
        at = end


def _refuse(word: str) -> Any:
    raise ValueError(f"{word} is no number of JSON")


def _trouble(text: str) -> str:
    """Why the first thing that looks like JSON is none."""
    fenced = _FENCED.search(text)
    part = (fenced[1] if fenced else text).strip()
    start = part.find("{")
    if start < 0:
        return ""
    try:
        json.JSONDecoder(strict=False, parse_constant=_refuse).raw_decode(part, start)
    except (ValueError, RecursionError) as error:
        return f"; what looks like one cannot be read: {error}"
    return ""
