"""A conversation as the model reads it: the code shown, the evidence, and what has been tried."""

from collections import Counter
from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

from agents.models.embedded.page import Frames, Page, read
from agents.models.embedded.tokens import lex
from contracts.chat import Message, ToolCall
from contracts.ends import differing

EDIT = "edit"
Key = tuple[str, str, str]
"""What an earlier edit is recognized by: path, and the text before and after, as `key_for` has them."""
Change = tuple[str, str]
"""The words that an edit takes away and those that it puts there."""


class Helped(NamedTuple):
    """An earlier edit that made a test pass."""

    kind: str
    """As the call said it; empty if it did not."""
    change: Change
    key: Key
    text: str
    """The file as it was shown when the edit was proposed."""


class Context(NamedTuple):
    """All that a conversation tells the edit head."""

    files: dict[str, str]
    """The latest shown text of each path."""
    tracebacks: tuple[Frames, ...]
    covered: tuple[tuple[str, frozenset[int]], ...]
    pointed: frozenset[tuple[str, int]]
    names: frozenset[str]
    """Words that name functions: of failed tests, and of identifiers in backticks in user messages."""
    kinds: frozenset[str]
    proposed: Counter[Key]
    helped: frozenset[Helped]


def gather(messages: Sequence[Message]) -> Context:
    """Read a conversation.

    Tracebacks, covered lines and failed tests count from the most recent report of a test run on; places
    pointed at count from the latest message that points at any; kinds and quoted names always count.
    """
    files: dict[str, str] = {}
    proposed: Counter[Key] = Counter()
    helped: set[Helped] = set()
    calls: dict[str, tuple[ToolCall, str]] = {}
    kinds: frozenset[str] = frozenset()
    names: frozenset[str] = frozenset()
    pages = [read(message.content) for message in messages]
    for message, page in zip(messages, pages, strict=True):
        files.update(page.files)
        for call in message.tool_calls:
            if message.role == "assistant" and call.name == EDIT:
                calls[call.id] = call, files.get(_text(call, "path"), "")
                proposed[key_of(call)] += 1
        if message.role == "tool" and page.fixed and message.tool_call_id in calls:
            call, shown = calls[message.tool_call_id]
            change = replacement(_text(call, "old"), _text(call, "new"))
            helped.add(Helped(_text(call, "kind"), change, key_of(call), shown))
        if message.role in ("system", "user"):
            kinds |= page.kinds
        if message.role == "user":
            names |= page.quoted
    heard = [page for message, page in zip(messages, pages, strict=True) if message.role != "assistant"]
    recent = _since_last_result(heard)
    pointing = next((page for page in reversed(heard) if page.pointed), None)
    return Context(
        files=files,
        tracebacks=tuple(frames for page in recent for frames in page.tracebacks),
        covered=tuple(row for page in recent for row in page.covered),
        pointed=frozenset(pointing.pointed) if pointing else frozenset(),
        names=names.union(*(page.failed for page in recent)),
        kinds=kinds,
        proposed=proposed,
        helped=frozenset(helped),
    )


def _since_last_result(pages: Sequence[Page]) -> Sequence[Page]:
    for index in range(len(pages) - 1, -1, -1):
        if pages[index].is_result:
            return pages[index:]
    return pages


def _text(call: ToolCall, name: str) -> str:
    value = call.arguments.get(name, "")
    return value if isinstance(value, str) else ""


def key_of(call: ToolCall) -> Key:
    """What an edit call is recognized by when it is proposed again."""
    return key_for(_text(call, "path"), _text(call, "old"), _text(call, "new"))


def key_for(path: str, old: str, new: str) -> Key:
    """What an edit is recognized by; surrounding blanks count only where nothing else is changed."""
    bare = old.strip(), new.strip()
    return (path, *bare) if bare[0] != bare[1] else (path, old, new)


@lru_cache(maxsize=32768)
def replacement(old: str, new: str) -> Change:
    """The words in which two texts differ, from the first difference to the last."""
    before = [word.text for word in lex(old) if word.sort != "newline"]
    after = [word.text for word in lex(new) if word.sort != "newline"]
    gone, come = differing(before, after)
    return " ".join(gone), " ".join(come)
