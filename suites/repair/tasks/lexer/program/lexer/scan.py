"""Cuts the text of a small language into tokens."""

from typing import NamedTuple

KEYWORDS = ("let", "if", "else", "while")
PAIRS = ("==", "!=", "<=", ">=")


class Token(NamedTuple):
    kind: str
    text: str
    line: int


def in_word(char):
    return char.isalnum() or char == "_"


def run_end(text, start, accepts):
    """Return where the run of accepted characters ends that begins at start."""
    end = start
    while end < len(text) and accepts(text[end]):
        end += 1
    return end


def word_token(word, line):
    if word in KEYWORDS:
        kind = "keyword"
    else:
        kind = "name"
    return Token(kind, word, line)


def tokenize(text):
    """Return the tokens; blanks and comments are dropped."""
    tokens = []
    line = 1
    start = 0
    while start < len(text):
        char = text[start]
        end = start + 1
        if char == "\n":
            line += 1
        elif char == "#":
            end = run_end(text, start, lambda each: each != "\n")
        elif char.isdigit():
            end = run_end(text, start, str.isdigit)
            tokens.append(Token("number", text[start:end], line))
        elif in_word(char):
            end = run_end(text, start, in_word)
            tokens.append(word_token(text[start:end], line))
        elif char == '"':
            end = text.index('"', end) + 1
            tokens.append(Token("string", text[start + 1 : end - 1], line))
        elif not char.isspace():
            if text[start : start + 2] in PAIRS:
                end = start + 2
            tokens.append(Token("operator", text[start:end], line))
        start = end
    return tokens
