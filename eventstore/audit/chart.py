"""Score over rounds as an SVG, written by hand: it carries its own colours for light and dark pages."""

import math
from collections.abc import Sequence
from html import escape

from contracts.record import Record

WIDTH, HEIGHT = 760, 380
LEFT, RIGHT, TOP, BOTTOM = 62, 18, 58, 52
PANEL = 130
"""Width of the sealed tasks' own panel."""

_STYLE = """
svg { font: 12px system-ui, sans-serif; }
.page { fill: #ffffff } .ink { fill: #1f2328 } .faint { fill: #59636e }
.grid { stroke: #d8dee4; stroke-width: 1 } .axis { stroke: #59636e; stroke-width: 1 }
.line { stroke: #57606a; stroke-width: 1.5; fill: none } .dot { fill: #57606a }
.kept { stroke: #1a7f37; stroke-width: 2 } .kept.mark { fill: #1a7f37 }
.other { stroke: #9a6700; stroke-width: 1.5 } .other.mark { fill: #ffffff }
.sealed { stroke: #0969da; stroke-width: 2 } .sealed.mark { fill: #0969da }
@media (prefers-color-scheme: dark) {
.page { fill: #0d1117 } .ink { fill: #e6edf3 } .faint { fill: #9198a1 }
.grid { stroke: #2a313c } .axis { stroke: #9198a1 }
.line { stroke: #9198a1 } .dot { fill: #9198a1 }
.kept { stroke: #3fb950 } .kept.mark { fill: #3fb950 }
.other { stroke: #d29922 } .other.mark { fill: #0d1117 }
.sealed { stroke: #58a6ff } .sealed.mark { fill: #58a6ff }
}
""".strip()


class Point(Record):
    """A round: the incumbent's mean score, and the challenger's with the interval of the difference."""

    name: str
    incumbent: float | None
    """None where the round has no scores."""
    challenger: float | None = None
    low: float = 0.0
    high: float = 0.0
    kept: bool = False
    title: str = ""

    @property
    def bounds(self) -> tuple[float, float]:
        """The interval, as far as scores reach."""
        return max(0.0, self.low), min(1.0, self.high)


class Bar(Record):
    """A mean score with its interval."""

    name: str
    mean: float
    low: float
    high: float


def draw(points: Sequence[Point], sealed: Sequence[Bar] = (), level: float = 0.95) -> str:
    """The chart; without points it says that there is nothing to show yet."""
    right = WIDTH - RIGHT - (PANEL if sealed else 0)
    scale = _Scale(points, sealed)
    parts = [
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" '
            f'height="{HEIGHT}" role="img" aria-labelledby="title desc">'
        ),
        '<title id="title">Score over rounds</title>',
        f'<desc id="desc">{escape(_said(points))}</desc>',
        f"<style>{_STYLE}</style>",
        f'<rect class="page" width="{WIDTH}" height="{HEIGHT}"/>',
        _text(LEFT, 22, "Score over rounds, practice tasks", "ink", size=15, weight=600),
        *_legend(level),
        *_axes(scale, right, any(point.incumbent is not None for point in points)),
        *_rounds(points, scale, right),
    ]
    if sealed:
        parts += _panel(sealed, scale, right + 18, WIDTH - RIGHT)
    return "\n".join([*parts, "</svg>"]) + "\n"


class _Scale:
    """From scores to heights: a range of scores that holds everything, between round numbers."""

    def __init__(self, points: Sequence[Point], sealed: Sequence[Bar]) -> None:
        values = [point.incumbent for point in points if point.incumbent is not None]
        for point in points:
            if point.challenger is not None:
                values += [*point.bounds, point.challenger]
        for bar in sealed:
            values += [bar.low, bar.high, bar.mean]
        low, high = (min(values), max(values)) if values else (0.0, 1.0)
        self.step = next(
            step for step in (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0) if (high - low) / step <= 5 or step == 1.0
        )
        self.first = max(0, math.floor(low / self.step - 0.2))
        top = round(1 / self.step)
        self.last = min(top, max(self.first + 1, math.ceil(high / self.step + 0.2)))
        self.first = min(self.first, self.last - 1)

    @property
    def ticks(self) -> list[float]:
        return [round(index * self.step, 2) for index in range(self.first, self.last + 1)]

    def y(self, value: float) -> float:
        part = (value / self.step - self.first) / (self.last - self.first)
        return HEIGHT - BOTTOM - part * (HEIGHT - BOTTOM - TOP)


def _said(points: Sequence[Point]) -> str:
    means = [point.incumbent for point in points if point.incumbent is not None]
    if not means:
        return "No round has been measured yet."
    kept = [point.name for point in points if point.kept]
    return (
        f"{len(points)} rounds; the incumbent's mean score was {means[0]:.3f} in the first and "
        f"{means[-1]:.3f} in the last. Kept: {', '.join(kept) or 'none'}."
    )


def _text(
    x: float, y: float, text: str, kind: str, *, size: int = 12, weight: int = 400, anchor: str = "start"
) -> str:
    return (
        f'<text class="{kind}" x="{x:.1f}" y="{y:.1f}" font-size="{size}" font-weight="{weight}" '
        f'text-anchor="{anchor}">{escape(text)}</text>'
    )


def _legend(level: float) -> list[str]:
    y = 42
    return [
        f'<line class="line" x1="{LEFT}" y1="{y - 4}" x2="{LEFT + 22}" y2="{y - 4}"/>',
        f'<circle class="dot" cx="{LEFT + 11}" cy="{y - 4}" r="2.5"/>',
        _text(LEFT + 28, y, "incumbent", "faint"),
        *_mark(LEFT + 110, y - 4, kept=True),
        _text(LEFT + 120, y, "kept", "faint"),
        *_mark(LEFT + 166, y - 4, kept=False),
        _text(LEFT + 176, y, "not kept", "faint"),
        _text(LEFT + 244, y, f"bars: {100 * level:g} % interval of the difference", "faint"),
    ]


def _mark(x: float, y: float, *, kept: bool) -> list[str]:
    if kept:
        return [f'<path class="kept mark" d="M{x:.1f} {y - 6:.1f}l6 6l-6 6l-6 -6z"/>']
    return [f'<circle class="other mark" cx="{x:.1f}" cy="{y:.1f}" r="4"/>']


def _axes(scale: _Scale, right: float, rounds: bool) -> list[str]:
    parts = []
    for tick in scale.ticks:
        y = scale.y(tick)
        parts.append(f'<line class="grid" x1="{LEFT}" y1="{y:.1f}" x2="{right}" y2="{y:.1f}"/>')
        parts.append(_text(LEFT - 8, y + 4, f"{tick:.2f}", "faint", anchor="end"))
    base, middle = HEIGHT - BOTTOM, (TOP + HEIGHT - BOTTOM) / 2
    parts.append(f'<line class="axis" x1="{LEFT}" y1="{base}" x2="{right}" y2="{base}"/>')
    parts.append(_text((LEFT + right) / 2, HEIGHT - 12, "round", "ink", anchor="middle"))
    parts.append(
        f'<text class="ink" text-anchor="middle" transform="translate(16 {middle:.1f}) rotate(-90)">'
        "mean score</text>"
    )
    if not rounds:
        parts.append(
            _text((LEFT + right) / 2, middle, "no round has been measured yet", "faint", anchor="middle")
        )
    return parts


def _named(places: Sequence[float], points: Sequence[Point], every: int) -> set[int]:
    """The rounds whose names have room below the axis: those that kept something first, then every so-manieth."""
    named: list[int] = []
    kept = [index for index, point in enumerate(points) if point.kept]
    for index in (*kept, *range(0, len(points), every)):
        room = 5 + 4 * len(points[index].name)
        if all(abs(places[index] - places[other]) >= room + 4 * len(points[other].name) for other in named):
            named.append(index)
    return set(named)


def _rounds(points: Sequence[Point], scale: _Scale, right: float) -> list[str]:
    if not points:
        return []
    slot = (right - LEFT) / len(points)
    every = max(1, math.ceil(len(points) / 16))
    shift = min(9.0, slot / 4)
    places = [LEFT + slot * (index + 0.5) for index in range(len(points))]
    measured = [
        (x - shift, scale.y(p.incumbent))
        for x, p in zip(places, points, strict=True)
        if p.incumbent is not None
    ]
    named = _named(places, points, every)
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in measured)
    parts = [f'<polyline class="line" points="{path}"/>']
    parts += [f'<circle class="dot" cx="{x:.1f}" cy="{y:.1f}" r="2.5"/>' for x, y in measured]
    for index, (x, point) in enumerate(zip(places, points, strict=True)):
        parts.append(f"<g><title>{escape(point.title or point.name)}</title>")
        if point.incumbent is None:
            parts.append(_text(x, HEIGHT - BOTTOM - 6, "no score", "faint", size=10, anchor="middle"))
        if point.challenger is not None:
            kind = "kept" if point.kept else "other"
            low, high = map(scale.y, point.bounds)
            parts += _error(x + shift, low, high, kind)
            parts += _mark(x + shift, scale.y(point.challenger), kept=point.kept)
        parts.append("</g>")
        if index in named:
            weight = 700 if point.kept else 400
            kind = "ink" if point.kept else "faint"
            parts.append(
                _text(
                    x,
                    HEIGHT - BOTTOM + 17,
                    point.name.removeprefix("r"),
                    kind,
                    weight=weight,
                    anchor="middle",
                )
            )
    return parts


def _error(x: float, low: float, high: float, kind: str) -> list[str]:
    return [
        (
            f'<path class="{kind}" fill="none" d="M{x:.1f} {low:.1f}V{high:.1f}M{x - 4:.1f} {low:.1f}h8'
            f'M{x - 4:.1f} {high:.1f}h8"/>'
        )
    ]


def _panel(sealed: Sequence[Bar], scale: _Scale, left: float, right: float) -> list[str]:
    base = HEIGHT - BOTTOM
    parts = [
        f'<line class="grid" x1="{left}" y1="{scale.y(tick):.1f}" x2="{right}" y2="{scale.y(tick):.1f}"/>'
        for tick in scale.ticks
    ]
    parts.append(f'<line class="axis" x1="{left}" y1="{base}" x2="{right}" y2="{base}"/>')
    parts.append(_text((left + right) / 2, HEIGHT - 12, "sealed tasks", "ink", anchor="middle"))
    slot = (right - left) / len(sealed)
    for index, bar in enumerate(sealed):
        x, y = left + slot * (index + 0.5), scale.y(bar.mean)
        parts.append(
            f"<g><title>{escape(f'{bar.name}: {bar.mean:.3f} [{bar.low:.3f}, {bar.high:.3f}]')}</title>"
        )
        parts += _error(x, scale.y(bar.low), scale.y(bar.high), "sealed")
        parts.append(
            f'<rect class="sealed mark" x="{x - 4.5:.1f}" y="{y - 4.5:.1f}" width="9" height="9"/></g>'
        )
        parts.append(_text(x, base + 17, bar.name, "faint", anchor="middle"))
    return parts
