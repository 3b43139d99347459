"""How figures, times and other people's text are written."""

import re
from datetime import UTC, datetime

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")


def signed(value: float | None) -> str:
    """A difference of scores."""
    return "–" if value is None else f"{value + 0.0:+.3f}"


def score(value: float | None) -> str:
    """A score in [0, 1]."""
    return "–" if value is None else f"{value:.3f}"


def span(low: float, high: float) -> str:
    """An interval of differences."""
    return f"[{low + 0.0:+.3f}, {high + 0.0:+.3f}]"


def chance(p: float | None) -> str:
    """A p-value."""
    if p is None:
        return "–"
    return "< 0.001" if p < 0.001 else f"{p:.3f}"


def likely(p: float | None) -> str:
    """A p-value in a sentence."""
    told = chance(p)
    return f"p {told}" if told.startswith("<") else f"p = {told}"


def share(value: float) -> str:
    """A share, in per cent."""
    return f"{100 * value:.0f} %"


def when(at: float) -> str:
    """A time, in UTC."""
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M:%S")


def lasting(seconds: float) -> str:
    """A duration."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02} s"
    return f"{minutes // 60} h {minutes % 60:02} min"


def count(number: int, noun: str, plural: str = "") -> str:
    """A number with its noun."""
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"


def plain(text: str) -> str:
    """Text that others wrote, with whatever could command a terminal or turn its direction made visible."""
    return _CONTROL.sub(lambda match: f"\\x{ord(match[0]):02x}", text)


def line(text: str) -> str:
    """Text that others wrote, on one line."""
    return plain(" ".join(text.split()))


def cell(text: str) -> str:
    """Text that others wrote, in a cell of a Markdown table or a sentence of Markdown."""
    return re.sub(r"([\\`*_<>|#]|\](?=[(\[:]))", r"\\\1", line(text))


def fenced(text: str, language: str = "") -> list[str]:
    """Text as a block of Markdown, whatever it holds."""
    longest = max((len(run) for run in re.findall(r"`{3,}", text)), default=2)
    fence = "`" * (longest + 1)
    return [f"{fence}{language}", *plain(text).rstrip("\n").split("\n"), fence]
