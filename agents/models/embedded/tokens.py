"""Python text as the model sees it: words (lexical tokens), logical lines, and normalized tokens.

The lexer is our own and knows no more than it needs, so that every interpreter cuts a text the same way and
a text that does not compile can still be read.
"""

import keyword
import re
from collections.abc import Sequence
from typing import NamedTuple

_PREFIX = r"(?:[rR][bBfF]?|[bBfF][rR]?|[uU])?"
_WORD = re.compile(
    rf"""
      (?P<text>{_PREFIX}(?:'''(?:[^\\]|\\.)*?'''|\"\"\"(?:[^\\]|\\.)*?\"\"\"
              |'(?:[^'\\\n]|\\.)*'|\"(?:[^\"\\\n]|\\.)*\"))
    | (?P<name>[^\W\d]\w*)
    | (?P<number>(?:0[xXoObB][\da-fA-F_]+|(?:\d[\d_]*)?\.?\d[\d_]*\.?(?:[eE][+-]?\d+)?)[jJ]?)
    | (?P<operator>\*\*=|//=|>>=|<<=|\.\.\.|:=|->|[-+*/%@&|^=!<>]=|\*\*|//|<<|>>|[^\s\w\\\#])
    | (?P<newline>\n)
    | (?P<space>[^\S\n]+|\\\n|\\|\#[^\n]*)
    """,
    re.VERBOSE | re.DOTALL,
)

# fmt: off
BUILTINS = frozenset((
    "abs", "all", "any", "bool", "bytearray", "bytes", "callable", "chr", "classmethod", "dict", "divmod",
    "enumerate", "filter", "float", "format", "frozenset", "getattr", "hasattr", "hash", "hex", "id",
    "input", "int", "isinstance", "issubclass", "iter", "len", "list", "map", "max", "min", "next",
    "object", "open", "ord", "pow", "print", "property", "range", "repr", "reversed", "round", "set",
    "setattr", "sorted", "staticmethod", "str", "sum", "super", "tuple", "type", "zip", "self", "cls",
    "AttributeError", "Exception", "IndexError", "KeyError", "NotImplementedError", "OSError",
    "RuntimeError", "StopIteration", "TypeError", "ValueError", "ZeroDivisionError",
))
# fmt: on
KEYWORDS = frozenset(keyword.kwlist) | {"match", "case"}
_KEPT_NUMBERS = frozenset({"0", "1", "2"})
LOCAL_NAMES = 6
"""Names of a logical line are told apart up to this many; what comes later is one and the same token."""

SAME, DEEPER, SHALLOWER = "\n=", "\n>", "\n<"


class Word(NamedTuple):
    """A lexical token: what it is, its text, and where it begins."""

    sort: str
    text: str
    start: int


class LogicalLine(NamedTuple):
    """A statement, or the head of one: its words, its indent in columns, its first and last line (from 1)."""

    words: tuple[Word, ...]
    indent: int
    first: int
    last: int


def lex(text: str) -> list[Word]:
    """All words of a text, newlines among them, comments and blanks left out."""
    return [
        Word(match.lastgroup or "", match.group(), match.start())
        for match in _WORD.finditer(text)
        if match.lastgroup != "space"
    ]


def logical_lines(text: str) -> list[LogicalLine]:
    """Cut a text into logical lines; newlines within brackets and strings do not end one."""
    found: list[LogicalLine] = []
    words: list[Word] = []
    depth = 0
    line = first = 1
    for word in lex(text):
        if word.sort == "newline":
            if words and depth <= 0:
                found.append(_line(text, words, first, line))
                words = []
            line += 1
            continue
        if not words:
            first, depth = line, 0
        if word.sort == "operator":
            depth += (word.text in "([{") - (word.text in ")]}")
        elif word.sort == "text":
            line += word.text.count("\n")
        words.append(word)
    if words:
        found.append(_line(text, words, first, line))
    return _continued(text, found)


def _line(text: str, words: Sequence[Word], first: int, last: int) -> LogicalLine:
    begin = text.rfind("\n", 0, words[0].start) + 1
    return LogicalLine(tuple(words), len(text[begin : words[0].start].expandtabs()), first, last)


def _continued(text: str, found: list[LogicalLine]) -> list[LogicalLine]:
    """Correct line numbers where a backslash hides line ends from the lexer."""
    if "\\\n" not in text:
        return found
    corrected = []
    for line in found:
        final = line.words[-1]
        first = text.count("\n", 0, line.words[0].start) + 1
        last = text.count("\n", 0, final.start + len(final.text)) + 1
        corrected.append(line._replace(first=first, last=last))
    return corrected


def normalize(words: Sequence[Word], kept: frozenset[str]) -> list[str]:
    """The words of one logical line without what is particular to one program.

    Keywords, operators, built-in names, the smallest integers and the attribute names in `kept` stay. Every
    other name becomes a number in order of its first appearance in the line, so that `a.x = x` and
    `b.size = size` are the same; other numbers and strings lose their value.
    """
    seen: dict[str, str] = {}
    tokens: list[str] = []
    before = ""
    for sort, text, _ in words:
        if sort == "name":
            if (text in KEYWORDS or text in BUILTINS) if before != "." else text in kept:
                token = text
            else:
                token = seen.get(text, "")
                if not token:
                    token = seen[text] = f"NAME{min(len(seen), LOCAL_NAMES - 1)}"
        elif sort == "number":
            token = text if text in _KEPT_NUMBERS else "NUM"
        elif sort == "text":
            token = (
                ("STR" if text.strip("rRbBuUfF").strip("'\"") else "STR0") if text[0] not in "fF" else "FSTR"
            )
        else:
            token = text
        tokens.append(token)
        before = text
    return tokens


def step(before: int, indent: int) -> str:
    """The token that begins a logical line: how its indent differs from that of the line before."""
    return SAME if indent == before else DEEPER if indent > before else SHALLOWER
