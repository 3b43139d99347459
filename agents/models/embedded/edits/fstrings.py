"""The expressions within f-strings, found in the text: their positions in the tree differ between Pythons."""

import ast
from collections.abc import Iterator

from agents.models.embedded.tokens import lex

_OPENING, _CLOSING = "([{", ")]}"


def expressions(code: str) -> Iterator[tuple[int, ast.expr]]:
    """The expressions within a text of f-strings on one line, each with the offset, in bytes, of its line's start.

    An expression's own columns count from there. What does not parse by itself is passed over.
    """
    for word in lex(code):
        prefix = word.text[: len(word.text) - len(word.text.lstrip("rRbBuUfF"))].lower()
        if word.sort != "text" or "f" not in prefix:
            continue
        for start, end in _fields(word.text, raw="r" in prefix):
            text = word.text[start:end]
            blanks = len(text) - len(text.lstrip())
            try:
                parsed = ast.parse(text.strip(), mode="eval").body
            except (SyntaxError, ValueError, RecursionError, MemoryError):
                continue
            yield len(code[: word.start + start + blanks].encode()), parsed


def _fields(text: str, *, raw: bool) -> Iterator[tuple[int, int]]:
    """Where the expressions of the replacement fields of one f-string begin and end, in characters."""
    at = 0
    while (at := text.find("{", at)) >= 0:
        if text[at : at + 2] == "{{":
            at += 2
        elif not raw and text[:at].endswith("\\N"):
            at += 1
        else:
            end = _end(text, at + 1)
            yield at + 1, end
            at = _closed(text, end)


def _end(text: str, at: int) -> int:
    """The end of an expression: its brace, or what begins a conversion or a format."""
    depth, quote = 0, ""
    for index in range(at, len(text)):
        sign = text[index]
        if quote:
            quote = "" if sign == quote else quote
        elif sign in "'\"":
            quote = sign
        elif sign in _OPENING:
            depth += 1
        elif sign in _CLOSING and depth:
            depth -= 1
        elif not depth and (sign in "}:" or (sign == "!" and text[index + 1 : index + 2] != "=")):
            return index
    return len(text)


def _closed(text: str, at: int) -> int:
    """The position behind a replacement field, whose format may hold fields of its own."""
    depth = 1
    for index in range(at, len(text)):
        depth += (text[index] == "{") - (text[index] == "}")
        if not depth:
            return index + 1
    return len(text)
